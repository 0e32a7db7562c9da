"""A notebook's cells run twice, partly and out of order: the record says what was trained, or a cell refuses."""

import copy
import json
import linecache
from dataclasses import replace

import pytest
from conftest import write_npz

from lib import data, runs
from lib.backend import keras
from lib.notebooks import NOTEBOOK_DIR
from lib.report import records
from lib.runs import keys, locks, states
from lib.settings import UserError
from lib.study import engine, plan

CELLS = {  # by what stands in them
    "parameters": "notebook: str =",
    "settings": "of_notebook(globals())",
    "run": "runs.Run(settings)",
    "data": "data.load(",
    "change": "class Model(",
    "model": "models.build(",
    "train": "training.train(",
    "samples": "evaluation.samples(",
    "evaluate": "evaluation.evaluate(",
    "record": "run.record(",
}


class Notebook:
    """A notebook in a kernel: its cells by name, run as somebody presses Shift-Enter."""

    def __init__(self, name, **values):
        cells = json.loads((NOTEBOOK_DIR / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        self.cells = {cell: next(s for s in sources if words in s) for cell, words in CELLS.items()}
        self.names = {"In": [], "__name__": "__main__"}
        self.count = 0
        self.run("parameters", **values)

    def run(self, *cells, **values):
        """Runs cells, the parameters' one with other values."""
        for cell in cells:
            self.count += 1
            place, source = f"<cell {id(self)}, {self.count}>", self.cells[cell]
            linecache.cache[place] = len(source), None, source.splitlines(keepends=True), place  # as IPython does
            exec(compile(source, place, "exec"), self.names)
            if cell == "parameters":
                self.names |= values
        return self

    def run_all(self):
        return self.run(*list(CELLS)[1:])

    def copy(self):
        """Another kernel that knows the same things."""
        other = copy.copy(self)
        other.names, other.cells = dict(self.names), dict(self.cells)
        return other

    @property
    def folder(self):
        return self.names["run"].folder

    def recorded(self):
        """The record's width, epochs, latent dimension and dataset; and that they are those of what was saved."""
        result = runs.read_result(self.folder)
        networks = {
            path.stem: keras.models.load_model(path, compile=False) for path in (self.folder / "model").glob("*.keras")
        }
        first = networks.get("encoder") or networks["generator"]
        settings = result["settings"]
        assert first.get_layer("hidden_1").units == settings["width"]
        assert networks.get("decoder", first).input_shape[-1] == settings["latent_dim"]
        assert (
            len(runs.read_history(self.folder)["val_" + ("loss" if "decoder" in networks else "g_loss")])
            == settings["epochs"]
        )
        assert result["keys"]["training"]["settings"]["width"] == settings["width"]
        return settings["width"], settings["epochs"], settings["latent_dim"], result["dataset"]["name"]


def tiny(name, dataset, folder):
    settings = {"epochs": 2, "width": 8, "latent_dim": 2, "batch_size": 16, "validation": 20}
    settings |= {"importance_samples": 1} if name.startswith("vae") else {}
    return settings | {"dataset": str(dataset), "output_dir": str(folder / "one")}


@pytest.fixture
def opened(tmp_path, npz):
    """A function that opens a notebook with tiny settings."""
    return lambda name="vae_mnist", **changed: Notebook(name, **tiny(name, npz(), tmp_path) | changed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    return Notebook("vae_mnist", **tiny("vae_mnist", write_npz(folder / "tiny.npz"), folder)).run_all()


@pytest.fixture
def ours(finished):
    """A VAE's notebook that was run to its end, once for all tests that open no run: each has its own names."""
    return finished.copy()


@pytest.fixture(autouse=True)
def _no_fresh_discriminator(monkeypatch):
    """It takes longer than all the rest, and is tested in test_evaluation.py."""
    monkeypatch.setattr("lib.models.gan.fresh_jsd", lambda judge, real, other: float(other.mean()) / 1000)


OTHER = {"width": 16}


@pytest.mark.parametrize("name", ["vae_mnist", "gan_mnist", "wgan_mnist"])
def test_another_width_without_the_cell_that_opens_the_run(name, opened):
    ours = opened(name).run_all()
    assert ours.recorded() == (8, 2, 2, "tiny.npz")
    ours.names |= OTHER
    ours.run("settings", "data", "model")
    with pytest.raises(
        UserError, match=r"one: width is 16, not 8, since this run was opened: run the cell of `runs\.Run"
    ):
        ours.run("train")
    assert ours.recorded() == (8, 2, 2, "tiny.npz"), "nothing was recorded"
    ours.run("run", "train", "samples", "evaluate", "record")
    assert ours.recorded() == (16, 2, 2, "tiny.npz")


@pytest.mark.parametrize("name", ["vae_mnist", "gan_mnist"])
def test_the_training_cell_again(name, opened):
    ours = opened(name).run_all()
    before = runs.read_result(ours.folder)
    with pytest.raises(UserError, match=r"has been trained already.*run the cell of `models\.build` again"):
        ours.run("train")
    ours.run("samples", "evaluate", "record")  # of the same networks as before
    after = runs.read_result(ours.folder)
    assert after["metrics"] == before["metrics"]
    assert after["steps"] == before["steps"]
    ours.run("model", "train", "samples", "evaluate", "record")
    assert runs.read_result(ours.folder)["metrics"] == before["metrics"], "anew, from the same seed"
    assert (ours.folder / "log.txt").read_text().count("epoch 2/2") == 1


def test_a_model_of_other_settings_is_not_trained(opened):
    ours = opened().run("settings", "run", "data", "change", "model")
    ours.names |= OTHER
    ours.run("settings", "run")
    with pytest.raises(UserError, match="width is 16, not 8, since the model was built"):
        ours.run("train")


def test_a_model_of_other_settings_is_not_evaluated(ours):
    ours.names |= {"latent_dim": 3}
    ours.run("settings")
    with pytest.raises(UserError, match="latent_dim is 3, not 2, since the model was built"):
        ours.run("evaluate")


def test_a_new_model_is_not_recorded_with_the_numbers_of_the_old_one(opened):
    ours = opened().run_all()
    ours.names |= OTHER
    ours.run("settings", "run", "data", "change", "model")
    with pytest.raises(UserError, match="the history is from other networks than these"):
        ours.run("record")
    ours.run("train")
    with pytest.raises(UserError, match="the samples are from other networks than these"):
        ours.run("record")
    ours.run("samples")
    with pytest.raises(UserError, match="the numbers are from other networks than these"):
        ours.run("record")
    ours.run("evaluate", "record")
    assert ours.recorded() == (16, 2, 2, "tiny.npz")


def test_a_run_that_is_opened_again_after_the_training_has_nothing_to_record(opened):
    ours = opened().run_all().run("run")
    with pytest.raises(UserError, match="nothing has been trained since this run was opened"):
        ours.run("record")
    assert ours.recorded() == (8, 2, 2, "tiny.npz")


def test_other_data_than_those_of_the_training(opened, npz):
    ours = opened().run_all()
    ours.names |= {"dataset": str(npz(train=300, name="other.npz"))}
    ours.run("settings", "run", "data", "model", "train", "samples", "evaluate")
    ours.names["images"] = data.load(str(npz()), 20)
    ours.run("record")
    assert ours.recorded() == (8, 2, 2, "other.npz"), "those of the training, whatever is loaded now"
    with pytest.raises(
        UserError, match=r"the settings ask for dataset .*other\.npz.*run the cell of `data\.load` again"
    ):
        ours.run("model", "train")


def test_numbers_of_other_data_are_not_recorded(ours, npz):
    own, ours.names["images"] = ours.names["images"], data.load(str(npz(train=300, name="other.npz")), 20)
    ours.run("evaluate")
    ours.names["images"] = own
    with pytest.raises(UserError, match="the numbers are of other data than the training"):
        ours.run("record")
    ours.run("evaluate", "record")


@pytest.mark.parametrize("name", ["vae_mnist", "gan_mnist"])
def test_samples_of_other_data_are_not_recorded(name, opened, npz):
    ours, own = opened(name).run_all(), str(npz())
    ours.names["dataset"] = str(npz(train=300, name="other.npz"))
    ours.run("settings", "data", "samples")
    ours.names["dataset"] = own
    ours.run("settings", "data", "evaluate")
    with pytest.raises(UserError, match="the samples are of other data than the training"):
        ours.run("record")


def test_images_that_were_changed_after_they_were_loaded_are_neither_trained_on_nor_scored(opened):
    ours = opened().run_all()
    images = ours.names["images"]
    ours.names["images"] = replace(images, x_test=images.x_train[:60])
    with pytest.raises(UserError, match=r"the images are not as `data\.load` gave them"):
        ours.run("evaluate")
    ours.names["images"] = replace(images, x_train=255 - images.x_train)
    with pytest.raises(UserError, match="but another tiny"):
        ours.run("run", "model", "train")


def test_the_record_has_layers_and_steps_of_the_networks_that_it_keeps(ours):
    """However settings, model and batch size are looked at in between."""
    before, model = runs.read_result(ours.folder), ours.names["model"]
    ours.names |= {"width": 64, "batch_size": 32}
    ours.run("settings", "model")
    ours.names |= {"width": 8, "model": model}
    ours.run("settings", "record")
    for name in ("parameters", "layers", "steps", "images_seen"):
        assert runs.read_result(ours.folder)[name] == before[name]


def test_snapshots_of_another_training_are_not_kept(opened):
    ours = opened().run("settings", "run", "data", "change", "model", "train")
    old = ours.names["snapshots"]
    ours.run("run", "model", "train")
    ours.names["snapshots"] = old
    with pytest.raises(UserError, match="these snapshots are not of this model's training"):
        ours.run("samples")


def test_a_history_or_a_model_of_an_earlier_training_is_not_recorded(opened):
    ours = opened().run_all()
    old = {name: ours.names[name] for name in ("model", "history", "samples", "found", "snapshots")}
    ours.names["seed"] = 1
    ours.run("settings", "run", "model", "train")
    ours.names |= old
    with pytest.raises(UserError, match="since this run was opened"):
        ours.run("record")


@pytest.mark.parametrize("how", ["cut", "in place", "as a dict"])
@pytest.mark.parametrize(("what", "words"), [("history", "the history is"), ("found", "the numbers are")])
def test_what_was_changed_since_it_was_made_is_not_recorded(what, words, how, ours):
    made = ours.names[what] = copy.deepcopy(ours.names[what])
    if how == "in place":
        (made["loss"] if what == "history" else made["metrics"]).pop(*([] if what == "history" else ["test_kl"]))
    else:
        ours.names[what] = (
            {name: value[1:] for name, value in made.items()} if how == "cut" and what == "history" else {**made}
        )
    with pytest.raises(UserError, match=f"{words} not as it was made"):
        ours.run("record")


def test_own_columns_may_be_added_to_the_samples(ours):
    ours.names["samples"] = copy.deepcopy(ours.names["samples"])
    ours.names["samples"]["mine"] = ours.names["samples"]["samples"][:2]
    ours.run("record")
    assert runs.read_samples(ours.folder)["mine"].shape[0] == 2


def test_a_record_that_is_refused_writes_nothing(opened, tmp_path):
    gan = opened("gan_mnist").run_all()
    gan.names["seed"] = 1
    gan.run("settings", "run", "model", "train", "samples")  # the numbers are the earlier ones'
    with pytest.raises(UserError, match="the numbers are from other networks"):
        gan.run("record")
    assert list((gan.names["run"].partial / "model").iterdir()) == []
    vae = opened().run_all()
    assert sorted(path.name for path in (vae.folder / "model").iterdir()) == ["decoder.keras", "encoder.keras"]


def test_the_numbers_key_is_that_of_the_code_as_it_was_when_the_run_was_opened(opened, monkeypatch):
    ours = opened().run(*list(CELLS)[1:-1])
    expected = ours.names["run"].evaluation_key
    monkeypatch.setattr("lib.runs.keys.evaluation_key", lambda _: {"sources": {"evaluate": "edited meanwhile"}})
    ours.run("record")
    assert runs.read_result(ours.folder)["keys"]["evaluation"] == expected


def test_data_of_the_same_name_from_another_file_are_not_trained_on(opened, npz):
    ours = opened().run_all().run("run", "model")
    ours.names["images"] = data.load(str(npz(seed=1, name="elsewhere/tiny.npz")), 20)
    with pytest.raises(UserError, match=r"but another tiny\.npz .* is loaded: run the cell of `data\.load` again"):
        ours.run("train")
    ours.run("data")
    with pytest.raises(ValueError, match="read-only"):
        ours.names["images"].x_train[0] = 0
    ours.names["images"] = replace(ours.names["images"], x_train=ours.names["images"].x_train[:100])
    with pytest.raises(UserError, match=r"but another tiny\.npz with 100 and 20 is loaded"):
        ours.run("train")


def test_data_that_have_changed_since_the_run_was_opened_are_not_trained_on(opened, npz):
    ours = opened().run_all().run("run", "model")
    npz(seed=1)
    with pytest.raises(UserError, match=r"tiny\.npz has changed since this run was opened"):
        ours.run("train")
    assert ours.run("run", "data", "model", "train", "samples", "evaluate", "record").recorded()


def test_after_the_record_the_training_opens_its_folder_again(opened):
    ours = opened().run_all().run("model", "train")
    assert locks.at_work(ours.folder), "no other process may take it"
    ours.run("samples", "evaluate", "record")
    assert ours.recorded() == (8, 2, 2, "tiny.npz")
    assert runs.read_result(ours.folder)["continued_after"] == []


def test_a_broken_off_training_is_not_recorded_with_an_older_history(opened, monkeypatch):
    ours = opened().run_all()

    class BreakOff(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    ours.run("run", "model")
    with monkeypatch.context() as patched:
        patched.setattr(ours.names["widgets"], "progress", lambda run: BreakOff())
        with pytest.raises(KeyboardInterrupt):
            ours.run("train")
    with pytest.raises(UserError, match="the history is from other"):
        ours.run("samples", "evaluate", "record")
    with pytest.raises(UserError, match="has been trained already"):
        ours.run("train")


def test_a_training_that_was_stopped_is_recorded_with_its_length(opened, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.runs.run.ROOT", tmp_path)
    ours = opened(epochs=5, output_dir="").run("settings", "run", "data", "change", "model")
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(ours.names["model"], "stop_training", epoch == 2)
    )
    monkeypatch.setattr(ours.names["widgets"], "progress", lambda run: stop)
    ours.run("train", "samples", "evaluate", "record")
    assert ours.recorded() == (8, 3, 2, "tiny.npz")
    result = runs.read_result(ours.folder)
    assert (
        ours.folder.name == result["run"] == "vae_mnist-latent_dim2-width8-seed0-batch_size16-datasettiny-epochs3of5"
        "-importance_samples1-validation20"
    )
    assert result["planned_epochs"] == 5
    assert [path.name for path in ours.folder.parent.iterdir()] == [ours.folder.name]
    ours.names["settings"] = ours.names["settings"].model_copy(update={"epochs": 3})
    with pytest.raises(UserError, match=r"its training was stopped, and is recorded so"):
        ours.run("model", "train")
    planned = ours.names["settings"].model_copy(update={"epochs": 3})
    assert states.outdated(result, planned) == "settings.planned_epochs: 5 -> None", "a whole run of 3 is another one"
    made_here = plan.read(str(tmp_path / "reports" / "notebooks"), check_data=False)
    # JupyterLab keeps the executed notebook itself
    assert engine.states_of(made_here) == {ours.folder.name: ("done", "")}
    (one,) = records.collect(made_here).runs
    assert (one.result, one.page) == (result, "")


# ---- the cell that defines the model -------------------------------------------------------------

WEIGHED = ("    # def total", "    def total", "    #     return reconstruction", "        return reconstruction")


def changed(cell):
    """The cell "Change it" of a VAE with its example uncommented."""
    return cell.replace(*WEIGHED[:2]).replace(*WEIGHED[2:])


def key_of(ours):
    return runs.read_result(ours.folder)["keys"]["training"]["model"]


def test_a_changed_model_is_trained_and_the_record_says_so(opened):
    """JupyterLab may not have saved the cell: what counts is the code that was run."""
    ours = opened().run_all()
    settings, saved = ours.names["settings"], key_of(ours)
    assert saved == keys.training_key(settings, "")["model"]
    before = runs.read_history(ours.folder)
    ours.cells["change"] = changed(ours.cells["change"])
    ours.run("run", "change", "model", "train", "samples", "evaluate", "record")
    after = runs.read_history(ours.folder)
    weighed = [a + 4 * b for a, b in zip(after["reconstruction"], after["kl"], strict=True)]
    assert after["loss"] == pytest.approx(weighed, rel=1e-5)
    assert before["loss"] != pytest.approx(after["loss"], rel=1e-3)
    result = runs.read_result(ours.folder)
    assert "return reconstruction + 4.0 * kl" in result["source"]
    assert key_of(ours) == keys.source_digest(result["source"]) != saved
    assert states.outdated(result, settings) == "model changed", "of what the file says"


def test_a_model_that_was_built_before_its_class_was_changed_is_not_trained(opened):
    ours = opened().run_all()
    ours.run("run", "model")
    ours.cells["change"] = changed(ours.cells["change"])
    ours.run("change")
    with pytest.raises(UserError, match=r"Model has been changed since this model was built: run the cell of"):
        ours.run("train")
    ours.run("model", "train", "samples", "evaluate", "record")
    assert "4.0 * kl" in runs.read_result(ours.folder)["source"].splitlines()[-1]


def test_a_class_that_is_changed_after_the_training_is_not_recorded(ours):
    before = runs.read_result(ours.folder)
    ours.cells["change"] = changed(ours.cells["change"])
    ours.run("change", "samples", "evaluate", "record")
    after = runs.read_result(ours.folder)
    assert (after["source"], after["keys"]["training"]) == (before["source"], before["keys"]["training"])
    ours.run("model")
    with pytest.raises(UserError, match="the history is from other networks than these"):
        ours.run("record")


def test_running_the_unchanged_cell_again_changes_nothing(opened):
    ours = opened("gan_mnist").run("settings", "run", "data", "change", "model", "change", "train")
    ours.run("samples", "evaluate", "record")
    assert ours.recorded() == (8, 2, 2, "tiny.npz")


def test_a_checkpoint_of_another_model_is_not_continued(opened, monkeypatch):
    monkeypatch.setenv("LATENT_REPORT_CHECKPOINT_SECONDS", "0")
    ours = opened().run("settings", "run", "data", "change", "model")
    keep = ours.names["checkpoint"].Checkpoint.keep

    def keep_and_stop(self, *given):
        keep(self, *given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ours.names["checkpoint"].Checkpoint, "keep", keep_and_stop)
        with pytest.raises(KeyboardInterrupt):
            ours.run("train")
    assert states.checkpoint_epoch(ours.names["run"].partial) == 1
    ours.cells["change"] = changed(ours.cells["change"])
    ours.run("change", "model", "train", "samples", "evaluate", "record")
    assert runs.read_result(ours.folder)["continued_after"] == []
