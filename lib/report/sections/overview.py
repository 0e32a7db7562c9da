"""All runs at once: a table to sort and filter, two runs side by side, any two numbers; and what the scripts need."""

import math

from lib import figures
from lib.report import claims
from lib.report.pieces import drawing, in_lab, parts, piece
from lib.report.records import Record, Records
from lib.report.words import listed, slug, title_of, values_of
from lib.rounding import decimals, number

SETTINGS = ("latent_dim", "width", "network", "epochs", "seed")
PLOTTED = ("latent_dim", "width", "epochs")  # beside the metrics


@piece
def all_runs(records: Records) -> str:
    """Every run with every number, to be sorted and filtered; each seed has a row of its own."""
    names = records.metrics(records.runs)
    head = [{"text": text} for text in ("run", "model", "data")]
    head += [{"text": name, "number": name != "network"} for name in SETTINGS]
    head += [{"text": text} for text in ("state", "figures")]
    head += [{"text": records.label(name), "number": True} for name in names]
    places = {name: decimals(values_of([one], name) for one in records.runs) for name in names}
    return parts().runs_table(head, [_one_run(records, one, places) for one in records.runs])


def _one_run(records: Records, one: Record, places: dict[str, int]) -> dict:
    """One run's row. Args: places: the decimals of each metric's column."""
    shown = list(records.seen.get(one.name, ()))
    cells = [{"text": one.name, "href": one.page}, {"text": one.title}, {"text": one.data}]
    for value in (*(getattr(one.settings, name) for name in SETTINGS), one.state):
        cells.append({"text": str(value), "number": isinstance(value, int), "value": value})
    figure = f"#fig-{shown[0]}" if shown else ""
    cells.append({"text": listed(str(each) for each in shown) or "–", "href": figure})
    for name, shared in places.items():
        value = one.metrics.get(name)
        sorted_by = "" if value is None else f"{value:.10g}"
        cells.append({"text": number(value, shared), "number": True, "value": sorted_by})
    return {"cells": cells, "kind": "" if one.result else "missing"}


@piece
def compare(records: Records) -> str:
    """Any two runs side by side: curves on one scale, and galleries over the epochs."""
    if len(records.done) < 2:
        return parts().notes(["A comparison needs two finished runs."])
    return parts().compare([{"name": one.name, "label": title_of(one)} for one in records.done])


@piece
def scatter(records: Records) -> str:
    """Any two numbers of all runs; without scripts, sharpness and the Fréchet distance."""
    names = [name for name in records.metrics(records.done) if values_of(records.done, name)]
    if not names:
        return parts().notes(["No run has a number yet."])
    choices = [(name, records.label(name)) for name in (*names, *PLOTTED)]
    y = next((name for name in claims.QUALITY if name in names), names[0])
    x = next((name for name in ("sharpness", *names) if name in names and name != y), y)
    points: dict[str, list] = {}
    for one in records.done:
        if x in one.metrics and y in one.metrics:
            points.setdefault(f"{one.title}, {one.data}", []).append((one.metrics[x], one.metrics[y]))
    drawn = figures.points(points, records.label(x), records.label(y))
    return parts().scatter(choices, x, y, drawing(drawn))


@piece
def data(records: Records) -> str:
    """What the page's script needs: each run's numbers and curve. In JupyterLab no script runs."""
    if in_lab():
        return ""
    names = (*records.metrics(records.done), *PLOTTED)
    labels = {name: records.label(name) for name in names}
    runs = [_drawn(one) for one in records.done]
    return parts().data({"runs": runs, "labels": labels, "order": names})


def _drawn(one: Record) -> dict:
    """A run as the page's scripts compare and draw it."""
    return {
        "name": one.name,
        "label": title_of(one),
        "model": one.title,
        "family": one.family,
        "data": one.data,
        "page": one.page,
        "film": f"film-{slug(one.name)}",
        "settings": {name: getattr(one.settings, name) for name in PLOTTED},
        "metrics": {name: float(f"{value:.6g}") for name, value in one.metrics.items()},
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
