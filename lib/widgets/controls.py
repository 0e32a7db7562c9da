"""What moves in JupyterLab: pictures, sliders and the like, all with a name that is read out.

ipywidgets' own sliders and images cannot carry such a name, hence these small widgets, which send as little as those
do: a PNG, or the numbers that were chosen.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import traitlets
from IPython import get_ipython
from PIL import Image

from lib import figures

SIDE = 160  # of a decoded image on the screen, in pixels, at least
REACH = 3.0  # standard deviations of the prior that a slider spans to either side
ROW = {"align_items": "flex-start", "flex_flow": "row wrap", "grid_gap": "8px"}
TICKS = 11  # images in a row of the plane
THUMBNAILS = """
.latent-report-thumbnails { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 6px }
.latent-report-thumbnails legend { float: left; min-width: 3em; color: var(--jp-ui-font-color1, inherit) }
.latent-report-thumbnails input { position: absolute; opacity: 0 }
.latent-report-thumbnails img { display: block; width: 44px; image-rendering: pixelated; cursor: pointer }
.latent-report-thumbnails :checked + img { outline: 3px solid #d55e00 }
.latent-report-thumbnails :focus-visible + img { outline-width: 5px }
"""


def interactive() -> bool:
    """Whether somebody sits in front of the notebook: JupyterLab sets this variable, VS Code defines this name in the
    notebook, papermill does neither."""
    shell = get_ipython()
    return "JPY_SESSION_NAME" in os.environ or (shell is not None and "__vsc_ipynb_file__" in shell.user_ns)


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


def drawn(figure: figures.Figure, width: int) -> Picture:
    """A figure's picture, `width` CSS pixels wide."""
    picture = Picture()
    picture.draw(figure, width)
    return picture


class Sliders(anywidget.AnyWidget):
    """Numbers [N], each with a slider from `low` to `high` and a name; `value` may lie beyond."""

    _esm = Path(__file__).with_name("sliders.js")
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    notes = traitlets.List(traitlets.Unicode()).tag(sync=True)  # [N] small words behind each, or none
    normal = traitlets.Bool(False).tag(sync=True)  # whether they are of a standard normal: quantiles are shown
    by = traitlets.Unicode("value").tag(sync=True)  # or "quantile": from 0.1 % to 99.9 %
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


class Thumbnails(anywidget.AnyWidget):
    """Images in a row, of which the one with the index `value` is chosen.

    Args:
        images: by their names, uint8 [H, W, C].
        label: of the row.
    """

    _esm = Path(__file__).with_name("thumbnails.js")
    _css = THUMBNAILS
    pictures = traitlets.List(traitlets.Bytes()).tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    value = traitlets.Int(0).tag(sync=True)

    def __init__(self, images: dict[str, np.ndarray], label: str, value: int):
        super().__init__(pictures=[png(one, 0) for one in images.values()], names=[*images], label=label, value=value)


class Pad(anywidget.AnyWidget):
    """A black square to draw on in white; `value` is the drawing as a PNG, empty before the first stroke."""

    _esm = Path(__file__).with_name("pad.js")
    value = traitlets.CBytes().tag(sync=True)  # the browser sends a memoryview


class Saver(anywidget.AnyWidget):
    """A button for each of some files, made when it is pressed and offered by the browser as a download.

    Args:
        files: functions that give their content, by name.
    """

    _esm = Path(__file__).with_name("saver.js")
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, files: dict[str, Callable[[], bytes]]):
        super().__init__(names=[*files])
        self.on_msg(lambda _, name, __: self.send({"name": name}, buffers=[files[name]()]))


def png(image: np.ndarray, side: int = SIDE) -> bytes:
    """A uint8 image [H, W, C] as PNG bytes, its pixels enlarged by a whole number to at least `side`."""
    scale = max(1, -(-side // image.shape[0]))
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(out, "png")
    return out.getvalue()


def tiled(images, columns: int) -> np.ndarray:
    """Images [N, H, W, C] side by side in rows, without gaps: one image."""
    rows = [np.concatenate(list(images[i : i + columns]), axis=1) for i in range(0, len(images), columns)]
    return np.concatenate(rows, axis=0)


def row(*parts):
    """Widgets side by side at their own heights: the default stretches pictures."""
    return ipywidgets.HBox(parts, layout=ROW)


def column(*parts):
    """Widgets one below the other."""
    return ipywidgets.VBox(parts, layout={"align_items": "flex-start", "grid_gap": "4px", "max_width": "100%"})


def box(value: int, name: str, most: int = 10**6):
    """A box for a whole number, for example a seed."""
    return ipywidgets.BoundedIntText(value, min=0, max=most, description=name)


def places():
    """The choice between places by value and places by quantile of the prior."""
    return ipywidgets.Dropdown(options=["value", "quantile"], description="places by")


def button(name: str):
    """A button as wide as its name."""
    return ipywidgets.Button(description=name, layout={"width": "auto"})


def choice(name: str, kind: type = ipywidgets.Dropdown, **options):
    """A selection, for example of runs, wide enough for their names."""
    return kind(description=name, layout={"width": "40rem"}, **options)


def redraw_on(controls, redraw) -> None:
    """Draws now, and whenever one of the controls has changed."""
    for control in controls:
        control.observe(redraw, "value")
    redraw()


def fill(box, *parts) -> None:
    """Puts other widgets into a box, and closes those before: the kernel would keep them and their pictures."""
    before, box.children = [*box.children], parts
    for one in before:  # it grows
        before += getattr(one, "children", ())
        one.close()


def words(markdown: str):
    """Markdown inside a widget."""
    output = {
        "output_type": "display_data",
        "data": {"text/markdown": markdown, "text/plain": markdown},
        "metadata": {},
    }
    return ipywidgets.Output(outputs=(output,), layout={"max_width": "100%", "overflow": "auto"})
