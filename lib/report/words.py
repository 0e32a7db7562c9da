"""Groups of runs, and what is said of them in words: computed from the runs, the same in every section."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from lib import models
from lib.report import measures
from lib.report.records import Record, Records
from lib.rounding import number, spread_and_span

PHRASES = {"latent_dim": "{} latents", "width": "width {}", "network": "{} network", "epochs": "{} epochs"}
ALWAYS = ("latent_dim", "width", "seed", "network", "epochs", "batch_size", "learning_rate")  # settings in tables
SCHEDULES = {"constant": "", "linear": " decreasing to 0", "burda": " decreasing as in Burda et al. (2016)"}


# ---- groups of runs ------------------------------------------------------------------------------


def finished(group: Iterable[Record]) -> list[Record]:
    return [one for one in group if one.result]


def by_setting(group: Iterable[Record]) -> list[list[Record]]:
    """Groups of runs that differ only in the seed, in the order of their first runs."""
    found: dict[Any, list[Record]] = {}
    for one in group:
        found.setdefault(one.setting, []).append(one)
    return list(found.values())


def values_of(group: Iterable[Record], metric: str) -> list[float]:
    return [one.metrics[metric] for one in group if metric in one.metrics]


def measured(group: Iterable[Record], metric: str) -> str:
    """A number of one setting: '105.2 ± 0.3' over its seeds, and by several classifiers '1.9 (1.7 to 2.3)'."""
    found = [one.by_classifier(metric) for one in group if metric in one.metrics]
    return spread_and_span([*zip(*found, strict=False)])


def shown_settings(group: Iterable[Record]) -> list[str]:
    """The settings that tables show: those of ALWAYS, and the own ones of notebooks with a model of their own."""
    ours = {name for kind in models.OURS.values() for name in kind.Settings.model_fields}
    return [
        *ALWAYS,
        *dict.fromkeys(name for one in group for name in type(one.settings).model_fields if name not in ours),
    ]


def differing(group: list[Record]) -> list[str]:
    """Those of the settings shown in tables that are not the same in all runs."""
    return [name for name in shown_settings(group) if len({getattr(one.settings, name, None) for one in group}) > 1]


def differences(one: Record, others: Iterable[Record]) -> list[str]:
    """How a run differs from others of its notebook, apart from data, latents, width and seed: ['conv network']."""
    group = [other.settings for other in others if other.settings.notebook == one.settings.notebook]
    own = one.settings.model_dump(exclude={"latent_dim", "width", "seed", "dataset", "output_dir"})
    return [phrase(name, value) for name, value in own.items() if any(getattr(it, name) != value for it in group)]


def grids(done: Iterable[Record]) -> list[dict[tuple[int, int], list[Record]]]:
    """Full grids over latent_dim and width with two or more values of each: the runs of each pair, one per seed.

    The runs of one grid differ only in these two settings and the seed.
    """
    found: dict[Any, dict[tuple[int, int], list[Record]]] = {}
    for one in done:
        rest = one.setting.model_copy(update={"latent_dim": 1, "width": 1})
        pair = (one.settings.latent_dim, one.settings.width)
        found.setdefault(rest, {}).setdefault(pair, []).append(one)
    sides = {rest: [len(set(side)) for side in zip(*cells, strict=True)] for rest, cells in found.items()}
    return [cells for rest, cells in found.items() if min(sides[rest]) > 1 and len(cells) == math.prod(sides[rest])]


def headlines(group: list[Record]) -> list[str]:
    """The few numbers below a figure: the model's own, sharpness and the Fréchet distance."""
    quality = next((name for name in measures.QUALITY if values_of(group, name)), "")
    return [name for name in (group[0].description.headline, "sharpness", quality) if values_of(group, name)]


# ---- in words ------------------------------------------------------------------------------------


def listed(values: Iterable[Any]) -> str:
    """Distinct values in words: '2, 10 and 20'."""
    *first, last = [value if isinstance(value, str) else f"{value:g}" for value in dict.fromkeys(values)] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def slug(text: str) -> str:
    """A text as an id: letters, digits and hyphens."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-") or "section"


def phrase(name: str, value: Any) -> str:
    """A setting as one says it: '10 latents', 'width 512', 'conv network', 'beta 1 0.5'."""
    text = PHRASES.get(name, f"{name.replace('_', ' ')} {{}}").format(value)
    return text.removesuffix("s") if value == 1 and name in ("latent_dim", "epochs") else text


def setting_of(one: Record, others: Iterable[Record] = ()) -> str:
    """What a run's settings are among others: '10 latents, width 512', and what differs beside these.

    Args:
        others: the runs among which it stands; without them, what the run's own name says is said.
    """
    own, others = one.settings, [*others]
    seeds = [other for other in others if other.setting == one.setting]
    texts = [phrase(name, getattr(own, name)) for name in ("latent_dim", "width")]
    texts += differences(one, others) if others else _beyond(one)
    return ", ".join([*texts, f"seed {own.seed}"] if len(seeds) > 1 or (not others and own.seed) else texts)


def title_of(one: Record, others: Iterable[Record] = ()) -> str:
    """A run as a person names it: 'VAE on MNIST, 2 latents, width 512', and the seed if there are several."""
    return f"{one.title} on {one.data}, {setting_of(one, others)}"


def titles(group: Iterable[Record]) -> dict[str, str]:
    """Titles by the runs' names, with the seed, even 0, wherever there are several."""
    groups = by_setting(group)
    alone = {one.name: title_of(one) for each in groups for one in each}
    several = [one for each in groups if len(each) > 1 for one in each if not one.settings.seed]
    return alone | {one.name: f"{alone[one.name]}, seed 0" for one in several}


def _beyond(one: Record) -> list[str]:
    """What a run's name says beyond latent dimension, width and seed: ['12 epochs', 'conv network']."""
    rest = one.name.partition(f"-seed{one.settings.seed}")[2].split("-")
    known = {f"{name}{value}": phrase(name, value) for name, value in one.settings if name != "output_dir"}
    return [known.get(text, text) for text in rest if text]


def about(group: list[Record]) -> str:
    """The model, the data, the epochs and the seeds behind a figure: 'VAE on MNIST, 50 epochs, seed 0.'"""
    settings, first = [one.settings for one in group], next(iter(finished(group)), group[0])
    seeds = sorted({one.seed for one in settings})
    epochs = listed(one.epochs for one in settings)
    return f"{first.title} on {first.data}, {epochs} epochs, seed{'s' * (len(seeds) > 1)} {listed(seeds)}."


def counted(group: list[Record]) -> str:
    """The number of settings and runs, in words."""
    settings, count = len(by_setting(group)), len(group)
    of = f"{settings} setting{'s' * (settings > 1)}, " if settings < count else ""
    return f"{of}{count} run{'s' * (count > 1)}"


def learning_rate(one: Record) -> str:
    return f"{one.description.optimizer} {one.settings.learning_rate:g}{SCHEDULES[one.settings.schedule]}"


def classifier(group: list[Record]) -> str:
    """How accurate the classifier behind the runs' numbers is, and how many classifiers gave the distances."""
    cards = {one.data: one.result["scorecard"] for one in finished(group) if "scorecard" in one.result}
    texts = [
        f"{100 * card['classifier_accuracy']:.1f} % of {number(card['classifier_test_n'])} test images of {data}"
        for data, card in cards.items()
        if card.get("classifier_accuracy") is not None
    ]
    return (
        f"The classifier behind the numbers recognises {listed(texts)} correctly. {by_how_many(group)}" if texts else ""
    )


def by_how_many(group: Iterable[Record]) -> str:
    """Whether the Fréchet distances of runs come from one classifier or from several, and what that means."""
    counts = {len(one.by_classifier("frechet")) for one in finished(group) if "frechet" in one.metrics}
    if not counts:
        return ""
    if counts == {1}:
        return "Fréchet distances come from this one classifier: another might rank similar settings differently."
    few = " Some runs were scored by one classifier only." * (1 in counts)
    return (
        f"Fréchet distances come from {max(counts)} classifiers that differ only in the seed of their training: the "
        f"number is the first one's, and the lowest and the highest are in brackets.{few}"
    )


def missing(records: Records, group: Sequence[Record], names: Sequence[str]) -> list[str]:
    """Why some runs of a table lack some of its numbers: a sentence for each reason."""
    lacking: dict[str, tuple[dict, dict]] = {}
    for one in group:
        for name in names:
            if why := one.absent.get(name):
                metrics, runs_of = lacking.setdefault(why, ({}, {}))
                metrics[records.short(name)] = runs_of[setting_of(one, group)] = None
    every = {setting_of(one, group) for one in finished(group)}
    return [
        f"No {listed(metrics)}{'' if every == {*runs_of} else f' for {listed(runs_of)}'}: {why}."
        for why, (metrics, runs_of) in lacking.items()
    ]
