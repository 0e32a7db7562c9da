"""Folders that are made once for all and kept beside the downloaded datasets."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from lib.data.download import folder as data_folder
from lib.errors import UserError


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


def cached(what: str, key: dict, make: Callable[[Path], None]) -> Path:
    """A folder that is made once and kept beside the downloaded datasets: the one of this key, or a new one.

    Whoever comes first makes it, aside, and renames it when it is whole; others wait.

    Args:
        what: begins its name, for example "classifier-mnist".
        key: what its content depends on, in JSON's types.
        make: fills the empty folder that it is given.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    folder = data_folder() / "scores" / f"{what[:60]}-{digest}"
    if folder.is_dir():
        return folder
    home = scores_folder()
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
