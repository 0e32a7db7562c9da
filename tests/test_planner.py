"""A study planned by widgets: what is chosen becomes a study file, and is checked as one."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from lib.errors import UserError
from lib.notebooks import NOTEBOOK_DIR, ROOT
from lib.study import plan
from lib.widgets import Planner, planner

GRID = planner.FIRST | {
    "title": "Two: models & a β",
    "notebooks": ["gan_mnist", "wgan_cifar10", "beta_vae_mnist"],
    "seed": "0, 1 2",
    "epochs": "",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Folders for studies and reports of this test's own."""
    for name in ("parameters", "reports"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(plan, f"{name.upper()}_DIR", tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("chosen", [planner.FIRST, GRID])
def test_the_draft_has_the_runs_that_the_command_line_reads_from_the_file(here, chosen):
    draft = planner.drafted("mine", chosen)
    planner.path_of("mine").write_text(planner.written("mine", chosen), encoding="utf-8")
    study = plan.read("mine")
    assert (study.runs, study.title) == (draft.runs, draft.title)
    assert study.folder == draft.folder == here / "reports" / "mine"


def test_every_notebook_has_every_combination_and_an_empty_list_keeps_the_notebooks_own_value(here):
    runs = planner.drafted("mine", GRID).runs
    assert len(runs) == 3 * 2 * 2 * 3
    found = {(run.settings.notebook, run.settings.latent_dim, run.settings.width, run.settings.seed) for run in runs}
    assert len(found) == len(runs)
    assert {run.settings.dataset for run in runs} == {"digits", "shapes"}
    assert {run.settings.epochs for run in runs if run.settings.notebook == "gan_mnist"} == {30}


def test_a_file_is_opened_only_if_the_fields_can_say_all_of_it():
    for chosen in (planner.FIRST, GRID | {"seed": "0, 1, 2"}):
        text = planner.written("mine", chosen)
        assert planner.opened("mine", text) == chosen
        assert planner.opened("mine", text.replace("title:", "author: me\ntitle:")) is None
        assert planner.opened("mine", "# a note of mine\n" + text) is None
        assert planner.opened("other", text) is None
    for text in ("", "[]", "a: b: c", "title: x", (ROOT / "parameters" / "demo.yaml").read_text()):
        assert planner.opened("mine", text) is None


def faulty(name, chosen, words):
    """The field that is to blame, where a plan is refused with these words."""
    with pytest.raises(UserError) as error:
        planner.drafted(name, chosen)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    return planner.field_of(str(error.value), chosen)


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("latent_dim", "2, 10, x", "latent_dim = 'x': Input should be a valid integer"),
        ("latent_dim", "0", "latent_dim = 0: Input should be greater than or equal to 1"),
        ("width", "32 yes", "width = True: is a boolean, not a number"),
        ("seed", "1.5", "seed = 1.5: Input should be a valid integer"),
        ("epochs", "{", "epochs = '{'"),
        ("mnist", "mnits", "did you mean mnist?"),
        ("mnist", "shapes", "vae_mnist expects grey"),
        ("cifar10", "digits", "gan_cifar10 expects colour"),
        ("mnist", "nowhere.npz", "nowhere.npz is not there"),
        ("cifar10", "nowhere.npz", "nowhere.npz is not there"),
        ("notebooks", [], "no runs; choose at least one"),
    ],
)
def test_what_is_wrong_is_said_of_its_field(here, field, typed, words):
    chosen = planner.FIRST | {"notebooks": ["vae_mnist", "gan_cifar10"], field: typed}
    assert faulty("mine", chosen, words) == field


@pytest.mark.parametrize("name", ["", "a b", "../demo", "-x", "notebooks", "ü", "a.yaml", "x" * 61])
def test_a_name_must_do_as_a_files_and_a_folders(here, name):
    assert faulty(name, planner.FIRST, "name: expected") == "name"


# ---- the fields ----------------------------------------------------------------------------------


@pytest.fixture
def fields(here, in_lab):
    """A planner as it stands in JupyterLab."""
    made = Planner("mine")
    made.show()
    return made


def test_the_fields_show_the_plan_and_what_is_wrong_at_once(fields):
    assert "My first study: 4 runs, 0 done, 4 to do with" in fields.notes["result"].value
    assert "GiB are free" in fields.notes["result"].value
    assert "latent_dim: [2, 10]" in fields.notes["result"].value
    fields.fields["latent_dim"].value = "2, 10, x"
    assert "latent_dim = &#x27;x&#x27;" in fields.notes["latent_dim"].value
    assert fields.button.disabled
    fields.fields["latent_dim"].value = "2"
    assert fields.notes["latent_dim"].value == ""
    assert "2 runs, 0 done" in fields.notes["result"].value
    assert not fields.button.disabled
    fields.fields["seed"].value = ", ".join(map(str, range(10_000)))
    assert "20,000 runs; at most 1,000 can be planned here" in fields.notes["result"].value
    assert fields.button.disabled
    fields.fields["seed"].value = "0"
    fields.boxes["vae_mnist"].value = False
    assert "no runs; choose at least one" in fields.notes["notebooks"].value
    fields.boxes["gan_cifar10"].value = True
    assert fields.fields["mnist"].layout.display == "none"
    assert fields.fields["cifar10"].layout.display is None
    fields.fields["cifar10"].value = "cifar10"
    assert "cifar10 is downloaded first (170 MB)" in fields.notes["result"].value


def test_saving_writes_what_is_shown_and_tells_who_follows(fields, here):
    told = []
    fields.follow = told.append
    assert fields.notes["state"].value == "Not saved yet."
    fields.button.click()
    text = (here / "parameters" / "mine.yaml").read_text(encoding="utf-8")
    assert text == fields.text
    assert list(yaml.safe_load(text)) == ["title", "datasets", "defaults", "notebooks"]
    assert told == ["mine"]
    fields.fields["epochs"].value = "5"
    assert fields.notes["state"].value == "Not saved yet."
    fields.button.click()  # what it has saved itself, it may replace
    assert "epochs: 5" in (here / "parameters" / "mine.yaml").read_text(encoding="utf-8")
    again = Planner("mine")  # as after a restart of the kernel
    again.show()
    assert again.fields["epochs"].value == "5"
    assert again.notes["state"].value == "Saved."


def test_a_file_that_was_not_saved_here_is_never_replaced(fields, here):
    (here / "parameters" / "theirs.yaml").write_text("title: Mine\n")
    fields.fields["name"].value = "theirs"
    assert "theirs.yaml is there already" in fields.notes["name"].value
    fields.save()
    assert (here / "parameters" / "theirs.yaml").read_text() == "title: Mine\n"
    fields.fields["name"].value = "mine"
    fields.save()
    path = here / "parameters" / "mine.yaml"
    path.write_text(edited := path.read_text() + "author: me\n")
    fields.save()  # edited since
    assert path.read_text() == edited
    assert "choose another" in fields.notes["state"].value
    (here / "reports" / "busy").mkdir()
    (here / "reports" / "busy" / "index.html").write_text("a page of somebody's own")
    fields.fields["name"].value = "busy"
    assert "was not written by a study and would be lost" in fields.notes["result"].value
    assert fields.button.disabled


def test_batch_shows_the_plan_and_writes_nothing(tmp_path):
    """The notebook by plain papermill, in a copy of the repository."""
    for name in ("lib", "notebooks", "parameters"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "latent_report.py", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    code = "import sys, papermill; papermill.execute_notebook('notebooks/study.ipynb', sys.argv[1], progress_bar=False)"
    out = tmp_path.with_name("executed.ipynb")
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert after == before
    executed = json.loads(out.read_text(encoding="utf-8"))
    assert "widgets" not in executed["metadata"]
    cells = [cell["outputs"] for cell in executed["cells"] if cell["cell_type"] == "code"]
    shown = ["".join(output["data"]["text/html"]) for outputs in cells for output in outputs]
    assert len(shown) == 3
    assert "4 runs, 0 done, 4 to do" in shown[0]
    assert "- latent_dim: [2, 10]" in shown[0]
    assert shown[1].count("to do") == 4
    assert "No report yet" in shown[2]


def test_the_notebook_explains_every_key_of_the_file():
    text = (NOTEBOOK_DIR / "study.ipynb").read_text(encoding="utf-8")
    keys = yaml.safe_load(planner.written("mine", planner.FIRST))
    assert {key for key in keys if not re.search(rf"- `{key}`", text)} == set()
