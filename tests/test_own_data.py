"""Data of one's own. What is odd but legal goes through a whole run; anything else is refused in one line, and where a
line of NumPy would convert it, the message holds that line."""

import json
import math
import re

import numpy as np
import pytest
from conftest import images

from lib import data, figures, runs
from lib.backend import keras
from lib.models import build
from lib.models.gan import fresh_jsd
from lib.scores import evaluation
from lib.settings import UserError
from lib.training import train

LABELS = ("y_train", "y_test")
IMAGES = ("x_train", "x_test")


def arrays(train=150, test=40, side=4, channels=1):
    """A small dataset with ten classes, as np.savez takes it; the brightest pixel is 255."""
    made = {"x_train": images(train, channels, side), "x_test": images(test, channels, side, seed=1)}
    made |= {"y_train": np.arange(train) % 10, "y_test": np.arange(test) % 10}
    for name in IMAGES:
        made[name].flat[0] = 255
        made[name] = made[name][..., 0] if channels == 1 else made[name]
    return made


def changed(made, names, change):
    return made | {name: change(made[name]) for name in names}


def saved(folder, made):
    np.savez(path := folder / "own.npz", **made)
    return str(path)


# ---- legal ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _short_classifier(monkeypatch):
    """One step, not compiled: each dataset needs a classifier of its own, and how good the numbers are is no matter."""

    class Short(keras.Sequential):
        def compile(self, *how, steps_per_execution, **more):
            super().compile(*how, run_eagerly=True, **more)

        def fit(self, pairs, epochs, **more):
            super().fit(pairs.take(1), **more)

    monkeypatch.setattr("lib.scores.classifier.keras.Sequential", Short)


def whole_run(settings, made, notebook, folder, **changes):
    """Trains a tiny network for one epoch and returns its settings, its numbers, and the folder of its networks."""
    ours = settings(notebook, latent_dim=2, width=8, epochs=1, batch_size=3, dataset=saved(folder, made), **changes)
    dataset = data.load(ours.dataset, ours.validation)
    model = build(ours, dataset.shape)
    train(model, dataset, ours)
    snapshots = evaluation.Snapshots(1)
    snapshots.set_model(model)
    snapshots.on_epoch_end(0)
    evaluation.samples(model, dataset, snapshots)
    (folder / "model").mkdir()
    for name, network in model.networks.items():
        network.save(folder / "model" / f"{name}.keras")
    return ours, evaluation.evaluate(model, dataset, ours, say=lambda line: None)


def check_numbers(found, absent):
    """Every number is finite and known by how many images, and those that are absent have a reason."""
    assert set(found.get("absent", {})) == absent
    assert all(3 < len(reason) < 60 for reason in found.get("absent", {}).values())
    assert set(found["metrics"]) == set(found["samples_n"])
    assert not absent & set(found["metrics"])
    assert set(found["references"]) <= set(found["metrics"])
    assert all(map(math.isfinite, found["metrics"].values()))
    json.dumps(found, allow_nan=False)


ONLY_WITH_CLASSES = {"frechet", "precision", "recall", "class_kl", "confidence"}
ONLY_OF_SETS = {"frechet", "precision", "recall", "ndb", "ndb_js", "class_kl"}
LEGAL = {  # how a dataset is made odd, and what cannot be measured then
    "one class": (lambda made: changed(made, LABELS, lambda y: 0 * y), ONLY_WITH_CLASSES),
    "one class in training": (lambda made: changed(made, ["y_train"], lambda y: 0 * y), ONLY_WITH_CLASSES),
    "one class in the test": (lambda made: changed(made, ["y_test"], lambda y: 0 * y + 3), set()),
    "classes that training never saw": (lambda made: changed(made, ["y_test"], lambda y: y + 5), set()),
    "gaps between class numbers": (lambda made: changed(made, LABELS, lambda y: y % 3 * 400), set()),
    "class numbers from 1": (lambda made: changed(made, LABELS, lambda y: y + 1), set()),
    "no labels": (lambda made: {name: made[name] for name in IMAGES}, ONLY_WITH_CLASSES),
    "black test images": (
        lambda made: changed(made, ["x_test"], lambda x: 0 * x),
        {"sharpness", "precision", "recall"},
    ),
    "one test image, repeated": (
        lambda made: changed(made, ["x_test"], lambda x: x[[0] * len(x)]),
        {"precision", "recall"},
    ),
    "two training images, repeated": (lambda made: changed(made, ["x_train"], lambda x: x[np.arange(150) % 2]), set()),
    "flat images": (lambda made: changed(made, IMAGES, lambda x: 0 * x + x[:, :1, :1]), {"sharpness"}),
    "64x64": (lambda made: {name: arrays(side=64)[name] for name in IMAGES}, ONLY_WITH_CLASSES),
    "the fewest images": (lambda made: arrays(train=20, test=10), ONLY_OF_SETS),
}


@pytest.mark.parametrize("case", LEGAL)
def test_odd_but_legal_data_get_numbers_or_a_reason(case, settings, tmp_path):
    change, absent = LEGAL[case]
    _, found = whole_run(settings, change(arrays()), "vae_mnist", tmp_path, importance_samples=5)
    check_numbers(found, absent)


@pytest.mark.parametrize("notebook", ["gan_mnist", "wgan_mnist"])
def test_judges_with_the_fewest_images_and_without_validation(notebook, settings, tmp_path):
    change, absent = LEGAL["the fewest images"]
    _, found = whole_run(settings, change(arrays()), notebook, tmp_path, validation=0)
    own = {"gan_mnist": {"jsd_validation", "jsd_fresh"}, "wgan_mnist": {"emd_validation"}}
    check_numbers(found, absent | own[notebook])
    assert found["absent"].get("jsd_fresh", "2 ").startswith("2 ")  # of 20 training images two are held out


def test_a_fresh_discriminator_of_constant_images(settings):
    judge = build(settings("gan_mnist"), (4, 4, 1)).judge
    black = np.zeros((20, 4, 4, 1), np.uint8)
    assert abs(fresh_jsd(judge, black, black)) < 0.02
    assert fresh_jsd(judge, black, black + 200) > 0.1


@pytest.mark.parametrize(("classes", "legend"), [(10, True), (400, False)])
def test_a_map_of_many_classes_has_no_legend_that_leaves_the_figure(classes, legend):
    points = np.random.default_rng(0).normal(size=(800, 2))
    drawn = figures.latent_map(points, np.arange(800) % classes)
    assert (drawn.axes[0].get_legend() is not None) == legend


@pytest.mark.parametrize(("case", "after"), [("the fewest images", ONLY_OF_SETS), ("class numbers from 1", set())])
def test_scoring_again_replaces_the_reasons_too(case, after, settings, tmp_path):
    ours, found = whole_run(settings, LEGAL[case][0](arrays()), "vae_mnist", tmp_path, importance_samples=1)
    before = {"run": "tiny", "keys": {}, **found, "absent": {"loss": "an earlier reason"}}
    (tmp_path / "result.json").write_text(json.dumps(before))
    evaluation.score_again(tmp_path, ours)
    again = runs.read_result(tmp_path)
    assert set(again.get("absent", {})) == after
    assert again["metrics"] == found["metrics"]


# ---- refused -------------------------------------------------------------------------------------


NOTHING_TO_LEARN = {
    "black": (lambda x: 0 * x, "every pixel 0"),
    "white": (lambda x: 0 * x + 255, "every pixel 255"),
    "one grey": (lambda x: 0 * x + 99, "every pixel 99"),
    "one image, repeated": (lambda x: x[[0] * len(x)], "the same image 150 times"),
}


@pytest.mark.parametrize("case", NOTHING_TO_LEARN)
def test_training_images_that_are_all_alike_are_refused_beforehand(case, tmp_path):
    change, words = NOTHING_TO_LEARN[case]
    path = saved(tmp_path, changed(arrays(), IMAGES, change))
    for read in (data.load, data.verify):
        with pytest.raises(UserError, match=words) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: x_train is ")
        assert "\n" not in str(caught.value)


def opaque(x):
    """RGBA."""
    return np.concatenate([x, np.full_like(x[..., :1], 200)], axis=-1)


def grey_and_alpha(x):
    return np.stack([x, x // 2], axis=-1)


def one_hot(y):
    return np.eye(10, dtype=int)[y]


def names(y):
    return np.array(list("abcdefghij"))[y]


CONVERTED = {  # which arrays are spoilt, and how
    "floats from 0 to 1": (IMAGES, lambda x: x / np.float32(255)),
    "floats from 0 to 255": (IMAGES, lambda x: x.astype(float)),
    "floats from -1 to 1": (IMAGES, lambda x: x / 127.5 - 1),
    "floats, standardised": (IMAGES, lambda x: (x - 130.0) / 75.0),
    "half precision": (IMAGES, lambda x: (x / 255).astype(np.float16)),
    "floats in one array only": (["x_test"], lambda x: x / 255),
    "not a number": (IMAGES, lambda x: np.where(x == 0, np.nan, x / 255)),
    "16 bits": (IMAGES, lambda x: x.astype(np.uint16) * 257),
    "12 bits": (IMAGES, lambda x: x.astype(np.uint16) * 16),
    "wide integers": (IMAGES, lambda x: x.astype(int)),
    "integers from 0 to 15": (IMAGES, lambda x: x.astype(int) // 16),
    "booleans": (IMAGES, lambda x: x > 127),
    "bytes 0 and 1": (IMAGES, lambda x: x // 128),
    "objects": (IMAGES, lambda x: np.array([*x, None], dtype=object)[:-1]),
    "channels first": (IMAGES, lambda x: x.transpose(0, 3, 1, 2)),
    "grey channel first": (IMAGES, lambda x: x[:, None]),
    "RGBA": (IMAGES, opaque),
    "RGBA, channels first": (IMAGES, lambda x: opaque(x).transpose(0, 3, 1, 2)),
    "RGBA in one array only": (["x_train"], opaque),
    "grey and alpha": (IMAGES, grey_and_alpha),
    "images last": (IMAGES, lambda x: x.transpose(1, 2, 3, 0)),
    "flat grey": (IMAGES, lambda x: x.reshape(len(x), -1)),
    "flat colours": (IMAGES, lambda x: x.transpose(0, 3, 1, 2).reshape(len(x), -1)),
    "not square": (IMAGES, lambda x: np.pad(x, ((0, 0), (1, 2), (0, 0)))),
    "one-hot labels": (LABELS, one_hot),
    "one-hot floats": (LABELS, lambda y: one_hot(y).astype(np.float32)),
    "names": (LABELS, names),
    "names as objects": (LABELS, lambda y: names(y).astype(object)),
    "bytes as names": (LABELS, lambda y: names(y).astype("S")),
    "float labels": (LABELS, lambda y: y.astype(float)),
    "boolean labels": (LABELS, lambda y: y > 4),
    "labels from -1": (LABELS, lambda y: y - 1),
    "labels in thousands": (LABELS, lambda y: 1000 * y),
    "labels in a column of names": (LABELS, lambda y: names(y)[:, None]),
}
COLOURED = {"channels first", "RGBA", "RGBA, channels first", "RGBA in one array only", "images last", "flat colours"}


def follow(path, made):
    """Does what the messages about a file say, until it can be read: (the arrays then, the messages)."""
    said = []
    while len(said) < 5:
        np.savez(path, **made)
        try:
            return data.load(str(path), validation=0), said
        except UserError as error:
            said.append(str(error))
        (lines,) = re.findall(r"; convert: np\.savez\(\.\.\., (.+), \.\.\.\)(?:, or run `.+`)?$", said[-1])
        found = re.findall(r"([xy]_\w+)=(.+?)(?=, [xy]_\w+=|$)", lines)
        made = made | {name: eval(line, {"np": np, **made}) for name, line in found}
    pytest.fail(f"still refused: {said}")


@pytest.mark.parametrize("case", CONVERTED)
def test_the_line_in_the_message_converts_the_arrays(case, tmp_path):
    right = arrays(channels=3 if case in COLOURED else 1, side=6)
    touched, spoil = CONVERTED[case]
    read, said = follow(tmp_path / "own.npz", changed(right, touched, spoil))
    assert len(said) == 1
    assert said[0].startswith(f"{tmp_path / 'own.npz'}: {touched[0]} ")
    assert "\n" not in said[0]
    for name in IMAGES:
        expected = right[name].reshape(-1, *read.shape)
        if case in ("booleans", "bytes 0 and 1"):
            expected = np.where(expected > 127, 255, 0)
        loss = {"integers from 0 to 15": 16, "12 bits": 1, "floats, standardised": 1, "half precision": 1}.get(case, 0)
        assert np.abs(getattr(read, name).astype(int) - expected).max() <= loss, name
    labels = {"boolean labels": lambda y: y > 4}.get(case, lambda y: y)
    assert np.array_equal(read.y_train, labels(right["y_train"]))
    assert np.array_equal(read.y_test, labels(right["y_test"]))


def test_classes_that_only_training_has_keep_their_numbers(tmp_path):
    right = arrays()
    right["y_test"] = right["y_test"] % 3 + 7
    read, _ = follow(tmp_path / "own.npz", changed(right, LABELS, names))
    assert np.array_equal(read.y_test, right["y_test"])


def test_several_faults_are_said_and_mended_one_after_the_other(tmp_path):
    right = arrays(channels=3, side=6)
    spoilt = changed(right, IMAGES, lambda x: opaque(x).transpose(0, 3, 1, 2) / 255)
    read, said = follow(tmp_path / "own.npz", changed(spoilt, LABELS, one_hot))
    assert len(said) == 3
    assert np.array_equal(read.x_train, right["x_train"])
    assert np.array_equal(read.y_train, right["y_train"])


@pytest.mark.parametrize(
    ("names", "spoil", "words"),
    [
        (IMAGES, lambda x: np.full_like(x, np.nan, dtype=float), "no finite value"),
        (IMAGES, lambda x: x * 1j, "x_train is complex128, expected uint8"),
        (IMAGES, lambda x: x[:, :3, :3], "3x3, expected square ones, at least 4x4"),
        (IMAGES, lambda x: x.reshape(len(x), -1)[:, :7], "of shape [150, 7], expected [N, H, W]"),
        (IMAGES, lambda x: np.repeat(x[..., None], 5, axis=-1), "expected 1 or 3 channels"),
        (LABELS, lambda y: y[:-1], "expected integers [150]"),
    ],
)
def test_without_such_a_line_there_is_none_in_the_message(names, spoil, words, tmp_path):
    with pytest.raises(UserError) as caught:
        data.load(saved(tmp_path, changed(arrays(), names, spoil)))
    assert words in str(caught.value)
    assert "convert" not in str(caught.value)
