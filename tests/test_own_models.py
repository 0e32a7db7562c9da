"""Notebooks that bring their own model: what docs/your-own-model.md promises, done as it says, and the examples."""

import contextlib
import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import command, images

from lib import checkpoint, data, models, runs, training
from lib.errors import UserError
from lib.notebooks import ROOT, find
from lib.runs import keys, states
from lib.scores import evaluation
from lib.settings import check, kind_of, of_notebook, parameters

DOC = (ROOT / "docs" / "your-own-model.md").read_text(encoding="utf-8")
TINY = {"epochs": 2, "width": 8, "batch_size": 16, "latent_dim": 2, "validation": 20}
SCRATCH = '''
import numpy as np

from lib.backend import keras, ops, tf
from lib.models import Description, ImageModel
from lib.models.base import unit_range


class Model(ImageModel):
    """An autoencoder, by least squares."""

    @classmethod
    def describe(cls, settings):
        error = {"error": "squared error"}
        return Description("autoencoder", error, (("error",),), (("error",),), ("",), "test_error",
                           metrics={"test_error": "test error"}, figures=("reconstructions",), steps=("both", ""))

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        dense, size = keras.layers.Dense, int(np.prod(shape))
        self.encoder = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), dense(self.latent_dim)])
        pixels = [dense(size, "sigmoid"), keras.layers.Reshape(shape)]
        self.decoder = keras.Sequential([keras.Input((self.latent_dim,)), *pixels])

    @property
    def networks(self):
        return {"encoder": self.encoder, "decoder": self.decoder}

    def make_optimizers(self):
        return {"both": keras.optimizers.SGD(self.settings.learning_rate, momentum=self.settings.inertia)}

    def error(self, pixels):
        return ops.mean(ops.square(self.decoder(self.encoder(pixels)) - pixels))

    def train_step(self, images):
        with tf.GradientTape() as tape:
            error = self.error(unit_range(images))
        weights = self.trainable_weights
        self.optimizers["both"].apply_gradients(zip(tape.gradient(error, weights), weights))
        return self.report(error=error)

    def test_step(self, images):
        return self.report(error=self.error(unit_range(images)))

    def generate(self, z):
        return self.decoder(z)

    def encode(self, images):
        return self.encoder(unit_range(images))

    def numbers(self, dataset, card):
        own = super().numbers(dataset, card)
        own["metrics"]["test_error"] = float(self.error(unit_range(dataset.x_test)))
        own["samples_n"]["test_error"] = len(dataset.x_test)
        return own
'''


def notebook(path, cells, like="lsgan_mnist"):
    """An example's copy with other cells, by their tags; None takes the tag away."""
    copy = json.loads(find(like).read_text(encoding="utf-8"))
    for tag, source in cells.items():
        (cell,) = [one for one in copy["cells"] if tag in one["metadata"].get("tags", ())]
        if source is None:
            cell["metadata"] = {}
        else:
            cell["source"] = source
    path.write_text(json.dumps(copy), encoding="utf-8")
    return path


def documented(folder):
    """The hinge GAN and its study, as the page says."""
    model = dict(zip(("parameters", "model"), re.findall(r"```python\n(.*?)```", DOC, re.DOTALL), strict=True))
    notebook(folder / "hinge_mnist.ipynb", model)
    (study,) = re.findall(r"```yaml\n(.*?)```", DOC, re.DOTALL)
    (folder / "hinge.yaml").write_text(study, encoding="utf-8")
    return folder


def command_in(folder, *words):
    with contextlib.chdir(folder):
        return command(*words)


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- as the page says ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hinge(tmp_path_factory):
    """The page's example, run as it says but with tiny settings: the folder, and what the command printed."""
    folder = documented(tmp_path_factory.mktemp("own"))
    labels = np.arange(200) % 10
    arrays = {"x_train": images(200), "y_train": labels, "x_test": images(60, seed=1), "y_test": labels[:60]}
    np.savez(folder / "tiny.npz", **arrays)
    done = command_in(folder, "run", "hinge.yaml", "--out", "hinge", *tiny(folder))
    return folder, done


def tiny(folder):
    values = TINY | {"dataset": folder / "tiny.npz"}
    return [word for name, value in values.items() for word in ("-p", name, value)]


def test_a_study_of_the_documented_model_runs_to_its_report(hinge):
    folder, done = hinge
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows(folder / "hinge" / "results.csv")
    assert {row["margin"] for row in found} == {"0.5", "1.0"}
    assert all(float(row["tv_test"]) <= 1 and float(row["frechet"]) > 0 for row in found)
    page = (folder / "hinge" / "index.html").read_text(encoding="utf-8")
    for words in ("Does the margin matter?", "hinge GAN", "TV estimate", "TV, test", "Fréchet distance"):
        assert words in page
    assert "What does margin do?" in page
    assert "Its discriminator estimates the total variation distance, at most 1." in page
    assert page.count("margin 0.5") >= 2, "the setting stands over its figure and in the tables"
    for words in ("autoencoder", "The write-up", "Published numbers"):
        assert words not in page, "what speaks of our three models only"
    assert page.count("TV estimate from ") >= 2 or page.count("TV estimate") >= 2, "a curve of each run"
    for run in (folder / "hinge" / "runs").iterdir():
        assert {path.stem for path in (run / "model").iterdir()} == {"generator", "discriminator"}
        result = runs.read_result(run)
        assert result["model"]["title"] == "hinge GAN"
        assert "class Model(GAN)" in result["source"]
        assert list(runs.read_history(run)) == [f"{v}{n}" for v in ("", "val_") for n in ("d_loss", "g_loss", "tv")]


def test_it_is_done_then_and_evaluate_gives_the_same_numbers(hinge):
    folder, _ = hinge
    before = rows(folder / "hinge" / "results.csv")
    again = command_in(folder, "run", "hinge.yaml", "--out", "hinge", *tiny(folder))
    assert "2 done, 0 to do" in again.stdout
    scored = command_in(folder, "evaluate", "hinge.yaml", "--out", "hinge", *tiny(folder))
    assert scored.returncode == 0, scored.stdout + scored.stderr
    after = rows(folder / "hinge" / "results.csv")
    assert [one["tv_test"] for one in after] == [one["tv_test"] for one in before]


def test_a_change_of_its_model_makes_its_runs_stale(hinge):
    folder, _ = hinge
    path = folder / "hinge_mnist.ipynb"
    saved = path.read_text(encoding="utf-8")
    try:
        path.write_text(saved.replace("return -ops.mean(fake)", "return -2.0 * ops.mean(fake)"), encoding="utf-8")
        words = [sys.executable, "-m", "lib", "status", "hinge.yaml", "--out", "hinge", *map(str, tiny(folder))]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}  # a process sees one state of a notebook
        told = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)
    finally:
        path.write_text(saved, encoding="utf-8")
    assert told.stdout.count("model changed") == 2


def test_every_message_of_the_page_is_one(tmp_path):
    """What the page's table says is what is said."""
    told = set(re.findall(r"^\| `(.*?)`", DOC.split("## What goes wrong")[1], re.MULTILINE))
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "lib").rglob("*.py"))
    for words in ("is not one of", "no cell is tagged 'model'", "the cell tagged 'model': ", "a step reports "):
        assert words in sources
        assert any(words.strip() in one for one in told), words


# ---- the examples --------------------------------------------------------------------------------


def trained(name, npz, **changed):
    settings = check(parameters(name) | TINY | {"dataset": str(npz())} | changed, name)
    dataset = data.load(settings.dataset, settings.validation)
    model = models.build(settings, dataset.shape)
    return model, dataset, training.train(model, dataset, settings)


def test_the_beta_vae_weighs_the_kl_by_its_setting(npz):
    assert kind_of("beta_vae_mnist").model_fields["beta"].annotation is float
    for beta in (1.0, 6.0):
        _, _, history = trained("beta_vae_mnist", npz, beta=beta)
        weighed = [a + beta * b for a, b in zip(history["reconstruction"], history["kl"], strict=True)]
        assert history["loss"] == pytest.approx(weighed, rel=1e-5)


def test_a_beta_vae_of_beta_1_is_the_vae(npz):
    same = [trained(name, npz, **own)[2] for name, own in (("beta_vae_mnist", {"beta": 1.0}), ("vae_mnist", {}))]
    assert same[0] == same[1]


def test_the_lsgans_estimate_is_exact_for_the_best_discriminator(npz):
    """On three points, where the best discriminator is (p - q) / (p + q) and the divergence is a sum."""
    model, _, history = trained("lsgan_mnist", npz)
    p, q, count = np.array([0.5, 0.25, 0.25]), np.array([0.125, 0.125, 0.75]), 8
    best = (p - q) / (p + q)
    real, fake = (np.repeat(best, (weights * count).astype(int))[:, None] for weights in (p, q))
    assert float(model.estimate(real, fake)) == pytest.approx(((p - q) ** 2 / (p + q)).sum())
    assert float(model.estimate(0.9 * real, fake)) < ((p - q) ** 2 / (p + q)).sum()
    assert history["chi2"] == pytest.approx([2 - 2 * loss for loss in history["d_loss"]], abs=1e-5)


def test_the_hinge_estimate_is_exact_for_the_best_discriminator(tmp_path):
    path = documented(tmp_path) / "hinge_mnist.ipynb"
    settings = check(parameters(str(path)) | {"margin": 0.5}, "here")
    model = models.build(settings, (8, 8, 1))
    p, q, count = np.array([0.5, 0.25, 0.25]), np.array([0.125, 0.125, 0.75]), 8
    best = 0.5 * np.sign(p - q)
    real, fake = (np.repeat(best, (weights * count).astype(int))[:, None] for weights in (p, q))
    assert float(model.estimate(real, fake)) == pytest.approx(np.abs(p - q).sum() / 2)


# ---- from scratch --------------------------------------------------------------------------------


@pytest.fixture
def scratch(tmp_path):
    """A notebook with a model that shares nothing with ours but the frame."""
    cell = (
        "notebook: str = 'squares'  # its name\ninertia: float = 0.5  # of the optimizer\nlearning_rate: float = 0.5\n"
    )
    return notebook(tmp_path / "squares.ipynb", {"parameters": cell, "model": SCRATCH})


def test_a_model_from_scratch_is_trained_evaluated_and_loaded(scratch, npz, tmp_path):
    quick = {"epochs": 6, "learning_rate": 1.0, "inertia": 0.9}
    model, dataset, history = trained(str(scratch), npz, notebook=str(scratch), **quick)
    assert history["error"][-1] < 0.9 * history["error"][0]
    found = evaluation.evaluate(model, dataset, model.settings, say=lambda line: None)
    assert found["metrics"]["test_error"] == pytest.approx(history["val_error"][-1], rel=0.3)
    assert {"frechet", "precision", "recall", "ndb", "sharpness"} <= found["metrics"].keys()
    assert model.effort() == {"steps": {"both": 66}, "images_seen": 66 * 16}
    assert list(model.facts()["layers"]) == ["encoder", "decoder"]
    (tmp_path / "model").mkdir()
    for name, network in model.networks.items():
        network.save(tmp_path / "model" / f"{name}.keras")
    loaded = evaluation.load(model.settings, dataset.shape, tmp_path)
    z = np.ones((2, 2), np.float32)
    assert np.array_equal(loaded.generate(z), model.generate(z))


@pytest.mark.parametrize("like", ["scratch", "lsgan_mnist"])
def test_a_killed_training_of_an_own_model_goes_on_as_if_nothing_had_happened(
    like, scratch, npz, tmp_path, monkeypatch
):
    monkeypatch.setenv("LATENT_REPORT_CHECKPOINT_SECONDS", "0")
    name = str(scratch) if like == "scratch" else like
    whole = dict(trained(name, npz, notebook=name, epochs=3)[2])
    settings = check(
        parameters(name) | TINY | {"dataset": str(npz()), "epochs": 3, "output_dir": str(tmp_path / "run")}, name
    )
    dataset = data.load(settings.dataset, settings.validation)
    keep = checkpoint.Checkpoint.keep

    def keep_and_stop(self, epoch, now):
        keep(self, epoch, now)
        if epoch == 2:
            raise KeyboardInterrupt

    def once():
        model = models.build(settings, dataset.shape)
        snapshots = evaluation.Snapshots(settings.epochs)
        kept = checkpoint.Checkpoint(runs.Run(settings), snapshots)
        return training.train(model, dataset, settings, [snapshots], kept)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.Checkpoint, "keep", keep_and_stop)
        with pytest.raises(KeyboardInterrupt):
            once()
    assert dict(once()) == whole


# ---- what goes wrong -----------------------------------------------------------------------------


def refused(path, cells, like="lsgan_mnist"):
    with pytest.raises(UserError) as error:
        models.describe(check(parameters(str(notebook(path, cells, like))), "here"))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_faults_of_a_models_cell_are_said_in_one_line(tmp_path):
    path = tmp_path / "mine_mnist.ipynb"
    start = "notebook: str = 'mine_mnist'  # its name\n"
    assert "no cell is tagged 'model'" in refused(path, {"parameters": start, "model": None})
    assert "the cell tagged 'model': NameError: name 'GAN' is not" in refused(path, {"model": "class Model(GAN): pass"})
    assert "SyntaxError" in refused(path, {"model": "class Model(:"})
    assert "defines no class Model" in refused(path, {"model": "from lib.models import GAN"})
    wrong = {"parameters": start + "depth: list = []  # x\n"}
    assert "type list is not one of int, float, bool, str" in refused(path, wrong)


def test_a_new_setting_of_a_cell_that_was_not_saved(tmp_path):
    path = str(notebook(tmp_path / "mine_mnist.ipynb", {}))
    cell = 'notebook: str = "mine_mnist"  # its name\ntemperature: float = 1.0  # new\n'
    with pytest.raises(UserError, match="unknown parameter 'temperature'; if it is new, save the notebook first"):
        of_notebook({"notebook": path, "temperature": 1.0, "In": ["", cell]})


def test_two_cells_with_one_tag(tmp_path):
    path = notebook(tmp_path / "mine_mnist.ipynb", {})
    copy = json.loads(path.read_text(encoding="utf-8"))
    copy["cells"] += [one for one in copy["cells"] if "model" in one["metadata"].get("tags", ())]
    path.write_text(json.dumps(copy), encoding="utf-8")
    with pytest.raises(UserError, match="2 cells are tagged 'model'; expected one"):
        models.of(path)


def test_a_class_of_the_kernel_whose_cell_is_not_tagged_is_not_built(tmp_path, settings):
    path = notebook(tmp_path / "gan_mine.ipynb", {"model": None})  # by its name, it would be evaluated as a GAN
    kind = type("Model", (models.GAN,), {"__module__": "__main__"})
    ours = check(parameters(str(path)), "here")
    with pytest.raises(UserError, match="tag the cell that defines Model 'model', and save it"):
        models.build(ours, (8, 8, 1), kind)
    assert models.build(settings("gan_mnist"), (8, 8, 1), kind)


def test_a_step_that_reports_what_is_no_column(tmp_path, npz):
    cell = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)[1].replace('"tv": "TV estimate"', '"gap": "gap"')
    cell = cell.replace('(("tv",),)', '(("gap",),)')
    path = notebook(tmp_path / "mine_mnist.ipynb", {"model": cell.replace("self.settings.margin", "1.0")})
    with pytest.raises(
        UserError, match=r"a step reports d_loss, g_loss, tv, but the columns .* are d_loss, g_loss, gap"
    ):
        trained(str(path), npz, notebook=str(path))


def test_ranges_of_an_own_setting(tmp_path):
    cell = SCRATCH.replace(
        "import numpy as np\n", "from typing import Annotated\n\nimport numpy as np\nimport pydantic\n"
    )
    ranged = (
        "    class Settings(ImageModel.Settings):\n        inertia: Annotated[float, pydantic.Field(ge=0, lt=1)]\n\n"
    )
    cell = cell.replace("    @classmethod\n", ranged + "    @classmethod\n", 1)
    start = "notebook: str = 'squares'  # its name\ninertia: float = 0.5  # of the optimizer\n"
    path = notebook(tmp_path / "squares.ipynb", {"parameters": start, "model": cell})
    assert check(parameters(str(path)), "here").inertia == 0.5
    with pytest.raises(UserError, match="inertia = 2: Input should be less than 1"):
        check(parameters(str(path)) | {"inertia": 2}, "here")


# ---- keys ----------------------------------------------------------------------------------------


def test_a_models_key_has_what_its_cell_uses_of_lib(tmp_path):
    plain = notebook(tmp_path / "one_mnist.ipynb", {})
    cell = "from lib.models import GAN, vae\n\n\nclass Model(GAN):\n    used = vae.bernoulli_nll\n"
    other = notebook(tmp_path / "other_mnist.ipynb", {"model": cell})
    assert "bernoulli_nll" not in keys.training_sources(str(plain))
    assert "bernoulli_nll" in keys.training_sources(str(other))


def test_ipythons_own_commands_in_a_cell_do_not_stop_anything(tmp_path):
    path = notebook(tmp_path / "mine_mnist.ipynb", {})
    copy = json.loads(path.read_text(encoding="utf-8"))
    copy["cells"].append({**copy["cells"][2], "metadata": {}, "source": "%matplotlib inline"})
    path.write_text(json.dumps(copy), encoding="utf-8")
    ours = check(parameters(str(path)), "here")
    assert len(keys.training_key(ours, "data")["notebook"]) == 64
    assert states.of(tmp_path / "nothing", ours) == ("missing", "")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"curve": (("emdd",),)}, r"'emdd' in curve or losses is none of the columns .* \(did you mean emd\?\)"),
        ({"curve": ("emd",)}, r"'e' in curve or losses is none of the columns .*; a panel is a tuple, as"),
        ({"headline": "emdtest"}, r"headline 'emdtest' is none of the metrics \(did you mean emd_test\?\)"),
        ({"levels": {1.0}}, r"levels \{1.0\}: expected values by their labels"),
    ],
)
def test_a_description_that_does_not_hold_together_is_refused(changed, words, settings):
    ours = models.describe(settings("wgan_mnist"))
    with pytest.raises(UserError, match=words):
        replace(ours, **changed)
