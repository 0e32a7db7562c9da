"""The commands that are at work on a study: started in the background, found again by anybody, and stopped.

Each `run` or `evaluate` keeps a note in the study's folder while it lasts: which process it is, and how far it is.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from lib.errors import UserError
from lib.files import write_aside
from lib.notebooks import ROOT
from lib.runs.locks import HOST
from lib.study.plan import Study

LOG = ".command.log"  # in the study's folder: what the command says that `start` started last
NOTE = f".command-{HOST}-{{}}.json"
BY_NOTEBOOK = "LATENT_REPORT_BY_NOTEBOOK"  # in the environment of what `start` starts
_MINE: list[Path] = []  # this process's notes


class Command(NamedTuple):
    """A command's note: its process, when that began in seconds since 1970, whether `start` started it, and what it
    said last of itself: its "stage" and the seconds "left"."""

    pid: int
    started: float
    by_notebook: bool
    said: dict[str, Any]

    def process(self) -> psutil.Process | None:
        """None when it has ended, also where another process has its number by now."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 5  # it is computed from the clock, which may be set
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        return None


@contextmanager
def noted(folder: Path):
    """Keeps this process's note in a study's folder while the block lasts."""
    _MINE.append(note := folder / NOTE.format(os.getpid()))
    try:
        say()
        yield
    finally:
        _MINE.remove(note)
        note.unlink(missing_ok=True)


def say(**facts: Any) -> None:
    """Renews this process's note, if it keeps one."""
    for note in _MINE:
        with suppress(OSError):  # a full disk is found, and said, by what matters more
            mine = Command(os.getpid(), psutil.Process().create_time(), BY_NOTEBOOK in os.environ, facts)
            write_aside(note, json.dumps(mine))


def at_work(folder: Path) -> list[Command]:
    """The commands of this machine that are at work on the study in a folder; notes of killed ones are removed."""
    found = []
    for note in folder.glob(NOTE.format("*")):
        with suppress(OSError, ValueError, TypeError):
            command = Command(*json.loads(note.read_bytes()))
            if command.process():
                found.append(command)
            else:
                note.unlink()
    return found


def start(study: Study) -> subprocess.Popen:
    """Starts `latent-report run` on a study in the background. It outlives the kernel that has started it.

    Raises:
        UserError: the study's folder cannot be written to.
    """
    words = [sys.executable, "-m", "latent_report", "run", str(study.path), "--out", str(study.folder)]
    options = {"cwd": ROOT, "env": os.environ | {BY_NOTEBOOK: "1"}, "stdin": subprocess.DEVNULL}
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        with (study.folder / LOG).open("wb") as log:  # a session of its own: a kernel takes others with it
            return subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True, **options)
    except OSError as error:
        raise UserError(f"{study.folder}: cannot be written to ({error.strerror})") from None


def stop(command: Command) -> None:
    """Asks a command to stop, as Ctrl-C does; interrupted runs keep their checkpoints.

    Raises:
        UserError: it is another user's.
    """
    try:
        if process := command.process():
            process.terminate()
    except psutil.AccessDenied:
        raise UserError(f"process {command.pid} is another user's: only they can stop it") from None


def last_words(folder: Path, lines: int = 4) -> str:
    """The last lines of what the command said that `start` started last; '' if there was none."""
    with suppress(OSError):
        return "\n".join((folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    return ""
