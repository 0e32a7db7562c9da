"""Records -> report.ipynb, which shows the sections -> index.html, one file that needs no network.

papermill executes notebooks/report.ipynb; `html` converts it, and every run's own notebook. Never imports TensorFlow.
"""

import base64
import hashlib
import json
import logging
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import psutil

from lib import files, keys, ownership, runs
from lib.errors import UserError
from lib.notebooks import NOTEBOOK_DIR, ROOT
from lib.report import claims, html, records, tour
from lib.report.pieces import parts
from lib.report.records import Record, Records
from lib.report.sections.opening import strip
from lib.report.words import by_setting, listed
from lib.study import kernel, plan

HEAVY = 15e6  # bytes of a page
TOURED = 40  # settings at most: about half a second each


class IncompleteError(UserError):
    """The report was built, but it has gaps, and --strict does not allow them."""

    status = 1


def build(study: plan.Study, strict: bool = False, assets: bool = False) -> Path:
    """Writes a study's results.csv, report.ipynb, notebooks/*.html and index.html; returns the latter.

    Args:
        assets: put heavy images into files in assets/, which are loaded when they come into view, not into the page.

    Raises:
        IncompleteError: `strict`, and some run is not done; the report is built all the same.
        UserError: the folder cannot be written to, the report's notebook failed, or the page lacks a figure or has a
            link that leads nowhere; or there is no run to show, but a page that was built when there were some. An
            earlier page stays as it was.
    """
    page = study.folder / "index.html"
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        found = records.read(study)
        _check(found, page)
        tour.complete([group[0].planned.folder for group in by_setting(found.done)][:TOURED])
        notebook = execute(study)
        _write(found, notebook, page, assets)
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


def _write(found: Records, notebook: nbformat.NotebookNode, page: Path, assets: bool) -> None:
    """Writes the page, and whatever else stands beside it."""
    folder, at_home = page.parent, page.parent.parent == plan.REPORTS_DIR
    files.write_aside(folder / "results.csv", results_csv(found))
    ownership.keep_edited(folder / "report.ipynb", page)
    files.write_aside(folder / "report.ipynb", nbformat.writes(notebook))
    (folder / "notebooks").mkdir(exist_ok=True)
    for one in found.done:
        write_notebook(one, folder / "notebooks")
    write_self_test(folder / "notebooks")
    listed_beside = at_home and not goes_public(page)
    home = {"home": "../index.html", "home_name": "All studies"} if listed_beside else {}
    if not found.of_write_up:  # nothing here can be compared with it
        notebook.cells = [cell for cell in notebook.cells if "write-up" not in cell.metadata.get("tags", ())]
    markup = html.render(notebook, found.study.title, code=False, **home)
    checked(markup, found.study)
    markup, kept = with_assets(markup, folder / "assets") if assets else (markup, set())
    files.write_aside(page, markup)
    for path in made(folder / "assets"):  # of an earlier page
        if path.name not in kept:
            path.unlink()
    files.write_aside(folder / "summary.json", json.dumps(summary(found)))
    if at_home:
        landing(folder.parent)
    if len(markup) > HEAVY:
        size = f"{page.name} has {len(markup) / 1e6:.0f} MB"
        print(f"{size}; with --assets its images become files that are loaded when they come into view")


def goes_public(page: Path) -> bool:
    """Whether a page goes where the list of studies does not: git ignores the list, but not this page."""
    words = ["git", "check-ignore", "--quiet", page.name]
    with suppress(OSError):  # there is no git
        return subprocess.run(words, cwd=page.parent, stderr=subprocess.DEVNULL, check=False).returncode == 1
    return False


def results_csv(found: Records) -> str:
    """The table of the records, a row for each run."""
    return found.table.to_csv(index=False, lineterminator="\n")


def checked(markup: str, study: plan.Study) -> None:
    """Raises UserError if a page lacks one of its study's figures, has one twice, or has a link that leads nowhere."""
    ids = re.findall(r'\sid="([^"]+)"', markup)
    wrong = [f"Figure {one.number}" for one in study.figures if ids.count(f"fig-{one.number}") != 1]
    if wrong:
        raise UserError(f"{study.path}: the report must show each figure exactly once, unlike {', '.join(wrong)}")
    if dangling := sorted(set(re.findall(r'\shref="#([^"]+)"', markup)) - set(ids)):
        raise UserError(f"{study.path}: the report has links that lead nowhere: {', '.join(dangling[:5])}")


# ---- heavy images beside the page ----------------------------------------------------------------


def with_assets(markup: str, folder: Path) -> tuple[str, set[str]]:
    """Moves a page's heavy images into files, each only once; returns the page and the files' names."""
    folder.mkdir(exist_ok=True)
    names: dict[str, str] = {}

    def moved(found: re.Match) -> str:
        form, content = found.groups()
        if content not in names:
            names[content] = f"{digest(content.encode())}.{form.removesuffix('+xml')}"
            if not (folder / names[content]).exists():
                files.write_aside(folder / names[content], base64.b64decode(content))
        return f'src="assets/{names[content]}"'

    markup = re.sub(r'\bsrc="data:image/([a-z+]+);base64,([A-Za-z0-9+/=]{4000,})"', moved, markup)
    return markup, set(names.values())


def digest(content: bytes) -> str:
    """The name of an image's file, from the image in base64."""
    return hashlib.sha256(content).hexdigest()[:20]


def made(folder: Path) -> list[Path]:
    """The images that `with_assets` put into a folder: their names are digests of what they hold. All else stays."""
    named = [path for path in folder.glob("*") if re.fullmatch(r"[0-9a-f]{20}\.[a-z]+", path.name)]
    images = [path for path in named if path.is_file() and not path.is_symlink()]
    return [path for path in images if digest(base64.b64encode(path.read_bytes())) == path.stem]


# ---- the list of studies -------------------------------------------------------------------------


def summary(found: Records) -> dict:
    """What the list of studies says about one of them."""
    return {
        "title": found.study.title,
        "runs": len(found.runs),
        "done": len(found.done),
        "data": listed(one.data for one in found.done) or "no data yet",
        "trained": runs.duration(sum(one.result["seconds"].get("fit", 0) for one in found.done)),
        "built": time.strftime("%Y-%m-%d"),
        "tally": claims.tally(found.verdicts) if found.of_write_up else "",
        "strip": [one["picture"] for one in strip(found.done, 120)],
    }


def landing(folder: Path) -> Path:
    """Writes the index.html of a folder, which lists all studies that have a report, the latest first."""
    page, studies = folder / "index.html", []
    for path in sorted(folder.glob("*/summary.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        with suppress(OSError, ValueError):
            if (path.parent / page.name).is_file():
                studies.append(json.loads(path.read_bytes()) | {"href": f"{path.parent.name}/{page.name}"})
    shown = f'<div class="report">{parts().landing(studies)}</div>'
    output = nbformat.v4.new_output("display_data", {"text/html": shown})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])])
    if not ownership.is_ours(page, ownership.STUDY_FILES[page.name]):
        raise UserError(f"{page}: was not written by a study and would be lost: move it away")
    files.write_aside(page, html.render(notebook, "Studies", code=False))
    return page


# ---- notebooks -----------------------------------------------------------------------------------


def execute(study: plan.Study) -> nbformat.NotebookNode:
    """The report's notebook, executed for a study."""
    default = study.folder in (plan.REPORTS_DIR / study.name, study.path)
    known = study.path == plan.PARAMETERS_DIR / f"{study.name}.yaml"
    parameters = {
        "study": study.name if known else str(study.path),
        "out": "" if default else str(study.folder),
        "overrides": study.overrides,  # the notebook reads the study again
    }
    return _executed("report", None, parameters)


def _executed(name: str, output: Path | None, parameters: dict[str, Any]) -> nbformat.NotebookNode:
    from papermill import PapermillExecutionError

    source = NOTEBOOK_DIR / f"{name}.ipynb"
    with ThreadPoolExecutor(1) as executor:  # in the main thread nbclient would take Ctrl-C and SIGTERM from us
        execution = executor.submit(kernel.execute, source, output, parameters)
        try:
            return execution.result()
        except PapermillExecutionError as error:
            raise UserError(f"{name}.ipynb: {error.ename}: {error.evalue}") from None
        except (KeyError, RuntimeError) as error:  # no such kernel; it died, or did not start in time
            raise UserError(f"{name}.ipynb: {type(error).__name__}: {error}") from None
        except KeyboardInterrupt:
            logging.disable()  # papermill would report the kernel's death
            while not execution.done():  # a kernel that is only just starting appears later
                for child in psutil.Process().children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        child.kill()
                wait([execution], timeout=0.2)
            raise


def write_notebook(one: Record, folder: Path) -> None:
    """Writes a run's notebook as a page, unless there is none, or a page newer than the notebook and the template."""
    page, source = folder / f"{one.name}.html", one.planned.folder / "notebook.ipynb"
    made_from = [source, Path(html.__file__), *html.TEMPLATE.iterdir()]
    if not one.page or (page.exists() and page.stat().st_mtime > max(path.stat().st_mtime for path in made_from)):
        return
    markup = html.render(nbformat.read(source, as_version=4), one.name, home="../index.html")
    files.write_aside(page, markup.replace(f"{ROOT}/", ""))  # this machine's paths do not concern the reader


def write_self_test(folder: Path) -> None:
    """estimators.ipynb as a page beside the runs' notebooks; executed once for each state of what it tests."""
    key = {
        "notebook": keys.notebook_digest("estimators"),
        "sources": keys.every_source(),
        "versions": keys.versions(),
    }

    def make(aside: Path) -> None:
        print("executing notebooks/estimators.ipynb, the self-test of the estimators: a minute, only once", flush=True)
        _executed("estimators", aside / "notebook.ipynb", {})

    notebook = nbformat.read(files.cached("estimators", key, make) / "notebook.ipynb", as_version=4)
    markup = html.render(notebook, "Can the numbers be trusted?", home="../index.html")
    files.write_aside(folder / "estimators.html", markup)
