"""Losses against exact values, weight counts, and one tiny training of each model."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import images

from lib.backend import keras, tf
from lib.models import GAN, VAE, WGAN, build
from lib.models.custom import FusedAdam
from lib.models.gan import LOG_2, discriminator_loss, jsd_estimate, non_saturating_loss
from lib.models.layers import facts, stream
from lib.models.vae import bernoulli_nll, binarize_once, gaussian_nll, kl_to_standard_normal
from lib.models.wgan import emd_estimate, gradient_penalty
from lib.provenance import networks_digest
from lib.training import NonFiniteLossError, batches, blocks, even_size, rate, train

RNG = np.random.default_rng(0)


def data(count=64, channels=1, side=8, validation=20):
    return SimpleNamespace(
        x_train=images(count, channels, side),
        x_validation=images(validation, channels, side, seed=2),
        x_test=images(40, channels, side, seed=3),
        y_test=None,
        name="tiny",
    )


# ---- losses --------------------------------------------------------------------------------------


def test_kl_against_the_closed_form():
    """KL(N(m, s^2) || N(0, 1)) per dimension is (s^2 + m^2 - 1) / 2 - log s, summed over dimensions."""
    mean, deviation = RNG.normal(size=(4, 3)), np.exp(RNG.normal(size=(4, 3)))
    exact = ((deviation**2 + mean**2 - 1) / 2 - np.log(deviation)).sum(axis=1)
    assert np.allclose(kl_to_standard_normal(mean, 2 * np.log(deviation)), exact, rtol=1e-6)


def test_bernoulli_nll_is_the_sum_over_pixels():
    pixels, p = RNG.random((3, 4, 4, 1)), RNG.random((3, 4, 4, 1))
    exact = -(pixels * np.log(p) + (1 - pixels) * np.log(1 - p)).sum(axis=(1, 2, 3))
    assert np.allclose(bernoulli_nll(pixels, np.log(p / (1 - p))), exact, rtol=1e-6)


def test_bernoulli_nll_is_finite_at_extreme_logits():
    assert np.allclose(bernoulli_nll(np.ones((1, 1, 1, 1), "f"), np.full((1, 1, 1, 1), -1000, "f")), 1000)


def test_gaussian_nll_against_scipy():
    from scipy.stats import norm

    pixels, logits = RNG.random((3, 4, 4, 1)).astype("f"), RNG.normal(size=(3, 4, 4, 1)).astype("f")
    exact = -norm.logpdf(pixels, 1 / (1 + np.exp(-logits)), np.exp(-1.0)).sum(axis=(1, 2, 3))
    assert np.allclose(gaussian_nll(pixels, logits, -2.0), exact, rtol=1e-6)


def test_adversarial_losses_of_a_judge_that_cannot_tell():
    zero = np.zeros((5, 1), "f")
    assert float(discriminator_loss(zero, zero)) == pytest.approx(LOG_2)
    assert float(jsd_estimate(discriminator_loss(zero, zero))) == pytest.approx(0, abs=1e-7)
    assert float(non_saturating_loss(zero)) == pytest.approx(LOG_2)


def test_jsd_estimate_of_a_judge_that_is_never_wrong():
    sure = np.full((5, 1), 50.0, "f")
    assert float(jsd_estimate(discriminator_loss(sure, -sure))) == pytest.approx(math.log(2))


@pytest.mark.parametrize(("distance", "exact"), [(1, 0.111421), (2, 0.336831), (4, 0.632720)])
def test_jsd_estimate_of_two_gaussians(distance, exact):
    """N(-d/2, 1) against N(d/2, 1): the optimal discriminator is sigmoid(d x), so one Dense unit finds it."""
    real = RNG.normal(distance / 2, 1, (200_000, 1))
    fake = RNG.normal(-distance / 2, 1, (200_000, 1))
    assert float(jsd_estimate(discriminator_loss(distance * real, distance * fake))) == pytest.approx(exact, abs=0.005)
    judge = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    optimizer = keras.optimizers.Adam(0.1)
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = discriminator_loss(judge(real[:20_000]), judge(fake[:20_000]))
        optimizer.apply(tape.gradient(loss, judge.trainable_weights), judge.trainable_weights)
    assert float(jsd_estimate(discriminator_loss(judge(real), judge(fake)))) == pytest.approx(exact, abs=0.01)


def _linear(size):
    shape, flatten, one = keras.Input((size, 1, 1)), keras.layers.Flatten(), keras.layers.Dense(1, use_bias=False)
    return keras.Sequential([shape, flatten, one], name="critic")


def test_clipped_linear_critic_finds_c_times_the_shift(settings):
    """On a pure shift D a linear critic clipped at c reaches exactly c |D|_1."""
    shift = np.array([0.5, -1.0, 2.0], "f").reshape(1, 3, 1, 1)
    fake = RNG.normal(size=(400, 3, 1, 1)).astype("f")

    class Linear(WGAN):
        def build_judge(self):
            return _linear(3)

    model = build(settings("wgan_mnist", lipschitz="clip", clip=0.01, learning_rate=0.01), (4, 4, 1), Linear)
    model.prepare()
    model.generator = lambda z, training: tf.constant(fake)
    for _ in range(20):
        _, emd = model.critic_step(tf.constant(fake + shift))
    assert float(emd) == pytest.approx(0.01 * 3.5, rel=1e-4)


def test_gradient_penalty_of_a_linear_critic():
    """The gradient of w.x is w everywhere: the penalty is (|w| - 1)^2, whatever the images."""
    critic = _linear(4)
    critic.layers[-1].set_weights([np.array([[3.0], [0.0], [4.0], [0.0]])])
    real, fake = tf.random.normal((2, 6, 4, 1, 1), seed=0)
    assert float(gradient_penalty(critic, real, fake, tf.fill((6, 1, 1, 1), 0.3))) == pytest.approx(16)


def test_gradient_penalty_has_a_finite_gradient_where_the_critic_is_flat():
    critic = _linear(2)
    critic.layers[-1].set_weights([np.zeros((2, 1))])
    with tf.GradientTape() as tape:
        penalty = gradient_penalty(critic, tf.ones((3, 2, 1, 1)), tf.zeros((3, 2, 1, 1)), tf.zeros((3, 1, 1, 1)))
    assert np.isfinite(tape.gradient(penalty, critic.trainable_weights)[0]).all()


def test_emd_estimate_is_real_minus_fake():
    assert float(emd_estimate(np.full((2, 1), 3.0), np.full((2, 1), 1.0))) == 2.0


# ---- networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notebook", "shape", "encoder", "decoder"),
    [("vae_mnist", (28, 28, 1), 403_972, 403_728), ("vae_cifar10", (32, 32, 3), 1_575_428, 1_577_472)],
)
def test_weights_of_figures_1_and_6(settings, notebook, shape, encoder, decoder):
    model = build(settings(notebook, latent_dim=2, width=512), shape)
    assert facts(model.networks)["parameters"] == {"encoder": encoder, "decoder": decoder}


@pytest.mark.parametrize("network", ["mlp", "conv", "dcgan"])
@pytest.mark.parametrize("notebook", ["vae_mnist", "gan_cifar10", "wgan_mnist"])
def test_width_and_images_of_every_network(settings, notebook, network):
    shape = (8, 8, 3 if "cifar10" in notebook else 1)
    model = build(settings(notebook, network=network, latent_dim=3, width=7), shape)
    made, judged = model.networks.values() if "vae" not in notebook else reversed(model.networks.values())
    dense = next(layer for layer in made.layers if isinstance(layer, keras.layers.Dense))
    assert dense.units == 7
    assert made(np.zeros((2, 3), "f")).shape == (2, *shape)
    assert keras.tree.flatten(judged(np.zeros((2, *shape), "f")))[0].shape[0] == 2


@pytest.mark.parametrize("notebook", ["gan_mnist", "wgan_mnist"])
def test_the_judge_is_the_same_at_every_width(settings, notebook):
    counts = {build(settings(notebook, width=width), (8, 8, 1)).judge.count_params() for width in (8, 64)}
    assert len(counts) == 1


@pytest.mark.parametrize("notebook", ["gan_mnist", "wgan_cifar10"])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_no_batch_normalisation_in_a_judge(settings, notebook, network):
    model = build(settings(notebook, network=network), (8, 8, 3 if "cifar10" in notebook else 1))
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.judge.layers)


def test_same_seed_same_weights(settings):
    first, second, other = (build(settings("gan_mnist", seed=seed), (8, 8, 1)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


# ---- minibatches ---------------------------------------------------------------------------------


def test_batches_shows_each_image_once_in_an_order_of_seed_and_epoch():
    pool = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)

    def order(seed, epoch):
        return np.concatenate(list(batches(pool, 5, seed, epoch).as_numpy_iterator())).ravel().tolist()

    assert sorted(order(1, 0)) == list(range(10))
    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(*pair)) for pair in [(1, 0), (1, 1), (2, 0), (2, 1)]}) == 4


def test_batches_leaves_the_incomplete_one_out_and_keeps_uint8():
    parts = list(batches(images(11), 5).as_numpy_iterator())
    assert [part.shape for part in parts] == [(5, 8, 8, 1)] * 2
    assert parts[0].dtype == np.uint8
    assert np.array_equal(np.concatenate(parts), images(11)[:10])


@pytest.mark.parametrize(("steps", "sizes"), [(10, [10]), (51, [17, 17, 17]), (37, [16, 16, 5])])
def test_blocks_hold_all_minibatches_in_order(monkeypatch, steps, sizes):
    monkeypatch.setattr("lib.training.IMAGES_A_CALL", 16 * 4)
    minibatches = batches(images(steps * 4), 4)
    found = list(blocks(minibatches).as_numpy_iterator())
    assert [len(block) for block in found] == sizes
    assert np.array_equal(np.concatenate(found), np.stack(list(minibatches.as_numpy_iterator())))


def test_binarize_once_is_white_as_often_as_grey_says():
    grey = np.full((1000, 8, 8, 1), 51, np.uint8)
    drawn = binarize_once(grey, 0)
    assert set(np.unique(drawn)) == {0, 255}
    assert (drawn == 255).mean() == pytest.approx(0.2, abs=0.01)
    ends = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(500, 1)
    assert np.array_equal(binarize_once(ends, 0), ends)


# ---- training ------------------------------------------------------------------------------------

TINY = {"width": 8, "latent_dim": 3, "batch_size": 8, "epochs": 2}
CASES = [
    ("vae_mnist", {}),
    ("vae_mnist", {"network": "conv", "likelihood": "gaussian", "binarize": "dynamic"}),
    ("vae_cifar10", {"depth": 2, "activation": "tanh", "binarize": "fixed"}),
    ("gan_mnist", {}),
    ("gan_cifar10", {"network": "conv"}),
    ("gan_cifar10", {"network": "dcgan", "loss": "hinge", "spectral_norm": True, "ema": 0.9}),
    ("wgan_mnist", {"n_critic": 2}),
    ("wgan_mnist", {"n_critic": 2, "lipschitz": "clip"}),
    ("wgan_cifar10", {"network": "conv", "n_critic": 2}),
]


@pytest.mark.parametrize(("notebook", "changed"), CASES)
def test_tiny_training_changes_every_network_and_reports_finite_numbers(settings, notebook, changed):
    ours = settings(notebook, **{**TINY, **changed})
    dataset = data(channels=3 if "cifar10" in notebook else 1)
    model = build(ours, dataset.x_train.shape[1:])
    before = {name: network.get_weights() for name, network in model.networks.items()}
    history = train(model, dataset, ours)
    assert all(len(values) == 2 and np.isfinite(values).all() for values in history.values())
    assert set(history) == {f"{prefix}{name}" for name in model.means for prefix in ("", "val_")}
    for name, network in model.networks.items():
        assert any(not np.array_equal(a, b) for a, b in zip(before[name], network.get_weights(), strict=True)), name


def test_wgan_takes_n_critic_steps_on_different_images_for_one_of_the_generator(settings):
    ours = settings("wgan_mnist", **TINY, n_critic=4)
    model = build(ours, (8, 8, 1))
    seen = []
    model.critic_step = lambda real: (seen.append(np.asarray(real)), (tf.zeros(()), tf.zeros(())))[1]
    model.generator_step = lambda count: tf.zeros(())
    model.train_step(tf.constant(images(32)))
    assert len(seen) == 4
    assert np.allclose(np.concatenate(seen), images(32) / 255, atol=1e-6)


def test_steps_and_images_are_counted(settings):
    ours = settings("wgan_mnist", **TINY, n_critic=3)
    dataset = data(64)
    model = build(ours, (8, 8, 1))
    train(model, dataset, ours)
    steps = {"critic": 2 * 2 * 3, "generator": 2 * 2}
    assert model.effort() == {"steps": steps, "images_seen": 2 * 48}


def test_clipping_holds_after_training(settings):
    ours = settings("wgan_mnist", **TINY, lipschitz="clip", clip=0.003)
    model = build(ours, (8, 8, 1))
    train(model, data(), ours)
    assert max(np.abs(weight).max() for weight in model.judge.get_weights()) <= 0.003 * (1 + 1e-6)


def test_the_same_settings_give_the_same_training(settings):
    ours = settings("gan_mnist", **TINY)
    first, second = (train(build(ours, (8, 8, 1)), data(), ours) for _ in range(2))
    assert first == second


# ---- speed changes no result ---------------------------------------------------------------------


def test_fused_adam_is_adam():
    weights = [RNG.normal(size=shape).astype("f") for shape in ((3, 4), (5,))]
    ours, theirs = ([keras.Variable(weight) for weight in weights] for _ in range(2))
    options = {"learning_rate": 1e-2, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-4}
    fused, plain = FusedAdam(**options), keras.optimizers.Adam(**options)
    for _ in range(20):
        slopes = [tf.constant(RNG.normal(size=weight.shape).astype("f")) for weight in weights]
        fused.apply_gradients(zip(slopes, ours, strict=True))
        plain.apply_gradients(zip(slopes, theirs, strict=True))
    for one, other, start in zip(ours, theirs, weights, strict=True):
        assert np.allclose(one, other, atol=1e-6)
        assert np.abs(one - start).max() > 0.05


def plain_step(model, images):
    """A step of each model as its paper has it, without a thing shared or fused."""

    def update(optimizer, tape, loss, network):
        weights = network.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    pixels = tf.cast(images, "float32") / 255.0
    if isinstance(model, VAE):
        with tf.GradientTape() as tape:
            z_mean, z_log_var = model.encoder(pixels)
            noise = keras.random.normal(z_mean.shape, seed=model.training_seed)
            logits = model.decoder(z_mean + tf.exp(0.5 * z_log_var) * noise)
            nll = tf.nn.sigmoid_cross_entropy_with_logits(labels=pixels, logits=logits)
            kl = 0.5 * (tf.exp(z_log_var) + z_mean**2 - 1.0 - z_log_var)
            loss = tf.reduce_mean(tf.reduce_sum(nll, (1, 2, 3)) + tf.reduce_sum(kl, 1))
        update(model.optimizers["vae"], tape, loss, model)
    elif isinstance(model, GAN):
        latents = model.latents(images.shape[0], model.training_seed)
        with tf.GradientTape() as tape:
            real, fake = (model.judge(x, training=True) for x in (pixels, model.generator(latents, training=True)))
            loss = 0.5 * (tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake)))
        update(model.optimizers[model.judge.name], tape, loss, model.judge)
        with tf.GradientTape() as tape:
            scores = model.judge(model.generator(latents, training=True), training=True)
            loss = tf.reduce_mean(tf.nn.softplus(-scores))
        update(model.optimizers["generator"], tape, loss, model.generator)
    else:
        for real in tf.split(pixels, model.settings.n_critic):
            fake = model.generator(model.latents(real.shape[0], model.training_seed), training=True)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model.judge(fake)) - tf.reduce_mean(model.judge(real))
                mix = keras.random.uniform((real.shape[0], 1, 1, 1), seed=model.training_seed)
                loss += model.settings.gp_weight * gradient_penalty(model.judge, real, fake, mix)
            update(model.optimizers[model.judge.name], tape, loss, model.judge)
        with tf.GradientTape() as tape:
            latents = model.latents(real.shape[0], model.training_seed)
            loss = -tf.reduce_mean(model.judge(model.generator(latents, training=True)))
        update(model.optimizers["generator"], tape, loss, model.generator)


@pytest.mark.parametrize("notebook", ["vae_mnist", "gan_mnist", "wgan_mnist"])
def test_fit_makes_the_steps_of_the_papers(settings, notebook):
    """Two epochs by `train` and by plain steps with Keras' Adam end with the same weights, but for rounding."""
    ours = settings(notebook, **TINY, **({"n_critic": 2} if notebook == "wgan_mnist" else {}))
    dataset = data(80)
    fitted, plain = (build(ours, (8, 8, 1)) for _ in range(2))
    train(fitted, dataset, ours)
    plain.begin(dataset.x_train, dataset.x_validation)
    betas = {"vae_mnist": (0.9, 0.999), "gan_mnist": (ours.__dict__.get("beta_1"), 0.999), "wgan_mnist": (0.5, 0.9)}
    names = ("vae",) if notebook == "vae_mnist" else (plain.judge.name, "generator")
    plain.make_optimizers = lambda: {
        name: keras.optimizers.Adam(ours.learning_rate, *betas[notebook]) for name in names
    }
    plain.prepare()
    step = tf.function(lambda images: plain_step(plain, images), autograph=False)
    size = 16 if notebook == "wgan_mnist" else 8
    for epoch in range(2):
        for minibatch in batches(dataset.x_train, size, ours.seed, epoch):
            step(minibatch)
    untrained = build(ours, (8, 8, 1))
    for one, other, start in zip(
        fitted.trainable_weights, plain.trainable_weights, untrained.trainable_weights, strict=True
    ):
        moved = np.abs(one - start).max()
        assert np.abs(one - other).max() <= 0.02 * moved, one.path


@pytest.mark.parametrize("notebook", ["vae_mnist", "gan_mnist", "wgan_mnist"])
def test_settings_for_gpus_train_to_about_the_same_losses(settings, notebook):
    usual = {}
    for changed in ({}, {"precision": "mixed_bfloat16"}, {"jit_compile": True}):
        ours = settings(notebook, **TINY, **changed, **({"n_critic": 2} if notebook == "wgan_mnist" else {}))
        history = train(build(ours, (8, 8, 1)), data(), ours)
        assert keras.config.dtype_policy().name == "float32"
        usual = usual or history
        for name, values in usual.items():
            scale = max(1.0, np.abs(values).max())
            assert np.allclose(values, history[name], atol=0.05 * scale), (name, changed)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", [7.0] * 7),
        ("linear", [7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]),
        ("burda", [7.0] + [7.0 * 10 ** (-1 / 7)] * 3 + [7.0 * 10 ** (-2 / 7)] * 3),
    ],
)
def test_the_learning_rate_of_an_epoch(schedule, rates):
    asked = SimpleNamespace(schedule=schedule, learning_rate=7.0, epochs=7)
    assert [rate(epoch, asked) for epoch in range(7)] == pytest.approx(rates)


@pytest.mark.parametrize("notebook", ["vae_mnist", "gan_mnist", "wgan_mnist"])
def test_a_schedule_moves_all_optimizers(settings, notebook):
    ours = settings(notebook, **TINY, schedule="linear")
    train(model := build(ours, (8, 8, 1)), data(64), ours)
    rates = [float(one.learning_rate) for one in model.optimizers.values()]
    assert rates == pytest.approx([ours.learning_rate / 2] * (1 if notebook == "vae_mnist" else 2))


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_a_vae_starts_at_the_mean_image(settings, network):
    model = build(settings("vae_cifar10", width=8, network=network), (8, 8, 3))
    shown = images(50, channels=3)
    model.start_at_mean(shown)
    drawn = tf.sigmoid(model.decoder(np.zeros((1, 2), "f")))[0]  # no latents, and all other biases are zero
    mean = shown.mean(axis=0) / 255
    expected = mean if network == "mlp" else np.broadcast_to(mean.mean(axis=(0, 1)), mean.shape)
    assert np.allclose(drawn, expected, atol=1e-5)


def test_training_lowers_the_vae_loss(settings):
    ours = settings("vae_mnist", **{**TINY, "epochs": 20, "width": 64, "learning_rate": 3e-3})
    history = train(build(ours, (8, 8, 1)), data(128), ours)
    assert history["loss"][-1] < history["loss"][0] - 5
    assert history["loss"][-1] == pytest.approx(history["reconstruction"][-1] + history["kl"][-1], rel=1e-5)


@pytest.mark.parametrize(
    ("notebook", "network", "words"),
    [("vae_mnist", "decoder", "loss|reconstruction|kl"), ("gan_mnist", "discriminator", "d_loss")],
)
def test_a_loss_that_is_not_finite_stops_the_run(settings, notebook, network, words):
    ours = settings(notebook, **TINY)
    model = build(ours, (8, 8, 1))
    part = model.networks[network]
    part.set_weights([np.full_like(weight, np.nan) for weight in part.get_weights()])
    model.drawn = networks_digest(model.networks)  # as if they had been drawn so
    with pytest.raises(NonFiniteLossError, match=rf"({words}) is nan at epoch 1, within 8 steps .*lower learning_rate"):
        train(model, data(), ours)


def test_a_validation_loss_that_is_not_finite_stops_the_run(settings):
    ours = settings("vae_mnist", **TINY)
    model = build(ours, (8, 8, 1))
    infinite = dict.fromkeys(model.means, tf.constant(0.0)) | {"loss": tf.constant(np.inf)}
    model.test_step = lambda part: model.report(**infinite)
    with pytest.raises(NonFiniteLossError, match="val_loss is inf at epoch 1, on validation images"):
        train(model, data(), ours)


@pytest.mark.parametrize(("count", "size"), [(5000, 500), (143, 143), (700, 350), (4999, 499)])
def test_validation_batches_leave_out_almost_nothing(count, size):
    assert even_size(count, 500) == size


def test_neighbouring_seeds_share_no_stream():
    assert len({stream(seed, number) for seed in range(20) for number in range(4)}) == 80


def test_no_validation_images_no_validation_numbers(settings):
    ours = settings("vae_mnist", **TINY)
    assert set(train(build(ours, (8, 8, 1)), data(validation=0), ours)) == {"loss", "reconstruction", "kl"}


def test_models_are_what_the_settings_name(settings):
    kinds = {"vae_mnist": VAE, "gan_mnist": GAN, "wgan_mnist": WGAN}
    for notebook, kind in kinds.items():
        assert isinstance(build(settings(notebook), (8, 8, 1)), kind)
