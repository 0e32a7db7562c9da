"""All runs at once: a table to sort and filter, some runs side by side, any two numbers; and what the scripts need."""

import math
from typing import Any

from scipy.special import stdtrit

from lib import figures
from lib.report import measures
from lib.report.pieces import drawing, in_lab, parts, piece
from lib.report.records import Record, Records
from lib.report.words import by_setting, differing, finished, headlines, listed, slug, titles, values_of
from lib.rounding import decimals, number, spread_and_span

NAMES = {"latent_dim": "latent dimension"}  # of settings, where the setting's own is not a word


def _label(records: Records, setting: str) -> str:
    return NAMES.get(setting) or setting.replace("_", " ")


# ---- the table of all runs -----------------------------------------------------------------------


@piece
def all_runs(records: Records) -> str:
    """Every run with every number, to be sorted and filtered; each seed has a row of its own.

    A reader with scripts first sees the settings that vary and the few numbers that stand below figures.
    """
    names, settings = records.metrics(records.runs), differing(records.runs)
    groups = filter(None, map(finished, records.by_notebook.values()))
    shown = {name for group in groups for name in headlines(group)}
    head = [{"text": "run", "key": "run"}, *({"text": name, "key": name, "off": True} for name in ("model", "data"))]
    head += [{"text": _label(records, name), "key": name, "number": _numeric(records.runs, name)} for name in settings]
    head += [{"text": "state", "key": "state"}, {"text": "figures", "key": "figures", "off": True}]
    head += [{"text": records.label(name), "key": name, "number": True, "off": name not in shown} for name in names]
    places = {name: decimals(values_of([one], name) for one in records.runs) for name in names}
    said = titles(records.runs)
    rows = [_one_run(records, one, said[one.name], settings, places) for one in records.runs]
    return parts().runs_table(head, rows)


def _numeric(group: list[Record], setting: str) -> bool:
    values = [getattr(one.settings, setting, 0) for one in group]
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _one_run(records: Records, one: Record, title: str, settings: list[str], places: dict[str, int]) -> dict:
    """One run's row. Args: places: the decimals of each metric's column."""
    shown = list(records.seen.get(one.name, ()))
    cells = [{"text": title, "href": one.page}, {"text": one.title}, {"text": one.data}]
    for value in (getattr(one.settings, name, "") for name in settings):
        cells.append({"text": str(value), "number": isinstance(value, int | float), "value": value})
    figure = f"#fig-{shown[0]}" if shown else ""
    cells += [{"text": one.state}, {"text": listed(str(each) for each in shown) or "–", "href": figure}]
    for name, shared in places.items():
        value = one.metrics.get(name)
        sorted_by = "" if value is None else f"{value:.6g}"
        text = (
            number(value, shared)
            if value is None
            else spread_and_span([[by] for by in one.by_classifier(name)], shared)
        )
        cells.append({"text": text, "number": True, "value": sorted_by})
    return {"cells": cells, "name": one.name, "kind": "" if one.result else "missing"}


# ---- some runs side by side, any two numbers -----------------------------------------------------


@piece
def compare(records: Records) -> str:
    """Two to four runs side by side: what differs, curves on one scale, and galleries over the epochs."""
    if len(records.done) < 2:
        return parts().notes(["A comparison needs two finished runs."])
    return parts().compare()


@piece
def scatter(records: Records) -> str:
    """Any two numbers of all runs; without scripts, sharpness and the Fréchet distance."""
    names = [name for name in records.metrics(records.done) if values_of(records.done, name)]
    if not names:
        return parts().notes(["No run has a number yet."])
    settings = [name for name in differing(records.done) if name not in names and _numeric(records.done, name)]
    choices = [(name, records.label(name)) for name in names] + [(name, _label(records, name)) for name in settings]
    y = next((name for name in measures.QUALITY if name in names), names[0])
    x = next((name for name in ("sharpness", *names) if name in names and name != y), y)
    points: dict[str, list] = {}
    for one in records.done:
        if x in one.metrics and y in one.metrics:
            points.setdefault(f"{one.title}, {one.data}", []).append((one.metrics[x], one.metrics[y]))
    drawn = figures.points(points, records.label(x), records.label(y))
    return parts().scatter(choices, x, y, drawing(drawn))


# ---- what the scripts need -----------------------------------------------------------------------


@piece
def data(records: Records) -> str:
    """What the page's script needs: each run's settings, numbers and curve. In JupyterLab no script runs.

    Settings that all runs share stand there once. `quantiles` are Student's t for the 95 % intervals of the means of 2
    seeds, of 3, and so on.
    """
    if in_lab():
        return ""
    metrics, settings = records.metrics(records.done), [_settings(one) for one in records.done]
    names = list(dict.fromkeys(name for each in settings for name in each))
    common = {name: settings[0].get(name) for name in names if len({repr(each.get(name)) for each in settings}) == 1}
    labels = {name: _label(records, name) for name in names} | {name: records.label(name) for name in metrics}
    groups, said = by_setting(records.done), titles(records.runs)
    places = {one.name: place for place, group in enumerate(groups) for one in group}
    runs = [_drawn(one, said[one.name]) | {"setting": places[one.name]} for one in records.done]
    for run, own in zip(runs, settings, strict=True):
        run["settings"] = {name: value for name, value in own.items() if name not in common}
    value = {
        "runs": runs,
        "labels": labels,
        "metrics": metrics,
        "settings": names,
        "common": common,
        "quantiles": [round(float(stdtrit(n - 1, 0.975)), 4) for n in range(2, max(map(len, groups), default=0) + 1)],
    }
    return parts().data(value)


def _settings(one: Record) -> dict[str, Any]:
    """A run's settings by name. What `precision` sets has another name where the score of that name stands too."""
    found = one.settings.model_dump(mode="json", exclude={"output_dir", "notebook", "dataset"})
    return {"dtype_policy" if name == "precision" else name: value for name, value in found.items()}


def _drawn(one: Record, title: str) -> dict:
    """A run as the page's scripts compare and draw it; `group` names it with all its seeds."""
    return {
        "name": one.name,
        "label": title,
        "group": title.replace(f", seed {one.settings.seed}", ""),
        "model": one.title,
        "family": one.family,
        "data": one.data,
        "page": one.page,
        "film": f"film-{slug(one.name)}",
        "metrics": {name: float(f"{value:.6g}") for name, value in one.metrics.items()},
        "further": {
            name: [float(f"{each:.6g}") for each in by] for name in one.metrics if (by := one.by_classifier(name)[1:])
        },
        "curve": _curve(one),
    }


def _curve(one: Record) -> dict:
    """The first column of a model's own curve, with its marks; that of a loss also has the best constant image's."""
    words, column = one.description, one.description.curve[0][0]
    values, validation = (
        [float(f"{value:.5g}") if math.isfinite(value) else None for value in one.history.get(name, ())]
        for name in (column, f"val_{column}")
    )
    levels = [{"label": name, "value": value} for name, value in words.levels.items()]
    constant = one.references.get(words.headline, {}).get("mean_image") if column == "loss" else None
    levels += [{"label": "best constant image", "value": constant}] if constant else []
    unit = words.units[0] if words.units else ""
    label = words.columns.get(column, column)
    return {"label": label, "unit": unit, "values": values, "validation": validation or None, "levels": levels}
