"""The notebooks: their form, and each executed by plain papermill with tiny settings, from another folder."""

import ast
import itertools
import json
import subprocess
import sys

import pytest

from lib import keys, runs
from lib.settings import NOTEBOOKS, SETTINGS_OF

PAPERMILL = [sys.executable, "-m", "papermill", "--no-progress-bar"]
TINY = ("epochs", "1", "width", "8", "batch_size", "16", "latent_dim", "2", "validation", "50")


def cells(notebook):
    return json.loads((runs.NOTEBOOK_DIR / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]


def sources(notebook, with_parameters=False):
    return [
        "".join(cell["source"])
        for cell in keys.code_cells({"cells": cells(notebook)})
        if with_parameters or "parameters" not in cell["metadata"].get("tags", ())
    ]


ALL = sorted(path.stem for path in runs.NOTEBOOK_DIR.glob("*.ipynb"))


@pytest.mark.parametrize("notebook", ALL)
def test_committed_without_outputs(notebook):
    code = [cell for cell in cells(notebook) if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


@pytest.mark.parametrize("model", SETTINGS_OF)
def test_a_models_two_notebooks_have_the_same_code(model):
    assert sources(f"{model}_mnist") == sources(f"{model}_cifar10")


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_parameters_cell_is_literals_with_help_one_a_line(notebook):
    (cell,) = [cell for cell in cells(notebook) if "parameters" in cell["metadata"].get("tags", ())]
    lines = [line.rstrip("\n") for line in cell["source"]]
    for line, node in itertools.zip_longest(lines, ast.parse("\n".join(lines)).body):
        assert isinstance(node, ast.AnnAssign)
        ast.literal_eval(node.value)
        assert "  # " in line
    names = [node.target.id for node in ast.parse("\n".join(lines)).body]
    assert set(names) == set(SETTINGS_OF[notebook.partition("_")[0]].model_fields)


@pytest.mark.parametrize("notebook", ALL)
def test_every_import_is_used(notebook):
    tree = ast.parse("\n".join(sources(notebook)))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.asname or alias.name for node in imported for alias in node.names} - {"latent_report"}
    assert names <= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_form(notebook):
    kinds = [cell["cell_type"] for cell in cells(notebook)]
    assert 25 <= len(kinds) <= 36
    assert 0.4 < kinds.count("markdown") / len(kinds) < 0.6
    assert max(len(source.splitlines()) for source in sources(notebook)) <= 10


def papermill(notebook, folder, *parameters, file=None):
    words = [*PAPERMILL, str(runs.NOTEBOOK_DIR / f"{notebook}.ipynb"), "out.ipynb"]
    for name, value in (
        itertools.batched(parameters, 2) if hasattr(itertools, "batched") else zip(*[iter(parameters)] * 2, strict=True)
    ):
        words += ["-p", name, str(value)]
    return subprocess.run(
        words + (["-f", str(file)] if file else []), cwd=folder, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("notebook", NOTEBOOKS)
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
    executed = json.loads((tmp_path / "out.ipynb").read_text())
    assert "widgets" not in executed["metadata"]
    streams = [o for cell in keys.code_cells(executed) for o in cell["outputs"] if o["output_type"] == "stream"]
    assert {o["name"] for o in streams} == {"stdout"}, "no noise of TensorFlow's"
    said = "".join("".join(o["text"]) for o in streams).splitlines()
    assert all(line.startswith(("epoch 1/1", "training the classifier", "scoring real")) for line in said), said


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (("latent_dims", "3"), "unknown parameter 'latent_dims' (did you mean latent_dim?)"),
        (("latent_dim", "two"), "latent_dim = 'two'"),
        (("dataset", "nowhere.npz"), "nowhere.npz"),
        (("dataset", "shapes"), "vae_mnist expects grey"),
    ],
)
def test_plain_papermill_refuses_bad_input_in_one_line(parameters, words, tmp_path):
    done = papermill("vae_mnist", tmp_path, *parameters, "output_dir", tmp_path / "run")
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("UserError:")][:1]
    assert words in line
    assert not list(tmp_path.glob("run*")), "litter"
    left = [path for path in tmp_path.rglob("*") if path.suffix == ".keras" or path.name in ("log.txt", "history.csv")]
    assert left == [], "something was trained"


def test_a_study_file_given_to_papermill(tmp_path):
    done = papermill("gan_mnist", tmp_path, file=runs.ROOT / "parameters" / "demo.yaml")
    assert done.returncode != 0
    assert "this is a study file, not one run's parameters: use `latent-report run FILE`" in done.stderr
