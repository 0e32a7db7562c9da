"""The top of the report: the title, what was run, what the settings do, the author's findings."""

import shlex
from collections.abc import Sequence

from lib import runs
from lib.report import html, panels
from lib.report.pieces import TEMPLATE, drawing, parts, piece, referred, tiles
from lib.report.records import Record, Records
from lib.report.words import by_setting, headlines, listed, measured, slug
from lib.series import at
from lib.study import plan

ASKED = {"latent_dim": "latent dimension"}
SAMPLES = 6  # of each value


@piece
def in_jupyterlab(records: Records) -> str:
    """The style, which the page has in its head, and where to find what does not work in JupyterLab."""
    names = [name for name in html.STYLES if name != "page.css"] + ["lab.css"]
    styles = [(TEMPLATE / name).read_text(encoding="utf-8") for name in names]
    study, page = records.study, records.study.folder / "index.html"
    known = study.path.parent in (plan.PARAMETERS_DIR, plan.REPORTS_DIR)
    words = ["latent-report", "report", study.name if known else str(study.path)]
    at_home = study.folder in (plan.REPORTS_DIR / study.name, study.path)
    words += [] if at_home else ["--out", str(study.folder)]
    return f"<style>{''.join(styles)}</style>{parts().in_lab(page.exists(), page.name, shlex.join(words))}"


@piece
def title(records: Records) -> str:
    """The title, and in one paragraph what was run and what to know about it."""
    done = records.done
    facts = {
        "done": len(done),
        "runs": len(records.runs),
        "models": listed(one.title for group in records.by_notebook.values() for one in group if one.result),
        "data": listed(one.data for one in done),
        "trained": runs.duration(sum(one.result["seconds"].get("fit", 0) for one in done)),
        "unscored": sum(one.state == "unscored" for one in done),
        "evaluated": any("evaluated" in one.result for one in done),
        "of_write_up": records.of_write_up,
        "stand_ins": listed(sorted({f"{one.data} in place of {one.family}" for one in done if one.stand_in})),
        "reencoded": listed(sorted({one.reencoded for one in done if one.reencoded})),
        "stale": [one for one in done if one.state == "stale"],
    }
    return parts().title(records.study, facts)


@piece
def answer(records: Records) -> str:
    """What the settings that vary do: a panel for each model and dataset, with its numbers and samples."""
    shown = panels.panels(records)
    if not shown:
        return ""
    settings = dict.fromkeys(name for one in shown for name in one.settings)
    question = f"What do{'es' * (len(settings) == 1)} {listed(ASKED.get(name, name) for name in settings)} do?"
    made = [_panel(one) for one in shown]
    own = all(found[0].own for one in shown for metric in one.series.values() for found in metric.values())
    return parts().answer(question if settings else "Samples and numbers", panels.summary(shown), made, own)


def _panel(one: panels.Panel) -> dict:
    """What template/parts/ needs to show a panel; without anything that varies, its samples and numbers."""
    first = one.group[0]
    same = [each[0] for each in one.records.by_notebook.values() if _anchor(each[0]) == _anchor(first)]
    path = first.settings.notebook
    more = "" if same[0].settings.notebook == path else f" {first.settings.notebook_name}"
    made = {"title": one.title, "anchor": _anchor(first) + (f"-{slug(more)}" if more else "")}
    if not one.series:
        numbers = [f"{one.records.label(name)} {measured(one.group, name)}" for name in headlines(one.group)]
        return made | {"picture": thumbnail(one.group), "numbers": " · ".join(numbers)}
    return made | {"chart": drawing(one.figure()), "said": one.sentences(), "strip": _strip(one)}


def _anchor(one: Record) -> str:
    return slug(f"{one.title} {one.family}")


def _strip(panel: panels.Panel) -> list[dict]:
    """Samples for each value of the first setting, of runs that differ only in it, as far as the study has them."""
    setting = panel.settings[0]
    own = next(one for found in panel.series.values() for one in found[setting] if one.own)
    shown = []
    for value in own.numbers:
        alike = {**own.shared, setting: value}
        run = next((one for one in panel.group if _has(one, alike)), None)
        if run:
            label = at(setting, value)
            alt = f"{SAMPLES} images by the {panel.title}, {label}"
            shown.append({"label": label, "picture": tiles(run.first_samples(SAMPLES), 3, alt)})
    return shown


def _has(one: Record, wanted: dict) -> bool:
    """Whether a run has these settings, the dataset aside."""
    had = one.result["settings"]
    return all(had.get(name) == value for name, value in wanted.items() if name != "dataset")


def thumbnail(group: Sequence[Record], width: int = 230) -> dict:
    """Sixteen samples of one setting: the largest latent dimension with the smallest width."""
    firsts = [each[0] for each in by_setting(group)]
    one = max(firsts, key=lambda one: (one.settings.latent_dim, -one.settings.width))
    return tiles(one.first_samples(16), 4, f"16 images by the {one.title} on {one.data}", width)


@piece
def findings(records: Records) -> str:
    """What the study's author found, unless `-p` has made it a different study."""
    texts = [] if records.study.overrides else records.study.findings
    return parts().findings([folded(referred(records, one, f"findings[{index}]")) for index, one in enumerate(texts)])


def folded(text: list[dict]) -> dict:
    """A text that begins with a strong sentence as this claim and the rest, which unfolds."""
    claim = text[:1] if text and text[0].get("strong") and len(text) > 1 else []
    return {"claim": claim, "rest": text[len(claim) :]}
