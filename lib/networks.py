"""The networks: functions that build one named Keras model each, from an image shape and a run's settings.

Images are float32 [B, H, W, C] in [0, 1] wherever they enter or leave a network; a decoder gives logits of them.
In every network that `width` (the report's "model complexity") shapes, it is the number of units of the first Dense
layer; discriminator and critic are the same at every width, so that only one thing varies.
"""

from lib.backend import keras  # isort: skip  before anything of Keras
import numpy as np
from keras import layers, ops

LEAK = 0.2  # slope of LeakyReLU for negative inputs (Radford et al. 2016, arXiv:1511.06434)
DROPOUT = 0.3  # of the mlp discriminator: without it, galleries of mlp GANs on MNIST lost most digits but 4, 7 and 9

EXACT = {"dtype": "float32"}  # of layers whose output a loss sees, at every `precision`


@keras.saving.register_keras_serializable("latent_report")
class PixelVariance(layers.Layer):
    """Passes logits on unchanged and owns the Gaussian likelihood's one learned scalar, log sigma^2."""

    def build(self, input_shape):
        self.log_variance = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(-3.0), name="log_variance"
        )

    def call(self, logits):
        return logits


def stream(seed: int, number: int) -> int:
    """The seed of one of a run's streams of random numbers: neighbouring seeds share none, as seed + number would."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def encoder(shape, settings) -> keras.Model:
    """A VAE's encoder: images [B, H, W, C] in [0, 1] -> z_mean, z_log_var, each [B, latent_dim]."""
    images = keras.Input(shape, name="images")
    hidden = _centred(images, 1.0)  # at 2 tanh units saturate, and the loss was higher with relu too
    if settings.network == "conv":
        hidden = _down(hidden, (32, 64), settings.activation)
    hidden = layers.Flatten(name="flatten")(hidden)
    for number in range(settings.depth):
        hidden = layers.Dense(settings.width, settings.activation, name=f"hidden_{number + 1}")(hidden)
    outputs = [layers.Dense(settings.latent_dim, name=name, **EXACT)(hidden) for name in ("z_mean", "z_log_var")]
    return keras.Model(images, outputs, name="encoder")


def decoder(shape, settings) -> keras.Model:
    """A VAE's decoder: latents [B, latent_dim] -> logits of the pixel means, [B, H, W, C]."""
    latents = hidden = keras.Input((settings.latent_dim,), name="latents")
    for number in range(settings.depth):
        hidden = layers.Dense(settings.width, settings.activation, name=f"hidden_{number + 1}")(hidden)
    if settings.network == "conv":
        logits = _up(hidden, shape, 64, 32, lambda x: layers.Activation(settings.activation)(x))
    else:
        logits = _image(hidden, shape)
    if settings.likelihood == "gaussian":
        logits = PixelVariance(name="pixel_variance", **EXACT)(logits)
    return keras.Model(latents, logits, name="decoder")


def generator(shape, settings) -> keras.Model:
    """A GAN's or WGAN's generator: latents [B, latent_dim] -> images [B, H, W, C] in [0, 1].

    Batch normalisation follows DCGAN (Radford et al. 2016): after every layer but the last.
    """
    latents = keras.Input((settings.latent_dim,), name="latents")
    hidden = _normalised(layers.Dense(settings.width, use_bias=False, name="hidden_1")(latents))
    if settings.network == "conv":
        logits = _up(hidden, shape, 128, 64, _normalised)
    else:
        hidden = _normalised(layers.Dense(512, use_bias=False, name="hidden_2")(hidden))
        logits = _image(hidden, shape)
    return keras.Model(latents, layers.Activation("sigmoid", name="unit_range", **EXACT)(logits), name="generator")


def discriminator(shape, settings) -> keras.Model:
    """A GAN's discriminator: images [B, H, W, C] in [0, 1] -> logits [B, 1] of "this image is real"."""
    return _judge(shape, settings, "discriminator", scale=2.0, dropout=DROPOUT)


def critic(shape, settings) -> keras.Model:
    """A WGAN's critic: images [B, H, W, C] in [0, 1] -> scores [B, 1] on the scale of the data."""
    return _judge(shape, settings, "critic", scale=1.0, dropout=0.0)  # scale 1: distances stay those of the pixels


def layer_table(network: keras.Model) -> list[dict]:
    """One row a layer: its name, kind, output shape without the batch, and number of parameters."""
    return [
        {
            "layer": layer.name,
            "kind": type(layer).__name__,
            "output": " × ".join(str(size) for size in layer.output.shape[1:]),
            "parameters": layer.count_params(),
        }
        for layer in network.layers
    ]


def facts(parts: dict[str, keras.Model]) -> dict[str, dict]:
    """What a run records of its networks, by their names: the layer tables and the numbers of parameters."""
    return {
        "layers": {name: layer_table(network) for name, network in parts.items()},
        "parameters": {name: network.count_params() for name, network in parts.items()},
    }


def _judge(shape, settings, name, scale, dropout):
    # No batch normalisation: it would couple the images of a batch, for which neither the JSD's bound nor the
    # gradient penalty (Gulrajani et al. 2017, section 4) holds.
    images = keras.Input(shape, name="images")
    hidden = _centred(images, scale)
    if settings.network == "conv":
        hidden = layers.Flatten(name="flatten")(_down(hidden, (64, 128), keras.layers.LeakyReLU(LEAK)))
    else:
        hidden = layers.Flatten(name="flatten")(hidden)
        for number in range(2):
            hidden = layers.Dense(512, name=f"hidden_{number + 1}")(hidden)
            hidden = layers.LeakyReLU(LEAK, name=f"leaky_{number + 1}")(hidden)
            if dropout:
                hidden = layers.Dropout(dropout, seed=stream(settings.seed, 2 + number), name=f"dropout_{number + 1}")(
                    hidden
                )
    return keras.Model(images, layers.Dense(1, name="score", **EXACT)(hidden), name=name)


def _centred(images, scale):
    """[0, 1] -> [-scale / 2, scale / 2].

    With uncentred colour images an mlp discriminator stayed near guessing, and an encoder's latents stayed off the
    prior for many epochs, so that samples came out dark.
    """
    return layers.Rescaling(scale, offset=-scale / 2, name="centred")(images)


def _down(hidden, channels, activation):
    """Strided convolutions, each halving height and width."""
    for number, count in enumerate(channels, 1):
        hidden = layers.Conv2D(count, 4, strides=2, padding="same", name=f"conv_{number}")(hidden)
        hidden = keras.layers.Activation(activation, name=f"active_{number}")(hidden)
    return hidden


def _up(hidden, shape, first, second, after):
    """Dense to a quarter-size image, then two transposed convolutions: kernel 4 and stride 2 overlap evenly."""
    height, width, channels = shape
    small = (height // 4, width // 4, first)
    hidden = layers.Dense(_pixels(small), name="to_image")(hidden)
    hidden = after(layers.Reshape(small, name="small_image")(hidden))
    hidden = after(layers.Conv2DTranspose(second, 4, strides=2, padding="same", name="up_1")(hidden))
    return layers.Conv2DTranspose(channels, 4, strides=2, padding="same", name="up_2", **EXACT)(hidden)


def _image(hidden, shape):
    """Dense to all pixels."""
    return layers.Reshape(shape, name="image", **EXACT)(layers.Dense(_pixels(shape), name="pixels", **EXACT)(hidden))


def _normalised(hidden):
    return layers.LeakyReLU(LEAK)(layers.BatchNormalization(momentum=0.9)(hidden))


def _pixels(shape):
    return int(ops.prod(shape))
