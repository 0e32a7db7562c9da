"""Finished runs -> report.ipynb -> nbconvert -> index.html, one file that needs no network. Never imports TensorFlow.

papermill executes notebooks/report.ipynb, which shows the pieces that `writeup` makes; `html` converts it, and every
run's own notebook.
"""

import base64
import csv
import hashlib
import io
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import psutil

from lib import ownership, runs, tour
from lib.settings import UserError
from lib.study import claims, html, kernel, plan
from lib.study.writeup import (
    WRITE_UP,
    Entry,
    by_setting,
    entries,
    finished,
    listed,
    metric_names,
    page_of,
    parts,
    results,
    strip,
    tally,
)

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
        found = entries(study)
        pages = [*(f"{one.name}.html" for one in found), "estimators.html"]
        ownership.check_study_folder(study.folder, pages)  # also what came there while the runs were made
        if not finished(found) and (earlier := _shown_before(study.folder)):
            raise UserError(
                f"{page}: left as it is: it shows {earlier} runs, and none of them can be shown from what is here; "
                "make the runs first, or use --out DIR"
            )
        decode(found)
        notebook = execute(study)
        runs.write_aside(study.folder / "results.csv", results_csv(found))
        ownership.keep_edited(study.folder / "report.ipynb", page)
        runs.write_aside(study.folder / "report.ipynb", nbformat.writes(notebook))
        for one in found:
            if page_of(one):
                write_notebook(one, study.folder / "notebooks")
        write_self_test(study.folder / "notebooks")
        at_home = study.folder.parent == plan.REPORTS_DIR
        listed_beside = at_home and not published(page)
        home = {"home": "../index.html", "home_name": "All studies"} if listed_beside else {}
        markup = html.render(notebook, study.title, code=False, **home)
        checked(markup, study)
        markup, kept = beside(markup, study.folder / "assets") if assets else (markup, set())
        runs.write_aside(page, markup)
        for path in made(study.folder / "assets"):  # of an earlier page
            if path.name not in kept:
                path.unlink()
        runs.write_aside(study.folder / "summary.json", json.dumps(summary(study, found)))
        if at_home:
            landing(study.folder.parent)
        if len(markup) > HEAVY:
            print(
                f"{page.name} has {len(markup) / 1e6:.0f} MB; with --assets its images become files that are loaded "
                "when they come into view"
            )
    except OSError as error:
        where = error.filename or study.folder
        raise UserError(f"{where}: the report cannot be written ({error.strerror or error})") from None
    gaps = [one.name for one in found if not one.result]
    if strict and gaps:
        raise IncompleteError(f"{page}: built, but {len(gaps)} of {len(found)} runs are not done, first {gaps[0]}")
    return page


def _shown_before(folder: Path) -> int:
    """How many runs the page shows that is in a study's folder; 0 without one."""
    try:
        return json.loads((folder / "summary.json").read_bytes())["done"] * (folder / "index.html").is_file()
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def published(page: Path) -> bool:
    """Whether a page goes where the list of studies does not: git ignores the list, but not this page."""
    words = ["git", "check-ignore", "--quiet", page.name]
    with suppress(OSError):  # there is no git
        return subprocess.run(words, cwd=page.parent, stderr=subprocess.DEVNULL, check=False).returncode == 1
    return False


def decode(found: Sequence[Entry]) -> None:
    """Lets networks decode what their runs did not keep, for the first seed of each setting, in another process."""
    firsts = [group[0] for group in by_setting(finished(found))][:TOURED]
    folders = [str(one.planned.folder) for one in firsts if tour.missing(one.planned.folder)]
    if not folders:
        return
    print(f"decoding walks and planes of {len(folders)} runs", flush=True)
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-m", "lib.tour", *folders], cwd=runs.ROOT, env=environment, check=False)
    if done.returncode:
        print(f"walks and planes are missing: their process ended with status {done.returncode}", file=sys.stderr)


def checked(markup: str, study: plan.Study) -> None:
    """Raises UserError if a page lacks one of its study's figures, has one twice, or has a link that leads nowhere."""
    ids = re.findall(r'\sid="([^"]+)"', markup)
    wrong = [f"Figure {one.number}" for one in study.figures if ids.count(f"fig-{one.number}") != 1]
    if wrong:
        raise UserError(f"{study.path}: the report must show each figure exactly once, unlike {', '.join(wrong)}")
    if dangling := sorted(set(re.findall(r'\shref="#([^"]+)"', markup)) - set(ids)):
        raise UserError(f"{study.path}: the report has links that lead nowhere: {', '.join(dangling[:5])}")


def beside(markup: str, folder: Path) -> tuple[str, set[str]]:
    """Moves a page's heavy images into files, each only once; returns the page and the files' names."""
    folder.mkdir(exist_ok=True)
    names: dict[str, str] = {}

    def moved(found: re.Match) -> str:
        form, content = found.groups()
        if content not in names:
            name = f"{digest(content.encode())}.{form.removesuffix('+xml')}"
            if not (folder / name).exists():
                runs.write_aside(folder / name, base64.b64decode(content))
            names[content] = name
        return f'src="assets/{names[content]}"'

    markup = re.sub(r'\bsrc="data:image/([a-z+]+);base64,([A-Za-z0-9+/=]{4000,})"', moved, markup)
    return markup, set(names.values())


def digest(content: bytes) -> str:
    """The name of an image's file, from the image in base64."""
    return hashlib.sha256(content).hexdigest()[:20]


def made(folder: Path) -> list[Path]:
    """The images that `beside` has put into a folder: their names are the digests of what they hold. All else stays."""
    named = [path for path in folder.glob("*") if re.fullmatch(r"[0-9a-f]{20}\.[a-z]+", path.name)]
    images = [path for path in named if path.is_file() and not path.is_symlink()]
    return [path for path in images if digest(base64.b64encode(path.read_bytes())) == path.stem]


def summary(study: plan.Study, found: Sequence[Entry]) -> dict:
    """What the list of studies says about one of them."""
    done = finished(found)
    others = [result for other in plan.evidence(study) for result in results(other)]
    return {
        "title": study.title,
        "runs": len(found),
        "done": len(done),
        "data": listed(one.data for one in done) or "no data yet",
        "trained": runs.duration(sum(one.result["seconds"].get("fit", 0) for one in done)),
        "built": time.strftime("%Y-%m-%d"),
        "tally": tally(claims.verdicts([*(one.result for one in done), *others])),
        "strip": [one["picture"] for one in strip(done, 120)],
    }


def landing(folder: Path) -> Path:
    """Writes the index.html of a folder, which lists all studies that have a report, the latest first."""
    found = []
    for path in folder.glob("*/summary.json"):
        with suppress(OSError, ValueError):
            if (path.parent / "index.html").is_file():
                found.append(
                    (path.stat().st_mtime, json.loads(path.read_bytes()) | {"href": f"{path.parent.name}/index.html"})
                )
    studies = [one for _, one in sorted(found, key=lambda each: each[0], reverse=True)]
    notebook = nbformat.v4.new_notebook()
    output = nbformat.v4.new_output(
        "display_data", {"text/html": f'<div class="report">{parts().landing(studies, WRITE_UP)}</div>'}
    )
    notebook.cells = [nbformat.v4.new_code_cell(outputs=[output])]
    page = folder / "index.html"
    if not ownership.is_ours(page, ownership.STUDY_FILES["index.html"]):
        raise UserError(f"{page}: was not written by a study and would be lost: move it away")
    runs.write_aside(page, html.render(notebook, "Studies", code=False))
    return page


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

    source = runs.NOTEBOOK_DIR / f"{name}.ipynb"
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


def write_notebook(one: Entry, folder: Path) -> None:
    """Writes a run's notebook as a page, unless there is one that is newer than the notebook and the template."""
    page, source = folder / f"{one.name}.html", one.planned.folder / "notebook.ipynb"
    made_from = [source, Path(html.__file__), *html.TEMPLATE.iterdir()]
    if page.exists() and page.stat().st_mtime > max(path.stat().st_mtime for path in made_from):
        return
    folder.mkdir(exist_ok=True)
    notebook = nbformat.read(source, as_version=4)
    markup = html.render(notebook, one.name, home="../index.html")
    runs.write_aside(page, markup.replace(f"{runs.ROOT}/", ""))  # this machine's paths do not concern the reader


def write_self_test(folder: Path) -> None:
    """estimators.ipynb as a page beside the runs' notebooks; executed once for each state of what it tests."""
    key = {
        "notebook": runs.notebook_digest("estimators"),
        "sources": runs.module_digests((*runs.EVALUATION_SOURCES, "models")),
        "versions": runs.versions(),
    }

    def make(aside: Path) -> None:
        print(
            "executing notebooks/estimators.ipynb, the self-test of the estimators: about a minute, only once",
            flush=True,
        )
        _executed("estimators", aside / "notebook.ipynb", {})

    notebook = nbformat.read(runs.cached("estimators", key, make) / "notebook.ipynb", as_version=4)
    markup = html.render(notebook, "Can the numbers be trusted?", home="../index.html")
    folder.mkdir(exist_ok=True)
    runs.write_aside(folder / "estimators.html", markup)


def results_csv(found: Sequence[Entry]) -> str:
    """One row a run: its state, settings, dataset, metrics with their references, seconds and counts.

    A cell is empty if a run does not have that number. The metric `frechet` has its reference `real` in `frechet_real`.
    """
    rows = [flat(one) for one in found]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def flat(one: Entry) -> dict[str, Any]:
    """A run as one row by column."""
    settings = one.settings.model_dump(exclude={"output_dir", "notebook"})
    settings["dataset"] = Path(settings["dataset"]).name
    settings["dtype_policy"] = settings.pop("precision")  # the score of that name has a column too
    row = {"run": one.name, "notebook": one.settings.notebook, "state": one.state, **settings}
    if not one.result:
        return row
    result = one.result
    row |= {f"dataset_{name}": result["dataset"][name] for name in ("sha256", "canonical")}
    row |= {f"images_{part}": count for part, count in result["dataset"]["counts"].items()}
    for name in metric_names([one]):
        row[name] = one.metrics.get(name)
        row |= {f"{name}_{which}": value for which, value in one.references.get(name, {}).items()}
    for name in ("scorecard", "seconds", "steps", "parameters"):
        row |= {f"{name}_{part}": value for part, value in result.get(name, {}).items()}
    last = ("images_seen", "images_per_second", "peak_rss_mib", "finished")
    return row | {name: result[name] for name in last if name in result}
