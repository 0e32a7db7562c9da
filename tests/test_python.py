"""Finished runs in Python: the examples of docs/python.md, and what is said where something is missing."""

import contextlib
import io
import re
import shutil

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib import finished
from lib.errors import UserError
from lib.notebooks import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", PAGE, flags=re.MULTILINE | re.DOTALL)
VAE = "vae_mnist-latent_dim2-width128-seed0"


def test_the_examples_run_from_top_to_bottom_and_print_what_the_page_shows():
    names, shown = {}, []
    with matplotlib.rc_context({"backend": "agg"}), pd.option_context("display.width", 120):
        for code, text in EXAMPLES:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(code, "docs/python.md", "exec"), names)
            assert [line.rstrip() for line in out.getvalue().splitlines()] == text.splitlines()
            shown += [figure.axes for figure in map(plt.figure, plt.get_fignums())]
            plt.close("all")
    assert len(EXAMPLES) == 5
    assert len(shown) == 3
    assert names["images"].any()


def test_a_table_has_the_columns_and_values_of_results_csv():
    for study in ("homework", "architectures"):
        csv = pd.read_csv(ROOT / "reports" / study / "results.csv", index_col="run").drop(columns="state")
        table = finished.table(study)
        assert set(table.columns) == set(csv.columns)
        same = csv.columns.drop("dataset")  # of a study it is the planned one, of a run the one that it used
        pd.testing.assert_frame_equal(table.loc[csv.index, same], csv[same], check_dtype=False, rtol=1e-12)


def test_a_study_is_named_or_given_by_a_path_as_a_run_is(tmp_path):
    folder = finished.REPORTS / "small"
    assert finished.table(folder).equals(finished.table("small"))
    assert list(finished.table(folder / "runs" / VAE).index) == [VAE]
    assert finished.load(folder / "runs" / VAE).folder == finished.load("small", VAE).folder
    shutil.copytree(folder / "runs" / VAE, tmp_path / "runs" / f"{VAE}.partial")
    with pytest.raises(UserError, match="no finished runs in"):
        finished.of(tmp_path)


@pytest.mark.parametrize(
    ("study", "run", "words"),
    [
        ("smal", "", r"no finished runs in 'smal' \(did you mean small\?\); there are some in: architectures, "),
        ("x" * 300, "", "no finished runs in 'xxx"),
        ("small", "", "'small': 7 runs; name one; there are: vae_mnist-latent_dim2"),
        ("small", VAE[:-1], rf"no run '{VAE[:-1]}' \(did you mean {VAE}\?\)"),
    ],
)
def test_what_is_not_there_is_said_with_what_is_near(study, run, words):
    with pytest.raises(UserError, match=words) as error:
        finished.load(study, run)
    assert "\n" not in str(error.value)


def test_of_a_run_without_images_and_networks_its_numbers_are_left():
    run = next(iter(finished.of("seeds").values()))
    assert run.result["metrics"]["frechet"] > 0
    for name, words in (("history", "no history.csv in"), ("samples", "no samples.npz in"), ("model", "its networks")):
        with pytest.raises(UserError, match=words):
            getattr(run, name)
