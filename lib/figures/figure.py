"""How all figures look, and a Figure that displays itself.

A figure says in words what it shows (`alt`) and displays itself as an HTML image of two pixels per CSS pixel, so that
notebooks need no backend, and screen readers and exported pages get these words: Jupyter ignores those of a bare PNG.
"""

import base64
import io
from html import escape

from matplotlib import figure, rc_context, text

GREY = "#6b7280"
ON_BOTH = "#797979"  # as far from white as from JupyterLab's dark ground: 4.35 to 1
# In a dark JupyterLab, or a page of nbconvert's dark theme, a chart's white becomes the ground, and its inks light.
DARK = (
    '[data-jp-theme-light="false"] .latent-report-chart '
    "{ filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; }"
)
PIXELS_PER_INCH = 100  # CSS pixels
STYLE = {
    "text.usetex": False,  # a user's matplotlibrc may ask for LaTeX, which is not everywhere
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelcolor": "#374151",
    "axes.edgecolor": "#9ca3af",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}


class Figure(figure.Figure):
    """A matplotlib Figure that displays itself; `alt` says in words what it shows.

    Attributes:
        kind: the class of its HTML image. A chart is inverted in dark themes; images of a dataset, "", never are.
    """

    alt = ""
    kind = "latent-report-chart"

    def png(self, clear: bool = False) -> bytes:
        """The figure as a PNG, at twice the CSS pixels.

        Args:
            clear: images stand on the page's own ground, with words that can be read on light and dark ones.
        """
        file, clear = io.BytesIO(), clear and not self.kind
        for words in self.findobj(text.Text) if clear else ():
            words.set_color(ON_BOTH)
        options = {"dpi": 2 * PIXELS_PER_INCH, "metadata": {"Software": None}, "transparent": clear or None}
        self.savefig(file, format="png", **options)
        return file.getvalue()

    def svg(self) -> bytes:
        """The figure as an SVG, the same bytes each time."""
        file = io.BytesIO()
        with rc_context({"svg.hashsalt": "latent-report"}):
            self.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return file.getvalue()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels."""
        return tuple(round(inches * PIXELS_PER_INCH) for inches in self.get_size_inches())

    def html(self) -> str:
        """The figure as an image of HTML, with its words; for a chart also the style of dark themes."""
        image = base64.b64encode(self.png(clear=True)).decode()
        style = f'<style>{DARK}</style><img class="{self.kind}"' if self.kind else "<img"
        return f'{style} alt="{escape(self.alt)}" src="data:image/png;base64,{image}" width="{self.size[0]}">'

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": self.html(), "text/plain": self.alt}


def sized(width: float, height: float) -> Figure:
    """An empty figure of some CSS pixels."""
    return Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH))


def framed(width: float, height: float, **margins: float):
    """The axes of a figure of some CSS pixels, whose sides stand at `margins`, in parts of its width and height."""
    drawn = sized(width, height)
    drawn.subplots_adjust(**margins)
    return drawn.add_subplot()


def bare(axes) -> None:
    """Leaves of axes only their numbers: what stands in them is a grid of its own."""
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
