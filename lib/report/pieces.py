"""Markup: what a notebook shows as a piece of the report, tables, texts with references, images.

All markup comes from template/parts/, where every value is escaped.
"""

import base64
import io
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, wraps
from html import escape, unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import jinja2.runtime
import numpy as np
import pandas as pd
from markupsafe import Markup
from PIL import Image

from lib import figures
from lib.errors import UserError
from lib.report.records import Records
from lib.rounding import decimals, number, spread, spread_and_span

TEMPLATE = Path(__file__).parent / "template"


def in_lab() -> bool:
    """Whether somebody sits in front of the notebook: JupyterLab sets this variable, papermill does not."""
    return "JPY_SESSION_NAME" in os.environ


class Piece(str):
    """Markup that a notebook shows."""

    home: Path | None = None  # in JupyterLab the folder of the built page, from which links lead

    def _repr_html_(self) -> str:
        markup = (
            re.sub(r'<a href="(?![#/]|\w+:)([^"#]+)([^"]*)">(.*?)</a>', self._from_here, self) if self.home else self
        )
        return f'<div class="report">{markup}</div>' if markup.strip() else ""

    def _from_here(self, link: re.Match) -> str:
        """A link as it must be in a notebook; without its target, which a built report has, only its words."""
        path, anchor, words = link.groups()
        target = self.home / unescape(path)
        return f'<a href="{escape(os.path.relpath(target))}{anchor}">{words}</a>' if target.exists() else words

    def __repr__(self) -> str:
        return f"<{len(self)} characters of HTML>"


def piece(section: Callable[..., str]) -> Callable[..., Piece]:
    """Makes a function of the records that returns markup one that a notebook shows."""

    @wraps(section)
    def shown(records: Records, *args) -> Piece:
        made = Piece(section(records, *args))
        made.home = records.study.folder if in_lab() else None
        return made

    return shown


@cache
def parts() -> SimpleNamespace:
    """All macros of template/parts/."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATE / "parts"), autoescape=True)
    return SimpleNamespace(
        **{
            name: macro
            for file in environment.list_templates()
            for name, macro in vars(environment.get_template(file).module).items()
            if isinstance(macro, jinja2.runtime.Macro)
        }
    )


# ---- tables --------------------------------------------------------------------------------------


class Aligned(str):
    """The text of a number: in tables it is right-aligned."""


def table(head: Sequence[str], rows: Iterable[dict], caption: str = "", note: Any = "") -> Markup:
    """A table. Args: rows: as `row` makes them; note: a text, or one in pieces as `referred` makes it."""
    return parts().table(head, list(rows), caption, note)


def fold(summary: str, *body: Markup) -> Markup:
    """What stands folded below one line that says what is inside; printed, it is open."""
    return parts().fold(summary, Markup("").join(body))


def row(*values: Any, kind: str = "") -> dict:
    """A table's row of texts, numbers, which are right-aligned, and cells that are ready."""
    return {"cells": [value if isinstance(value, dict) else _cell(value) for value in values], "kind": kind}


def _cell(value: Any) -> dict:
    return {"text": number(value), "number": isinstance(value, int | float | Aligned)}


def spreads(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, tuple[list[Aligned], int]]:
    """For each column a text for each setting and the decimals they share: the mean and deviation over its seeds, and
    in brackets the lowest and the highest mean by any classifier, if there are several.

    Args:
        frame: rows of a table of records, whose index says which of them are of one setting.
    """
    found = {}
    for name in names:
        values = frame[name] if name in frame else pd.Series(None, frame.index, dtype=object)
        cells = [[value for value in each if pd.notna(value)] for each in values.groupby(level=0, sort=False).agg(list)]
        shared = decimals(cells)
        others = [frame[other].groupby(level=0, sort=False).agg(list) for other in frame if _is_further(other, name)]
        told = [
            [cell, *(each for each in rest if pd.notna(each).all())] for cell, *rest in zip(cells, *others, strict=True)
        ]
        found[name] = [Aligned(spread_and_span(each, shared)) for each in told], shared
    return found


def _is_further(column: str, name: str) -> bool:
    """Whether a column has a number by a further classifier."""
    return column.startswith(f"{name}_classifier_")


# ---- texts with references -----------------------------------------------------------------------


def referred(records: Records, text: str, where: str, of: str = "") -> list[dict]:
    """A text in pieces: `[fig:3]` is a link to that figure, `[num:METRIC RUN]` that run's number, `**word**` strong.

    RUN without its seed stands for all seeds of that setting: their mean and standard deviation. `STUDY/RUN` and
    `STUDY/3` belong to a study that the evidence names.

    Args:
        of: the study of the evidence to which runs and figures belong if the text names none; empty: this one.

    Raises:
        UserError: there is no such figure, run or metric. A run that has no numbers yet gets "–".
    """
    found = []
    for strong, reference, plain in re.findall(r"\*\*([^*]+)\*\*|\[((?:fig|num):[^\]]+)\]|(.[^*\[]*)", text, re.DOTALL):
        one = {"text": strong or plain, "strong": bool(strong)}
        if reference:
            kind, _, name = reference.partition(":")
            metric, _, name = name.rpartition(" ")
            study, _, name = name.rpartition("/")
            args = (records, study or of, name)
            one = _link(*args) if kind == "fig" else _measured(*args, metric)
            if not one:
                what = "figure" if kind == "fig" else "number"
                raise UserError(f"{records.study.path}: {where}: [{reference}] refers to no {what} of this study")
        found.append(one)
    return found


def page_of(records: Records, other, anchor: str = "") -> dict:
    """Where the report of another study stands, seen from this one; nothing if it has none."""
    there = (records.study.folder.parent / other.name / "index.html").is_file()
    return {"href": f"../{other.name}/index.html{anchor}"} if there else {}


def _link(records: Records, study: str, figure: str) -> dict:
    one, _ = records.named.get(study, (None, ()))
    if one is None or figure not in {str(each.number) for each in one.figures}:
        return {}
    if not study:
        return {"text": f"Figure {figure}", "href": f"#fig-{figure}"}
    return {"text": f"Figure {figure} of that study"} | page_of(records, one, f"#fig-{figure}")


def _measured(records: Records, study: str, run: str, metric: str) -> dict:
    one, found = records.named.get(study, (None, ()))
    names = {each.name for each in one.runs if run in (each.name, each.setting)} if one else ()
    chosen = [each for each in found if each["run"] in names]
    numbers = [{"images_per_second": each.get("images_per_second"), **each["metrics"]} for each in chosen]
    values = [each[metric] for each in numbers if np.isfinite(each.get(metric) or math.nan)]
    known = all(metric in {**each.get("absent", {}), **of} for each, of in zip(chosen, numbers, strict=True))
    return {"text": spread(values)} if names and known else {}


# ---- images --------------------------------------------------------------------------------------


def picture(image: bytes, form: str, size: tuple[int, int], alt: str, kind: str = "pixels") -> dict:
    """What template/parts/ needs to show an image: a data URL, its size in CSS pixels, its text.

    Args:
        kind: "pixels" (enlarged by whole pixels) or "chart" (inverted on dark pages).
    """
    source = f"data:image/{form};base64,{base64.b64encode(image).decode()}"
    return {"src": source, "width": size[0], "height": size[1], "alt": alt, "kind": kind}


def drawing(figure: figures.Figure, crowded: bool = False) -> dict:
    """A chart as SVG. Args: crowded: it has very many points, so that pixels of few colours take less."""
    if not crowded:
        return picture(_slim(figure.svg()), "svg+xml", figure.size, figure.alt, "chart")
    few = Image.open(io.BytesIO(figure.png())).convert("RGB").quantize(128).convert("RGB")
    return picture(_lossless(few), "webp", figure.size, figure.alt, "chart")


def _slim(svg: bytes) -> bytes:
    """An SVG without indentation and metadata, whose paths have two decimals: half the bytes, the same picture."""
    text = re.sub(r"<metadata>.*?</metadata>", "", svg.decode(), flags=re.DOTALL)
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), text)
    return re.sub(r"\s*\n\s*", "\n", text).encode()


def tiles(images: np.ndarray, columns: int, alt: str, width: int = 350) -> dict:
    """Images side by side, stored pixel by pixel; the browser enlarges them."""
    canvas = figures.mosaic(images, columns)
    image = Image.fromarray(canvas if images.shape[-1] == 3 else canvas[..., 0])
    scale = max(1, round(width / canvas.shape[1]))
    return picture(_lossless(image), "webp", (canvas.shape[1] * scale, canvas.shape[0] * scale), alt)


def frames(grids: np.ndarray, alt: str) -> dict:
    """Galleries [E, N, H, W, C] side by side, all of the same width.

    Grey images are stored as they are. Colour images are stored at twice the size as WebP, which keeps less detail of
    colour than of brightness: half the bytes.
    """
    strip = np.concatenate(
        [np.pad(figures.mosaic(one, 6), ((0, 1), (0, 1), (0, 0)), constant_values=255) for one in grids], axis=1
    )
    height, width = strip.shape[:2]
    if grids.shape[-1] == 1:
        return picture(_lossless(Image.fromarray(strip[..., 0])), "webp", (width, height), alt)
    twice = Image.fromarray(strip.repeat(2, axis=0).repeat(2, axis=1))
    return picture(_saved(twice, "WEBP", quality=68, method=5), "webp", (width, height), alt)


def _lossless(image: Image.Image) -> bytes:
    """As WebP, which takes a tenth to a third less than PNG."""
    return _saved(
        image, "WEBP", lossless=True, method=2, quality=60
    )  # 4 and 80: at most 1 % less, in nearly twice the time


def _saved(image: Image.Image, form: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
