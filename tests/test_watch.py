"""A study that is started, watched, stopped and found again from a notebook."""

import json
import os
import re
import subprocess
import sys
import time

import pytest
import synthetic
from test_planner import here  # noqa: F401

from lib.errors import UserError
from lib.notebooks import ROOT
from lib.runs import ownership, states
from lib.study import command, plan
from lib.widgets import Planner, Watch, planner, watch

TINY = "{dataset: DATASET, epochs: EPOCHS, width: 8, latent_dim: 2, batch_size: 16, validation: 20}"


def text(html):
    return re.sub("<[^>]*>", " ", html)


@pytest.fixture
def study(here, npz):  # noqa: F811
    """A function that writes parameters/tiny.yaml, a study of two runs, and reads it."""

    def made(epochs=1, seeds="[0, 1]"):
        path = planner.path_of("tiny")
        tiny = TINY.replace("DATASET", str(npz())).replace("EPOCHS", str(epochs))
        path.write_text(f"title: Tiny\nnotebooks: {{gan_mnist: {{defaults: {tiny}, runs: [{{seed: {seeds}}}]}}}}")
        return plan.read("tiny")

    return made


def shown(name="tiny"):
    """A watch as it stands in JupyterLab; it looks only when it is told to."""
    made = Watch(Planner("other"))
    made.turn(name)
    return made


# ---- notes ---------------------------------------------------------------------------------------


def test_a_command_is_found_while_it_lasts_and_says_how_far_it_is(tmp_path):
    assert command.at_work(tmp_path) == []
    with command.noted(tmp_path):
        (found,) = command.at_work(tmp_path)
        assert (found.pid, found.by_notebook) == (os.getpid(), False)
        command.say(stage="runs", left=7)
        assert command.at_work(tmp_path)[0].said == {"stage": "runs", "left": 7}
    assert list(tmp_path.iterdir()) == []
    command.say(stage="report")  # of a command without a note
    assert list(tmp_path.iterdir()) == []


def test_a_note_that_a_killed_process_has_left_is_removed_whoever_has_its_number_now(tmp_path):
    with subprocess.Popen(["sleep", "60"]) as other:
        note = tmp_path / command.NOTE.format(other.pid)
        note.write_text(json.dumps([other.pid, time.time() - 3600, True, {}]))
        assert command.at_work(tmp_path) == []
        assert not note.exists()
        note.write_text(json.dumps([other.pid, time.time(), True, {}]))
        (found,) = command.at_work(tmp_path)
        command.stop(found)
        assert other.wait(10) != 0
    assert command.at_work(tmp_path) == []
    assert not note.exists()
    (tmp_path / command.NOTE.format(1)).write_text("no note")
    assert command.at_work(tmp_path) == []


# ---- what is seen --------------------------------------------------------------------------------


def test_every_state_has_its_words(study, in_lab):
    tiny = study()
    first, second = tiny.runs
    seen = shown()
    assert "Tiny: 2 runs, 0 done, 2 to do with" in text(seen.head.value)
    assert text(seen.table.value).count("to do") == 2
    assert (seen.start_button.disabled, seen.stop_button.disabled) == (False, True)
    synthetic.write(first)
    states.fail(second.folder, "NonFiniteLossError: d_loss is nan <at epoch 3>")
    seen.look()
    assert "NonFiniteLossError: d_loss is nan &lt;at epoch 3&gt;" in seen.table.value
    assert re.search(r"seed0\s+done", text(seen.table.value))
    assert 'max="2" value="1"' in seen.head.value
    (first.folder / "log.txt").unlink()
    os.utime(first.folder / "result.json")  # another record
    seen.look()
    assert "log.txt is missing" in text(seen.table.value)


def test_the_epoch_and_the_time_that_is_left_are_those_that_the_run_says(study, in_lab, monkeypatch):
    tiny = study()
    partial = ownership.partial_of(tiny.runs[0].folder)
    partial.mkdir(parents=True)
    said = {"stage": "fit", "epoch": 3, "epochs": 9, "seconds_left": 80.0}
    (partial / ownership.PROGRESS).write_text(json.dumps(said))
    monkeypatch.setattr(
        watch.states, "of", lambda folder, _: ("running" if folder == tiny.runs[0].folder else "failed", "")
    )
    seen = shown()
    assert re.search(r"running: fit\s+3 of 9\s+80 s", text(seen.table.value))


def test_where_not_all_runs_fit_those_are_shown_that_somebody_looks_for(study):
    tiny = study()
    found = {f"r{number}": ("done", "") for number in range(100)} | {"bad": ("failed", "why"), "now": ("running", "")}
    many = [tiny.runs[0].__class__(name, tiny.folder / "runs" / name, tiny.runs[0].settings) for name in found]
    table = watch._table(tiny.__class__("many", tiny.path, tiny.folder, "Many", tuple(many)), found)
    assert table.count('scope="row"') == watch.ROWS
    assert table.index(">now<") < table.index(">bad<") < table.index(">r0<")
    assert "and 62 more" in table


def test_a_command_of_a_terminal_is_found_and_left_alone(study, in_lab):
    tiny = study()
    tiny.folder.mkdir()
    seen = shown()
    with command.noted(tiny.folder):
        command.say(stage="runs", left=90.0)
        seen.look()
        assert f"about 90 s left (process {os.getpid()}, started in a terminal: stop it there)" in seen.head.value
        assert (seen.start_button.disabled, seen.stop_button.disabled) == (True, True)
        seen.stop()  # would end the tests
        assert Watch(Planner("other")).pick.value == "tiny", "a study that is at work is what somebody comes back for"
        command.say(stage="report")
        seen.look()
        assert "The report is being built" in seen.head.value
    seen.look()
    assert seen.stop_button.disabled
    assert not seen.start_button.disabled


def test_a_study_file_that_is_wrong_or_saved_again(study, in_lab):
    study()
    seen, path = shown(), planner.path_of("tiny")
    good = path.read_text()
    path.write_text("autor: me\n" + good)
    seen.look()
    assert "did you mean author?" in seen.head.value
    assert seen.start_button.disabled
    path.write_text(good.replace("seed: [0, 1]", "seed: [0, 1, 2]"))
    seen.look()
    assert text(seen.table.value).count("to do") == 3
    (path.parent.parent / "tiny.npz").unlink()
    seen.look()
    assert "tiny.npz is not there" in seen.head.value
    assert seen.start_button.disabled
    seen.planner.follow("nowhere")
    assert seen.pick.value == ""
    assert seen.table.value == ""


def test_nothing_starts_where_files_of_somebody_else_would_be_lost(study, in_lab, monkeypatch):
    tiny = study()
    monkeypatch.setattr(command, "start", lambda _: pytest.fail("something was started"))
    tiny.folder.mkdir()
    (tiny.folder / "index.html").write_text("a page of somebody's own")
    seen = shown()
    seen.start()
    assert "was not written by a study and would be lost" in seen.note.value


def test_the_report_is_shown_once_it_is_there(study, in_lab):
    tiny = study()
    seen = shown()
    assert "No report yet" in seen.report().outputs[0]["data"]["text/html"]
    tiny.folder.mkdir()
    (tiny.folder / "index.html").write_text("the report")
    seen.look()
    html = seen.report().outputs[0]["data"]["text/html"]
    assert f'src="{os.path.relpath(tiny.folder / "index.html")}"' in html
    assert html.count("<iframe") == 1
    seen.look()
    assert seen.report().outputs[0]["data"]["text/html"] == html


def test_one_thread_looks_and_it_ends_when_another_watch_is_shown(study, in_lab, monkeypatch):
    study()
    looks = []
    monkeypatch.setattr(watch, "SLOWEST", 0.05)
    monkeypatch.setattr(Watch, "look", lambda self: looks.append(self))
    first, second = shown(), shown()
    for one in (first, first, second):
        one.show()
    time.sleep(0.2)
    looks.clear()
    time.sleep(0.5)
    Watch.newest = None
    assert set(looks) == {second}
    assert 3 < len(looks) < 15


# ---- real processes ------------------------------------------------------------------------------


def until(condition, seconds=240):
    deadline = time.time() + seconds
    while not (found := condition()):
        assert time.time() < deadline
        time.sleep(0.3)
    return found


def test_a_study_is_started_found_again_by_another_kernel_and_stopped(study, in_lab, monkeypatch):
    monkeypatch.setenv("LATENT_REPORT_CHECKPOINT_SECONDS", "0")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as kernels have it
    tiny, seen = study(epochs=100_000, seeds="0"), shown()
    seen.start()
    assert "Starting" in seen.head.value
    assert seen.start_button.disabled
    try:
        until(lambda: states.progress(tiny.runs[0].folder).get("epoch", 0) > 1)
        again = Watch(Planner("other"))  # knows nothing of the first one
        assert again.pick.value == "tiny"
        assert re.search(r"running: fit\s+\d+ of 100000", text(again.table.value))
        assert not again.stop_button.disabled
        assert "[" not in again.last.value, "codes for a terminal"
        assert "Tiny: 1 runs, 0 done, 1 to do" in again.last.value
        again.stop()
        assert "Stopping" in again.head.value
        assert seen.started["tiny"].wait(60) == 143
    finally:
        for one in command.at_work(tiny.folder):
            one.process().kill()
    again.look()
    assert "interrupted; checkpoint after epoch" in again.table.value
    assert not again.start_button.disabled
    assert "stopped; finished runs are kept" in again.last.value
    assert not list(tiny.folder.glob(command.NOTE.format("*")))


def test_what_a_command_says_of_a_fault_is_shown(study, in_lab):
    tiny = study()
    seen = shown()
    path = planner.path_of("tiny")
    path.write_text(path.read_text().replace("seed: [0, 1]", "seed: -1"))
    process = command.start(tiny)
    assert process.wait(60) == 2
    assert "latent-report: " in command.last_words(tiny.folder)
    assert "seed = -1" in command.last_words(tiny.folder)
    path.write_text(path.read_text().replace("seed: -1", "seed: 0"))
    seen.look()
    assert "seed = -1" in seen.last.value
    blocked = tiny.__class__("x", path, path / "below", "x", ())
    with pytest.raises(UserError, match="cannot be written to"):
        command.start(blocked)


def test_no_tensorflow_where_a_study_is_planned_and_watched():
    code = "from lib.widgets import Planner, Watch; import sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
