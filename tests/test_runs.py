"""Run folders: names, keys, the one rename, and what counts as done."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from lib import data, files, runs
from lib.errors import UserError
from lib.notebooks import ROOT
from lib.provenance import Made, networks_digest
from lib.runs import keys, locks, ownership, states
from lib.runs.ownership import RUN_FILES


class Trained:
    """A model of which only the record is asked."""

    networks, effort = {}, staticmethod(lambda: {"steps": {}, "images_seen": 10})
    facts = staticmethod(lambda: {"layers": {}, "parameters": {}})


def record(run, jsd=0.1, **metrics):
    """Records a run as if it had been trained."""
    run.seconds["fit"], run.trained = 1.0, networks_digest({})
    history, samples, found = {"jsd": [jsd] * run.settings.epochs}, {"samples": np.ones((1, 1))}, {"metrics": metrics}
    return run.record(
        Trained, *(Made(each, run.trained, None, {"name": "digits"}) for each in (history, samples, found))
    )


def test_source_digest_sees_only_what_runs():
    plain = "def f(x):\n    return x + 1\n"
    dressed = '"""Module."""\n\n# why\ndef f(x):\n    """Doc."""\n    return x + 1  # more\n'
    assert keys.source_digest(plain) == keys.source_digest(dressed)
    assert keys.source_digest(plain) != keys.source_digest(plain.replace("1", "2"))


@pytest.mark.parametrize(
    ("imports", "name", "same"),
    [
        ("from lib.data import cache", "cache.cached", True),  # as if it had moved
        ("from lib.data.cache import cached", "cached", True),
        ("from lib import files", "files.write_aside", False),
        ("cache = object()", "cache.cached", False),  # not a module of lib
    ],
)
def test_a_definition_is_the_same_wherever_it_takes_names_of_lib_from(imports, name, same):
    def digest(imports, name):
        return keys._digest(dict(keys._defined(f"{imports}\ndef made(key):\n    return {name}(key)"))["made"])

    assert (digest(imports, name) == digest("from lib import files", "files.cached")) == same


def test_training_key_parts(settings, monkeypatch):
    base = keys.training_key(settings("vae_mnist"), "data")
    assert keys.difference(base, keys.training_key(settings("vae_mnist", output_dir="elsewhere"), "data")) == ""
    assert (
        keys.difference(base, keys.training_key(settings("vae_mnist", epochs=3), "data")) == "settings.epochs: 50 -> 3"
    )
    assert keys.difference(base, keys.training_key(settings("vae_mnist"), "other")).startswith("data: ")
    assert base["notebook"] != keys.training_key(settings("gan_mnist"), "data")["notebook"]
    first, *_ = base["sources"]
    monkeypatch.setattr(keys, "training_sources", lambda notebook: base["sources"] | {first: "a" * 16})
    assert keys.difference(base, keys.training_key(settings("vae_mnist"), "data")) == f"sources.{first} changed"


def test_write_aside_leaves_the_old_file_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        files.write_aside(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_history_round_trip(tmp_path):
    history = {"loss": [3.0, 2.5], "val_loss": [3.5, 1e-9]}
    (tmp_path / "history.csv").write_text(runs.history_csv(history))
    assert runs.read_history(tmp_path) == history


@pytest.fixture
def made(tmp_path, settings):
    """A partial folder with every file that a run leaves, and its settings."""
    folder = tmp_path / "runs" / "one"
    ours = settings("gan_mnist", dataset="digits", output_dir=str(folder))
    run = runs.Run(ours)
    run.log("epoch 1/1", show=False)
    cell = {"cell_type": "code", "source": ["1"], "execution_count": 1, "outputs": [], "metadata": {}}
    content = {"cells": [cell], "metadata": {"papermill": {"end_time": "now"}}}
    (run.partial / "notebook.ipynb").write_text(json.dumps(content))
    record(run)
    return folder, ours


def _state(folder, ours):
    return states.of(folder, ours)


def test_a_run_whose_notebook_is_being_written_waits_for_its_commit(made):
    folder, _ = made
    assert not folder.exists()
    states.commit(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*RUN_FILES, "model"])
    assert not ownership.partial_of(folder).exists()


def test_without_papermill_the_record_cell_commits(tmp_path, settings):
    run = runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(tmp_path / "one")))
    assert record(run) == tmp_path / "one"
    assert (tmp_path / "one" / "result.json").is_file()
    run.log("again", show=False)  # cells that are run once more, after the partial folder has been renamed away
    assert record(run, 0.2) == tmp_path / "one"
    assert runs.read_history(tmp_path / "one") == {"jsd": [0.2] * run.settings.epochs}


def test_state_settles_what_plain_papermill_left(made):
    folder, ours = made
    assert _state(folder, ours) == ("missing", "")  # papermill may still be writing
    old = time.time() - 10
    os.utime(ownership.partial_of(folder) / "notebook.ipynb", (old, old))
    assert _state(folder, ours) == ("done", "")
    assert folder.is_dir()


def test_what_is_published_of_a_run_counts_as_that(made):
    folder, ours = made
    states.commit(folder)
    (folder / "notebook.ipynb").unlink()
    assert _state(folder, ours) == ("stale", "notebook.ipynb is missing")
    shutil.rmtree(folder / "model")
    assert _state(folder, ours) == ("published", "its notebook and networks are not here")
    (folder / "samples.npz").unlink()
    assert _state(folder, ours) == ("stale", "samples.npz is missing")


def test_state_names_what_changed(made, settings, monkeypatch):
    folder, ours = made
    states.commit(folder)
    assert _state(folder, ours) == ("done", "")
    longer = settings("gan_mnist", dataset="digits", epochs=99)
    assert _state(folder, longer) == ("stale", "settings.epochs: 30 -> 99")
    monkeypatch.setattr(data, "fingerprint", lambda name: "other")
    assert _state(folder, ours) == ("stale", "data: digits -> other")
    monkeypatch.setattr(data, "fingerprint", lambda name: (_ for _ in ()).throw(UserError("not there")))
    assert _state(folder, ours) == ("done", "")
    key = keys.evaluation_key(ours)
    key["sources"]["evaluation"] = "b" * 64
    monkeypatch.setattr(keys, "evaluation_key", lambda _: key)
    assert _state(folder, ours) == ("unscored", "evaluation sources.evaluation changed")


def _error_cell(path):
    content = json.loads(path.read_text())
    content["cells"][0]["outputs"] = [{"output_type": "error", "ename": "E", "evalue": "what was\nwrong"}]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("result.json", lambda path: path.unlink(), "result.json is missing"),
        ("result.json", lambda path: path.write_text(path.read_text()[:50]), "damaged"),
        ("result.json", lambda path: path.write_text("{}"), "damaged"),
        ("result.json", lambda path: path.write_text(path.read_text().replace('"layers"', '"x"')), "damaged"),
        ("notebook.ipynb", lambda path: path.write_text("{"), "damaged"),
        ("notebook.ipynb", lambda path: path.write_text(path.read_text().replace('"outputs"', '"x"')), "damaged"),
        (
            "notebook.ipynb",
            lambda path: path.write_text(path.read_text().replace("end_time", "x")),
            "not executed to its end",
        ),
        (
            "notebook.ipynb",
            lambda path: path.write_text(path.read_text().replace('"execution_count": 1', '"execution_count": null')),
            "not executed",
        ),
        ("notebook.ipynb", _error_cell, "ended with an error"),
        ("samples.npz", lambda path: path.unlink(), "samples.npz is missing"),
    ],
)
def test_a_damaged_run_is_not_done_and_not_committed(made, name, damage, words):
    folder, ours = made
    damage(ownership.partial_of(folder) / name)
    with pytest.raises(UserError, match=words):
        states.commit(folder)
    assert not folder.exists()
    os.rename(ownership.partial_of(folder), folder)
    state, why = _state(folder, ours)
    assert state == "stale"
    assert words in why


def test_a_run_under_a_live_worker_is_left_to_it(made):
    folder, ours = made
    old = time.time() - 10
    os.utime(ownership.partial_of(folder) / "notebook.ipynb", (old, old))
    with at_work(folder) as process:
        assert _state(folder, ours) == ("running", f"process {process.pid} on {platform.node()}")
        assert not folder.exists()
    assert _state(folder, ours) == ("done", "")


def test_a_failed_repetition_is_failed_and_the_old_run_kept(made, settings):
    folder, _ = made
    states.commit(folder)
    states.fail(folder, "E: again")
    assert _state(folder, settings("gan_mnist", dataset="digits", epochs=99)) == ("failed", "E: again")
    assert (folder / "result.json").is_file()


def test_the_record_names_its_folder(made):
    folder, _ = made
    states.commit(folder)
    assert runs.read_result(folder)["run"] == folder.name


def test_a_whole_run_is_not_replaced_by_one_without_notebook(made):
    folder, ours = made
    states.commit(folder)
    run = runs.Run(ours)
    assert record(run) == ownership.partial_of(folder)
    assert (folder / "notebook.ipynb").is_file()


def test_a_number_that_is_not_finite_is_not_recorded(tmp_path, settings):
    run = runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(tmp_path / "one")))
    with pytest.raises(UserError, match="one: jsd_test is not finite"):
        record(run, jsd_test=float("inf"))
    assert not (run.partial / "history.csv").exists(), "nothing is written of what is refused"


def test_commit_replaces_the_old_run_whole(made):
    folder, _ = made
    shutil.copytree(ownership.partial_of(folder), folder)
    for old in (folder / "decoder.npz", folder / "model" / "critic.keras"):
        old.touch()
    states.commit(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*RUN_FILES, "model"])
    assert not list((folder / "model").iterdir())
    assert [path.name for path in folder.parent.iterdir()] == ["one"]


HOLDER = """import sys, time
from pathlib import Path
from lib.runs import locks
start = time.monotonic()
locks.take(Path(sys.argv[1]))
print("taken" if time.monotonic() - start < locks.PATIENCE else "taken after a wait", flush=True)
time.sleep(100)"""


@contextmanager
def at_work(folder, *words):
    """Another process, which is at work on a run until it is killed."""
    process = subprocess.Popen([*words, sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout.readline() == b"taken\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def beside(folder):
    return sorted(path.name for path in folder.parent.iterdir())


def test_failed_running_and_left_behind(tmp_path, settings):
    folder, ours = tmp_path / "one", settings("gan_mnist", dataset="digits")
    with at_work(folder) as process:
        assert _state(folder, ours) == ("running", f"process {process.pid} on {platform.node()}")
        assert beside(folder) == [".one.lock", "one.partial"]
    assert _state(folder, ours) == ("missing", "")
    assert beside(folder) == ["one.partial"], "the lock of a process that was killed is removed"
    states.fail(folder, "ValueError: two\nlines")
    assert _state(folder, ours) == ("failed", "ValueError: two lines")


def test_a_run_that_another_process_is_at_work_on_is_refused_until_it_ends(tmp_path, settings):
    folder, ours = tmp_path / "one", settings("gan_mnist", dataset="digits", output_dir=str(tmp_path / "one"))
    with at_work(folder) as process:
        words = f"one: process {process.pid} on .* is working on it; wait for it or end it"
        with pytest.raises(locks.BusyError, match=words):
            runs.Run(ours)
        with pytest.raises(locks.BusyError, match=words):
            locks.take(folder)
    runs.Run(ours)
    runs.Run(ours)  # the cell is run once more
    assert locks.at_work(folder) == f"process {os.getpid()} on {platform.node()}"
    locks.release(folder)
    assert locks.at_work(folder) == ""
    assert beside(folder) == ["one.partial"]


def test_a_kernel_works_under_the_lock_of_its_job_and_is_seen_when_it_outlives_it(tmp_path):
    folder = tmp_path / "one"
    with locks.taken(folder), at_work(folder) as kernel:  # a process that this one has started
        assert json.loads((ownership.partial_of(folder) / "worker.json").read_text())["pid"] == os.getpid()
        locks.release(folder)  # as when the job is killed
        with pytest.raises(locks.BusyError, match="is working on it"):
            locks.take(folder)
        kernel.kill()
        kernel.wait()
        locks.take(folder)
        assert (ownership.partial_of(folder) / "worker.json").is_file()
    assert beside(folder) == []


def test_a_users_file_that_is_named_like_a_lock_stays(tmp_path):
    (tmp_path / ".one.lock").write_text("mine")
    with locks.taken(tmp_path / "one"):
        assert locks.at_work(tmp_path / "one")
    assert locks.at_work(tmp_path / "one") == ""
    assert (tmp_path / ".one.lock").read_text() == "mine"


def test_other_users_of_a_shared_folder_can_take_the_lock_too(tmp_path):
    with locks.taken(tmp_path / "one"):
        assert oct((tmp_path / ".one.lock").stat().st_mode)[-3:] == "666"


def test_what_plain_papermill_left_failed_says_why(made):
    folder, ours = made
    _error_cell(ownership.partial_of(folder) / "notebook.ipynb")
    assert _state(folder, ours) == ("failed", "E: what was wrong")


def test_output_folder_that_cannot_be_made(tmp_path, settings):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written to"):
        runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(tmp_path / "file" / "run")))


def test_names_are_safe_for_files():
    values = {
        "notebook": "vae_mnist",
        "latent_dim": 2,
        "width": 8,
        "seed": 0,
        "dataset": "/a b/../c{d}.npz",
        "output_dir": "x",
    }
    assert runs.run_name(values, {"dataset": "mnist"}) == "vae_mnist-latent_dim2-width8-seed0-datasetc_d_"
