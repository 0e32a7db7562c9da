"""The tables of results: all settings by notebook, with what the same estimators give for other images."""

from collections.abc import Sequence
from statistics import fmean

from markupsafe import Markup

from lib.report.pieces import Aligned, piece, row, spreads, table
from lib.report.records import SCORECARD, Record, Records
from lib.report.words import (
    beyond,
    by_setting,
    classifier,
    counted,
    differing,
    finished,
    listed,
    missing,
    shown_settings,
)
from lib.rounding import number

BY_CLASSIFIER = {"frechet", "precision", "recall", "class_kl", "confidence"}
REFERENCES = ("real", "blurred", "noisy", "class_removed", "mean_image", "pixel_entropy", "untrained")  # in this order
W1_NOTE = (
    "W₁ between so few images is biased: blurred real images can come out closer than other real ones. "
    "Do not rank models by it."
)
GREY_NOTE = (
    "On grey levels, the Bernoulli −L_k can be compared between runs of this kind, but it is not a likelihood: the "
    "model generates only black and white pixels."
)


@piece
def results(records: Records) -> str:
    """All settings by notebook: the model's own numbers, then the scorecard that all models share."""
    tables = []
    for group in records.by_notebook.values():
        first = next(iter(finished(group)), group[0])
        title, names = f"{first.title} on {first.provenance}", records.metrics(group)
        own, shared = ([name for name in names if (name in SCORECARD) == common] for common in (False, True))
        tables.append(_scores(records, group, f"{title}: {counted(group)}", own))
        tables += [_scores(records, group, f"{title}: scorecard", shared)] if shared else []
    return Markup("").join(tables)


def _scores(records: Records, group: list[Record], caption: str, names: Sequence[str]) -> Markup:
    """A row for each setting, with the mean and deviation of each number over its seeds, and rows of references."""
    groups, different = by_setting(group), {"latent_dim", "width", *differing(group)}
    settings = [name for name in shown_settings(group) if name in different - {"seed"}]
    several = any(len(each) > 1 for each in groups)
    frame, rows = records.rows(group), []
    columns = spreads(frame, names)
    for place, each in enumerate(groups):
        first, done = each[0], finished(each)
        values = [getattr(first.settings, name) for name in settings]
        values = [value if isinstance(value, int) else str(value) for value in values]
        numbers = [texts[place] for texts, _ in columns.values()] if done else [first.state]
        name = _by_seed(each) if several else {"text": first.name, "href": first.page}
        rows.append(row(name, *values, *numbers, kind="" if done else "missing"))
    rows += _references(group, frame, len(settings), {name: shared for name, (_, shared) in columns.items()})
    head = ("seeds" if several else "run", *settings, *map(records.label, names))
    return table(head, rows, caption, _behind(records, group, settings, names))


def _by_seed(group: list[Record]) -> dict:
    """A cell with a link to the notebook of each seed of a setting."""
    count, done = len(group), len(finished(group))
    links = [{"text": f"{one.settings.seed}", "href": one.page, "state": one.state} for one in group]
    seeds = f"{count}" if done == count else f"{done} of {count}"
    return {"text": f"{beyond(group[0])} {seeds} seed{'s' * (count > 1)}:".strip(), "links": links}


def _references(group: list[Record], frame, blank: int, places: dict[str, int]) -> list[dict]:
    """One row for each reference that any of the metrics has; the mean, if the runs have different values."""
    found = {which for one in group for name in places for which in one.references.get(name, ())}
    rows = []
    for which in sorted(found, key=lambda name: (*REFERENCES, name).index(name)):
        columns = {name: frame.get(f"{name}_{which}") for name in places}
        values = {name: [] if column is None else [*column.dropna()] for name, column in columns.items()}
        numbers = [Aligned(number(fmean(each), places[name])) if each else "" for name, each in values.items()]
        name = f"reference: {which.replace('_', ' ')}"
        rows.append(row(name, *[""] * blank, *numbers, kind="reference"))
    return rows


def _behind(records: Records, group: list[Record], settings: Sequence[str], names: Sequence[str]) -> str:
    """What a table's runs share, how many images are behind each number, and what to know about some of them."""
    first, different, done = group[0].settings, {*settings, *differing(group)}, finished(group)
    same = [f"{name} {getattr(first, name)}" for name in shown_settings(group) if name not in different]
    bins = {one.result["scorecard"]["bins"] for one in done if "scorecard" in one.result}
    grey = any(getattr(one.settings, "binarize", "") == "none" for one in group)
    failed = [one.name for one in group if any(one.metrics.get(name, 0) < 0 for name in names if "emd_" in name)]
    notes = (
        f"All runs: {', '.join(same)}." * bool(same),
        _images(records, done, names),
        classifier(group) if not BY_CLASSIFIER.isdisjoint(names) else "",
        f"NDB counts bins out of {listed(sorted(bins))}." if bins and "ndb" in names else "",
        W1_NOTE if "w1" in names else "",
        GREY_NOTE if grey and any(name.startswith("nll_") for name in names) else "",
        f"The EMD of {listed(failed)} is negative: the critic has failed there, and the number is meaningless."
        * bool(failed),
        *missing(records, group, names),
    )
    return " ".join(filter(None, notes))


def _images(records: Records, done: list[Record], names: Sequence[str]) -> str:
    """How many images are behind each number."""
    counts: dict[str, list[str]] = {}
    for name in names:
        if used := {one.result.get("samples_n", {}).get(name) for one in done} - {None}:
            counts.setdefault(listed(f"{count:,}" for count in sorted(used)), []).append(records.short(name))
    one = len(counts) == 1
    images = "; ".join(count + f" for {' · '.join(each)}" * (not one) for count, each in counts.items())
    return f"Images behind the numbers: {images}." if images else ""
