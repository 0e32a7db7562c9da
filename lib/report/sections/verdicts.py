"""The write-up's claims, tested: one table whose rows unfold; and what the studies of the evidence found."""

from collections.abc import Sequence

from lib.report import claims, measures
from lib.report.pieces import Aligned, page_of, parts, piece, referred, row
from lib.report.records import FAMILIES, Records
from lib.report.sections.opening import folded
from lib.report.words import classifier, listed, phrase
from lib.rounding import decimals, spread

YES_OR_NO = {"holds": "yes", "fails": "no", "open": "open"}
HEAD = ("comparison", "number", "before", "after", "effect", "needed", "as large", "seeds", "epochs", "holds")


@piece
def verdicts(records: Records) -> str:
    """The verdicts on all claims in one table; a row unfolds to rule, comparisons and where they are seen."""
    rows = [_claim(records, one) for one in records.verdicts]
    return parts().verdicts(claims.tally(records.verdicts), rows, _note(records))


@piece
def conclusion(records: Records) -> str:
    """What the studies of the evidence found."""
    found = []
    for other, done in records.evidence:
        texts = other.findings if done else ()
        where = f" of {other.name}"
        told = [folded(referred(records, text, f"findings[{i}]{where}", other.name)) for i, text in enumerate(texts)]
        found += [(other.name, _named(records, other), told)] * bool(told)
    return parts().conclusion(found)


def _note(records: Records) -> list[dict]:
    tested = [(other, found) for other, found in records.evidence if found]
    note = [{"text": classifier(records.done)}]
    for other, found in tested:
        note += [{"text": f" Also tested on {len(found)} runs of "}, _named(records, other)]
        note += [{"text": f", with these numbers of epochs: {_lengths(found)}."}]
    lossy: dict[str, list[str]] = {}
    for one in records.verdicts:
        lossy.setdefault(one.reencoded, []).append(str(one.claim.number))
    rests = " Claims that rest on {}, at least in part: {}."
    note += [{"text": rests.format(name, listed(each))} for name, each in lossy.items() if name]
    note += [{"text": " If runs have different lengths, those with the most seeds count."}] * bool(tested)
    return [*note, {"text": f" {_sizes(records)}"}]


def _sizes(records: Records) -> str:
    """How many comparisons show an effect of which it is not certain that it is as large as the rule asks."""
    tests = [(one.claim.number, each) for one in records.verdicts for each in one.outcomes]
    doubtful = [number for number, one in tests if one.decided == "holds" and one.large == "not clear"]
    text = (
        "A gain holds if its mean is at least the needed size and its interval (one-sided 95 %, Student's t) is above "
        "0. “As large” is stricter: the whole interval must have at least that size."
    )
    if not doubtful:
        return text
    count = f"{len(doubtful)} comparison{'s' * (len(doubtful) > 1)}"
    which = f"claim{'s' * (len(set(doubtful)) > 1)} {listed(doubtful)}"
    return f"{text} That is not clear in {count} that hold{'s' * (len(doubtful) == 1)}, for {which}."


def _named(records: Records, other) -> dict:
    return {"text": f"“{other.title}”", **page_of(records, other)}


def _lengths(results: Sequence[dict]) -> str:
    """How many epochs the runs had: 'VAE on MNIST 50; GAN on MNIST 4 and 10'."""
    found: dict[str, set[int]] = {}
    for one in results:
        found.setdefault(one["notebook"], set()).add(one["settings"]["epochs"])
    return "; ".join(f"{_named_notebook(name)} {listed(sorted(epochs))}" for name, epochs in found.items())


def _claim(records: Records, one: claims.Verdict) -> dict:
    sides: dict[measures.Measure, list[list[float]]] = {}
    for outcome in one.outcomes:
        sides.setdefault(outcome.test.measure, []).extend([outcome.before, outcome.after])
    places = {measure: decimals(cells) for measure, cells in sides.items()}
    return {
        "claim": one.claim,
        "word": one.word,
        "kind": one.word.replace(" ", "-"),
        "points_to": one.points_to,
        "why": "; ".join(filter(None, (one.why, f"partly based on {one.reencoded}" * bool(one.reencoded)))),
        "seen": shown_in(records, one),
        "head": HEAD,
        "rows": [_outcome(outcome, places[outcome.test.measure]) for outcome in one.outcomes],
    }


def shown_in(records: Records, verdict: claims.Verdict) -> list[dict]:
    """Links to the figures that show what a claim's tests compare, if both sides have runs here.

    A figure counts only if it is of a kind in which the compared number can be seen: no table of layers. Figures that
    show both sides of a comparison are preferred.
    """
    numbers = set()
    for test in (outcome.test for outcome in verdict.outcomes):
        results = [one.result for one in records.done]
        sides = [claims.chosen(results, side) for side in (test.before, test.after) if side]
        compared = {one["settings"].get(test.rising) for side in sides for one in side}
        if all(sides) and not (test.rising and len(compared) < 2):
            shown = [_figures_of(records, side, test.measure.shown_by) for side in sides]
            numbers |= set.intersection(*shown) or set.union(*shown)
    inner, links = {number for number in numbers if {number - 1, number + 1} <= numbers}, []
    for number in sorted(numbers - inner):  # 'Figure 2 to Figure 5' for four in a row
        joint = " to " if number - 1 in inner else ", "
        links += [{"text": joint}, referred(records, f"[fig:{number}]", "")[0]]
    return links[1:]


def _figures_of(records: Records, results: Sequence[dict], kinds: Sequence[str]) -> set[int]:
    """The numbers of the figures of some kinds that show any of these runs."""
    shown = [each for one in results for each in records.seen.get(one["run"], {}).items()]
    return {number for number, its in shown if not set(its).isdisjoint(kinds)}


def _outcome(one: claims.Outcome, shared: int) -> dict:
    """One comparison's row. Args: shared: the decimals of the claim's values of this kind."""
    test, decided = one.test, "open" if one.hindrance else one.decided
    points = YES_OR_NO[one.points_to]
    holds = f"open, points to {points}" if decided == "open" != one.points_to else YES_OR_NO[decided]
    epochs = " → ".join(dict.fromkeys(listed(side) for side in one.epochs if side != [0]))  # a benchmark has none
    sides = [Aligned(spread(side, shared) if side else "") for side in (one.before, one.after)]
    what = test.measure.label + ", of pixels" * (one.metric == "frechet_pixels")
    return row(_compared(test), what, *sides, one.there, test.needed, one.large, one.seeds, epochs, holds)


def _compared(test: claims.Test) -> str:
    """What a test compares: 'VAE on MNIST, width 512: 2 → 10 latents'."""
    same, varied = [_named_notebook(test.before["notebook"])] * ("notebook" in test.before), []
    for name, value in test.before.items():
        after = value if test.after is None else test.after[name]
        if name != "notebook":
            (same if after == value else varied).append(phrase(name, value if after == value else f"{value} → {after}"))
        elif after != value:
            same, varied = same[1:], [f"{_named_notebook(value)} → {_named_notebook(after)}", *varied]
    varied += [f"more {phrase(test.rising, '').strip()}"] if test.rising else []
    return ": ".join(filter(None, (", ".join(same), ", ".join(varied))))


def _named_notebook(name: str) -> str:
    """A notebook's model and dataset as the page names them: 'VAE on MNIST'."""
    model, _, dataset = name.partition("_")
    return f"{model.upper()} on {FAMILIES.get(dataset, dataset)}"
