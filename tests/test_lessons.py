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
    assert [row.count("–") for row in rows[2:]] == [1, 1, 1], "a number that a model does not have"


def test_real_images_have_a_number_only_where_all_runs_agree_on_it(npz):
    one, other = (lessons.Trained(None, {}, {"a": 1.0, "b": 2.0}, {"a": 0.5, "b": mark}) for mark in (3.0, 4.0))
    rows = lessons.Bench(str(npz()), **TINY).table({"one": one, "other": other}, "a", "b").data.splitlines()
    assert rows[-1].split("|")[2:4] == [" 0.50 ", " – "]


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


@pytest.mark.slow
def test_what_the_failure_atlas_says_of_its_runs(tmp_path):
    found = executed("failures", tmp_path)
    vae, gan, wgan = (found[name] for name in ("vae", "gan", "wgan"))
    collapsed, warmed = found["collapsed"], found["warmed"]
    assert collapsed["test_kl"] < 0.6 * vae["test_kl"]
    assert collapsed["active_units"] <= 5 < warmed["active_units"]
    assert warmed["test_loss"] < collapsed["test_loss"] - 10
    assert warmed["recall"] > collapsed["recall"]
    assert (found["mean"]["active_units"], vae["active_units"]) == (0, 10)
    assert found["mean"]["test_kl"] < 0.1
    assert found["mean"]["test_loss"] == pytest.approx(233.3, abs=2), "the mean image's"
    assert found["hasty"]["recall"] < 0.1 < 0.3 < gan["recall"]
    assert found["hasty"]["jsd_test"] < 0.5 * found["hasty"]["jsd_fresh"], "its own discriminator is fooled"
    assert found["learnt"]["jsd_train"] - found["learnt"]["jsd_validation"] > 0.3
    assert found["dropped"]["jsd_train"] - found["dropped"]["jsd_validation"] < 0.3
    assert found["copier"]["test_loss"] > found["honest"]["test_loss"] + 20
    page = (tmp_path / "out.ipynb").read_text(encoding="utf-8")
    ratios = [float(one) for one in re.findall(r"images \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|(?:\\n|\")", page)]
    assert len(ratios) == 2
    assert ratios[0] < 0.9 < ratios[1], "how near samples are to training images, beside real images"
    assert abs(found["diverged"]["emd_test"]) > 100 > 5 > wgan["emd_test"] > 0
    assert found["diverged"]["frechet"] > 5 * wgan["frechet"]


@pytest.mark.slow
def test_what_the_solutions_say_of_their_runs(tmp_path):
    found = executed("solutions", tmp_path)
    vae, gan, wgan = (found[name] for name in ("vae", "gan", "wgan"))
    assert found["hundred 100 latents"]["test_kl"] < 2 * vae["test_kl"]
    assert found["hundred 100 latents"]["test_loss"] > vae["test_loss"]
    assert found["beta β = 4"]["test_kl"] < 0.6 * vae["test_kl"]
    assert found["beta β = 4"]["test_reconstruction"] > vae["test_reconstruction"] + 10
    assert found["beta β = 4"]["test_loss"] > vae["test_loss"]
    assert found["likelihoods gaussian"]["test_loss"] < 0
    assert found["likelihoods gaussian"]["test_kl"] > vae["test_kl"]
    assert found["deep six"]["test_loss"] > vae["test_loss"] + 10
    assert found["deep six"]["active_units"] < vae["active_units"]
    gap = {words: run["jsd_train"] - run["jsd_validation"] for words, run in found.items() if "jsd_train" in run}
    assert gap["dropout no dropout"] > gap["gan"]
    assert found["soft label 0.9"]["jsd_train"] < gan["jsd_train"]
    assert found["momentum beta_1 0.9"]["jsd_train"] > 0.5
    assert found["momentum beta_1 0.9"]["frechet"] > 2 * gan["frechet"]
    assert abs(found["penalty gp_weight 1e-6"]["emd_test"]) > 100 > 5 > wgan["emd_test"] > 0
    assert found["steps 1 critic step"]["emd_test"] < 0.5 * wgan["emd_test"]
    assert found["steps 1 critic step"]["w1"] > wgan["w1"] - 0.5
