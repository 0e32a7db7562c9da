"""Measures: what the rules of claims.yaml read from a run's result.json, and how two values are compared."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

RULES = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))
SPEED = Path(__file__).with_name("speed.json")  # what benchmarks/speed.py has measured


def _damage(result: dict, name: str) -> float:
    """A distance on the dataset's own scale: 0 as real images, 1 as the mean image."""
    marks = result["references"][name]
    return (result["metrics"][name] - marks["real"]) / (marks["mean_image"] - marks["real"])


def _against_damage(result: dict, name: str) -> float:
    marks = result["references"][name]
    return result["metrics"][name] / min(marks["blurred"], marks["noisy"])


def _nearer_one(before: float, after: float) -> float:
    floor = 1e-9  # a constant image has no edges at all
    return abs(math.log(max(before, floor))) - abs(math.log(max(after, floor)))


VALUES = {  # of a run's result, and the metric that it is read from; KeyError if the run does not have it
    "metric": lambda result, name: result["metrics"][name],
    "damage": _damage,
    "against_damage": _against_damage,
    "doubt": lambda result, name: result["references"][name]["real"] - result["metrics"][name],
    "speed": lambda result, _: result["images_per_second"],
}
EFFECTS = {
    "fall": lambda before, after: (before - after) / (abs(before) or 1.0),
    "rise": lambda before, after: after - before,
    "relative_rise": lambda before, after: (after - before) / (abs(before) or 1.0),
    "nearer_one": _nearer_one,
    "over_1000": lambda value: value / 1000 - 1,
    "below_one": lambda value: 1 - value,
    "itself": lambda value: value,
}


@dataclass(frozen=True)
class Measure:
    """A number of a run, and the effect between two of them; see claims.yaml."""

    label: str
    effect: str
    minimum: float
    size: str  # the minimum effect in words
    better: str  # and its direction
    shown_by: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()  # what it is read from: the first of these that a run has
    value: str = "metric"

    def metric(self, result: dict) -> str:
        """The metric that a run's value is read from, whose number of samples counts; '' for none."""
        return next((name for name in self.metrics if name in result["metrics"]), "")

    def of(self, result: dict) -> float:
        """A run's value; NaN if it does not have it."""
        try:
            return float(VALUES[self.value](result, self.metric(result)))
        except (KeyError, TypeError, ZeroDivisionError):
            return math.nan


MEASURES = {
    name: Measure(**{key: tuple(value) if isinstance(value, list) else value for key, value in each.items()})
    for name, each in RULES["measures"].items()
}
QUALITY = MEASURES["frechet"].metrics  # image quality: the first of these that a run has


def timed(results: Sequence[dict]) -> list[dict]:
    """The benchmark's turns as if they were runs, a turn for a seed, of those notebooks that have runs: how fast a run
    was also depends on what else its machine did."""
    data = {one["settings"]["notebook"]: one["dataset"] for one in results}
    known = {notebook: each["canonical"] or bool(each.get("reencoded")) for notebook, each in data.items()}
    return [
        {
            "settings": row | {"seed": row["turn"]},
            "dataset": {"canonical": known[row["notebook"]]},  # speed does not depend on what an image shows
            "metrics": {},
            "images_per_second": row["images_per_second"],
        }
        for row in json.loads(SPEED.read_bytes())["rows"]
        if row["notebook"] in known
    ]
