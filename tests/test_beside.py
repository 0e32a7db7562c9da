"""The report's notebooks beside the runs."""

import subprocess
import sys

import pytest

from lib.data import cache
from lib.report import execution


@pytest.fixture
def started(monkeypatch):
    """What `self_testing` starts: a process that would go on for a minute."""
    processes, real = [], subprocess.Popen

    def start(words, **options):
        processes.append(real([sys.executable, "-c", "import time; time.sleep(60)"], **options))
        return processes[-1]

    monkeypatch.setattr(execution.subprocess, "Popen", start)
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def test_the_self_test_goes_on_beside_the_runs_and_after_them(started, monkeypatch):
    monkeypatch.setattr(cache, "found", lambda *_: None)
    with execution.self_testing(True):
        (process,) = started
    assert process.poll() is None


def test_an_interrupted_study_leaves_no_self_test(started, monkeypatch):
    monkeypatch.setattr(cache, "found", lambda *_: None)
    with pytest.raises(KeyboardInterrupt), execution.self_testing(True):
        raise KeyboardInterrupt
    assert started[0].wait(20) != 0


@pytest.mark.parametrize(("wanted", "made"), [(False, None), (True, "made before")])
def test_a_self_test_that_is_not_wanted_or_is_there_is_not_started(started, monkeypatch, wanted, made):
    monkeypatch.setattr(cache, "found", lambda *_: made)
    with execution.self_testing(wanted):
        assert not started
