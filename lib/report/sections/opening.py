"""The top of the report: the title, what was run and what came of it in a few sentences, samples, the findings."""

import shlex
from collections.abc import Sequence
from statistics import fmean

from lib import runs
from lib.report import claims
from lib.report.pieces import TEMPLATE, parts, piece, referred, tiles
from lib.report.records import FAMILIES, Record, Records
from lib.report.words import by_setting, differences, differing, listed, shown_settings, slug, values_of
from lib.rounding import spread
from lib.study import plan

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
    done, names = records.done, _varying(records)
    values = {
        name: sorted({getattr(one.settings, name) for one in done if hasattr(one.settings, name)}) for name in names
    }
    varying = [f"{VARIED.get(name, name)} ({listed(each)})" for name, each in values.items() if len(each) > 1]
    facts = {
        "done": len(done),
        "runs": len(records.runs),
        "models": listed(one.title for group in records.by_notebook.values() for one in group if one.result),
        "data": listed(one.data for one in done),
        "trained": runs.duration(sum(one.result["seconds"].get("fit", 0) for one in done)),
        "varying": listed(varying),
        "lowest": [found for family in FAMILIES.values() if (found := _lowest_loss(done, family))],
        "unscored": sum(one.state == "unscored" for one in done),
        "evaluated": any("evaluated" in one.result for one in done),
        "of_write_up": records.of_write_up,
        "tally": claims.tally(records.verdicts),
        "stand_ins": listed(sorted({f"{one.data} in place of {one.family}" for one in done if one.stand_in})),
        "reencoded": listed(sorted({one.reencoded for one in done if one.reencoded})),
        "stale": [one for one in done if one.state == "stale"],
        "strip": strip(done),
        "several": bool({*names} - {"latent_dim", "width"}),
    }
    return parts().title(records.study, facts)


def _varying(records: Records) -> list[str]:
    """The settings that vary within a notebook; the latent dimension and the width if none does."""
    found = {name for group in records.by_notebook.values() for name in differing(group)} - {"seed"}
    return [name for name in shown_settings(records.runs) if name in (found or {"latent_dim", "width"})]


def _lowest_loss(done: Sequence[Record], family: str) -> dict:
    """The setting with the lowest test loss on a dataset; {} if there is none."""
    groups = by_setting(one for one in done if one.family == family and "test_loss" in one.metrics)
    if not groups:
        return {}
    losses, group = min(((values_of(group, "test_loss"), group) for group in groups), key=lambda each: fmean(each[0]))
    first = group[0].settings
    at = listed((f"{first.latent_dim} latents", f"width {first.width}", *differences(group[0], done)))
    return {"model": group[0].title, "data": group[0].data, "loss": spread(losses), "at": at}


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
