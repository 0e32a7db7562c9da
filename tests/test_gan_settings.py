"""What a GAN's settings add to the plain one: hinge loss, spectral normalisation, classes, the generator's average."""

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import images
from scipy.stats import norm

from lib import data
from lib.backend import keras, tf
from lib.errors import UserError
from lib.models import build
from lib.models.custom import SpectralConv2D, SpectralDense, class_of
from lib.models.gan import hinge_loss, tv_estimate
from lib.report.records import Record
from lib.settings import check_images
from lib.training import batches, train

TINY = {"width": 16, "latent_dim": 12, "batch_size": 32, "epochs": 2, "validation": 20}
RNG = np.random.default_rng(0)


# ---- the hinge loss ------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [0.5, 1, 2])
def test_the_tv_estimate_of_two_gaussians(distance):
    """N(-d/2, 1) against N(d/2, 1): the best scores are the sign of x, and TV is 2 Phi(d/2) - 1."""
    real, fake = (RNG.normal(side * distance / 2, 1, (200_000, 1)).astype("f") for side in (1, -1))
    exact = 2 * norm.cdf(distance / 2) - 1
    best = float(tv_estimate(hinge_loss(tf.sign(real), tf.sign(fake))))
    assert best == pytest.approx(exact, abs=0.005)
    for scores in (lambda x: x, lambda x: 3 * x, np.tanh):
        assert float(tv_estimate(hinge_loss(scores(real), scores(fake)))) < best


def test_a_gan_with_the_hinge_loss_logs_the_tv_estimate(settings):
    model = build(settings("gan_mnist", **TINY, loss="hinge"), (8, 8, 1))
    real, fake = tf.constant([[2.0], [0.5]]), tf.constant([[-3.0], [0.0]])
    assert float(model.judge_loss(real, fake)) == pytest.approx(0.25 + 0.5)
    assert float(model.generator_loss(fake)) == pytest.approx(1.5)
    assert float(model.estimate(real, fake)) == pytest.approx(1 - 0.75 / 2)
    assert list(model.means) == ["d_loss", "g_loss", "tv"]
    assert model.description.headline == "tv_test"


# ---- spectral normalisation ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape"), [(SpectralDense(7), (5,)), (SpectralConv2D(6, 3, padding="same"), (4, 4, 3))]
)
def test_a_spectral_layer_divides_by_its_largest_singular_value(layer, shape):
    x = tf.constant(RNG.normal(size=(8, *shape)).astype("f"))
    layer.build((None, *shape))
    layer.bias.assign(RNG.normal(size=layer.bias.shape))
    layer._kernel.assign(3 * RNG.normal(size=layer._kernel.shape))
    for _ in range(200):  # the power method's steps
        layer(x, training=True)
    kernel = np.asarray(layer._kernel)
    largest = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)
    assert largest > 2
    plain = {SpectralDense: keras.layers.Dense, SpectralConv2D: keras.layers.Conv2D}[type(layer)]
    same = plain.from_config(layer.get_config())
    same.build((None, *shape))
    same.set_weights([kernel / largest, np.asarray(layer.bias)])
    assert np.allclose(layer(x), same(x), atol=1e-4)
    before = np.asarray(layer.direction)
    layer(x, training=False)
    assert np.array_equal(before, layer.direction), "only training may move it"


@pytest.mark.parametrize("network", ["mlp", "dcgan"])
def test_a_saved_discriminator_judges_as_before(settings, tmp_path, network):
    ours = settings("gan_mnist", **TINY, classes=10, spectral_norm=True, network=network)
    model, pixels, labels = build(ours, (8, 8, 1)), images(30), np.arange(30) % 10
    for _ in range(3):
        model.scores(*model.images_and_classes((pixels, labels)), training=True)  # moves the directions
    model.judge.save(tmp_path / "judge.keras")
    fresh = build(ours, (8, 8, 1))
    before = fresh.judged(pixels, labels)
    fresh.judge.set_weights(keras.models.load_model(tmp_path / "judge.keras", compile=False).get_weights())
    assert np.allclose(fresh.judged(pixels, labels), model.judged(pixels, labels), atol=1e-6)
    assert not np.allclose(before, model.judged(pixels, labels), atol=1e-3)


def test_a_gradient_passes_through_the_normalisation():
    """The score does not change when the kernel is made longer: its gradient is at a right angle to the kernel."""
    layer, x = SpectralDense(1, use_bias=False), tf.constant(RNG.normal(size=(8, 5)).astype("f"))
    layer.build((None, 5))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x, training=True))
    (slope,) = tape.gradient(loss, layer.trainable_weights)
    kernel = np.asarray(layer._kernel)
    assert np.linalg.norm(slope) > 0.1
    assert abs(np.sum(slope * kernel)) < 1e-4 * np.linalg.norm(slope) * np.linalg.norm(kernel)


# ---- classes -------------------------------------------------------------------------------------


def test_every_class_is_as_likely_as_another():
    z = RNG.standard_normal((50_000, 12)).astype("f")
    classes = np.asarray(class_of(z, 10))
    assert np.array_equal(classes.argmax(axis=1), z[:, :10].argmax(axis=1))
    assert classes.sum(axis=1).tolist() == [1] * len(z)
    assert np.abs(classes.mean(axis=0) - 0.1).max() < 0.006


def test_a_gallery_shows_one_class_after_another(settings):
    model = build(settings("gan_mnist", **TINY, classes=10), (8, 8, 1))
    z = RNG.standard_normal((100, 12)).astype("f")
    found = model.arranged(z)
    assert found[:, :10].argmax(axis=1).tolist() == [number // 10 for number in range(100)]
    assert np.array_equal(np.sort(found, axis=1), np.sort(z, axis=1)), "no number is another"
    assert np.array_equal(found[:, 10:], z[:, 10:])
    plain = build(settings("gan_mnist", **TINY), (8, 8, 1))
    assert np.array_equal(plain.arranged(z), z)


def test_a_minibatch_keeps_images_and_labels_together():
    pixels = np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1)
    found = list(batches(pixels, 20, seed=1, labels=np.arange(60)))
    images_, labels = (np.concatenate([np.asarray(pair[side]) for pair in found]) for side in (0, 1))
    assert np.array_equal(images_.ravel(), labels)
    assert labels.tolist() != sorted(labels)


@pytest.fixture(scope="module")
def dark_and_light(tmp_path_factory):
    """Images of two classes: dark ones and light ones."""
    path = tmp_path_factory.mktemp("data") / "two.npz"
    labels = np.arange(1000) % 2
    pixels = (images(1000) // 8 + 200 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(path, x_train=pixels[:900], y_train=labels[:900], x_test=pixels[900:], y_test=labels[900:])
    return str(path)


@pytest.mark.parametrize("changed", [{}, {"loss": "hinge", "spectral_norm": True, "ema": 0.9, "network": "dcgan"}])
def test_a_conditional_gan_makes_images_of_the_class_that_is_asked_for(settings, dark_and_light, changed):
    dataset = data.load(dark_and_light, 20)
    tiny = TINY | {"epochs": 12, "classes": 2, "dataset": dark_and_light}
    model = build(settings("gan_mnist", **tiny, **changed), dataset.shape)
    train(model, dataset, model.settings)
    z = model.arranged(RNG.standard_normal((60, 12)).astype("f"))
    made = np.asarray(model.generate(z))
    dark, light = made[:30].mean(), made[30:].mean()
    assert light - dark > 0.4, "real ones differ by 0.8"
    right = model.judged(dataset.x_test, dataset.y_test).mean()
    assert right > model.judged(dataset.x_test, 1 - dataset.y_test).mean(), "the judge sees the class"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"classes": 10}, "classes = 10, but dataset {path} has 2"),
        ({"network": "dcgan", "dataset": "mnist"}, "network dcgan needs sides divisible by 8"),
    ],
)
def test_what_a_dataset_does_not_have_is_said_before_anything_starts(settings, dark_and_light, changed, words):
    ours = settings("gan_mnist", **TINY | {"dataset": dark_and_light} | changed)
    with pytest.raises(UserError, match=words.format(path=dark_and_light)):
        check_images(ours, *data.header(ours.dataset), "here")


def test_a_class_needs_a_latent_of_its_own(settings):
    with pytest.raises(UserError, match="classes = 13: expected at most latent_dim, which is 12"):
        settings("gan_mnist", **TINY, classes=13)


def test_the_number_of_classes_is_read_without_the_pixels(dark_and_light, npz, tmp_path):
    assert data.class_count(dark_and_light) == 2
    assert data.class_count("digits") == len(data.BUILT_IN["digits"].class_names) == 10
    with np.load(npz()) as arrays:
        np.savez(tmp_path / "bare.npz", x_train=arrays["x_train"], x_test=arrays["x_test"])
    assert data.class_count(str(tmp_path / "bare.npz")) == 0


# ---- the generator's average ---------------------------------------------------------------------


def test_the_average_keeps_its_share_at_each_step(settings, npz):
    dataset = data.load(str(npz()), 20)
    plain, averaged = (
        build(settings("gan_mnist", **TINY, dataset=str(npz()), ema=ema), dataset.shape) for ema in (0.0, 0.75)
    )
    expected = [weight.copy() for weight in averaged.generator.get_weights()]
    for model in (plain, averaged):
        model.prepare()
    for _ in range(3):
        for model in (plain, averaged):
            model.train_step(tf.constant(dataset.x_train[:32]))
        expected = [0.75 * kept + 0.25 * new for kept, new in zip(expected, plain.generator.get_weights(), strict=True)]
    for found, wanted in zip(averaged.generator.get_weights(), expected, strict=True):
        assert np.allclose(found, wanted, atol=1e-6)
    for one, other in zip(averaged.learner.get_weights(), plain.generator.get_weights(), strict=True):
        assert np.array_equal(one, other), "the average has no effect on the training"
    assert averaged.networks["generator"] is averaged.generator


def test_a_few_samples_show_all_classes():
    images_ = np.arange(100)
    for classes, expected in ((0, [0, 1, 2, 3]), (10, [0, 33, 66, 99])):
        run = SimpleNamespace(samples={"samples": images_}, settings=SimpleNamespace(classes=classes))
        assert Record.first_samples(run, 4).tolist() == expected
