"""The report's pieces: what notebooks/report.ipynb shows of a study's finished runs. Never imports TensorFlow.

`Page` holds the runs and makes one piece a method. All markup comes from template/parts.html.j2, where every value is
escaped; what is said in words is computed from the runs.
"""

import base64
import io
import math
import re
import shlex
import subprocess
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from lib import figures, runs, tour
from lib.settings import NOTEBOOKS, UserError, notebook_defaults
from lib.study import claims, plan
from lib.study.published import Beside, beside

TEMPLATE = Path(__file__).parent / "template"
MODELS = {"vae": "VAE", "gan": "GAN", "wgan": "WGAN"}
FAMILIES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
OWN = {  # each model's own numbers: label and unit, in the tables' order; an unknown metric is shown under its own name
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
    "w1_bound": "W₁ at least (pixels)",
    "w1_bound_loose": "W₁ at least, loosely (pixels)",
    "w1": "W₁, a check only (pixels)",
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
W1_NOTE = (
    "W₁ between so few images is biased: blurred real images can come out nearer than real ones. Never rank by it."
)
GREY_NOTE = (
    "On grey levels the Bernoulli −L_k compares runs of this kind, but is no likelihood: its model draws no grey."
)
HEADLINES = {"vae": "test_loss", "gan": "jsd_test", "wgan": "emd_test"}
ALWAYS = ("latent_dim", "width", "seed", "network", "epochs", "batch_size", "learning_rate")
VARIED = {
    "latent_dim": "the latent dimension",
    "width": "the model complexity, that is the width of the first Dense layer",
    "network": "the network",
    "epochs": "the number of epochs",
}
OPTIMIZERS = {"vae": "Adam", "gan": "Adam", "clip": "RMSprop", "gp": "Adam"}
CURVES = {"vae": ("loss", "nats per image"), "gan": ("jsd", "nats"), "wgan": ("emd", "critic's own units")}
LEFT_OPEN = {10: ("width", "width"), 12: ("width", "width")}  # by the write-up, by figure: words and setting
LEFT_OPEN |= {15: ("latent dimension", "latent_dim"), 17: ("latent dimension", "latent_dim")}
VERSIONS = ("Python", *runs.PACKAGES)
GALLERY = 36  # images; the first 36 samples come from the fixed latents


# ---- what the runs say ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A planned run and, when it was finished, what it left; `result` is None otherwise.

    A run of earlier code or versions, but of these settings and data, is shown too: its state stays "stale".
    """

    planned: plan.PlannedRun
    state: str
    cause: str
    result: dict | None = None
    history: dict[str, list[float]] = field(default_factory=dict)

    name = property(lambda self: self.planned.name)
    settings = property(lambda self: self.planned.settings)
    model = property(lambda self: self.settings.model)
    metrics = property(lambda self: self.result["metrics"] if self.result else {})

    @property
    def samples(self) -> dict[str, Any]:
        """The run's images by name, read when asked for: those of a thousand runs together would fill the memory."""
        return _samples(self.planned.folder) if self.result else {}

    @property
    def family(self) -> str:
        return FAMILIES[self.settings.notebook.partition("_")[2]]

    @property
    def data(self) -> str:
        """The dataset's name, as the write-up has it where it is the write-up's."""
        named = self.result["dataset"]["name"] if self.result else self.settings.dataset
        return self.reencoded or (Path(named).stem if self.stand_in else self.family)

    @property
    def reencoded(self) -> str:
        """How images of the write-up's are named that were stored with loss; '' for all other data."""
        return self.result["dataset"].get("reencoded", "") if self.result else ""

    @property
    def stand_in(self) -> bool:
        """Whether other data stand in for the write-up's."""
        if self.result:
            return not (self.result["dataset"]["canonical"] or self.reencoded)
        return FAMILIES.get(self.settings.dataset) != self.family

    @property
    def genuine(self) -> str:
        """What the data are beside the write-up's."""
        if self.stand_in:
            return f"stand-in for {self.family}"
        return "not canonical: stored with loss" if self.reencoded else "canonical"

    @property
    def provenance(self) -> str:
        """The dataset, whether it is the write-up's, and its digest."""
        digest = f", sha256 {self.result['dataset']['sha256'][:8]}…" if self.result else ""
        return f"{self.data} ({self.genuine}{digest})"


@lru_cache(maxsize=4)
def _samples(folder: Path) -> dict[str, Any]:
    return runs.read_samples(folder)


def entry(planned: plan.PlannedRun) -> Entry:
    """Reads a run's folder; one that cannot be read counts as stale."""
    folder = planned.folder
    state, cause = runs.state(folder, planned.settings)
    found = ()
    if state in ("done", "unscored", "published", "stale"):
        try:
            found = runs.read_result(folder), runs.read_history(folder)
            if zipfile.ZipFile(folder / "samples.npz").testzip():
                raise zipfile.BadZipFile("samples.npz is damaged")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            state, cause, found = "stale", f"cannot be read ({type(error).__name__}: {error})", ()
        if state == "stale" and found and not same_work(cause, found[0], planned.settings):
            found = ()
    for path in (folder.parent, runs.ROOT):  # of this machine, no reader's concern
        cause = cause.replace(f"{path}/", "")
    return Entry(planned, state, cause, *found)


def same_work(cause: str, result: dict, settings) -> bool:
    """Whether a stale run is whole, and its settings and data are the planned ones: only code or versions have changed.

    The same images stored with loss count as these data: the report names them.

    Args:
        cause: names the first difference of the keys, in which the data come first.
    """
    excluded = {"output_dir", "dataset", *runs.EVALUATION_SETTINGS}
    planned = settings.model_dump(exclude=excluded)
    trained = {name: value for name, value in result["settings"].items() if name not in excluded}
    reasons = ("notebook changed", "sources.", "versions.") + ("data",) * ("reencoded" in result["dataset"])
    return cause.startswith(reasons) and trained == planned


def entries(study: plan.Study) -> list[Entry]:
    """A study's runs as they stand now, in its order."""
    return [entry(run) for run in study.runs]


def results(study: plan.Study) -> list[dict]:
    """The result.json of a study's finished runs: all that claims need, also of runs of which nothing else is here."""
    found = []
    for run in study.runs:
        try:
            result = runs.read_result(run.folder)
            cause = runs.outdated(result, run.settings)
        except (OSError, ValueError, KeyError):
            continue
        if not cause or same_work(cause, result, run.settings):
            found.append(result)
    return found


def _lengths(results: Sequence[dict]) -> str:
    """How long runs were: 'vae_mnist 50 and gan_mnist 10'."""
    found: dict[str, set[int]] = {}
    for one in results:
        found.setdefault(one["notebook"], set()).add(one["settings"]["epochs"])
    return listed(f"{name} {listed(sorted(epochs))}" for name, epochs in found.items())


def by_setting(group: Iterable[Entry]) -> list[list[Entry]]:
    """Runs that differ in the seed only, together; in the order of the first of each."""
    found: dict[Any, list[Entry]] = {}
    for one in group:
        found.setdefault(one.settings.model_copy(update={"seed": 0, "output_dir": ""}), []).append(one)
    return list(found.values())


def finished(group: Iterable[Entry]) -> list[Entry]:
    return [one for one in group if one.result]


def values_of(group: Iterable[Entry], metric: str) -> list[float]:
    return [one.metrics[metric] for one in group if metric in one.metrics]


def number(value: Any) -> str:
    """A value as the tables show it: four significant digits, thousands apart, '–' for none."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, float) and math.isnan(value):
        return "–"
    if abs(value) >= 9_999.5:
        return f"{value:,.0f}"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def mean_and_deviation(values: Sequence[float]) -> tuple[str, str]:
    """Mean and standard deviation over seeds, both to the second digit of the latter; "" for that of one value."""
    if len(values) < 2:
        return number(values[0] if values else None), ""
    mean, deviation = fmean(values), stdev(values)
    if not deviation or not math.isfinite(deviation):
        return number(mean), number(deviation)
    decimals = max(0, 1 - math.floor(math.log10(deviation)))
    apart = "," if abs(mean) >= 9_999.5 else ""  # as in `number`
    return f"{mean:{apart}.{decimals}f}", f"{deviation:{apart}.{decimals}f}"


def spread(values: Sequence[float]) -> str:
    """'0.60 ± 0.10' for several seeds, the plain number for one, '–' for none."""
    return " ± ".join(filter(None, mean_and_deviation(values)))


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
        kind: "pixels" (enlarged by whole pixels), "chart" (inverted on dark pages) or "paper" (always on white).
    """
    source = f"data:image/{form};base64,{base64.b64encode(image).decode()}"
    return {"src": source, "width": size[0], "height": size[1], "alt": alt, "kind": kind}


def drawing(figure: figures.Figure, form: str = "svg+xml", kind: str = "chart") -> dict:
    """A figure of lines as SVG, one of very many points or pixels as a PNG of few colours."""
    if form == "svg+xml":
        return picture(figure.svg(), form, figure.size, figure.alt, kind)
    few = Image.open(io.BytesIO(figure.png())).convert("RGB").quantize(128)
    return picture(_png(few), "png", figure.size, figure.alt, kind)


def tiles(images, columns: int, alt: str, width: int = 350) -> dict:
    """Images side by side, stored pixel by pixel; the browser enlarges them."""
    canvas = figures.mosaic(images, columns)
    image = Image.fromarray(canvas if images.shape[-1] == 3 else canvas[..., 0])
    scale = max(1, round(width / canvas.shape[1]))
    return picture(_png(image), "png", (canvas.shape[1] * scale, canvas.shape[0] * scale), alt)


def frames(grids, alt: str) -> dict:
    """Galleries [E, N, H, W, C] side by side, each as wide as the others.

    Grey ones as they are; colours at twice the size as WebP, which keeps less colour than brightness: half the bytes.
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


class Piece(str):
    """Markup that a notebook shows."""

    def _repr_html_(self) -> str:
        return f'<div class="report">{self}</div>' if self.strip() else ""

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
        study: a path, or the stem of a file in parameters/.
        out: the study's folder; empty: reports/<study>.
        overrides: settings of every run that has them, as `-p` of the command line gives them.
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
        """JupyterLab gets the style here; the page has it in its head."""
        styles = [(TEMPLATE / name).read_text(encoding="utf-8") for name in ("colours.css", "report.css")]
        return f"<style>{''.join(styles)}</style>"

    def _seen(self) -> dict[str, list[int]]:
        """The numbers of the figures that show a run, by its name."""
        found: dict[str, list[int]] = {}
        for one in self.study.figures:
            for name in dict.fromkeys(name for panel in one.runs for name in panel):
                found.setdefault(name, []).append(one.number)
        return found

    def _referred(self, text: str, where: str, of: str = "") -> list[dict]:
        """A text in pieces: each `[fig:3]` of it a link to that figure, each `[num:METRIC RUN]` that run's number, each
        `**word**` strong.

        RUN without its seed stands for all seeds of that setting: their mean and standard deviation. `STUDY/RUN` and
        `STUDY/3` are of a study that the evidence names.

        Args:
            of: the study of the evidence whose runs and figures are meant where none is named; empty: this one.

        Raises:
            UserError: there is no such figure, run or metric. A run without numbers so far has "–".
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
        return {"text": f"Figure {figure} there"} | self._page_of(one, f"#fig-{figure}")

    def _page_of(self, other: plan.Study, anchor: str = "") -> dict:
        """Where the report of another study stands, seen from this one; nothing where there is none."""
        there = (self.study.folder.parent / other.name / "index.html").is_file()
        return {"href": f"../{other.name}/index.html{anchor}"} if there else {}

    def _measured(self, study: str, run: str, metric: str) -> dict:
        one, found = self.named.get(study, (None, ()))
        names = {each.name for each in one.runs if run in (each.name, each.setting)} if one else ()
        values = [
            {"images_per_second": each["images_per_second"], **each["metrics"]}.get(metric)
            for each in found
            if each["run"] in names
        ]
        return {} if not names or None in values else {"text": spread(values)}

    # -- title

    def title(self) -> Piece:
        """Title, what was run in a few sentences, and samples of each model and dataset."""
        return Piece(self.parts.title(self.study, self._facts()))

    def findings(self) -> Piece:
        """What the study's author found, but where `-p` has made it another study."""
        if self.study.overrides:
            return Piece()
        texts = [self._referred(one, f"findings[{index}]") for index, one in enumerate(self.study.findings)]
        return Piece(self.parts.findings(texts))

    def _facts(self) -> dict:
        stale = [entry for entry in self.done if entry.state == "stale"]
        gaps = [entry for entry in self.entries if not entry.result]
        reencoded = listed(sorted({entry.reencoded for entry in self.done if entry.reencoded}))
        used = listed(sorted({f"{entry.data} in place of {entry.family}" for entry in self.done if entry.stand_in}))
        return {
            "sentences": self._sentences(),
            "stand_ins": used and f"These runs used {used}: their numbers give no verdict on the write-up's claims.",
            "reencoded": reencoded
            and f"The images named {reencoded} are not the canonical ones but the same, stored with loss; "
            "verdicts that rest on them say so.",
            "stale": stale
            and f"{len(stale)} of {len(self.entries)} runs are by other code or data than now ({stale[0].cause}); "
            "the command latent-report run makes them anew.",
            "gaps": gaps and f"{len(gaps)} of {len(self.entries)} runs are not done; their places are marked below.",
            "strip": strip(self.done),
            "strip_note": "Samples at the largest latent dimension, smallest width"
            f"{', of the last such setting' * bool({*self._names()} - {'latent_dim', 'width'})}"
            ": the first ones drawn, not picked.",
        }

    def _names(self) -> list[str]:
        """The settings that vary within a notebook; latent dimension and width if none does."""
        groups = self._by_notebook(self.entries)
        found = {name for _, group in groups for name in differing(group)} - {"seed"}
        return [name for name in ALWAYS if name in (found or {"latent_dim", "width"})]

    def _sentences(self) -> list[str]:
        if not self.done:
            return [f"None of this study's {len(self.entries)} runs is done yet."]
        fit = sum(entry.result["seconds"].get("fit", 0) for entry in self.done)
        models = listed(MODELS[model] for model in MODELS if any(entry.model == model for entry in self.done))
        values = {name: listed(sorted({getattr(one.settings, name) for one in self.done})) for name in self._names()}
        sentences = [
            f"{len(self.done)} of {len(self.entries)} runs of {models} on {listed(entry.data for entry in self.done)}, "
            f"trained for {runs.duration(fit)} in total.",
            f"What varies: {listed(f'{VARIED.get(name, name)} ({each})' for name, each in values.items())}.",
        ]
        for family in FAMILIES.values():
            scored = [entry for entry in self.done if entry.family == family and "test_loss" in entry.metrics]
            if scored:
                group = min(by_setting(scored), key=lambda group: fmean(values_of(group, "test_loss")))
                first = group[0].settings
                at = (f"{first.latent_dim} latents", f"width {first.width}", *differences(group[0], self.done))
                sentences.append(
                    f"The VAE's lowest test loss on {group[0].data} is {spread(values_of(group, 'test_loss'))} nats "
                    f"per image, at {listed(at)}."
                )
        if earlier := sum(entry.state == "unscored" for entry in self.done):
            sentences.append(
                f"The numbers of {earlier} runs are by an earlier version of the code; "
                "the command latent-report evaluate computes them anew."
            )
        if any("evaluated" in entry.result for entry in self.done):
            sentences.append("Numbers were computed anew after training; a run's notebook shows those of its own day.")
        return [*sentences, tally(self.verdicts)]

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
        head = ("dataset", "is", "image", "training", "validation", "test", "sha256")
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
            rates = listed(learning_rate(one) for one in settings)
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
        note = (
            f"Run on {listed(entry.data for entry in group)}."
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
            "caption": self._referred(one.caption, f"figure {one.number}: caption"),
            "about": about([entry for panel in panels for entry in panel]),
        }

    def _default(self, group: list[Entry]) -> dict:
        """The figure of a setting that the registry does not name."""
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
        """One column of a figure: a setting with one run, or one run a seed."""
        size = (f"{name} {getattr(panel[0].settings, name)}" for name in ("latent_dim", "width"))
        return {
            "setting": " · ".join((*size, *differences(panel[0], self.entries))),
            "data": panel[0].data,
            "gaps": [entry for entry in panel if not entry.result],
            "parts": parts,
            "numbers": numbers,
        }

    def _kind(self, kind: str, group: list[Entry], like: list) -> list[dict]:
        """The pictures or tables of one kind for one setting: curves over its seeds, all else by its first run."""
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
            names = ("z1", "z2") if one.settings.latent_dim <= 2 else ("first principal component", "second")
            drawn = figures.latent_map(samples["latent_map"], samples.get("labels"), names)
            return [{"picture": drawing(drawn, "png")}]
        if kind == "plane" and "plane" in samples:
            if "plane" in (toured := tour.read(one.planned.folder)):
                return [{"plane": self._plane(one, toured)}]
            return [{"picture": drawing(figures.plane(samples["plane"], samples["plane_ticks"]), "png", "paper")}]
        return []

    def _plane(self, one: Entry, toured: dict[str, Any]) -> dict:
        """The plane to move over; its data go into the page once, whichever figures show it."""
        name = f"plane-{slug(one.name)}"
        self.planes[name] = plane_data(toured)
        alt = (
            f"Images decoded by {one.name} on an 11 by 11 grid, z1 from −3 to 3 left to right, z2 from −3 to 3 upwards"
        )
        shown = tiles(toured["plane"], 11, alt, 330)
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
        """The headline metric, sharpness and Fréchet distance of one setting, and whose images are shown."""
        texts = [f"{label(name)} {spread(values_of(done, name))}" for name in headlines(done)]
        if len(done) > 1:
            texts.append(f"mean ± standard deviation of {len(done)} seeds")
            texts += [f"images: seed {done[0].settings.seed}"] * images
        return " · ".join(texts)

    def _grid(self, done: list[Entry]) -> tuple[str, list] | None:
        """Heat maps of the headline metrics where the runs are a full grid over latent_dim and width."""
        shown = []
        for cells in grids(done):
            group = [one for cell in cells.values() for one in cell]
            panel = self._panel(group, [{"picture": heat_map(cells, name)} for name in headlines(group)])
            panel["setting"] = "latent_dim by width"
            seeds = max(len(cell) for cell in cells.values())
            caption = "Each cell is a setting" + f": mean ± standard deviation of up to {seeds} seeds" * (seeds > 1)
            shown.append(self._illustration([panel], group, f"{caption}. Dark is low. {self._classifier(group)}"))
        return ("Latent dimension by width", shown) if shown else None

    def _growth(self, done: list[Entry]) -> tuple[str, list] | None:
        """Each run's images from the same latents, over the epochs."""
        panels = [self._panel([one], [{"film": film(one)}]) for one in done if len(one.samples.get("grids", ())) > 1]
        if not panels:
            return None
        several = len(done) > len(by_setting(done))
        for panel, one in zip(panels, done, strict=False):
            panel["data"] += f", seed {one.settings.seed}" * several
        caption = "Images from the same 36 latents after more and more epochs."
        return "Over the epochs", [self._illustration(panels, done, caption) | {"kind": "illustration wide-panels"}]

    def _walks(self, done: list[Entry]) -> tuple[str, list] | None:
        """Each setting's images on the way between two latents."""
        panels = []
        for one, *_ in by_setting(done):
            if "walk" in (toured := tour.read(one.planned.folder)):
                images = toured["walk"]
                alt = f"{len(images)} images by {one.name}, from one latent to another"
                panels.append(self._panel([one], [{"picture": tiles(images, len(images), alt, 700)}]))
        caption = (
            "The same two latents of the prior, and even steps between them on the path that keeps their length "
            "(spherical interpolation). Smooth changes speak against a model that only repeats its training images."
        )
        if not panels:
            return None
        return "From one latent to another", [
            self._illustration(panels, done, caption) | {"kind": "illustration walks"}
        ]

    def _inside(self, done: list[Entry]) -> tuple[str, list] | None:
        """What each VAE's latents hold: reconstructions, a map of test images and, for two latents, the plane."""
        chosen = [one for one, *_ in by_setting(entry for entry in done if "originals" in entry.samples)]
        chosen.sort(key=lambda entry: "plane" not in entry.samples)
        if not chosen:
            return None
        kinds = ("reconstructions", "latent_map", "plane")
        panels = [
            self._panel([one], [part for kind in kinds for part in self._kind(kind, [one], [])]) for one in chosen
        ]
        caption = (
            "For each run: test images above their reconstructions; where the encoder puts test images, coloured by "
            "class, which training never saw; and for two latents the whole plane, decoded."
        )
        names = [part["plane"]["id"] for panel in panels for part in panel["parts"] if "plane" in part]
        if names:
            far = max(self.planes[name]["error"] for name in names)
            caption += (
                " The image under the plane is the decoder's mean at the pointer, put together in the page from "
                f"principal components of 1,681 decoded images: {far:.1f} grey levels of 255 off on average, at most."
            )
        return "Reconstructions and latents", [self._illustration(panels, chosen, caption)]

    @staticmethod
    def _illustration(panels: list[dict], group: list[Entry], caption: str) -> dict:
        return {"kind": "illustration", "panels": panels, "caption": [{"text": caption}], "about": about(group)}

    # -- tables

    def results(self) -> Piece:
        """All settings by notebook: the model's own numbers, then the scorecard that all models share."""
        return Piece(Markup("").join(self._results(group) for _, group in self._by_notebook(self.entries)))

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
        """One table: a row for each setting, with each number's mean and deviation over its seeds, then references."""
        settings = varied(group)
        several = any(len(each) > 1 for each in by_setting(group))
        head = ("seeds" if several else "run", *settings, *(label(name) for name in names))
        rows = [self._score(each, settings, several, names) for each in by_setting(group)]
        rows += self._references(group, len(settings), names)
        return self.parts.table(head, rows, caption, self._behind(group, settings, names))

    def _score(self, group: list[Entry], settings: Sequence[str], several: bool, names: Sequence[str]) -> dict:
        done = finished(group)
        values = [getattr(group[0].settings, name) for name in settings]
        values = [value if isinstance(value, int) else str(value) for value in values]
        if done:
            row = self._row("", *values, *(values_of(done, name) for name in names))
        else:
            row = self._row("", *values, group[0].state, kind="missing")
        row["cells"][0] = by_seed(group) if several else {"text": group[0].name, "href": page_of(group[0])}
        return row

    def _behind(self, group: list[Entry], settings: Sequence[str], names: Sequence[str]) -> str:
        """What the runs of a table share, the number of images behind each number, and what to know of some."""
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
            f"All: {', '.join(same)}." * bool(same),
            f"Images behind the numbers: {images}." * bool(images),
            self._classifier(group) if not {*BY_CLASSIFIER}.isdisjoint(names) else "",
            f"NDB is of {listed(sorted(bins))} bins." if bins and "ndb" in names else "",
            W1_NOTE if "w1" in names else "",
            GREY_NOTE if grey and any(name.startswith("nll_") for name in names) else "",
            f"A negative EMD in {listed(failed)}: the critic has failed there, and the number says nothing."
            * bool(failed),
        )
        return " ".join(filter(None, notes))

    @staticmethod
    def _classifier(group: list[Entry]) -> str:
        """How far the classifier behind the runs' numbers can be trusted."""
        cards = {one.data: one.result["scorecard"] for one in finished(group) if "scorecard" in one.result}
        texts = [
            f"{100 * card['classifier_accuracy']:.1f} % of {number(card['classifier_test_n'])} test images on {data}"
            for data, card in cards.items()
            if card["classifier_accuracy"] is not None
        ]
        return f"The classifier behind the numbers is right on {'; '.join(texts)}." if texts else ""

    def _references(self, group: list[Entry], blank: int, names: Sequence[str]) -> list[dict]:
        """One row for each reference that any of the metrics has, with the mean over the runs where they differ."""
        found: dict[str, dict[str, list[float]]] = {}
        for one in finished(group):
            for metric, marks in one.result.get("references", {}).items():
                for reference, value in marks.items() if metric in names else ():
                    found.setdefault(reference, {}).setdefault(metric, []).append(value)
        order = [name for name in REFERENCES if name in found] + [name for name in found if name not in REFERENCES]
        return [
            self._row(
                f"reference: {reference.replace('_', ' ')}",
                *[""] * blank,
                *[fmean(found[reference][name]) if name in found[reference] else "" for name in names],
                kind="reference",
            )
            for reference in order
        ]

    @staticmethod
    def self_test() -> Piece:
        """A link to the estimators' self-test, which `report.build` puts beside the runs' notebooks."""
        link = '<a href="notebooks/estimators.html">Can the numbers be trusted?</a>'
        return Piece(f"<p>{link} Each estimator against exactly known answers, and under damage of known size.</p>")

    def budget(self) -> Piece:
        """What each setting took: parameters, steps, images, time and memory."""
        groups = [each for _, group in self._by_notebook(self.done) for each in by_setting(group)]
        if not groups:
            return Piece("")
        several = any(len(group) > 1 for group in groups)
        rows = [self._spent(group) for group in groups]
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
        note = "Steps are those of the generator, for the VAE of the whole. Parameters are those of all its networks."
        note += " Time, speed and memory are mean ± standard deviation over the seeds." * several
        return Piece(self.parts.table(head, rows, "Budget", note))

    def _spent(self, group: list[Entry]) -> dict:
        """One setting's row: what is the same for all its seeds from the first, and what was measured from each."""
        first, results = group[0].result, [one.result for one in group]
        steps = first.get("steps", {})
        return self._row(
            group[0].name if len(group) == 1 else group[0].planned.setting,
            sum(first["parameters"].values()),
            next((steps[name] for name in ("vae", "generator") if name in steps), math.nan),
            next((steps[name] for name in ("critic", "discriminator") if name in steps), math.nan),
            first.get("images_seen", math.nan),
            [one["seconds"]["fit"] for one in results if "fit" in one["seconds"]],
            [one["images_per_second"] for one in results if "images_per_second" in one],
            [one["peak_rss_mib"] for one in results if "peak_rss_mib" in one],
            kind="spent",
        )

    def networks(self) -> Piece:
        """The layers of every distinct network."""
        shown: dict[str, dict] = {}
        for one in self.done:
            for name, rows in one.result["layers"].items():
                new = self._layers(name, rows) | {"title": f"{one.settings.notebook}: {name}", "runs": []}
                runs_of = shown.setdefault(f"{new['title']} {rows}", new)["runs"]
                runs_of += [one.planned.setting] * (one.planned.setting not in runs_of)
        return Piece(self.parts.layers(shown.values()))

    def assumptions(self) -> Piece:
        """What the write-up leaves open, with the values that these runs have."""
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
                rows.append(self._row(f"layers of the {MODELS[model]}", f"{networks}; the tables above list them"))
        critics = [one for one in settings if one.model == "wgan"]
        if critics:
            rows.append(self._row("how the critic is kept Lipschitz", listed(lipschitz(one) for one in critics)))
        for notebook, group in self._by_notebook(self.entries):
            mine = [entry.settings for entry in group]
            epochs, batch = listed(one.epochs for one in mine), listed(one.batch_size for one in mine)
            rates = listed(learning_rate(one) for one in mine)
            rows.append(self._row(f"epochs and optimizer, {notebook}", f"{epochs} epochs, batch {batch}, {rates}"))
        return Piece(self.parts.table(("left open", "assumed here"), rows))

    def conclusion(self) -> Piece:
        """The write-up's claims: an overview, then each with its numbers, rule and verdict."""
        lossy = any(one.reencoded for one in self.verdicts)
        rows = [
            self._row(one.claim.number, one.claim.text, one.word, one.points_to or "–", *[one.reencoded or "–"] * lossy)
            for one in self.verdicts
        ]
        head = ("no.", "claim", "verdict", "numbers point to", *["in part on"] * lossy)
        note = [{"text": self._classifier(self.done)}]
        tested = [(other, found) for other, found in self.evidence if found]
        for other, found in tested:
            note += [
                {"text": f" Tested on {len(found)} runs of "},
                {"text": f"“{other.title}”", **self._page_of(other)},
                {"text": f" too, with {_lengths(found)} epochs."},
            ]
        note += [{"text": " Of runs of several lengths those with the most seeds count."}] * bool(tested)
        overview = self.parts.table(head, rows, tally(self.verdicts), note)
        markup = overview + self.parts.claims([self._claim(one) for one in self.verdicts])
        for other, _ in tested:
            markup += self._found_by(other) if other.findings else ""
        return Piece(markup)

    def _found_by(self, other: plan.Study) -> str:
        """The findings of a study of the evidence, its runs and figures named as it names them."""
        texts = [
            self._referred(text, f"findings[{index}] of {other.name}", other.name)
            for index, text in enumerate(other.findings)
        ]
        return self.parts.found_by(other.name, {"text": f"“{other.title}”", **self._page_of(other)}, texts)

    def _claim(self, one: claims.Verdict) -> dict:
        points = f"the numbers point to: {one.points_to}" if one.points_to else ""
        on = f"in part on {one.reencoded}" if one.reencoded else ""
        why = "; ".join(part for part in (one.why, points, on) if part)
        return {
            "claim": one.claim,
            "word": one.word,
            "kind": one.word.replace(" ", "-"),
            "why": f"{why[:1].upper()}{why[1:]}.",
            "seen": self._figures_of(one),
            "head": ("comparison", "number", "before", "after", "needed", "seeds", "epochs", "holds"),
            "rows": [self._outcome(outcome) for outcome in one.outcomes],
        }

    def _figures_of(self, verdict: claims.Verdict) -> list[dict]:
        """Links to the figures that show what a claim's tests compare, of those for which both sides have runs here."""
        numbers = set()
        for test in (outcome.test for outcome in verdict.outcomes):
            sides = [
                [
                    one
                    for one in self.done
                    if all(one.result["settings"].get(name) == value for name, value in side.items())
                ]
                for side in (test.before, test.after)
                if side
            ]
            compared = {one.result["settings"].get(test.rising) for side in sides for one in side}
            if all(sides) and not (test.rising and len(compared) < 2):
                numbers |= {number for side in sides for one in side for number in self.seen.get(one.name, ())}
        links = [
            piece for number in sorted(numbers) for piece in ({"text": ", "}, *self._referred(f"[fig:{number}]", ""))
        ]
        return links[1:]

    def _outcome(self, one: claims.Outcome) -> dict:
        test, after = one.test, spread(one.after) if one.after else ""
        decided = "open" if one.hindrance else one.decided
        words = {"holds": "yes", "fails": "no", "open": "open"}
        holds = f"leans {words[one.points_to]}" if decided == "open" != one.points_to else words[decided]
        epochs = " → ".join(dict.fromkeys(listed(side) for side in one.epochs))
        values = (spread(one.before), after, test.needed, one.seeds, epochs, holds)
        on_pixels = ", of pixels" if one.metric == "frechet_pixels" else ""
        return self._row(compared(test), test.measure.label + on_pixels, *values)

    def published(self) -> Piece:
        """Published numbers beside ours, with what differs in the setting and a verdict."""
        found = beside([entry.result for entry in self.done])
        rows = [self._beside(one) for one in found if one.values]
        if not rows:
            return Piece(self.parts.notes([f"None of the {len(found)} published numbers has a run beside it here."]))
        head = ("published", "setting", "theirs", "ours", "what differs", "verdict")
        left_out = len(found) - len(rows)
        note = "Ours is the mean over the seeds there are. " + self._classifier(self.done)
        note += f" {left_out} further published numbers have no run beside them in this study." * bool(left_out)
        return Piece(self.parts.table(head, rows, "Published beside ours", note))

    def _beside(self, one: Beside) -> dict:
        theirs, verdict = one.published, f"{one.word} ({one.why})" if one.why else one.word
        ours = f"{spread(one.values)}, {short(one.metric)}" if one.values else "–"
        source = f"{theirs.what} ({theirs.kind}: {theirs.source})"
        value = f"{theirs.value:,} {theirs.unit}"  # with the digits that were published
        return self._row(source, theirs.setting, value, ours, "; ".join(one.differences), verdict, kind="beside")

    # -- all runs at once

    def all_runs(self) -> Piece:
        """Every run with every number, to sort and to filter; one row each, also of several seeds."""
        names = metric_names(self.entries)
        settings = ("latent_dim", "width", "network", "epochs", "seed")
        head = [{"text": text} for text in ("run", "model", "data")] + [
            {"text": name, "number": name != "network"} for name in settings
        ]
        head += [{"text": text} for text in ("state", "figures")] + [
            {"text": label(name), "number": True} for name in names
        ]
        rows = [self._one_run(one, settings, names) for one in self.entries]
        return Piece(self.parts.runs_table(head, rows))

    def _one_run(self, one: Entry, settings: Sequence[str], names: Sequence[str]) -> dict:
        shown = self.seen.get(one.name, ())
        cells = [{"text": one.name, "href": page_of(one)}, {"text": MODELS[one.model]}, {"text": one.data}]
        for value in (*(getattr(one.settings, name) for name in settings), one.state):
            cells.append({"text": str(value), "number": isinstance(value, int), "value": value})
        cells.append(
            {"text": listed(str(number) for number in shown) or "–", "href": f"#fig-{shown[0]}" if shown else ""}
        )
        for name in names:
            value = one.metrics.get(name)
            cells.append({"text": number(value), "number": True, "value": "" if value is None else f"{value:.10g}"})
        return {"cells": cells, "kind": "" if one.result else "missing"}

    def compare(self) -> Piece:
        """Any two runs side by side: curves on one scale, and galleries over the epochs."""
        if len(self.done) < 2:
            return Piece(self.parts.notes(["There are not two finished runs to compare."]))
        return Piece(self.parts.compare([{"name": one.name, "label": title_of(one)} for one in self.done]))

    def scatter(self) -> Piece:
        """Any two numbers over the runs; without scripts, sharpness and the Fréchet distance."""
        names = metric_names(self.done)
        if not names:
            return Piece("")
        choices = [(name, label(name)) for name in (*names, "latent_dim", "width", "epochs")]
        y = next((name for name in claims.QUALITY if name in names), names[0])
        x = next((name for name in ("sharpness", *names) if name in names and name != y), y)
        points = {}
        for one in self.done:
            if x in one.metrics and y in one.metrics:
                points.setdefault(f"{MODELS[one.model]}, {one.family}", []).append((one.metrics[x], one.metrics[y]))
        return Piece(self.parts.scatter(choices, x, y, drawing(figures.points(points, label(x), label(y)))))

    def data(self) -> Piece:
        """What the page's script needs: each run's numbers and curve, and the planes."""
        shown = [run_data(one) for one in self.done]
        names = {name: label(name) for name in (*metric_names(self.done), "latent_dim", "width", "epochs")}
        return Piece(self.parts.data({"runs": shown, "labels": names, "planes": self.planes}))

    def provenance(self) -> Piece:
        """Where all this comes from: commit, versions, machines, data, dates, time; and how to make any run again."""
        results = [one.result for one in self.done]
        dates = sorted(result["finished"] for result in results if "finished" in result)
        used = [{"Python": result.get("python", "–")} | result["versions"] for result in results]
        versions = [f"{name} {listed(sorted({one[name] for one in used if name in one}))}" for name in VERSIONS]
        spent = sum(sum(result["seconds"].values()) for result in results)
        digests = sorted({f"{one.data} {one.result['dataset']['sha256']}" for one in self.done})
        facts = [
            ("Code", f"{commit()}; each run's result.json names its notebook and sources by digest"),
            ("Versions", ", ".join(versions) if used else "–"),
            ("Machines", listed(result.get("machine", "unknown") for result in results) or "–"),
            ("Data (sha256)", "; ".join(digests) or "–"),
            ("Runs finished", f"{dates[0]} to {dates[-1]}" if dates else "–"),
            ("Computed for", f"{runs.duration(spent)} in all runs together, start-up and evaluation included"),
            ("This page", time.strftime("%Y-%m-%dT%H:%M:%S%z")),
        ]
        commands = [{"name": one.name, "command": again(one)} for one in self.entries]
        note = (
            "From the repository's folder, with the environment active; what is not said is the notebook's default. "
            "Numbers repeat to the last digit on the same kind of processor with as many threads as the run had, which "
            "is one where a study had a worker for each core: export OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1."
        )
        return Piece(self.parts.provenance(facts, commands, note))

    # -- helpers

    @staticmethod
    def _row(*values, kind: str = "") -> dict:
        """A table's row; numbers, and lists of numbers, one a seed, stand right."""
        cells = [
            {"text": spread(value), "number": True}
            if isinstance(value, list)
            else {"text": number(value), "number": isinstance(value, int | float)}
            for value in values
        ]
        return {"cells": cells, "kind": kind}

    @staticmethod
    def _by_notebook(group: list[Entry]):
        found = {name: [entry for entry in group if entry.settings.notebook == name] for name in NOTEBOOKS}
        return [(name, each) for name, each in found.items() if each]


def differences(one: Entry, others: Iterable[Entry]) -> list[str]:
    """What tells a run from others of its notebook beside latent dimension, width and seed: ['network conv']."""
    group = [other for other in others if other.settings.notebook == one.settings.notebook]
    names = [name for name in differing(group) if name not in ("latent_dim", "width", "seed")]
    return [f"{name} {getattr(one.settings, name)}" for name in names]


def strip(done: Sequence[Entry], width: int = 230) -> list[dict]:
    """For each notebook sixteen samples of one setting: that of the largest latent dimension and smallest width."""
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
    """A run in the words of a list: 'VAE on MNIST · 2 latents, width 512, seed 0'."""
    settings, rest = one.settings, beyond(one)
    words = f"{MODELS[one.model]} on {one.data} · {settings.latent_dim} latents, width {settings.width}"
    return " · ".join(filter(None, (f"{words}, seed {settings.seed}", rest)))


def film(one: Entry) -> dict:
    """What parts.html.j2 needs to show a run's fixed-latent galleries over the epochs."""
    epochs = [int(epoch) for epoch in one.samples["grid_epochs"]]
    alt = f"36 images by {one.name} from the same latents, after {listed(epochs)} epochs"
    return {
        "id": f"film-{slug(one.name)}",
        "name": title_of(one),
        "epochs": epochs,
        "picture": frames(one.samples["grids"], alt),
    }


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
        name: [float(f"{value:.5g}") for value in one.history.get(name, ())] for name in (column, f"val_{column}")
    }
    levels = [{"label": name, "value": value} for name, value in figures.LEVELS.get(column, {}).items()]
    mean_image = one.result.get("references", {}).get("test_loss", {}).get("mean_image")
    levels += [{"label": "best constant image", "value": mean_image}] if one.model == "vae" and mean_image else []
    return {
        "name": one.name,
        "label": title_of(one),
        "model": one.model,
        "family": one.family,
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
    """The repository's commit, and whether there are changes beyond it."""
    try:
        git = ["git", "-C", str(runs.ROOT)]
        name = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "version unknown: no git repository"
    return f"commit {name.stdout.strip()}" + " with changes that are not committed" * bool(changed.stdout.strip())


def again(one: Entry) -> str:
    """The one command that makes a run again, as plain papermill; everything that is not a default stands in it."""
    source = runs.NOTEBOOK_DIR / f"{one.settings.notebook}.ipynb"
    defaults = notebook_defaults(source)
    dataset = one.result["dataset"]["name"] if one.result else Path(one.settings.dataset).name  # without its folder
    asked = one.settings.model_dump(exclude={"output_dir"}) | {"dataset": dataset}
    words = ["papermill", f"notebooks/{source.name}", f"{one.name}.ipynb"]
    for name, value in asked.items():
        if value != defaults.get(name):
            words += ["-p", name, str(value)]
    return shlex.join([*words, "-p", "output_dir", f"again/{one.name}"])


def by_seed(group: list[Entry]) -> dict:
    """A table's cell that links to the notebook of each seed of a setting."""
    count, done = len(group), len(finished(group))
    links = [{"text": f"{one.settings.seed}", "href": page_of(one), "state": one.state} for one in group]
    seeds = f"{count}" if done == count else f"{done} of {count}"
    return {"text": f"{beyond(group[0])} {seeds} seed{'s' * (count > 1)}:".strip(), "links": links}


def beyond(one: Entry) -> str:
    """What a run's name says beside the settings that have columns of their own: 'epochs4', or nothing."""
    return one.name.partition(f"-seed{one.settings.seed}")[2].removeprefix("-")


def page_of(one: Entry) -> str:
    """Where a run's notebook stands, seen from the report; '' where it is not done, or published without."""
    return f"notebooks/{one.name}.html" if one.result and not runs.published(one.planned.folder) else ""


def counted(group: list[Entry]) -> str:
    """How many settings and runs."""
    settings, count = len(by_setting(group)), len(group)
    of = f"{settings} setting{'s' * (settings > 1)}, " if settings < count else ""
    return f"{of}{count} run{'s' * (count > 1)}"


def short(metric: str) -> str:
    """A metric's label without its unit."""
    return label(metric).partition(" (")[0]


def headlines(group: list[Entry]) -> list[str]:
    """The few metrics that stand under a figure: the model's own, sharpness and the Fréchet distance."""
    quality = next((name for name in claims.QUALITY if values_of(group, name)), "")
    return [name for name in (HEADLINES[group[0].model], "sharpness", quality) if values_of(group, name)]


def course(group: list[Entry]) -> tuple[figures.History, figures.History | None]:
    """What a setting's curves show: its run's history, or mean and standard deviation over its seeds."""
    histories = [one.history for one in group]
    return figures.over_seeds(histories) if len(histories) > 1 else (histories[0], None)


def extent(group: list[Entry]) -> list[figures.History]:
    """Histories that hold all that a setting's curves reach."""
    history, band = course(group)
    return [history, *figures.edges(history, band)]


def grids(done: Iterable[Entry]) -> list[dict[tuple[int, int], list[Entry]]]:
    """Full grids over latent_dim and width, two values or more of each: the runs, one a seed, of each such pair.

    Runs are of one grid when they are alike in everything but these two settings and the seed.
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
    texts = [["\n± ".join(filter(None, mean_and_deviation(score))) for score in row] for row in scores]
    return drawing(
        figures.heat_map(values, latents, widths, texts, ("latent_dim", "width"), label(metric)), kind="paper"
    )


def varied(group: list[Entry]) -> list[str]:
    """The settings that a table of these runs needs columns for; seeds are told apart in another way."""
    return [name for name in ALWAYS if name in {"latent_dim", "width", *differing(group)} - {"seed"}]


def differing(group: list[Entry]) -> list[str]:
    """The settings that are not the same in all runs, of those that the tables tell."""
    return [name for name in ALWAYS if len({getattr(one.settings, name) for one in group}) > 1]


def about(group: list[Entry]) -> str:
    """Model, dataset and settings of the runs behind a figure, in words."""
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
    schedule = {"constant": "", "linear": " falling to 0", "burda": " falling as in Burda et al. (2016)"}
    return f"{optimizer(settings)} {settings.learning_rate:g}{schedule[settings.schedule]}"


def lipschitz(settings) -> str:
    penalty, clipping = f"gradient penalty {settings.gp_weight:g}", f"weights clipped at {settings.clip:g}"
    return f"{clipping if settings.lipschitz == 'clip' else penalty}, {settings.n_critic} critic steps a generator step"


def metric_names(group: Iterable[Entry]) -> list[str]:
    """The metrics that any of the runs has, the known ones first."""
    found = dict.fromkeys(name for entry in group for name in entry.metrics)
    return [name for name in METRICS if name in found] + [name for name in found if name not in METRICS]
