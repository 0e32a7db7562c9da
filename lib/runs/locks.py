"""Who is at work on a run: locks of the operating system, which end with their process, however that ends.

A run's lock is the empty file `.<run>.lock` beside its folder; who holds it stands in its partial folder, to be read. A
notebook that a run's process executes works under that process's lock, and holds a second one, in the partial folder:
so a kernel that outlives the process for a moment is seen.
"""

import errno
import json
import platform
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from lib.errors import UserError
from lib.runs.ownership import LOCK, MARK, partial_of, recover

HOST = platform.node()
PATIENCE = 2.0  # seconds: whoever looks whether a lock is held, holds it for a moment
_MINE: dict[Path, FileLock] = {}  # that this process holds


class BusyError(UserError):
    """Another process is at work on the run."""


# ---- any lock ------------------------------------------------------------------------------------


def acquire(path: Path, seconds: float = PATIENCE) -> FileLock:
    """Takes a lock; raises filelock.Timeout when another still holds it after some seconds (-1: waits for it)."""
    lock = FileLock(path, mode=0o666, thread_local=False)  # other users may share the folder
    lock.acquire(timeout=seconds)
    return lock


def give_back(lock: FileLock) -> None:
    """Gives a lock back, with its file: filelock takes none whose file has gone meanwhile."""
    path = Path(lock.lock_file)
    with suppress(OSError):
        if lock.is_locked and not path.stat().st_size:  # else it is somebody else's
            path.unlink()
    lock.release()


def held(path: Path) -> bool:
    """Whether any process holds a lock; the file that a killed one has left is removed."""
    try:
        if path.exists():
            give_back(acquire(path, 0))
        return False
    except Timeout:
        return True
    except OSError as error:  # a hiccup of a network file system frees nothing
        return error.errno not in (errno.EROFS, errno.ENOENT)


@contextmanager
def waiting(path: Path):
    """Holds a lock while the block lasts; waits for it if need be."""
    lock = acquire(path, -1)
    try:
        yield
    finally:
        give_back(lock)


# ---- a run's locks -------------------------------------------------------------------------------


def _of(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(f".{folder.name}.lock"), partial_of(folder) / LOCK


def _owner(folder: Path) -> tuple[int, str]:
    with suppress(OSError, ValueError, KeyError, TypeError):
        owner = json.loads((partial_of(folder) / MARK).read_bytes())
        return int(owner["pid"]), str(owner["host"])
    return 0, ""


def at_work(folder: Path) -> str:
    """Who is at work on a run, as 'process 7 on host'; '' when nobody is."""
    if not any(held(path) for path in _of(folder)):
        return ""
    pid, host = _owner(folder)
    return f"process {pid} on {host}" if pid else "another process"


def take(folder: Path) -> None:
    """Makes this process the one that is at work on a run, until `release`; a second time changes nothing.

    Raises:
        BusyError: another one is.
        OSError: nothing can be written there.
    """
    (partial := partial_of(folder)).mkdir(parents=True, exist_ok=True)
    beside, inside = _of(folder)
    if inside in _MINE:
        return
    process = psutil.Process()
    ours = _owner(folder) in [(parent.pid, HOST) for parent in process.parents()]  # the lock: no use to wait for it
    try:
        if beside not in _MINE:
            _MINE[beside] = acquire(beside, 0 if ours else PATIENCE)
    except Timeout:
        if not ours:
            raise _busy(folder) from None
        _MINE[inside] = acquire(inside)
        return
    if held(inside):  # by the kernel of a process that was killed
        give_back(_MINE.pop(beside))
        raise _busy(folder)
    recover(folder)
    (partial / MARK).write_text(json.dumps({"pid": process.pid, "started": process.create_time(), "host": HOST}))


def _busy(folder: Path) -> BusyError:
    return BusyError(f"{folder.name}: {at_work(folder) or 'another process'} is working on it; wait for it or end it")


def release(folder: Path) -> None:
    """Ends what `take` began; a partial folder that is empty goes too."""
    beside, inside = _of(folder)
    if beside in _MINE:
        (partial_of(folder) / MARK).unlink(missing_ok=True)
    for path in {inside, beside} & _MINE.keys():
        give_back(_MINE.pop(path))
    with suppress(OSError):
        partial_of(folder).rmdir()


@contextmanager
def taken(folder: Path):
    """Is at work on a run while the block lasts; see `take`."""
    take(folder)
    try:
        yield
    finally:
        release(folder)
