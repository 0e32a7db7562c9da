"""What moves in JupyterLab: pictures, sliders and the plane of two latents, all with a name that is read out.

ipywidgets' own sliders and images cannot carry such a name, hence these three small widgets, which send as little as
those do: a PNG, or the numbers that were chosen.
"""

import io
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets

from lib import figures

SIDE = 160  # of a decoded image on the screen, in pixels, at least
REACH = 3.0  # standard deviations of the prior that a slider spans to either side
TICKS = 11  # images in a row of the plane


class Picture(anywidget.AnyWidget):
    """A PNG and the words for it."""

    _esm = Path(__file__).with_name("picture.js")
    _css = figures.DARK
    value = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int(0).tag(sync=True)  # in CSS pixels; 0: as many as it has
    kind = traitlets.Unicode("").tag(sync=True)  # the class of `figures.DARK`

    def show(self, image: np.ndarray, alt: str, side: int = SIDE) -> None:
        """Turns to a uint8 image [H, W, C], enlarged to at least `side` pixels, and its words, in one message."""
        with self.hold_sync():
            self.value, self.alt = png(image, side), alt

    def draw(self, figure: figures.Figure, width: int = 0) -> None:
        """Turns to a figure, in its own width or another one, in CSS pixels."""
        with self.hold_sync():
            self.value, self.alt = figure.png(clear=True), figure.alt
            self.width, self.kind = width or figure.size[0], figure.kind


class Sliders(anywidget.AnyWidget):
    """Numbers [N] between `low` and `high`, each with a slider and a name."""

    _esm = Path(__file__).with_name("sliders.js")
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    value = traitlets.List(traitlets.Float()).tag(sync=True)
    low = traitlets.Float(-REACH).tag(sync=True)
    high = traitlets.Float(REACH).tag(sync=True)
    step = traitlets.Float(0.05).tag(sync=True)


class Plane(anywidget.AnyWidget):
    """The decoded plane of two latents, whose `value` follows the pointer."""

    _esm = Path(__file__).with_name("plane.js")
    picture = traitlets.Bytes().tag(sync=True)
    value = traitlets.List([0.0, 0.0]).tag(sync=True)
    reach = traitlets.Float(REACH).tag(sync=True)
    side = traitlets.Int(TICKS).tag(sync=True)


def plane_latents() -> np.ndarray:
    """The latents [TICKS * TICKS, 2] of the plane's images, row by row from the largest z2 down."""
    ticks = np.linspace(-REACH, REACH, TICKS, dtype=np.float32)
    z_1, z_2 = np.meshgrid(ticks, ticks[::-1])
    return np.column_stack([z_1.ravel(), z_2.ravel()])


def png(image: np.ndarray, side: int = SIDE) -> bytes:
    """A uint8 image [H, W, C] as PNG bytes, its pixels enlarged by a whole number to at least `side`."""
    from PIL import Image

    scale = max(1, -(-side // image.shape[0]))
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(out, "png")
    return out.getvalue()


def tiled(images: np.ndarray, columns: int) -> np.ndarray:
    """Images [N, H, W, C] side by side in rows, without gaps: one image."""
    rows = [np.concatenate(list(images[i : i + columns]), axis=1) for i in range(0, len(images), columns)]
    return np.concatenate(rows, axis=0)


def row(*parts):
    """Widgets side by side at their own heights: the default stretches pictures."""
    return ipywidgets.HBox(parts, layout={"align_items": "flex-start", "flex_flow": "row wrap", "grid_gap": "8px"})


def column(*parts):
    """Widgets one below the other."""
    return ipywidgets.VBox(parts, layout={"align_items": "flex-start", "grid_gap": "4px", "max_width": "100%"})


def seed_box(value: int, name: str = "seed"):
    """A box for a seed."""
    return ipywidgets.BoundedIntText(value, min=0, max=10**6, description=name)


def redraw_on(controls, redraw) -> None:
    """Draws now, and whenever one of the controls has changed."""
    for control in controls:
        control.observe(redraw, "value")
    redraw()


def offer(pick, options: list, value, redraw) -> None:
    """Gives a selection, whose changes `redraw` observes, other options, and draws once.

    The chosen name may be the same as before and stand for something else: then no change would be reported.
    """
    pick.unobserve(redraw, "value")
    pick.options, pick.value = options, value
    pick.observe(redraw, "value")
    redraw()


def fill(box, *parts) -> None:
    """Puts other widgets into a box, and closes those before: the kernel would keep them and their pictures."""
    before, box.children = box.children, parts
    for one in before:
        _close(one)


def _close(widget) -> None:
    for child in getattr(widget, "children", ()):
        _close(child)
    widget.close()


def shown(*outputs):
    """Things as a cell would display them, for example a Markdown, inside a widget."""
    from IPython import get_ipython
    from IPython.core.formatters import DisplayFormatter

    formatter = getattr(get_ipython(), "display_formatter", None) or DisplayFormatter()
    box = ipywidgets.Output(layout={"max_width": "100%", "overflow": "auto"})
    box.outputs = tuple(
        {"output_type": "display_data", "data": data, "metadata": metadata}
        for data, metadata in (formatter.format(one) for one in outputs)
    )
    return box
