"""How numbers are written wherever people read them: three significant digits, and columns whose decimals line up.

A number by itself has three significant digits, and below 1,000 at least one decimal: 0.0942, 1.54, 22.8, 105.0, 1951.
Numbers of one column share their decimals, those that the middle one has by itself: 105.0 stands beside 102.2. A mean
has as many as its standard deviation, which shows at least its first digit: 105.2 ± 0.3, 1956.2 ± 0.2.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, median_high, stdev
from typing import Any

MOST = 6  # decimals
APART = 9_999.5  # from here on thousands are set apart


def number(value: Any, decimals: int | None = None) -> str:
    """A value as tables and texts show it; "–" for none.

    Args:
        decimals: those of its column; by default the value's own. Integers that are in no column have none.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if decimals is None:
        decimals = _own([value])
        if value and abs(value) < 10.0 ** (2 - MOST):
            return f"{value:.2e}".replace("-", "−")
    return f"{value:{',' if abs(value) >= APART else ''}.{decimals}f}".replace("-", "−")


def spread(values: Sequence[float], decimals: int | None = None) -> str:
    """'105.2 ± 0.3' for several seeds, the plain number for one, '–' for none."""
    return " ± ".join(filter(None, mean_and_deviation(values, decimals)))


def span(values: Sequence[float], decimals: int) -> str:
    """'(1.7 to 2.3)', the lowest and the highest of several values; '' for fewer."""
    return f"({number(min(values), decimals)} to {number(max(values), decimals)})" if len(values) > 1 else ""


def spread_and_span(values: Sequence[Sequence[float]], decimals: int | None = None) -> str:
    """'1.9 ± 0.1 (1.7 to 2.3)': a number over its seeds as `spread` writes it, and between which of its means it lies.

    Args:
        values: by each classifier, one a seed; those of the first are told, and of all the lowest and the highest mean.
    """
    own = values[0] if values else ()
    decimals = _own(own) if own and decimals is None else decimals
    return f"{spread(own, decimals)} {span([fmean(each) for each in values if each], decimals or 0)}".strip()


def mean_and_deviation(values: Sequence[float], decimals: int | None = None) -> tuple[str, str]:
    """Mean and standard deviation over seeds, with the same decimals; of a single value the latter is ""."""
    if len(values) < 2:
        return number(values[0] if values else None, decimals), ""
    mean, deviation = fmean(values), stdev(values)
    decimals = _own(values) if decimals is None else decimals
    return number(mean, decimals), number(deviation, decimals)


def decimals(cells: Iterable[Sequence[float]]) -> int:
    """The decimals that a column's numbers share: those that the middle one of its cells has by itself.

    They are at most one more than the fewest that any cell has, so that no large number gets many.

    Args:
        cells: the values of each cell, one per seed; cells without values, or with zeros only, do not count.
    """
    own = [_own(values) for values in cells if any(values) and all(map(math.isfinite, values))] or [0]
    return min(median_high(own), min(own) + 1)


def column(values: Sequence[float | None]) -> list[str]:
    """The texts of a column of single values; "–" where there is none."""
    shared = decimals([] if value is None else [value] for value in values)
    return [number(value, shared) for value in values]


def _own(values: Sequence[float]) -> int:
    """The decimals that one number, or the mean and deviation of several, have by themselves."""
    if all(isinstance(value, int) for value in values) and len(set(values)) == 1:
        return 0
    deviation = stdev(values) if len(values) > 1 else 0.0
    size = max(abs(fmean(values)), deviation)
    if not size or not math.isfinite(size):
        return 0
    wanted = (2 - _power(size), -_power(deviation) if deviation else 0, 1 if size < 999.5 else 0)
    return min(max(wanted), MOST)


def _power(value: float) -> int:
    """The power of ten of a value's first digit, once it has been rounded to three: of 9.996 it is 1."""
    return int(f"{value:.2e}".partition("e")[2])
