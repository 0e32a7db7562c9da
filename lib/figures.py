"""Arrays in, a Figure out; nothing else: no training, no sampling, no saving, no global state of pyplot.

A figure says in words what it shows (`alt`) and displays itself as an HTML image of two pixels per CSS pixel, so that
notebooks need no backend, and screen readers and exported pages get these words: Jupyter ignores those of a bare PNG.
"""

import base64
import io
import math
from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib import colormaps, figure, patheffects, rc_context, text
from matplotlib.ticker import MaxNLocator

from lib import rounding

# Okabe & Ito (2008) for lines, Tol's "muted" and black for classes: both are told apart by colour-blind readers.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
CLASSES = ("#332288", "#CC6677", "#117733", "#88CCEE", "#999933", "#AA4499", "#44AA99", "#882255", "#DDCC77", "#000000")
HEAT = colormaps["cividis"]  # Nuñez et al. (2018): dark to light, alike to readers with and without colour blindness
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
LABELS = {
    "loss": "loss (−ELBO)",
    "reconstruction": "reconstruction",
    "kl": "KL",
    "d_loss": "discriminator",
    "g_loss": "generator",
    "critic_loss": "critic",
    "jsd": "JSD estimate",
    "emd": "EMD estimate",
}
UNITS = {"vae": "nats per image", "gan": "nats", "wgan": "critic's own units"}
CURVES = {"vae": (("loss", "reconstruction"), ("kl",)), "gan": (("jsd",),), "wgan": (("emd",),)}
LOSSES = {"vae": CURVES["vae"], "gan": (("d_loss", "g_loss"),), "wgan": (("critic_loss", "g_loss"),)}
LEVELS = {"jsd": {"log 2, the maximum": math.log(2)}, "emd": {"zero": 0.0}}

FRAME = {"left": 0.125, "right": 0.79, "bottom": 0.15, "top": 0.91, "hspace": 0.12}  # alike: figures stand side by side

History = dict[str, list[float]]


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
        self.savefig(
            file, format="png", dpi=2 * PIXELS_PER_INCH, metadata={"Software": None}, transparent=clear or None
        )
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


# ---- images --------------------------------------------------------------------------------------


def mosaic(images, columns: int = 10, gap: int = 1) -> np.ndarray:
    """Images in rows, with white gaps and white where the last row ends early.

    Args:
        images: [N, H, W, C] with C 1, 3 or 4, uint8 or float in [0, 1].

    Returns:
        uint8 [rows * (H + gap) - gap, columns * (W + gap) - gap, 3]; with C 4, of opacity, 4 and clear in the gaps.
    """
    images = _pixels(images)
    count, height, width, channels = images.shape
    columns = max(1, min(columns, count))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + gap), columns * (width + gap), max(3, channels)), 255, np.uint8)
    canvas[..., 3:] = 0
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas[: rows * (height + gap) - gap, : columns * (width + gap) - gap]


@rc_context(STYLE)
def gallery(images, columns: int = 10, title: str = "") -> Figure:
    """A grid of images.

    Args:
        images: [N, H, W, C], uint8 or float in [0, 1].
    """
    canvas = mosaic(_opaque(images), columns)
    head = 26 if title else 0
    scale = _scale(canvas.shape[1], 580)
    drawn = _sized(canvas.shape[1] * scale, canvas.shape[0] * scale + head)
    _show(drawn.add_axes((0, 0, 1, 1 - head / drawn.size[1])), canvas).set_title(title)
    rows = math.ceil(len(images) / columns)
    drawn.alt = f"{len(images)} images in {rows} row{'s' if rows > 1 else ''}" + (f": {title}" if title else "")
    return drawn


def interpolation(images) -> Figure:
    """Images [N, H, W, C] in one row, as a walk through the latent space decodes to."""
    drawn = gallery(images, columns=len(images))
    drawn.alt = f"{len(images)} images in one row, from one latent vector to another"
    return drawn


@rc_context(STYLE)
def reconstructions(originals, decoded, names: tuple[str, str] = ("original", "decoded")) -> Figure:
    """Images above others that belong to them, both [N, H, W, C]: originals above what encoder and decoder make of
    them, or generated images above the nearest real ones.

    Args:
        names: of the two rows.
    """
    canvas = mosaic(np.concatenate([_opaque(originals), _opaque(decoded)]), columns=len(originals))
    scale, margin = _scale(canvas.shape[1], 520), 80
    drawn = _sized(canvas.shape[1] * scale + margin, canvas.shape[0] * scale)
    share = margin / drawn.size[0]
    _show(drawn.add_axes((share, 0, 1 - share, 1)), canvas)
    for height, name in zip((0.75, 0.25), names, strict=True):
        drawn.text(share * 0.9, height, name, ha="right", va="center", color=GREY)
    drawn.alt = f"{len(originals)} images in two rows, {names[0]} above {names[1]}"
    return drawn


@rc_context(STYLE)
def plane(images, ticks) -> Figure:
    """The decoded plane of two latents.

    Args:
        images: [n * n, H, W, C], row by row, the first row with the largest z2.
        ticks: [n] ascending values of z1, and of z2.
    """
    count = len(ticks)
    drawn = Figure(figsize=(4.3, 4.3))
    drawn.subplots_adjust(left=0.13, right=0.98, bottom=0.13, top=0.98)
    axes = drawn.add_subplot()
    axes.imshow(mosaic(images, count, gap=0), extent=(0, count, 0, count), interpolation="nearest")
    centres, names = np.arange(count) + 0.5, [f"{tick:.1f}".replace("-0.0", "0.0") for tick in ticks]
    axes.set_xticks(centres, names)
    axes.set_yticks(centres, names)
    axes.set(xlabel="z1", ylabel="z2")
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    drawn.kind = ""
    drawn.alt = f"Images decoded on a {count} by {count} grid over two latents, each from {names[0]} to {names[-1]}"
    return drawn


# ---- points --------------------------------------------------------------------------------------


@rc_context(STYLE)
def latent_map(points, labels=None, axes_names: Sequence[str] = ("first axis", "second axis")) -> Figure:
    """Where images lie in the latent space.

    Args:
        points: [N, 2].
        labels: [N] classes, or None.
        axes_names: of what the two columns are, two latents or two components of more.
    """
    points = np.asarray(points)
    labels = None if labels is None else np.asarray(labels)
    classes = [None] if labels is None else np.unique(labels)
    drawn = Figure(figsize=(4.8, 3.9))
    drawn.subplots_adjust(left=0.13, right=0.85, bottom=0.13, top=0.97)
    axes = drawn.add_subplot()
    marked = np.empty((0, 2))
    for index, label in enumerate(classes):
        members = points if label is None else points[labels == label]
        colour = CLASSES[index % len(CLASSES)]
        axes.scatter(*members.T, s=7, color=colour, alpha=0.7, linewidths=0, label=label)
        marked = _mark(axes, np.median(members, axis=0), label, colour, marked, np.ptp(points, axis=0))
    if labels is not None and len(classes) <= 16:  # of more the legend leaves the figure, and colours repeat
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="class", markerscale=2.5, handletextpad=0)
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    what = f"coloured by {len(classes)} classes" if labels is not None else "without labels"
    drawn.alt = f"Scatter of {len(points)} images over {axes_names[0]} and {axes_names[1]}, {what}"
    return drawn


def _mark(axes, centre, label, colour, marked, extent):
    """Writes a class at its centre, unless another already stands there; returns the centres written at."""
    near = np.linalg.norm((marked - centre) / np.maximum(extent, 1e-9), axis=1) < 0.05
    if label is None or near.any():
        return marked
    halo = [patheffects.withStroke(linewidth=3, foreground="white")]
    axes.annotate(label, centre, ha="center", va="center", size=13, weight="bold", color=colour, path_effects=halo)
    return np.vstack([marked, centre])


# ---- curves --------------------------------------------------------------------------------------


@rc_context(STYLE)
def curves(
    history: History,
    names: Sequence[str],
    ylabel: str,
    references=None,
    ylim=None,
    title: str = "",
    band: History | None = None,
) -> Figure:
    """Numbers by epoch: training solid, its `val_` twin dashed where the history has one.

    Args:
        history: one number an epoch by name.
        names: the columns to draw; one that is missing is left out.
        references: values by label, drawn as horizontal lines.
        band: by name, how far to shade above and below; with it, `history` is a mean over seeds (see `over_seeds`).
    """
    drawn = Figure(figsize=(5.2, 3))
    drawn.subplots_adjust(**FRAME)
    _curves(drawn.add_subplot(), history, names, ylabel, references, ylim, title, band)
    drawn.alt = describe(history, names, band)
    return drawn


@rc_context(STYLE)
def training(
    history: History,
    model: str,
    like: Sequence[History] = (),
    losses: bool = False,
    title: str = "",
    band: History | None = None,
) -> Figure:
    """A model's own curve: the VAE's loss and its parts, the GAN's JSD below log 2, the WGAN's EMD above zero.

    Args:
        model: "vae", "gan" or "wgan".
        like: other histories that the axes must hold too, so that figures side by side have one scale.
        losses: the networks' losses in place of the JSD or EMD.
        band: as in `curves`.
    """
    groups = (LOSSES if losses else CURVES)[model]
    drawn = Figure(figsize=(5.2, 3.4 if len(groups) > 1 else 3))
    _training(drawn, history, model, groups, [history, *edges(history, band), *like], title, band)
    drawn.alt = describe(history, sum(groups, ()), band)
    return drawn


def over_seeds(histories: Sequence[History]) -> tuple[History, History]:
    """Mean and standard deviation by epoch of runs that differ in the seed, two or more, over the epochs all have."""
    names = [name for name in histories[0] if all(name in history for history in histories)]
    rows = {name: list(zip(*(history[name] for history in histories), strict=False)) for name in names}
    with np.errstate(invalid="ignore"):  # of a run that diverged
        mean = {name: np.mean(values, axis=1).tolist() for name, values in rows.items()}
        return mean, {name: np.std(values, axis=1, ddof=1).tolist() for name, values in rows.items()}


def edges(history: History, band: History | None) -> list[History]:
    """The lower and the upper edge of a band, as histories; none without a band."""
    if band is None:
        return []
    return [
        {name: [value + sign * far for value, far in zip(history[name], band[name], strict=True)] for name in band}
        for sign in (-1, 1)
    ]


def describe(history: History, names: Sequence[str], band: History | None = None) -> str:
    """The first and last value of each curve, in words."""
    shown = _present(history, names)
    ends = [f"{LABELS.get(name, name)} {_ends(values)}" for name, values in shown]
    epochs = max((len(values) for values in history.values()), default=0)
    what = "Means over seeds by epoch" if band else "By epoch"
    return f"{what}, over {epochs}: " + ", ".join(ends) if ends else "No curve: nothing was recorded"


def _training(drawn, history, model, groups, histories, title="", band=None):
    grid = {"height_ratios": (3, 1.2)[: len(groups)], **FRAME}
    rows = drawn.subplots(len(groups), 1, sharex=True, squeeze=False, gridspec_kw=grid)[:, 0]
    for axes, names, unit in zip(rows, groups, (UNITS[model], "nats"), strict=False):
        levels = LEVELS.get(names[0], {})
        _curves(axes, history, names, unit, levels, _limits(histories, names, levels), title, band)
    for axes in rows[1:]:
        axes.set_title("")
    for axes in rows[:-1]:
        axes.set_xlabel("")


def _curves(axes, history, names, ylabel, references, ylim, title, band=None):
    ends, both_edges = [], edges(history, band)
    for (name, values), colour in zip(_present(history, names), LINES * len(names), strict=False):
        marker = "o" if len(values) < 10 else None
        axes.plot(_epochs(values), values, color=colour, marker=marker, markersize=3, label=name)
        if validation := history.get(f"val_{name}"):
            dashes = {"linestyle": (0, (3, 1.5)), "linewidth": 1.3}
            axes.plot(_epochs(validation), validation, color=colour, label=f"val_{name}", **dashes)
        for column in (name, f"val_{name}"):
            _shade(axes, column, both_edges, colour)
        if math.isfinite(values[-1]):
            ends.append((values[-1], LABELS.get(name, name), colour))
    for label, value in (references or {}).items():
        axes.axhline(value, color=GREY, linewidth=1, linestyle=":")
        axes.annotate(
            f"{label} ({rounding.number(value)})" if value else label,
            (0.99 if value else 0.01, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, -3 if value else 3),
            textcoords="offset points",
            ha="right" if value else "left",
            va="top" if value else "bottom",
            color=GREY,
            size=8,
        )
    axes.set(xlabel="epoch", ylabel=ylabel, ylim=ylim)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5 if axes.get_position().height > 0.4 else 3))
    notes = [title, "dashed: validation" if any(f"val_{name}" in history for name in names) else ""]
    notes.append("mean over seeds, band: ± 1 standard deviation" if band else "")
    axes.set_title(" · ".join(filter(None, notes)), color=GREY, size=8.5 if title else 8)
    _label_ends(axes, ends)


def _shade(axes, column, both_edges, colour):
    """The band of one curve; nothing without edges."""
    bounds = [edge[column] for edge in both_edges if column in edge]
    if bounds:
        axes.fill_between(_epochs(bounds[0]), *bounds, color=colour, alpha=0.18, linewidth=0)


def _epochs(values):
    return range(1, len(values) + 1)


def _label_ends(axes, ends):
    """Names each curve at its right end, the names pushed apart where the ends are close."""
    low, high = axes.get_ylim()
    height = axes.get_position().height * axes.get_figure(root=True).get_figheight() * 72
    step, place = 12 / height, -math.inf
    for value, label, colour in sorted(ends):
        at = (value - low) / ((high - low) or 1)
        place = max(at, place + step)
        where = {"xycoords": "axes fraction", "xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(label, (1, place), color=colour, **where)


def _present(history, names):
    return [(name, history[name]) for name in names if history.get(name)]


def _limits(histories, names, levels):
    """What holds every curve and level, with a margin; None where there is nothing."""
    columns = [column for name in names for column in (name, f"val_{name}")]
    values = [value for history in histories for column in columns for value in history.get(column, ())]
    values = [value for value in [*values, *levels.values()] if math.isfinite(value)]
    if not values:
        return None
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


# ---- grids ---------------------------------------------------------------------------------------


@rc_context(STYLE)
def heat_map(values, rows: Sequence, columns: Sequence, texts: Sequence[Sequence[str]], names, title: str) -> Figure:
    """A number over two settings: a coloured cell for each pair, with its text in it.

    Args:
        values: [R, C], what the colours show, dark for the least.
        rows, columns: the R and C values of the two settings.
        texts: [R][C], what the cells say; two lines fit.
        names: of the two settings, that of the rows first.
        title: the number and its unit.
    """
    values = np.asarray(values, float)
    width, height = 84 * len(columns) + 58, 46 * len(rows) + 70
    drawn = _sized(width, height)
    drawn.subplots_adjust(left=52 / width, right=1 - 6 / width, bottom=42 / height, top=1 - 28 / height)
    axes = drawn.add_subplot()
    low, high = np.nanmin(values), np.nanmax(values)
    axes.imshow(values, cmap=HEAT, vmin=low, vmax=high if high > low else low + 1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        ink = _ink(HEAT((value - low) / ((high - low) or 1)))
        axes.text(column, row, texts[row][column], ha="center", va="center", color=ink, size=9, linespacing=1.3)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(ylabel=names[0], xlabel=names[1], title=title)
    axes.grid(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    drawn.alt = _described_grid(values, rows, columns, texts, names, title)
    return drawn


@rc_context(STYLE)
def lines(
    x, series: dict[str, Sequence[float]], xlabel: str, ylabel: str, references=None, log: bool = False
) -> Figure:
    """Numbers over anything but epochs, one line a name.

    Args:
        x: [N], shared by all.
        series: [N] each, by name; the names stand at the lines' ends.
        references: values by label, drawn as horizontal lines.
        log: a logarithmic x axis, with a tick at each x.
    """
    drawn = Figure(figsize=(5.2, 3))
    drawn.subplots_adjust(**FRAME)
    axes = drawn.add_subplot()
    for (name, values), colour in zip(series.items(), LINES * len(series), strict=False):
        axes.plot(x, values, color=colour, marker="o" if len(x) < 10 else None, markersize=3, label=name)
    for label, value in (references or {}).items():
        axes.axhline(value, color=GREY, linewidth=1, linestyle=":")
        axes.annotate(f"{label} {rounding.number(value)}", (0.99, value), xycoords=("axes fraction", "data"), **_ABOVE)
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log else "linear")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if log:
        axes.set_xticks(x, [f"{value:g}" for value in x])
        axes.minorticks_off()
    axes.margins(y=0.12)
    _label_ends(axes, [(values[-1], name, c) for (name, values), c in zip(series.items(), LINES * 9, strict=False)])
    ends = ", ".join(f"{name} {_ends(values)}" for name, values in series.items())
    drawn.alt = f"{ylabel} over {xlabel} from {x[0]:g} to {x[-1]:g}: {ends}"
    return drawn


@rc_context(STYLE)
def points(groups: dict[str, Sequence[tuple[float, float]]], xlabel: str, ylabel: str) -> Figure:
    """Two numbers over things of several kinds: a marker and a colour for each kind, named beside.

    Args:
        groups: places [N, 2] by kind.
    """
    drawn = Figure(figsize=(7.6, 4.2))
    drawn.subplots_adjust(left=0.1, right=0.8, bottom=0.13, top=0.96)
    axes = drawn.add_subplot()
    for (name, places), colour, marker in zip(
        groups.items(), LINES * len(groups), "osD^vP" * len(groups), strict=False
    ):
        axes.scatter(*zip(*places, strict=True), s=40, color=colour, marker=marker, label=name, edgecolors="white")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if groups:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), handletextpad=0.2)
    every = [place for places in groups.values() for place in places]
    drawn.alt = f"{len(every)} points of {len(groups)} kinds, {ylabel} over {xlabel}"
    if every:
        spans = [
            f"{name} {_ends((min(side), max(side)))}"
            for name, side in zip((xlabel, ylabel), zip(*every, strict=True), strict=True)
        ]
        drawn.alt += ": " + ", ".join(spans)
    return drawn


@rc_context(STYLE)
def small_multiples(x, series: dict[str, Sequence[float]], xlabel: str, limits=None, columns: int = 4) -> Figure:
    """Numbers of different units over one quantity: a small chart for each, with its name as title.

    Args:
        x: [N], shared by all.
        series: [N] each, by name.
        limits: by name, (least, most) of the vertical axis, where small changes must look small; None for an end that
            the numbers set.
    """
    rows = math.ceil(len(series) / columns)
    drawn = Figure(figsize=(2.05 * columns, 1.75 * rows), layout="constrained")
    axes = drawn.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for one, (name, values) in zip(axes, series.items(), strict=False):
        one.plot(x, values, color=LINES[0], marker="o", markersize=3, clip_on=False)
        one.set_ylim(*(limits or {}).get(name, (None, None)))
        one.set_title(name)
        one.yaxis.set_major_locator(MaxNLocator(4))
    for spare in axes[len(series) :]:
        spare.set_axis_off()
    drawn.supxlabel(xlabel, size=9, color="#374151")
    ends = ", ".join(f"{name} {_ends(values)}" for name, values in series.items())
    drawn.alt = f"{len(series)} charts over {xlabel} from {x[0]:g} to {x[-1]:g}: {ends}"
    return drawn


_ABOVE = {"xytext": (0, 3), "textcoords": "offset points", "ha": "right", "va": "bottom", "color": GREY, "size": 8}


def _described_grid(values, rows, columns, texts, names, title) -> str:
    """A heat map's least and greatest value, and where they stand, in words."""
    least, most = (np.unravel_index(place, values.shape) for place in (np.nanargmin(values), np.nanargmax(values)))
    ends = [
        f"{' '.join(texts[row][column].split())} at {names[0]} {rows[row]}, {names[1]} {columns[column]}"
        for row, column in (least, most)
    ]
    return f"Heat map of {title} over {len(rows)} by {len(columns)} settings: from {ends[0]} to {ends[1]}"


def _ink(colour) -> str:
    """Black or white, whichever contrasts more with an RGBA colour (relative luminance of WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return "white" if np.dot((0.2126, 0.7152, 0.0722), linear) < 0.179 else "black"


# ---- helpers -------------------------------------------------------------------------------------


def _ends(values: Sequence[float]) -> str:
    """'from 3.2 to 0.9': the first and the last."""
    first, last = rounding.column([float(values[0]), float(values[-1])])
    return f"from {first} to {last}"


def _pixels(images) -> np.ndarray:
    """[N, H, W, C], uint8 or float in [0, 1] -> uint8."""
    images = np.asarray(images)
    return images if images.dtype == np.uint8 else np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def _scale(width: int, wanted: int) -> int:
    """The whole number of CSS pixels per image pixel that comes nearest to the wanted width: pixels stay square."""
    return max(1, round(wanted / width))


def _opaque(images) -> np.ndarray:
    """[N, H, W, C], uint8 or float in [0, 1] -> uint8 [N, H, W, 4]."""
    images = _pixels(images)
    alpha = np.full((*images.shape[:3], 1), 255, np.uint8)
    return np.concatenate([np.broadcast_to(images, (*images.shape[:3], 3)), alpha], axis=3)


def _sized(width: int, height: int) -> Figure:
    return Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH))


def _show(axes, canvas):
    """Images without a frame; the figure is then no chart."""
    axes.get_figure(root=True).kind = ""
    axes.imshow(canvas, interpolation="nearest", aspect="equal")
    axes.set_axis_off()
    return axes
