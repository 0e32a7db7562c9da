"""A section for each kind of model: its figures, and illustrations of what the runs have learned."""

import math
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from lib import figures
from lib.report.pieces import drawing, frames, parts, piece, referred, tiles
from lib.report.records import FAMILIES, Record, Records
from lib.report.sections.cost import layers, total
from lib.report.words import (
    about,
    by_setting,
    classifier,
    differences,
    finished,
    grids,
    headlines,
    listed,
    slug,
    title_of,
    values_of,
)
from lib.rounding import decimals, mean_and_deviation, spread

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
    shown = [part for title in others for part in (_part(2, title, [], titles[title]), *_of_title(records, title))]
    rest = [one for one in records.study.figures if _path(records, one)[0] not in {*INTRODUCED, *titles}]
    return parts().section([*shown, *_headed(records, rest, 0, "further", 3)])


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
    rest = [_default(records, each) for each in by_setting(one for one in group if one.name not in records.seen)]
    extra = [("Further runs" if chosen else "Runs", rest), _grid(records, done), _growth(records, done)]
    extra += [_inside(records, done)]
    return [
        _part(3, heading, [], note, title),
        *_headed(records, chosen, 2, prefix, 4),
        *[_part(4, *each, prefix=prefix) for each in extra if each[1]],
    ]


def _headed(records: Records, chosen: Sequence, skip: int, prefix: str, level: int) -> list[dict]:
    """Figures under the rest of their headings, in the order of their numbers."""
    under: dict[str, list[dict]] = {}
    for one in chosen:
        under.setdefault(" / ".join(_path(records, one)[skip:]), []).append(_figure(records, one))
    return [_part(level, heading, shown, prefix=prefix) for heading, shown in under.items()]


def _part(level: int, heading: str, shown: list, note: str = "", prefix: str = "") -> dict:
    return {"level": level, "heading": heading, "id": slug(f"{prefix} {heading}"), "figures": shown, "note": note}


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
    return {
        "id": f"fig-{one.number}",
        "name": f"Figure {one.number}",
        "kind": " ".join(one.kinds),
        "panels": _panels(records, panels, one.kinds),
        "caption": referred(records, one.caption, f"figure {one.number}: caption"),
        "about": about([each for panel in panels for each in panel]),
    }


def _default(records: Records, group: list[Record]) -> dict:
    """The figure of a setting that the study's own figures do not show."""
    panels = _panels(records, [group], ("curve", "gallery"))
    return {"kind": "default", "panels": panels, "caption": [], "about": about(group)}


def _panels(records: Records, panels: list[list[Record]], kinds: Sequence[str]) -> list[dict]:
    """A figure's columns, each a setting with one run, or with one run per seed; curves share their scale."""
    shown = [finished(panel) for panel in panels]
    like = [each for group in shown if group for each in _extent(group)]
    found = []
    for panel, group in zip(panels, shown, strict=True):
        made = [part for kind in kinds for part in _kind(kind, group, like)] if group else []
        numbers = "" if tuple(kinds) == ("layers",) or not group else _numbers(records, group, "gallery" in kinds)
        found.append(_panel(records, panel, made, numbers))
    return found


def _panel(records: Records, panel: list[Record], made: list[dict], numbers: str = "") -> dict:
    size = (f"{name} {getattr(panel[0].settings, name)}" for name in ("latent_dim", "width"))
    return {
        "setting": " · ".join((*size, *differences(panel[0], records.runs))),
        "data": panel[0].data,
        "gaps": [one for one in panel if not one.result],
        "parts": made,
        "numbers": numbers,
    }


def _kind(kind: str, group: list[Record], like: Sequence = ()) -> list[dict]:
    """The pictures or tables of one kind for one setting: curves over its seeds, all else from its first run."""
    one, samples = group[0], group[0].samples
    if kind == "layers":
        return [layers(name, rows) for name, rows in one.result["layers"].items()] + [total(one.result)]
    if kind == "gallery":
        images = samples["samples"][:GALLERY]
        return [{"picture": tiles(images, 6, f"{len(images)} images generated by {one.name}")}]
    if kind == "reconstructions":
        return _reconstructions(samples) if "originals" in samples else []
    if kind == "latent_map":
        return _latent_map(one, samples) if "latent_map" in samples else []
    if kind == "plane":
        return _plane(samples) if "plane" in samples else []
    history, band = _course(group)
    return [{"picture": drawing(figures.training(history, one.description, like, kind == "loss", band=band))}]


def _reconstructions(samples: dict) -> list[dict]:
    rows, count = [*samples["originals"], *samples["reconstructions"]], len(samples["originals"])
    return [{"picture": tiles(np.stack(rows), count, f"{count} test images above their reconstructions", 430)}]


def _latent_map(one: Record, samples: dict) -> list[dict]:
    names = ("z1", "z2") if one.settings.latent_dim <= 2 else ("principal component 1", "principal component 2")
    return [{"picture": drawing(figures.latent_map(samples["latent_map"], samples.get("labels"), names), "png")}]


def _plane(samples: dict) -> list[dict]:
    largest = max(samples["plane_ticks"])
    reach = f"from −{largest:.2g} to {largest:.2g}"
    alt = f"Images decoded on an 11 by 11 grid, z1 {reach} left to right, z2 {reach} upwards"
    return [{"picture": tiles(samples["plane"], 11, alt, 330)}]


def _course(group: list[Record]) -> tuple[figures.History, figures.History | None]:
    """What a setting's curves show: its run's history, or the mean and standard deviation over its seeds."""
    histories = [one.history for one in group]
    return figures.over_seeds(histories) if len(histories) > 1 else (histories[0], None)


def _extent(group: list[Record]) -> list[figures.History]:
    """Histories that contain all the values of a setting's curves."""
    history, band = _course(group)
    return [history, *figures.edges(history, band)]


def _numbers(records: Records, done: list[Record], images: bool) -> str:
    """The main number, sharpness and Fréchet distance of one setting, and which seed's images are shown."""
    texts = [f"{records.label(name)} {spread(values_of(done, name))}" for name in headlines(done)]
    if len(done) > 1:
        texts.append(f"mean ± standard deviation of {len(done)} seeds")
        texts += [f"images: seed {done[0].settings.seed}"] * images
    return " · ".join(texts)


# ---- illustrations -------------------------------------------------------------------------------


def _illustration(panels: list[dict], group: list[Record], caption: str, kind: str = "") -> dict:
    kind = f"illustration {kind}".strip()
    return {"kind": kind, "panels": panels, "caption": [{"text": caption}], "about": about(group)}


def _grid(records: Records, done: list[Record]) -> tuple[str, list]:
    """Heat maps of the main numbers, if the runs are a full grid over latent_dim and width."""
    shown = []
    for cells in grids(done):
        group = [one for cell in cells.values() for one in cell]
        maps = [{"picture": heat_map(cells, name, records.label(name))} for name in headlines(group)]
        panel = _panel(records, group, maps) | {"setting": "latent_dim by width"}
        seeds = max(len(cell) for cell in cells.values())
        caption = "Each cell is a setting" + f": mean ± standard deviation of up to {seeds} seeds" * (seeds > 1)
        shown.append(_illustration([panel], group, f"{caption}. Blue is low, yellow is high. {classifier(group)}"))
    return "Latent dimension by width", shown


def heat_map(cells: dict[tuple[int, int], list[Record]], metric: str, label: str) -> dict:
    """One metric over a grid, as a picture."""
    latents, widths = (sorted(set(side)) for side in zip(*cells, strict=True))
    scores = [[values_of(cells[z, width], metric) for width in widths] for z in latents]
    values = [[fmean(score) if score else math.nan for score in row] for row in scores]
    shared = decimals(score for row in scores for score in row)
    texts = [["\n± ".join(filter(None, mean_and_deviation(score, shared))) for score in row] for row in scores]
    return drawing(figures.heat_map(values, latents, widths, texts, ("latent_dim", "width"), label))


def _growth(records: Records, done: list[Record]) -> tuple[str, list]:
    """Each run's images from the same latent vectors, over the epochs."""
    panels, several = [], len(done) > len(by_setting(done))
    for one in done:
        if len(one.samples.get("grids", ())) > 1:
            panels.append(_panel(records, [one], [{"film": film(one)}]))
            panels[-1]["data"] += f", seed {one.settings.seed}" * several
    caption = "Images from the same 36 latent vectors as training proceeds."
    return "Over the epochs", [_illustration(panels, done, caption, "wide-panels")] if panels else []


def film(one: Record) -> dict:
    """What template/parts/ needs to show a run's galleries of fixed latent vectors over the epochs."""
    epochs = [int(epoch) for epoch in one.samples["grid_epochs"]]
    alt = f"36 images by {one.name} from the same latent vectors, after {listed(epochs)} epochs"
    shown = {"epochs": epochs, "picture": frames(one.samples["grids"], alt)}
    return {"id": f"film-{slug(one.name)}", "name": title_of(one), **shown}


def _inside(records: Records, done: list[Record]) -> tuple[str, list]:
    """What each encoder's latents represent: reconstructions, a map of test images and, for two latents, the plane."""
    chosen = [one for one, *_ in by_setting(each for each in done if "originals" in each.samples)]
    chosen.sort(key=lambda one: "plane" not in one.samples)
    kinds = ("reconstructions", "latent_map", "plane")
    panels = [_panel(records, [one], [part for kind in kinds for part in _kind(kind, [one])]) for one in chosen]
    caption = (
        "For each run: test images above their reconstructions; where the encoder places test images, coloured by "
        "class (training does not use the classes); and, for two latents, the decoded latent plane."
    )
    return "Reconstructions and latents", [_illustration(panels, chosen, caption)] if panels else []
