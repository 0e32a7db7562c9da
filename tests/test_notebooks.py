"""The notebooks: their form, and each executed by plain papermill with tiny settings, from another folder."""

import ast
import itertools
import json
import subprocess
import sys

import pytest

from lib import models, runs
from lib.models import VAE, gan, layers
from lib.notebooks import NOTEBOOK_DIR, NOTEBOOKS, ROOT, code_cells, find
from lib.notebooks import parameters as written
from lib.widgets import source

EXAMPLES = ("beta_vae_mnist", "lsgan_mnist")
FIRST = ["notebook", "dataset", "latent_dim", "width", "network", "epochs", "learning_rate", "seed"]
PAPERMILL = [sys.executable, "-m", "papermill", "--no-progress-bar"]
TINY = ("epochs", "1", "width", "8", "batch_size", "16", "latent_dim", "2", "validation", "50")


def cells(notebook):
    return json.loads(find(notebook).read_text(encoding="utf-8"))["cells"]


def sources(notebook, with_parameters=False):
    return [
        "".join(cell["source"])
        for cell in code_cells({"cells": cells(notebook)})
        if with_parameters or "parameters" not in cell["metadata"].get("tags", ())
    ]


ALL = sorted(path.stem for path in (*NOTEBOOK_DIR.glob("*.ipynb"), *NOTEBOOK_DIR.glob("examples/*.ipynb")))


@pytest.mark.parametrize("notebook", ALL)
def test_committed_without_outputs(notebook):
    code = [cell for cell in cells(notebook) if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


@pytest.mark.parametrize("model", models.OURS)
def test_a_models_two_notebooks_have_the_same_code(model):
    assert sources(f"{model}_mnist") == sources(f"{model}_cifar10")


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_parameters_cell_is_literals_with_help_one_a_line_the_important_ones_first(notebook):
    (cell,) = [cell for cell in cells(notebook) if "parameters" in cell["metadata"].get("tags", ())]
    lines = [line.rstrip("\n") for line in cell["source"]]
    assert lines[0].startswith("notebook: str =")
    advanced = lines.index("# Advanced")
    for line in lines[: advanced - 1] + lines[advanced + 1 :]:
        (node,) = ast.parse(line).body
        assert isinstance(node, ast.AnnAssign)
        ast.literal_eval(node.value)
        assert "  # " in line
    names = [line.partition(":")[0] for line in lines[: advanced - 1]]
    assert names == FIRST
    assert set(written(find(notebook))) == set(models.of(notebook).Settings.model_fields)


@pytest.mark.parametrize("notebook", ["vae_mnist", *EXAMPLES])
def test_papermill_sees_every_parameter_with_its_help(notebook):
    from papermill import inspect_notebook

    seen = inspect_notebook(str(find(notebook)))
    assert list(seen) == list(written(find(notebook)))
    assert all(one["help"] and one["inferred_type_name"] for one in seen.values())


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_cell_to_change_changes_nothing(notebook):
    kind = models.of(notebook)
    ours = models.OURS[notebook.partition("_")[0]]
    assert kind.__bases__ == (ours,)
    assert not {name for name in vars(kind) if not name.startswith("__")} - {"source"}


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_whole_algorithm_is_shown(notebook):
    """Each function that the model's file has for building, sampling, losses and steps stands in a cell's output."""
    shown = "\n".join(one for one in sources(notebook) if one.startswith("widgets.source("))
    kind, name = models.of(notebook).__base__, notebook.partition("_")[0]
    spoken = {"describe", "images_a_step", "networks", "numbers", "estimate", "prepare", "encode", "generate"}
    spoken |= {"test_step", "kl_per_latent", "__init__", "fitted_latents", "weights_of"}
    for each, function in vars(kind).items():
        if callable(getattr(function, "__func__", function)) and each not in spoken and not isinstance(function, type):
            assert f"{name.upper()}.{each}" in shown, each
    tree = ast.parse((ROOT / "lib" / "models" / f"{name}.py").read_text())
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    own -= {"binarize_once", "importance_bounds", "log_weights", "fresh_jsd"}  # of the numbers, and of `binarize`
    assert own == {each for each in own if f"{name}.{each}" in shown}
    blocks = ["centred", "down", "up", "to_image"] + ([] if name == "vae" else ["generator", "judge", "normalised"])
    assert all(f"layers.{each}" in shown for each in blocks)


def test_code_is_shown_as_it_stands_in_lib():
    shown = source(VAE.total, gan.jsd_estimate).data
    assert shown.startswith("def total(self, reconstruction, kl):\n    ")
    assert "\n\ndef jsd_estimate(" in shown


def test_constants_are_those_that_the_notebooks_name():
    text = json.dumps(cells("gan_mnist"))
    assert f"`DROPOUT` is {gan.DROPOUT}," in text
    assert f"negative inputs, is {layers.LEAK}." in text


@pytest.mark.parametrize("notebook", ALL)
def test_every_import_is_used(notebook):
    tree = ast.parse("\n".join(sources(notebook)))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.asname or alias.name for node in imported for alias in node.names} - {"latent_report"}
    assert names <= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_form(notebook):
    kinds = [cell["cell_type"] for cell in cells(notebook)]
    assert 35 <= len(kinds) <= 52
    assert 0.4 < kinds.count("markdown") / len(kinds) < 0.6
    assert max(len(each.splitlines()) for each in sources(notebook)) <= 10


def papermill(notebook, folder, *parameters, file=None):
    words = [*PAPERMILL, str(find(notebook)), "out.ipynb"]
    for name, value in (
        itertools.batched(parameters, 2) if hasattr(itertools, "batched") else zip(*[iter(parameters)] * 2, strict=True)
    ):
        words += ["-p", name, str(value)]
    return subprocess.run(
        words + (["-f", str(file)] if file else []), cwd=folder, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("notebook", ["vae_mnist", "wgan_cifar10", *EXAMPLES])  # tests/test_demo.py executes all six
def test_plain_papermill_from_another_folder(notebook, tmp_path, npz):
    dataset = npz(1 if notebook.endswith("mnist") else 3, 8, 300)
    done = papermill(notebook, tmp_path, *TINY, "dataset", dataset, "output_dir", tmp_path / "run {1}")
    assert done.returncode == 0, done.stderr[-2000:]
    folder = tmp_path / "run {1}"
    result = runs.read_result(folder)
    assert result["settings"]["width"] == 8
    assert result["dataset"]["counts"] == {"train": 270, "validation": 30, "test": 60}
    assert set(result["metrics"]) == set(result["samples_n"])
    assert len(next(iter(runs.read_history(folder).values()))) == 1
    assert {path.stem for path in (folder / "model").iterdir()} == set(result["layers"])
    assert "epoch 1/1" in (folder / "log.txt").read_text()
    without_noise(tmp_path / "out.ipynb")


def without_noise(path):
    """An executed notebook has no widgets, and says nothing but how far it is."""
    executed = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in executed["metadata"]
    streams = [o for cell in code_cells(executed) for o in cell["outputs"] if o["output_type"] == "stream"]
    assert {o["name"] for o in streams} == {"stdout"}, "no noise of TensorFlow's"
    said = "".join("".join(o["text"]) for o in streams).splitlines()
    assert all(
        line.startswith(("epoch 1/1", "training the classifier", "training a further", "scoring real")) for line in said
    ), said


@pytest.mark.parametrize(
    ("notebook", "parameters", "words"),
    [
        ("vae_mnist", ("latent_dims", "3"), "unknown parameter 'latent_dims' (did you mean latent_dim?)"),
        ("vae_mnist", ("latent_dim", "two"), "latent_dim = 'two'"),
        ("vae_mnist", ("dataset", "nowhere.npz"), "nowhere.npz"),
        ("vae_mnist", ("dataset", "shapes"), "vae_mnist expects grey"),
        ("beta_vae_mnist", ("betta", "3"), "unknown parameter 'betta' (did you mean beta?)"),
        ("beta_vae_mnist", ("beta", "much"), "beta = 'much'"),
    ],
)
def test_plain_papermill_refuses_bad_input_in_one_line(notebook, parameters, words, tmp_path):
    done = papermill(notebook, tmp_path, *parameters, "output_dir", tmp_path / "run")
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("UserError:")][:1]
    assert words in line
    assert not list(tmp_path.glob("run*")), "litter"
    left = [path for path in tmp_path.rglob("*") if path.suffix == ".keras" or path.name in ("log.txt", "history.csv")]
    assert left == [], "something was trained"


def test_a_study_file_given_to_papermill(tmp_path):
    done = papermill("gan_mnist", tmp_path, file=ROOT / "parameters" / "demo.yaml")
    assert done.returncode != 0
    assert "this is a study file, not one run's parameters: use `latent-report run FILE`" in done.stderr
