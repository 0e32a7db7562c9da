"""The write-up's fourteen claims tested on runs: rules in claims.yaml -> comparisons, seed by seed -> verdicts.

A rule compares, seed by seed, runs that differ only in what it varies. If there are runs of several lengths or
networks, it takes those with the most seeds. With three seeds or more and a one-sided 95 % t-interval around the mean
effect, a gain *holds* when the mean reaches the minimum effect and the interval lies above zero, and *fails* when the
whole interval lies below the minimum effect; otherwise it is open. Where the runs were scored by several classifiers,
what a Frechet distance shows counts only if it is the same by each of them. If all tests of a claim hold, the claim is
supported; if one fails, it is refuted; otherwise it is undecided.

In two cases there is no decision, and the report only says which way the numbers point:
- "no verdict": the runs used other data than the write-up, or fewer than 1,000 images are behind a number. Copies of
  the write-up's images that were stored with loss count as its data, but a verdict that rests on them names them;
- "undecided": there are fewer than three seeds, or the seeds differ too much, or the classifiers disagree, or the study
  lacks runs for some of the comparisons (a claim that is `partly` tested needs only one comparison for each of its
  parts). If the seeds differ too much, the report says how many with the same mean and spread would decide.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from lib.report.measures import EFFECTS, MEASURES, RULES, Measure, timed
from lib.series import CONFIDENCE, by_classifier, half_interval, quantile, scorer

LEFT_OPEN = RULES["left_open"]
MIN_SEEDS = 3
MOST_SEEDS = 100  # a test that would need more is too close to call
MIN_SAMPLES = 1000  # images behind a number; below, no verdict
WORDS = ("supported", "refuted", "undecided", "no verdict")


# ---- tests and claims ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Test:
    """One comparison. `kind`: "gain" (second better), "no gain", or "same" (neither better nor worse).

    `before` and `after` are settings that select runs; without `after`, the runs are compared with a fixed mark.
    """

    measure: Measure
    before: dict
    after: dict | None = None
    kind: str = "gain"
    match: tuple[str, ...] | None = None  # settings that a pair must share; None: all that are not varied
    rising: str = ""  # a setting of any value, larger on the second side
    part: str = ""  # of a claim that says several things

    @property
    def needed(self) -> str:
        """What must hold, in words."""
        if self.kind == "same":
            return f"changes by less than {self.measure.size}"
        return f"{'not ' * (self.kind == 'no gain')}{self.measure.size} {self.measure.better}"


@dataclass(frozen=True)
class Claim:
    number: int
    text: str
    rule: str
    tests: tuple[Test, ...]
    partly: bool = False  # one comparison for each part is enough; those without runs do not count


def _tests(measure: str, at: dict, change: dict | None = None, rising: str = "", match=None, **rest):
    """The tests that one entry of claims.yaml stands for."""
    rest |= {"rising": rising, "match": match and tuple(match)}
    choices = [value if isinstance(value, list) else [value] for value in at.values()]
    for values in itertools.product(*choices):
        chosen = dict(zip(at, values, strict=True))
        sides = [(chosen, chosen if rising else None)]
        for name, steps in (change or {}).items():
            sides = [({**chosen, name: a}, {**chosen, name: b}) for a, b in itertools.pairwise(steps)]
        yield from (Test(MEASURES[measure], before, after, **rest) for before, after in sides)


CLAIMS = tuple(
    Claim(number, **(one | {"tests": tuple(test for entry in one["tests"] for test in _tests(**entry))}))
    for number, one in enumerate(RULES["claims"], 1)
)


# ---- verdicts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What the numbers say about one test: a value for each seed on both sides, and the effects."""

    test: Test
    before: list[float]
    after: list[float]
    effects: list[float]
    seeds: int
    epochs: tuple[list[int], ...]  # that the runs of each side had, without repeats
    hindrance: str  # why these runs give no verdict; '' if they do
    metric: str  # from which the values were read
    reencoded: str = ""  # the name of the data if they are the write-up's, but stored with loss
    further: tuple[list[float], ...] = ()  # the effects by each further classifier

    def _agreed(self, said: Callable[[Sequence[float]], str], otherwise: str) -> str:
        """What the effects say by every classifier."""
        words = {said(effects) for effects in (self.effects, *self.further)}
        return words.pop() if len(words) == 1 else otherwise

    def _judged(self, otherwise: str, width: float | None = None) -> str:
        return self._agreed(lambda each: judge(each, self.test.kind, self.test.measure.minimum, width), otherwise)

    @property
    def points_to(self) -> str:
        return self._judged("open", width=0.0)

    @property
    def decided(self) -> str:
        return self._judged("open")

    @property
    def disputed(self) -> bool:
        """Whether different classifiers would decide differently."""
        return self._judged("disputed") == "disputed"

    @property
    def seeds_needed(self) -> float:
        """How many seeds would decide the test if their effects had the mean and the spread of these, which are by the
        first classifier; infinity for more than MOST_SEEDS."""
        least, kind = self.test.measure.minimum, self.test.kind
        for seeds in range(self.seeds, MOST_SEEDS + 1):
            width = quantile(seeds, CONFIDENCE) * math.sqrt(self.seeds / seeds)
            if judge(self.effects, kind, least, width) != "open":
                return seeds
        return math.inf

    @property
    def there(self) -> str:
        """Whether there is any effect, be it smaller than claimed."""
        if self.hindrance or self.seeds < MIN_SEEDS:
            return "open"
        return self._agreed(self._there, "classifiers disagree")

    def _there(self, effects: Sequence[float]) -> str:
        low, high = _interval(effects)
        if low <= 0 <= high:
            return "not clear"
        return "yes" if low > 0 or self.test.kind == "same" else "yes, the other way"

    @property
    def large(self) -> str:
        """Whether the effect is of the size that the rule names: whether its whole interval is, or none of it."""
        if self.hindrance or self.seeds < MIN_SEEDS:
            return "open"
        return self._agreed(self._large, "classifiers disagree")

    def _large(self, effects: Sequence[float]) -> str:
        (low, high), least = _interval(effects), self.test.measure.minimum
        sides = [(low, high), (-high, -low)] if self.test.kind == "same" else [(low, high)]
        if any(low >= least for low, _ in sides):
            return "yes"
        return "no" if all(high < least for _, high in sides) else "not clear"


@dataclass(frozen=True)
class Verdict:
    """A claim's `word`: supported, refuted, undecided or no verdict; `why` and `points_to` explain the latter two."""

    claim: Claim
    outcomes: tuple[Outcome, ...]
    word: str
    why: str = ""
    points_to: str = ""

    @property
    def reencoded(self) -> str:
        """The names of the data if some runs used copies of the write-up's images that were stored with loss."""
        return ", ".join(sorted({one.reencoded for one in self.outcomes if one.reencoded}))

    def __str__(self) -> str:
        notes = [self.why, f"points to: {self.points_to}" if self.points_to else "", self.reencoded]
        notes = "; ".join(note for note in notes if note)
        return f"{self.word} ({notes})" if notes else self.word


def judge(effects: Sequence[float], kind: str, minimum: float, width: float | None = None) -> str:
    """ "holds", "fails" or "open".

    Args:
        effects: one a seed; above zero when the second side is better.
        kind: "gain", "no gain" or "same".
        width: half the interval's width in standard errors; by default Student's t, one-sided 95 %.
    """
    if not effects or (width is None and len(effects) < MIN_SEEDS):
        return "open"
    mean, (low, high) = fmean(effects), _interval(effects, width)
    if kind == "same":
        holds, fails = -minimum < low and high < minimum, abs(mean) >= minimum and not low <= 0 <= high
    else:
        holds, fails = mean >= minimum and low > 0, high < minimum or (minimum == 0 and high <= 0)
    if kind == "no gain":
        holds, fails = fails, holds
    return "holds" if holds else "fails" if fails else "open"


def _interval(effects: Sequence[float], width: float | None = None) -> tuple[float, float]:
    mean, half = fmean(effects), half_interval(effects, CONFIDENCE, width) if len(effects) > 1 else 0.0
    return mean - half, mean + half


def verdicts(results: Sequence[dict]) -> list[Verdict]:
    """All claims, tested on finished runs' result.json."""
    return [verdict(claim, results) for claim in CLAIMS]


def tally(found: Sequence[Verdict]) -> str:
    """The verdicts in one sentence."""
    words = [one.word for one in found]
    counts = [f"{words.count(word)} {word}" for word in WORDS if word in words]
    return f"Of the write-up's {len(words)} claims: {', '.join(counts)}."


def verdict(claim: Claim, results: Sequence[dict]) -> Verdict:
    """One claim, tested on finished runs' result.json."""
    found = tuple(one for test in claim.tests if (one := outcome(test, results)).effects)
    if not found:
        return Verdict(claim, (), "undecided", "no runs to compare")
    points_to = _combined([one.points_to for one in found]).replace("undecided", "")
    if hindrance := next((one.hindrance for one in found if one.hindrance), ""):
        return Verdict(claim, found, "no verdict", hindrance, points_to)
    if (seeds := min(one.seeds for one in found)) < MIN_SEEDS:
        return Verdict(claim, found, "undecided", f"{seeds} seed{'s' * (seeds > 1)}", points_to)
    word = _combined([one.decided for one in found])
    if (missing := _missing(claim, found)) and word != "refuted":
        return Verdict(claim, found, "undecided", f"no runs for {missing}", points_to)
    if word == "undecided":
        return Verdict(claim, found, word, _disputed(found) or _too_few(found), points_to)
    return Verdict(claim, found, word)


def _combined(outcomes: Sequence[str]) -> str:
    if "fails" in outcomes:
        return "refuted"
    return "supported" if all(one == "holds" for one in outcomes) else "undecided"


def _disputed(found: Sequence[Outcome]) -> str:
    """Whether classifiers disagree, and if only about sizes; '' if they agree."""
    there = {one.there for one in found if one.disputed}
    return "the classifiers disagree" + " about the size of the effect" * (there == {"yes"}) if there else ""


def _too_few(found: Sequence[Outcome]) -> str:
    """Why seeds do not decide, and how many would: one test that fails is enough, else all must hold."""
    still = [one for one in found if one.decided == "open"]
    failing = [one.seeds_needed for one in still if one.points_to == "fails"]
    needed = min(failing) if failing else max(one.seeds_needed for one in still)
    enough = f"{needed} seeds" if needed <= MOST_SEEDS else f"not even {MOST_SEEDS} seeds"
    return f"the seeds differ too much; with this mean and spread, {enough} would decide"


def _missing(claim: Claim, found: Sequence[Outcome]) -> str:
    """Which comparisons of a claim have no runs, in words; '' if there are enough."""
    if claim.partly:
        there = {one.test.part for one in found}
        return " and ".join(dict.fromkeys(repr(one.part) for one in claim.tests if one.part not in there))
    missing = len(claim.tests) - len(found)
    return f"{missing} of {len(claim.tests)} comparisons" if missing else ""


def outcome(test: Test, results: Sequence[dict]) -> Outcome:
    """Pairs the runs that a test compares, by seed; for a speed, the turns of the benchmark."""
    if test.measure.value == "speed":
        results = timed(results)
    pairs = _of_one_kind(_pairs(test, results), test.rising)
    values, *others = (_by_seed(test.measure, each) for each in _as_seen(pairs, test.measure))
    used = [run for pair in pairs for run in pair]
    return Outcome(
        test,
        before=[row[0] for row in values],
        after=[row[-1] for row in values] if test.after else [],
        effects=_effects(test.measure, values),
        seeds=len(values),
        epochs=tuple(sorted({run["settings"].get("epochs", 0) for run in side}) for side in zip(*pairs, strict=True)),
        hindrance=next((why for run in used if (why := _hindrance(run, test.measure))), ""),
        metric=test.measure.metric(used[0]) if used else "",
        reencoded=next((name for run in used if (name := run["dataset"].get("reencoded"))), ""),
        further=tuple(_effects(test.measure, each) for each in others),
    )


def _as_seen(pairs: list[tuple[dict, ...]], measure: Measure) -> list[list[tuple[dict, ...]]]:
    """The pairs as they are, and as each further classifier sees them, if it has seen all that is read from them."""
    used = [run for pair in pairs for run in pair]
    known = min((len(by_classifier(run, name)) - 1 if (name := measure.metric(run)) else 0 for run in used), default=0)
    return [pairs, *([tuple(_by_further(run, place) for run in pair) for pair in pairs] for place in range(known))]


def _by_further(result: dict, place: int) -> dict:
    """A run's result with the numbers of one further classifier in place of those of the first."""
    other = result["further_classifiers"][place]
    return result | {part: result[part] | other[part] for part in ("metrics", "references")}


def _by_seed(measure: Measure, pairs: list[tuple[dict, ...]]) -> list[list[float]]:
    """A measure's value on each side, one row a seed."""
    found: dict[int, list] = {}
    for pair in pairs:
        found.setdefault(pair[0]["settings"]["seed"], []).append([measure.of(run) for run in pair])
    return [[fmean(side) for side in zip(*rows, strict=True)] for _, rows in sorted(found.items())]


def _effects(measure: Measure, values: list[list[float]]) -> list[float]:
    return [EFFECTS[measure.effect](*row) for row in values]


def chosen(results: Sequence[dict], wanted: dict) -> list[dict]:
    """The runs that have these settings."""
    return [one for one in results if all(one["settings"].get(name) == value for name, value in wanted.items())]


def _pairs(test: Test, results: Sequence[dict]) -> list[tuple[dict, ...]]:
    """What a test compares: pairs of runs, or single ones for a mark."""
    sides = [chosen(results, side) for side in (test.before, test.after) if side]
    sides = [[one for one in side if math.isfinite(test.measure.of(one))] for side in sides]
    return [pair for pair in itertools.product(*sides) if len(pair) == 1 or _paired(test, *pair)]


def _paired(test: Test, first: dict, second: dict) -> bool:
    """Whether a test may compare two runs: they have the same metric, on one dataset by one classifier, and differ only
    in what the test varies."""
    ours, theirs = first["settings"], second["settings"]
    varied = {name for name, value in test.before.items() if test.after[name] != value} | {test.rising}
    sizes = [settings.get(test.rising) for settings in (ours, theirs)]  # an earlier run may not name the setting
    grown = not test.rising or (None not in sizes and sizes[0] < sizes[1])
    names = test.match or (ours.keys() | theirs.keys()) - varied
    metric, other = (test.measure.metric(run) for run in (first, second))
    same_data = first["dataset"].get("sha256") == second["dataset"].get("sha256")
    alike = metric == other and (not same_data or scorer(first, metric) == scorer(second, metric))
    return grown and alike and all(ours.get(name) == theirs.get(name) for name in names)


def _of_one_kind(pairs: list[tuple[dict, ...]], rising: str) -> list[tuple[dict, ...]]:
    """If runs have several lengths or networks, those with the most seeds.

    In a tie, the dense ones are preferred, which the write-up is about, and then the longest. If the test is about the
    length itself, or about any values of another setting, all runs count.
    """
    kinds: dict[tuple, list] = {}
    for pair in pairs:
        kind = tuple((run["settings"].get("network"), run["settings"].get("epochs", 0)) for run in pair)
        kinds.setdefault(kind, []).append(pair)
    if rising or not kinds:
        return pairs

    def rank(kind):
        seeds = {pair[0]["settings"]["seed"] for pair in kinds[kind]}
        return len(seeds), kind[0][0] == "mlp", sum(epochs for _, epochs in kind)

    return kinds[max(kinds, key=rank)]


def _hindrance(result: dict, measure: Measure) -> str:
    if not (result["dataset"]["canonical"] or result["dataset"].get("reencoded")):
        return "stand-in data"
    samples = result.get("samples_n", {}).get(measure.metric(result))
    return f"only {samples} images behind the numbers" if samples is not None and samples < MIN_SAMPLES else ""
