"""The report's pieces: what notebooks/report.ipynb shows of a study's finished runs. Never imports TensorFlow.

`Page` holds the runs and makes one piece a method. All markup comes from template/parts.html.j2, where every value is
escaped; what is said in words is computed from the runs.
"""

import base64
import io
import math
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from lib import figures, runs
from lib.settings import NOTEBOOKS
from lib.study import claims, plan

TEMPLATE = Path(__file__).parent / "template"
MODELS = {"vae": "VAE", "gan": "GAN", "wgan": "WGAN"}
FAMILIES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
METRICS = {  # label and unit, in the tables' order; an unknown metric is shown under its own name
    "test_loss": "test loss (nats)",
    "test_reconstruction": "reconstruction (nats)",
    "test_kl": "KL (nats)",
    "active_units": "active units",
    "jsd_train": "JSD, train (nats)",
    "jsd_validation": "JSD, validation (nats)",
    "jsd_test": "JSD, test (nats)",
    "emd_train": "EMD, train",
    "emd_validation": "EMD, validation",
    "emd_test": "EMD, test",
    "sharpness": "sharpness (real = 1)",
    "frechet_pixels": "Fréchet, pixels",
}
HEADLINES = {"vae": "test_loss", "gan": "jsd_test", "wgan": "emd_test"}
ALWAYS = ("latent_dim", "width", "seed", "network", "epochs", "batch_size", "learning_rate")
OPTIMIZERS = {"vae": "Adam", "gan": "Adam", "clip": "RMSprop", "gp": "Adam"}
LEFT_OPEN = {10: ("width", "width"), 12: ("width", "width")}  # by the write-up, by figure: words and setting
LEFT_OPEN |= {15: ("latent dimension", "latent_dim"), 17: ("latent dimension", "latent_dim")}
GALLERY = 36  # images; the first 36 samples come from the fixed latents


# ---- what the runs say ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A planned run and, when it is done, what it left; `result` is None otherwise."""

    planned: plan.PlannedRun
    state: str
    cause: str
    result: dict | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)

    name = property(lambda self: self.planned.name)
    settings = property(lambda self: self.planned.settings)
    model = property(lambda self: self.settings.model)
    metrics = property(lambda self: self.result["metrics"] if self.result else {})

    @property
    def family(self) -> str:
        return FAMILIES[self.settings.notebook.partition("_")[2]]

    @property
    def data(self) -> str:
        """The dataset's name, as the write-up has it where it is the write-up's."""
        return Path(self.settings.dataset).stem if self.stand_in else self.family

    @property
    def stand_in(self) -> bool:
        """Whether other data stand in for the write-up's."""
        if self.result:
            return not self.result["dataset"]["canonical"]
        return FAMILIES.get(self.settings.dataset) != self.family

    @property
    def provenance(self) -> str:
        """The dataset, what it stands in for, and its digest."""
        digest = f", sha256 {self.result['dataset']['sha256'][:8]}…" if self.result else ""
        return f"{self.data} ({f'stand-in for {self.family}' if self.stand_in else 'canonical'}{digest})"


def entry(planned: plan.PlannedRun) -> Entry:
    """Reads a run's folder; one that cannot be read counts as stale."""
    folder = planned.folder
    state, cause = runs.state(folder, planned.settings)
    found = ()
    if state == "done":
        try:
            found = runs.read_result(folder), runs.read_history(folder), runs.read_samples(folder)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            state, cause = "stale", f"cannot be read ({type(error).__name__}: {error})"
    for path in (folder.parent, runs.ROOT):  # of this machine, no reader's concern
        cause = cause.replace(f"{path}/", "")
    return Entry(planned, state, cause, *found)


def entries(study: plan.Study) -> list[Entry]:
    """A study's runs as they stand now, in its order."""
    return [entry(run) for run in study.runs]


def number(value: Any) -> str:
    """A value as the tables show it: four significant digits, thousands apart, '–' for none."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, float) and math.isnan(value):
        return "–"
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds."""
    text = number(fmean(values))
    return f"{text} ± {stdev(values):.2g}" if len(values) > 1 else text


def listed(values: Iterable[Any]) -> str:
    """Distinct values in words: '2, 10 and 20'."""
    *first, last = [value if isinstance(value, str) else f"{value:g}" for value in dict.fromkeys(values)] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def slug(text: str) -> str:
    """A text as an id: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"


def label(metric: str) -> str:
    return METRICS.get(metric, metric.replace("_", " "))


# ---- pictures ------------------------------------------------------------------------------------


def picture(image: bytes, kind: str, size: tuple[int, int], alt: str, pixels: bool = False) -> dict:
    """What parts.html.j2 needs to show an image: a data URL, its size in CSS pixels, and its text."""
    source = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
    return {"src": source, "width": size[0], "height": size[1], "alt": alt, "pixels": pixels}


def drawing(figure: figures.Figure, kind: str = "svg+xml") -> dict:
    """A figure of lines as SVG, one of very many points or pixels as a PNG of few colours."""
    if kind == "svg+xml":
        return picture(figure.svg(), kind, figure.size, figure.alt)
    few = Image.open(io.BytesIO(figure.png())).convert("RGB").quantize(128)
    return picture(_png(few), "png", figure.size, figure.alt)


def tiles(images, columns: int, alt: str, width: int = 350) -> dict:
    """Images side by side, stored pixel by pixel; the browser enlarges them."""
    canvas = figures.mosaic(images, columns)
    image = Image.fromarray(canvas if images.shape[-1] == 3 else canvas[..., 0])
    scale = max(1, round(width / canvas.shape[1]))
    return picture(_png(image), "png", (canvas.shape[1] * scale, canvas.shape[0] * scale), alt, pixels=True)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


# ---- the report's pieces -------------------------------------------------------------------------


class Piece(str):
    """Markup that a notebook shows."""

    def _repr_html_(self) -> str:
        return f'<div class="report">{self}</div>' if self.strip() else ""

    def __repr__(self) -> str:
        return f"<{len(self)} characters of HTML>"


class Page:
    """A study's report in pieces; each method returns one, for a notebook cell to show.

    Args:
        study: a path, or the stem of a file in parameters/.
        out: the study's folder; empty: reports/<study>.
        overrides: settings of every run that has them, as `-p` of the command line gives them.
    """

    def __init__(self, study: str, out: str = "", overrides: dict[str, Any] | None = None):
        self.study = plan.read(study, overrides, out or None, check_data=False)
        self.entries = entries(self.study)
        self.by_name = {entry.name: entry for entry in self.entries}
        self.done = [entry for entry in self.entries if entry.result]
        self.verdicts = claims.verdicts([entry.result for entry in self.done])
        loader = jinja2.FileSystemLoader(TEMPLATE)
        self.parts = jinja2.Environment(loader=loader, autoescape=True).get_template("parts.html.j2").module

    def _repr_html_(self) -> str:
        """JupyterLab gets the style here; the page has it in its head."""
        return f"<style>{(TEMPLATE / 'report.css').read_text(encoding='utf-8')}</style>"

    # -- title

    def title(self) -> Piece:
        """Title, what was run in a few sentences, and samples of each model and dataset."""
        return Piece(self.parts.title(self.study, self._facts()))

    def _facts(self) -> dict:
        gaps = [entry for entry in self.entries if not entry.result]
        used = listed(sorted({f"{entry.data} in place of {entry.family}" for entry in self.done if entry.stand_in}))
        return {
            "sentences": self._sentences(),
            "stand_ins": used and f"These runs used {used}: their numbers give no verdict on the write-up's claims.",
            "gaps": gaps and f"{len(gaps)} of {len(self.entries)} runs are not done; their places are marked below.",
            "strip": self._strip(),
            "strip_note": "Samples at the largest latent dimension, smallest width: the first ones drawn, not picked.",
        }

    def _sentences(self) -> list[str]:
        if not self.done:
            return [f"None of this study's {len(self.entries)} runs is done yet."]
        fit = sum(entry.result["seconds"].get("fit", 0) for entry in self.done)
        models = listed(MODELS[model] for model in MODELS if any(entry.model == model for entry in self.done))
        latents = listed(sorted({entry.settings.latent_dim for entry in self.done}))
        widths = listed(sorted({entry.settings.width for entry in self.done}))
        sentences = [
            f"{len(self.done)} of {len(self.entries)} runs of {models} on {listed(entry.data for entry in self.done)}, "
            f"trained for {runs.duration(fit)} in total.",
            f"Two things vary: the latent dimension ({latents}) and the model complexity, that is the width of the "
            f"first Dense layer ({widths}).",
        ]
        for family in FAMILIES.values():
            scored = [entry for entry in self.done if entry.family == family and "test_loss" in entry.metrics]
            if scored:
                best = min(scored, key=lambda entry: entry.metrics["test_loss"])
                sentences.append(
                    f"The VAE's lowest test loss on {best.data} is {number(best.metrics['test_loss'])} nats per image, "
                    f"at {best.settings.latent_dim} latents and width {best.settings.width}."
                )
        return [*sentences, self._tally()]

    def _tally(self) -> str:
        """The verdicts in one sentence."""
        words = [one.word for one in self.verdicts]
        counts = [f"{words.count(word)} {word}" for word in claims.WORDS if word in words]
        return f"Of the write-up's {len(words)} claims: {', '.join(counts)}."

    def _strip(self) -> list[dict]:
        by_size = sorted(self.done, key=lambda entry: (entry.settings.latent_dim, -entry.settings.width))
        shown = {entry.settings.notebook: entry for entry in by_size}
        return [
            {
                "anchor": slug(f"{MODELS[one.model]} {one.family}"),
                "label": f"{MODELS[one.model]} on {one.data}",
                "picture": tiles(one.samples["samples"][:16], 4, f"16 images by the {MODELS[one.model]}", 230),
            }
            for one in sorted(shown.values(), key=self.done.index)
        ]

    # -- experiment

    def datasets(self) -> Piece:
        """What the runs were trained on."""
        seen = {}
        for one in self.done:
            seen.setdefault((one.data, *one.result["dataset"]["counts"].values()), one)
        rows = []
        for one in seen.values():
            facts = one.result["dataset"]
            counts = [facts["counts"].get(part) for part in ("train", "validation", "test")]
            genuine = f"no: stands in for {one.family}" if one.stand_in else "yes"
            shape = " × ".join(str(side) for side in facts["shape"])
            rows.append(self._row(one.data, genuine, shape, *counts, facts["sha256"][:16] + "…"))
        head = ("dataset", "canonical", "image", "training", "validation", "test", "sha256")
        note = (
            "Validation images are drawn from the training images by a fixed seed; the test images are used once, for "
            "what is reported."
        )
        return Piece(self.parts.table(head, rows, "Datasets", note))

    def protocol(self) -> Piece:
        """How each notebook's runs were trained, read from their settings."""
        rows = []
        for notebook, group in self._by_notebook(self.entries):
            settings = [entry.settings for entry in group]
            values = [listed(getattr(one, name) for one in settings) for name in ("network", "epochs", "batch_size")]
            rates = listed(f"{optimizer(one)} {one.learning_rate:g}" for one in settings)
            rows.append(self._row(notebook, len(group), *values, rates, listed(one.seed for one in settings)))
        head = ("notebook", "runs", "network", "epochs", "batch", "optimizer, learning rate", "seeds")
        return Piece(self.parts.table(head, rows, "Protocol") + self._machine())

    def _machine(self) -> Markup:
        machines = listed(entry.result.get("machine", "unknown") for entry in self.done)
        used = [entry.result.get("versions", {}) for entry in self.done]
        versions = [f"{name} {listed(one[name] for one in used if name in one)}" for name in ("keras", "tensorflow")]
        return self.parts.notes([f"Machine: {machines}; {', '.join(versions)}."] if self.done else [])

    # -- sections

    def section(self, model: str) -> Piece:
        """One model's figures and illustrations, by dataset. Args: model: "VAE", "GAN" or "WGAN"."""
        parts = []
        for notebook, group in self._by_notebook(self.entries):
            if MODELS[group[0].model] == model:
                parts += self._of_notebook(model, notebook, group)
        if not parts:
            return Piece(self.parts.notes([f"This study has no {model} runs."]))
        return Piece(self.parts.section(parts))

    def further(self) -> Piece:
        """Figures that their study places under a heading of its own."""
        others = [one for one in self.study.figures if self._path(one)[0] not in MODELS.values()]
        return Piece(self.parts.section(self._headed(others, 0, "further", 3)))

    def _of_notebook(self, model: str, notebook: str, group: list[Entry]) -> list[dict]:
        family, prefix = group[0].family, f"{model} {group[0].family}"
        note = f"Run on {listed(entry.data for entry in group)}." if any(entry.stand_in for entry in group) else ""
        chosen = [one for one in self.study.figures if self._path(one)[:2] == (model, family)]
        shown = {name for one in self.study.figures for panel in one.runs for name in panel}
        rest = [self._default(entry) for entry in group if entry.name not in shown]
        done = [entry for entry in group if entry.result]
        return [
            self._part(3, family, [], note, model),
            *self._headed(chosen, 2, prefix, 4),
            *([self._part(4, "Further runs" if chosen else "Runs", rest, prefix=prefix)] if rest else []),
            *[self._part(4, *each, prefix=prefix) for each in (self._growth(done), self._inside(done)) if each],
        ]

    def _headed(self, chosen: Sequence[plan.Figure], skip: int, prefix: str, level: int) -> list[dict]:
        """Figures under the rest of their paths, in the order of their numbers."""
        under: dict[str, list[dict]] = {}
        for one in chosen:
            under.setdefault(" / ".join(self._path(one)[skip:]), []).append(self._figure(one))
        return [self._part(level, heading, shown, prefix=prefix) for heading, shown in under.items()]

    @staticmethod
    def _part(level: int, heading: str, shown: list, note: str = "", prefix: str = "") -> dict:
        return {"level": level, "heading": heading, "id": slug(f"{prefix} {heading}"), "figures": shown, "note": note}

    def _path(self, one: plan.Figure) -> tuple[str, ...]:
        """Where a figure stands: model, dataset and further headings, by its own path or by its runs' notebook."""
        path = tuple(part.strip() for part in one.section.split("/") if part.strip())
        first = self.by_name[one.runs[0][0]]
        known = {name.lower(): name for name in (*MODELS.values(), *FAMILIES.values())}
        path = tuple(known.get(part.lower(), part) for part in path)
        if not path or (path[0] in MODELS.values() and len(path) == 1):
            return (MODELS[first.model], first.family)
        return path

    def _figure(self, one: plan.Figure) -> dict:
        panels = [[self.by_name[name] for name in panel] for panel in one.runs]
        return {
            "id": f"fig-{one.number}",
            "name": f"Figure {one.number}",
            "kind": " ".join(one.kinds),
            "panels": self._panels(panels, one.kinds),
            "caption": one.caption,
            "about": about([entry for panel in panels for entry in panel]),
        }

    def _default(self, one: Entry) -> dict:
        curve = {"vae": "loss", "gan": "jsd", "wgan": "emd"}[one.model]
        panels = self._panels([[one]], (curve, "gallery"))
        return {"kind": "default", "panels": panels, "caption": "", "about": about([one])}

    def _panels(self, panels: list[list[Entry]], kinds: Sequence[str]) -> list[dict]:
        shown = [next((entry for entry in panel if entry.result), None) for panel in panels]
        like = [entry.history for entry in shown if entry]
        parts = [[part for kind in kinds for part in self._kind(kind, first, like)] if first else [] for first in shown]
        numbers = "" if tuple(kinds) == ("layers",) else "all"
        return [self._panel(panel, each, numbers) for panel, each in zip(panels, parts, strict=True)]

    def _panel(self, panel: list[Entry], parts: list[dict], numbers: str = "") -> dict:
        """One column of a figure: a setting with one run, or one run a seed."""
        settings, done = panel[0].settings, [entry for entry in panel if entry.result]
        return {
            "setting": f"latent_dim {settings.latent_dim} · width {settings.width}",
            "data": panel[0].data,
            "gaps": [entry for entry in panel if not entry.result],
            "parts": parts,
            "numbers": self._numbers(done) if numbers and done else "",
        }

    def _kind(self, kind: str, one: Entry, like: list) -> list[dict]:
        """The pictures or tables of one kind for one run."""
        samples = one.samples
        if kind == "layers":
            return [self._layers(name, rows) for name, rows in one.result["layers"].items()] + [self._total(one.result)]
        if kind in ("loss", "jsd", "emd"):
            losses = kind == "loss" and one.model != "vae"
            return [{"picture": drawing(figures.training(one.history, one.model, like, losses))}]
        if kind == "gallery":
            images = samples["samples"][:GALLERY]
            return [{"picture": tiles(images, 6, f"{len(images)} images generated by {one.name}")}]
        if kind == "reconstructions" and "originals" in samples:
            rows = [*samples["originals"], *samples["reconstructions"]]
            alt = f"{len(samples['originals'])} test images above their reconstructions"
            return [{"picture": tiles(np.stack(rows), len(samples["originals"]), alt, 430)}]
        if kind == "latent_map" and "latent_map" in samples:
            names = ("z1", "z2") if one.settings.latent_dim <= 2 else ("first principal component", "second")
            drawn = figures.latent_map(samples["latent_map"], samples.get("labels"), names)
            return [{"picture": drawing(drawn, "png")}]
        if kind == "plane" and "plane" in samples:
            return [{"picture": drawing(figures.plane(samples["plane"], samples["plane_ticks"]), "png")}]
        return []

    def _layers(self, name: str, rows: list[dict]) -> dict:
        total = sum(row["parameters"] for row in rows)
        cells = [self._row(row["layer"], row["kind"], row["output"], row["parameters"]) for row in rows]
        cells.append(self._row("total", "", "", total, kind="total"))
        return {"head": ("layer", "kind", "output", "parameters"), "rows": cells, "caption": name}

    @staticmethod
    def _total(result: dict) -> dict:
        total = sum(row["parameters"] for rows in result["layers"].values() for row in rows)
        return {"text": f"{number(total)} parameters in all"}

    @staticmethod
    def _numbers(done: list[Entry]) -> str:
        wanted = (HEADLINES[done[0].model], "sharpness", "frechet_pixels")
        values = {name: [entry.metrics[name] for entry in done if name in entry.metrics] for name in wanted}
        texts = [f"{label(name)} {spread(each)}" for name, each in values.items() if each]
        if len(done) > 1:
            texts.append(f"mean ± standard deviation of {len(done)} seeds, seed {done[0].settings.seed} shown")
        return " · ".join(texts)

    def _growth(self, done: list[Entry]) -> tuple[str, list] | None:
        """The first run's images from the same latents, over the epochs."""
        one = next((entry for entry in done if len(entry.samples.get("grids", ())) > 1), None)
        if not one:
            return None
        grids, epochs = one.samples["grids"][:, :10], listed(int(epoch) for epoch in one.samples["grid_epochs"])
        alt = f"Rows of images from the same ten latents, after {epochs} epochs"
        part = {"picture": tiles(grids.reshape(-1, *grids.shape[2:]), grids.shape[1], alt, width=600)}
        caption = f"The same ten latents after {epochs} epochs, top to bottom."
        return "Over the epochs", [self._illustration([self._panel([one], [part])], [one], caption)]

    def _inside(self, done: list[Entry]) -> tuple[str, list] | None:
        """What each VAE's latents hold: reconstructions, a map of test images and, for two latents, the plane."""
        chosen = [entry for entry in done if "originals" in entry.samples]
        chosen.sort(key=lambda entry: "plane" not in entry.samples)
        if not chosen:
            return None
        kinds = ("reconstructions", "latent_map", "plane")
        panels = [self._panel([one], [part for kind in kinds for part in self._kind(kind, one, [])]) for one in chosen]
        caption = (
            "For each run: test images above their reconstructions; where the encoder puts test images, coloured by "
            "class, which training never saw; and for two latents the whole plane, decoded."
        )
        return "Reconstructions and latents", [self._illustration(panels, chosen, caption)]

    @staticmethod
    def _illustration(panels: list[dict], group: list[Entry], caption: str) -> dict:
        return {"kind": "illustration", "panels": panels, "caption": caption, "about": about(group)}

    # -- tables

    def results(self) -> Piece:
        """All runs by notebook: settings, numbers, seconds and a link to the notebook; references below."""
        return Piece(Markup("").join(self._results(group) for _, group in self._by_notebook(self.entries)))

    def _results(self, group: list[Entry]) -> Markup:
        names, settings = metric_names(group), varied(group)
        head = ("run", *settings, *(label(name) for name in names), "training (s)", "images per s")
        rows = [self._result(entry, settings, names) for entry in group]
        rows += self._references(group, len(settings), names)
        first = next((entry for entry in group if entry.result), group[0])
        caption = f"{MODELS[first.model]} on {first.provenance}: {len(group)} run{'s' * (len(group) > 1)}"
        return self.parts.table(head, rows, caption, self._behind(group, settings, names))

    @staticmethod
    def _behind(group: list[Entry], settings: Sequence[str], names: Sequence[str]) -> str:
        """What the runs of a table share, and the number of images behind each number."""
        same = [f"{name} {getattr(group[0].settings, name)}" for name in ALWAYS if name not in settings]
        counts: dict[str, list[str]] = {}
        for name in names:
            used = {entry.result.get("samples_n", {}).get(name) for entry in group if entry.result} - {None}
            if used:
                counts.setdefault(listed(sorted(used)), []).append(label(name).partition(" (")[0])
        one = len(counts) == 1
        images = "; ".join(count + f" for {', '.join(each)}" * (not one) for count, each in counts.items())
        return f"All: {', '.join(same)}. " * bool(same) + f"Images behind the numbers: {images}." * bool(images)

    def _result(self, one: Entry, settings: Sequence[str], names: Sequence[str]) -> dict:
        values = [getattr(one.settings, name) for name in settings]
        values = [value if isinstance(value, int) else str(value) for value in values]
        if not one.result:
            return self._row(one.name, *values, one.state, kind="missing")
        numbers = [one.metrics.get(name, math.nan) for name in names]
        numbers += [one.result["seconds"].get("fit", math.nan), one.result.get("images_per_second", math.nan)]
        row = self._row(one.name, *values, *numbers)
        row["cells"][0]["href"] = f"notebooks/{one.name}.html"
        return row

    def _references(self, group: list[Entry], blank: int, names: Sequence[str]) -> list[dict]:
        """One row for each reference, with the mean over the runs where they differ."""
        found: dict[str, dict[str, list[float]]] = {}
        for one in group:
            for metric, marks in (one.result or {}).get("references", {}).items():
                for reference, value in marks.items():
                    found.setdefault(reference, {}).setdefault(metric, []).append(value)
        return [
            self._row(
                f"reference: {reference.replace('_', ' ')}",
                *[""] * blank,
                *[fmean(values[name]) if name in values else "" for name in names],
                *["", ""],
                kind="reference",
            )
            for reference, values in found.items()
        ]

    def networks(self) -> Piece:
        """The layers of every distinct network."""
        shown: dict[str, dict] = {}
        for one in self.done:
            for name, rows in one.result["layers"].items():
                new = self._layers(name, rows) | {"title": f"{one.settings.notebook}: {name}", "runs": []}
                shown.setdefault(f"{new['title']} {rows}", new)["runs"].append(one.name)
        return Piece(self.parts.layers(shown.values()))

    def assumptions(self) -> Piece:
        """What the write-up leaves open, with the values that these runs have."""
        settings = [entry.settings for entry in self.entries]
        rows = []
        for one in self.study.figures:
            if one.number in LEFT_OPEN:
                what, name = LEFT_OPEN[one.number]
                values = listed(getattr(self.by_name[run].settings, name) for panel in one.runs for run in panel)
                rows.append(self._row(f"{what} in Figure {one.number}", values))
        for model in ("gan", "wgan"):
            networks = listed(one.network for one in settings if one.model == model)
            if networks:
                rows.append(self._row(f"layers of the {MODELS[model]}", f"{networks}; the tables above list them"))
        critics = [one for one in settings if one.model == "wgan"]
        if critics:
            rows.append(self._row("how the critic is kept Lipschitz", listed(lipschitz(one) for one in critics)))
        for notebook, group in self._by_notebook(self.entries):
            mine = [entry.settings for entry in group]
            epochs, batch = listed(one.epochs for one in mine), listed(one.batch_size for one in mine)
            rates = listed(f"{optimizer(one)} {one.learning_rate:g}" for one in mine)
            rows.append(self._row(f"epochs and optimizer, {notebook}", f"{epochs} epochs, batch {batch}, {rates}"))
        return Piece(self.parts.table(("left open", "assumed here"), rows))

    def conclusion(self) -> Piece:
        """The write-up's claims: an overview, then each with its numbers, rule and verdict."""
        rows = [self._row(one.claim.number, one.claim.text, one.word, one.points_to or "–") for one in self.verdicts]
        overview = self.parts.table(("", "claim", "verdict", "numbers point to"), rows, self._tally())
        return Piece(overview + self.parts.claims([self._claim(one) for one in self.verdicts]))

    def _claim(self, one: claims.Verdict) -> dict:
        points = f"the numbers point to: {one.points_to}" if one.points_to else ""
        why = "; ".join(part for part in (one.why, points) if part)
        return {
            "claim": one.claim,
            "word": one.word,
            "kind": one.word.replace(" ", "-"),
            "why": f"{why[:1].upper()}{why[1:]}.",
            "head": ("comparison", "number", "before", "after", "needed", "seeds", "holds"),
            "rows": [self._outcome(outcome) for outcome in one.outcomes],
        }

    def _outcome(self, one: claims.Outcome) -> dict:
        test, after = one.test, spread(one.after) if one.after else ""
        decided = "open" if one.hindrance else one.decided
        words = {"holds": "yes", "fails": "no", "open": "open"}
        holds = f"leans {words[one.points_to]}" if decided == "open" != one.points_to else words[decided]
        values = (spread(one.before), after, test.needed, one.seeds, holds)
        return self._row(compared(test), test.measure.label, *values)

    # -- helpers

    @staticmethod
    def _row(*values, kind: str = "") -> dict:
        """A table's row; numbers stand right."""
        cells = [{"text": number(value), "number": isinstance(value, int | float)} for value in values]
        return {"cells": cells, "kind": kind}

    @staticmethod
    def _by_notebook(group: list[Entry]):
        found = {name: [entry for entry in group if entry.settings.notebook == name] for name in NOTEBOOKS}
        return [(name, each) for name, each in found.items() if each]


def varied(group: list[Entry]) -> list[str]:
    """The settings that a table of these runs needs columns for."""
    always = ("latent_dim", "width")
    return [name for name in ALWAYS if name in always or len({getattr(one.settings, name) for one in group}) > 1]


def about(group: list[Entry]) -> str:
    """Model, dataset and settings of the runs behind a figure, in words."""
    settings = [entry.settings for entry in group]
    values = {name: listed(getattr(one, name) for one in settings) for name in ("latent_dim", "width", "seed")}
    shown = ", ".join(f"{name} {value}" for name, value in values.items())
    epochs = listed(one.epochs for one in settings)
    first = next((entry for entry in group if entry.result), group[0])
    return f"{MODELS[first.model]} on {first.provenance}; {shown}; {epochs} epochs."


def compared(test: claims.Test) -> str:
    """What a test compares: 'vae_mnist, width 512: latent_dim 2 → 10'."""
    changes = {name: value for name, value in test.before.items() if test.after and test.after[name] != value}
    steps = {name: f"{value} → {test.after[name]}" if name in changes else value for name, value in test.before.items()}
    texts = [str(value) if name == "notebook" else f"{name} {value}" for name, value in steps.items()]
    return ", ".join(sorted(texts, key=lambda text: "→" in text))


def optimizer(settings) -> str:
    return OPTIMIZERS[getattr(settings, "lipschitz", settings.model)]


def lipschitz(settings) -> str:
    penalty, clipping = f"gradient penalty {settings.gp_weight:g}", f"weights clipped at {settings.clip:g}"
    return f"{clipping if settings.lipschitz == 'clip' else penalty}, {settings.n_critic} critic steps a generator step"


def metric_names(group: Iterable[Entry]) -> list[str]:
    """The metrics that any of the runs has, the known ones first."""
    found = dict.fromkeys(name for entry in group for name in entry.metrics)
    return [name for name in METRICS if name in found] + [name for name in found if name not in METRICS]
