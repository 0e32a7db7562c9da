"""Whose a folder is: nothing of a user's is ever deleted, replaced or overwritten."""

import json
import os
import subprocess
import sys

import pytest
import synthetic

from lib import notebooks, runs
from lib.__main__ import main
from lib.errors import UserError
from lib.notebooks import NOTEBOOK_DIR
from lib.runs import locks, ownership, states
from lib.study import engine, plan


@pytest.fixture
def one(tmp_path, npz, study):
    """A study of one run, whose folder has everything a finished run has."""
    text = f"notebooks: {{gan_mnist: {{defaults: {{dataset: {npz()}, batch_size: 16}}, runs: [{{}}]}}}}"
    ours = plan.read(str(study(text)), out=str(tmp_path / "out"))
    synthetic.finish(ours)
    return ours.runs[0]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- a run's folder ------------------------------------------------------------------------------


def foreign(folder):
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")


def same_names(folder):
    """Files that happen to be called as a run's."""
    folder.mkdir()
    for name in ("result.json", "log.txt", "history.csv", "notebook.ipynb"):
        (folder / name).write_text('{"metadata": {}, "mine": 1}')


def networks(folder):
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "best.keras").write_text("mine")


def a_papermill_notebook(folder):
    """What a user's own papermill has left, with other things."""
    folder.mkdir()
    (folder / "notebook.ipynb").write_text('{"metadata": {"papermill": {}}}')
    (folder / "log.txt").write_text("mine")


def parameters(folder):
    folder.mkdir()
    (folder / "parameters.yaml").write_text("notebook: vae_mnist\nwidth: 8\n")
    (folder / "log.txt").write_text("mine")


def a_file(folder):
    folder.write_text("mine")


def a_link(folder):
    target = folder.with_name("elsewhere")
    target.mkdir()
    (target / "precious.txt").write_text("mine")
    folder.symlink_to(target)


@pytest.mark.parametrize("beside", ["", ".partial"])
@pytest.mark.parametrize("make", [foreign, same_names, networks, a_file, a_link])
def test_a_folder_of_somebody_elses_is_refused_and_left_as_it_is(make, beside, tmp_path, settings):
    folder = tmp_path / "thesis"
    make(tmp_path / f"thesis{beside}")
    before = contents(tmp_path)
    with pytest.raises(UserError) as error:
        runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(folder)))
    assert str(error.value).startswith(f"output_dir {folder}{beside}: ")
    assert "\n" not in str(error.value)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("make", [a_papermill_notebook, parameters])
def test_what_only_looks_like_a_run_is_refused_where_a_run_would_stand(make, tmp_path, settings):
    make(tmp_path / "thesis")
    before = contents(tmp_path)
    with pytest.raises(UserError, match="was not written by a run"):
        runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(tmp_path / "thesis")))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("where", [".", "..", "inside"])
def test_the_current_folder_and_those_above_it_are_refused(where, tmp_path, settings, monkeypatch):
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    folder = tmp_path / "inside" if where == "inside" else where
    with pytest.raises(UserError, match="is the current folder or holds it"):
        runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(folder)))
    assert list((tmp_path / "inside").iterdir()) == []


@pytest.mark.parametrize("name", ["/", "one.partial"])
def test_a_run_cannot_be_made_under_every_name(name, tmp_path, settings):
    with pytest.raises(UserError, match="a run cannot be made under this name"):
        runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(tmp_path / name)))
    assert list(tmp_path.iterdir()) == []


def test_the_current_folder_is_refused_under_another_name_too(tmp_path, settings, monkeypatch):
    (tmp_path / "real" / "here").mkdir(parents=True)
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "real" / "here")
    with pytest.raises(UserError, match="is the current folder or holds it"):
        runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(tmp_path / "alias" / "here")))


@pytest.mark.parametrize("hindrance", ["mount", "name"])
def test_a_folder_that_cannot_be_renamed_is_found_before_training(hindrance, tmp_path, settings, monkeypatch):
    name, words = "n" * 250, r"cannot be used \(File name too long\)"
    if hindrance == "mount":
        name, words = "out", "is where another disk is mounted, and cannot be renamed; name a folder inside it"
        monkeypatch.setattr(os.path, "ismount", lambda path: path.name == "out")
    with pytest.raises(UserError, match=words):
        runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(tmp_path / name)))
    assert list(tmp_path.iterdir()) == []


def test_a_new_an_empty_and_an_earlier_runs_folder_may_be_used(tmp_path, one):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new", tmp_path / "empty", one.folder):
        ownership.check_run_folder(folder)


def test_what_else_lies_in_a_runs_folder_moves_along(one):
    (one.folder / "notes.txt").write_text("mine")
    (one.folder / "model" / "notes.txt").write_text("mine too")
    (one.folder / "model" / "mine.keras").write_text("mine")
    partial = ownership.partial_of(one.folder)
    os.rename(one.folder, partial)
    synthetic.write(one)
    names = ("own.txt", ".git-credentials", "model/own.txt", "error.txt", "progress.json")
    for name in names:  # the last ones are called as files of a run in the making
        (one.folder / name).write_text("yours")
    (one.folder / ".result.json-abcd1234").write_text("left by a process that died")
    states.commit(one.folder)
    kept = {
        str(path): text
        for path, text in contents(one.folder).items()
        if path.suffix == ".txt" or "git" in str(path) or path.name == "progress.json"
    }
    assert kept.pop("log.txt")
    assert kept == {
        "notes.txt": b"mine",
        "model/notes.txt": b"mine too",
        "own.txt": b"yours",
        ".git-credentials": b"yours",
        "model/own.txt": b"yours",
        "error.txt": b"yours",
        "progress.json": b"yours",
    }
    assert (one.folder / "model" / "mine.keras").read_text() == "mine"
    assert not (one.folder / ".result.json-abcd1234").exists()
    assert [path.name for path in one.folder.parent.iterdir()] == [one.name], "nothing is left beside it"


def test_a_notebook_that_somebody_has_saved_since_is_kept(one, capsys):
    for edit in ("my notes", "more notes"):
        (one.folder / "notebook.ipynb").write_text(edit)
        later = (one.folder / "result.json").stat().st_mtime + 3600
        os.utime(one.folder / "notebook.ipynb", (later, later))
        partial = ownership.partial_of(one.folder)
        partial.mkdir()
        for path in (one.folder / "result.json", one.folder / "log.txt"):
            (partial / path.name).write_bytes(path.read_bytes())
        (partial / "notebook.ipynb").write_text("new")
        ownership.replace(partial, one.folder)
        assert "kept as notebook-edited" in capsys.readouterr().out
    assert (one.folder / "notebook.ipynb").read_text() == "new"
    assert (one.folder / "notebook-edited.ipynb").read_text() == "my notes"
    assert (one.folder / "notebook-edited1.ipynb").read_text() == "more notes"


@pytest.mark.parametrize("renames", [1, 2])
def test_a_run_that_is_killed_while_it_takes_its_place_loses_nothing(renames, one, monkeypatch):
    """Nor does it when the study has other runs whose names begin alike."""
    partial = ownership.partial_of(one.folder)
    os.rename(one.folder, partial)
    synthetic.write(one)
    (one.folder / "notes.txt").write_text("mine")
    left, rename = [True] * renames, os.rename

    def killed(*paths):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        rename(*paths)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            states.commit(one.folder)
    assert not (one.folder / "notes.txt").exists()
    ownership.recover(one.folder.with_name(one.folder.name + "-epochs3"))
    if renames == 1:
        os.utime(partial / "notebook.ipynb", (1, 1))
        states.settle(one.folder)  # as `status` does
    else:
        with locks.taken(one.folder):  # as the next attempt does
            ownership.remove(partial)
    assert (one.folder / "notes.txt").read_text() == "mine"
    assert states.at_rest(one.folder, one.settings) == ("done", "")
    assert [path.name for path in one.folder.parent.iterdir()] == [one.name], "nothing is left beside it"


def test_a_place_that_is_taken_meanwhile_is_left_and_the_run_waits_whole(one):
    partial = ownership.partial_of(one.folder)
    os.rename(one.folder, partial)
    foreign(one.folder)
    with pytest.raises(UserError, match="the finished run is in"):
        states.commit(one.folder)
    assert (one.folder / "precious.txt").read_text() == "mine"
    os.utime(partial / "notebook.ipynb", (1, 1))
    states.settle(one.folder)  # as `status` and `report` do
    assert (partial / "result.json").is_file()


def test_clearing_a_partial_folder_takes_only_what_a_run_wrote(one):
    partial = ownership.partial_of(one.folder)
    os.rename(one.folder, partial)
    (partial / "data").mkdir()
    (partial / "data" / "precious.txt").write_text("mine")
    (partial / "linked").symlink_to(one.folder.parent)
    states.clear(one.folder, keep_checkpoint=False)
    assert sorted(path.name for path in partial.iterdir()) == ["data", "linked"]
    ownership.remove(partial)
    assert (partial / "data" / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize("words", [["run"], ["run", "--dry-run"], ["evaluate"]])
def test_a_study_finds_it_before_anything_starts(words, one, study, capsys, monkeypatch):
    monkeypatch.setattr(engine, "run_all", lambda *_, **__: pytest.fail("something was started"))
    (one.folder / "result.json").unlink()
    (one.folder / "parameters.yaml").write_text("mine")
    (one.folder / "notebook.ipynb").unlink()
    command = [words[0], str(study.path), "--out", str(one.folder.parent.parent), *words[1:]]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "which was not written by a run" in error
    assert error.count("\n") == 1


# ---- a study's folder ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["index.html", "results.csv", "report.ipynb", "summary.json", ".lock", "notebooks/estimators.html"]
)
@pytest.mark.parametrize("command", ["run", "report", "evaluate"])
def test_a_page_of_somebody_elses_is_not_overwritten(command, name, one, study, capsys):
    out = one.folder.parent.parent
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("mine")
    assert main([command, str(study.path), "--out", str(out)]) == 2
    assert f"{out}: {name} there was not written by a study" in capsys.readouterr().err
    assert (out / name).read_text() == "mine"


def test_what_a_study_wrote_before_is_its_own():
    for study in ("homework", "architectures"):
        ownership.check_study_folder(plan.REPORTS_DIR / study, ["estimators.html"])


def test_a_file_where_a_studys_folder_should_be(tmp_path, npz, study, capsys):
    path = study(f"notebooks: {{gan_mnist: {{defaults: {{dataset: {npz()}, batch_size: 16}}, runs: [{{}}]}}}}")
    (tmp_path / "out").write_text("mine")
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["run.sh", "RUN.yaml"])
def test_export_overwrites_only_its_own(name, one, study, tmp_path, capsys):
    lines, out = tmp_path / "lines", one.folder.parent.parent
    lines.mkdir()
    path = lines / name.replace("RUN", one.name)
    path.write_text("mine")
    (lines / "other.txt").write_text("mine")
    words = ["export", str(study.path), str(lines), "--out", str(out)]
    assert main(words) == 2
    assert f"{path}: was not written by" in capsys.readouterr().err
    assert sorted(path.name for path in lines.iterdir()) == sorted([path.name, "other.txt"])
    path.unlink()
    assert main(words) == main(words) == 0  # the second time over its own
    assert (lines / "other.txt").read_text() == "mine"


# ---- as in the issue -----------------------------------------------------------------------------


def test_plain_papermill_refuses_before_training(tmp_path):
    foreign(tmp_path / "thesis")
    notebook = str(NOTEBOOK_DIR / "vae_mnist.ipynb")
    words = [sys.executable, "-m", "papermill", "--no-progress-bar", notebook, "out.ipynb", "-p", "dataset", "digits"]
    done = subprocess.run([*words, "-p", "output_dir", "thesis"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("UserError")]
    assert "thesis: holds precious.txt, which was not written by a run" in line
    assert (tmp_path / "thesis" / "precious.txt").read_text() == "mine"
    executed = json.loads((tmp_path / "out.ipynb").read_text())
    trained = [cell for cell in notebooks.code_cells(executed) if "training.train(" in "".join(cell["source"])]
    assert trained[0]["execution_count"] is None
