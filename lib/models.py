"""VAE, GAN and WGAN: their losses as named functions, and Keras models whose `train_step` is the algorithm.

`fit()` stays the loop. Every model takes uint8 images [B, H, W, C] as they lie in memory and scales them to [0, 1]
inside the compiled step. Each draws its random numbers from `keras.random.SeedGenerator`s of its own, whose state is a
function of the seed and the number of steps taken. Losses are in nats per image.
"""

import math

import numpy as np

from lib.backend import keras, tf  # isort: skip  before anything of Keras
from keras import ops

from lib import networks
from lib.provenance import networks_digest

LOG_2 = math.log(2.0)


def unit_range(images):
    """uint8 [B, H, W, C] in 0..255 -> float32 in [0, 1]."""
    return ops.cast(images, "float32") / 255.0


def per_image(values):
    """Sum over everything but the batch: [B, ...] -> [B]. Mixing this sum with a mean weighs the KL wrongly."""
    return ops.sum(ops.reshape(values, (ops.shape(values)[0], -1)), axis=1)


# ---- losses --------------------------------------------------------------------------------------


def bernoulli_nll(pixels, logits):
    """Cross-entropy of pixels in [0, 1] under Bernoulli logits, [B, H, W, C] both -> [B], in nats."""
    return per_image(ops.softplus(logits) - logits * pixels)


def gaussian_nll(pixels, logits, log_variance):
    """-log N(pixels; sigmoid(logits), exp(log_variance)), [B, H, W, C] -> [B], in nats (a density: may be negative)."""
    squared = ops.square(pixels - ops.sigmoid(logits))
    return per_image(0.5 * (squared * ops.exp(-log_variance) + log_variance + math.log(2.0 * math.pi)))


def kl_to_standard_normal(z_mean, z_log_var):
    """KL(N(z_mean, exp(z_log_var)) || N(0, 1)), [B, Z] both -> [B], in nats (Kingma & Welling 2014, appendix B)."""
    return per_image(0.5 * (ops.exp(z_log_var) + ops.square(z_mean) - 1.0 - z_log_var))


def discriminator_loss(real_logits, fake_logits):
    """Mean of the real and the fake cross-entropies, [B, 1] both -> scalar (Goodfellow et al. 2014, eq. 1, halved)."""
    return 0.5 * (ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits)))


def jsd_estimate(discriminator_loss):
    """log 2 - d_loss, in nats, at most 0.6931: in expectation, and on images that the discriminator was not fitted
    to, a lower bound of the Jensen-Shannon divergence (Goodfellow et al. 2014, theorem 1)."""
    return LOG_2 - discriminator_loss


def non_saturating_loss(fake_logits):
    """The generator's loss, -log D(G(z)), [B, 1] -> scalar (Goodfellow et al. 2014, section 3)."""
    return ops.mean(ops.softplus(-fake_logits))


def emd_estimate(real_scores, fake_scores):
    """mean critic(real) - mean critic(fake), [B, 1] both -> scalar (Arjovsky et al. 2017, eq. 2). Not W1 itself: it is
    off by the critic's unknown Lipschitz constant (section 4.2 there); a negative one says the critic has failed."""
    return ops.mean(real_scores) - ops.mean(fake_scores)


def gradient_penalty(critic, real, fake, mix):
    """(||grad critic(x)||_2 - 1)^2 at x between real and fake images -> scalar (Gulrajani et al. 2017, eq. 3).

    Args:
        real, fake: [B, H, W, C] in [0, 1].
        mix: [B, 1, 1, 1], uniform in [0, 1]: one per image.
    """
    between = mix * real + (1.0 - mix) * fake
    with tf.GradientTape() as tape:
        tape.watch(between)
        scores = critic(between, training=True)
    squared = per_image(ops.square(tape.gradient(scores, between)))
    return ops.mean(ops.square(ops.sqrt(squared + 1e-12) - 1.0))  # the root's own gradient is infinite at zero


# ---- models --------------------------------------------------------------------------------------


class ImageModel(keras.Model):
    """What the three share: named running means as metrics, and seeds.

    Args:
        names: the numbers that each step reports, in the order of history.csv's columns.
        seed: of training; what is measured between epochs draws from a stream of its own.
    """

    def __init__(self, names, seed, **kwargs):
        super().__init__(**kwargs)
        self.means = {name: keras.metrics.Mean(name=name) for name in names}
        self.training_seed = keras.random.SeedGenerator(networks.stream(seed, 0))
        self.testing_seed = keras.random.SeedGenerator(networks.stream(seed, 1))
        self.settings, self.image_shape, self.drawn = None, None, ""  # see `build`

    @property
    def metrics(self):
        return list(self.means.values())

    def make_train_function(self, force=False):
        if force or self.train_function is None:
            self.train_function = self._on_blocks(self.train_step, self.jit_compile)

    def make_test_function(self, force=False):
        if force or self.test_function is None:
            self.test_function = self._on_blocks(self.test_step, jit_compile=False)

    def _on_blocks(self, step, jit_compile):
        """What `fit()` calls: takes a block of minibatches, [K, B, ...], and makes a step on each in one compiled loop.

        Keras' own loop, steps_per_execution, asks the pipeline for each minibatch: a step of the mlp VAE took 3 to 5 %
        longer, of GAN and WGAN as long.
        """

        @tf.function(jit_compile=jit_compile, autograph=False)
        def steps(block):
            def one(number):
                step(block[number])
                return number + 1

            tf.while_loop(lambda number: number < tf.shape(block)[0], one, [tf.constant(0)])
            return self.get_metrics_result()

        return lambda iterator: steps(next(iterator))

    def report(self, **values):
        """Adds a step's numbers to the running means and returns these."""
        for name, value in values.items():
            self.means[name].update_state(value)
        return {name: mean.result() for name, mean in self.means.items()}


class VAE(ImageModel):
    """A variational autoencoder (Kingma & Welling 2014).

    Args:
        encoder, decoder: as `networks.encoder` and `networks.decoder` build them.
        likelihood: "bernoulli" or "gaussian" (one learned variance for all pixels).
        binarize: "dynamic" draws each pixel again, black or white, at every use; otherwise pixels stay as they are.
    """

    def __init__(self, encoder, decoder, *, likelihood="bernoulli", binarize="none", seed=0):
        super().__init__(("loss", "reconstruction", "kl"), seed, name="vae")
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.binarize = likelihood, binarize

    @property
    def networks(self):
        return {"encoder": self.encoder, "decoder": self.decoder}

    def pixels(self, images, seed):
        """What the likelihood is of: uint8 images [B, H, W, C] -> [0, 1], or {0, 1} when binarised dynamically."""
        pixels = unit_range(images)
        if self.binarize == "dynamic":
            pixels = ops.cast(keras.random.uniform(ops.shape(pixels), seed=seed) < pixels, "float32")
        return pixels

    def start_at_mean(self, images):
        """Sets the decoder's last bias so that, before training, it draws about the mean of uint8 images [N, H, W, C].

        As in the code of Burda et al. (2016). Starting from zero, the decoder ignores the latents at first: with their
        settings, three epochs reached 181 nats from zero and 126 from the mean.
        """
        last = next(layer for layer in reversed(self.decoder.layers) if getattr(layer, "bias", None) is not None)
        mean = images.mean(axis=0) / 255.0
        mean = mean.ravel() if last.bias.shape[0] == mean.size else mean.mean(axis=(0, 1))  # conv: one a channel
        mean = mean.clip(0.001, 0.999)
        last.bias.assign(np.log(mean / (1.0 - mean)))

    def nll(self, pixels, logits):
        """Negative log-likelihood of pixels [B, H, W, C] given the decoder's logits -> [B], in nats."""
        if self.likelihood == "gaussian":
            return gaussian_nll(pixels, logits, self.decoder.get_layer("pixel_variance").log_variance)
        return bernoulli_nll(pixels, logits)

    def losses(self, images, seed):
        """Reconstruction and KL of uint8 images [B, H, W, C], one sample of z each -> two of [B], in nats."""
        pixels = self.pixels(images, seed)
        z_mean, z_log_var = self.encoder(pixels, training=True)
        noise = keras.random.normal(ops.shape(z_mean), seed=seed)
        logits = self.decoder(z_mean + ops.exp(0.5 * z_log_var) * noise, training=True)
        return self.nll(pixels, logits), kl_to_standard_normal(z_mean, z_log_var)

    def train_step(self, images):
        with tf.GradientTape() as tape:
            reconstruction, kl = self.losses(images, self.training_seed)
            loss = ops.mean(reconstruction + kl)
        weights = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return self.report(loss=loss, reconstruction=ops.mean(reconstruction), kl=ops.mean(kl))

    def test_step(self, images):
        reconstruction, kl = self.losses(images, self.testing_seed)
        return self.report(loss=ops.mean(reconstruction + kl), reconstruction=ops.mean(reconstruction), kl=ops.mean(kl))


class Adversarial(ImageModel):
    """A generator, and the network that judges its images against real ones; each has an optimizer of its own."""

    def __init__(self, generator, judge, names, seed, **kwargs):
        super().__init__(names, seed, **kwargs)
        self.generator, self.judge = generator, judge
        self.latent_dim = generator.input_shape[-1]

    def compile(self, judge_optimizer, generator_optimizer, **kwargs):
        super().compile(optimizer=None, **kwargs)
        self.judge_optimizer, self.generator_optimizer = judge_optimizer, generator_optimizer
        judge_optimizer.build(self.judge.trainable_weights)
        generator_optimizer.build(self.generator.trainable_weights)

    @property
    def networks(self):
        return {"generator": self.generator, self.judge.name: self.judge}

    def latents(self, count, seed):
        """Prior samples, standard normal [count, latent_dim]."""
        return keras.random.normal((count, self.latent_dim), seed=seed)


class GAN(Adversarial):
    """A GAN with the non-saturating generator loss (Goodfellow et al. 2014); the judge is a discriminator."""

    def __init__(self, generator, discriminator, *, seed=0):
        super().__init__(generator, discriminator, ("d_loss", "g_loss", "jsd"), seed, name="gan")

    def train_step(self, images):
        real = unit_range(images)
        with tf.GradientTape() as generator_tape:
            fake = self.generator(self.latents(images.shape[0], self.training_seed), training=True)

        with tf.GradientTape() as tape:
            d_loss = discriminator_loss(self.judge(real, training=True), self.judge(fake, training=True))
        weights = self.judge.trainable_weights
        self.judge_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))

        with generator_tape:  # continues with the same images: the generator runs once per step
            g_loss = non_saturating_loss(self.judge(fake, training=True))
        weights = self.generator.trainable_weights
        self.generator_optimizer.apply_gradients(zip(generator_tape.gradient(g_loss, weights), weights, strict=True))
        return self.report(d_loss=d_loss, g_loss=g_loss, jsd=jsd_estimate(d_loss))

    def test_step(self, images):
        fake = self.generator(self.latents(images.shape[0], self.testing_seed), training=False)
        fake_logits = self.judge(fake, training=False)
        d_loss = discriminator_loss(self.judge(unit_range(images), training=False), fake_logits)
        return self.report(d_loss=d_loss, g_loss=non_saturating_loss(fake_logits), jsd=jsd_estimate(d_loss))


class WGAN(Adversarial):
    """A Wasserstein GAN; the judge is a critic, kept near Lipschitz 1 in one of two ways.

    A batch holds `n_critic` minibatches: the critic takes one step on each, then the generator takes one.

    Args:
        lipschitz: "clip" (weights into [-clip, clip], Arjovsky et al. 2017, algorithm 1) or
            "gp" (gradient penalty times gp_weight, Gulrajani et al. 2017, algorithm 1).
    """

    def __init__(self, generator, critic, *, lipschitz="gp", clip=0.01, gp_weight=10.0, n_critic=5, seed=0):
        super().__init__(generator, critic, ("critic_loss", "g_loss", "emd"), seed, name="wgan")
        self.lipschitz, self.clip, self.gp_weight, self.n_critic = lipschitz, clip, gp_weight, n_critic

    def critic_step(self, real):
        """One update of the critic on real images [B, H, W, C] in [0, 1] -> its loss and the EMD estimate."""
        count = real.shape[0]
        fake = self.generator(self.latents(count, self.training_seed), training=True)
        with tf.GradientTape() as tape:
            emd = emd_estimate(self.judge(real, training=True), self.judge(fake, training=True))
            loss = -emd
            if self.lipschitz == "gp":
                mix = keras.random.uniform((count, 1, 1, 1), seed=self.training_seed)
                loss += self.gp_weight * gradient_penalty(self.judge, real, fake, mix)
        weights = self.judge.trainable_weights
        self.judge_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        if self.lipschitz == "clip":
            for weight in weights:
                weight.assign(ops.clip(weight, -self.clip, self.clip))
        return loss, emd

    def generator_step(self, count):
        """One update of the generator on `count` new latents -> its loss."""
        latents = self.latents(count, self.training_seed)
        with tf.GradientTape() as tape:
            loss = -ops.mean(self.judge(self.generator(latents, training=True), training=True))
        weights = self.generator.trainable_weights
        self.generator_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    def train_step(self, images):
        count = images.shape[0] // self.n_critic
        minibatches = ops.reshape(unit_range(images), (self.n_critic, count, *images.shape[1:]))
        critic_losses, emds = tf.map_fn(
            self.critic_step, minibatches, parallel_iterations=1, fn_output_signature=(tf.float32, tf.float32)
        )
        g_loss = self.generator_step(count)
        return self.report(critic_loss=ops.mean(critic_losses), g_loss=g_loss, emd=ops.mean(emds))

    def test_step(self, images):
        fake = self.generator(self.latents(images.shape[0], self.testing_seed), training=False)
        fake_scores = self.judge(fake, training=False)
        emd = emd_estimate(self.judge(unit_range(images), training=False), fake_scores)
        return self.report(critic_loss=-emd, g_loss=-ops.mean(fake_scores), emd=emd)


def build(settings, shape) -> ImageModel:
    """The model that validated settings ask for, its weights drawn from their seed.

    It remembers settings, shape and these weights' digest: `training.train` trains a model only as it was built.

    Args:
        shape: of the images, [H, W, C].
    """
    keras.utils.set_random_seed(settings.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        model = _build(settings, shape)
    finally:
        keras.config.set_dtype_policy(before)
    model.settings, model.image_shape, model.drawn = settings, tuple(shape), networks_digest(model.networks)
    return model


def _build(settings, shape):
    if settings.model == "vae":
        parts = networks.encoder(shape, settings), networks.decoder(shape, settings)
        return VAE(*parts, likelihood=settings.likelihood, binarize=settings.binarize, seed=settings.seed)
    generator = networks.generator(shape, settings)
    if settings.model == "gan":
        return GAN(generator, networks.discriminator(shape, settings), seed=settings.seed)
    lipschitz = settings.model_dump(include={"lipschitz", "clip", "gp_weight", "n_critic"})
    return WGAN(generator, networks.critic(shape, settings), **lipschitz, seed=settings.seed)
