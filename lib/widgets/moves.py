"""Ways through a model's latent space: sliders and vectors, samples by seed, traversals, walks between two latents."""

import itertools
from html import escape

import ipywidgets
import numpy as np
from scipy.special import ndtri

from lib import figures, rounding
from lib.errors import UserError
from lib.scores.drawing import decode
from lib.widgets import controls, latents

SLIDERS = 10  # at most: of the latents that tell most
ENDS = 12  # samples to choose a walk's ends from
MEASURE = {"nats": "KL (nats)", "grey levels": "change (grey levels)"}  # by the unit of `latents.told`
FRAMES = 30  # of a saved walk, one way


def walk(model, start: int = 0, end: int = 1, steps: int = 10) -> np.ndarray:
    """Images uint8 [steps, H, W, C] between the latents that two seeds draw, by `latents.between`."""
    ends = latents.seeded(model, start), latents.seeded(model, end)
    return decode(model, latents.between(*ends, np.linspace(0, 1, steps)))


def explore(model):
    """Three ways to move in latent space: sliders that decode live, new samples by seed, a walk between two latents.

    Returns:
        A tab of widgets in JupyterLab; in batch, the figure of one walk.
    """
    if not controls.interactive():
        return figures.interpolation(walk(model))
    return ipywidgets.Tab([Move(model), sample(model), walk_between(model)], titles=("Move", "Sample", "Walk"))


def leading(model, images: np.ndarray | None = None) -> tuple[list[int], list[str], str]:
    """The latents that tell most, the first of them most; how much each tells, and of what unit that is."""
    told, unit = latents.told(model, images)
    order = np.argsort(-told, kind="stable")[:SLIDERS].tolist()
    return order, rounding.column([float(told[one]) for one in order]), unit


# ---- move ----------------------------------------------------------------------------------------


def move(model, images: np.ndarray | None = None):
    """`Move`; in batch, the figure of one walk."""
    return Move(model, images) if controls.interactive() else figures.interpolation(walk(model))


class Move(ipywidgets.HBox):
    """Sliders for the latents that tell most, the whole vector as a text, with two latents also the decoded plane; and
    the image that they decode to.

    Args:
        images: uint8 [N, H, W, C] by which the latents are ordered, see `latents.told`.
    """

    def __init__(self, model, images: np.ndarray | None = None):
        self.model, self.busy, self.draws = model, False, itertools.count(1)
        self.decode = latents.compiled(model)
        self.order, told, unit = leading(model, images)
        notes = [f"{each} {unit}" for each in told]
        self.sliders = controls.Sliders(names=[f"z{one + 1}" for one in self.order], notes=notes, normal=True)
        self.picture, self.words = controls.Picture(), ipywidgets.HTML()
        self.vector = ipywidgets.Text(description="vector", continuous_update=False, layout={"width": "420px"})
        by = controls.places()
        ipywidgets.link((by, "value"), (self.sliders, "by"))
        random, reset, zero = map(controls.button, ("Random", "Reset", "Zero"))
        random.on_click(lambda _: self.start(latents.seeded(model, next(self.draws))))
        reset.on_click(lambda _: self.put(self.began))
        zero.on_click(lambda _: self.put(np.zeros((1, model.latent_dim))))
        self.sliders.observe(self._slid, "value")
        self.vector.observe(self._typed, "value")
        above = controls.row(random, reset, zero, by)
        parts = [controls.column(above, self.sliders, self.vector, self.words), self.picture]
        self.plane = self._plane() if model.latent_dim == 2 else None
        super().__init__([*parts, self.plane] if self.plane else parts, layout=controls.ROW)
        self.start(latents.seeded(model, next(self.draws)))

    def _plane(self) -> controls.Plane:
        ticks = np.linspace(-controls.REACH, controls.REACH, controls.TICKS)
        images = controls.tiled(decode(self.model, latents.plane(ticks)), controls.TICKS)
        plane = controls.Plane(picture=controls.png(images, 0))
        plane.observe(lambda change: self.busy or self.put(np.array([change["new"]])), "value")
        return plane

    def start(self, z: np.ndarray) -> None:
        """Goes to a latent [1, Z], to which Reset returns."""
        self.began = z
        self.put(z)

    def put(self, z: np.ndarray) -> None:
        """Goes to a latent [1, Z], rounded to what the text shows, so that a copied vector gives the same image."""
        z = np.round(z.astype(float), 3)  # of float64: a slider gets back the very number that it sent, and stays
        image = self.decode(z.astype(np.float32))[0]
        self.z, self.busy = z, True
        self.picture.show(image, "The image decoded from these latents")
        self.sliders.value = z[0, self.order].tolist()
        if self.plane:
            self.plane.value = z[0].tolist()
        self.vector.value, self.words.value = latents.written(z), latents.where(z)
        if z.shape[1] > SLIDERS:
            self.words.value += f"<br>The other {z.shape[1] - SLIDERS} latents are in the vector only."
        self.busy = False

    def _slid(self, change) -> None:
        if not self.busy:
            z = self.z.copy()
            z[0, self.order] = change["new"]
            self.put(z)

    def _typed(self, change) -> None:
        if self.busy:
            return
        try:
            self.start(latents.parse(change["new"], self.model.latent_dim))
        except UserError as error:
            self.words.value = f'<span role="alert">{escape(str(error))}; the image has not changed.</span>'


# ---- sample, traverse, walk ----------------------------------------------------------------------


def sample(model):
    """A gallery of the prior, drawn anew for each seed."""
    seed, picture = controls.box(0, "seed"), controls.Picture()

    def redraw(_=None):
        images = decode(model, latents.seeded(model, seed.value, 40))
        picture.show(controls.tiled(images, 10), f"40 samples of seed {seed.value}", 2 * controls.SIDE)

    controls.redraw_on([seed], redraw)
    return controls.column(seed, picture)


def traversal(model, first: tuple, seed: int = 0, by: str = "value") -> figures.Figure:
    """A sample of a seed, in each row with another of the latents that tell most moved through the prior.

    Args:
        first: these latents, as `leading` gives them.
        by: "value", from -3 to 3 in equal steps, or "quantile", from 5 to 95 % in equal steps.
    """
    order, told, unit = first
    ends = (0.05, 0.95) if by == "quantile" else (-controls.REACH, controls.REACH)
    ticks = np.linspace(*ends, controls.TICKS)
    places = ndtri(ticks) if by == "quantile" else ticks
    names = [f"{100 * tick:.0f} %" if by == "quantile" else f"{tick:.1f}".replace("-", "−") for tick in ticks]
    decoded = decode(model, latents.traversal(latents.seeded(model, seed), order, places))
    rows = [f"z{one + 1}: {each}" for one, each in zip(order, told, strict=True)]
    return figures.traversal(decoded, rows, names, f"latent: {MEASURE[unit]}", f"{by} of the latent")


def traverse(model, images: np.ndarray | None = None):
    """`traversal` of a seed to choose, by value or by quantile; in batch, of seed 0 by value."""
    first = leading(model, images)
    if not controls.interactive():
        return traversal(model, first)
    seed, by, picture = controls.box(0, "seed"), controls.places(), controls.Picture()
    controls.redraw_on([seed, by], lambda _=None: picture.draw(traversal(model, first, seed.value, by.value)))
    return controls.column(controls.row(seed, by), picture)


def walk_between(model, images: np.ndarray | None = None):
    """From one image to another, both chosen among thumbnails, and the walk to be saved.

    Args:
        images: real ones, uint8 [N, H, W, C], for a model that encodes them: the walk between their latents is
            straight. By default samples of the prior, between which it keeps their length.

    Returns:
        Widgets in JupyterLab; in batch, the figure of the walk between two samples.
    """
    if not controls.interactive():
        return figures.interpolation(walk(model, 2, 3))
    path = latents.between if images is None else latents.straight
    ends = latents.seeded(model, 0, ENDS) if images is None else np.asarray(model.encode(images))
    shown = decode(model, ends) if images is None else images
    kind = "sample" if images is None else "test image"
    named = {f"{kind} {number + 1}": one for number, one in enumerate(shown)}
    start, end = controls.Thumbnails(named, "From", 0), controls.Thumbnails(named, "To", 1)
    place = controls.Sliders(names=["position"], value=[0.5], low=0, high=1, step=0.01)
    picture, strip = controls.Picture(), controls.Picture()

    def decoded(parts):
        return decode(model, path(ends[[start.value]], ends[[end.value]], parts))

    def redraw(_=None):
        picture.show(decoded(place.value)[0], "The image at this point of the walk")

    def renew(_=None):
        strip.show(controls.tiled(decoded(np.linspace(0, 1, 10)), 5), "Ten images along the walk")
        redraw()

    controls.redraw_on([start, end], renew)
    place.observe(redraw, "value")
    scale = max(1, controls.SIDE // shown.shape[1])
    saver = controls.Saver(
        {
            "walk.gif": lambda: latents.gif(decoded(np.linspace(0, 1, FRAMES)), scale),
            "walk.png": lambda: controls.png(controls.tiled(decoded(np.linspace(0, 1, 10)), 10)),
        }
    )
    return controls.column(start, end, place, controls.row(picture, strip), saver)
