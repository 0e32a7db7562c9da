"""Numbers of papers and logs, from literature.yaml, beside ours: which of our runs each is compared with, the verdict.

Only runs on the real MNIST and CIFAR-10 are compared. If there are several settings, the one closest to the published
setting counts, with the mean over its seeds. Verdicts:
- agrees: the relative difference is within the entry's tolerance; differs: it is not;
- short run: ours had fewer epochs than the published one, so the difference decides nothing;
- rank agrees, rank differs: two numbers that measure different things can only be compared in the order into which they
  put the models. Values within 5 % of each other have no order;
- classifiers disagree: by one of the classifiers that scored our runs the rank agrees, by another it differs;
- not comparable: a different quantity, different data, or a published tie;
- other data: there are such runs, but on stand-in data; no such run: there are none.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from lib.series import by_classifier

PAPER, LOG = "paper", "third-party log"
TIE = 0.05  # two values nearer than this, relative to the larger, have no order
WORDS = ("agrees", "differs", "short run", "rank agrees", "rank differs", "classifiers disagree")
WORDS += ("not comparable", "other data", "no such run")


@dataclass(frozen=True)
class Reported:
    """One number of a paper or a log, and how ours is found; literature.yaml says what the fields mean."""

    what: str
    kind: str  # PAPER or LOG
    source: str
    setting: str
    value: float
    unit: str
    wanted: dict[str, Any] = field(default_factory=dict)
    metrics: Sequence[str] = ()
    theirs: dict[str, Any] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    tolerance: float = 0.0  # 0 if the number is only ranked or not compared
    ranked: str = ""
    incomparable: str = ""

    def metric(self, result: dict) -> str:
        """The metric of ours that is compared; '' if the run has none of them."""
        return next((name for name in self.metrics if name in result["metrics"]), "")

    def ours(self, result: dict) -> float:
        return result["metrics"].get(self.metric(result), math.nan)

    def mean(self, group: Sequence[dict]) -> float:
        return fmean(map(self.ours, group))

    def by_classifier(self, group: Sequence[dict]) -> list[tuple[float, ...]]:
        """Our numbers, one a run, by each classifier that scored all these runs."""
        return [*zip(*(by_classifier(one, self.metric(one)) for one in group), strict=False)]

    def suited(self, results: Sequence[dict]) -> list[dict]:
        """The runs that have the wanted settings and a finite number."""
        wanted = self.wanted.items()
        alike = [one for one in results if all(one["settings"].get(name) == value for name, value in wanted)]
        return [one for one in alike if math.isfinite(self.ours(one))]


TABLE = tuple(Reported(**one) for one in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8")))


@dataclass(frozen=True)
class Comparison:
    """Ours beside a reported number: a value for each seed, what differs in the setting, and a verdict."""

    reported: Reported
    word: str
    why: str = ""
    values: tuple[float, ...] = ()
    further: tuple[tuple[float, ...], ...] = ()  # the same by each further classifier
    metric: str = ""
    runs: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


def comparisons(results: Sequence[dict]) -> list[Comparison]:
    """Every reported number with ours beside it; results: finished runs' result.json."""
    return [compare(one, results) for one in TABLE]


def compare(reported: Reported, results: Sequence[dict]) -> Comparison:
    """One reported number, and ours."""
    if reported.incomparable:
        return Comparison(reported, "not comparable", reported.incomparable)
    if not (chosen := _chosen(reported, results)):
        return Comparison(reported, "other data" if reported.suited(results) else "no such run")
    first, (values, *further) = chosen[0], reported.by_classifier(chosen)
    if reported.ranked:
        word, why = _rank(reported, chosen, results)
    else:
        word, why = _agreement(reported, fmean(values), first["settings"]["epochs"])
    return Comparison(
        reported,
        word,
        why,
        values=values,
        further=tuple(further),
        metric=reported.metric(first),
        runs=tuple(result["run"] for result in chosen),
        differences=differences(reported, first),
    )


def differences(reported: Reported, result: dict) -> tuple[str, ...]:
    """How our run's setting is not the published one, in words: "epochs 50 (theirs 10)"."""
    settings, metric = result["settings"], reported.metric(result)
    texts = [
        f"{name.replace('_', ' ')} {_plain(settings[name])} (theirs {_plain(value)})"
        for name, value in reported.theirs.items()
        if name in settings and settings[name] != value
    ]
    if metric != reported.metrics[0]:
        texts.append(f"{metric} instead of {reported.metrics[0]}")
    return (*texts, *reported.remarks)


def _chosen(reported: Reported, results: Sequence[dict]) -> list[dict]:
    """The runs of the setting that is compared: the best of a ranked number, else the nearest; [] for none."""
    found: dict[tuple, list[dict]] = {}  # runs that differ only in the seed and have the same metric
    for one in reported.suited(results):
        if one["dataset"]["canonical"]:
            settings = tuple((name, value) for name, value in sorted(one["settings"].items()) if name != "seed")
            found.setdefault((settings, reported.metric(one)), []).append(one)
    rank = reported.mean if reported.ranked else lambda group: _distance(reported, group[0]["settings"])
    return min(found.values(), key=rank, default=[])


def _distance(reported: Reported, settings: dict) -> tuple[int, float]:
    """The number of differences; and then how far the epochs are, or if none are stated, how few."""
    epochs = reported.theirs.get("epochs")
    unlike = sum(settings.get(name) != value for name, value in reported.theirs.items() if name != "epochs")
    return unlike, abs(math.log(settings["epochs"] / epochs)) if epochs else -settings["epochs"]


def _agreement(reported: Reported, ours: float, epochs: int) -> tuple[str, str]:
    """Verdict and reason if the same quantity was published."""
    gap, theirs = (ours - reported.value) / abs(reported.value), reported.theirs.get("epochs", 0)
    far = f"{_percent(abs(gap), 1)} {'above' if gap > 0 else 'below'}"
    if epochs < theirs:
        return "short run", f"{epochs:,} of {theirs:,} epochs; {far}"
    word = "agrees" if abs(gap) <= reported.tolerance else "differs"
    return word, f"{far}; tolerance {_percent(reported.tolerance)}"


def _rank(reported: Reported, chosen: Sequence[dict], results: Sequence[dict]) -> tuple[str, str]:
    """Verdict and reason if only the order of the models can be compared."""
    peers = [one for one in TABLE if one.ranked == reported.ranked and one is not reported]
    rivals = [(one, group) for one in peers if (group := _chosen(one, results))]
    if not rivals:
        return "no such run", "no other model to rank it against"
    ordered = [(one, group) for one, group in rivals if _order(reported.value, one.value)]
    if not ordered:
        return "not comparable", f"the published values lie within {_percent(TIE)} of each other"
    said: dict[str, list[str]] = {}
    for one, group in ordered:
        ours = zip(reported.by_classifier(chosen), one.by_classifier(group), strict=False)
        alike = {_order(*map(fmean, pair)) == _order(reported.value, one.value) for pair in ours}
        word = "classifiers disagree" if len(alike) > 1 else "rank agrees" if True in alike else "rank differs"
        said.setdefault(word, []).append(one.what)
    word = next(word for word in ("rank differs", "classifiers disagree", "rank agrees") if word in said)
    return word, f"against {' and '.join(said[word])}"


def _order(first: float, second: float) -> int:
    """-1 or 1, depending on which of two is larger; 0 for a tie."""
    if abs(first - second) <= TIE * max(abs(first), abs(second)):
        return 0
    return 1 if first > second else -1


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"
