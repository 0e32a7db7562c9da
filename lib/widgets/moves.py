"""Ways through a model's latent space: sliders, samples by seed, walks between two latents or two images."""

import itertools
from collections.abc import Callable

import ipywidgets
import numpy as np

from lib import figures, rounding
from lib.scores.drawing import decode
from lib.widgets import controls

SLIDERS = 10  # at most: of the first latents


# ---- latents -------------------------------------------------------------------------------------


def walk(model, start: int = 0, end: int = 1, steps: int = 10) -> np.ndarray:
    """Images uint8 [steps, H, W, C] between the latents that two seeds draw.

    The path keeps the length that the prior gives a latent, which a straight line would not (White 2016,
    arXiv:1609.04468): it turns from one direction to the other.
    """
    return decode(model, between(seeded(model, start), seeded(model, end), np.linspace(0, 1, steps)))


def seeded(model, seed: int, count: int = 1) -> np.ndarray:
    """Latents [count, latent_dim] of the prior, drawn from a seed."""
    return np.random.default_rng(seed).standard_normal((count, model.latent_dim)).astype(np.float32)


def between(first: np.ndarray, last: np.ndarray, parts) -> np.ndarray:
    """Spherical interpolation from [1, Z] to [1, Z] at `parts` in [0, 1] -> [len(parts), Z]."""
    cosine = (first * last).sum() / (np.linalg.norm(first) * np.linalg.norm(last))
    angle, parts = np.arccos(np.clip(cosine, -1, 1)), np.asarray(parts, np.float32)[:, None]
    if np.sin(angle) < 1e-4:
        return (1 - parts) * first + parts * last
    return ((np.sin((1 - parts) * angle) * first + np.sin(parts * angle) * last) / np.sin(angle)).astype(np.float32)


def plane_latents() -> np.ndarray:
    """The latents [N, 2] of the images on `controls.Plane`, row by row from the largest z2 down."""
    ticks = np.linspace(-controls.REACH, controls.REACH, controls.TICKS, dtype=np.float32)
    z_1, z_2 = np.meshgrid(ticks, ticks[::-1])
    return np.column_stack([z_1.ravel(), z_2.ravel()])


# ---- widgets -------------------------------------------------------------------------------------


def explore(model):
    """Three ways to move in latent space: sliders that decode live, new samples by seed, a walk between two latents.

    Returns:
        A tab of widgets in JupyterLab; in batch, the figure of one walk.
    """
    if not controls.interactive():
        return figures.interpolation(walk(model))
    return ipywidgets.Tab([move(model), sample(model), walk_by_seed(model)], titles=("Move", "Sample", "Walk"))


def move(model):
    """One slider a latent, from a sample on; with two latents also the decoded plane, to press and drag on."""
    names = [f"z{number + 1}" for number in range(min(model.latent_dim, SLIDERS))]
    sliders = controls.Sliders(names=names, value=[0.0] * len(names))
    picture, words = controls.Picture(), ipywidgets.HTML()
    z, draws = np.zeros((1, model.latent_dim), np.float32), itertools.count(1)

    def redraw(_=None):
        z[0, : len(names)] = sliders.value
        picture.show(decode(model, z)[0], "The image decoded from these latents")
        words.value = _length(z)

    def put(latents):
        z[:] = latents
        new = np.clip(z[0, : len(names)], -controls.REACH, controls.REACH).tolist()
        if new == sliders.value:
            redraw()
        sliders.value = new

    random, zero = (ipywidgets.Button(description=name, layout={"width": "auto"}) for name in ("Random", "Zero"))
    random.on_click(lambda _: put(seeded(model, next(draws))))
    zero.on_click(lambda _: put(0))
    sliders.observe(redraw, "value")
    put(seeded(model, next(draws)))
    parts = [controls.column(controls.row(random, zero), sliders, words), picture]
    if model.latent_dim == 2:
        images = controls.tiled(decode(model, plane_latents()), controls.TICKS)
        parts.append(plane := controls.Plane(picture=controls.png(images, 0)))
        ipywidgets.link((sliders, "value"), (plane, "value"))
    return controls.row(*parts)


def _length(z: np.ndarray) -> str:
    """How long a latent is, beside the length of the prior's: far shorter or longer ones were never trained on."""
    size = z.shape[1]
    length, typical = (rounding.number(float(value)) for value in (np.linalg.norm(z), size**0.5))
    others = f"<br>The other {size - SLIDERS} latents keep their values." if size > SLIDERS else ""
    return f"|z| = {length}; samples of the prior have a length near √{size} = {typical}{others}"


def sample(model):
    """A gallery of the prior, drawn anew for each seed."""
    seed, picture = controls.box(0, "seed"), controls.Picture()

    def redraw(_=None):
        images = decode(model, seeded(model, seed.value, 40))
        picture.show(controls.tiled(images, 10), f"40 samples of seed {seed.value}", 2 * controls.SIDE)

    controls.redraw_on([seed], redraw)
    return controls.column(seed, picture)


def walk_by_seed(model):
    """From the latent of one seed to that of another."""

    def images(start, end, parts):
        return decode(model, between(seeded(model, start), seeded(model, end), parts))

    return _walk(controls.box(0, "from seed"), controls.box(1, "to seed"), images)


def walk_between_images(model, images: np.ndarray):
    """From one real image of uint8 [N, H, W, C] to another, by way of the latents to which the model encodes them."""
    most, pair = len(images) - 1, controls.Picture()

    def decoded(start, end, parts):
        both, parts = images[[start, end]], np.asarray(parts, np.float32)[:, None]
        pair.show(controls.tiled(both, 2), "The two images")
        first, last = np.split(np.asarray(model.encode(both)), 2)
        return decode(model, (1 - parts) * first + parts * last)

    named = controls.column(pair, ipywidgets.Label("the two images"))
    return _walk(controls.box(0, "from image", most), controls.box(1, "to image", most), decoded, named)


def _walk(start, end, images: Callable, *beside):
    """A walk with its slider: the image there, and ten on the way. `images` takes the numbers in the boxes of the two
    ends, and places in [0, 1], and gives as many images; `beside` stands between the two pictures."""
    place = controls.Sliders(names=["position"], value=[0.5], low=0, high=1, step=0.01)
    picture, strip = controls.Picture(), controls.Picture()

    def redraw(_=None):
        *way, here = images(start.value, end.value, [*np.linspace(0, 1, 10), *place.value])
        picture.show(here, "The image at this point of the walk")
        strip.show(controls.tiled(way, 5), "Ten images along the walk")

    controls.redraw_on([start, end, place], redraw)
    return controls.column(controls.row(start, end), place, controls.row(picture, *beside, strip))
