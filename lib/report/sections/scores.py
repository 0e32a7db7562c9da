"""The tables of results: all settings by notebook, and the same numbers of other images of each dataset."""

from collections.abc import Iterable, Sequence
from statistics import fmean

import numpy as np
from markupsafe import Markup

from lib.report.measures import QUALITY
from lib.report.pieces import Aligned, fold, parts, piece, row, spreads, table
from lib.report.records import SCORECARD, Record, Records
from lib.report.words import (
    by_setting,
    classifier,
    counted,
    finished,
    headlines,
    listed,
    missing,
    setting_of,
    title_of,
    values_of,
)
from lib.rounding import column, number

REFERENCES = ("real", "blurred", "noisy", "class_removed", "mean_image", "pixel_entropy")  # of a dataset, in this order
W1_NOTE = (
    "W₁ between so few images is biased: blurred real images can come out closer than other real ones. "
    "Do not rank models by it."
)
GREY_NOTE = (
    "On grey levels, the Bernoulli −L_k can be compared between runs of this kind, but it is not a likelihood: the "
    "model generates only black and white pixels."
)
OF_MODELS = (
    "References that depend on the trained networks, such as a discriminator's score of blurred images, are in "
    "results.csv only."
)


@piece
def results(records: Records) -> str:
    """A folded table for each notebook, the main numbers first; then the references of each dataset."""
    tables = [_scores(records, group) for group in records.by_notebook.values()]
    by_data: dict[str, list[Record]] = {}
    for one in records.done:
        by_data.setdefault(one.data, []).append(one)
    tables += [_references(records, data, group) for data, group in by_data.items()]
    if notes := _behind(records):
        tables.append(fold("How many images the numbers rest on, and how far to trust them", parts().notes(notes)))
    return Markup("").join(tables)


def _scores(records: Records, group: list[Record]) -> Markup:
    """A row for each setting, with the mean and deviation of each number over its seeds."""
    groups, done = by_setting(group), finished(group)
    several, firsts = any(len(each) > 1 for each in groups), [each[0] for each in groups]
    named = title_of if len({one.data for one in group}) > 1 else setting_of
    main = headlines(done) if done else []
    names = [*main, *(name for name in records.metrics(group) if name not in main)]
    columns, rows = spreads(records.rows(group), names), []
    for place, each in enumerate(groups):
        numbers = [texts[place] for texts, _ in columns.values()] if finished(each) else [each[0].state]
        name = named(each[0], firsts)
        first = _by_seed(name, each) if several else {"text": name, "href": each[0].page}
        rows.append(row(first, *numbers, kind="" if finished(each) else "missing"))
    told = [f"{records.short(name)} {_range(by_setting(done), name)}" for name in main]
    what = f"{group[0].title} on {group[0].data}: {counted(group)}"
    notes = " ".join(filter(None, (_failed(group, names), *missing(records, group, names))))
    head = ("setting", *map(records.label, names))
    return fold("; ".join([what, *told]), table(head, rows, "", notes))


def _range(groups: Iterable[list[Record]], name: str) -> str:
    """The lowest and the highest mean over seeds: '102.2 to 150.5'."""
    means = [fmean(values) for each in groups if (values := values_of(each, name))]
    return " to ".join(dict.fromkeys(map(number, (min(means), max(means)))))


def _by_seed(name: str, group: list[Record]) -> dict:
    """A cell with a link to the notebook of each seed of a setting."""
    count, done = len(group), len(finished(group))
    links = [{"text": f"{one.settings.seed}", "href": one.page, "state": one.state} for one in group]
    seeds = f"{count}" if done == count else f"{done} of {count}"
    return {"text": f"{name}; {seeds} seed{'s' * (count > 1)}:", "links": links}


def _failed(group: list[Record], names: Sequence[str]) -> str:
    """A warning of numbers that mean nothing."""
    found = [one for one in group if any(one.metrics.get(name, 0) < 0 for name in names if "emd_" in name)]
    what = listed(setting_of(one, group) for one in found)
    said = f"The EMD of the run with {what} is negative: the critic has failed there, and the number is meaningless."
    return said if found else ""


def _references(records: Records, data: str, group: list[Record]) -> Markup:
    """What the estimators give for other images of a dataset."""
    shared = _shared(group)
    names = [name for name in dict.fromkeys((*SCORECARD, *records.metrics(group))) if name in shared]
    kinds = [which for which in REFERENCES if any(which in marks for marks in shared.values())]
    columns = [column([shared[name].get(which) for which in kinds]) for name in names]
    rows = [
        row(which.replace("_", " "), *(Aligned(text.replace("–", "")) for text in texts))
        for which, *texts in zip(kinds, *columns, strict=True)
    ]
    quality = next((name for name in QUALITY if name in shared), "")
    told = [f"{which} {number(shared[quality][which])}" for which in kinds[:2] if which in shared.get(quality, ())]
    words = f"{data}, for comparison: the same numbers for real and for damaged images"
    words += f"; {records.short(quality)} {', '.join(told)}" * bool(told)
    return fold(words, table(("images", *map(records.label, names)), rows)) if rows else Markup("")


def _shared(group: list[Record]) -> dict[str, dict[str, float]]:
    """By metric, those references that do not depend on the networks: they are the same for all runs."""
    found: dict[str, dict[str, list[float]]] = {}
    for one in group:
        for name, marks in one.references.items():
            for which, value in marks.items():
                found.setdefault(name, {}).setdefault(which, []).append(value)
    alike = {
        name: {which: each[0] for which, each in marks.items() if which in REFERENCES and np.allclose(each, each[0])}
        for name, marks in found.items()
    }
    return {name: marks for name, marks in alike.items() if marks}


def _behind(records: Records) -> list[str]:
    """How many images are behind each number, and what to know about some of them."""
    done, names = records.done, records.metrics(records.done)
    bins = {one.result["scorecard"]["bins"] for one in done if "scorecard" in one.result}
    grey = any(getattr(one.settings, "binarize", "") == "none" for one in done)
    notes = (
        _images(records, done, names),
        classifier(done),
        f"NDB counts bins out of {listed(sorted(bins))}." if bins and "ndb" in names else "",
        W1_NOTE if "w1" in names else "",
        GREY_NOTE if grey and any(name.startswith("nll_") for name in names) else "",
        OF_MODELS if any(one.references for one in done) else "",
    )
    return [note for note in notes if note]


def _images(records: Records, done: list[Record], names: Sequence[str]) -> str:
    """How many images are behind each number."""
    counts: dict[str, list[str]] = {}
    for name in names:
        if used := {one.result.get("samples_n", {}).get(name) for one in done} - {None}:
            counts.setdefault(listed(f"{count:,}" for count in sorted(used)), []).append(records.short(name))
    one = len(counts) == 1
    images = "; ".join(count + f" for {' · '.join(each)}" * (not one) for count, each in counts.items())
    return f"Images that the numbers rest on: {images}." if images else ""
