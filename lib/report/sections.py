"""The report's pieces: what notebooks/report.ipynb shows of a study's finished runs. Never imports TensorFlow.

`Page` holds the runs; each of its methods makes one piece. All markup comes from template/parts.html.j2, where every
value is escaped; every sentence about the runs is computed from them.
"""

import base64
import io
import math
import os
import re
import shlex
import subprocess
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape, unescape
from pathlib import Path
from statistics import fmean
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from lib import figures, keys, runs, states
from lib.rounding import decimals, mean_and_deviation, number, spread
from lib.settings import NOTEBOOKS, UserError, notebook_defaults
from lib.report import claims, tour
from lib.report.literature import Beside, beside
from lib.study import plan

TEMPLATE = Path(__file__).parent / "template"
MODELS = {"vae": "VAE", "gan": "GAN", "wgan": "WGAN"}
FAMILIES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
OWN = {  # each model's own numbers, label and unit, in the order of the tables; others are shown by their own names
    "test_loss": "test loss (nats)",
    "test_reconstruction": "reconstruction (nats)",
    "test_kl": "KL (nats)",
    "active_units": "active units",
    "nll_1": "−L₁ (nats)",
    "nll_5": "−L₅ (nats)",
    "nll_50": "−L₅₀ (nats)",
    "nll_500": "−L₅₀₀ (nats)",
    "nll_5000": "−L₅₀₀₀ (nats)",
    "jsd_train": "JSD, train (nats)",
    "jsd_validation": "JSD, validation (nats)",
    "jsd_test": "JSD, test (nats)",
    "jsd_fresh": "JSD, fresh (nats)",
    "emd_train": "EMD, train",
    "emd_validation": "EMD, validation",
    "emd_test": "EMD, test",
    "w1_bound": "W₁, lower bound (pixels)",
    "w1_bound_loose": "W₁, looser bound (pixels)",
    "w1": "W₁, as a check (pixels)",
}
SCORECARD = {  # the same for all models
    "frechet": "Fréchet distance",
    "frechet_pixels": "Fréchet, pixels",
    "sharpness": "sharpness (real = 1)",
    "precision": "precision (share)",
    "recall": "recall (share)",
    "ndb": "NDB (bins)",
    "ndb_js": "NDB/JS (nats)",
    "class_kl": "class KL (nats)",
    "confidence": "confidence (mean)",
}
METRICS = OWN | SCORECARD
BY_CLASSIFIER = ("frechet", "precision", "recall", "class_kl", "confidence")
REFERENCES = ("real", "blurred", "noisy", "class_removed", "mean_image", "pixel_entropy", "untrained")  # in this order
WRITE_UP = (
    "“The write-up” is a student's homework report that trained a VAE, a GAN and a WGAN on MNIST and CIFAR-10 and "
    "varied the latent dimension and the model complexity. This project repeats its 22 runs and tests its conclusions."
)
W1_NOTE = (
    "W₁ between so few images is biased: blurred real images can come out closer than other real ones. "
    "Do not rank models by it."
)
GREY_NOTE = (
    "On grey levels, the Bernoulli −L_k can be compared between runs of this kind, but it is not a likelihood: the "
    "model generates only black and white pixels."
)
HEADLINES = {"vae": "test_loss", "gan": "jsd_test", "wgan": "emd_test"}
ALWAYS = ("latent_dim", "width", "seed", "network", "epochs", "batch_size", "learning_rate")
VARIED = {
    "latent_dim": "the latent dimension",
    "width": "the model complexity, which is the width of the first Dense layer",
    "network": "the network",
    "epochs": "the number of epochs",
}
OPTIMIZERS = {"vae": "Adam", "gan": "Adam", "clip": "RMSprop", "gp": "Adam"}
CURVES = {"vae": ("loss", "nats per image"), "gan": ("jsd", "nats"), "wgan": ("emd", "critic's own units")}
LEFT_OPEN = {10: ("width", "width"), 12: ("width", "width")}  # what the write-up does not say: figure, words, setting
LEFT_OPEN |= {15: ("latent dimension", "latent_dim"), 17: ("latent dimension", "latent_dim")}
VERSIONS = ("Python", *keys.PACKAGES)
GALLERY = 36  # images; the first 36 samples come from the fixed latents


# ---- what the runs say ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A planned run and, once it is finished, what it left; until then `result` is None.

    A run that was made by earlier code or other package versions, but with these settings and data, is shown too; its
    state stays "stale".
    """

    planned: plan.PlannedRun
    state: str
    cause: str
    result: dict | None = None
    history: dict[str, list[float]] = field(default_factory=dict)

    name = property(lambda self: self.planned.name)
    settings = property(lambda self: self.planned.settings)
    model = property(lambda self: self.settings.model)
    metrics = property(lambda self: finite(self.result["metrics"]) if self.result else {})
    absent = property(lambda self: self.result.get("absent", {}) if self.result else {})  # why a number is missing

    @property
    def references(self) -> dict[str, dict[str, float]]:
        """What the same estimators give for other images: by metric and reference."""
        marks = self.result.get("references", {}) if self.result else {}
        return {metric: found for metric, each in marks.items() if (found := finite(each))}

    @property
    def samples(self) -> dict[str, Any]:
        """The run's images by name, read only when they are needed: those of a thousand runs would fill the memory."""
        return _samples(self.planned.folder) if self.result else {}

    @property
    def family(self) -> str:
        return FAMILIES[self.settings.notebook.partition("_")[2]]

    @property
    def data(self) -> str:
        """The dataset's name; the write-up's datasets have the write-up's names."""
        named = self.result["dataset"]["name"] if self.result else self.settings.dataset
        return self.reencoded or (Path(named).stem if self.stand_in else self.family)

    @property
    def reencoded(self) -> str:
        """The name of a copy of the write-up's images that was stored with loss; '' for all other data."""
        return self.result["dataset"].get("reencoded", "") if self.result else ""

    @property
    def stand_in(self) -> bool:
        """Whether other data stand in for those of the write-up."""
        if self.result:
            return not (self.result["dataset"]["canonical"] or self.reencoded)
        return FAMILIES.get(self.settings.dataset) != self.family

    @property
    def genuine(self) -> str:
        """How the data relate to those of the write-up."""
        if self.stand_in:
            return f"stand-in for {self.family}"
        return "not canonical: a lossy copy" if self.reencoded else "canonical"

    @property
    def provenance(self) -> str:
        """The dataset, whether it is the write-up's, and its digest."""
        digest = f", sha256 {self.result['dataset']['sha256'][:8]}…" if self.result else ""
        return f"{self.data} ({self.genuine}{digest})"


@lru_cache(maxsize=4)
def _samples(folder: Path) -> dict[str, Any]:
    return runs.read_samples(folder)


def entry(planned: plan.PlannedRun) -> Entry:
    """Reads a run's folder. A run that cannot be read counts as stale."""
    folder = planned.folder
    state, cause = states.of(folder, planned.settings, planned.as_found)
    found = ()
    if state in ("done", "unscored", "published", "stale"):
        try:
            found = runs.read_result(folder), runs.read_history(folder)
            if zipfile.ZipFile(folder / "samples.npz").testzip():
                raise zipfile.BadZipFile("samples.npz is damaged")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            state, cause, found = "stale", f"cannot be read ({type(error).__name__}: {error})", ()
        if state == "stale" and found and not (planned.as_found or same_work(cause, found[0], planned.settings)):
            found = ()
    for path in (folder.parent, runs.ROOT):  # this machine's paths do not concern the reader
        cause = cause.replace(f"{path}/", "")
    return Entry(planned, state, cause, *found)


def same_work(cause: str, result: dict, settings) -> bool:
    """Whether a stale run is complete and has the planned settings and data: only code or versions have changed.

    A setting that the run does not name was added later; the run had its default. A copy of the planned images that was
    stored with loss counts as the planned data: the report names it.

    Args:
        cause: names the first difference of the keys, in which the data come first.
    """
    excluded = {"output_dir", "dataset", *settings.evaluation_only}
    planned = settings.model_dump(exclude=excluded)
    had = notebook_defaults(runs.NOTEBOOK_DIR / f"{settings.notebook}.ipynb") | result["settings"]
    trained = {name: value for name, value in had.items() if name not in excluded}
    reasons = ("notebook changed", "settings.", "sources.", "versions.")
    reasons += ("data",) * ("reencoded" in result["dataset"])
    return cause.startswith(reasons) and trained == planned


def entries(study: plan.Study) -> list[Entry]:
    """A study's runs in their present state, in the study's order."""
    return [entry(run) for run in study.runs]


def results(study: plan.Study) -> list[dict]:
    """The result.json of a study's finished runs, which is all that claims need; some runs have nothing else here."""
    found = []
    for run in study.runs:
        try:
            result = runs.read_result(run.folder)
            cause = states.outdated(result, run.settings, run.as_found)
        except (OSError, ValueError, KeyError):
            continue
        if not cause or same_work(cause, result, run.settings):
            found.append(result)
    return found


def _lengths(results: Sequence[dict]) -> str:
    """How many epochs the runs had: 'vae_mnist 50; gan_mnist 4 and 10'."""
    found: dict[str, set[int]] = {}
    for one in results:
        found.setdefault(one["notebook"], set()).add(one["settings"]["epochs"])
    return "; ".join(f"{name} {listed(sorted(epochs))}" for name, epochs in found.items())


def by_setting(group: Iterable[Entry]) -> list[list[Entry]]:
    """Groups of runs that differ only in the seed, in the order of their first runs."""
    found: dict[Any, list[Entry]] = {}
    for one in group:
        found.setdefault(one.settings.model_copy(update={"seed": 0, "output_dir": ""}), []).append(one)
    return list(found.values())


def finished(group: Iterable[Entry]) -> list[Entry]:
    return [one for one in group if one.result]


def values_of(group: Iterable[Entry], metric: str) -> list[float]:
    return [one.metrics[metric] for one in group if metric in one.metrics]


def finite(numbers: dict[str, Any]) -> dict[str, float]:
    """Those of some named values that are finite numbers."""
    return {name: value for name, value in numbers.items() if isinstance(value, int | float) and math.isfinite(value)}


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


def picture(image: bytes, form: str, size: tuple[int, int], alt: str, kind: str = "pixels") -> dict:
    """What parts.html.j2 needs to show an image: a data URL, its size in CSS pixels, its text.

    Args:
        kind: "pixels" (enlarged by whole pixels) or "chart" (inverted on dark pages).
    """
    source = f"data:image/{form};base64,{base64.b64encode(image).decode()}"
    return {"src": source, "width": size[0], "height": size[1], "alt": alt, "kind": kind}


def drawing(figure: figures.Figure, form: str = "svg+xml") -> dict:
    """A chart: as SVG, or as a PNG of few colours if it has very many points."""
    if form == "svg+xml":
        return picture(figure.svg(), form, figure.size, figure.alt, "chart")
    few = Image.open(io.BytesIO(figure.png())).convert("RGB").quantize(128)
    return picture(_png(few), "png", figure.size, figure.alt, "chart")


def tiles(images, columns: int, alt: str, width: int = 350) -> dict:
    """Images side by side, stored pixel by pixel; the browser enlarges them."""
    canvas = figures.mosaic(images, columns)
    image = Image.fromarray(canvas if images.shape[-1] == 3 else canvas[..., 0])
    scale = max(1, round(width / canvas.shape[1]))
    return picture(_png(image), "png", (canvas.shape[1] * scale, canvas.shape[0] * scale), alt)


def frames(grids, alt: str) -> dict:
    """Galleries [E, N, H, W, C] side by side, all of the same width.

    Grey images are stored as they are. Colour images are stored at twice the size as WebP, which keeps less detail of
    colour than of brightness: half the bytes.
    """
    strip = np.concatenate(
        [np.pad(figures.mosaic(one, 6), ((0, 1), (0, 1), (0, 0)), constant_values=255) for one in grids], axis=1
    )
    height, width = strip.shape[:2]
    if grids.shape[-1] == 1:
        return picture(_png(Image.fromarray(strip[..., 0])), "png", (width, height), alt)
    file = io.BytesIO()
    Image.fromarray(strip.repeat(2, axis=0).repeat(2, axis=1)).save(file, "WEBP", quality=85, method=4)
    return picture(file.getvalue(), "webp", (width, height), alt)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


# ---- the report's pieces -------------------------------------------------------------------------


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


def parts():
    """The macros of parts.html.j2."""
    loader = jinja2.FileSystemLoader(TEMPLATE)
    return jinja2.Environment(loader=loader, autoescape=True).get_template("parts.html.j2").module


def tally(verdicts: Sequence[claims.Verdict]) -> str:
    """The verdicts in one sentence."""
    words = [one.word for one in verdicts]
    counts = [f"{words.count(word)} {word}" for word in claims.WORDS if word in words]
    return f"Of the write-up's {len(words)} claims: {', '.join(counts)}."


class Page:
    """A study's report in pieces; each method returns one, for a notebook cell to show.

    Args:
        study: a study file, its stem in parameters/, or a folder of runs by path or by its name in reports/.
        out: the study's folder; empty: reports/<study>.
        overrides: settings for every run that has them, as `-p` gives them on the command line.
    """

    def __init__(self, study: str, out: str = "", overrides: dict[str, Any] | None = None):
        self.study = plan.read(study, overrides, out or None, check_data=False)
        self.entries = entries(self.study)
        self.by_name = {entry.name: entry for entry in self.entries}
        self.done = [entry for entry in self.entries if entry.result]
        own = [entry.result for entry in self.done]
        self.evidence = [(other, results(other)) for other in plan.evidence(self.study)]
        self.named = {"": (self.study, own), **{other.name: (other, found) for other, found in self.evidence}}
        self.verdicts = claims.verdicts([result for _, found in self.named.values() for result in found])
        self.seen, self.planes = self._seen(), {}
        self.parts = parts()

    def _repr_html_(self) -> str:
        """In JupyterLab, the style, which the page has in its head, and where to find what does not work there."""
        styles = [(TEMPLATE / name).read_text(encoding="utf-8") for name in ("colours.css", "report.css", "lab.css")]
        page = self.study.folder / "index.html"
        built = self._piece(self.parts.in_lab(page.exists(), page.name, self._command("report")))
        return f"<style>{''.join(styles)}</style>{built._repr_html_()}"

    def _piece(self, markup: str = "") -> Piece:
        """Markup to show; in JupyterLab it knows where the built page stands."""
        piece = Piece(markup)
        piece.home = self.study.folder if in_lab() else None
        return piece

    def _command(self, name: str) -> str:
        """The command line that does something to this study."""
        known = self.study.path.parent in (plan.PARAMETERS_DIR, plan.REPORTS_DIR)
        words = ["latent-report", name, self.study.name if known else str(self.study.path)]
        at_home = self.study.folder in (plan.REPORTS_DIR / self.study.name, self.study.path)
        return shlex.join(words + ([] if at_home else ["--out", str(self.study.folder)]))

    def _seen(self) -> dict[str, dict[int, tuple[str, ...]]]:
        """The figures that show a run, by the run's name: their numbers and kinds."""
        found: dict[str, dict[int, tuple[str, ...]]] = {}
        for one in self.study.figures:
            for name in dict.fromkeys(name for panel in one.runs for name in panel):
                found.setdefault(name, {})[one.number] = one.kinds
        return found

    def _referred(self, text: str, where: str, of: str = "") -> list[dict]:
        """A text in pieces: `[fig:3]` becomes a link to that figure, `[num:METRIC RUN]` that run's number, `**word**`
        strong.

        RUN without its seed stands for all seeds of that setting: their mean and standard deviation. `STUDY/RUN` and
        `STUDY/3` belong to a study that the evidence names.

        Args:
            of: the study of the evidence to which runs and figures belong if the text names none; empty: this one.

        Raises:
            UserError: there is no such figure, run or metric. A run that has no numbers yet gets "–".
        """
        pieces = []
        for strong, reference, plain in re.findall(
            r"\*\*([^*]+)\*\*|\[((?:fig|num):[^\]]+)\]|(.[^*\[]*)", text, re.DOTALL
        ):
            found = {"text": strong or plain, "strong": bool(strong)}
            if reference:
                kind, _, name = reference.partition(":")
                metric, _, name = name.rpartition(" ")
                study, _, name = name.rpartition("/")
                found = self._link(study or of, name) if kind == "fig" else self._measured(study or of, name, metric)
                if not found:
                    what = "figure" if kind == "fig" else "number"
                    raise UserError(f"{self.study.path}: {where}: [{reference}] refers to no {what} of this study")
            pieces.append(found)
        return pieces

    def _link(self, study: str, figure: str) -> dict:
        one, _ = self.named.get(study, (None, ()))
        if one is None or figure not in {str(each.number) for each in one.figures}:
            return {}
        if not study:
            return {"text": f"Figure {figure}", "href": f"#fig-{figure}"}
        return {"text": f"Figure {figure} of that study"} | self._page_of(one, f"#fig-{figure}")

    def _page_of(self, other: plan.Study, anchor: str = "") -> dict:
        """Where the report of another study stands, seen from this one; nothing if it has none."""
        there = (self.study.folder.parent / other.name / "index.html").is_file()
        return {"href": f"../{other.name}/index.html{anchor}"} if there else {}

    def _measured(self, study: str, run: str, metric: str) -> dict:
        one, found = self.named.get(study, (None, ()))
        names = {each.name for each in one.runs if run in (each.name, each.setting)} if one else ()
        chosen = [each for each in found if each["run"] in names]
        numbers = [{"images_per_second": each.get("images_per_second"), **each["metrics"]} for each in chosen]
        values = [each[metric] for each in numbers if metric in finite(each)]
        known = all(metric in {**each.get("absent", {}), **of} for each, of in zip(chosen, numbers, strict=True))
        return {"text": spread(values)} if names and known else {}

    # -- title

    def title(self) -> Piece:
        """The title, a few sentences about what was run, and samples of each model and dataset."""
        return self._piece(self.parts.title(self.study, self._facts()))

    def findings(self) -> Piece:
        """What the study's author found, unless `-p` has made it a different study."""
        if self.study.overrides:
            return self._piece()
        texts = [self._referred(one, f"findings[{index}]") for index, one in enumerate(self.study.findings)]
        return self._piece(self.parts.findings(texts))

    def _facts(self) -> dict:
        stale = [entry for entry in self.done if entry.state == "stale"]
        gaps = [entry for entry in self.entries if not entry.result]
        reencoded = listed(sorted({entry.reencoded for entry in self.done if entry.reencoded}))
        used = listed(sorted({f"{entry.data} in place of {entry.family}" for entry in self.done if entry.stand_in}))
        repair = "" if self.study.as_found else "; the command latent-report run trains them again"
        several = bool({*self._names()} - {"latent_dim", "width"})
        return {
            "sentences": self._sentences(),
            "stand_ins": used and f"These runs used {used}: their numbers give no verdict on the write-up's claims.",
            "reencoded": reencoded
            and f"The images called {reencoded} are copies of the canonical ones, made with lossy compression. "
            "Verdicts that rest on them say so.",
            "stale": stale
            and f"{len(stale)} of {len(self.entries)} runs were made with other code or data than the present ones "
            f"({stale[0].cause}){repair}.",
            "gaps": gaps and f"{len(gaps)} of {len(self.entries)} runs are not done; their places are marked below.",
            "skipped": self.study.skipped and f"Left out: {'; '.join(self.study.skipped)}.",
            "strip": strip(self.done),
            "strip_note": "Samples at the largest latent dimension and smallest width"
            f"{' (if several settings have these, the last one)' * several}: the first ones drawn, not selected.",
        }

    def _names(self) -> list[str]:
        """The settings that vary within a notebook; the latent dimension and the width if none does."""
        groups = self._by_notebook(self.entries)
        found = {name for _, group in groups for name in differing(group)} - {"seed"}
        return [name for name in ALWAYS if name in (found or {"latent_dim", "width"})]

    def _sentences(self) -> list[str]:
        if not self.done:
            return [f"None of this study's {len(self.entries)} runs is done yet.", WRITE_UP]
        fit = sum(entry.result["seconds"].get("fit", 0) for entry in self.done)
        models = listed(MODELS[model] for model in MODELS if any(entry.model == model for entry in self.done))
        values = {name: sorted({getattr(one.settings, name) for one in self.done}) for name in self._names()}
        varying = [f"{VARIED.get(name, name)} ({listed(each)})" for name, each in values.items() if len(each) > 1]
        of = f" of {len(self.entries)}" * (len(self.done) < len(self.entries))
        sentences = [
            f"This report shows {len(self.done)}{of} run{'s' * (len(self.entries) > 1)} of {models} on "
            f"{listed(entry.data for entry in self.done)}, trained for {runs.duration(fit)} in total.",
            *[f"What varies: {listed(varying)}."] * bool(varying),
        ]
        for family in FAMILIES.values():
            scored = [entry for entry in self.done if entry.family == family and "test_loss" in entry.metrics]
            if scored:
                group = min(by_setting(scored), key=lambda group: fmean(values_of(group, "test_loss")))
                first = group[0].settings
                at = (f"{first.latent_dim} latents", f"width {first.width}", *differences(group[0], self.done))
                sentences.append(
                    f"The VAE's lowest test loss on {group[0].data} is {spread(values_of(group, 'test_loss'))} nats "
                    f"per image, with {listed(at)}."
                )
        if earlier := sum(entry.state == "unscored" for entry in self.done):
            sentences.append(
                f"The numbers of {earlier} run{'s' * (earlier > 1)} come from an earlier version of the code; "
                "the command latent-report evaluate computes them again."
            )
        if any("evaluated" in entry.result for entry in self.done):
            sentences.append(
                "Some numbers were computed again after training; a run's own notebook still shows the earlier ones."
            )
        return [*sentences, WRITE_UP, tally(self.verdicts)]

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
            shape = " × ".join(str(side) for side in facts["shape"])
            rows.append(self._row(one.data, one.genuine, shape, *counts, facts["sha256"][:16] + "…"))
        head = ("dataset", "status", "image", "training", "validation", "test", "sha256")
        note = (
            "The validation images are drawn from the training images with a fixed seed. The test images are used only "
            "once, for the numbers in this report."
        )
        return self._piece(self.parts.table(head, rows, "Datasets", note))

    def protocol(self) -> Piece:
        """How each notebook's runs were trained, according to their settings."""
        rows = []
        for notebook, group in self._by_notebook(self.entries):
            settings = [entry.settings for entry in group]
            values = [listed(getattr(one, name) for one in settings) for name in ("network", "epochs", "batch_size")]
            rates = listed(learning_rate(one) for one in settings)
            rows.append(self._row(notebook, len(group), *values, rates, listed(one.seed for one in settings)))
        head = ("notebook", "runs", "network", "epochs", "batch", "optimizer, learning rate", "seeds")
        return self._piece(self.parts.table(head, rows, "Protocol") + self._machine())

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
            return self._piece(self.parts.notes([f"This study has no {model} runs."]))
        return self._piece(self.parts.section(parts))

    def further(self) -> Piece:
        """Figures that the study places under headings of their own."""
        others = [one for one in self.study.figures if self._path(one)[0] not in MODELS.values()]
        return self._piece(self.parts.section(self._headed(others, 0, "further", 3)))

    def _of_notebook(self, model: str, notebook: str, group: list[Entry]) -> list[dict]:
        family, prefix = group[0].family, f"{model} {group[0].family}"
        note = (
            f"These runs used {listed(entry.data for entry in group)}."
            if any(entry.data != entry.family for entry in group)
            else ""
        )
        chosen = [one for one in self.study.figures if self._path(one)[:2] == (model, family)]
        shown = {name for one in self.study.figures for panel in one.runs for name in panel}
        rest = [self._default(each) for each in by_setting(entry for entry in group if entry.name not in shown)]
        extra = (self._grid(finished(group)), self._growth(finished(group)), self._walks(finished(group)))
        extra += (self._inside(finished(group)),)
        return [
            self._part(3, family, [], note, model),
            *self._headed(chosen, 2, prefix, 4),
            *([self._part(4, "Further runs" if chosen else "Runs", rest, prefix=prefix)] if rest else []),
            *[self._part(4, *each, prefix=prefix) for each in extra if each],
        ]

    def _headed(self, chosen: Sequence[plan.Figure], skip: int, prefix: str, level: int) -> list[dict]:
        """Figures under the rest of their headings, in the order of their numbers."""
        under: dict[str, list[dict]] = {}
        for one in chosen:
            under.setdefault(" / ".join(self._path(one)[skip:]), []).append(self._figure(one))
        return [self._part(level, heading, shown, prefix=prefix) for heading, shown in under.items()]

    @staticmethod
    def _part(level: int, heading: str, shown: list, note: str = "", prefix: str = "") -> dict:
        return {"level": level, "heading": heading, "id": slug(f"{prefix} {heading}"), "figures": shown, "note": note}

    def _path(self, one: plan.Figure) -> tuple[str, ...]:
        """The headings over a figure, from its section or else from its runs' notebook: model, dataset and others."""
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
            "caption": self._referred(one.caption, f"figure {one.number}: caption"),
            "about": about([entry for panel in panels for entry in panel]),
        }

    def _default(self, group: list[Entry]) -> dict:
        """The figure of a setting that the study's own figures do not show."""
        curve = {"vae": "loss", "gan": "jsd", "wgan": "emd"}[group[0].model]
        panels = self._panels([group], (curve, "gallery"))
        return {"kind": "default", "panels": panels, "caption": [], "about": about(group)}

    def _panels(self, panels: list[list[Entry]], kinds: Sequence[str]) -> list[dict]:
        shown = [finished(panel) for panel in panels]
        like = [each for group in shown if group for each in extent(group)]
        parts = [[part for kind in kinds for part in self._kind(kind, group, like)] if group else [] for group in shown]
        numbers = [
            "" if tuple(kinds) == ("layers",) or not group else self._numbers(group, "gallery" in kinds)
            for group in shown
        ]
        return [self._panel(*each) for each in zip(panels, parts, numbers, strict=True)]

    def _panel(self, panel: list[Entry], parts: list[dict], numbers: str = "") -> dict:
        """One column of a figure: a setting with one run, or with one run per seed."""
        size = (f"{name} {getattr(panel[0].settings, name)}" for name in ("latent_dim", "width"))
        return {
            "setting": " · ".join((*size, *differences(panel[0], self.entries))),
            "data": panel[0].data,
            "gaps": [entry for entry in panel if not entry.result],
            "parts": parts,
            "numbers": numbers,
        }

    def _kind(self, kind: str, group: list[Entry], like: list) -> list[dict]:
        """The pictures or tables of one kind for one setting: curves over its seeds, all else from its first run."""
        one, samples = group[0], group[0].samples
        if kind == "layers":
            return [self._layers(name, rows) for name, rows in one.result["layers"].items()] + [self._total(one.result)]
        if kind in ("loss", "jsd", "emd"):
            losses, (history, band) = kind == "loss" and one.model != "vae", course(group)
            return [{"picture": drawing(figures.training(history, one.model, like, losses, band=band))}]
        if kind == "gallery":
            images = samples["samples"][:GALLERY]
            return [{"picture": tiles(images, 6, f"{len(images)} images generated by {one.name}")}]
        if kind == "reconstructions" and "originals" in samples:
            rows = [*samples["originals"], *samples["reconstructions"]]
            alt = f"{len(samples['originals'])} test images above their reconstructions"
            return [{"picture": tiles(np.stack(rows), len(samples["originals"]), alt, 430)}]
        if kind == "latent_map" and "latent_map" in samples:
            names = ("z1", "z2") if one.settings.latent_dim <= 2 else ("principal component 1", "principal component 2")
            drawn = figures.latent_map(samples["latent_map"], samples.get("labels"), names)
            return [{"picture": drawing(drawn, "png")}]
        if kind == "plane" and "plane" in samples:
            if "plane" in (toured := tour.read(one.planned.folder)):
                return [{"plane": self._plane(one, toured)}]
            return [{"picture": tiles(samples["plane"], 11, plane_alt(one, max(samples["plane_ticks"])), 330)}]
        return []

    def _plane(self, one: Entry, toured: dict[str, Any]) -> dict:
        """A latent plane over which the reader can move; its data are in the page only once."""
        name = f"plane-{slug(one.name)}"
        self.planes[name] = plane_data(toured)
        shown = tiles(toured["plane"], 11, plane_alt(one, tour.REACH), 330)
        return {"id": name, "name": one.name, "picture": shown, "side": one.result["dataset"]["shape"][:2]}

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
    def _numbers(done: list[Entry], images: bool) -> str:
        """The main number, sharpness and Fréchet distance of one setting, and which seed's images are shown."""
        texts = [f"{label(name)} {spread(values_of(done, name))}" for name in headlines(done)]
        if len(done) > 1:
            texts.append(f"mean ± standard deviation of {len(done)} seeds")
            texts += [f"images: seed {done[0].settings.seed}"] * images
        return " · ".join(texts)

    def _grid(self, done: list[Entry]) -> tuple[str, list] | None:
        """Heat maps of the main numbers, if the runs are a full grid over latent_dim and width."""
        shown = []
        for cells in grids(done):
            group = [one for cell in cells.values() for one in cell]
            panel = self._panel(group, [{"picture": heat_map(cells, name)} for name in headlines(group)])
            panel["setting"] = "latent_dim by width"
            seeds = max(len(cell) for cell in cells.values())
            caption = "Each cell is a setting" + f": mean ± standard deviation of up to {seeds} seeds" * (seeds > 1)
            shown.append(
                self._illustration([panel], group, f"{caption}. Blue is low, yellow is high. {self._classifier(group)}")
            )
        return ("Latent dimension by width", shown) if shown else None

    def _growth(self, done: list[Entry]) -> tuple[str, list] | None:
        """Each run's images from the same latent vectors, over the epochs."""
        shown = [one for one in done if len(one.samples.get("grids", ())) > 1]
        panels = [self._panel([one], [{"film": film(one)}]) for one in shown]
        if not panels:
            return None
        several = len(done) > len(by_setting(done))
        for panel, one in zip(panels, shown, strict=True):
            panel["data"] += f", seed {one.settings.seed}" * several
        caption = "Images from the same 36 latent vectors as training proceeds."
        return "Over the epochs", [self._illustration(panels, done, caption) | {"kind": "illustration wide-panels"}]

    def _walks(self, done: list[Entry]) -> tuple[str, list] | None:
        """Each setting's images on the way from one latent vector to another."""
        panels = []
        for one, *_ in by_setting(done):
            if "walk" in (toured := tour.read(one.planned.folder)):
                images = toured["walk"]
                alt = f"{len(images)} images by {one.name}, from one latent vector to another"
                panels.append(self._panel([one], [{"picture": tiles(images, len(images), alt, 700)}]))
        caption = (
            "Even steps between the same two latent vectors, drawn from the prior, on a path that keeps their length "
            "(spherical interpolation). Smooth changes suggest that the model does more than repeat training images."
        )
        if not panels:
            return None
        return "From one latent vector to another", [
            self._illustration(panels, done, caption) | {"kind": "illustration walks"}
        ]

    def _inside(self, done: list[Entry]) -> tuple[str, list] | None:
        """What each VAE's latents represent: reconstructions, a map of test images and, for two latents, the plane."""
        chosen = [one for one, *_ in by_setting(entry for entry in done if "originals" in entry.samples)]
        chosen.sort(key=lambda entry: "plane" not in entry.samples)
        if not chosen:
            return None
        kinds = ("reconstructions", "latent_map", "plane")
        panels = [
            self._panel([one], [part for kind in kinds for part in self._kind(kind, [one], [])]) for one in chosen
        ]
        caption = (
            "For each run: test images above their reconstructions; where the encoder places test images, coloured by "
            "class (training does not use the classes); and, for two latents, the decoded latent plane."
        )
        names = [part["plane"]["id"] for panel in panels for part in panel["parts"] if "plane" in part]
        if names:
            far = max(self.planes[name]["error"] for name in names)
            caption += (
                " The image below a plane is the decoder's mean at the pointer. The page computes it from the "
                f"principal components of 1,681 decoded images; the mean error is at most {far:.1f} of 255 grey levels."
            )
        return "Reconstructions and latents", [self._illustration(panels, chosen, caption)]

    @staticmethod
    def _illustration(panels: list[dict], group: list[Entry], caption: str) -> dict:
        return {"kind": "illustration", "panels": panels, "caption": [{"text": caption}], "about": about(group)}

    # -- tables

    def results(self) -> Piece:
        """All settings by notebook: the model's own numbers, then the scorecard that all models share."""
        return self._piece(Markup("").join(self._results(group) for _, group in self._by_notebook(self.entries)))

    def _results(self, group: list[Entry]) -> Markup:
        first = next(iter(finished(group)), group[0])
        title = f"{MODELS[first.model]} on {first.provenance}"
        names = metric_names(group)
        own, shared = ([name for name in names if (name in SCORECARD) == common] for common in (False, True))
        tables = [self._scores(group, f"{title}: {counted(group)}", own)]
        if shared:
            tables.append(self._scores(group, f"{title}: scorecard", shared))
        return Markup("").join(tables)

    def _scores(self, group: list[Entry], caption: str, names: Sequence[str]) -> Markup:
        """One table: a row for each setting, with the mean and deviation of each number over its seeds; references."""
        settings, groups = varied(group), by_setting(group)
        several = any(len(each) > 1 for each in groups)
        head = ("seeds" if several else "run", *settings, *(label(name) for name in names))
        places = {name: decimals(values_of(each, name) for each in groups) for name in names}
        rows = [self._score(each, settings, several, places) for each in groups]
        rows += self._references(group, len(settings), places)
        return self.parts.table(head, rows, caption, self._behind(group, settings, names))

    def _score(self, group: list[Entry], settings: Sequence[str], several: bool, places: dict[str, int]) -> dict:
        """One setting's row. Args: places: the decimals of each metric's column."""
        done = finished(group)
        values = [getattr(group[0].settings, name) for name in settings]
        row = self._row("", *[value if isinstance(value, int) else str(value) for value in values])
        if done:
            row["cells"] += [
                {"text": spread(values_of(done, name), shared), "number": True} for name, shared in places.items()
            ]
        else:
            row["cells"].append({"text": group[0].state})
            row["kind"] = "missing"
        row["cells"][0] = by_seed(group) if several else {"text": group[0].name, "href": page_of(group[0])}
        return row

    def _behind(self, group: list[Entry], settings: Sequence[str], names: Sequence[str]) -> str:
        """What a table's runs share, how many images are behind each number, and what to know about some of them."""
        first, different = group[0].settings, {*settings, *differing(group)}
        same = [f"{name} {getattr(first, name)}" for name in ALWAYS if name not in different]
        counts: dict[str, list[str]] = {}
        for name in names:
            used = {entry.result.get("samples_n", {}).get(name) for entry in group if entry.result} - {None}
            if used:
                counts.setdefault(listed(f"{count:,}" for count in sorted(used)), []).append(short(name))
        one = len(counts) == 1
        images = "; ".join(count + f" for {' · '.join(each)}" * (not one) for count, each in counts.items())
        bins = {one.result["scorecard"]["bins"] for one in finished(group) if "scorecard" in one.result}
        grey = any(getattr(one.settings, "binarize", "") == "none" for one in group)
        failed = [one.name for one in group if any(one.metrics.get(name, 0) < 0 for name in names if "emd_" in name)]
        notes = (
            f"All runs: {', '.join(same)}." * bool(same),
            f"Images behind the numbers: {images}." * bool(images),
            self._classifier(group) if not {*BY_CLASSIFIER}.isdisjoint(names) else "",
            f"NDB counts bins out of {listed(sorted(bins))}." if bins and "ndb" in names else "",
            W1_NOTE if "w1" in names else "",
            GREY_NOTE if grey and any(name.startswith("nll_") for name in names) else "",
            f"The EMD of {listed(failed)} is negative: the critic has failed there, and the number is meaningless."
            * bool(failed),
            *missing(group, names),
        )
        return " ".join(filter(None, notes))

    @staticmethod
    def _classifier(group: list[Entry]) -> str:
        """How accurate the classifier behind the runs' numbers is."""
        cards = {one.data: one.result["scorecard"] for one in finished(group) if "scorecard" in one.result}
        texts = [
            f"{100 * card['classifier_accuracy']:.1f} % of {number(card['classifier_test_n'])} test images of {data}"
            for data, card in cards.items()
            if card.get("classifier_accuracy") is not None
        ]
        return f"The classifier behind the numbers recognises {listed(texts)} correctly." if texts else ""

    def _references(self, group: list[Entry], blank: int, places: dict[str, int]) -> list[dict]:
        """One row for each reference that any of the metrics has; the mean, if the runs have different values."""
        found: dict[str, dict[str, list[float]]] = {}
        for one in finished(group):
            for metric, marks in one.references.items():
                for reference, value in marks.items() if metric in places else ():
                    found.setdefault(reference, {}).setdefault(metric, []).append(value)
        order = [name for name in REFERENCES if name in found] + [name for name in found if name not in REFERENCES]
        rows = []
        for name in order:
            values = [
                (fmean(found[name][metric]), shared) if metric in found[name] else ("", 0)
                for metric, shared in places.items()
            ]
            cells = [{"text": number(value, shared), "number": value != ""} for value, shared in values]
            head = [{"text": f"reference: {name.replace('_', ' ')}"}, *[{"text": ""}] * blank]
            rows.append({"cells": head + cells, "kind": "reference"})
        return rows

    def self_test(self) -> Piece:
        """A link to the estimators' self-test, which `report.build` puts beside the runs' notebooks."""
        link = '<a href="notebooks/estimators.html">self-test of the estimators</a>'
        return self._piece(
            f"<p>The {link} checks each of them against exactly known answers and against damage of known size.</p>"
        )

    def budget(self) -> Piece:
        """What each setting cost: parameters, steps, images, time and memory."""
        groups = [each for _, group in self._by_notebook(self.done) for each in by_setting(group)]
        if not groups:
            return self._piece()
        several = any(len(group) > 1 for group in groups)
        places = [decimals(column) for column in zip(*(measured(group) for group in groups), strict=True)]
        rows = [self._spent(group, places) for group in groups]
        head = (
            "setting" if several else "run",
            "parameters",
            "steps",
            "critic or discriminator steps",
            "images seen",
            "training (s)",
            "images/s",
            "peak memory (MiB)",
        )
        note = "Steps are the generator's; for the VAE, those of the whole model. Parameters are those of all networks."
        note += " Time, speed and memory are mean ± standard deviation over the seeds." * several
        return self._piece(self.parts.table(head, rows, "Budget", note))

    def _spent(self, group: list[Entry], places: Sequence[int]) -> dict:
        """One setting's row: what all its seeds share is taken from the first; what was measured, from each."""
        first = group[0].result
        steps = first.get("steps", {})
        row = self._row(
            group[0].name if len(group) == 1 else group[0].planned.setting,
            sum(first["parameters"].values()),
            next((steps[name] for name in ("vae", "generator") if name in steps), math.nan),
            next((steps[name] for name in ("critic", "discriminator") if name in steps), math.nan),
            first.get("images_seen", math.nan),
            kind="spent",
        )
        texts = [spread(values, shared) for values, shared in zip(measured(group), places, strict=True)]
        row["cells"] += [{"text": text, "number": True} for text in texts]
        return row

    def networks(self) -> Piece:
        """The layers of every distinct network."""
        shown: dict[str, dict] = {}
        for one in self.done:
            for name, rows in one.result["layers"].items():
                new = self._layers(name, rows) | {"title": f"{one.settings.notebook}: {name}", "runs": []}
                runs_of = shown.setdefault(f"{new['title']} {rows}", new)["runs"]
                runs_of += [one.planned.setting] * (one.planned.setting not in runs_of)
        return self._piece(self.parts.layers(shown.values()))

    def assumptions(self) -> Piece:
        """What the write-up does not say, with the values that these runs have."""
        settings = [entry.settings for entry in self.entries]
        rows = []
        for one in self.study.figures:
            if one.number in LEFT_OPEN:
                what, name = LEFT_OPEN[one.number]
                values = listed(getattr(self.by_name[run].settings, name) for panel in one.runs for run in panel)
                rows.append(self._row("", values))
                rows[-1]["cells"][0]["pieces"] = self._referred(f"{what} in [fig:{one.number}]", "assumptions")
        for model in ("gan", "wgan"):
            networks = listed(one.network for one in settings if one.model == model)
            if networks:
                rows.append(self._row(f"layers of the {MODELS[model]}", f"{networks}; see the tables of layers above"))
        critics = [one for one in settings if one.model == "wgan"]
        if critics:
            rows.append(self._row("how the critic is kept Lipschitz", listed(lipschitz(one) for one in critics)))
        for notebook, group in self._by_notebook(self.entries):
            mine = [entry.settings for entry in group]
            epochs, batch = listed(one.epochs for one in mine), listed(one.batch_size for one in mine)
            rates = listed(learning_rate(one) for one in mine)
            rows.append(self._row(f"epochs and optimizer, {notebook}", f"{epochs} epochs, batch {batch}, {rates}"))
        return self._piece(self.parts.table(("not stated", "assumed here"), rows))

    def conclusion(self) -> Piece:
        """The write-up's claims: an overview, then each claim with its numbers, rule and verdict."""
        lossy = any(one.reencoded for one in self.verdicts)
        rows = [
            self._row(one.claim.number, one.claim.text, one.word, one.points_to or "–", *[one.reencoded or "–"] * lossy)
            for one in self.verdicts
        ]
        head = ("no.", "claim", "verdict", "numbers point to", *["partly based on"] * lossy)
        note = [{"text": self._classifier(self.done)}]
        tested = [(other, found) for other, found in self.evidence if found]
        for other, found in tested:
            note += [
                {"text": f" Also tested on {len(found)} runs of "},
                {"text": f"“{other.title}”", **self._page_of(other)},
                {"text": f", with these numbers of epochs: {_lengths(found)}."},
            ]
        note += [{"text": " If runs have different lengths, those with the most seeds count."}] * bool(tested)
        overview = self.parts.table(head, rows, tally(self.verdicts), note)
        markup = overview + self.parts.claims([self._claim(one) for one in self.verdicts])
        for other, _ in tested:
            markup += self._found_by(other) if other.findings else ""
        return self._piece(markup)

    def _found_by(self, other: plan.Study) -> str:
        """The findings of a study of the evidence, with runs and figures named as that study names them."""
        texts = [
            self._referred(text, f"findings[{index}] of {other.name}", other.name)
            for index, text in enumerate(other.findings)
        ]
        return self.parts.found_by(other.name, {"text": f"“{other.title}”", **self._page_of(other)}, texts)

    def _claim(self, one: claims.Verdict) -> dict:
        points = f"the numbers point to “{one.points_to}”" if one.points_to else ""
        on = f"partly based on {one.reencoded}" if one.reencoded else ""
        why = "; ".join(part for part in (one.why, points, on) if part)
        sides: dict[claims.Measure, list[list[float]]] = {}
        for outcome in one.outcomes:
            sides.setdefault(outcome.test.measure, []).extend([outcome.before, outcome.after])
        places = {measure: decimals(cells) for measure, cells in sides.items()}
        return {
            "claim": one.claim,
            "word": one.word,
            "kind": one.word.replace(" ", "-"),
            "why": f"{why[:1].upper()}{why[1:]}.",
            "seen": self._shown_in(one),
            "head": ("comparison", "number", "before", "after", "needed", "seeds", "epochs", "holds"),
            "rows": [self._outcome(outcome, places[outcome.test.measure]) for outcome in one.outcomes],
        }

    def _shown_in(self, verdict: claims.Verdict) -> list[dict]:
        """Links to the figures that show what a claim's tests compare, if both sides have runs here.

        A figure counts only if it is of a kind in which the compared number can be seen: no table of layers. Figures
        that show both sides of a comparison are preferred. A speed is in no figure, but in the budget.
        """
        numbers, budget = set(), False
        for test in (outcome.test for outcome in verdict.outcomes):
            sides = [self._chosen(side) for side in (test.before, test.after) if side]
            compared = {one.result["settings"].get(test.rising) for side in sides for one in side}
            if all(sides) and not (test.rising and len(compared) < 2):
                budget |= test.measure is claims.SPEED
                shown = [self._figures_of(side, test.measure.shown_by) for side in sides]
                numbers |= set.intersection(*shown) or set.union(*shown)
        links = [f"[fig:{number}]" for number in sorted(numbers)]
        pieces = [piece for link in links for piece in ({"text": ", "}, *self._referred(link, ""))]
        pieces += [{"text": ", "}, {"text": "Budget", "href": "#budget"}] * budget
        return pieces[1:]

    def _chosen(self, side: dict) -> list[Entry]:
        """The finished runs that have these settings."""
        return [
            one for one in self.done if all(one.result["settings"].get(name) == value for name, value in side.items())
        ]

    def _figures_of(self, group: Iterable[Entry], kinds: Iterable[str]) -> set[int]:
        """The numbers of the figures of some kinds that show any of these runs."""
        shown = [each for one in group for each in self.seen.get(one.name, {}).items()]
        return {number for number, its in shown if not set(its).isdisjoint(kinds)}

    def _outcome(self, one: claims.Outcome, shared: int) -> dict:
        """One comparison's row. Args: shared: the decimals of the claim's values of this kind."""
        test = one.test
        decided = "open" if one.hindrance else one.decided
        words = {"holds": "yes", "fails": "no", "open": "open"}
        holds = f"open, points to {words[one.points_to]}" if decided == "open" != one.points_to else words[decided]
        epochs = " → ".join(dict.fromkeys(listed(side) for side in one.epochs))
        on_pixels = ", of pixels" if one.metric == "frechet_pixels" else ""
        row = self._row(compared(test), test.measure.label + on_pixels, test.needed, one.seeds, epochs, holds)
        sides = [{"text": spread(side, shared) if side else "", "number": True} for side in (one.before, one.after)]
        row["cells"][2:2] = sides
        return row

    def published(self) -> Piece:
        """Published numbers beside ours, with what differs in the setting and a verdict."""
        found = beside([entry.result for entry in self.done])
        rows = [self._beside(one) for one in found if one.values]
        if not rows:
            words = f"This study has no run to compare with any of the {len(found)} published numbers."
            return self._piece(self.parts.notes([words]))
        head = ("published", "setting", "theirs", "ours", "what differs", "verdict")
        left_out = len(found) - len(rows)
        note = "Our number is the mean over all seeds. " + self._classifier(self.done)
        note += f" {left_out} more published numbers have no comparable run in this study." * bool(left_out)
        return self._piece(self.parts.table(head, rows, "Published numbers and ours", note))

    def _beside(self, one: Beside) -> dict:
        theirs, verdict = one.published, f"{one.word} ({one.why})" if one.why else one.word
        ours = f"{spread(one.values)}, {short(one.metric)}" if one.values else "–"
        source = f"{theirs.what} ({theirs.kind}: {theirs.source})"
        value = f"{theirs.value:,} {theirs.unit}"  # with the digits that were published
        return self._row(source, theirs.setting, value, ours, "; ".join(one.differences), verdict, kind="beside")

    # -- all runs at once

    def all_runs(self) -> Piece:
        """Every run with every number, to be sorted and filtered; each seed has a row of its own."""
        names = metric_names(self.entries)
        settings = ("latent_dim", "width", "network", "epochs", "seed")
        head = [{"text": text} for text in ("run", "model", "data")] + [
            {"text": name, "number": name != "network"} for name in settings
        ]
        head += [{"text": text} for text in ("state", "figures")] + [
            {"text": label(name), "number": True} for name in names
        ]
        places = {name: decimals(values_of([one], name) for one in self.entries) for name in names}
        rows = [self._one_run(one, settings, places) for one in self.entries]
        return self._piece(self.parts.runs_table(head, rows))

    def _one_run(self, one: Entry, settings: Sequence[str], places: dict[str, int]) -> dict:
        """One run's row. Args: places: the decimals of each metric's column."""
        shown = list(self.seen.get(one.name, ()))
        cells = [{"text": one.name, "href": page_of(one)}, {"text": MODELS[one.model]}, {"text": one.data}]
        for value in (*(getattr(one.settings, name) for name in settings), one.state):
            cells.append({"text": str(value), "number": isinstance(value, int), "value": value})
        cells.append(
            {"text": listed(str(number) for number in shown) or "–", "href": f"#fig-{shown[0]}" if shown else ""}
        )
        for name, shared in places.items():
            value = one.metrics.get(name)
            sorted_by = "" if value is None else f"{value:.10g}"
            cells.append({"text": number(value, shared), "number": True, "value": sorted_by})
        return {"cells": cells, "kind": "" if one.result else "missing"}

    def compare(self) -> Piece:
        """Any two runs side by side: curves on one scale, and galleries over the epochs."""
        if len(self.done) < 2:
            return self._piece(self.parts.notes(["A comparison needs two finished runs."]))
        return self._piece(self.parts.compare([{"name": one.name, "label": title_of(one)} for one in self.done]))

    def scatter(self) -> Piece:
        """Any two numbers of all runs; without scripts, sharpness and the Fréchet distance."""
        names = [name for name in metric_names(self.done) if values_of(self.done, name)]
        if not names:
            return self._piece(self.parts.notes(["No run has a number yet."]))
        choices = [(name, label(name)) for name in (*names, "latent_dim", "width", "epochs")]
        y = next((name for name in claims.QUALITY if name in names), names[0])
        x = next((name for name in ("sharpness", *names) if name in names and name != y), y)
        points = {}
        for one in self.done:
            if x in one.metrics and y in one.metrics:
                points.setdefault(f"{MODELS[one.model]}, {one.data}", []).append((one.metrics[x], one.metrics[y]))
        return self._piece(self.parts.scatter(choices, x, y, drawing(figures.points(points, label(x), label(y)))))

    def data(self) -> Piece:
        """What the page's script needs: each run's numbers and curve, and the planes. In JupyterLab no script runs."""
        if in_lab():
            return self._piece()
        shown = [run_data(one) for one in self.done]
        names = {name: label(name) for name in (*metric_names(self.done), "latent_dim", "width", "epochs")}
        facts = {"runs": shown, "labels": names, "order": list(names), "planes": self.planes}
        return self._piece(self.parts.data(facts))

    def provenance(self) -> Piece:
        """The origin of it all: commit, versions, machines, data, dates, time; and how to repeat any run."""
        results = [one.result for one in self.done]
        dates = sorted(result["finished"] for result in results if "finished" in result)
        used = [{"Python": result.get("python", "–")} | result["versions"] for result in results]
        versions = [f"{name} {listed(sorted({one[name] for one in used if name in one}))}" for name in VERSIONS]
        spent = sum(sum(result["seconds"].values()) for result in results)
        digests = sorted({f"{one.data} {one.result['dataset']['sha256']}" for one in self.done})
        facts = [
            ("Code", f"{commit()}; each run's result.json has the digests of its notebook and sources"),
            ("Versions", ", ".join(versions) if used else "–"),
            ("Machines", listed(result.get("machine", "unknown") for result in results) or "–"),
            ("Data (sha256)", "; ".join(digests) or "–"),
            ("Runs finished", f"{dates[0]} to {dates[-1]}" if dates else "–"),
            ("Computing time", f"{runs.duration(spent)} for all runs together, including start-up and evaluation"),
            ("Page built", time.strftime("%Y-%m-%dT%H:%M:%S%z")),
        ]
        commands = [{"name": one.name, "command": again(one)} for one in self.entries]
        note = (
            "Run the command in the repository's folder with the environment active. Settings that it does not name "
            "have the notebook's defaults. The numbers are the same to the last digit on the same kind of processor "
            "with the same number of threads. In a study with one worker per core, each run had one thread: "
            "export OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1."
        )
        return self._piece(self.parts.provenance(facts, commands, note))

    # -- helpers

    @staticmethod
    def _row(*values, kind: str = "") -> dict:
        """A table's row; numbers are right-aligned."""
        cells = [{"text": number(value), "number": isinstance(value, int | float)} for value in values]
        return {"cells": cells, "kind": kind}

    @staticmethod
    def _by_notebook(group: list[Entry]):
        found = {name: [entry for entry in group if entry.settings.notebook == name] for name in NOTEBOOKS}
        return [(name, each) for name, each in found.items() if each]


def differences(one: Entry, others: Iterable[Entry]) -> list[str]:
    """How a run differs from others of its notebook, apart from latent dimension, width and seed: ['network conv']."""
    group = [other for other in others if other.settings.notebook == one.settings.notebook]
    names = [name for name in differing(group) if name not in ("latent_dim", "width", "seed")]
    return [f"{name} {getattr(one.settings, name)}" for name in names]


def strip(done: Sequence[Entry], width: int = 230) -> list[dict]:
    """For each notebook, sixteen samples of one setting: the largest latent dimension with the smallest width."""
    firsts = [group[0] for group in by_setting(done)]
    by_size = sorted(firsts, key=lambda entry: (entry.settings.latent_dim, -entry.settings.width))
    shown = {entry.settings.notebook: entry for entry in by_size}
    return [
        {
            "anchor": slug(f"{MODELS[one.model]} {one.family}"),
            "label": f"{MODELS[one.model]} on {one.data}" + "".join(f", {text}" for text in differences(one, done)),
            "picture": tiles(
                one.samples["samples"][:16], 4, f"16 images by the {MODELS[one.model]} on {one.data}", width
            ),
        }
        for one in sorted(shown.values(), key=done.index)
    ]


def title_of(one: Entry) -> str:
    """A run as a list names it: 'VAE on MNIST · 2 latents, width 512, seed 0'."""
    settings, rest = one.settings, beyond(one)
    words = f"{MODELS[one.model]} on {one.data} · {settings.latent_dim} latents, width {settings.width}"
    return " · ".join(filter(None, (f"{words}, seed {settings.seed}", rest)))


def film(one: Entry) -> dict:
    """What parts.html.j2 needs to show a run's galleries of fixed latent vectors over the epochs."""
    epochs = [int(epoch) for epoch in one.samples["grid_epochs"]]
    alt = f"36 images by {one.name} from the same latent vectors, after {listed(epochs)} epochs"
    return {
        "id": f"film-{slug(one.name)}",
        "name": title_of(one),
        "epochs": epochs,
        "picture": frames(one.samples["grids"], alt),
    }


def plane_alt(one: Entry, reach: float) -> str:
    """A latent plane in words."""
    side = f"from −{reach:g} to {reach:g}"
    return f"Images decoded by {one.name} on an 11 by 11 grid, z1 {side} left to right, z2 {side} upwards"


def plane_data(toured: dict[str, Any]) -> dict:
    """A latent plane as report.js draws it; see `tour.compressed`."""
    packed = {name: base64.b64encode(toured[name].tobytes()).decode() for name in ("mean", "basis", "coefficients")}
    edge = 0.5 / 11  # of the outermost images' middles, where z is -3 or 3
    return packed | {
        "scales": [float(f"{scale:.6g}") for scale in toured["scales"]],
        "count": tour.COUNT,
        "rank": len(toured["scales"]),
        "reach": tour.REACH,
        "channels": toured["plane"].shape[-1],
        "margins": [edge, 1 - edge, edge, 1 - edge],
        "error": float(toured["error"]),
    }


def run_data(one: Entry) -> dict:
    """A run as report.js compares and draws it."""
    column, unit = CURVES[one.model]
    rounded = {
        name: [float(f"{value:.5g}") if math.isfinite(value) else None for value in one.history.get(name, ())]
        for name in (column, f"val_{column}")
    }
    levels = [{"label": name, "value": value} for name, value in figures.LEVELS.get(column, {}).items()]
    mean_image = one.references.get("test_loss", {}).get("mean_image")
    levels += [{"label": "best constant image", "value": mean_image}] if one.model == "vae" and mean_image else []
    return {
        "name": one.name,
        "label": title_of(one),
        "model": one.model,
        "family": one.family,
        "data": one.data,
        "page": page_of(one),
        "film": f"film-{slug(one.name)}",
        "settings": {name: getattr(one.settings, name) for name in ("latent_dim", "width", "epochs")},
        "metrics": {name: float(f"{value:.6g}") for name, value in one.metrics.items()},
        "curve": {
            "label": figures.LABELS[column],
            "unit": unit,
            "values": rounded[column],
            "validation": rounded[f"val_{column}"] or None,
            "levels": levels,
        },
    }


def commit() -> str:
    """The repository's commit, and whether there are uncommitted changes."""
    try:
        git = ["git", "-C", str(runs.ROOT)]
        name = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "version unknown: no git repository"
    return f"commit {name.stdout.strip()}" + " with uncommitted changes" * bool(changed.stdout.strip())


def again(one: Entry) -> str:
    """The papermill command that repeats a run; it names every setting that is not the notebook's default."""
    source = runs.NOTEBOOK_DIR / f"{one.settings.notebook}.ipynb"
    defaults = notebook_defaults(source)
    dataset = one.result["dataset"]["name"] if one.result else Path(one.settings.dataset).name  # without its folder
    asked = one.settings.model_dump(exclude={"output_dir"}) | {"dataset": dataset}
    words = ["papermill", f"notebooks/{source.name}", f"{one.name}.ipynb"]
    for name, value in asked.items():
        if value != defaults.get(name):
            words += ["-p", name, str(value)]
    return shlex.join([*words, "-p", "output_dir", f"again/{one.name}"])


def measured(group: list[Entry]) -> list[list[float]]:
    """The seconds of training, the images per second and the peak memory of a setting's runs."""
    results = [one.result for one in group]
    seconds = [one["seconds"]["fit"] for one in results if "fit" in one["seconds"]]
    return [seconds, *([one[name] for one in results if name in one] for name in ("images_per_second", "peak_rss_mib"))]


def by_seed(group: list[Entry]) -> dict:
    """A table's cell with a link to the notebook of each seed of a setting."""
    count, done = len(group), len(finished(group))
    links = [{"text": f"{one.settings.seed}", "href": page_of(one), "state": one.state} for one in group]
    seeds = f"{count}" if done == count else f"{done} of {count}"
    return {"text": f"{beyond(group[0])} {seeds} seed{'s' * (count > 1)}:".strip(), "links": links}


def beyond(one: Entry) -> str:
    """What a run's name says beyond the settings that have columns of their own: 'epochs4', or nothing."""
    return one.name.partition(f"-seed{one.settings.seed}")[2].removeprefix("-")


def page_of(one: Entry) -> str:
    """The page of a run's notebook, seen from the report; '' if the run is not done or is here without its notebook."""
    there = one.result and (one.planned.folder / "notebook.ipynb").exists()
    return f"notebooks/{one.name}.html" if there else ""


def counted(group: list[Entry]) -> str:
    """The number of settings and runs, in words."""
    settings, count = len(by_setting(group)), len(group)
    of = f"{settings} setting{'s' * (settings > 1)}, " if settings < count else ""
    return f"{of}{count} run{'s' * (count > 1)}"


def short(metric: str) -> str:
    """A metric's label without its unit."""
    return label(metric).partition(" (")[0]


def headlines(group: list[Entry]) -> list[str]:
    """The few numbers below a figure: the model's own, sharpness and the Fréchet distance."""
    quality = next((name for name in claims.QUALITY if values_of(group, name)), "")
    return [name for name in (HEADLINES[group[0].model], "sharpness", quality) if values_of(group, name)]


def course(group: list[Entry]) -> tuple[figures.History, figures.History | None]:
    """What a setting's curves show: its run's history, or the mean and standard deviation over its seeds."""
    histories = [one.history for one in group]
    return figures.over_seeds(histories) if len(histories) > 1 else (histories[0], None)


def extent(group: list[Entry]) -> list[figures.History]:
    """Histories that contain all the values of a setting's curves."""
    history, band = course(group)
    return [history, *figures.edges(history, band)]


def grids(done: Iterable[Entry]) -> list[dict[tuple[int, int], list[Entry]]]:
    """Full grids over latent_dim and width with two or more values of each: the runs of each pair, one per seed.

    The runs of one grid differ only in these two settings and the seed.
    """
    found: dict[Any, dict[tuple[int, int], list[Entry]]] = {}
    for one in done:
        rest = one.settings.model_copy(update={"seed": 0, "output_dir": "", "latent_dim": 1, "width": 1})
        pair = (one.settings.latent_dim, one.settings.width)
        found.setdefault(rest, {}).setdefault(pair, []).append(one)
    sides = {rest: [len(set(side)) for side in zip(*cells, strict=True)] for rest, cells in found.items()}
    return [cells for rest, cells in found.items() if min(sides[rest]) > 1 and len(cells) == math.prod(sides[rest])]


def heat_map(cells: dict[tuple[int, int], list[Entry]], metric: str) -> dict:
    """One metric over a grid, as a picture."""
    latents, widths = (sorted(set(side)) for side in zip(*cells, strict=True))
    scores = [[values_of(cells[z, width], metric) for width in widths] for z in latents]
    values = [[fmean(score) if score else math.nan for score in row] for row in scores]
    shared = decimals(score for row in scores for score in row)
    texts = [["\n± ".join(filter(None, mean_and_deviation(score, shared))) for score in row] for row in scores]
    return drawing(figures.heat_map(values, latents, widths, texts, ("latent_dim", "width"), label(metric)))


def varied(group: list[Entry]) -> list[str]:
    """The settings for which a table of these runs needs columns; seeds have no column of their own."""
    return [name for name in ALWAYS if name in {"latent_dim", "width", *differing(group)} - {"seed"}]


def differing(group: list[Entry]) -> list[str]:
    """Those of the settings shown in tables that are not the same in all runs."""
    return [name for name in ALWAYS if len({getattr(one.settings, name) for one in group}) > 1]


def about(group: list[Entry]) -> str:
    """The model, the dataset and the settings behind a figure, in words."""
    settings = [entry.settings for entry in group]
    values = {name: listed(getattr(one, name) for one in settings) for name in ("latent_dim", "width")}
    values["seed"] = listed(sorted(one.seed for one in settings))
    shown = ", ".join(f"{name} {value}" for name, value in values.items())
    epochs = listed(one.epochs for one in settings)
    first = next((entry for entry in group if entry.result), group[0])
    return f"{MODELS[first.model]} on {first.provenance}; {shown}; {epochs} epochs."


def compared(test: claims.Test) -> str:
    """What a test compares: 'vae_mnist, width 512: latent_dim 2 → 10'."""
    changes = {name: value for name, value in test.before.items() if test.after and test.after[name] != value}
    steps = {name: f"{value} → {test.after[name]}" if name in changes else value for name, value in test.before.items()}
    texts = [str(value) if name == "notebook" else f"{name} {value}" for name, value in steps.items()]
    texts += [f"{test.rising}: fewer → more"] if test.rising else []
    return ", ".join(sorted(texts, key=lambda text: "→" in text))


def optimizer(settings) -> str:
    return OPTIMIZERS[getattr(settings, "lipschitz", settings.model)]


def learning_rate(settings) -> str:
    schedule = {"constant": "", "linear": " decreasing to 0", "burda": " decreasing as in Burda et al. (2016)"}
    return f"{optimizer(settings)} {settings.learning_rate:g}{schedule[settings.schedule]}"


def lipschitz(settings) -> str:
    penalty, clipping = f"gradient penalty {settings.gp_weight:g}", f"weights clipped at {settings.clip:g}"
    steps = f"{settings.n_critic} critic step{'s' * (settings.n_critic > 1)} per generator step"
    return f"{clipping if settings.lipschitz == 'clip' else penalty}, {steps}"


def missing(group: Sequence[Entry], names: Sequence[str]) -> list[str]:
    """Why some runs of a table lack some of its numbers: a sentence for each reason."""
    lacking: dict[str, tuple[dict, dict]] = {}
    for one in group:
        for name in names:
            if why := one.absent.get(name):
                metrics, runs_of = lacking.setdefault(why, ({}, {}))
                metrics[short(name)] = runs_of[one.name] = None
    every = {one.name for one in finished(group)}
    return [
        f"No {listed(metrics)}{'' if every == {*runs_of} else f' for {listed(runs_of)}'}: {why}."
        for why, (metrics, runs_of) in lacking.items()
    ]


def metric_names(group: Iterable[Entry]) -> list[str]:
    """The metrics that any of the runs has, or says that it cannot have; the known ones first."""
    found = dict.fromkeys(name for entry in group for name in (*entry.metrics, *entry.absent))
    return [name for name in METRICS if name in found] + [name for name in found if name not in METRICS]
