"""The numbers: exact values, order under known damage, and what a run keeps."""

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import images

from lib import data
from lib.backend import keras
from lib.models import Adversarial, build
from lib.models.gan import fresh_jsd
from lib.models.vae import importance_bounds
from lib.scores import estimates, evaluation
from lib.scores.card import Scorecard
from lib.training import train


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


@pytest.fixture(scope="module")
def card(digits):
    return Scorecard(digits)


NO_CARD = SimpleNamespace(absent={"frechet": "not asked for"}, classifier=None)


def without_scores(dataset):
    """What a model's own numbers ask of a scorecard, which would train a classifier."""
    return SimpleNamespace(held_out=dataset.split_again(5000).x_validation, images=Scorecard.images)


def test_references_stand_in_the_right_order(card, digits):
    marks = card.references
    assert marks["frechet"]["real"] < marks["frechet"]["noisy"] < marks["frechet"]["mean_image"]
    assert marks["sharpness"]["blurred"] < marks["sharpness"]["real"] < marks["sharpness"]["noisy"]
    assert marks["sharpness"]["real"] == pytest.approx(1, abs=0.1)
    assert marks["class_kl"]["real"] < marks["class_kl"]["class_removed"] < marks["class_kl"]["mean_image"]
    assert card.classifier.accuracy > 0.95
    assert card.about() == {
        "classifier_accuracy": card.classifier.accuracy,
        "classifier_test_n": len(digits.x_test),
        "bins": 11,
        "n": 114,
    }


def test_every_score_tells_real_from_slight_from_heavy_damage(card, digits):
    """Damage of the kind that the score is for: pixel noise, or classes that are missing."""
    rng = np.random.default_rng(0)
    held_out, _ = np.split(digits.x_validation, [card.count])
    labels = digits.y_train

    def noisy(share):
        noise = rng.integers(0, 256, held_out.shape, dtype=np.uint8)
        return np.where(rng.random(held_out.shape) < share, noise, held_out)

    by_noise = [card.scores(images) for images in (held_out, noisy(0.1), noisy(0.5))]
    by_classes = [card.scores(digits.x_train[labels < most][:300]) for most in (10, 8, 3)]  # the same number of each
    for name, sign in (("frechet", 1), ("precision", -1), ("confidence", -1), ("sharpness", 1)):
        values = [sign * scores[name] for scores in by_noise]
        assert values[0] < values[1] < values[2], name
    for name, sign in (("recall", -1), ("ndb", 1), ("ndb_js", 1), ("class_kl", 1), ("frechet", 1)):
        values = [sign * scores[name] for scores in by_classes]
        assert values[0] < values[1] < values[2], name


def test_scorecard_and_classifier_are_made_once_whatever_the_split(card, monkeypatch):
    monkeypatch.setattr(Scorecard, "_make", lambda *_: pytest.fail("made again"))
    again = Scorecard(data.load("digits", validation=0), say=pytest.fail)
    assert again.references == card.references


def test_without_labels_pixels_are_compared():
    rng = np.random.default_rng(0)
    tiny = data.Dataset(
        name="tiny.npz",
        x_train=images(300),
        y_train=None,
        x_validation=rng.permutation(images(30, seed=5)),
        y_validation=None,
        x_test=images(60, seed=1),
        y_test=None,
        sha256="of tiny",
        canonical=False,
        class_names=None,
    )
    card = Scorecard(tiny)
    assert card.references.keys() == {"sharpness", "frechet_pixels", "ndb", "ndb_js"}
    distance = card.references["frechet_pixels"]
    assert max(distance["real"], distance["blurred"]) < distance["mean_image"]
    assert card.about()["classifier_accuracy"] is None


def test_bernoulli_references_by_hand():
    test = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
    train = np.full((4, 1, 2, 1), 51, np.uint8)
    found = estimates.bernoulli_references(train, test)
    assert found["mean_image"] == pytest.approx(-np.log(0.8) - np.log(0.2))
    assert found["pixel_entropy"] == pytest.approx(0, abs=1e-5)


def test_latents_are_the_same_for_every_run_and_decode_is_uint8(settings):
    first = build(settings("gan_mnist", latent_dim=5, seed=1), (8, 8, 1))
    assert np.array_equal(evaluation.latents(4, 5), evaluation.latents(9, 5)[:4])
    made = evaluation.decode(first, evaluation.latents(3, 5))
    assert (made.shape, made.dtype) == ((3, 8, 8, 1), np.uint8)


def test_plane_covers_the_prior_from_top_left_to_bottom_right():
    ticks, z = evaluation.plane_latents(3)
    assert z[0] == pytest.approx([ticks[0], ticks[-1]])
    assert z[-1] == pytest.approx([ticks[-1], ticks[0]])
    assert ticks[0] == pytest.approx(-1.96, abs=0.01)


def test_snapshots_keep_a_few_epochs_and_the_last():
    assert evaluation.Snapshots(1).wanted == {1}
    assert max(evaluation.Snapshots(50).wanted) == 50
    assert len(evaluation.Snapshots(50).wanted) <= 6


@pytest.mark.parametrize("notebook", ["vae_mnist", "gan_mnist", "wgan_mnist"])
def test_what_a_run_keeps_and_its_numbers(settings, npz, notebook):
    ours = settings(notebook, latent_dim=2, width=8)
    tiny = data.load(str(npz()))
    model = build(ours, (8, 8, 1))
    snapshots = evaluation.Snapshots(1)
    snapshots.set_model(model)
    snapshots.on_epoch_end(0)
    kept = evaluation.samples(model, tiny, snapshots)
    assert kept["grids"].shape == (1, 36, 8, 8, 1)
    assert kept["samples"].shape == (100, 8, 8, 1)
    assert np.array_equal(kept["samples"][:36], kept["grids"][-1])
    assert ("plane" in kept) == notebook.startswith("vae")

    found, again = (evaluation.evaluate(model, tiny, ours) for _ in range(2))
    assert found == again
    assert found["metrics"]["frechet"] == found["references"]["frechet"]["untrained"]
    assert found["samples_n"].keys() == found["metrics"].keys()
    own = {
        "vae_mnist": {"test_loss", "test_reconstruction", "test_kl", "active_units", "nll_1", "nll_5", "nll_50"},
        "gan_mnist": {"jsd_train", "jsd_validation", "jsd_test", "jsd_fresh"},
        "wgan_mnist": {"emd_train", "emd_validation", "emd_test", "w1"},
    }[notebook]
    assert own < found["metrics"].keys()
    assert all(np.isfinite(value) for value in found["metrics"].values())


def test_load_gives_the_trained_networks_back_and_runs_no_code(settings, tmp_path):
    ours = settings("gan_mnist", latent_dim=2, width=8)
    model = build(settings("gan_mnist", latent_dim=2, width=8, seed=5), (8, 8, 1))
    (tmp_path / "model").mkdir()
    for name, network in model.networks.items():
        network.save(tmp_path / "model" / f"{name}.keras")
    z = evaluation.latents(3, 2)
    assert np.array_equal(evaluation.decode(evaluation.load(ours, (8, 8, 1), tmp_path), z), evaluation.decode(model, z))
    layer = keras.layers.Lambda(lambda x: x)
    keras.Sequential([keras.Input((2,)), layer]).save(tmp_path / "model" / "generator.keras")
    with pytest.raises(ValueError, match="lambda"):
        evaluation.load(ours, (8, 8, 1), tmp_path)


def test_bounds_of_a_vae_whose_latents_say_nothing_are_all_its_loss(settings):
    """With q(z|x) = p(z) and a decoder that ignores z, every weight is p(x): L_k = L_1 = log p(x) for all k."""
    model = build(settings("vae_mnist", latent_dim=3, width=8), (8, 8, 1))
    for network in model.networks.values():
        for layer in network.layers:
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    bounds = importance_bounds(model, images(6), 5000)
    assert bounds == pytest.approx({f"nll_{k}": 64 * np.log(2) for k in (1, 5, 50, 500, 5000)}, rel=1e-5)


def test_first_bound_pays_the_kl_and_many_samples_win_it_back(settings):
    """q(z|x) = N(1, 1/e) for each of three latents, which the decoder ignores: -L_1 = -log p(x) + KL, exactly."""
    model = build(settings("vae_mnist", latent_dim=3, width=8), (8, 8, 1))
    for network in model.networks.values():
        for layer in network.layers:
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    for name, value in (("z_mean", 1.0), ("z_log_var", -1.0)):
        kernel, bias = model.encoder.get_layer(name).get_weights()
        model.encoder.get_layer(name).set_weights([kernel, bias + value])
    bounds = importance_bounds(model, images(20), 5000)
    kl = 3 * 0.5 * (np.exp(-1) + 1 - 1 + 1)
    assert bounds["nll_1"] == pytest.approx(64 * np.log(2) + kl, abs=0.05)
    assert bounds["nll_5000"] == pytest.approx(64 * np.log(2), abs=0.1)


def test_first_bound_is_the_loss_and_bounds_fall(settings):
    ours = settings("vae_mnist", latent_dim=3, width=16, epochs=5, batch_size=20, importance_samples=500)
    dataset = SimpleNamespace(x_train=images(400), x_validation=images(40, seed=2), x_test=images(200, seed=1))
    model = build(ours, (8, 8, 1))
    train(model, dataset, ours)
    numbers = model.numbers(dataset, NO_CARD)["metrics"]
    assert numbers["nll_1"] == pytest.approx(numbers["test_loss"], rel=0.01)
    assert numbers["nll_1"] > numbers["nll_5"] > numbers["nll_50"] > numbers["nll_500"]
    assert "nll_5000" not in numbers


def test_a_fresh_discriminator_tells_apart_what_differs_and_nothing_else(settings):
    judge = build(settings("gan_mnist"), (8, 8, 1)).judge
    same = fresh_jsd(judge, images(600, seed=1), images(600, seed=2))
    other = fresh_jsd(judge, images(600, seed=1), 255 - images(600, seed=2) // 2)
    assert abs(same) < 0.02
    ordered = images(600, seed=3)
    ordered = ordered[np.argsort(ordered.mean(axis=(1, 2, 3)))]  # as in a file that is sorted by class
    assert abs(fresh_jsd(judge, ordered, images(600, seed=2))) < 0.02
    assert 0.4 < other <= np.log(2)


def test_the_judge_scores_each_split_against_what_is_generated(settings):
    """A critic that is the mean pixel: real images of 0.8, 0.6 and 0.4 against generated ones of 0.5."""
    ours = settings("wgan_mnist", latent_dim=2, width=8)
    model = build(ours, (8, 8, 1))
    pixels = keras.Input((8, 8, 1))
    model.judge = keras.Model(pixels, keras.ops.mean(pixels, axis=(1, 2)))
    last = model.generator.get_layer("pixels")
    last.set_weights([np.zeros_like(weight) for weight in last.get_weights()])
    train, held_out, test = (np.full((40, 8, 8, 1), grey, np.uint8) for grey in (204, 153, 102))
    tiny = data.Dataset("t", train, None, held_out, None, test, None, "t", False, None)
    found = Adversarial.numbers(model, tiny, without_scores(tiny))
    assert found["metrics"] == pytest.approx({"emd_train": 0.3, "emd_validation": 0.1, "emd_test": -0.1}, abs=0.003)
    assert found["references"]["emd_test"]["real"] < -0.2  # test images against brighter ones held out


def test_what_a_clipped_critic_certifies_is_below_w1(settings):
    """784 pixels as on MNIST: critic / K <= W1 on the same samples, with the spectral K and with the loose one."""
    ours = settings("wgan_mnist", lipschitz="clip", learning_rate=1e-4, epochs=4, batch_size=16, latent_dim=4, width=16)
    real = images(800, side=28)
    dataset = data.Dataset(
        "t", real, None, images(80, side=28, seed=3), None, images(90, side=28, seed=4), None, "t", False, None
    )
    model = build(ours, (28, 28, 1))
    train(model, dataset, ours)
    metrics = model.numbers(dataset, without_scores(dataset))["metrics"]
    assert 0 < metrics["w1_bound_loose"] < metrics["w1_bound"] < metrics["w1"]
    assert metrics["w1_bound_loose"] == pytest.approx(
        metrics["w1_bound"] * estimates.lipschitz_bound(_kernels(model)) / 7.34, rel=0.001
    )


def _kernels(model):
    return [layer.get_weights()[0] for layer in model.judge.layers if isinstance(layer, keras.layers.Dense)]


def test_fixed_binarisation_is_evaluated_on_binary_images(settings):
    ours = settings("vae_mnist", latent_dim=2, width=8, binarize="fixed", importance_samples=1)
    model = build(ours, (8, 8, 1))
    grey = SimpleNamespace(x_train=images(100), x_test=images(60, seed=1))
    seen = []
    losses = model.losses
    model.losses = lambda part, seed: (seen.append(part), losses(part, seed))[1]
    marks = model.numbers(grey, NO_CARD)["references"]["test_loss"]
    assert marks["pixel_entropy"] == 0
    assert marks["mean_image"] > 40  # of 64 pixels, near log 2 each
    assert set(np.unique(np.concatenate(seen))) == {0, 255}


def test_active_units_counts_those_that_move(settings):
    ours = settings("vae_mnist", latent_dim=4, width=8, importance_samples=1)
    model = build(ours, (8, 8, 1))
    kernel, bias = model.encoder.get_layer("z_mean").get_weights()
    kernel[:, 1:] = 0
    kernel[:, 0] *= 100
    model.encoder.get_layer("z_mean").set_weights([kernel, bias])
    tiny = SimpleNamespace(x_train=images(100), x_test=images(60, seed=1))
    assert model.numbers(tiny, NO_CARD)["metrics"]["active_units"] == 1
