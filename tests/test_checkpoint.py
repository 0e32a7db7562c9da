"""Checkpoints: a training that was broken off and goes on ends exactly as one that was not."""

import json

import numpy as np
import pytest

from lib import checkpoint, data, files, models, runs, training
from lib.runs import locks, ownership, states
from lib.scores import evaluation
from lib.settings import UserError

TINY = {"epochs": 4, "width": 16, "latent_dim": 3, "batch_size": 16, "validation": 20, "seed": 3}
CASES = [
    ("vae_mnist", {"likelihood": "gaussian", "binarize": "dynamic", "schedule": "burda"}),
    ("gan_mnist", {}),  # with Dropout, and batch normalisation in the generator
    ("gan_mnist", {"network": "conv", "schedule": "linear"}),
    ("gan_mnist", {"loss": "hinge", "spectral_norm": True, "classes": 10, "latent_dim": 10, "ema": 0.9}),
    ("wgan_mnist", {"n_critic": 2}),
    ("wgan_mnist", {"n_critic": 2, "lipschitz": "clip"}),
]


class BrokenOffError(Exception):
    """What breaks a training off, as a kill would, but within this process."""


class BreakOff(training.keras.callbacks.Callback):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.at:
            raise BrokenOffError


def trained(ours, pause=0.0, break_at=None, key=None):
    """Trains as a notebook does: (run, model, history, snapshots)."""
    run = runs.Run(ours)
    run.key = key or run.key
    dataset = data.load(ours.dataset, ours.validation)
    model = models.build(ours, dataset.shape)
    snapshots = evaluation.Snapshots(ours.epochs)
    callbacks = [snapshots, training.OneLineAnEpoch(lambda line: run.log(line, show=False)), BreakOff(break_at)]
    with run.clock("fit"):
        history = training.train(model, dataset, ours, callbacks, checkpoint.Checkpoint(run, snapshots, pause))
    return run, model, history, snapshots


@pytest.mark.parametrize(("notebook", "changed"), CASES)
def test_broken_off_twice_it_ends_as_if_undisturbed(notebook, changed, settings, npz, tmp_path):
    dataset = str(npz())

    def ours(name):
        return settings(notebook, **TINY | changed, dataset=dataset, output_dir=str(tmp_path / name))

    _, whole, history, snapshots = trained(ours("whole"), pause=1e9)
    for at in (2, 3):
        with pytest.raises(BrokenOffError):
            trained(ours("broken"), break_at=at)
    run, again, its_history, its_snapshots = trained(ours("broken"))
    assert run.continued == [2, 3]
    assert its_history == history
    assert its_snapshots.epochs == snapshots.epochs
    np.testing.assert_array_equal(its_snapshots.images, snapshots.images)
    first, second = whole.variables_of_training(), again.variables_of_training()
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    log = (run.partial / "log.txt").read_text().splitlines()
    assert [line.split("/")[0] for line in log if line.startswith("epoch")] == [f"epoch {n}" for n in (1, 2, 3, 4)]
    assert [line for line in log if line.startswith("continuing")] == [
        "continuing after epoch 2",
        "continuing after epoch 3",
    ]


def test_the_state_holds_optimizers_and_every_random_generator(settings, npz):
    ours = settings("gan_mnist", **TINY, dataset=str(npz()))
    model = models.build(ours, (8, 8, 1))
    model.prepare()
    paths = [variable.path for variable in model.variables_of_training()]
    assert len(paths) == len({id(variable) for variable in model.variables_of_training()})
    assert sum("seed_generator_state" in path for path in paths) == 4  # training's, testing's, and two of Dropout
    assert sum("momentum" in path for path in paths) >= 10
    assert sum("moving_" in path for path in paths) == 4
    assert sum(path.endswith("iteration") for path in paths) == 2


@pytest.fixture
def kept(settings, npz, tmp_path):
    """A run broken off after its first epoch, and its settings."""
    ours = settings("vae_mnist", **TINY, dataset=str(npz()), output_dir=str(tmp_path / "one"))
    with pytest.raises(BrokenOffError):
        trained(ours, break_at=1)
    return runs.Run(ours), ours


def test_a_checkpoint_of_another_training_key_does_not_count(kept):
    run, ours = kept
    assert runs.read_checkpoint(run.partial, run.key)[0]["epoch"] == 1
    other = run.key | {"notebook": "other"}
    assert runs.read_checkpoint(run.partial, other) is None
    assert trained(ours, pause=1e9, key=other)[0].continued == []


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: raw[:-9000] + b"x" * 9000]
)
def test_a_damaged_checkpoint_does_not_count(kept, damage):
    run, ours = kept
    path = run.partial / ownership.CHECKPOINT
    path.write_bytes(damage(path.read_bytes()))
    assert runs.read_checkpoint(run.partial, run.key) is None
    assert trained(ours, pause=1e9)[0].continued == []


def test_at_most_one_in_its_pause(settings, npz, tmp_path):
    ours = settings("vae_mnist", **TINY, dataset=str(npz()), output_dir=str(tmp_path / "one"))
    run, *_ = trained(ours, pause=3600)
    assert not (run.partial / ownership.CHECKPOINT).exists()


def test_status_says_what_is_kept(kept):
    run, ours = kept
    locks.release(run.folder)
    assert states.of(run.folder, ours) == ("missing", "interrupted; checkpoint after epoch 1 of 4")
    states.clear(run.folder)
    assert states.checkpoint_epoch(run.partial) == 1
    states.clear(run.folder, keep_checkpoint=False)
    assert states.of(run.folder, ours) == ("missing", "")


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(kept, monkeypatch):
    run, _ = kept
    before = (run.partial / ownership.CHECKPOINT).read_bytes()
    monkeypatch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match=r"checkpoint\.npz: cannot be written \(No space left on device\)"):
        runs.write_checkpoint(run.partial, {"epoch": 2}, {})
    assert (run.partial / ownership.CHECKPOINT).read_bytes() == before
    assert not list(run.partial.glob(".*"))


def test_progress_is_kept_for_whoever_watches(settings, npz, tmp_path):
    ours = settings("vae_mnist", **TINY, dataset=str(npz()), output_dir=str(tmp_path / "one"))
    run, *_ = trained(ours)
    said = json.loads((run.partial / ownership.PROGRESS).read_text())
    assert (said["stage"], said["epoch"], said["epochs"], said["seconds_left"]) == ("fit", 4, 4, 0.0)
    assert said["images_per_second"] > 0
