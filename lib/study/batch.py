"""Runs as papermill executions on an Executor: cores divided, progress shown, failures kept for the reader."""

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path

import psutil
import yaml
from filelock import FileLock, Timeout
from tqdm import tqdm

from lib import data, runs
from lib.settings import UserError
from lib.study import kernel
from lib.study.plan import PlannedRun, Study

GIB_PER_RUN = 1.5  # what a kernel with TensorFlow and a dataset may take at its peak
START_SECONDS = 18.0  # of a run: kernel, imports, first step, evaluation, on one core
SCORE_SECONDS = 15.0  # of a run's numbers alone
# Training images a second on one core, measured with the default settings, for the estimate that is shown beforehand.
IMAGES_PER_SECOND = {
    "vae_mnist": 12_000,
    "vae_cifar10": 3_000,
    "gan_mnist": 3_500,
    "gan_cifar10": 1_200,
    "wgan_mnist": 3_500,
    "wgan_cifar10": 1_200,
}
CONV_FACTOR = 4.0
STEP_SECONDS = 0.002  # of a step, whatever its size: small batches take longer
ATTEMPTS = 3  # at a run whose worker process dies


# ---- one run, in a worker ------------------------------------------------------------------------


def execute(run: PlannedRun, threads: int) -> float:
    """Executes one run's notebook by papermill and commits its folder; returns the seconds it took.

    Raises:
        RuntimeError: the one-line cause; it also stands in the partial folder's error.txt.
    """
    from papermill.exceptions import PapermillExecutionError

    start = time.perf_counter()
    os.environ.pop("JPY_SESSION_NAME", None)  # of a Lab session that this was started from: nobody watches the kernel
    _use(threads)
    runs.claim(run.folder)
    notebook = runs.partial_of(run.folder) / "notebook.ipynb"
    try:
        with _stderr_to(notebook.with_name("kernel.log")):
            kernel.execute(runs.NOTEBOOK_DIR / f"{run.settings.notebook}.ipynb", notebook, run.settings.model_dump())
        runs.commit(run.folder)
    except PapermillExecutionError as error:
        cause = f"{error.ename}: {error.evalue}"
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
    else:
        return time.perf_counter() - start
    runs.fail(run.folder, cause)
    raise RuntimeError(" ".join(cause.split())[:500])


def score(run: PlannedRun, threads: int) -> float:
    """Computes a finished run's numbers anew from its saved networks; returns the seconds it took.

    Raises:
        RuntimeError: the one-line cause; the run's folder is as it was.
    """
    start = time.perf_counter()
    _use(threads)
    try:
        from lib import evaluation  # TensorFlow, for this worker process only

        evaluation.score_again(run.folder, run.settings)
    except Exception as error:
        raise RuntimeError(" ".join(f"{type(error).__name__}: {error}".split())[:500]) from None
    return time.perf_counter() - start


def _use(threads: int) -> None:
    """Tells TensorFlow and the linear algebra, where they are loaded later, on how many threads to work."""
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)


def _start_worker(parent: int) -> None:
    """A worker leaves Ctrl-C to its parent, and takes its kernel along when it is ended or its parent is gone."""
    os.setpgrp()  # a terminal sends Ctrl-C to the whole group, and nbclient puts a handler of its own in our place
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: kill_tree(os.getpid()))  # what a pool sends when another worker died

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        kill_tree(os.getpid())

    threading.Thread(target=watch, daemon=True).start()


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


# ---- a study -------------------------------------------------------------------------------------


def states(study: Study) -> dict[str, tuple[str, str]]:
    """Every run's state and why, by its name, as `runs.state` gives it."""
    return {run.name: runs.state(run.folder, run.settings) for run in study.runs}


def workers_and_threads(count: int, workers: int | None) -> tuple[int, int]:
    """How many runs go side by side, and on how many threads each: the cores divided, memory permitting."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fitting = max(1, int(psutil.virtual_memory().available / 2**30 / GIB_PER_RUN))
    workers = workers or min(cores, fitting, 8)
    workers = max(1, min(workers, count))
    return workers, max(1, cores // workers)


def estimate(run: PlannedRun, threads: int) -> float:
    """Seconds that a run is likely to take; within about a factor of two, on a machine like the one measured."""
    settings = run.settings
    images = data.header(settings.dataset)[0] * settings.epochs
    factor = CONV_FACTOR if settings.network == "conv" else 1.0
    arithmetic = factor * images / (IMAGES_PER_SECOND[settings.notebook] * threads**0.7)
    return START_SECONDS + arithmetic + STEP_SECONDS * images / settings.batch_size


def costs(todo: list[PlannedRun], threads: int, trained: Collection[str] = ()) -> dict[str, float]:
    """Seconds that each run is likely to take, by name; of those in `trained`, only the numbers are computed."""
    return {run.name: SCORE_SECONDS if run.name in trained else estimate(run, threads) for run in todo}


class BusyError(UserError):
    """Another process works on the same study folder."""

    status = 1  # of the command: nothing is wrong with the input


@contextmanager
def locked(study: Study):
    """Makes the study's folder and holds its lock, so that two `run`s cannot mix their files.

    Raises:
        BusyError: another `run` is at work there.
        UserError: the folder cannot be written to.
    """
    lock = FileLock(study.folder / ".lock", timeout=0)
    try:
        (study.folder / "runs").mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        where = f"{study.folder}: another `latent-report run` is at work there"
        raise BusyError(f"{where}; wait for it or use --out DIR") from None
    except OSError as error:
        raise UserError(f"{study.folder}: cannot be written to ({error.strerror}); use --out DIR") from None
    try:
        yield
    finally:
        lock.release()


def run_all(
    study: Study,
    todo: list[PlannedRun],
    workers: int,
    threads: int,
    fail_fast: bool = False,
    trained: Collection[str] = (),
) -> dict[str, str]:
    """Executes runs side by side and shows how they go; returns {name: cause} of the failed.

    Args:
        trained: names of the runs of which only the numbers are computed.
    """
    expected = costs(todo, threads, trained)
    todo = in_order(todo, expected)
    failed: dict[str, str] = {}
    with _noted_signals() as signals, Progress(expected) as progress:
        for _ in range(ATTEMPTS):
            if signals or not todo:
                break
            tasks = {run: score if run.name in trained else execute for run in todo}
            todo = _run_on(*pool(workers), tasks, threads, progress, failed, lambda: signals or (failed and fail_fast))
        if signals:
            todo = []
        for run in todo:
            failed[run.name] = f"its worker process died {ATTEMPTS} times; out of memory?"
            runs.fail(run.folder, failed[run.name])
            progress.finished(run, failed[run.name])
    return failed


def in_order(todo: list[PlannedRun], expected: dict[str, float]) -> list[PlannedRun]:
    """The longest first, but before all others one of each dataset: it trains the classifier that the others of its
    dataset need, who would else wait for it side by side."""
    longest = sorted(todo, key=lambda run: -expected[run.name])
    first = {run.settings.dataset: run for run in reversed(longest)}
    return sorted(longest, key=lambda run: first[run.settings.dataset] is not run)


@contextmanager
def _noted_signals():
    """Yields a list that Ctrl-C and SIGTERM are put into; the KeyboardInterrupt comes when the block has ended.

    Raised wherever the main thread just is, it could leave one of the pool's locks taken, and the end waits for ever.
    """
    noted: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _: noted.append(got)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if noted:
        raise KeyboardInterrupt(*(number for number in noted[:1] if number == signal.SIGTERM))


def pool(workers: int) -> tuple[Executor, Callable[[], None]]:
    """Worker processes of this machine, and how to end them at once.

    They start fresh (spawn), so that they share nothing with each other.
    """
    executor = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker, initargs=(os.getpid(),))
    return executor, lambda: [kill_tree(pid) for pid in list(executor._processes)]


def _run_on(executor, stop, tasks, threads, progress, failed, enough) -> list[PlannedRun]:
    """Hands runs to an executor until all have ended, or until it breaks: then returns those to start anew.

    Args:
        enough: asked once a second whether to end at once.
    """
    futures = {executor.submit(task, run, threads): run for run, task in tasks.items()}
    pending, again = set(futures), []
    try:
        while pending and not enough():
            done, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            progress.update([futures[future] for future in pending])
            for future in done:
                run, cause = futures[future], future.exception()
                if isinstance(cause, BrokenExecutor):  # a worker died: all runs of its pool are told so
                    again.append(run)
                    continue
                if cause:
                    failed[run.name] = str(cause)
                progress.finished(run, cause)
        return [] if enough() else again
    finally:
        # Ctrl-C, SIGTERM or --fail-fast: what is under way ends now. A broken pool sends its other workers SIGTERM, of
        # which nbclient makes the end of the kernel only, and then waits for them.
        if pending or again:
            stop()
        executor.shutdown(cancel_futures=True)


class Progress:
    """One bar over the study, in seconds of estimated work, and one line for each run that ends.

    Args:
        costs: estimated seconds of each run, by name.
    """

    def __init__(self, costs: dict[str, float]):
        self.costs, self.count = costs, 0
        self.over = 0.0
        self.start = time.perf_counter()

    def __enter__(self):
        layout = "{percentage:3.0f}%|{bar:24}| {elapsed} < {remaining}  {desc}"
        self.bar = tqdm(
            total=sum(self.costs.values()), bar_format=layout, disable=None, leave=False, dynamic_ncols=True
        )
        return self

    def __exit__(self, *_):
        self.bar.close()

    def update(self, pending: list[PlannedRun]) -> None:
        """Moves the bar by the epochs that the pending runs have behind them."""
        done, at_work = self.over, []
        for run in pending:
            if epoch := _epochs_done(run):
                done += self.costs[run.name] * epoch / run.settings.epochs
                at_work.append(f"{run.name} {epoch}/{run.settings.epochs}")
        self.bar.n = done
        self.bar.set_description_str(f"{self.count}/{len(self.costs)} runs; " + ", ".join(at_work))

    def finished(self, run: PlannedRun, cause) -> None:
        self.count += 1
        self.over += self.costs[run.name]
        elapsed = time.perf_counter() - self.start
        left = elapsed / self.over * (sum(self.costs.values()) - self.over)
        end = f"failed: {cause}" if cause else "done"
        end += (
            f", about {runs.duration(left)} left"
            if self.count < len(self.costs)
            else f", {runs.duration(elapsed)} in all"
        )
        tqdm.write(f"[{self.count:>{len(str(len(self.costs)))}}/{len(self.costs)}] {run.name}  {end}", file=sys.stdout)
        sys.stdout.flush()


def _epochs_done(run: PlannedRun) -> int:
    partial = runs.partial_of(run.folder)
    try:
        log = (partial / "log.txt").read_text(encoding="utf-8") if (partial / "worker.json").exists() else ""
    except OSError:
        return 0
    return log.count("\nepoch ") + log.startswith("epoch ")


# ---- export --------------------------------------------------------------------------------------


def export(study: Study, folder: Path) -> Path:
    """Writes one flat YAML a run and a run.sh of plain papermill lines; returns run.sh.

    Runs made by it land in the study's folder and count as done like any other.
    """
    try:
        return _export(study, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror})") from None


def _export(study: Study, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [runs.partial_of(run.folder) for run in study.runs]
    lines = ["#!/bin/sh", "# needs papermill and its python3 kernel: activate the environment first"]
    lines.append("mkdir -p " + " ".join(shlex.quote(str(output)) for output in outputs))
    for run, output in zip(study.runs, outputs, strict=True):
        file = (folder / f"{run.name}.yaml").absolute()
        runs.write_aside(file, yaml.safe_dump(run.settings.model_dump(), sort_keys=False))
        paths = (runs.NOTEBOOK_DIR / f"{run.settings.notebook}.ipynb", output / "notebook.ipynb")
        # papermill passes paths through str.format, where a brace is doubled
        words = ("papermill", *(str(path).replace("{", "{{").replace("}", "}}") for path in paths), "-f", str(file))
        lines.append(" ".join(shlex.quote(word) for word in words) + " || failed=1")
    lines.append("exit ${failed:-0}")
    script = folder / "run.sh"
    runs.write_aside(script, "\n".join(lines) + "\n")
    script.chmod(0o755)
    return script
