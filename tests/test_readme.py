"""What the README tells a newcomer to paste does what it says."""

import re

import numpy as np

from lib import data
from lib.notebooks import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_line_that_writes_ones_own_data_can_be_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (line,) = re.findall(r"np\.savez\(.*\)$", README, flags=re.MULTILINE)
    exec(line, {"np": np, "x_train": rng.random((20, 8, 8)), "x_test": rng.random((10, 8, 8))})
    assert "good; 20 training and 10 test images 8x8x1" in data.verify("own.npz")
