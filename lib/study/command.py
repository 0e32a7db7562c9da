"""The commands that are at work on a study: started in the background, found again by anybody, and stopped.

Each `run` or `evaluate` keeps a note in the study's folder while it lasts: which process it is, and how far it has come.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lib.errors import UserError
from lib.files import write_aside
from lib.notebooks import ROOT
from lib.runs.locks import HOST
from lib.study.plan import Study

LOG = "command.log"  # in the study's folder: what commands say that `start` started
BEGIN = "$ latent-report "  # a command's first line there
NOTE = ".command-*.json"
BY_NOTEBOOK = "LATENT_REPORT_BY_NOTEBOOK"  # set in the environment of what `start` starts
_MINE: list[Path] = []  # the notes of this process


@dataclass(frozen=True)
class Command:
    """A command at work on this machine.

    Attributes:
        started: when its process began, in seconds since 1970.
        by_notebook: whether `start` started it.
        said: what it last said of itself: "stage"; of runs how many have "ended", "of" how many, and seconds "left".
    """

    pid: int
    started: float
    by_notebook: bool = False
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def process(self) -> psutil.Process | None:
        """None when it has ended; another process may have its number by then."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started) < 5 and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


# ---- the command itself --------------------------------------------------------------------------


@contextmanager
def noted(folder: Path):
    """Keeps this process's note in a study's folder while the block lasts."""
    note = folder / NOTE.replace("*", f"{HOST}-{os.getpid()}")
    _MINE.append(note)
    try:
        say()
        yield
    finally:
        _MINE.remove(note)
        note.unlink(missing_ok=True)


def say(**facts: Any) -> None:
    """Renews this process's note, if it keeps one."""
    who = {"pid": os.getpid(), "started": psutil.Process().create_time(), "by_notebook": BY_NOTEBOOK in os.environ}
    for note in _MINE:
        with suppress(OSError):  # a full disk is found, and said, by what matters more
            write_aside(note, json.dumps(who | {"said": facts}))


# ---- whoever watches -----------------------------------------------------------------------------


def at_work(folder: Path) -> list[Command]:
    """The commands of this machine that are at work on the study in a folder; notes of killed ones are removed."""
    return list(_found(folder))


def _found(folder: Path) -> Iterator[Command]:
    for path in sorted(folder.glob(NOTE.replace("*", f"{HOST}-*"))):
        with suppress(OSError, ValueError, TypeError):
            command = Command(**json.loads(path.read_bytes()))
            if command.process:
                yield command
            else:
                path.unlink()


def start(study: Study) -> subprocess.Popen:
    """Starts `latent-report run` on a study in the background. It outlives the notebook's kernel, and what it says is
    added to the study's command.log.

    Raises:
        UserError: the folder cannot be written to.
    """
    words = [sys.executable, "-m", "latent_report", "run", str(study.path), "--out", str(study.folder)]
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        with (study.folder / LOG).open("ab") as log:
            log.write(f"{BEGIN}run {study.name}\n".encode())
            log.flush()
            return subprocess.Popen(
                words,
                cwd=ROOT,
                env=os.environ | {BY_NOTEBOOK: "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a kernel that is restarted ends what else it has started
            )
    except OSError as error:
        raise UserError(f"{study.folder}: cannot be written to ({error.strerror})") from None


def stop(command: Command) -> None:
    """Asks a command to stop, as Ctrl-C does: its runs keep their checkpoints.

    Raises:
        UserError: it is another user's.
    """
    try:
        if process := command.process:
            process.terminate()
    except psutil.AccessDenied:
        raise UserError(f"process {command.pid} is another user's: only they can stop it") from None
    except psutil.NoSuchProcess:
        pass


def last_words(folder: Path, lines: int = 4) -> str:
    """The last lines of what the command said that `start` started last; '' if there was none."""
    with suppress(OSError):
        _, began, words = (folder / LOG).read_text(encoding="utf-8", errors="replace").rpartition(BEGIN)
        return began + "\n".join([(words := words.splitlines())[0], *words[1:][-lines:]])
    return ""
