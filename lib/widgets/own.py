"""An image of one's own, from a file or drawn: its latent vector, what the model makes of that, and its neighbours."""

from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets
import numpy as np

from lib import figures, rounding
from lib.errors import UserError, in_one_line
from lib.scores.drawing import decode
from lib.widgets import controls, latents

EXAMPLES = 5  # images in the figure that batch gets
NEIGHBOUR = 80  # pixels of a neighbour's side, at least


@dataclass
class Chosen:
    """What somebody uploaded or drew, an image file's bytes: it stays while another run is chosen."""

    content: bytes = b""
    drawing: bytes = b""
    invert: bool = False


def code(model, image: np.ndarray) -> tuple[np.ndarray, str]:
    """The latent [1, Z] of an image uint8 [1, H, W, C], and how it was found."""
    z = model.encode(image)
    if z is None:
        how = f"This model has no encoder. The vector was searched for: of {latents.CANDIDATES:,} samples of the prior "
        how += f"the nearest in pixels, then {latents.STEPS} steps down the gradient. A nearer one may exist."
        return latents.projected(model, image), how
    kl = model.kl_per_latent(image)
    tells = "" if kl is None else f" It tells {rounding.number(float(np.sum(kl)))} nats of the image (KL to the prior)."
    return np.asarray(z), f"The vector is what the encoder makes of the image: its mean.{tells}"


def own(model, among: Callable[[], np.ndarray], examples: np.ndarray, chosen: Chosen):
    """An upload and a pad to draw on; beside them, the image as the model sees it, its reconstruction and neighbours.

    Args:
        among: gives the training images uint8 [M, H, W, C].
        examples: images uint8 [N, H, W, C] for the figure that batch gets.
    """
    if not controls.interactive():
        found = [decode(model, code(model, one[None])[0])[0] for one in examples[:EXAMPLES]]
        return figures.reconstructions(examples[:EXAMPLES], np.stack(found))
    upload = ipywidgets.FileUpload(accept="image/*", description="Upload an image", layout={"width": "auto"})
    invert = ipywidgets.Checkbox(chosen.invert, description="exchange light and dark", indent=False)
    pad, box = controls.Pad(value=chosen.drawing), controls.column()

    def redraw(_=None):
        chosen.invert, parts = invert.value, [controls.words("Upload an image, or draw one.")]
        try:
            if chosen.content:
                parts = _shown(model, latents.fitted(chosen.content, model.image_shape, chosen.invert), among)
        except UserError as error:
            parts = [controls.words(f"**{in_one_line(error)}**")]
        controls.fill(box, *parts)

    def uploaded(change):
        if change["new"]:
            chosen.content = bytes(change["new"][0]["content"])
            upload.value = ()  # the same file may be uploaded again, and no notebook keeps it
            redraw()

    def drawn(change):
        chosen.content = chosen.drawing = change["new"]
        redraw()

    upload.observe(uploaded, "value")
    pad.observe(drawn, "value")
    controls.redraw_on([invert], redraw)
    box.layout.flex = "1 1 440px"  # beside the pad, where there is room
    return controls.row(controls.column(upload, invert, pad), box)


def _shown(model, image: np.ndarray, among: Callable[[], np.ndarray]) -> list:
    """What is shown of an image uint8 [1, H, W, C]."""
    z, how = code(model, image)
    decoded = decode(model, z)
    apart = rounding.number(float(np.abs(decoded.astype(float) - image).mean()))
    pair, near = controls.Picture(), controls.Picture()
    pair.show(controls.tiled([image[0], decoded[0]], 2), "The image as the model sees it, and its reconstruction")
    said = f"Left: the image as the model sees it. Right: its reconstruction, which differs by {apart} of 255 grey "
    said += f"levels on average. {how} {latents.where(z)}"
    vector = ipywidgets.Text(latents.written(z), description="vector", layout={"width": "420px"})
    parts = [pair, controls.words(said), vector]
    try:
        training = among()
    except (UserError, OSError, ValueError) as error:
        return [*parts, controls.words(f"Its neighbours cannot be shown: {in_one_line(error)}")]
    found = training[latents.closest(image[0], training)]
    near.show(controls.tiled(found, len(found)), f"The {len(found)} training images nearest to it", NEIGHBOUR)
    return [*parts, controls.words("Training images nearest to it in pixels:"), near]


def nearest(model, among: np.ndarray):
    """A sample by seed, and the training images uint8 [M, H, W, C] that are nearest to it."""

    def found(seed: int) -> tuple[np.ndarray, np.ndarray]:
        image = decode(model, latents.seeded(model, seed))[0]
        return image, among[latents.closest(image, among)]

    if not controls.interactive():
        image, images = found(0)
        return figures.reconstructions(np.stack([image] * len(images)), images, ("generated", "nearest"))
    seed, sample, near = controls.box(0, "seed"), controls.Picture(), controls.Picture()

    def redraw(_=None):
        image, images = found(seed.value)
        sample.show(image, f"The sample of seed {seed.value}")
        near.show(controls.tiled(images, len(images)), f"The {len(images)} training images nearest to it")

    controls.redraw_on([seed], redraw)
    return controls.column(seed, sample, near)
