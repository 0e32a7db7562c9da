"""What a setting does to a model's numbers: changes between its values, and sentences.

Only computation, no markup. The runs are those of the study and of its evidence. An effect is the change from the
first to the last value of a setting, or up to a turning point and on from there. Its interval is two-sided, 95 %, by
Student's t: over the seeds that both sides have, or by Welch's method if they have no two in common.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, variance
from typing import Any

from scipy.special import stdtrit

from lib.rounding import column, decimals, number
from lib.series import NAMES, UPPER, Series, at, half_interval

SMALL = 0.01  # a relative change below is called none
TURN = 0.05  # of the range: a smaller way back is no turning point if there is one seed


# ---- changes -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """How a number changes between two values of a setting.

    Attributes:
        ends: the values; means: the number's means there.
        size: relative to the first mean, or absolute if the numbers are not all positive.
        half: half the width of its interval; None if there are too few seeds.
        ratio: the absolute size over the spread between seeds; None if each value has one seed.
        disputed: whether by one classifier it is clear, and by another it is not, or the other way round.
    """

    ends: tuple[Any, Any]
    means: tuple[float, float]
    relative: bool
    size: float
    half: float | None
    ratio: float | None
    disputed: bool = False

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero; without an interval, whether the change is not small. By all
        classifiers, if there are several."""
        return not self.disputed and self._way != 0

    @property
    def _way(self) -> int:
        """1 if the number clearly rises, -1 if it clearly falls."""
        large = abs(self.size) > (SMALL * self.relative if self.half is None else self.half)
        return (1 if self.size > 0 else -1) * large

    @property
    def percent(self) -> str:
        """The size with its sign, in whole per cent."""
        size = 100 * self.size if self.relative else self.size
        return f"{'−' if size < 0 else '+'}{f'{abs(size):.0f} %' if self.relative else number(abs(size))}"


def change(one: Series, first: Any, last: Any) -> Change:
    """The change between two values, over the seeds that both have if there are two or more."""
    found, *others = (_change(numbers, one.spread, first, last) for numbers in (one.numbers, *one.further))
    return replace(found, disputed=any(each._way != found._way for each in others))


def _change(numbers: dict[Any, dict[int, float]], spread: float | None, first: Any, last: Any) -> Change:
    before, after = numbers[first], numbers[last]
    seeds = sorted(before.keys() & after.keys())
    paired = len(seeds) > 1
    sides = [[each[seed] for seed in (seeds if paired else each)] for each in (before, after)]
    means, relative = tuple(map(fmean, sides)), min(*sides[0], *sides[1]) > 0
    half = None
    if paired:
        sizes = [(b - a) / (a if relative else 1) for a, b in zip(*sides, strict=True)]
        size, half = fmean(sizes), half_interval(sizes, UPPER)
    else:
        scale = means[0] if relative else 1
        size = (means[1] - means[0]) / scale
        half = _welch(*sides) / scale if min(map(len, sides)) > 1 else None
    ratio = abs(means[1] - means[0]) / spread if spread else None
    return Change((first, last), means, relative, size, half, ratio)


def _welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Half the width of the interval of a difference of two means."""
    errors = [variance(side) / len(side) for side in (first, second)]
    if not sum(errors):
        return 0.0
    freedom = sum(errors) ** 2 / sum(e**2 / (len(s) - 1) for e, s in zip(errors, (first, second), strict=True))
    return float(stdtrit(freedom, UPPER) * math.sqrt(sum(errors)))


def changes(one: Series) -> list[Change]:
    """The change over all values; if the number clearly turns back, before it one up to the turning point and one on.

    Values that are no numbers have no order: they go from the highest number to the lowest, if they are more than two.
    """
    values, means = list(one.numbers), {value: fmean(each.values()) for value, each in one.numbers.items()}
    if not all(map(counted, values)):
        values = values if len(values) == 2 else sorted(values, key=lambda value: -means[value])
        return [change(one, values[0], values[-1])]
    turns = [(change(one, values[0], turn), change(one, turn, values[-1])) for turn in values[1:-1]]
    least = TURN * (max(means.values()) - min(means.values()))
    turns = [
        pair
        for pair in turns
        if pair[0].size * pair[1].size < 0
        and all(each.clear and abs(each.means[1] - each.means[0]) > least for each in pair)
    ]
    if turns:
        sharpest = max(turns, key=lambda pair: min(abs(each.means[1] - each.means[0]) for each in pair))
        return [*sharpest, change(one, values[0], values[-1])]
    return [change(one, values[0], values[-1])]


# ---- in words ------------------------------------------------------------------------------------


def over(setting: str, first: Any, last: Any) -> str:
    """'From 2 to 20 latents', 'From width 256 to 1024', 'With network conv instead of mlp'."""
    if not (counted(first) and counted(last)):
        return f"With {setting} {last} instead of {first}"
    first, last = (f"{value:g}" if isinstance(value, float) else str(value) for value in (first, last))
    if setting in ("latent_dim", "epochs"):
        return f"From {first} to {last} {NAMES.get(setting, setting)}"
    return f"From {setting} {first} to {last}"


def counted(value: Any) -> bool:
    """Whether a setting's value is a number, so that its values have an order."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def clause(label: str, setting: str, found: Sequence[Change], first: bool = True) -> str:
    """'the test loss falls from 149.0 to 102.2 nats, by 31.4 % (31.2 to 31.7), 93 times the spread between seeds'.

    Args:
        first: of its sentence; later ones are shorter.
    """
    name, _, unit = label.partition(" (")
    name = " ".join(reversed(name.split(", "))) if name.count(", ") == 1 else name  # 'JSD, test'
    unit = unit.rstrip(")")
    unit = f" {unit}" if re.fullmatch(r"[A-Za-z ]+", unit) else ""
    one, (start, end) = found[0], column(found[0].means)
    spread = _compared(one, "the spread between seeds" if first else "its spread")
    ends = f" from {start} to {end}{unit}," if first else ""
    if one.disputed:
        return f"the {name} changes{ends} by {_size(one, unit, signed=True)}, but not clearly by every classifier"
    if not one.clear:
        return f"the {name} {_unclear(one, ends, unit)}{spread}"
    text = f"the {name} {verb(one)}{ends} by {_size(one, unit)}"
    if len(found) == 1:
        return text + spread
    back = f"then {verb(found[1])} by {_size(found[1], unit)}; overall {found[2].percent}"
    return f"{text} to {at(setting, one.ends[1])}{spread}, {back}"


def _unclear(one: Change, ends: str, unit: str) -> str:
    """Of a change whose interval includes zero: whether it is certainly small, or only not certain."""
    if one.half and one.ratio and one.ratio >= 2:
        return f"may {verb(one)[:-1]}{ends} by {_size(one, unit)}"
    small = one.half is None or (one.relative and abs(one.size) + one.half < SMALL)
    return f"{'hardly changes' if small else 'does not clearly change'}: {_size(one, unit, signed=True)}"


def verb(one: Change) -> str:
    return "falls" if one.size < 0 else "rises"


def _size(one: Change, unit: str, signed: bool = False) -> str:
    """A change's size with its interval: of a fall the amount, unless it is to have its sign."""
    scale = (100 if one.relative else 1) * (-1 if one.size < 0 and not signed else 1)
    ends = [scale * one.size, *sorted(scale * (one.size + sign * (one.half or 0)) for sign in (-1, 1))]
    shared = decimals([[max(map(abs, ends))]])
    shared = min(shared, 2) if one.relative else shared
    size, low, high = (number(round(end, shared) + 0.0, shared) for end in ends)  # no −0
    return size + (" %" if one.relative else unit) + (f" ({low} to {high})" if one.half is not None else "")


def _compared(one: Change, spread: str) -> str:
    """A change's size beside the spread between seeds."""
    if one.ratio is None:
        return ""
    if one.ratio <= 1:
        return f", no larger than {spread}"
    return f", {number(one.ratio, 0 if one.ratio >= 10 else 1)} times {spread}"
