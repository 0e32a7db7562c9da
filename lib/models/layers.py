"""The networks' common parts: blocks of layers, and the generator and the judge that GAN and WGAN share.

Images are float32 [B, H, W, C] in [0, 1] wherever they enter or leave a network; a decoder gives logits of them.
In every network that `width` (the report's "model complexity") shapes, it is the number of units of the first Dense
layer; discriminator and critic are the same at every width, so that only one thing varies.
"""

from __future__ import annotations

import math

import numpy as np

from lib.backend import Lazy, keras

layers = Lazy("keras.layers")

LEAK = 0.2  # slope of LeakyReLU for negative inputs (Radford et al. 2016, arXiv:1511.06434)
EXACT = {"dtype": "float32"}  # of layers whose output a loss sees, at every `precision`


def stream(seed: int, number: int) -> int:
    """The seed of one of a run's streams of random numbers: neighbouring seeds share none, as seed + number would."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def generator(shape, settings) -> keras.Model:
    """A GAN's or WGAN's generator: latents [B, latent_dim] -> images [B, H, W, C] in [0, 1].

    Batch normalisation follows DCGAN (Radford et al. 2016): after every layer but the last.
    """
    latents = keras.Input((settings.latent_dim,), name="latents")
    hidden = normalised(layers.Dense(settings.width, use_bias=False, name="hidden_1")(latents))
    if settings.network == "conv":
        logits = up(hidden, shape, 128, 64, normalised)
    else:
        hidden = normalised(layers.Dense(512, use_bias=False, name="hidden_2")(hidden))
        logits = to_image(hidden, shape)
    return keras.Model(latents, layers.Activation("sigmoid", name="unit_range", **EXACT)(logits), name="generator")


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


def judge(shape, settings, name, scale, dropout=0.0) -> keras.Model:
    """A GAN's discriminator or a WGAN's critic: images [B, H, W, C] in [0, 1] -> one number each, [B, 1].

    No batch normalisation: it would couple the images of a batch, for which neither the JSD's bound nor the gradient
    penalty (Gulrajani et al. 2017, section 4) holds.

    Args:
        scale: of the pixels as the first layer sees them, whose mean is 0 then.
        dropout: after each hidden layer of an mlp.
    """
    images = keras.Input(shape, name="images")
    hidden = centred(images, scale)
    if settings.network == "conv":
        hidden = layers.Flatten(name="flatten")(down(hidden, (64, 128), layers.LeakyReLU(LEAK)))
    else:
        hidden = layers.Flatten(name="flatten")(hidden)
        for number in range(1, 3):
            hidden = layers.Dense(512, name=f"hidden_{number}")(hidden)
            hidden = layers.LeakyReLU(LEAK, name=f"leaky_{number}")(hidden)
            if dropout:
                seed = stream(settings.seed, 1 + number)
                hidden = layers.Dropout(dropout, seed=seed, name=f"dropout_{number}")(hidden)
    return keras.Model(images, layers.Dense(1, name="score", **EXACT)(hidden), name=name)


def centred(images, scale):
    """[0, 1] -> [-scale / 2, scale / 2].

    With uncentred colour images an mlp discriminator stayed near guessing, and an encoder's latents stayed off the
    prior for many epochs, so that samples came out dark.
    """
    return layers.Rescaling(scale, offset=-scale / 2, name="centred")(images)


def down(hidden, channels, activation):
    """Strided convolutions, each halving height and width."""
    for number, count in enumerate(channels, 1):
        hidden = layers.Conv2D(count, 4, strides=2, padding="same", name=f"conv_{number}")(hidden)
        hidden = layers.Activation(activation, name=f"active_{number}")(hidden)
    return hidden


def up(hidden, shape, first, second, after):
    """Dense to a quarter-size image, then two transposed convolutions: kernel 4 and stride 2 overlap evenly."""
    height, width, channels = shape
    small = (height // 4, width // 4, first)
    hidden = layers.Dense(_pixels(small), name="to_image")(hidden)
    hidden = after(layers.Reshape(small, name="small_image")(hidden))
    hidden = after(layers.Conv2DTranspose(second, 4, strides=2, padding="same", name="up_1")(hidden))
    return layers.Conv2DTranspose(channels, 4, strides=2, padding="same", name="up_2", **EXACT)(hidden)


def to_image(hidden, shape):
    """Dense to all pixels."""
    return layers.Reshape(shape, name="image", **EXACT)(layers.Dense(_pixels(shape), name="pixels", **EXACT)(hidden))


def normalised(hidden):
    return layers.LeakyReLU(LEAK)(layers.BatchNormalization(momentum=0.9)(hidden))


def _pixels(shape):
    return math.prod(shape)
