"""Latent vectors and the images they decode to: drawn, typed, found for an image, and put in rows and grids."""

import io
import re

import numpy as np
from PIL import Image, ImageOps

from lib import rounding
from lib.backend import keras, tf
from lib.errors import UserError, short
from lib.scores.drawing import decode, to_uint8

CANDIDATES, STEPS, RATE = 1000, 100, 0.05  # samples of the prior among which a latent is sought; steps from there on
FAR = 1e6  # from here on float32 overflows in some networks


def seeded(model, seed: int, count: int = 1) -> np.ndarray:
    """Latents [count, latent_dim] of the prior, drawn from a seed."""
    return np.random.default_rng(seed).standard_normal((count, model.latent_dim)).astype(np.float32)


def between(first: np.ndarray, last: np.ndarray, parts) -> np.ndarray:
    """Spherical interpolation from [1, Z] to [1, Z] at `parts` in [0, 1] -> [len(parts), Z].

    The path keeps the length that the prior gives a latent, which a straight line would not (White 2016,
    arXiv:1609.04468): it turns from one direction to the other.
    """
    cosine = (first * last).sum() / (np.linalg.norm(first) * np.linalg.norm(last))
    angle, parts = np.arccos(np.clip(cosine, -1, 1)), np.asarray(parts, np.float32)[:, None]
    if np.sin(angle) < 1e-4:
        return (1 - parts) * first + parts * last
    return ((np.sin((1 - parts) * angle) * first + np.sin(parts * angle) * last) / np.sin(angle)).astype(np.float32)


def straight(first: np.ndarray, last: np.ndarray, parts) -> np.ndarray:
    """The straight line from [1, Z] to [1, Z] at `parts` in [0, 1] -> [len(parts), Z]."""
    parts = np.asarray(parts, np.float32)[:, None]
    return (1 - parts) * first + parts * last


def plane(ticks: np.ndarray) -> np.ndarray:
    """Pairs of latents [N * N, 2] at `ticks` [N], row by row from the largest z2 down."""
    z_1, z_2 = np.meshgrid(ticks, ticks[::-1])
    return np.column_stack([z_1.ravel(), z_2.ravel()]).astype(np.float32)


def traversal(z: np.ndarray, which: list[int], places: np.ndarray) -> np.ndarray:
    """A latent [1, Z] with one number after the other, of those in `which`, at each of `places` [P] -> [W * P, Z]."""
    rows = np.repeat(z, len(which) * len(places), axis=0)
    rows[np.arange(len(rows)), np.repeat(which, len(places))] = np.tile(places, len(which))
    return rows


def told(model, images: np.ndarray | None = None) -> tuple[np.ndarray, str]:
    """How much each latent tells, [latent_dim], and the unit: of images uint8 [N, H, W, C] the mean KL to the prior in
    nats, if the model encodes them as a distribution; otherwise how much a picture changes, in grey levels, when the
    latent goes from -1 to 1, the mean over eight samples of the prior."""
    nats = None if images is None else model.kl_per_latent(images)
    if nats is not None:
        return np.asarray(nats), "nats"
    base, changes = seeded(model, 2, 8), []
    for latent in range(model.latent_dim):
        low, high = base.copy(), base.copy()
        low[:, latent], high[:, latent] = -1, 1
        pictures = decode(model, np.concatenate([low, high])).astype(float)
        changes.append(np.abs(pictures[:8] - pictures[8:]).mean())
    return np.array(changes), "grey levels"


def compiled(model):
    """`decode` of a model for one latent [1, Z] after the other: compiled, which took a third to a tenth of the time. A
    model of one's own that TensorFlow cannot compile is asked as it stands."""
    generate = tf.function(model.generate)
    try:
        generate(np.zeros((1, model.latent_dim), np.float32))
    except Exception:
        return lambda z: decode(model, z)
    return lambda z: to_uint8(generate(z))


def parse(text: str, count: int) -> np.ndarray:
    """The vector [1, count] in a text: numbers between commas, semicolons or spaces, with or without brackets.

    Raises:
        UserError: something is no finite number up to a million, or there are more or fewer; says what.
    """
    words = re.sub(r"[\[\](){}]", " ", text.replace("−", "-")).replace(",", " ").replace(";", " ").split()
    values = []
    for word in words:
        try:
            values.append(float(word))
        except ValueError:
            raise UserError(f"{short(word)} is not a number") from None
        if not abs(values[-1]) <= FAR:
            raise UserError(f"{short(word)} is not a number between −1,000,000 and 1,000,000")
    if len(values) != count:
        raise UserError(f"{len(values)} number{'s' * (len(values) != 1)}, but this model takes {count}")
    return np.array([values], np.float32)


def written(z: np.ndarray) -> str:
    """A latent [1, Z] as `parse` reads it."""
    return ", ".join(f"{value + 0.0:.3f}" for value in z[0])


def where(z: np.ndarray) -> str:
    """How long a latent [1, Z] is, beside the prior's length: far shorter or longer ones were never trained on; and
    which of its numbers are rare."""
    size, rare = z.shape[1], [f"z{one + 1}" for one in np.flatnonzero(np.abs(z[0]) > 3)]
    length, typical = (rounding.number(float(value)) for value in (np.linalg.norm(z), size**0.5))
    said = f"|z| = {length}; samples of the prior have a length near √{size} = {typical}."
    more = f" and {len(rare) - 3} more" if len(rare) > 3 else ""
    return said + f" Beyond ±3: {', '.join(rare[:3])}{more}; the prior draws one such number in 370." * bool(rare)


# ---- a user's own image --------------------------------------------------------------------------


def fitted(content: bytes, shape: tuple[int, int, int], invert: bool = False) -> np.ndarray:
    """An image file's bytes as a model takes it, uint8 [1, H, W, C]: the largest square in its middle, resized, grey or
    coloured as the model's images are; what is transparent is white.

    Raises:
        UserError: Pillow cannot read it.
    """
    try:
        opened = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"this file is no image that can be read ({short(str(error))})") from None
    opaque = Image.alpha_composite(Image.new("RGBA", opened.size, "white"), opened)
    height, width, channels = shape
    image = ImageOps.fit(opaque.convert("L" if channels == 1 else "RGB"), (width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(ImageOps.invert(image) if invert else image)
    return pixels.reshape(1, *shape)


def projected(model, image: np.ndarray) -> np.ndarray:
    """A latent [1, Z] whose image is near a uint8 one [1, H, W, C], for a model without an encoder.

    Of 1,000 samples of the prior the nearest in pixels, moved by Adam down the gradient of the squared difference
    (Creswell & Bharath 2016, arXiv:1611.05644). It need not be the nearest of all, and nothing keeps it near the prior.
    """
    candidates = seeded(model, 0, CANDIDATES)
    far = np.square(decode(model, candidates).astype(np.float32) - image).reshape(CANDIDATES, -1).sum(axis=1)
    z, wanted = tf.Variable(candidates[[far.argmin()]]), image.astype(np.float32) / 255.0
    adam = keras.optimizers.Adam(RATE)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model.generate(z) - wanted))
        adam.apply_gradients([(tape.gradient(loss, z), z)])

    adam.build([z])
    for _ in range(STEPS):
        step()
    return z.numpy()


def closest(image: np.ndarray, among: np.ndarray, count: int = 5) -> np.ndarray:
    """The indices of the `count` images of uint8 [M, H, W, C] that are nearest to uint8 [H, W, C] in pixels, L2."""
    parts = np.array_split(among, 1 + len(among) // 5000)
    far = [np.square(part.astype(np.float32) - image).reshape(len(part), -1).sum(axis=1) for part in parts]
    return np.argsort(np.concatenate(far), kind="stable")[:count]


# ---- many images as one --------------------------------------------------------------------------


def gif(images: np.ndarray, scale: int) -> bytes:
    """Images uint8 [N, H, W, C] as a GIF that runs there and back for ever, each pixel `scale` by `scale`.

    Colours are reduced to 256 a frame; grey levels stay exact.
    """
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    frames = [Image.fromarray(one[..., 0] if one.shape[2] == 1 else one) for one in (*images, *images[-2:0:-1])]
    out = io.BytesIO()
    frames[0].save(out, "gif", save_all=True, append_images=frames[1:], duration=60, loop=0)
    return out.getvalue()
