"""Finished runs -> report.ipynb -> nbconvert -> index.html, one file that needs no network. Never imports TensorFlow.

notebooks/report.ipynb is executed by papermill, with the pieces that `writeup` makes, and converted by `html`, as is
every run's own notebook.
"""

import csv
import io
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import psutil

from lib import runs
from lib.settings import UserError
from lib.study import html, kernel, plan
from lib.study.writeup import Entry, entries


class IncompleteError(UserError):
    """The report was built, but with gaps, and that was not wanted."""

    status = 1


def build(study: plan.Study, strict: bool = False) -> Path:
    """Writes a study's results.csv, report.ipynb, notebooks/*.html and index.html; returns the latter.

    Raises:
        IncompleteError: `strict`, and some run is not done; the report is built all the same.
        UserError: the folder cannot be written to, or the report's notebook failed.
    """
    page = study.folder / "index.html"
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        notebook = execute(study)
        found = entries(study)
        runs.write_aside(study.folder / "results.csv", results_csv(found))
        runs.write_aside(study.folder / "report.ipynb", nbformat.writes(notebook))
        for one in found:
            if one.result:
                write_notebook(one, study.folder / "notebooks")
        write_self_test(study.folder / "notebooks")
        runs.write_aside(page, html.render(notebook, study.title, code=False))
    except OSError as error:
        raise UserError(f"{study.folder}: the report cannot be written ({error.strerror or error})") from None
    gaps = [one.name for one in found if not one.result]
    if strict and gaps:
        raise IncompleteError(f"{page}: built, but {len(gaps)} of {len(found)} runs are not done, first {gaps[0]}")
    return page


def execute(study: plan.Study) -> nbformat.NotebookNode:
    """The report's notebook, executed for a study."""
    default = study.folder == plan.REPORTS_DIR / study.name
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
    """A run's notebook as a page, unless the one that is there is newer than the notebook and the template."""
    page, source = folder / f"{one.name}.html", one.planned.folder / "notebook.ipynb"
    made_from = [source, Path(html.__file__), *html.TEMPLATE.iterdir()]
    if page.exists() and page.stat().st_mtime > max(path.stat().st_mtime for path in made_from):
        return
    folder.mkdir(exist_ok=True)
    notebook = nbformat.read(source, as_version=4)
    markup = html.render(notebook, one.name, home="../index.html")
    runs.write_aside(page, markup.replace(f"{runs.ROOT}/", ""))  # of this machine, no reader's concern


def write_self_test(folder: Path) -> None:
    """estimators.ipynb as a page beside the runs' notebooks; executed once for each state of what it tests."""
    key = {
        "notebook": runs.notebook_digest("estimators"),
        "sources": runs.module_digests((*runs.EVALUATION_SOURCES, "models")),
        "versions": runs.versions(),
    }

    def make(aside: Path) -> None:
        print("executing notebooks/estimators.ipynb, the estimators' self-test, once: about a minute", flush=True)
        _executed("estimators", aside / "notebook.ipynb", {})

    notebook = nbformat.read(runs.cached("estimators", key, make) / "notebook.ipynb", as_version=4)
    markup = html.render(notebook, "Can the numbers be trusted?", home="../index.html")
    folder.mkdir(exist_ok=True)
    runs.write_aside(folder / "estimators.html", markup)


def results_csv(found: Sequence[Entry]) -> str:
    """One row a run: its state, settings, dataset, metrics, seconds and counts, flat; empty where a run has none."""
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
    row = {"run": one.name, "notebook": one.settings.notebook, "state": one.state, **settings}
    if not one.result:
        return row
    result = one.result
    row |= {f"dataset_{name}": result["dataset"][name] for name in ("sha256", "canonical")}
    row |= {f"images_{part}": count for part, count in result["dataset"]["counts"].items()}
    row |= one.metrics
    for name in ("scorecard", "seconds", "steps", "parameters"):
        row |= {f"{name}_{part}": value for part, value in result.get(name, {}).items()}
    last = ("images_seen", "images_per_second", "peak_rss_mib", "finished")
    return row | {name: result[name] for name in last if name in result}
