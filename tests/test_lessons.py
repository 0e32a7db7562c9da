"""The lessons: the bench on which they train, and what the notebooks `solutions` and `failures` say of their runs."""

import json
import re
import subprocess
import sys

import pytest

from lib import lessons
from lib.errors import UserError
from lib.notebooks import NOTEBOOK_DIR, NOTEBOOKS

WORKED = ("solutions", "failures")
TINY = {"epochs": 1, "width": 8, "latent_dim": 2, "batch_size": 16}
DUMP = (  # the numbers of every run in a notebook, by the name of a variable, or of the words in a comparison
    "import json\n"
    "every = {name: {'': run} if isinstance(run, lessons.Trained) else run for name, run in [*globals().items()]}\n"
    "every = {name: runs for name, runs in every.items() if isinstance(runs, dict)}\n"
    "print(json.dumps({f'{name} {words}'.strip(): run.numbers for name, runs in every.items()"
    " for words, run in runs.items() if isinstance(run, lessons.Trained)}))"
)


def cells(notebook):
    return json.loads((NOTEBOOK_DIR / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]


def text(notebook):
    return "\n\n".join("".join(cell["source"]) for cell in cells(notebook) if cell["cell_type"] == "markdown")


# ---- form ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_model_notebook_ends_with_exercises(notebook):
    last = "".join(cells(notebook)[-1]["source"])
    assert last.startswith("## Exercises")
    tasks = re.split(r"^\d\. ", last, flags=re.MULTILINE)[1:]
    assert 3 <= len(tasks) <= 4
    for task in tasks:
        assert all(f"*{word}" in task.replace("Run. ", "*Run*. *") for word in ("Predict:*", "Run", "Compare:*")), task


@pytest.mark.parametrize("model", ["vae", "gan", "wgan"])
def test_every_exercise_has_its_solution_under_its_name(model):
    titles = re.findall(r"^\d\. \*\*(.+?)\.\*\*", "".join(cells(f"{model}_mnist")[-1]["source"]), flags=re.MULTILINE)
    solved = re.findall(rf"^## {model.upper()} \d: (.+)$", text("solutions"), flags=re.MULTILINE)
    assert [title.lower() for title in titles] == [title.lower() for title in solved]


@pytest.mark.parametrize("notebook", [*NOTEBOOKS, *WORKED])
def test_links_to_sections_lead_to_headings(notebook):
    for path, anchor in re.findall(r"\]\(([\w/.]*)#([^)]+)\)", text(notebook)):
        target = path.removesuffix(".ipynb") or notebook
        headings = re.findall(r"^#+ (.+)$", text(target), flags=re.MULTILINE)
        assert anchor in {heading.replace(" ", "-") for heading in headings}, f"{path}#{anchor}"


# ---- the bench -----------------------------------------------------------------------------------


def test_a_bench_trains_shows_and_compares(npz):
    bench = lessons.Bench(str(npz()), **TINY)
    runs = {"VAE": bench.train("vae_mnist", importance_samples=1), "WGAN": bench.train("wgan_mnist", n_critic=1)}
    assert [len(run.history["val_" + run.model.description.curve[0][0]]) for run in runs.values()] == [1, 1]
    shown = lessons.show(runs, 4).data
    assert shown.count("<img") == 4
    assert "<b>VAE</b>" in shown
    rows = bench.table(runs, "frechet", "test_kl", "w1").data.splitlines()
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows[2:]] == ["VAE", "WGAN", "*real images*"]
    assert [row.count("–") for row in rows[2:]] == [1, 1, 2], "a number that a model does not have"


def test_a_bench_refuses_an_unknown_setting_before_it_trains(npz):
    bench = lessons.Bench(str(npz()), **TINY)
    with pytest.raises(UserError, match=r"vae_mnist: unknown parameter 'latent_dims' \(did you mean latent_dim\?\)"):
        bench.train("vae_mnist", latent_dims=3)


# ---- what the notebooks say ----------------------------------------------------------------------


def executed(notebook, folder):
    """The numbers of each run of a notebook, executed in full by papermill."""
    copy = json.loads((NOTEBOOK_DIR / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    dump = {"cell_type": "code", "id": "dump", "metadata": {}, "outputs": [], "execution_count": None, "source": DUMP}
    (folder / "in.ipynb").write_text(json.dumps(copy | {"cells": [*copy["cells"], dump]}), encoding="utf-8")
    words = [sys.executable, "-m", "papermill", "--no-progress-bar", "in.ipynb", "out.ipynb"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    (output,) = json.loads((folder / "out.ipynb").read_text(encoding="utf-8"))["cells"][-1]["outputs"]
    return json.loads("".join(output["text"]))
