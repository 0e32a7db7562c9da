"""Where a run stands: whether it is whole, in its place, and what its settings ask for. Never imports TensorFlow."""

import json
import time
import zipfile
from contextlib import suppress
from pathlib import Path

from lib import data
from lib.errors import UserError
from lib.files import write_aside
from lib.notebooks import code_cells
from lib.runs import keys, locks, ownership
from lib.runs.ownership import CHECKPOINT, ERROR, MARK, PROGRESS, RUN_FILES, partial_of
from lib.settings import Settings

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile)  # of a file's content


def of(folder: Path, settings: Settings, as_found: bool = False) -> tuple[str, str]:
    """Where a run stands, and why in one line or ''.

    "done", "unscored", "published", "stale", "running", "failed" or "missing". An unscored run is trained as its
    settings ask for, but its numbers were computed by other code; of a published one, only what a report shows is here.

    Where the dataset's file is not here, only the rest is compared: a report can be rebuilt without it.

    Args:
        as_found: the settings are the run's own. It may then have been made in JupyterLab, which keeps the executed
            notebook elsewhere, and may have been stopped early.
    """
    if owner := locks.at_work(folder):
        return "running", owner
    settle(folder)
    return at_rest(folder, settings, as_found)


def at_rest(folder: Path, settings: Settings, as_found: bool = False) -> tuple[str, str]:
    """The same of a run that nobody, or only this process, is at work on."""
    stale, partial = None, partial_of(folder)
    if folder.is_dir():
        notebook = not as_found or (folder / "notebook.ipynb").exists()
        stale = fault(folder, published(folder), notebook) or outdated(
            _json(folder / "result.json"), settings, as_found
        )
    if stale == "" and published(folder):
        return "published", "its notebook and networks are not here"
    if stale == "":
        had, wanted = _json(folder / "result.json")["keys"]["evaluation"], keys.evaluation_key(settings)
        unscored = keys.difference(had, wanted, "evaluation ")
        return ("unscored", unscored) if unscored else ("done", "")
    if cause := _cause(partial):
        return "failed", cause
    if stale:
        return "stale", stale
    epoch = checkpoint_epoch(partial)
    return "missing", f"interrupted; checkpoint after epoch {epoch} of {settings.epochs}" if epoch else ""


def published(folder: Path) -> bool:
    """Whether a folder has only what is published of a run: neither its notebook nor its networks."""
    missing = not any((folder / name).exists() for name in ("notebook.ipynb", "model"))
    return missing and (folder / "result.json").is_file()


def outdated(result: dict, settings: Settings, as_found: bool = False) -> str:
    """The first part of a result's training key that is not what the settings ask for now; '' when all are.

    Where the dataset's file is not here, only the rest is compared.

    Args:
        as_found: the settings are the run's own; then it does not matter that its training was stopped early.
    """
    trained = result["keys"]["training"]
    if as_found:
        asked = {name: value for name, value in trained["settings"].items() if name != "planned_epochs"}
        trained = trained | {"settings": asked}
    try:
        fingerprint = data.fingerprint(settings.dataset)
    except UserError:
        fingerprint = trained.get("data")
    return keys.difference(trained, keys.training_key(settings, fingerprint))


# ---- what is wrong with a folder -----------------------------------------------------------------


def fault(folder: Path, published: bool = False, notebook: bool = True) -> str:
    """What is missing or invalid in a folder that should hold a run; '' when nothing is.

    Args:
        published: only what a report shows is wanted, neither notebook nor networks.
        notebook: whether the executed notebook is wanted.
    """
    notebook &= not published
    for name in RUN_FILES:
        if not (folder / name).is_file() and (notebook or name != "notebook.ipynb"):
            return f"{name} is missing"
    try:
        result = _json(folder / "result.json")
        result["keys"]["training"], result["keys"]["evaluation"], result["metrics"]
        if notebook and (words := _unfinished(_json(folder / "notebook.ipynb"))):
            return words
        networks = set() if published else {f"{name}.keras" for name in result["layers"]}
    except DAMAGE as error:
        return f"result.json or notebook.ipynb is damaged ({type(error).__name__}: {error})"
    if missing := networks - {path.name for path in (folder / "model").glob("*.keras")}:
        return f"model/{min(missing)} is missing"
    return ""


def _json(path: Path) -> dict:
    return json.loads(path.read_bytes())


def _unfinished(notebook: dict) -> str:
    """Why an executed notebook does not count as such; '' when it does."""
    cells = code_cells(notebook)
    if not notebook["metadata"].get("papermill", {}).get("end_time"):
        return "notebook.ipynb was not executed to its end"
    if any(cell.get("execution_count") is None for cell in cells):
        return "notebook.ipynb has cells that were not executed"
    return "notebook.ipynb ended with an error" if _errors(cells) else ""


def _errors(cells: list[dict]) -> list[dict]:
    return [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]


def _cause(partial: Path) -> str:
    """The one-line cause of a run's failure: kept by `fail`, or in the notebook that plain papermill left; or ''."""
    with suppress(OSError):
        return (partial / ERROR).read_text(encoding="utf-8").strip()
    with suppress(*DAMAGE):
        for error in _errors(code_cells(_json(partial / "notebook.ipynb"))):
            return " ".join(f"{error['ename']}: {error['evalue']}".split())
    return ""


# ---- what an attempt has left in the partial folder ----------------------------------------------


def commit(folder: Path) -> None:
    """Renames `<folder>.partial` to `folder` when everything in it is valid.

    Raises:
        UserError: what is missing or invalid.
    """
    if words := fault(partial_of(folder)):
        raise UserError(f"{partial_of(folder)}: {words}")
    put_in_place(partial_of(folder), folder)


def put_in_place(partial: Path, folder: Path) -> None:
    """The rename, which leaves behind what only a run in the making needs."""
    ownership.clear(partial, keep=RUN_FILES, networks=True)
    ownership.replace(partial, folder)


def settle(folder: Path) -> None:
    """Commits a run that plain papermill has finished, or whose runner died before the rename; else does nothing."""
    partial = partial_of(folder)
    with suppress(OSError, locks.BusyError):
        quiet = time.time() - (partial / "notebook.ipynb").stat().st_mtime > 2  # papermill writes it twice at the end
        if quiet and (partial / "result.json").exists() and not fault(partial) and ownership.may_replace(folder):
            with locks.taken(folder):
                commit(folder)


def fail(folder: Path, cause: str) -> None:
    """Keeps the one-line cause of a failure in the partial folder."""
    with suppress(OSError):  # on a full disk, whoever runs the study still says the cause
        partial_of(folder).mkdir(parents=True, exist_ok=True)
        write_aside(partial_of(folder) / ERROR, " ".join(cause.split())[:1000] + "\n")


def clear(folder: Path, keep_checkpoint: bool = True) -> None:
    """Takes out of the partial folder what an earlier attempt left; the checkpoint only if that is wanted."""
    ownership.clear(partial_of(folder), keep={MARK, CHECKPOINT} if keep_checkpoint else {MARK})


def progress(folder: Path) -> dict:
    """What a run in the making last said of where it stands, {} when it has not begun to."""
    with suppress(OSError, ValueError):
        return _json(partial_of(folder) / PROGRESS)
    return {}


def checkpoint_epoch(partial: Path) -> int:
    """The epoch after which a partial folder's checkpoint was made; 0 without one."""
    if not (partial / CHECKPOINT).is_file():
        return 0
    import numpy as np

    with suppress(*DAMAGE), np.load(partial / CHECKPOINT, allow_pickle=False) as file:
        return int(json.loads(file["facts"].tobytes())["epoch"])
    return 0
