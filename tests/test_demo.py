"""The demo study end to end, with tiny settings: 22 runs, 17 figures, one page, and a browser to show it."""

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import synthetic
from test_notebooks import without_noise

from lib import data, runs
from lib.__main__ import main
from lib.notebooks import NOTEBOOKS
from lib.scores import classifier
from lib.study import plan


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return plan.read("demo", {"epochs": 1}, str(tmp_path_factory.mktemp("demo")))


@pytest.fixture(scope="module")
def made(study):
    """The first run of each notebook, by its notebook: these are made, and the others stand there already."""
    return {run.settings.notebook: run for run in reversed(study.runs)}


@pytest.fixture(scope="module")
def _short_classifier():
    """A classifier of few of the coloured shapes: that of all of them takes longer than the six runs."""
    train = classifier._train
    shapes = data.load("shapes")
    few = replace(shapes, x_train=shapes.x_train[:500], y_train=shapes.y_train[:500])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(classifier, "math", SimpleNamespace(ceil=lambda number: 5, sqrt=math.sqrt))
        patched.setattr(classifier, "_train", lambda dataset, folder: train(few, folder))
        classifier.classifier(shapes)


@pytest.fixture(scope="module")
def demo(study, made, _short_classifier):
    synthetic.finish(study, leave_out=[run.name for run in made.values()])
    assert main(["run", "demo", "--out", str(study.folder), "-p", "epochs", "1"]) == 0
    return study.folder


def test_the_report_is_whole(demo):
    page = (demo / "index.html").read_text(encoding="utf-8")
    assert [int(number) for number in re.findall(r'<figure[^>]* id="fig-(\d+)"', page)] == list(range(1, 18))
    assert "807,700" in page
    assert "3,152,900" in page
    assert len(page) < 15e6
    assert len(list((demo / "notebooks").glob("*.html"))) == 23  # each run and the self-test
    assert len((demo / "results.csv").read_text(encoding="utf-8").splitlines()) == 23
    assert not list((demo / "runs").glob("*.partial"))


def test_every_notebook_was_executed(demo, made):
    assert {*made} == {*NOTEBOOKS}
    for folder in (run.folder for run in made.values()):
        result = runs.read_result(folder)
        assert set(result["metrics"]) == set(result["samples_n"])
        assert len(next(iter(runs.read_history(folder).values()))) == 1
        assert {path.stem for path in (folder / "model").iterdir()} == set(result["layers"])
        assert "epoch 1/1" in (folder / "log.txt").read_text()
        without_noise(folder / "notebook.ipynb")


@pytest.mark.parametrize("width", [390, 1440])
def test_in_a_browser(demo, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((demo / "index.html").as_uri())
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [(demo / "index.html").as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    load = "image => { image.loading = 'eager'; return image.decode(); }"  # else only when it comes into view
    page.evaluate(f"Promise.all([...document.images].map({load})).then(() => true)")
    assert page.evaluate("[...document.images].every(image => image.naturalWidth && image.alt)")
    assert page.locator("figure[id^=fig-]").count() == 17
    page.locator('#runs-table a[href^="notebooks/"]').first.click()
    assert page.url.startswith((demo / "notebooks").as_uri())
    assert complaints == []
    page.close()
