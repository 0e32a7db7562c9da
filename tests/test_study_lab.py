"""A study in a real JupyterLab: planned, started, found again after a reload and a restart, stopped, resumed, read."""

import re
import shutil
from pathlib import Path

import psutil
import pytest
from labs import idle, opened, run, serving, without_errors
from test_faults import until
from test_lab import nameless

from lib.notebooks import ROOT
from lib.study import command

MINUTES = 60_000  # milliseconds


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A copy of what a study needs; what is still at work on one there is ended."""
    folder = tmp_path / "repository"
    for name in ("lib", "notebooks", "parameters"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("latent_report.py", "README.md"):
        shutil.copy(ROOT / name, folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("LATENT_REPORT_CHECKPOINT_SECONDS", "0")
    yield folder
    left = [one.process() for study in folder.glob("reports/*") for one in command.at_work(study)]
    for process in left:
        process.terminate()
    psutil.wait_procs(left, timeout=60)


class Seen:
    """The notebook as its reader sees it."""

    def __init__(self, page):
        self.page = page
        self.plan, self.watch, self.report = (
            page.locator(".jp-CodeCell", has_text=f"{each}()").locator(".jp-OutputArea").first
            for each in ("planner.show", "watch.show", "watch.report")
        )

    def run_all(self):
        run(self.page, "Run All Cells")
        without_errors(self.page)
        self.watch.get_by_role("button", name="Stop").wait_for()

    def type(self, **values):
        for label, value in values.items():
            self.page.get_by_label(label.replace("_", " "), exact=True).fill(value)

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def says(self, words, cell=None, minutes=4):
        (cell or self.watch).get_by_text(re.compile(words)).first.wait_for(timeout=minutes * MINUTES)


def planned(seen, dataset):
    """Plans and saves a study of two runs that train for long enough to be looked at."""
    seen.run_all()
    seen.says("My first study: 4 runs, 0 done", seen.plan)
    seen.type(latent_dimensions="2, 10, x")
    seen.says("latent_dim = 'x': Input should be a valid integer", seen.plan)
    assert seen.page.get_by_role("button", name="Save the plan").is_disabled()
    seen.type(name="mine", title="Mine", latent_dimensions="2, 3", widths="8", epochs="500", grey_images=str(dataset))
    seen.says("Mine: 2 runs, 0 done, 2 to do", seen.plan)
    assert seen.page.get_by_role("button", name="Start", exact=True).is_disabled(), "nothing is saved yet"
    seen.press("Save the plan")
    seen.says("Saved as", seen.plan)
    seen.says("Mine: 2 runs, 0 done, 2 to do")
    assert nameless(seen.page) == []


def found_again(seen):
    """Runs the cells once more, and sees the study at work."""
    idle(seen.page)
    seen.run_all()
    seen.says("At work, about .* left \\(process [0-9]+\\)")
    seen.says("running: fit")


@pytest.mark.slow
def test_a_study_from_its_plan_to_its_report(browser, repository, npz):
    with serving(repository) as address:
        page = opened(browser, address, "study")
        seen = Seen(page)
        planned(seen, npz())
        assert "latent_dim: [2, 3]" in (repository / "parameters" / "mine.yaml").read_text()
        seen.press("Start")
        seen.says("running: fit")
        page.reload()
        found_again(seen)
        seen.press("Restart the kernel")
        page.locator(".jp-Dialog .jp-mod-accept").click()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        found_again(seen)

        seen.press("Stop")
        seen.says("interrupted; checkpoint after epoch [0-9]+ of 500")
        until(lambda: command.at_work(repository / "reports" / "mine") == [])
        seen.press("Start")
        seen.says("2 runs, 2 done, 0 to do", minutes=30)  # with the report
        seen.report.locator("iframe").scroll_into_view_if_needed()  # it is loaded when it comes into view
        frame = seen.report.frame_locator("iframe[title=Report]")
        frame.get_by_role("heading", name="Mine", exact=True).wait_for(timeout=2 * MINUTES)
        frame.locator("html.js.ready").wait_for()  # its scripts run
        assert (Path("reports") / "mine" / "index.html").as_posix() in seen.report.inner_text()
        logs = [path.read_text() for path in (repository / "reports" / "mine").glob("runs/*/log.txt")]
        assert ["continuing after epoch" in log for log in logs] == [True, True]

        seen.report.get_by_role("link", name="Open it in a tab of its own").click()
        page.frame_locator(".jp-HTMLViewer iframe").get_by_role("heading", name="Mine", exact=True).wait_for()
        page.close()
