"""The networks' common parts: blocks of layers, and the generator and the judge that GAN and WGAN share.

Images are float32 [B, H, W, C] in [0, 1] wherever they enter or leave a network; a decoder gives logits of them.
In every network that `width` (the report's "model complexity") shapes, it is the number of units of the first Dense
layer; discriminator and critic are the same at every width, so that only one thing varies.
"""

from __future__ import annotations

import math

import numpy as np

from lib.backend import Lazy, keras

layers, custom = Lazy("keras.layers"), Lazy("lib.models.custom")

CHANNELS = {"conv": (64, 128), "dcgan": (32, 64, 128)}  # of a judge's convolutions; a generator has them in reverse
LEAK = 0.2  # slope of LeakyReLU for negative inputs (Radford et al. 2016, arXiv:1511.06434)
EXACT = {"dtype": "float32"}  # of layers whose output a loss sees, at every `precision`


def stream(seed: int, number: int) -> int:
    """The seed of one of a run's streams of random numbers: neighbouring seeds share none, as seed + number would."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def generator(shape, settings, classes=0) -> keras.Model:
    """A GAN's or WGAN's generator: latents [B, latent_dim] -> images [B, H, W, C] in [0, 1].

    Batch normalisation follows DCGAN (Radford et al. 2016): after every layer but the last.

    Args:
        classes: of a class-conditional generator, see `custom.ClassOfLatents`; 0: none.
    """
    latents = hidden = keras.Input((settings.latent_dim,), name="latents")
    if classes:
        hidden = custom.ClassOfLatents(classes, name="class_of_latents")(latents)
    hidden = normalised(layers.Dense(settings.width, use_bias=False, name="hidden_1")(hidden))
    if settings.network in CHANNELS:
        logits = up(hidden, shape, CHANNELS[settings.network][::-1], normalised)
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


def judge(shape, settings, name, scale, dropout=0.0, spectral=False, classes=0) -> keras.Model:
    """A GAN's discriminator or a WGAN's critic: images [B, H, W, C] in [0, 1] -> one number each, [B, 1].

    With `classes`, it takes [images, class of each as one-hot [B, classes]] and adds to the number what the image says
    of that class: the inner product of the class's learned vector and the last hidden layer (Miyato & Koyama 2018,
    arXiv:1802.05637, eq. 3).

    No batch normalisation: it would couple the images of a batch, for which neither the JSD's bound nor the gradient
    penalty (Gulrajani et al. 2017, section 4) holds.

    Args:
        scale: of the pixels as the first layer sees them, whose mean is 0 then.
        dropout: after each hidden layer of an mlp.
        spectral: normalises each layer's kernel by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).
    """
    dense, convolution = (custom.SpectralDense, custom.SpectralConv2D) if spectral else (layers.Dense, layers.Conv2D)
    images = keras.Input(shape, name="images")
    hidden = centred(images, scale)
    if settings.network in CHANNELS:
        hidden = down(hidden, CHANNELS[settings.network], layers.LeakyReLU(LEAK), convolution)
        hidden = layers.Flatten(name="flatten")(hidden)
    else:
        hidden = layers.Flatten(name="flatten")(hidden)
        for number in range(1, 3):
            hidden = dense(512, name=f"hidden_{number}")(hidden)
            hidden = layers.LeakyReLU(LEAK, name=f"leaky_{number}")(hidden)
            if dropout:
                seed = stream(settings.seed, 1 + number)
                hidden = layers.Dropout(dropout, seed=seed, name=f"dropout_{number}")(hidden)
    score = dense(1, name="score", **EXACT)(hidden)
    if not classes:
        return keras.Model(images, score, name=name)
    one_hot = keras.Input((classes,), name="classes")
    wanted = dense(hidden.shape[-1], use_bias=False, name="class_vector", **EXACT)(one_hot)
    match = layers.Dot(1, name="match", **EXACT)([hidden, wanted])
    return keras.Model([images, one_hot], layers.Add(name="score_of_class", **EXACT)([score, match]), name=name)


def centred(images, scale):
    """[0, 1] -> [-scale / 2, scale / 2].

    With uncentred colour images an mlp discriminator stayed near guessing, and an encoder's latents stayed off the
    prior for many epochs, so that samples came out dark.
    """
    return layers.Rescaling(scale, offset=-scale / 2, name="centred")(images)


def down(hidden, channels, activation, convolution=None):
    """Strided convolutions, each halving height and width."""
    for number, count in enumerate(channels, 1):
        layer = (convolution or layers.Conv2D)(count, 4, strides=2, padding="same", name=f"conv_{number}")
        hidden = layer(hidden)
        hidden = layers.Activation(activation, name=f"active_{number}")(hidden)
    return hidden


def up(hidden, shape, channels, after):
    """Dense to a small image, then transposed convolutions, each doubling height and width: kernel 4 and stride 2
    overlap evenly."""
    height, width, colours = shape
    first, *others = channels
    small = (height >> len(channels), width >> len(channels), first)
    hidden = layers.Dense(_pixels(small), name="to_image")(hidden)
    hidden = after(layers.Reshape(small, name="small_image")(hidden))
    for number, count in enumerate(others, 1):
        hidden = after(layers.Conv2DTranspose(count, 4, strides=2, padding="same", name=f"up_{number}")(hidden))
    last = f"up_{len(channels)}"
    return layers.Conv2DTranspose(colours, 4, strides=2, padding="same", name=last, **EXACT)(hidden)


def to_image(hidden, shape):
    """Dense to all pixels."""
    return layers.Reshape(shape, name="image", **EXACT)(layers.Dense(_pixels(shape), name="pixels", **EXACT)(hidden))


def normalised(hidden):
    return layers.LeakyReLU(LEAK)(layers.BatchNormalization(momentum=0.9)(hidden))


def _pixels(shape):
    return math.prod(shape)
