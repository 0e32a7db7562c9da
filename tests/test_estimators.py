"""notebooks/estimators.ipynb: its checks can fail, and its axes show small changes small."""

import ast
import json
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import images

from lib import data, figures
from lib.errors import UserError
from lib.models import gan, layers
from lib.notebooks import NOTEBOOK_DIR
from lib.scores import estimates
from lib.scores.card import Scorecard

NAMES = {
    "Scorecard": Scorecard,
    "data": data,
    "estimates": estimates,
    "figures": figures,
    "gan": gan,
    "layers": layers,
    "np": np,
    "SimpleNamespace": SimpleNamespace,
    "UserError": UserError,
}


def run(words, space):
    """Executes the code cell that holds these words, and returns the value of its last line."""
    cells = json.loads((NOTEBOOK_DIR / "estimators.ipynb").read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    (source,) = [source for source in sources if words in source]
    *body, last = ast.parse(source).body
    exec(compile(ast.Module(body, []), "cell", "exec"), space)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), space)


def space(dataset, seed=0):
    """What the cells before know: a dataset with its images in a drawn order."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(dataset.x_train))
    return NAMES | {
        "images": dataset,
        "seed": seed,
        "rng": rng,
        "order": order,
        "classes": np.unique(dataset.y_train),
        "last": dataset.y_train.max(),
    }


@pytest.mark.parametrize("seed", range(3))
def test_the_bins_of_digits_are_wide_enough_to_see_a_missing_class(seed):
    """With too many bins for these few images, NDB was 0 whatever was removed."""
    found = run("Bins.fit", known := space(data.load("digits"), seed))
    seen = {name: int(text.split("NDB ")[1].split()[0].rstrip(",")) for name, text in found.items()}
    assert max(seen["other training images"], seen["test images"]) <= 1
    assert seen["without class 9"] >= 1
    assert seen["without the fifth most like one image"] >= 1
    assert seen["with half of the classes"] >= 4
    assert found["other training images"].startswith(f"{len(known['others'])} images: ")


class Card:
    """A scorecard whose shares hardly change."""

    count = 20
    bins = SimpleNamespace(centres=np.zeros((7, 1)))

    def __init__(self, dataset):
        self.calls = 0

    def scores(self, some):
        self.calls += 1
        shares = dict.fromkeys(("precision", "recall", "confidence"), 0.985 - 0.001 * self.calls)
        return shares | {"ndb": 0, "ndb_js": 0.006, "frechet": 2.0 + self.calls, "class_kl": 0.1, "sharpness": 1.0}


def labelled(y_train):
    images_of_it = images(len(y_train))
    return data.Dataset(
        "tiny", images_of_it, y_train, images_of_it[:20], y_train[:20], images_of_it[:30], y_train[:30], "", False, None
    )


def test_axes_of_the_damage_charts_show_the_whole_range():
    drawn = run("Scorecard(images)", space(labelled(np.arange(100) % 10)) | {"Scorecard": Card})
    limits = {axes.get_title(loc="left"): axes.get_ylim() for axes in drawn.axes}
    assert {limits[name] for name in ("precision", "recall", "confidence")} == {(0, 1)}
    assert limits["ndb"] == (0, 7)
    assert limits["ndb_js"] == (0, pytest.approx(np.log(2)))
    assert all(limits[name][0] == 0 for name in ("frechet", "class_kl", "sharpness"))
    assert limits["frechet"][1] >= 8


def test_classes_are_removed_one_by_one_whatever_their_numbers():
    known = space(labelled(np.repeat([3, 70, 400, 900], 25))) | {"Scorecard": Card}
    run("Scorecard(images)", known)
    drawn = run("classes removed", known)
    assert [len(each) for each in known["left"]] == [100, 75, 50]
    assert list(drawn.axes[0].lines[0].get_xdata()) == [0, 1, 2]


@pytest.mark.parametrize("spoil", ["no labels", "two classes", "few images"])
def test_a_dataset_that_can_show_nothing_is_refused(spoil, tmp_path):
    count = 200 if spoil == "few images" else 600
    made = {"x_train": images(count), "x_test": images(20)}
    if spoil != "no labels":
        made |= {name.replace("x", "y"): np.arange(len(each)) % 2 for name, each in made.items()}
    np.savez(path := tmp_path / "own.npz", **made)
    with pytest.raises(UserError, match=r"own\.npz: these checks need 500 training images or more, labelled"):
        run("fresh_jsd(judge", NAMES | {"dataset": str(path), "seed": 0, "rng": np.random.default_rng(0)})
