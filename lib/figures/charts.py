"""Numbers as charts: the course of a training, the latent space, numbers over settings."""

import math
from collections.abc import Iterable, Sequence
from itertools import cycle

import numpy as np
from matplotlib import colormaps, patheffects, rc_context
from matplotlib.ticker import MaxNLocator

from lib import rounding
from lib.figures.figure import GREY, STYLE, Figure, bare, framed, sized
from lib.models import Description

# Okabe & Ito (2008) for lines, Tol's "muted" and black for classes: both are told apart by colour-blind readers.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
CLASSES = ("#332288", "#CC6677", "#117733", "#88CCEE", "#999933", "#AA4499", "#44AA99", "#882255", "#DDCC77", "#000000")
HEAT = colormaps["cividis"]  # Nuñez et al. (2018): dark to light, alike to readers with and without colour blindness
FRAME = {"left": 0.125, "right": 0.79, "bottom": 0.15, "top": 0.91}  # alike: figures stand side by side
COMPACT = {"left": 0.27, "right": 0.68, "bottom": 0.16, "top": 0.97}

History = dict[str, list[float]]  # one number an epoch by name; of validation images under "val_" and that name


# ---- the course of a training --------------------------------------------------------------------


@rc_context(STYLE)
def training(
    history: History,
    description: Description,
    like: Sequence[History] = (),
    losses: bool = False,
    title: str = "",
    band: History | None = None,
    compact: bool = False,
) -> Figure:
    """A model's own curve by epoch: training solid, its `val_` twin dashed where the history has one.

    Args:
        description: what the model's own curve is, and how its columns are called.
        like: other histories that the axes must hold too, so that figures side by side have one scale.
        losses: the networks' losses in place of the model's own curve.
        band: by name, how far to shade above and below; with it, `history` is a mean over seeds (see `over_seeds`).
        compact: for a place of 300 pixels, beside images; what lines mean is said elsewhere.
    """
    groups, levels = (description.losses, {}) if losses else (description.curve, description.levels)
    units, heights = [*description.units, *[""] * len(groups)], [3, *[1.2] * (len(groups) - 1)]
    drawn = sized(300, 265) if compact else sized(520, 340 if len(groups) > 1 else 300)
    grid = {"height_ratios": heights, "hspace": 0.12, **(COMPACT if compact else FRAME)}
    rows = drawn.subplots(len(groups), 1, sharex=True, squeeze=False, gridspec_kw=grid)[:, 0]
    bounds = edges(history, band)
    for axes, names, unit in zip(rows, groups, units, strict=False):
        ends = _curves(axes, history, names, description.columns, bounds)
        for label, value in levels.items():
            exact = f" ({rounding.number(value)})" if value and not compact else ""
            _level(axes, label + exact, value, zero=not value)
        axes.set(ylabel=unit, ylim=_limits([history, *bounds, *like], names, levels))
        axes.yaxis.set_major_locator(MaxNLocator(5 if axes.get_position().height > 0.4 else 3))
        _label_ends(axes, ends)
        levels = {}  # they are of the first group
    notes = [title, "dashed: validation" if any(f"val_{name}" in history for name in groups[0]) else ""]
    notes.append("mean over seeds, band: ± 1 standard deviation" if band else "")
    notes = [] if compact else notes
    rows[0].set_title(" · ".join(filter(None, notes)), color=GREY, size=8.5 if title else 8)
    rows[-1].set_xlabel("epoch")
    rows[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
    drawn.alt = _course(history, groups, description.columns, band)
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


def _curves(axes, history: History, names: Sequence[str], labels: dict[str, str], bounds: list[History]) -> list:
    """Draws the columns that the history has, and shades between bounds; returns what `_label_ends` wants."""
    ends = []
    for (name, values), colour in zip(_present(history, names).items(), cycle(LINES)):
        marker = "o" if len(values) < 10 else None
        axes.plot(_epochs(values), values, color=colour, marker=marker, markersize=3, label=name)
        if twin := history.get(f"val_{name}"):
            dashes = {"linestyle": (0, (3, 1.5)), "linewidth": 1.3}
            axes.plot(_epochs(twin), twin, color=colour, label=f"val_{name}", **dashes)
        for column in (name, f"val_{name}"):
            if sides := [bound[column] for bound in bounds if column in bound]:
                axes.fill_between(_epochs(sides[0]), *sides, color=colour, alpha=0.18, linewidth=0)
        if math.isfinite(values[-1]):
            ends.append((values[-1], labels.get(name, name), colour))
    return ends


def _present(history: History, names: Iterable[str]) -> History:
    return {name: history[name] for name in names if history.get(name)}


def _epochs(values: Sequence[float]) -> range:
    return range(1, len(values) + 1)


def _limits(histories: Sequence[History], names: Sequence[str], levels: dict[str, float]) -> tuple | None:
    """What holds every curve and level, with a margin; None where there is nothing."""
    columns = [column for name in names for column in (name, f"val_{name}")]
    values = [value for history in histories for column in columns for value in history.get(column, ())]
    values = [value for value in [*values, *levels.values()] if math.isfinite(value)]
    if not values:
        return None
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin


def _level(axes, words: str, value: float, above: bool = False, zero: bool = False) -> None:
    """A dotted line across the axes, with words below or above its right end; of zero, above its left one."""
    axes.axhline(value, color=GREY, linewidth=1, linestyle=":")
    side, up = ("left" if zero else "right"), above or zero
    style = {"ha": side, "va": "bottom" if up else "top", "color": GREY, "size": 8}
    place = {"xycoords": ("axes fraction", "data"), "xytext": (0, 3 if up else -3), "textcoords": "offset points"}
    axes.annotate(words, (0.01 if zero else 0.99, value), **place, **style)


def _label_ends(axes, ends: list[tuple[float, str, str]]) -> None:
    """Names each curve (last value, name, colour) at its right end, the names pushed apart where the ends are close."""
    low, high = axes.get_ylim()
    height = axes.get_position().height * axes.get_figure(root=True).get_figheight() * 72
    step, place = 12 / height, -math.inf
    for value, label, colour in sorted(ends):
        at = (value - low) / ((high - low) or 1)
        place = max(at, place + step)
        where = {"xycoords": "axes fraction", "xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(label, (1, place), color=colour, **where)


def _course(history: History, groups: Sequence[Sequence[str]], labels: dict[str, str], band: History | None) -> str:
    """The first and last value of each curve, in words."""
    shown = _present(history, (name for group in groups for name in group))
    if not shown:
        return "No curve: nothing was recorded"
    what = "Means over seeds by epoch" if band else "By epoch"
    ends = _ends({labels.get(name, name): values for name, values in shown.items()})
    return f"{what}, over {max(map(len, history.values()))}: {ends}"


def _ends(series: dict[str, Sequence[float]]) -> str:
    """'loss from 3.2 to 0.9, ...': the first and the last value of each, in words."""
    both = {name: rounding.column([float(values[0]), float(values[-1])]) for name, values in series.items()}
    return ", ".join(f"{name} from {first} to {last}" for name, (first, last) in both.items())


# ---- the latent space ----------------------------------------------------------------------------


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
    axes = framed(480, 390, left=0.13, right=0.85, bottom=0.13, top=0.97)
    marked = np.empty((0, 2))
    for label, colour in zip(classes, cycle(CLASSES)):
        members = points if label is None else points[labels == label]
        axes.scatter(*members.T, s=7, color=colour, alpha=0.7, linewidths=0, label=label)
        marked = _mark(axes, np.median(members, axis=0), label, colour, marked, np.ptp(points, axis=0))
    if labels is not None and len(classes) <= 16:  # of more the legend leaves the figure, and colours repeat
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="class", markerscale=2.5, handletextpad=0)
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    what = f"coloured by {len(classes)} classes" if labels is not None else "without labels"
    axes.figure.alt = f"Scatter of {len(points)} images over {axes_names[0]} and {axes_names[1]}, {what}"
    return axes.figure


def _mark(axes, centre, label, colour: str, marked: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """Writes a class at its centre, unless another already stands there; returns the centres written at."""
    near = np.linalg.norm((marked - centre) / np.maximum(extent, 1e-9), axis=1) < 0.05
    if label is None or near.any():
        return marked
    halo = [patheffects.withStroke(linewidth=3, foreground="white")]
    axes.annotate(label, centre, ha="center", va="center", size=13, weight="bold", color=colour, path_effects=halo)
    return np.vstack([marked, centre])


# ---- numbers over settings -----------------------------------------------------------------------


@rc_context(STYLE)
def heat_map(values, rows: Sequence, columns: Sequence, texts: Sequence[Sequence[str]], names, title: str) -> Figure:
    """A number over two settings: a coloured cell for each pair, dark for the least, with its text in it.

    Args:
        values: [R, C].
        rows, columns: the R and C values of the two settings.
        texts: [R][C], what the cells say; two lines fit.
        names: of the two settings, that of the rows first.
    """
    values = np.asarray(values, float)
    width, height = 84 * len(columns) + 58, 46 * len(rows) + 70
    axes = framed(width, height, left=52 / width, right=1 - 6 / width, bottom=42 / height, top=1 - 28 / height)
    low, high = np.nanmin(values), np.nanmax(values)
    axes.imshow(values, cmap=HEAT, vmin=low, vmax=high if high > low else low + 1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        ink = _ink(HEAT((value - low) / ((high - low) or 1)))
        axes.text(column, row, texts[row][column], ha="center", va="center", color=ink, size=9, linespacing=1.3)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(ylabel=names[0], xlabel=names[1], title=title)
    bare(axes)
    ends = [np.unravel_index(place, values.shape) for place in (np.nanargmin(values), np.nanargmax(values))]
    places = [(" ".join(texts[row][column].split()), rows[row], columns[column]) for row, column in ends]
    least, most = (f"{text} at {names[0]} {row}, {names[1]} {column}" for text, row, column in places)
    axes.figure.alt = f"Heat map of {title} over {len(rows)} by {len(columns)} settings: from {least} to {most}"
    return axes.figure


def _ink(colour) -> str:
    """Black or white, whichever contrasts more with an RGBA colour (relative luminance of WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return "white" if np.dot((0.2126, 0.7152, 0.0722), linear) < 0.179 else "black"


@rc_context(STYLE)
def lines(x, series: dict[str, Sequence], xlabel: str, ylabel: str, references=None, log: bool = False) -> Figure:
    """Numbers over anything but epochs, one line a name.

    Args:
        x: [N], shared by all.
        series: [N] each, by name; the names stand at the lines' ends.
        references: values by label, drawn as horizontal lines.
        log: a logarithmic x axis, with a tick at each x.
    """
    axes = framed(520, 300, **FRAME)
    for (name, values), colour in zip(series.items(), cycle(LINES)):
        axes.plot(x, values, color=colour, marker="o" if len(x) < 10 else None, markersize=3, label=name)
    for label, value in (references or {}).items():
        _level(axes, f"{label} {rounding.number(value)}", value, above=True)
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log else "linear")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if log:
        axes.set_xticks(x, [f"{value:g}" for value in x])
        axes.minorticks_off()
    axes.margins(y=0.12)
    _label_ends(axes, [(values[-1], name, colour) for (name, values), colour in zip(series.items(), cycle(LINES))])
    axes.figure.alt = f"{ylabel} over {xlabel} from {x[0]:g} to {x[-1]:g}: {_ends(series)}"
    return axes.figure


@rc_context(STYLE)
def points(groups: dict[str, Sequence[tuple[float, float]]], xlabel: str, ylabel: str) -> Figure:
    """Two numbers over things of several kinds: a marker and a colour for each kind, named beside.

    Args:
        groups: places [N, 2] by kind.
    """
    axes = framed(760, 420, left=0.1, right=0.8, bottom=0.13, top=0.96)
    for (name, places), colour, marker in zip(groups.items(), cycle(LINES), cycle("osD^vP")):
        axes.scatter(*zip(*places, strict=True), s=40, color=colour, marker=marker, label=name, edgecolors="white")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    every = [place for places in groups.values() for place in places]
    drawn = axes.figure
    drawn.alt = f"{len(every)} points of {len(groups)} kinds, {ylabel} over {xlabel}"
    if every:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), handletextpad=0.2)
        sides = zip((xlabel, ylabel), zip(*every, strict=True), strict=True)
        drawn.alt += ": " + _ends({name: (min(side), max(side)) for name, side in sides})
    return drawn


@rc_context(STYLE)
def small_multiples(x, series: dict[str, Sequence[float]], xlabel: str, limits=None, columns: int = 4) -> Figure:
    """Numbers of different units over one quantity: a small chart for each, with its name as title.

    Args:
        x: [N], shared by all.
        series: [N] each, by name.
        limits: (least, most) of the vertical axis by name, where small changes must look small; None: as the numbers.
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
    drawn.alt = f"{len(series)} charts over {xlabel} from {x[0]:g} to {x[-1]:g}: {_ends(series)}"
    return drawn
