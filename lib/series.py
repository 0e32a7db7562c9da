"""Numbers of runs over a setting: series of runs that differ only in it and in the seed, with intervals.

Only computation: neither markup nor TensorFlow.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev, variance
from typing import Any

from scipy.special import stdtrit

from lib import figures

CONFIDENCE = 0.95
UPPER = (1 + CONFIDENCE) / 2  # two-sided
APART = {"seed", "notebook", "dataset", "output_dir"}  # that are not compared as settings
NAMES = {"latent_dim": "latents"}
MARKS = ("real", "blurred"), ("mean_image", "pixel_entropy")  # the latter where there are none of the former
SAME = 0.05  # how far a mark may differ between runs, relative to the largest
SCORECARD = {  # the numbers that all models share, label and unit, in the order of the tables
    "frechet": "Fréchet distance",
    "frechet_pixels": "Fréchet, pixels",
    "sharpness": "sharpness (real = 1)",
    "precision": "precision (share)",
    "recall": "recall (share)",
    "ndb": "NDB (bins)",
    "ndb_js": "NDB/JS (nats)",
    "class_kl": "class KL (nats)",
    "confidence": "confidence (mean)",
}
CLASSIFIED = {"frechet", "precision", "recall", "class_kl", "confidence"}  # they depend on the dataset's classifier


@dataclass(frozen=True)
class Series:
    """A number of runs that differ only in one setting and the seed.

    Attributes:
        numbers: by the setting's value and the seed.
        further: the same by each further classifier, where all runs have been scored by these.
        own: whether some run is of the study itself, not of its evidence.
        shared: the settings that all runs have.
    """

    setting: str
    numbers: dict[Any, dict[int, float]]
    own: bool
    shared: dict[str, Any]
    further: tuple[dict[Any, dict[int, float]], ...] = ()

    @property
    def seeds(self) -> int:
        """How many seeds every value has at least."""
        return min(map(len, self.numbers.values()))

    @property
    def rank(self) -> tuple:
        """The most telling series: most seeds, then the study's own, then most values, then the longest training."""
        return self.seeds, self.own, len(self.numbers), self.shared.get("epochs", 0)

    @property
    def spread(self) -> float | None:
        """The standard deviation between seeds, the values taken together; None if each has one seed."""
        groups = [[*each.values()] for each in self.numbers.values() if len(each) > 1]
        freedom = sum(len(each) - 1 for each in groups)
        return math.sqrt(sum((len(each) - 1) * variance(each) for each in groups) / freedom) if groups else None

    @property
    def told_seeds(self) -> str:
        counts = sorted({len(each) for each in self.numbers.values()})
        return f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seed{'s' * (counts[-1] > 1)}"

    def line(self, name: str) -> figures.Line:
        """What the figure draws of it."""
        numbers = {value: [*each.values()] for value, each in self.numbers.items()}
        halves = {v: half_interval(each, UPPER) if len(each) > 1 else None for v, each in numbers.items()}
        return figures.Line(name, self.own, numbers, halves)


def series(results: Iterable[tuple[bool, dict]], setting: str, metric: str) -> list[Series]:
    """All series of two values or more over a setting, the most telling first.

    What another classifier has scored than the study's own runs has another scale, and is left out.

    Args:
        results: whether a run is of the study itself, and its result.json; of the same run twice the first counts.
    """
    found: dict[tuple, tuple[dict, dict, set, dict]] = {}
    for own, one in results:
        value, settings = one["metrics"].get(metric), one["settings"]
        if setting not in settings or not isinstance(value, int | float) or not math.isfinite(value):
            continue
        shared = {name: each for name, each in settings.items() if name not in {*APART, setting}}
        shared["dataset"] = Path(one["dataset"]["name"]).name
        by = one["dataset"].get("sha256"), scorer(one, metric)
        key = (by, *sorted((name, repr(each)) for name, each in shared.items()))
        _, numbers, owners, runs = found.setdefault(key, (shared, {}, set(), {}))
        place = settings[setting], settings.get("seed", 0)
        numbers.setdefault(place[0], {}).setdefault(place[1], float(value))
        owners.add(own)
        runs.setdefault(place, one)
    ours = dict(by for (by, *_), (_, _, owners, _) in found.items() if True in owners)
    made = [
        Series(
            setting,
            {value: numbers[value] for value in figures.ordered(numbers)},
            True in owners,
            shared,
            _further(runs, metric),
        )
        for ((data, by), *_), (shared, numbers, owners, runs) in found.items()
        if len(numbers) > 1 and (True in owners or ours.get(data, by) == by)
    ]
    return sorted(made, key=lambda one: one.rank, reverse=True)


def _further(runs: dict[tuple[Any, int], dict], metric: str) -> tuple[dict[Any, dict[int, float]], ...]:
    """The numbers of a series' runs by each further classifier."""
    found: list[dict[Any, dict[int, float]]] = []
    for values in zip(*(by_classifier(one, metric)[1:] for one in runs.values()), strict=False):
        found.append({})
        for (value, seed), number in zip(runs, values, strict=True):
            found[-1].setdefault(value, {})[seed] = number
    return tuple(found)


def by_classifier(result: dict, metric: str) -> list[float]:
    """A run's number by the classifier of all scores, and by the further ones, if it was scored by these.

    Args:
        result: its result.json.
        metric: that it has.
    """
    others = (one["metrics"] for one in result.get("further_classifiers", ()))
    return [result["metrics"][metric], *(one[metric] for one in others if metric in one)]


def scorer(result: dict, metric: str) -> float | None:
    """Tells apart the classifiers of a dataset from which a run's number may come, by their accuracy on test images.

    Trained on another machine, the same code may give a classifier whose distances have another scale: on CIFAR-10,
    blurred images were 11.2 from real ones by one and 13.2 by another.
    """
    return result.get("scorecard", {}).get("classifier_accuracy") if metric in CLASSIFIED else None


def apart(one: Series, others: Iterable[Series]) -> str:
    """What sets a series apart from the others of its chart: '60 epochs'; '' if nothing does."""
    others = list(others)
    names = [name for name in one.shared if len({repr(each.shared.get(name)) for each in others}) > 1]
    return ", ".join(at(name, one.shared[name]) for name in names[:2])


def marks(references: Sequence[dict[str, float]]) -> dict[str, float]:
    """What the same estimator gives for other images, by name, where it is the same for all runs.

    Args:
        references: one number's, of each run.
    """
    for names in MARKS:
        found = {name: [one.get(name) for one in references] for name in names}
        found = {name: [v for v in each if v is not None and math.isfinite(v)] for name, each in found.items()}
        same = {
            name: each for name, each in found.items() if each and max(each) - min(each) <= SAME * max(map(abs, each))
        }
        if same:
            return {name.replace("_", " "): fmean(each) for name, each in same.items()}
    return {}


def at(setting: str, value: Any) -> str:
    """A setting's value in words: '2 latents', 'width 512', 'network conv'."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{text} {NAMES.get(setting, setting)}" if setting in ("latent_dim", "epochs") else f"{setting} {text}"


def quantile(count: int, below: float) -> float:
    """Of Student's t for a mean of `count` values."""
    return float(stdtrit(count - 1, below))


def half_interval(values: Sequence[float], below: float, width: float | None = None) -> float:
    """Half the width of an interval around the mean of two values or more.

    Args:
        below: how probable it is that the true mean lies below the upper end.
        width: the same in standard errors; by default Student's t.
    """
    width = quantile(len(values), below) if width is None else width
    return float(width * stdev(values) / math.sqrt(len(values)))
