"""What settings do: small charts of numbers over settings, a row for each number, a column for each setting."""

import math
from dataclasses import dataclass
from itertools import cycle
from statistics import fmean
from typing import Any

from matplotlib import rc_context
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lib import rounding
from lib.figures.charts import LINES
from lib.figures.figure import GREY, STYLE, Figure, sized

SMALL = STYLE | {
    "font.size": 8,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "lines.linewidth": 1.6,
    "axes.titlecolor": "#374151",
}
EVIDENCE = ("#94a3b8", "#a8a29e", "#b4a7c7")  # lighter than a study's own LINES
WIDTH, ROW, GAP, TOP, BOTTOM, LEGEND = 330, 55, 24, 19, 37, 15  # CSS pixels
LEFT, RIGHT, LETTER = 40, 10, 5.3  # to the right there is room for the names of marks
LETTERS = 19  # below a chart, in one line
REACH = 0.6  # how far beyond the numbers a mark may lie, in parts of their range: further ones would flatten the lines


@dataclass(frozen=True)
class Line:
    """Runs that differ only in one setting and the seed.

    Attributes:
        name: what sets it apart from other lines of its chart; "" if nothing does.
        own: of the study itself, not of its evidence.
        numbers: of every seed, by the setting's value.
        halves: half the width of an interval around their mean, by the setting's value; None for a single seed.
    """

    name: str
    own: bool
    numbers: dict[Any, list[float]]
    halves: dict[Any, float | None]


Row = dict[str, list[Line]]  # one number's lines, by setting


@rc_context(SMALL)
def effects(rows: dict[str, Row], marks: dict[str, dict[str, float]], title: str = "") -> Figure:
    """A dot for each seed, a line through the means, a bar for each interval.

    Args:
        rows: by the number's label; all have the same settings.
        marks: values to draw across a row by their names, by the number's label. Those far from the numbers are not
            drawn: the row's end says where they are.
        title: of what, for the words.
    """
    settings = list(next(iter(rows.values())))
    shown = [one for row in rows.values() for lines in row.values() for one in lines]
    own = {one.name for one in shown if one.own}
    names = {one.name: one.name in own for one in sorted(shown, key=lambda one: one.name not in own)}
    colours = _colours(names)
    abreast = 3 if max(map(len, names)) < 11 else 2
    below = BOTTOM + LEGEND * (math.ceil(len(names) / abreast) if len(names) > 1 else 0)
    if max(map(len, settings)) > LETTERS:
        settings, below = [one.replace(" (", "\n(") for one in settings], below + 12
    height = TOP + ROW * len(rows) + GAP * (len(rows) - 1) + below
    drawn = sized(WIDTH, height)
    sides = {"left": LEFT / WIDTH, "right": 1 - (RIGHT + LETTER * _longest(rows, marks)) / WIDTH}
    sides |= {"top": 1 - TOP / height, "bottom": below / height}
    grid = drawn.subplots(
        len(rows), len(settings), sharey="row", squeeze=False, gridspec_kw=sides | {"hspace": GAP / ROW, "wspace": 0.1}
    )
    for axes, (label, row) in zip(grid, rows.items(), strict=True):
        for one, lines in zip(axes, row.values(), strict=True):
            _lines(one, lines, colours)
        axes[0].set_title(label)
        axes[0].yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        _marks(axes, row, marks.get(label, {}))
    for one, setting in zip(grid[-1], settings, strict=True):
        one.set_xlabel(setting)
    for one in grid[:-1].ravel():
        one.tick_params(labelbottom=False)
    if len(names) > 1:
        handles = [Line2D([], [], color=colours[name], marker="o", markersize=3, label=name) for name in names]
        drawn.legend(handles=handles, loc="lower center", ncol=abreast, borderpad=0, borderaxespad=0.1, fontsize=8)
    drawn.alt = in_words(rows, marks, title)
    return drawn


def _colours(names: dict[str, bool]) -> dict[str, str]:
    """A colour for each line's name: the study's own are strong, the evidence's light."""
    strong, light = cycle(LINES), cycle(EVIDENCE)
    return {name: next(strong if own else light) for name, own in names.items()}


def _lines(axes, lines: list[Line], colours: dict[str, str]) -> None:
    """Lines over the values of a setting, which stand at equal distances, the study's own on top."""
    values = ordered(value for one in lines for value in one.numbers)
    for one in sorted(lines, key=lambda line: line.own):
        places = [values.index(value) for value in one.numbers]
        style = {"color": colours[one.name], "zorder": 3 if one.own else 2}
        means = [fmean(numbers) for numbers in one.numbers.values()]
        axes.plot(places, means, linewidth=1.6 if one.own else 1.1, **style)
        for place, mean, half in zip(places, means, one.halves.values(), strict=True):
            if half is not None:
                axes.errorbar(place, mean, half, capsize=3, elinewidth=1, capthick=1, **style)
        for place, numbers in zip(places, one.numbers.values(), strict=True):
            axes.scatter([place] * len(numbers), numbers, s=11, alpha=0.75, linewidths=0, **style)
    axes.set_xticks(range(len(values)), [f"{value:g}" if isinstance(value, float) else str(value) for value in values])
    axes.set_xlim(-0.35, max(len(values) - 0.65, 0.35))
    axes.tick_params(length=2, pad=2)


def ordered(values) -> list:
    """Distinct values of a setting: numbers by size, others as they come."""
    distinct = list(dict.fromkeys(values))
    return sorted(distinct) if all(isinstance(value, int | float) for value in distinct) else distinct


def _marks(axes, row: Row, marks: dict[str, float]) -> None:
    """Draws the marks that lie near the numbers across a row's charts, and names all of them at its right end."""
    low, high = _range(row)
    near, far = near_marks(row, marks)
    bottom, top = min([low, *near.values()]), max([high, *near.values()])
    margin = 0.09 * (top - bottom) or abs(top) * 0.05 or 1.0
    axes[0].set_ylim(bottom - margin, top + margin)
    for one in axes:
        for value in near.values():
            one.axhline(value, color=GREY, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    at = {name: (value - bottom + margin) / (top - bottom + 2 * margin) for name, value in near.items()}
    at |= {name: 0.0 if value < low else 1.0 for name, value in far.items()}
    free = -1.0  # from here upwards
    for name in sorted(at, key=lambda name: (at[name], marks[name])):
        words = _name(row, marks, name)
        half = 5 * len(words.splitlines()) / ROW
        place = max(at[name], free + half)
        where = {"xycoords": "axes fraction", "xytext": (4, 0), "textcoords": "offset points", "va": "center"}
        axes[-1].annotate(words, (1, place), color=GREY, size=7, linespacing=1.1, **where)
        free = place + half


def _name(row: Row, marks: dict[str, float], name: str) -> str:
    """A mark's name and value, in two lines if it is long; an arrow says where it is if it is not drawn."""
    low, _ = _range(row)
    near, _ = near_marks(row, marks)
    arrow = "" if name in near else "↓ " if marks[name] < low else "↑ "
    words = f"{arrow}{name} {rounding.number(marks[name])}"
    return words if len(words) < 15 else "\n".join(words.rsplit(" ", 1))


def _longest(rows: dict[str, Row], marks: dict[str, dict[str, float]]) -> int:
    """The letters of the longest line that names a mark."""
    names = (_name(rows[label], each, name) for label, each in marks.items() for name in each)
    return max((len(line) for name in names for line in name.splitlines()), default=0)


def near_marks(row: Row, marks: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """The marks that lie near a row's numbers, and the others."""
    low, high = _range(row)
    reach = REACH * (high - low)
    near = {name: value for name, value in marks.items() if low - reach <= value <= high + reach}
    return near, {name: value for name, value in marks.items() if name not in near}


def _range(row: Row) -> tuple[float, float]:
    """The lowest and the highest of a row's numbers and of its intervals' ends."""
    ends = []
    for one in (line for lines in row.values() for line in lines):
        for numbers, half in zip(one.numbers.values(), one.halves.values(), strict=True):
            ends += [*numbers, fmean(numbers) - (half or 0), fmean(numbers) + (half or 0)]
    return min(ends), max(ends)


def in_words(rows: dict[str, Row], marks: dict[str, dict[str, float]], title: str = "") -> str:
    """The means of every line, and the marks."""
    said = []
    for label, row in rows.items():
        for setting, lines in row.items():
            for one in lines:
                means = rounding.column([fmean(numbers) for numbers in one.numbers.values()])
                values = ", ".join(f"{mean} at {value}" for mean, value in zip(means, one.numbers, strict=True))
                said.append(f"{label} over {setting}{f' ({one.name})' if one.name else ''}: {values}")
        if found := marks.get(label):
            said.append("marks: " + ", ".join(f"{name} {rounding.number(value)}" for name, value in found.items()))
    return f"{title + '. ' if title else ''}Means over the seeds. {'; '.join(said)}"
