"""A variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114): all that is particular to it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from lib.backend import Lazy, keras, ops, tf
from lib.models.base import ImageModel, per_image, unit_range
from lib.models.description import Description, Settings, integer, positive
from lib.models.layers import EXACT, centred, down, to_image, up

layers, custom = Lazy("keras.layers"), Lazy("lib.models.custom")

CHANNELS = {"conv": (32, 64), "dcgan": (32, 64, 128)}  # of the encoder's convolutions; the decoder's are in reverse
MIXED = 10  # Gaussians of the mixture that is fitted to encoded images
FITTED_IMAGES = 5000  # training images that it is fitted to
BOUND_IMAGES = 1000  # test images of the importance-weighted bounds


class VAESettings(Settings):
    """A variational autoencoder's settings."""

    evaluation_only = ("importance_samples",)

    likelihood: Literal["bernoulli", "gaussian"]
    binarize: Literal["none", "fixed", "dynamic"]
    depth: integer(1, 8)
    activation: Literal["relu", "tanh"]
    schedule: Literal["constant", "linear", "burda"]
    epsilon: positive(1)
    importance_samples: integer(1, 5000)


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


def binarize_once(images: np.ndarray, seed: int) -> np.ndarray:
    """One seeded draw of black or white per pixel: uint8 -> uint8 in {0, 255}, each white with probability grey/255."""
    draws = np.random.default_rng(seed).integers(0, 255, images.shape, dtype=np.uint8)
    return np.where(draws < images, np.uint8(255), np.uint8(0))


# ---- the model -----------------------------------------------------------------------------------


class VAE(ImageModel):
    """An encoder and a decoder that are trained together on the evidence lower bound (ELBO)."""

    Settings = VAESettings
    images_per_second = (35_000, 5_000)

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        self.encoder = self.build_encoder()
        self.decoder = self.build_decoder()

    @classmethod
    def describe(cls, settings):
        bounds = {f"nll_{k}": f"−L{sub} (nats)" for k, sub in zip(BOUNDS, ("₁", "₅", "₅₀", "₅₀₀", "₅₀₀₀"), strict=True)}
        return Description(
            title="VAE",
            columns={"loss": "loss (−ELBO)", "reconstruction": "reconstruction", "kl": "KL"},
            curve=(("loss", "reconstruction"), ("kl",)),
            losses=(("loss", "reconstruction"), ("kl",)),
            units=("nats per image", "nats"),
            headline="test_loss",
            metrics={
                "test_loss": "test loss (nats)",
                "test_reconstruction": "reconstruction (nats)",
                "test_kl": "KL (nats)",
                "active_units": "active units",
                "frechet_fitted": "Fréchet, fitted prior",
                **bounds,
            },
            figures=("reconstructions", "latent_map"),
            steps=("vae", ""),
        )

    @property
    def networks(self):
        return {"encoder": self.encoder, "decoder": self.decoder}

    def build_encoder(self) -> keras.Model:
        """Images [B, H, W, C] in [0, 1] -> z_mean, z_log_var, each [B, latent_dim]."""
        settings = self.settings
        images = keras.Input(self.image_shape, name="images")
        hidden = centred(images, 1.0)  # at 2 tanh units saturate, and the loss was higher with relu too
        if settings.network in CHANNELS:
            hidden = down(hidden, CHANNELS[settings.network], settings.activation)
        hidden = layers.Flatten(name="flatten")(hidden)
        for number in range(settings.depth):
            hidden = layers.Dense(settings.width, settings.activation, name=f"hidden_{number + 1}")(hidden)
        outputs = [layers.Dense(settings.latent_dim, name=name, **EXACT)(hidden) for name in ("z_mean", "z_log_var")]
        return keras.Model(images, outputs, name="encoder")

    def build_decoder(self) -> keras.Model:
        """Latents [B, latent_dim] -> logits of the pixel means, [B, H, W, C]."""
        settings = self.settings
        latents = hidden = keras.Input((settings.latent_dim,), name="latents")
        for number in range(settings.depth):
            hidden = layers.Dense(settings.width, settings.activation, name=f"hidden_{number + 1}")(hidden)
        if settings.network in CHANNELS:
            channels = CHANNELS[settings.network][::-1]
            logits = up(hidden, self.image_shape, channels, lambda x: layers.Activation(settings.activation)(x))
        else:
            logits = to_image(hidden, self.image_shape)
        if settings.likelihood == "gaussian":
            logits = custom.PixelVariance(name="pixel_variance", **EXACT)(logits)
        return keras.Model(latents, logits, name="decoder")

    def make_optimizers(self):
        return {"vae": custom.FusedAdam(self.settings.learning_rate, epsilon=self.settings.epsilon)}

    def begin(self, x_train, x_validation):
        if self.settings.binarize == "fixed":
            x_train, x_validation = binarize_once(x_train, 0), binarize_once(x_validation, 1)
        self.start_at_mean(x_train)
        return x_train, x_validation

    def start_at_mean(self, images: np.ndarray) -> None:
        """Sets the decoder's last bias so that, before training, it draws about the mean of uint8 images [N, H, W, C].

        As in the code of Burda et al. (2016). Starting from zero, the decoder ignores the latents at first: with their
        settings, three epochs reached 181 nats from zero and 126 from the mean.
        """
        last = next(layer for layer in reversed(self.decoder.layers) if getattr(layer, "bias", None) is not None)
        mean = images.mean(axis=0) / 255.0
        mean = mean.ravel() if last.bias.shape[0] == mean.size else mean.mean(axis=(0, 1))  # conv: one a channel
        mean = mean.clip(0.001, 0.999)
        last.bias.assign(np.log(mean / (1.0 - mean)))

    # -- the algorithm

    def pixels(self, images, seed):
        """What the likelihood is of: uint8 images [B, H, W, C] -> [0, 1], or {0, 1} when binarised dynamically."""
        pixels = unit_range(images)
        if self.settings.binarize == "dynamic":
            pixels = ops.cast(keras.random.uniform(ops.shape(pixels), seed=seed) < pixels, "float32")
        return pixels

    def sample(self, z_mean, z_log_var, seed):
        """z ~ N(z_mean, exp(z_log_var)) by the reparameterisation z = mean + std * noise, [B, latent_dim]: the noise is
        drawn apart, so that gradients reach mean and variance (Kingma & Welling 2014, section 2.4)."""
        noise = keras.random.normal(ops.shape(z_mean), seed=seed)
        return z_mean + ops.exp(0.5 * z_log_var) * noise

    def nll(self, pixels, logits):
        """Negative log-likelihood of pixels [B, H, W, C] given the decoder's logits -> [B], in nats."""
        if self.settings.likelihood == "gaussian":
            return gaussian_nll(pixels, logits, self.decoder.get_layer("pixel_variance").log_variance)
        return bernoulli_nll(pixels, logits)

    def losses(self, images, seed):
        """Reconstruction and KL of uint8 images [B, H, W, C], one sample of z each -> two of [B], in nats."""
        pixels = self.pixels(images, seed)
        z_mean, z_log_var = self.encoder(pixels, training=True)
        logits = self.decoder(self.sample(z_mean, z_log_var, seed), training=True)
        return self.nll(pixels, logits), kl_to_standard_normal(z_mean, z_log_var)

    def total(self, reconstruction, kl):
        """The loss of each image, [B]: -ELBO."""
        return reconstruction + kl

    def train_step(self, images):
        with tf.GradientTape() as tape:
            reconstruction, kl = self.losses(images, self.training_seed)
            loss = ops.mean(self.total(reconstruction, kl))
        weights = self.trainable_weights
        self.optimizers["vae"].apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return self.report(loss=loss, reconstruction=ops.mean(reconstruction), kl=ops.mean(kl))

    def test_step(self, images):
        reconstruction, kl = self.losses(images, self.testing_seed)
        loss = ops.mean(self.total(reconstruction, kl))
        return self.report(loss=loss, reconstruction=ops.mean(reconstruction), kl=ops.mean(kl))

    def generate(self, z):
        return ops.sigmoid(self.decoder(z, training=False))  # the means: no noise of the pixels

    def encode(self, images):
        return self.encoder(unit_range(images), training=False)[0]

    def kl_per_latent(self, images):
        each = (ops.reshape(one, (-1, 1)) for one in self.encoder(unit_range(images), training=False))
        return ops.mean(ops.reshape(kl_to_standard_normal(*each), (-1, self.latent_dim)), axis=0)

    def fitted_latents(self, images, count):
        """A mixture of ten Gaussians is fitted to latents that the encoder draws for these images: where they leave
        gaps in the prior, the decoder was never trained (Ghosh et al. 2020, arXiv:1903.12436, section 4)."""
        from sklearn.mixture import GaussianMixture  # imported late: it takes a second

        from lib.scores import estimates

        rng = np.random.default_rng(estimates.SEED)
        encoded = [
            self.encoder(unit_range(part), training=False)
            for part in estimates.parts(estimates.some(images, FITTED_IMAGES))
        ]
        z_mean, z_log_var = (np.concatenate(each) for each in zip(*encoded, strict=True))
        z = z_mean + np.exp(z_log_var / 2) * rng.standard_normal(z_mean.shape)
        fitted = GaussianMixture(min(MIXED, len(z)), random_state=estimates.SEED).fit(z)
        drawn, _ = fitted.sample(count)
        return rng.permutation(drawn).astype(np.float32)

    # -- numbers

    def numbers(self, dataset, card):
        """Test loss (negative ELBO) and its parts, importance-weighted bounds, the number of active latent units, and
        the Frechet distance of images from `fitted_latents`.

        The losses and bounds are in nats per image. A unit is active when its posterior mean varies over test images by
        more than 0.01 (Burda et al. 2016, section 5.2).
        """
        from lib.scores import estimates
        from lib.scores.drawing import decode

        images = dataset.x_test if self.settings.binarize == "none" else binarize_once(dataset.x_test, 2)
        seed = keras.random.SeedGenerator(estimates.SEED)
        losses = [self.losses(part, seed) for part in estimates.parts(images)]
        reconstruction, kl = (float(np.mean(np.concatenate(values))) for values in zip(*losses, strict=True))
        means = np.concatenate([self.encode(part) for part in estimates.parts(images)])
        found = {
            "test_loss": reconstruction + kl,
            "test_reconstruction": reconstruction,
            "test_kl": kl,
            "active_units": int((means.var(axis=0) > 0.01).sum()),
        }
        chosen = estimates.some(images, BOUND_IMAGES)
        bounds = importance_bounds(self, chosen, self.settings.importance_samples)
        references = {}
        if self.settings.likelihood == "bernoulli":
            marks, of_chosen = (estimates.bernoulli_references(dataset.x_train, each) for each in (images, chosen))
            references = {"test_loss": marks, "test_reconstruction": marks} | dict.fromkeys(bounds, of_chosen)
        counts = dict.fromkeys(found, len(images)) | dict.fromkeys(bounds, len(chosen))
        if "frechet" not in card.absent and card.classifier:
            z = self.fitted_latents(dataset.x_train, card.count)
            fitted = {"frechet_fitted": card.scores(decode(self, z))["frechet"]}
            found, counts = found | fitted, counts | dict.fromkeys(fitted, card.count)
            references["frechet_fitted"] = card.references["frechet"]
        return {"metrics": found | bounds, "references": references, "samples_n": counts, "absent": {}}


BOUNDS = (1, 5, 50, 500, 5000)  # samples of z for each image


def importance_bounds(model: VAE, images: np.ndarray, most: int) -> dict[str, float]:
    """-L_k of uint8 [N, H, W, C], nats per image, under the names nll_1, nll_5, nll_50, ... up to k = `most`.

    Upper bounds of the negative log-likelihood that fall as k rises (Burda et al. 2016, theorem 1); -L_1 is the loss.
    """
    from lib.scores import estimates

    sizes = [k for k in BOUNDS if k <= most]
    at_a_time = min(sizes[-1], 500)
    seed = keras.random.SeedGenerator(estimates.SEED)

    @tf.function
    def draw(pixels):
        return log_weights(model, pixels, at_a_time, seed)

    found = []
    for part in estimates.parts(images, 2):  # two images with 500 samples each: the decoder's work stays in the cache
        drawn = [draw(model.pixels(part, seed)) for _ in range(sizes[-1] // at_a_time)]
        found.append(np.concatenate(drawn, axis=1))
    bounds = estimates.importance_bounds(np.concatenate(found), sizes)
    return {f"nll_{k}": -bound for k, bound in bounds.items()}


def log_weights(model: VAE, pixels, count: int, seed):
    """log p(x|z) p(z) / q(z|x) for `count` draws of z from q(z|x): pixels [B, H, W, C] -> [B, count]."""
    z_mean, z_log_var = model.encoder(pixels, training=False)
    z_mean, z_log_var, repeated = (tf.repeat(each, count, axis=0) for each in (z_mean, z_log_var, pixels))
    noise = keras.random.normal(tf.shape(z_mean), seed=seed)
    z = z_mean + tf.exp(0.5 * z_log_var) * noise
    log_ratio = 0.5 * tf.reduce_sum(noise**2 + z_log_var - z**2, axis=1)  # log p(z) - log q(z|x)
    log_weight = log_ratio - model.nll(repeated, model.decoder(z, training=False))
    return tf.reshape(log_weight, (-1, count))
