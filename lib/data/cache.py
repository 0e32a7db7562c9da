"""Folders that are made once for all: kept beside the downloaded datasets, some of them in this repository."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from lib.data.download import folder as data_folder
from lib.errors import UserError
from lib.notebooks import ROOT

# What the pinned packages make of the two datasets that need no download, which would take a first run 40 s; and the
# classifiers that scored published runs, so that others are on their scale. tests/test_kept.py says how to renew it.
KEPT = ROOT / "lib" / "scores" / "kept"


def scores_folder() -> Path:
    """Where classifiers and references are kept, made if need be.

    Raises:
        UserError: it cannot be written to.
    """
    home = data_folder() / "scores"
    try:
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError as error:
        raise UserError(f"{home}: cannot be written to ({error.strerror}); set LATENT_REPORT_DATA") from None
    return home


def _name(what: str, key: dict) -> str:
    return f"{what[:60]}-{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]}"


def found(what: str, key: dict) -> Path | None:
    """The folder that `cached` gives, if it has been made."""
    places = [home / _name(what, key) for home in (KEPT, data_folder() / "scores")]
    return next((place for place in places if place.is_dir()), None)


def cached(what: str, key: dict, make: Callable[[Path], None]) -> Path:
    """A folder that is made once and kept: the one of this key, from the repository or the user's cache, or a new one.

    Whoever comes first makes it, aside, and renames it when it is whole; others wait.

    Args:
        what: begins its name, for example "classifier-mnist".
        key: what its content depends on, in JSON's types.
        make: fills the empty folder that it is given.
    """
    if made := found(what, key):
        return made
    folder = (home := scores_folder()) / _name(what, key)
    try:
        with FileLock(home / f".{folder.name}.lock"):
            if not folder.is_dir():
                with tempfile.TemporaryDirectory(prefix=".making-", dir=home) as scratch:
                    (made := Path(scratch) / "made").mkdir()
                    make(made)
                    os.rename(made, folder)
    except OSError as error:
        raise UserError(f"{home}: cannot be written to ({error.strerror}); set LATENT_REPORT_DATA") from None
    return folder
