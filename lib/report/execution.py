"""The report's notebooks, executed by papermill: report.ipynb for a study, and the self-test of the estimators."""

import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import psutil

from lib.data import cache
from lib.errors import UserError
from lib.notebooks import NOTEBOOK_DIR, ROOT
from lib.runs import keys
from lib.study import kernel, plan


def report(study: plan.Study, apart: bool = False) -> nbformat.NotebookNode:
    """report.ipynb, executed for a study. Args: apart: its heavy images will lie beside the page."""
    default = study.folder in (plan.REPORTS_DIR / study.name, study.path)
    known = study.path == plan.PARAMETERS_DIR / f"{study.name}.yaml"
    parameters = {
        "study": study.name if known else str(study.path),
        "out": "" if default else str(study.folder),
        "overrides": study.overrides,  # the notebook reads the study again
        "assets": apart,
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


def self_test() -> nbformat.NotebookNode:
    """estimators.ipynb, executed once for each state of what it tests."""

    def make(aside: Path) -> None:
        print("executing notebooks/estimators.ipynb, the self-test of the estimators: a minute, only once", flush=True)
        _executed("estimators", aside / "notebook.ipynb", {})

    return nbformat.read(cache.cached("estimators", _tested(), make) / "notebook.ipynb", as_version=4)


def _tested() -> dict[str, Any]:
    """What the self-test depends on."""
    sources = keys.every_source()
    return {"notebook": keys.notebook_digest("estimators"), "sources": sources, "versions": keys.versions()}


def self_testing() -> subprocess.Popen | None:
    """A process that executes the self-test with what others leave of the processors; None if it has been executed."""
    if cache.found("estimators", _tested()):
        return None
    words = [sys.executable, "-c", f"from {__name__} import self_test; self_test()"]
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)  # the report says what fails
    process = subprocess.Popen(words, cwd=ROOT, start_new_session=True, **quiet)
    with suppress(psutil.Error):
        psutil.Process(process.pid).nice(19)
    return process
