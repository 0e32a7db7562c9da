"""A run's own process: what it does, and the thread that has it started and watches over it.

A worker process imports what runs need, which takes longer than a small run, and forks each run's process, which forks
its kernel. Orders are lines on the worker's standard input. An answer is what went wrong, a tab, and the status of the
run's process. All of them end when standard input does: whoever started the worker is gone then, however that ended.

Where a fork is not safe, the worker carries out the order itself and ends. The watching thread may be a Dask worker's.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

import psutil

from lib.notebooks import NOTEBOOK_DIR, ROOT, find
from lib.runs import keys, locks, ownership, states
from lib.settings import check
from lib.study import kernel
from lib.study.plan import PlannedRun

THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LOOK_SECONDS = 0.3  # between two looks at a run
FAILED, BUSY = 3, 4  # statuses of the process: the run failed by itself, or another process is at work on it
IDLE_SECONDS = 10.0  # after which a worker without an order ends
GPUS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # of which one is there where TensorFlow can use a GPU


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
    process, origin = _worker(order.threads)
    task = {"verb": order.verb, "folder": str(run.folder), "settings": run.settings.model_dump(), "fresh": order.fresh}
    with suppress(BrokenPipeError):  # it has died meanwhile
        process.stdin.write(json.dumps(task).encode() + b"\n")
    outcome, answer = _watched(process, order, wanted)
    if process.returncode is None:
        _IDLE.append((process, origin, time.monotonic()))
    owner = locks.at_work(run.folder)  # this removes the lock of a process that was killed
    if outcome:
        if outcome.kind == "failed" and order.verb == "execute":
            states.fail(run.folder, outcome.words)
        return outcome
    words, _, status = answer.decode(errors="replace").rpartition("\t")
    if (status := int(status)) == BUSY:
        return Outcome("busy", owner)
    if status not in (0, FAILED):
        return Outcome("lost", f"signal {-status}" if status < 0 else f"exit status {status}")
    return Outcome("failed" if status else "done", words, time.monotonic() - start)


_IDLE: list[tuple[subprocess.Popen, tuple, float]] = []  # workers, what they were started with, since when they wait


def _worker(threads: int) -> tuple[subprocess.Popen, tuple]:
    """A worker, idle or new, and the environment and code that it was started with: with others it is ended."""
    environment = os.environ | dict.fromkeys(THREADS, str(threads))
    environment.pop("JPY_SESSION_NAME", None)  # of a Lab session that this was started from: nobody watches the kernel
    code = [*sorted((ROOT / "lib").rglob("*.py")), sysconfig.get_path("purelib")]  # pip changes the latter
    wanted = environment, [(path, os.stat(path).st_mtime_ns) for path in code]
    with suppress(IndexError):
        while True:
            process, origin, since = _IDLE.pop()
            if origin == wanted and time.monotonic() - since < IDLE_SECONDS / 2:
                return process, origin
            _end(process)
    words, pipes = [sys.executable, "-m", "lib.study.job"], dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    # a session of its own: a terminal sends Ctrl-C to all of ours
    return subprocess.Popen(words, cwd=ROOT, env=environment, bufsize=0, start_new_session=True, **pipes), wanted


def _end(process: subprocess.Popen) -> bytes:
    """Ends a worker, with all that it has started; returns what it would have answered."""
    if process.poll() is None:  # else its number may be another's by now
        end_tree(process.pid)
    with process:
        process.stdin.close()
        said = process.stdout.read()
    return said + b"\t%d" % process.returncode


def _watched(process: subprocess.Popen, order: Order, wanted: Callable[[], bool]) -> tuple[Outcome | None, bytes]:
    """Waits until a worker has done with a run, or ends it: says why, and its answer. No process of the run is left."""
    start, family, outcome, answer = time.monotonic(), [], None, b""
    try:
        while not answer.endswith(b"\n") and process.poll() is None and not outcome:
            with suppress(psutil.NoSuchProcess):
                family = [main := psutil.Process(process.pid), *main.children(recursive=True)]
            if not wanted():
                outcome = Outcome("stopped")
            elif cause := _excess(order, time.monotonic() - start, family):
                outcome = Outcome("failed", cause)
            elif wait([process.stdout], LOOK_SECONDS):
                answer += os.read(process.stdout.fileno(), 4096)
    finally:
        if not answer.endswith(b"\n"):
            answer += _end(process)
        for one in family[1:]:  # psutil kills none that merely has the same number
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family[1:], timeout=5)  # else the kernel's lock is still held when the run is tried again
    return outcome, answer


def _memory(process: psutil.Process, part: str = "rss") -> int:
    with suppress(psutil.NoSuchProcess):
        found = process.memory_info() if part == "rss" else process.memory_full_info()
        return getattr(found, part, found.rss)
    return 0


def _excess(order: Order, seconds: float, family: list[psutil.Process]) -> str:
    """Which limit a run has gone past; '' when none."""
    if seconds > order.seconds:
        cause = f"TimeLimitError: still running after {seconds:.0f} s; the limit is {order.seconds:.0f} s"
        return f"{cause} (--time-limit); run again to continue from its checkpoint"
    memory = sum(map(_memory, family))
    if 0 < order.memory < memory:  # forks share memory; to count it once takes longer
        memory = sum(_memory(process, "pss") for process in family)
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
    """Carries out the orders on standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: end_tree(os.getpid()))
    answer = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    while wait([sys.stdin], IDLE_SECONDS) and (line := sys.stdin.readline()):
        task = json.loads(line)
        fork = _can_fork(task["verb"], task["settings"]["notebook"])
        if not (pid := os.fork() if fork else 0):
            ahead = kernel.Ahead() if fork and task["verb"] == "execute" else None
            # in the main thread nbclient would take our signals
            threading.Thread(target=_end_with_answer, args=(task, ahead, answer)).start()
            sys.stdin.read()
            end_tree(os.getpid())
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(BrokenPipeError):
            os.write(answer, b"\t%d\n" % status)


def _can_fork(verb: str, notebook: str) -> bool:
    """Whether a run's process and kernel can be forked from this one, which then has imported what they need.

    A fork lacks threads and GPUs. A notebook of a user's own may bring modules whose names are taken here.
    """
    with suppress(Exception):  # the run says what is wrong
        ours = verb == "score" or find(notebook).is_relative_to(NOTEBOOK_DIR)
        if sys.platform != "linux" or any(map(os.path.exists, GPUS)) or not ours:
            return False
        kernel.import_all()
        keys.every_source()  # read once for all forks
        gc.freeze()  # else the next collection would copy what is shared
        os.waitpid(os.fork() or os._exit(0), 0)  # OpenBLAS ends its threads before a fork
        return len(os.listdir("/proc/self/task")) == 1
    return False


def _end_with_answer(task: dict, ahead: kernel.Ahead | None, answer: int) -> None:
    status = FAILED
    try:
        status = carry_out(**task, ahead=ahead)
    except Exception as error:
        os.write(answer, _cause(error)[:500].encode(errors="replace"))
    finally:
        os._exit(status)


def _cause(error: Exception) -> str:
    name, words = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", error)  # of a notebook's cell
    return " ".join(f"{name}: {words}".split())


def carry_out(verb: str, folder: str, settings: dict, fresh: bool, ahead: kernel.Ahead | None = None) -> int:
    """Does what an order says, unless it is done already; returns the process's status.

    Args:
        ahead: the kernel's process, if there is one already.

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
                _execute(folder, settings, ahead, keep_checkpoint=not fresh)
    except locks.BusyError:
        return BUSY
    return 0


def _execute(folder: Path, settings, ahead: kernel.Ahead | None, keep_checkpoint: bool) -> None:
    """Executes a run's notebook by papermill and commits its folder."""
    try:
        states.clear(folder, keep_checkpoint)
        notebook = ownership.partial_of(folder) / "notebook.ipynb"
        log = os.open(notebook.with_name(ownership.KERNEL_LOG), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 2)  # what the kernel writes to standard error would fill the terminal
        kernel.execute(find(settings.notebook), notebook, settings.model_dump(), ahead)
        states.commit(folder)
    except Exception as error:
        states.fail(folder, _cause(error))
        raise


if __name__ == "__main__":
    main()
