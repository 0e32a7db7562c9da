"""A run's own process: what it does, and the thread that starts it and watches over it.

The process is started with all it must know, and ends with a status. It ends too, with its kernel, when its standard
input does: whoever started it is gone then, however that ended. The watching thread may be a Dask worker's.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from lib.notebooks import ROOT, find
from lib.runs import locks, ownership, states
from lib.settings import check
from lib.study import kernel
from lib.study.plan import PlannedRun

THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LOOK_SECONDS = 0.3  # between two looks at a run
FAILED, BUSY = 3, 4  # statuses of the process: the run failed by itself, or another process is at work on it


class Order(NamedTuple):
    """What is to be done with a run, and within which limits."""

    verb: str  # "execute" its notebook, or "score" its saved networks
    run: PlannedRun
    threads: int
    seconds: float  # of wall-clock time at most
    memory: int  # bytes that its processes together may hold; 0 for no limit
    fresh: bool = False  # also where it is done; a checkpoint is left aside


class Outcome(NamedTuple):
    """What has become of an order: it is "done", here or "elsewhere"; the run "failed" by itself and would again; its
    process was "lost", which may have had nothing to do with the run; "busy": another process is at work on it; or it
    was "stopped", because it was wanted no more."""

    kind: str
    words: str = ""  # why, in one line; of a busy run, who is at work on it
    seconds: float = 0.0


# ---- the watching side ---------------------------------------------------------------------------


def watch(order: Order, wanted: Callable[[], bool]) -> Outcome:
    """Carries out an order in a process of its own, for as long as it is wanted."""
    run, start = order.run, time.monotonic()
    if not run.folder.parent.is_dir():
        return Outcome("failed", f"{locks.HOST} does not see {run.folder.parent}: a shared file system is needed")
    if not wanted():
        return Outcome("stopped")
    if owner := locks.at_work(run.folder):
        return Outcome("busy", owner)
    if not order.fresh and states.at_rest(run.folder, run.settings)[0] == "done":
        return Outcome("elsewhere")
    with tempfile.TemporaryFile() as answer:
        process = _started(order, answer)
        outcome = _watched(process, order, wanted)
        answer.seek(0)
        words = answer.read().decode(errors="replace")
    owner, status = locks.at_work(run.folder), process.returncode  # this removes the lock of a process that was killed
    if outcome:
        if outcome.kind == "failed" and order.verb == "execute":
            states.fail(run.folder, outcome.words)
        return outcome
    if status == BUSY:
        return Outcome("busy", owner)
    if status not in (0, FAILED):
        return Outcome("lost", f"signal {-status}" if status < 0 else f"exit status {status}")
    return Outcome("failed" if status else "done", words, time.monotonic() - start)


def _started(order: Order, answer) -> subprocess.Popen:
    run, environment = order.run, os.environ | dict.fromkeys(THREADS, str(order.threads))
    environment.pop("JPY_SESSION_NAME", None)  # of a Lab session that this was started from: nobody watches the kernel
    task = {"verb": order.verb, "folder": str(run.folder), "settings": run.settings.model_dump(), "fresh": order.fresh}
    words = [sys.executable, "-m", "lib.study.job", json.dumps(task)]
    pipes = {"stdin": subprocess.PIPE, "stdout": answer}
    # a session of its own: a terminal sends Ctrl-C to all of ours
    return subprocess.Popen(words, cwd=ROOT, env=environment, start_new_session=True, **pipes)


def _watched(process: subprocess.Popen, order: Order, wanted: Callable[[], bool]) -> Outcome | None:
    """Waits until a run's process, with all that it has started, is gone; says why where it was ended here."""
    start, family, outcome = time.monotonic(), [], None
    try:
        while process.poll() is None and not outcome:
            with suppress(psutil.NoSuchProcess):
                family = [main := psutil.Process(process.pid), *main.children(recursive=True)]
            if not wanted():
                outcome = Outcome("stopped")
            elif cause := _excess(order, time.monotonic() - start, sum(map(_memory, family))):
                outcome = Outcome("failed", cause)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0 if outcome else LOOK_SECONDS)
    finally:
        if process.poll() is None:  # else its number may be another's by now
            end_tree(process.pid)
        for one in family:  # psutil kills none that merely has the same number
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, timeout=5)  # else the kernel's lock is still held when the run is tried again
        process.stdin.close()
        process.wait()
    return outcome


def _memory(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return process.memory_info().rss
    return 0


def _excess(order: Order, seconds: float, memory: int) -> str:
    """Which limit a run has gone past; '' when none."""
    if seconds > order.seconds:
        cause = f"TimeLimitError: still running after {seconds:.0f} s; the limit is {order.seconds:.0f} s"
        return f"{cause} (--time-limit); run again to continue from its checkpoint"
    if 0 < order.memory < memory:
        found, limit = (size / 2**30 for size in (memory, order.memory))
        cause = f"MemoryLimitError: its processes hold {found:.2f} GiB; the limit is {limit:.2f} GiB"
        return f"{cause} (--memory-limit); fewer --workers leave more for each"
    return ""


def end_tree(pid: int) -> None:
    """Ends a process and all that it has started, a run's and its kernel for example."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if pid != os.getpid():
            process.suspend()  # a kernel that it starts just now would not be among its children yet
        for one in (*process.children(recursive=True), process):
            with suppress(psutil.NoSuchProcess):
                one.kill()


# ---- the process ---------------------------------------------------------------------------------


def main() -> None:
    """Carries out the task in the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: end_tree(os.getpid()))
    answer = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    # in the main thread nbclient would take our signals
    threading.Thread(target=_end_with_answer, args=(json.loads(sys.argv[1]), answer)).start()
    sys.stdin.read()
    end_tree(os.getpid())


def _end_with_answer(task: dict, answer: int) -> None:
    status = FAILED
    try:
        status = carry_out(**task)
    except Exception as error:
        os.write(answer, _cause(error)[:500].encode(errors="replace"))
    finally:
        os._exit(status)


def _cause(error: Exception) -> str:
    name, words = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", error)  # of a notebook's cell
    return " ".join(f"{name}: {words}".split())


def carry_out(verb: str, folder: str, settings: dict, fresh: bool) -> int:
    """Does what an order says, unless it is done already; returns the process's status.

    Raises:
        Exception: the run has failed; the cause also stands in the partial folder's error.txt.
    """
    folder, settings = Path(folder), check(settings, folder)
    ownership.check_run_folder(folder)
    try:
        with locks.taken(folder):
            if not fresh and states.at_rest(folder, settings)[0] == "done":
                ownership.remove(ownership.partial_of(folder))
            elif verb == "score":
                from lib.scores import evaluation  # TensorFlow, for this process only

                evaluation.score_again(folder, settings)
            else:
                _execute(folder, settings, keep_checkpoint=not fresh)
    except locks.BusyError:
        return BUSY
    return 0


def _execute(folder: Path, settings, keep_checkpoint: bool) -> None:
    """Executes a run's notebook by papermill and commits its folder."""
    try:
        states.clear(folder, keep_checkpoint)
        notebook = ownership.partial_of(folder) / "notebook.ipynb"
        log = os.open(notebook.with_name(ownership.KERNEL_LOG), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 2)  # what the kernel writes to standard error would fill the terminal
        kernel.execute(find(settings.notebook), notebook, settings.model_dump())
        states.commit(folder)
    except Exception as error:
        states.fail(folder, _cause(error))
        raise


if __name__ == "__main__":
    main()
