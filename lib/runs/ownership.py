"""Whose a folder is: what a run or a study wrote there, and what of it may be replaced.

A run's folder is replaced whole when the run is made again, and a study's page is written anew. That must never hit
what somebody else has put there. So a folder is taken only when it is new, empty, or provably a run's; only files that
we wrote are ever removed; and whatever else lies in a run's folder moves along.
"""

import glob
import itertools
import json
import os
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lib import files
from lib.errors import UserError

RUN_FILES = ("result.json", "parameters.yaml", "history.csv", "samples.npz", "log.txt", "notebook.ipynb")
CHECKPOINT, PROGRESS, ERROR, KERNEL_LOG = "checkpoint.npz", "progress.json", "error.txt", "kernel.log"
MARK, LOCK = "worker.json", ".lock"  # of the process that is at work in a partial folder
NETWORKS = ("encoder", "decoder", "generator", "discriminator", "critic")
DECODER = "decoder.npz"  # what a report shows of a run's network
_PARTIAL_FILES = (*RUN_FILES, CHECKPOINT, PROGRESS, ERROR, KERNEL_LOG, MARK, LOCK)
# of a file that a process was writing when it died, as `files.aside` names it
_TEMPORARY = re.compile(rf"\.({'|'.join(map(re.escape, (*_PARTIAL_FILES, DECODER)))})-[a-z0-9_]{{8}}")
EDITED_SECONDS = 60  # papermill goes on writing a notebook after its last cell
_PAGE = b'content="Latent Report"'
STUDY_FILES = {  # that a study replaces, and the words by which it knows its own
    "index.html": _PAGE,
    "results.csv": b"run,notebook,state,",
    "report.ipynb": b"(study, out, overrides)",  # of `records.of`, and once of `writeup.Page`
    "summary.json": b'"tally"',
    ".report.json": b'"made_of"',
    ".lock": b"(always empty)",
}


# ---- run folders ---------------------------------------------------------------------------------


def partial_of(folder: Path) -> Path:
    """Where a run is made before it stands in `folder`."""
    return folder.with_name(folder.name + ".partial")


def check_run_folder(folder: Path, what: str = "output_dir") -> None:
    """Makes sure that a run may be made in `folder`, before anything is trained.

    Args:
        what: how an error names the folder.

    Raises:
        UserError: it is the root, a file, a link, the current folder or above it, or it holds what no run wrote; the
            same of the partial folder beside it.
    """
    expected = "expected a new folder, an empty one, or that of an earlier run"
    if folder == folder.parent or folder.name.endswith(".partial"):
        raise UserError(f"{what} {folder}: a run cannot be made under this name; {expected}")
    for path in (folder, partial_of(folder)):
        try:
            hindrance = _hindrance(path)
        except OSError as error:  # a name that is too long, or no permission
            hindrance = f"cannot be used ({error.strerror})"
        if hindrance:
            raise UserError(f"{what} {path}: {hindrance}; {expected}")


def _hindrance(path: Path) -> str:
    """Why a run must not take a folder's place; '' if it may."""
    if path.is_symlink():
        return "is a link; name the folder itself"
    if path.exists() and not path.is_dir():
        return "is a file"
    if Path(os.path.realpath(path)) in (cwd := Path.cwd(), *cwd.parents):
        return "is the current folder or holds it"
    if os.path.ismount(path):
        return "is where another disk is mounted, and cannot be renamed; name a folder inside it"
    if may_replace(path):
        return ""
    names = sorted(one.name for one in path.iterdir())
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"holds {names[0]}{more}, which was not written by a run"


def may_replace(folder: Path) -> bool:
    """Whether a run may take this folder's place: there is none, it is empty, or it is provably a run's."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        return False
    if not folder.exists() or not any(folder.iterdir()) or _is_run(folder):
        return True
    return folder.name.endswith(".partial") and _is_partial(folder)  # elsewhere such files may be a user's own


def _is_run(folder: Path) -> bool:
    """Whether result.json is a run's."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        result = json.loads((folder / "result.json").read_bytes())
        return {"run", "notebook", "settings"} <= result.keys() and "training" in result["keys"]
    return False


def _is_partial(folder: Path) -> bool:
    """Whether a folder has what only a run in the making has: its process's mark, its settings, or its notebook."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        if "started" in json.loads((folder / MARK).read_bytes()):
            return True
    with suppress(OSError):
        if (folder / "parameters.yaml").read_bytes().startswith(b"notebook: "):
            return True
    with suppress(OSError, ValueError, KeyError, TypeError):
        return "papermill" in json.loads((folder / "notebook.ipynb").read_bytes())["metadata"]
    known = {path.name for path in folder.iterdir()}
    return known <= {*_PARTIAL_FILES} - {*RUN_FILES}


def _networks(folder: Path) -> set[str]:
    """The names of a run's networks; those of a notebook's own model stand in its record."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return {*NETWORKS, *json.loads((folder / "result.json").read_bytes())["layers"]}
    return {*NETWORKS}


def clear(folder: Path, keep: Iterable[str] = (), networks: bool = False) -> None:
    """Removes what a run wrote from its folder, and nothing else.

    Args:
        keep: names of files that stay.
        networks: whether these stay too.
    """
    names = {*_PARTIAL_FILES, DECODER} - {*keep}
    found = [path for path in folder.iterdir() if path.name in names or _TEMPORARY.fullmatch(path.name)]
    if not networks and not (model := folder / "model").is_symlink():
        found += [path for path in model.glob("*.keras") if path.stem in _networks(folder)]
    for path in found:
        if path.is_symlink() or path.is_file():
            path.unlink()
    with suppress(OSError):  # there is none, or something of somebody else's is in it
        if not networks:
            (folder / "model").rmdir()


def remove(folder: Path) -> None:
    """Removes a run's folder; what is not the run's stays where it is, and then the folder does too."""
    clear(folder)
    with suppress(OSError):
        folder.rmdir()


def replace(partial: Path, folder: Path) -> None:
    """Puts a whole run in its place by one rename; whatever else lay in the folder of an earlier run moves along.

    Raises:
        UserError: something stands there that is no run's.
    """
    recover(folder)
    if not may_replace(folder):
        raise UserError(f"{folder}: holds files that no run wrote; the finished run is in {partial}")
    if not folder.exists():
        os.rename(partial, folder)
        return
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:50]}-old-"))
    keep_edited(folder / "notebook.ipynb", folder / "result.json")
    os.rename(folder, aside / folder.name)
    os.rename(partial, folder)
    recover(folder)


def recover(folder: Path) -> None:
    """Brings back what lay in an earlier run's folder: the last step of `replace`, or of one that was killed."""
    for aside in folder.parent.glob(f".{glob.escape(folder.name[:50])}-old-????????"):
        if not (earlier := aside / folder.name).is_dir():
            continue
        if folder.exists():
            clear(earlier, keep=_PARTIAL_FILES[len(RUN_FILES) :])  # which are a user's there: a finished run has none
            _move_into(earlier, folder)
        else:
            os.rename(earlier, folder)
        with suppress(OSError):  # something has no place in the new folder, and stays here
            aside.rmdir()


def keep_edited(notebook: Path, beside: Path) -> None:
    """Renames a notebook that is about to be replaced, if somebody has saved it since it was made: notes may be in it.

    Args:
        beside: a file that was written when the notebook was.
    """
    with suppress(OSError):
        if notebook.stat().st_mtime > beside.stat().st_mtime + EDITED_SECONDS:
            names = (f"{notebook.stem}-edited{number or ''}.ipynb" for number in itertools.count())
            free = next(path for path in map(notebook.with_name, names) if not os.path.lexists(path))
            os.rename(notebook, free)
            print(f"{notebook}: was saved by somebody since it was made; kept as {free.name}", flush=True)


def _move_into(source: Path, target: Path) -> None:
    """Moves what is left in one folder into another, beside what is there, and removes the first when it is empty."""
    for path in source.iterdir():
        there = target / path.name
        if path.is_dir() and not path.is_symlink() and there.is_dir():
            _move_into(path, there)
        elif not os.path.lexists(there):
            os.rename(path, there)
    with suppress(OSError):
        source.rmdir()


# ---- files of a study ----------------------------------------------------------------------------


def check_study_folder(folder: Path, pages: Iterable[str] = ()) -> None:
    """Makes sure that a study's report may be written into `folder`, before anything is started.

    Args:
        pages: names of the pages that will be written into its notebooks/.

    Raises:
        UserError: it is a file, or a file in it would be replaced that no study wrote.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; use --out DIR with a new folder")
    replaced = STUDY_FILES | {f"notebooks/{name}": _PAGE for name in pages}
    for name, words in replaced.items():
        if not files.is_ours(folder / name, words):
            raise UserError(f"{folder}: {name} there was not written by a study and would be lost; use --out DIR")
