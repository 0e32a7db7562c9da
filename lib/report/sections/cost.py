"""What the runs cost, and the networks that they trained."""

import math

from lib.report.pieces import parts, piece, row, spreads, table
from lib.report.records import Records
from lib.report.words import by_setting
from lib.rounding import number

MEASURED = ("seconds_fit", "images_per_second", "peak_rss_mib")  # seed by seed


@piece
def budget(records: Records) -> str:
    """What each setting cost: parameters, steps, images, time and memory."""
    done = [one for group in records.by_notebook.values() for one in group if one.result]
    groups = by_setting(done)
    if not groups:
        return ""
    several = any(len(group) > 1 for group in groups)
    measured = [texts for texts, _ in spreads(records.rows(done), MEASURED).values()]
    rows = [row(*_counted(group), *texts, kind="spent") for group, *texts in zip(groups, *measured, strict=True)]
    head = ("setting" if several else "run", "parameters", "steps", "critic or discriminator steps", "images seen")
    head += ("training (s)", "images/s", "peak memory (MiB)")
    note = "Steps are the generator's; for the VAE, those of the whole model. Parameters are those of all networks."
    note += " Time, speed and memory are mean ± standard deviation over the seeds." * several
    return table(head, rows, "Budget", note)


def _counted(group) -> tuple:
    """What all seeds of a setting share: its name, parameters, steps of both kinds, images seen."""
    first, (generating, judging) = group[0].result, group[0].description.steps
    name = group[0].name if len(group) == 1 else group[0].planned.setting
    steps = [first.get("steps", {}).get(one, math.nan) for one in (generating, judging)]
    return name, sum(first["parameters"].values()), *steps, first.get("images_seen", math.nan)


@piece
def networks(records: Records) -> str:
    """The layers of every distinct network."""
    shown: dict[str, dict] = {}
    for one in records.done:
        for name, rows in one.result["layers"].items():
            title = f"{one.settings.notebook_name}: {name}"
            found = shown.setdefault(f"{title} {rows}", layers(name, rows) | {"title": title, "runs": {}})
            found["runs"][one.planned.setting] = None
    return parts().layers(shown.values())


def layers(name: str, rows: list[dict]) -> dict:
    """A network's layers, as template/parts/ shows them."""
    found = [row(one["layer"], one["kind"], one["output"], one["parameters"]) for one in rows]
    found.append(row("total", "", "", sum(one["parameters"] for one in rows), kind="total"))
    return {"head": ("layer", "kind", "output", "parameters"), "rows": found, "caption": name}


def total(result: dict) -> dict:
    count = sum(one["parameters"] for rows in result["layers"].values() for one in rows)
    return {"text": f"{number(count)} parameters in all"}
