"""The demo study end to end, with tiny settings: 22 runs, 17 figures, one page, and a browser to show it."""

import re
from pathlib import Path

import pytest
import synthetic
from conftest import command
from test_notebooks import without_noise

from lib import runs
from lib.notebooks import NOTEBOOKS
from lib.study import plan


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return plan.read("demo", {"epochs": 1}, str(tmp_path_factory.mktemp("demo")))


@pytest.fixture(scope="module")
def made(study):
    """The first run of each notebook, by its notebook: these are made, and the others stand there already."""
    return {run.settings.notebook: run for run in reversed(study.runs)}


@pytest.fixture(scope="module")
def done(study, made):
    synthetic.finish(study, leave_out=[run.name for run in made.values()])
    return command("run", "demo", "--out", study.folder, "-p", "epochs", 1)


@pytest.fixture(scope="module")
def demo(study, done):
    assert done.returncode == 0, done.stderr
    return study.folder


def test_the_first_lines_say_where_to_look(demo, done):
    _, where, *said = done.stdout.splitlines()
    assert str(demo / "notebooks") in where
    (place,) = [number for number, line in enumerate(said) if line.startswith("the first images: ")]
    assert Path(said[place].removeprefix("the first images: ")) in (demo / "notebooks").iterdir()
    assert said[place - 1].startswith("[1/6] "), "as soon as the first run is done"


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
