"""A section for each kind of model: its figures, and illustrations of what the runs have learned."""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from lib import figures
from lib.report.pieces import drawing, frames, parts, piece, referred, tiles
from lib.report.records import FAMILIES, Record, Records
from lib.report.sections.cost import layers
from lib.report.words import (
    about,
    by_setting,
    finished,
    grids,
    headlines,
    listed,
    measured,
    setting_of,
    slug,
    title_of,
    values_of,
)
from lib.rounding import decimals, mean_and_deviation

GALLERY = 36  # images; the first 36 samples come from the fixed latents
INTRODUCED = ("VAE", "GAN", "WGAN")  # models to which report.ipynb has given headings


@piece
def model(records: Records, title: str) -> str:
    """One kind of model's figures and illustrations, by dataset. Args: title: "VAE", "GAN" or "WGAN"."""
    shown = _of_title(records, title)
    return parts().section(shown) if shown else parts().notes([f"This study has no {title} runs."])


@piece
def further(records: Records) -> str:
    """The same of all other models, under headings of their own; and figures that the study places under such ones."""
    titles = {one.title: one.description.about for one in reversed(records.runs)}
    others = [title for title in dict.fromkeys(one.title for one in records.runs) if title not in INTRODUCED]
    shown = [part for title in others for part in (_group(2, title, [], titles[title]), *_of_title(records, title))]
    rest = [one for one in records.study.figures if _path(records, one)[0] not in {*INTRODUCED, *titles}]
    apart = [_group(3, one["heading"], [one | {"heading": ""}]) for one in _headed(records, rest, 0, "further", 3)]
    return parts().section([*shown, *apart])


def _of_title(records: Records, title: str) -> list[dict]:
    return [
        part
        for group in records.by_notebook.values()
        if group[0].title == title
        for part in _of_notebook(records, group)
    ]


def _of_notebook(records: Records, group: list[Record]) -> list[dict]:
    title, family, done = group[0].title, group[0].family, finished(group)
    prefix, heading = f"{title} {family}", family
    same = [each for each in records.by_notebook.values() if (each[0].title, each[0].family) == (title, family)]
    chosen = [one for one in records.study.figures if _path(records, one)[:2] == (title, family)]
    if same[0] is not group:  # another notebook of the same model, which has these headings already
        heading += f", {group[0].settings.notebook_name}"
        prefix, chosen = f"{title} {heading}", []
    others = any(one.data != one.family for one in group)
    note = f"These runs used {listed(one.data for one in group)}." if others else ""
    unseen = by_setting(one for one in group if one.name not in records.seen)
    shown = {*_homes(records), *(one.name for each in unseen for one in finished(each)[:1])}
    extra = [("Further runs" if chosen else "Runs", [_default(records, each) for each in unseen]), _grid(records, done)]
    parts = _headed(records, chosen, 2, prefix, 4) + [_part(4, *each, prefix=prefix) for each in extra if each[1]]
    folds = [_inside(records, done), _others(records, [one for one in done if one.name not in shown])]
    return [_group(3, heading, parts, note, title, [one for one in folds if one])]


def _headed(records: Records, chosen: Sequence, skip: int, prefix: str, level: int) -> list[dict]:
    """Figures under the rest of their headings, in the order of their numbers."""
    under: dict[str, list[dict]] = {}
    for one in chosen:
        under.setdefault(" / ".join(_path(records, one)[skip:]), []).append(_figure(records, one))
    return [_part(level, heading, shown, prefix) for heading, shown in under.items()]


def _part(level: int, heading: str, shown: list, prefix: str = "") -> dict:
    """Figures below one heading; it takes half of the width if it has one figure that does."""
    wide = len(shown) > 1 or any(one["wide"] for one in shown)
    return {"level": level, "heading": heading, "id": slug(f"{prefix} {heading}"), "figures": shown, "wide": wide}


def _group(level: int, heading: str, parts: list, note: str = "", prefix: str = "", folds: Sequence = ()) -> dict:
    """Parts that belong together: one slider moves all their galleries over the epochs."""
    shown = [figure for part in parts for figure in part["figures"]] + [fold["figure"] for fold in folds]
    cells = [cell for figure in shown for panel in figure["panels"] for cell in panel["cells"]]
    epochs = sorted({epoch for cell in cells if "film" in cell for epoch in cell["film"]["epochs"]})
    name = " on ".join(filter(None, (prefix, heading)))
    found = {"level": level, "heading": heading, "id": slug(f"{prefix} {heading}"), "name": name, "note": note}
    return found | {"epochs": epochs, "parts": parts, "folds": folds}


def _path(records: Records, one) -> tuple[str, ...]:
    """The headings over a figure, from its section or else from its runs' notebook: model, dataset and others."""
    path = tuple(part.strip() for part in one.section.split("/") if part.strip())
    first, titles = records.by_name[one.runs[0][0]], {*INTRODUCED, *(each.title for each in records.runs)}
    known = {name.lower(): name for name in (*titles, *FAMILIES.values())}
    path = tuple(known.get(part.lower(), part) for part in path)
    first = records.by_notebook[first.settings.notebook][0]  # under whose headings its notebook stands
    return (first.title, first.family) if not path or (path[0] in titles and len(path) == 1) else path


# ---- figures -------------------------------------------------------------------------------------


def _figure(records: Records, one) -> dict:
    panels = [[records.by_name[name] for name in panel] for panel in one.runs]
    found = _panels(records, panels, one.kinds, f"fig-{one.number}")
    return _arranged(found, one.kinds) | {
        "id": f"fig-{one.number}",
        "name": f"Figure {one.number}",
        "caption": referred(records, one.caption, f"figure {one.number}: caption"),
        "about": about([each for panel in panels for each in panel]),
    }


def _default(records: Records, group: list[Record]) -> dict:
    """The figure of a setting that the study's own figures do not show."""
    panels = _panels(records, [group], ("curve", "gallery"))
    return _arranged(panels, ("default",)) | {"caption": [], "about": ""}


def _arranged(panels: list[dict], kinds: Sequence[str]) -> dict:
    """A figure's panels and how much room they need: pictures and tables stand four in a row, two in half of it."""
    most = max(len(panel["cells"]) for panel in panels)
    return {"kind": " ".join(kinds), "panels": panels, "cells": min(max(most, 1), 3), "wide": most * len(panels) > 2}


def _homes(records: Records) -> dict[str, str]:
    """Where the film of a run stands: the figure that shows it first, by the run's name."""
    found: dict[str, str] = {}
    for one in records.study.figures:
        for panel in one.runs if "gallery" in one.kinds else ():
            for run in finished(records.by_name[name] for name in panel)[:1]:
                found.setdefault(run.name, f"fig-{one.number}")
    return found


def _panels(records: Records, panels: list[list[Record]], kinds: Sequence[str], place: str = "") -> list[dict]:
    """A figure's panels, each a setting with one run, or with one run per seed; curves share their scale.

    Args:
        place: the figure's id; a film stands only in one figure, and others show it again.
    """
    shown, homes, once = [finished(panel) for panel in panels], _homes(records), set()
    like = [each for group in shown if group for each in _extent(group)]
    mixed = len({(one.title, one.data) for panel in panels for one in panel}) > 1
    found = []
    for panel, group in zip(panels, shown, strict=True):
        first = group[0].name if group else ""
        again = first in once or homes.get(first, place) != place
        once.add(first)
        cells = [cell for kind in kinds for cell in _kind(kind, group, like, again)] if group else []
        elsewhere = "gallery" not in kinds and first in homes
        numbers = "" if elsewhere or tuple(kinds) == ("layers",) or not group else _numbers(records, group)
        found.append(_panel(records, panel, cells, numbers, mixed))
    return found


def _panel(records: Records, panel: list[Record], cells: list[dict], numbers: str = "", mixed: bool = False) -> dict:
    first = panel[0]
    others = [one for one in records.runs if len(panel) == 1 or one is first or one.setting != first.setting]
    setting = f"{first.title} on {first.data}, " * mixed + setting_of(first, others)
    return {"setting": setting, "gaps": [one for one in panel if not one.result], "cells": cells, "numbers": numbers}


def _kind(kind: str, group: list[Record], like: Sequence = (), again: bool = False) -> list[dict]:
    """The pictures or tables of one kind for one setting: curves over its seeds, all else from its first run."""
    one, samples = group[0], group[0].samples
    if kind == "layers":
        return [layers(name, rows) for name, rows in one.result["layers"].items()]
    if kind == "gallery":
        return [_gallery(one, again)]
    if kind == "reconstructions":
        return _reconstructions(samples) if "originals" in samples else []
    if kind == "latent_map":
        return _latent_map(one, samples) if "latent_map" in samples else []
    history, band = _course(group)
    drawn = figures.training(history, one.description, like, kind == "loss", band=band, compact=True)
    return [{"picture": drawing(drawn)}]


def _gallery(one: Record, again: bool = False) -> dict:
    """A run's images from its fixed latents: a film over the epochs, of which the last frame is seen first.

    Args:
        again: the film stands elsewhere in the page; here only its last frame, which a script replaces.
    """
    grids = one.samples.get("grids", ())
    if len(grids) < 2:
        images = one.first_samples(GALLERY)
        return {"picture": tiles(images, 6, f"{len(images)} images by {title_of(one)}")}
    epochs = [int(epoch) for epoch in one.samples["grid_epochs"]]
    alt = f"36 images by {title_of(one)}, from the same latent vectors, after {listed(epochs)} epochs"
    shown = {"id": f"film-{slug(one.name)}", "epochs": epochs, "again": again}
    return {"film": shown | {"picture": frames(grids[-1:] if again else grids, alt)}}


def _reconstructions(samples: dict) -> list[dict]:
    rows, count = [*samples["originals"], *samples["reconstructions"]], len(samples["originals"])
    return [{"picture": tiles(np.stack(rows), count, f"{count} test images above their reconstructions", 430)}]


def _fitted(samples: dict) -> list[dict]:
    if "fitted" not in samples:
        return []
    rows = [*samples["samples"][:10], *samples["fitted"][:10]]
    return [{"picture": tiles(np.stack(rows), 10, "10 samples of the prior above 10 of the fitted density", 430)}]


def _latent_map(one: Record, samples: dict) -> list[dict]:
    names = ("z1", "z2") if one.settings.latent_dim <= 2 else ("principal component 1", "principal component 2")
    drawn = figures.latent_map(samples["latent_map"], samples.get("labels"), names)
    return [{"picture": drawing(drawn, crowded=True)}]


def _course(group: list[Record]) -> tuple[figures.History, figures.History | None]:
    """What a setting's curves show: its run's history, or the mean and standard deviation over its seeds."""
    histories = [one.history for one in group]
    return figures.over_seeds(histories) if len(histories) > 1 else (histories[0], None)


def _extent(group: list[Record]) -> list[figures.History]:
    """Histories that contain all the values of a setting's curves."""
    history, band = _course(group)
    return [history, *figures.edges(history, band)]


def _numbers(records: Records, done: list[Record]) -> str:
    """The main number, sharpness and Fréchet distance of one setting, and which seed's images are shown."""
    texts = [f"{records.short(name)} {measured(done, name)}" for name in headlines(done)]
    if texts:  # galleries may show an earlier epoch
        texts[0] = f"after {listed(one.settings.epochs for one in done)} epochs: {texts[0]}"
    if len(done) > 1:
        texts.append(f"mean ± standard deviation of {len(done)} seeds · images: seed {done[0].settings.seed}")
    return " · ".join(texts)


# ---- illustrations -------------------------------------------------------------------------------


def _illustration(panels: list[dict], group: list[Record], caption: str) -> dict:
    return _arranged(panels, ("illustration",)) | {"caption": [{"text": caption}], "about": about(group)}


def _grid(records: Records, done: list[Record]) -> tuple[str, list]:
    """Heat maps of the main numbers, if the runs are a full grid over latent_dim and width."""
    shown = []
    for cells in grids(done):
        group = [one for cell in cells.values() for one in cell]
        maps = [{"picture": heat_map(cells, name, records.label(name))} for name in headlines(group)]
        panel = _panel(records, group, maps) | {"setting": ""}
        seeds = max(len(cell) for cell in cells.values())
        caption = "Each cell is a setting" + f": mean ± standard deviation of up to {seeds} seeds" * (seeds > 1)
        shown.append(_illustration([panel], group, f"{caption}. Blue is low, yellow is high."))
    return "Latent dimension by width", shown


def heat_map(cells: dict[tuple[int, int], list[Record]], metric: str, label: str) -> dict:
    """One metric over a grid, as a picture."""
    latents, widths = (sorted(set(side)) for side in zip(*cells, strict=True))
    scores = [[values_of(cells[z, width], metric) for width in widths] for z in latents]
    values = [[fmean(score) if score else math.nan for score in row] for row in scores]
    shared = decimals(score for row in scores for score in row)
    texts = [["\n± ".join(filter(None, mean_and_deviation(score, shared))) for score in row] for row in scores]
    return drawing(figures.heat_map(values, latents, widths, texts, ("latent_dim", "width"), label))


def _inside(records: Records, done: list[Record]) -> dict:
    """What each encoder's latents represent: reconstructions, and a map of test images."""
    chosen = [one for one, *_ in by_setting(each for each in done if "originals" in each.samples)]
    kinds = ("reconstructions", "latent_map")
    parts = [[cell for kind in kinds for cell in _kind(kind, [one])] + _fitted(one.samples) for one in chosen]
    panels = [_panel(records, [one], cells) for one, cells in zip(chosen, parts, strict=True)]
    caption = (
        "First, test images above their reconstructions. Then a map of where the encoder places test images, coloured "
        "by class; training does not use the classes."
    )
    if any("fitted" in one.samples for one in chosen):
        caption += (
            " Last, samples of the prior above samples of a mixture of ten Gaussians that was fitted to the latents of "
            "training images: if the latter look better, the encoder leaves gaps in the prior."
        )
    several = f"{len(panels)} settings" if len(panels) > 1 else "one setting"
    summary = f"Reconstructions and latent maps of {several}"
    return {"summary": summary, "figure": _illustration(panels, chosen, caption)} if panels else {}


def _others(records: Records, rest: list[Record]) -> dict:
    """The films that no figure shows, above all those of further seeds."""
    rest = [one for one in rest if len(one.samples.get("grids", ())) > 1]
    panels = [_panel(records, [one], [_gallery(one)]) for one in rest]
    summary = f"The galleries of {len(panels)} more run{'s' * (len(panels) > 1)}"
    caption = "Runs that no figure above shows, for example further seeds of the same settings."
    return {"summary": summary, "figure": _illustration(panels, rest, caption)} if panels else {}
