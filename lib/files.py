"""Files that are written whole or not at all, and whether one may be replaced."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

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


def is_ours(path: Path, words: bytes) -> bool:
    """Whether a file may be replaced: there is none, it is empty, or it holds these words."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # a folder of that name, or no permission
        return False
    return not content or words in content
