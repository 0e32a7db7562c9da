"""Records -> report.ipynb, which shows the sections -> index.html, one file that needs no network.

`execution` has papermill execute the notebooks; `html` converts them. Never imports TensorFlow.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import nbformat

from lib import files
from lib.errors import UserError
from lib.notebooks import ROOT
from lib.report import assets, decoders, execution, html, landing, records
from lib.report.records import Record, Records
from lib.report.words import by_setting
from lib.runs import ownership
from lib.study import plan

HEAVY = 15e6  # bytes of a page


class IncompleteError(UserError):
    """The report was built, but it has gaps, and --strict does not allow them."""

    status = 1


def build(study: plan.Study, evidence: Sequence[plan.Study] = (), strict: bool = False, apart: bool = False) -> Path:
    """Writes a study's results.csv, report.ipynb, notebooks/*.html and index.html; returns the latter.

    Args:
        evidence: the studies on whose runs its claims are tested too.
        apart: put heavy images into files in assets/, which are loaded when they come into view, not into the page,
            and the decoders of all settings into the page: from a folder, its policy lets it read images only.

    Raises:
        IncompleteError: `strict`, and some run is not done; the report is built all the same.
        UserError: the folder cannot be written to, the report's notebook failed, or the page lacks a figure or has a
            link that leads nowhere; or there is no run to show, but a page that was built when there were some. An
            earlier page stays as it was.
    """
    page, found = study.folder / "index.html", records.collect(study, evidence)
    try:
        _check(found, page)
        decoders.complete([group[0].planned.folder for group in by_setting(found.done)][: decoders.DECODED])
        files.write_all(_contents(found, execution.report(study, apart), page, apart))
        if page.parent.parent == plan.REPORTS_DIR:
            files.write_all([(home := page.parent.parent / page.name, landing.landing(home))])
    except OSError as error:
        where = error.filename or study.folder
        raise UserError(f"{where}: the report cannot be written ({error.strerror or error})") from None
    gaps = [one.name for one in found.runs if not one.result]
    if strict and gaps:
        raise IncompleteError(f"{page}: built, but {len(gaps)} of {len(found.runs)} runs are not done, first {gaps[0]}")
    return page


def _check(found: Records, page: Path) -> None:
    """Makes sure that nothing is lost, be it only what came there while the runs were made."""
    pages = [*(f"{one.name}.html" for one in found.runs), "estimators.html"]
    ownership.check_study_folder(page.parent, pages)
    earlier = 0
    with suppress(OSError, ValueError, KeyError, TypeError):
        earlier = json.loads((page.parent / "summary.json").read_bytes())["done"] * page.is_file()
    if earlier and not found.done:
        raise UserError(
            f"{page}: left as it is: it shows {earlier} runs, and none of them can be shown from what is here; "
            "make the runs first, or use --out DIR"
        )


def _contents(
    found: Records, notebook: nbformat.NotebookNode, page: Path, apart: bool
) -> Iterator[tuple[Path, str | bytes]]:
    """What stands in a study's folder, by path; each is made when it is its turn, the page and its images at last."""
    folder = page.parent
    yield folder / "results.csv", found.csv
    ownership.keep_edited(folder / "report.ipynb", page)
    yield folder / "report.ipynb", nbformat.writes(notebook)
    for one in found.done:
        if outdated(one, made := folder / "notebooks" / f"{one.name}.html"):
            yield made, of_run(one.planned)
    self_test = html.render(execution.self_test(), "Can the numbers be trusted?", home="../index.html")
    yield folder / "notebooks" / "estimators.html", self_test
    markup, images = markup_of(found, notebook, page), {}
    if apart:
        markup, images = assets.apart(markup)
    for name, content in images.items():
        if not (folder / "assets" / name).exists():
            yield folder / "assets" / name, content
    if len(markup) > HEAVY:
        size = f"{page.name} has {len(markup) / 1e6:.0f} MB"
        print(f"{size}; with --assets its images become files that are loaded when they come into view")
    yield page, markup
    for path in assets.made(folder / "assets"):  # of an earlier page
        if path.name not in images:
            path.unlink()
    yield folder / "summary.json", json.dumps(landing.summary(found))


def markup_of(found: Records, notebook: nbformat.NotebookNode, page: Path) -> str:
    """The page's markup: the executed notebook without code."""
    beside_others = page.parent.parent == plan.REPORTS_DIR and not goes_public(page)
    home = {"home": "../index.html", "home_name": "All studies"} if beside_others else {}
    if not found.of_write_up:  # nothing here can be compared with it
        notebook.cells = [cell for cell in notebook.cells if "write-up" not in cell.metadata.get("tags", ())]
    markup = html.render(notebook, found.study.title, code=False, **home)
    checked(markup, found.study)
    return markup


def goes_public(page: Path) -> bool:
    """Whether a page goes where the list of studies does not: git ignores the list, but not this page."""
    words = ["git", "check-ignore", "--quiet", page.name]
    with suppress(OSError):  # there is no git
        return subprocess.run(words, cwd=page.parent, stderr=subprocess.DEVNULL, check=False).returncode == 1
    return False


def checked(markup: str, study: plan.Study) -> None:
    """Raises UserError if a page lacks one of its study's figures, has one twice, or has a link that leads nowhere."""
    ids = re.findall(r'\sid="([^"]+)"', markup)
    wrong = [f"Figure {one.number}" for one in study.figures if ids.count(f"fig-{one.number}") != 1]
    if wrong:
        raise UserError(f"{study.path}: the report must show each figure exactly once, unlike {', '.join(wrong)}")
    if dangling := sorted(set(re.findall(r'\shref="#([^"]+)"', markup)) - set(ids)):
        raise UserError(f"{study.path}: the report has links that lead nowhere: {', '.join(dangling[:5])}")


# ---- the runs' own notebooks ---------------------------------------------------------------------


def outdated(one: Record, page: Path) -> bool:
    """Whether a run's notebook is here, and no page of it that is newer than the notebook and the template."""
    made_from = [one.planned.folder / "notebook.ipynb", Path(html.__file__), *html.TEMPLATE.iterdir()]
    return bool(one.page) and not (
        page.exists() and page.stat().st_mtime > max(path.stat().st_mtime for path in made_from)
    )


def of_run(run: plan.PlannedRun) -> str:
    """A finished run's notebook as a page."""
    notebook = nbformat.read(run.folder / "notebook.ipynb", as_version=4)
    markup = html.render(notebook, run.name, home="../index.html")
    return markup.replace(f"{ROOT}/", "")  # this machine's paths do not concern the reader
