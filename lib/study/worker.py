"""One run at a time in a process of its own: the worker, and the thread that gives it runs and watches over them.

The two talk in lines of JSON through pipes. When the watching side is gone, however it ended, the worker reads the end
of its input and ends too, together with its kernel. A watching thread may belong to this process or to a Dask worker.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from lib import ownership, runs
from lib.settings import UserError, check
from lib.study import kernel
from lib.study.plan import PlannedRun

THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LOOK_SECONDS = 0.3  # between two looks at a run


class RunFailedError(RuntimeError):
    """A run failed by itself and would again; the message is its one-line cause."""


class WorkerLostError(RuntimeError):
    """A run's process died, which may have had nothing to do with the run."""


class StoppedError(RuntimeError):
    """Whoever ordered the run has ended."""


@dataclass(frozen=True)
class Order:
    """What is to be done with a run, and within which limits.

    Args:
        verb: "execute" its notebook, or "score" its saved networks.
        threads: that it may use.
        seconds: of wall-clock time at most.
        memory: bytes that its processes together may hold; 0 for no limit.
        fresh: whether a checkpoint is to be left aside.
    """

    verb: str
    run: PlannedRun
    threads: int
    seconds: float
    memory: int
    fresh: bool = False


# ---- whoever ordered it is still there -----------------------------------------------------------


class Lease:
    """The sign of life of the process that runs a study: a file in the study's folder, touched every few seconds.

    Where it is gone or another's, or its process has ended or, on another host, shows no more signs, runs that were
    ordered under it end.
    """

    def __init__(self, folder: Path):
        self.path = folder / ".running"
        self.content = json.dumps({"pid": os.getpid(), "host": runs.HOST, "began": time.time()})
        self.beaten = time.monotonic()
        try:
            runs.write_aside(self.path, self.content)
        except OSError as error:
            raise UserError(f"{folder}: cannot be written to ({error.strerror}); use --out DIR") from None

    def beat(self) -> None:
        if time.monotonic() - self.beaten > runs.HEARTBEAT_SECONDS:
            self.beaten = time.monotonic()
            with suppress(OSError):
                os.utime(self.path)

    def release(self) -> None:
        with suppress(OSError):
            if self.path.read_text() == self.content:
                self.path.unlink()

    def held(self) -> bool:
        """Whether it holds; to be asked from wherever the study's folder can be seen."""
        try:
            owner = json.loads(self.content)
            if owner["host"] == runs.HOST:
                alive = psutil.pid_exists(owner["pid"])
            else:
                alive = time.time() - self.path.stat().st_mtime < runs.STALE_SECONDS
            return alive and self.path.read_text() == self.content
        except FileNotFoundError:
            return False
        except OSError:
            return True  # a network file system's hiccup


# ---- the watching side ---------------------------------------------------------------------------


class Worker:
    """A worker process; of one thread, which gives it one run after another."""

    def __init__(self):
        words = [sys.executable, "-m", "lib.study.worker"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        # a session of its own: a terminal sends Ctrl-C to all of ours
        self.process = subprocess.Popen(words, cwd=runs.ROOT, start_new_session=True, **pipes)
        self.family: list[psutil.Process] = []
        _WORKERS.add(self)

    def begin(self, order: Order) -> None:
        run = order.run
        line = {"verb": order.verb, "folder": str(run.folder), "settings": run.settings.model_dump()}
        line |= {"threads": order.threads, "fresh": order.fresh}
        with suppress(BrokenPipeError):  # found by `answer`
            self.process.stdin.write(json.dumps(line).encode() + b"\n")
            self.process.stdin.flush()

    def answer(self, seconds: float) -> dict | None:
        """What it says at the run's end; None when it has not done so within `seconds`.

        Raises:
            WorkerLostError: it died.
        """
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        if line := self.process.stdout.readline():
            return json.loads(line)
        self.end()
        status = self.process.returncode
        raise WorkerLostError(f"signal {-status}" if status < 0 else f"exit status {status}")

    def memory(self) -> int:
        """Bytes that it and what it started hold."""
        total = 0
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.process.pid)
            self.family = [process, *process.children(recursive=True)]
        for one in self.family:
            with suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
        return total

    def end(self) -> None:
        """Ends it and what it started, also where it is dead already."""
        if self.process.returncode is None:  # else its number may be another's by now
            kill_tree(self.process.pid)
        for one in self.family:  # psutil kills none that merely has the same number
            with suppress(psutil.NoSuchProcess):
                one.kill()
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        _WORKERS.discard(self)


_WORKERS: set[Worker] = set()
_MINE = threading.local()


def end_all() -> None:
    """Ends the workers that this process's threads have kept."""
    for worker in list(_WORKERS):
        worker.end()


def watch(order: Order, lease: Lease, keep: bool = False) -> float:
    """Has a worker process carry out an order; returns the seconds that it took.

    Args:
        keep: the worker process for this thread's next order; what a run imports then need not be imported again.

    Raises:
        RunFailedError: the run failed, or went past a limit.
        WorkerLostError: the worker process died.
        StoppedError: the lease has ended.
    """
    if not order.run.folder.parent.is_dir():
        raise RunFailedError(f"{runs.HOST} does not see {order.run.folder.parent}: a shared file system is needed")
    worker = getattr(_MINE, "worker", None) if keep else None
    if worker is None or worker.process.poll() is not None:
        worker = Worker()
        if keep:
            _MINE.worker = worker
    try:
        answer = _watched(worker, order, lease)
    except BaseException:
        worker.end()
        raise
    if not keep:
        worker.end()
    if "cause" in answer:
        raise RunFailedError(answer["cause"])
    return answer["seconds"]


def _watched(worker: Worker, order: Order, lease: Lease) -> dict:
    start = time.monotonic()
    worker.begin(order)
    while (answer := worker.answer(LOOK_SECONDS)) is None:
        if not lease.held():
            raise StoppedError
        cause, memory = "", worker.memory()
        if (seconds := time.monotonic() - start) > order.seconds:
            cause = f"TimeLimitError: still running after {seconds:.0f} s; the limit is {order.seconds:.0f} s"
            cause += " (--time-limit); run again to continue from its checkpoint"
        elif 0 < order.memory < memory:
            cause = f"MemoryLimitError: its processes hold {memory / 2**30:.2f} GiB; "
            cause += (
                f"the limit is {order.memory / 2**30:.2f} GiB (--memory-limit); fewer --workers leave more for each"
            )
        if cause:
            worker.end()
            if order.verb == "execute":
                runs.fail(order.run.folder, cause)
            raise RunFailedError(cause)
    return answer


def kill_tree(pid: int) -> None:
    """Ends a process and all that it has started, a worker and its kernel for example."""
    try:
        process = psutil.Process(pid)
        if pid != os.getpid():
            process.suspend()  # a kernel that it starts just now would not be among its children yet
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.kill()


# ---- the worker ----------------------------------------------------------------------------------


def main() -> None:
    """Carries out what standard input says, line by line, and answers each with a line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: kill_tree(os.getpid()))
    os.environ.pop("JPY_SESSION_NAME", None)  # of a Lab session that this was started from: nobody watches the kernel
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer

    def carry_out(line: str) -> None:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")

    with ThreadPoolExecutor(1) as thread:  # in the main thread nbclient would take our signals
        for line in sys.stdin:
            thread.submit(carry_out, line)
        kill_tree(os.getpid())


def _answer(task: dict) -> dict:
    start = time.perf_counter()
    for name in THREADS:
        os.environ[name] = str(task["threads"])
    try:
        settings = check(task["settings"], task["folder"])
        if task["verb"] == "score":
            score(Path(task["folder"]), settings)
        else:
            execute(Path(task["folder"]), settings, task["fresh"])
    except Exception as error:
        text = str(error) if isinstance(error, RunFailedError) else f"{type(error).__name__}: {error}"
        return {"cause": " ".join(text.split())[:500]}
    return {"seconds": time.perf_counter() - start}


def execute(folder: Path, settings, fresh: bool = False) -> None:
    """Executes one run's notebook by papermill and commits its folder.

    Raises:
        RunFailedError: the one-line cause; it also stands in the partial folder's error.txt.
    """
    from papermill.exceptions import PapermillExecutionError

    try:
        ownership.check_run_folder(folder)
        runs.claim(folder, patience=runs.STALE_SECONDS + 30)  # of a lost worker's, elsewhere
    except (UserError, OSError) as error:  # the folder is not ours to write into
        raise RunFailedError(f"{type(error).__name__}: {error}") from None
    if not fresh and runs.current(folder, settings):  # made meanwhile by a worker that seemed lost
        ownership.remove(runs.partial_of(folder))
        return
    try:
        runs.clear(folder, keep_checkpoint=not fresh)
        notebook = runs.partial_of(folder) / "notebook.ipynb"
        with _stderr_to(notebook.with_name("kernel.log")):
            kernel.execute(runs.NOTEBOOK_DIR / f"{settings.notebook}.ipynb", notebook, settings.model_dump())
        runs.commit(folder)
    except PapermillExecutionError as error:
        cause = f"{error.ename}: {error.evalue}"
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
    else:
        return
    runs.fail(folder, cause)
    raise RunFailedError(cause)


def score(folder: Path, settings) -> None:
    """Computes a finished run's numbers anew from its saved networks; where that fails, its folder is as it was."""
    from lib import evaluation  # TensorFlow, for this worker process only

    evaluation.score_again(folder, settings)


@contextmanager
def _stderr_to(path: Path):
    """What this process and its kernel write to file descriptor 2 goes to a file: it would fill the terminal."""
    kept, log = os.dup(2), os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(log)


if __name__ == "__main__":
    main()
