"""What the runs cost, and the networks that they trained."""

import math

from lib import runs
from lib.report.pieces import fold, parts, piece, row, spreads, table
from lib.report.records import Records
from lib.report.words import by_setting, counted, title_of
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
    firsts = [group[0] for group in groups]
    rows = [row(*_counted(group, firsts), *texts) for group, *texts in zip(groups, *measured, strict=True)]
    head = ("setting", "parameters", "steps", "critic or discriminator steps", "images seen")
    head += ("training (s)", "images/s", "peak memory (MiB)")
    note = "Steps are the generator's; for the VAE, those of the whole model. Parameters are those of all networks."
    note += " Time, speed and memory are mean ± standard deviation over the seeds." * several
    spent = runs.duration(sum(one.result["seconds"].get("fit", 0) for one in done))
    return fold(f"Cost of {counted(done)}: {spent} of training in total", table(head, rows, "", note))


def _counted(group, firsts) -> tuple:
    """What all seeds of a setting share: its name, parameters, steps of both kinds, images seen."""
    first, (generating, judging) = group[0].result, group[0].description.steps
    name = title_of(group[0], firsts)
    steps = [first.get("steps", {}).get(one, math.nan) for one in (generating, judging)]
    return name, sum(first["parameters"].values()), *steps, first.get("images_seen", math.nan)


@piece
def networks(records: Records) -> str:
    """The layers of every distinct network."""
    shown: dict[str, dict] = {}
    firsts = [group[0] for group in by_setting(records.done)]
    for one in firsts:
        for name, rows in one.result["layers"].items():
            title = f"{one.title} on {one.data}: {name}"
            found = shown.setdefault(f"{title} {rows}", layers(name, rows) | {"title": title, "runs": {}})
            found["runs"][title_of(one, firsts)] = None
    sizes = sorted(one["total"] for one in shown.values())
    if not sizes:
        return ""
    summary = f"{len(sizes)} networks with {number(sizes[0])} to {number(sizes[-1])} parameters"
    return fold(summary, parts().layers(shown.values()))


def layers(name: str, rows: list[dict]) -> dict:
    """A network's layers, as template/parts/ shows them."""
    count = sum(one["parameters"] for one in rows)
    found = [
        row(f"{one['layer']} ({one['kind'].removesuffix('Layer')})", one["output"], one["parameters"]) for one in rows
    ]
    found.append(row("total", "", count, kind="total"))
    return {"head": ("layer", "output", "parameters"), "rows": found, "caption": name, "total": count}
