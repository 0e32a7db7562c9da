"""The top of the report: the title, what was run and what came of it in a few sentences, samples, the findings."""

import shlex
from collections.abc import Sequence
from statistics import fmean

from lib import runs
from lib.report import claims
from lib.report.pieces import TEMPLATE, parts, piece, referred, tiles
from lib.report.records import FAMILIES, Record, Records
from lib.report.words import ALWAYS, by_setting, differences, differing, listed, slug, values_of
from lib.rounding import spread
from lib.study import plan

WRITE_UP = (
    "“The write-up” is a student's homework report that trained a VAE, a GAN and a WGAN on MNIST and CIFAR-10 and "
    "varied the latent dimension and the model complexity. This project repeats its 22 runs and tests its conclusions."
)
VARIED = {
    "latent_dim": "the latent dimension",
    "width": "the model complexity, which is the width of the first Dense layer",
    "network": "the network",
    "epochs": "the number of epochs",
}


@piece
def in_jupyterlab(records: Records) -> str:
    """The style, which the page has in its head, and where to find what does not work in JupyterLab."""
    styles = [(TEMPLATE / name).read_text(encoding="utf-8") for name in ("colours.css", "report.css", "lab.css")]
    study, page = records.study, records.study.folder / "index.html"
    known = study.path.parent in (plan.PARAMETERS_DIR, plan.REPORTS_DIR)
    words = ["latent-report", "report", study.name if known else str(study.path)]
    at_home = study.folder in (plan.REPORTS_DIR / study.name, study.path)
    words += [] if at_home else ["--out", str(study.folder)]
    return f"<style>{''.join(styles)}</style>{parts().in_lab(page.exists(), page.name, shlex.join(words))}"


@piece
def findings(records: Records) -> str:
    """What the study's author found, unless `-p` has made it a different study."""
    texts = [] if records.study.overrides else records.study.findings
    return parts().findings([referred(records, one, f"findings[{index}]") for index, one in enumerate(texts)])


@piece
def title(records: Records) -> str:
    """The title, a few sentences about what was run, and samples of each model and dataset."""
    done, varied = records.done, _varied(records)
    facts = {
        "sentences": _sentences(records, varied) if done else [_none_done(records), WRITE_UP],
        "stand_ins": listed(sorted({f"{one.data} in place of {one.family}" for one in done if one.stand_in})),
        "reencoded": listed(sorted({one.reencoded for one in done if one.reencoded})),
        "stale": [one for one in done if one.state == "stale"],
        "done": len(done),
        "runs": len(records.runs),
        "strip": strip(done),
        "several": bool({*varied} - {"latent_dim", "width"}),
    }
    return parts().title(records.study, facts)


def _none_done(records: Records) -> str:
    return f"None of this study's {len(records.runs)} runs is done yet."


def _varied(records: Records) -> list[str]:
    """The settings that vary within a notebook; the latent dimension and the width if none does."""
    found = {name for group in records.by_notebook.values() for name in differing(group)} - {"seed"}
    return [name for name in ALWAYS if name in (found or {"latent_dim", "width"})]


def _sentences(records: Records, names: Sequence[str]) -> list[str]:
    done, count = records.done, len(records.runs)
    fit = sum(one.result["seconds"].get("fit", 0) for one in done)
    titles = listed(one.title for group in records.by_notebook.values() for one in group if one.result)
    values = {name: sorted({getattr(one.settings, name) for one in done}) for name in names}
    varying = [f"{VARIED.get(name, name)} ({listed(each)})" for name, each in values.items() if len(each) > 1]
    of = f" of {count}" * (len(done) < count)
    sentences = [
        f"This report shows {len(done)}{of} run{'s' * (count > 1)} of {titles} on "
        f"{listed(one.data for one in done)}, trained for {runs.duration(fit)} in total.",
        *[f"What varies: {listed(varying)}."] * bool(varying),
        *[_lowest_loss(records, family) for family in FAMILIES.values()],
    ]
    if earlier := sum(one.state == "unscored" for one in done):
        sentences.append(
            f"The numbers of {earlier} run{'s' * (earlier > 1)} come from an earlier version of the code; "
            "the command latent-report evaluate computes them again."
        )
    if any("evaluated" in one.result for one in done):
        sentences.append(
            "Some numbers were computed again after training; a run's own notebook still shows the earlier ones."
        )
    return [*filter(None, sentences), WRITE_UP, claims.tally(records.verdicts)]


def _lowest_loss(records: Records, family: str) -> str:
    scored = [one for one in records.done if one.family == family and "test_loss" in one.metrics]
    if not scored:
        return ""
    group = min(by_setting(scored), key=lambda group: fmean(values_of(group, "test_loss")))
    first = group[0].settings
    at = (f"{first.latent_dim} latents", f"width {first.width}", *differences(group[0], records.done))
    return (
        f"The {group[0].title}'s lowest test loss on {group[0].data} is {spread(values_of(group, 'test_loss'))} nats "
        f"per image, with {listed(at)}."
    )


def strip(done: Sequence[Record], width: int = 230) -> list[dict]:
    """For each notebook, sixteen samples of one setting: the largest latent dimension with the smallest width."""
    firsts = [group[0] for group in by_setting(done)]
    by_size = sorted(firsts, key=lambda one: (one.settings.latent_dim, -one.settings.width))
    shown = {one.settings.notebook: one for one in by_size}
    return [
        {
            "anchor": slug(f"{one.title} {one.family}"),
            "label": f"{one.title} on {one.data}" + "".join(f", {text}" for text in differences(one, done)),
            "picture": tiles(one.samples["samples"][:16], 4, f"16 images by the {one.title} on {one.data}", width),
        }
        for one in sorted(shown.values(), key=done.index)
    ]
