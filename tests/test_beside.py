"""What is made of a report beside the runs: the self-test, the page of each run that is done, and its decoder."""

import subprocess
import sys

import pytest
import synthetic

from lib.data import cache
from lib.report import beside
from lib.study import plan

STUDY = """
notebooks: {gan_mnist: {defaults: {dataset: digits, width: 8}, runs: [{latent_dim: [2, 3]}, {latent_dim: 2, seed: 1}]}}
"""


@pytest.fixture
def planned(study, tmp_path):
    return plan.read(str(study(STUDY)), out=str(tmp_path / "out"))


@pytest.fixture
def started(monkeypatch):
    """The processes that are started: each would go on for a minute, or until its standard input ends."""
    processes, real = [], subprocess.Popen

    def start(words, **options):
        wait = "sys.stdin.read()" if options["stdin"] == subprocess.PIPE else "time.sleep(60)"
        processes.append(real([sys.executable, "-c", f"import sys, time; {wait}"], **options))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    yield processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def _no_self_test(monkeypatch):
    monkeypatch.setattr(cache, "found", lambda *_: "made before")


def test_the_self_test_goes_on_beside_the_runs_and_after_them(planned, started, monkeypatch):
    monkeypatch.setattr(cache, "found", lambda *_: None)
    with beside.report(planned):
        (process,) = started
    assert process.poll() is None


def test_an_interrupted_study_leaves_no_process(planned, started, monkeypatch):
    monkeypatch.setattr(cache, "found", lambda *_: None)

    def interrupted():
        with beside.report(planned) as ended:
            ended(planned.runs[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(started) == 2
    assert all(process.wait(20) for process in started)


@pytest.mark.parametrize(("wanted", "made"), [(False, None), (True, "made before")])
def test_a_self_test_that_is_not_wanted_or_is_there_is_not_started(planned, started, monkeypatch, wanted, made):
    monkeypatch.setattr(cache, "found", lambda *_: made)
    with beside.report(planned, wanted) as ended:
        if not wanted:
            ended(planned.runs[0])
        assert not started


@pytest.mark.usefixtures("_no_self_test", "started")
def test_the_page_of_a_run_is_there_as_soon_as_it_is_done(planned, capsys):
    pages = [planned.folder / "notebooks" / f"{run.name}.html" for run in planned.runs]
    with beside.report(planned) as ended:
        for run, page in zip(planned.runs, pages, strict=True):
            synthetic.write(run)
            ended(run)
            assert run.name in page.read_text(encoding="utf-8")
    assert capsys.readouterr().out == f"the first images: {pages[0]}\n"


@pytest.mark.usefixtures("_no_self_test", "started")
def test_a_run_whose_page_cannot_be_made_stops_nothing(planned, capsys):
    with beside.report(planned) as ended:
        ended(planned.runs[0])
    assert not capsys.readouterr().out


@pytest.mark.usefixtures("_no_self_test")
def test_one_process_makes_the_decoders_of_all_settings(planned, monkeypatch, tmp_path):
    real, told = subprocess.Popen, tmp_path / "told"

    def start(words, **options):
        assert words[1:] == ["-m", "lib.report.decoders"]
        code = f"import sys; open({str(told)!r}, 'a').write('started\\n' + sys.stdin.read())"
        return real([sys.executable, "-c", code], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    with beside.report(planned) as ended:
        for run in planned.runs:
            ended(run)
    of_settings = [str(run.folder) for run in planned.runs if not run.settings.seed]
    assert told.read_text().splitlines() == ["started", *of_settings], "and it is done when the runs are"
