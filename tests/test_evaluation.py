"""The numbers: exact values, order under known damage, and what a run keeps."""

from types import SimpleNamespace

import numpy as np
import pytest
from conftest import images

from lib import data, evaluation
from lib.models import build


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_frechet_distance_of_gaussians_against_the_closed_form():
    """In one dimension it is (m1 - m2)^2 + (s1 - s2)^2 (Dowson & Landau 1982); independent dimensions add up."""
    rng = np.random.default_rng(0)
    first = rng.normal([0, 1], [1, 2], (200_000, 2))
    second = rng.normal([3, 1], [2, 0.5], (200_000, 2))
    assert evaluation.frechet_distance(first, second) == pytest.approx(9 + 1 + 2.25, rel=0.01)
    assert evaluation.frechet_distance(first, first) == pytest.approx(0, abs=1e-8)


def test_sharpness_of_a_checkerboard_exceeds_that_of_a_ramp():
    board = (np.indices((8, 8)).sum(axis=0) % 2 * 255).astype(np.uint8).reshape(1, 8, 8, 1)
    ramp = np.broadcast_to(np.arange(0, 256, 32, dtype=np.uint8), (8, 8)).reshape(1, 8, 8, 1)
    assert evaluation.sharpness(board) > 100 * evaluation.sharpness(ramp)


def test_references_stand_in_the_right_order(digits):
    references = evaluation.Scorecard(digits).references
    distance = {name: scores["frechet_pixels"] for name, scores in references.items()}
    assert max(distance["real"], distance["blurred"]) < distance["mean_image"]
    sharp = {name: scores["sharpness"] for name, scores in references.items()}
    assert sharp["blurred"] < sharp["real"] < sharp["noisy"]
    assert sharp["real"] == pytest.approx(1, abs=0.1)


def test_bernoulli_references_by_hand():
    test = np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)
    train = np.full((4, 1, 2, 1), 51, np.uint8)
    found = evaluation.bernoulli_references(SimpleNamespace(x_test=test, x_train=train))
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
def test_what_a_run_keeps_and_its_numbers(settings, notebook):
    ours = settings(notebook, latent_dim=2, width=8)
    x_test = images(60, seed=1)
    tiny = SimpleNamespace(
        x_train=images(100), x_validation=images(30, seed=5), x_test=x_test, y_test=np.arange(60) % 10, name="tiny"
    )
    model = build(ours, (8, 8, 1))
    snapshots = evaluation.Snapshots(1)
    snapshots.set_model(model)
    snapshots.on_epoch_end(0)
    kept = evaluation.samples(model, tiny, snapshots)
    assert kept["grids"].shape == (1, 36, 8, 8, 1)
    assert kept["samples"].shape == (100, 8, 8, 1)
    assert np.array_equal(kept["samples"][:36], kept["grids"][-1])
    assert ("plane" in kept) == notebook.startswith("vae")

    untrained = evaluation.decode(model, evaluation.latents(30, 2))
    found, again = (evaluation.evaluate(model, tiny, untrained) for _ in range(2))
    assert found == again
    assert found["metrics"]["frechet_pixels"] == found["references"]["frechet_pixels"]["untrained"]
    assert found["samples_n"].keys() == found["metrics"].keys()
    own = {"vae_mnist": "test_loss", "gan_mnist": "jsd_test", "wgan_mnist": "emd_validation"}[notebook]
    assert np.isfinite(found["metrics"][own])


def test_fixed_binarisation_is_evaluated_on_binary_images(settings):
    ours = settings("vae_mnist", latent_dim=2, width=8, binarize="fixed")
    model = build(ours, (8, 8, 1))
    grey = SimpleNamespace(x_train=images(100), x_test=images(60, seed=1))
    seen = []
    losses = model.losses
    model.losses = lambda part, seed: (seen.append(part), losses(part, seed))[1]
    assert evaluation.vae_numbers(model, grey)["references"] == {}
    assert set(np.unique(np.concatenate(seen))) == {0, 255}


def test_active_units_counts_those_that_move(settings):
    model = build(settings("vae_mnist", latent_dim=4, width=8), (8, 8, 1))
    kernel, bias = model.encoder.get_layer("z_mean").get_weights()
    kernel[:, 1:] = 0
    kernel[:, 0] *= 100
    model.encoder.get_layer("z_mean").set_weights([kernel, bias])
    tiny = SimpleNamespace(x_train=images(100), x_test=images(60, seed=1))
    assert evaluation.vae_numbers(model, tiny)["metrics"]["active_units"] == 1
