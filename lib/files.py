"""Files that are written whole or not at all, and folders that are made once for all."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from lib import data
from lib.errors import UserError

os.umask(_UMASK := os.umask(0o022))  # there is no other way to read it


@contextmanager
def aside(path: Path):
    """Yields a binary file beside `path` and renames it there: a reader sees the old one or the new one, whole."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, 0o666 & ~_UMASK)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_aside(path: Path, content: bytes | str) -> None:
    """Writes a whole file by `aside`."""
    with aside(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_all(contents: Iterable[tuple[Path, bytes | str]]) -> None:
    """Writes files by `aside`, one after the other, and makes the folders that they need."""
    for path, content in contents:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, content)


def scores_folder() -> Path:
    """Where classifiers and references are kept, made if need be.

    Raises:
        UserError: it cannot be written to.
    """
    home = data.folder() / "scores"
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
    folder = data.folder() / "scores" / f"{what[:60]}-{digest}"
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
