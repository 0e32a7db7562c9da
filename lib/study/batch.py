"""Runs as papermill executions on an Executor: what is to be done, in which order, and what to do when one fails."""

import os
import shlex
import signal
from collections import Counter
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml
from filelock import FileLock, Timeout

from lib import data, ownership, runs
from lib.settings import UserError
from lib.study import worker
from lib.study.plan import PlannedRun, Study
from lib.study.progress import Cost, Progress

GIB_PER_RUN = 3.0  # what a kernel with TensorFlow and a dataset may take at its peak (a VAE's evaluation on CIFAR-10)
START_SECONDS = 18.0  # of a run: kernel, imports, first step, evaluation, on one core
SCORE_SECONDS = 15.0  # of a run's numbers alone
# Training images a second on one core, from measured ones with the default settings, for the estimate shown beforehand.
IMAGES_PER_SECOND = {
    "vae_mnist": 35_000,
    "vae_cifar10": 5_000,
    "gan_mnist": 6_500,
    "gan_cifar10": 2_200,
    "wgan_mnist": 7_000,
    "wgan_cifar10": 2_100,
}
CONV_FACTOR = 6.0  # between 3 (VAE, CIFAR-10) and 9 (WGAN, MNIST)
STEP_SECONDS = 0.004  # of a step, whatever its size, and not in the above: small batches take longer
MEMORY_SHARE = 0.9  # of the machine's memory, that all runs together may hold


@dataclass(frozen=True)
class Limits:
    """What a run may take.

    Args:
        seconds: of wall-clock time, in one go; what was trained by then is kept in its checkpoint.
        memory: bytes that its processes together may hold; None shares the machine's memory out.
        retries: how often a run is tried again whose worker process died.
    """

    seconds: float = 24 * 3600.0
    memory: int | None = None
    retries: int = 2

    def bytes_for(self, workers: int) -> int:
        """The memory limit of each of so many runs side by side."""
        if self.memory is not None:
            return self.memory
        share = int(MEMORY_SHARE * psutil.virtual_memory().total / workers)
        return max(share, int(GIB_PER_RUN * 2**30))  # less would end runs that use what they need


# ---- what is to be done --------------------------------------------------------------------------


def states(study: Study) -> dict[str, tuple[str, str]]:
    """Every run's state and why, by its name, as `runs.state` gives it."""
    return {run.name: runs.state(run.folder, run.settings, run.as_found) for run in study.runs}


def workers_and_threads(count: int, workers: int | None) -> tuple[int, int]:
    """How many runs go side by side, and on how many threads each: the cores divided, memory permitting."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fitting = max(1, int(psutil.virtual_memory().available / 2**30 / GIB_PER_RUN))
    workers = workers or min(cores, fitting, 8)
    workers = max(1, min(workers, count))
    return workers, max(1, cores // workers)


def estimate(run: PlannedRun, threads: int) -> Cost:
    """What a run is likely to take; within about a factor of two, on a machine like the one measured."""
    settings = run.settings
    images = data.header(settings.dataset)[0] * settings.epochs
    factor = CONV_FACTOR if settings.network == "conv" else 1.0
    arithmetic = factor * images / (IMAGES_PER_SECOND[settings.notebook] * threads**0.7)
    return Cost(arithmetic + STEP_SECONDS * images / settings.batch_size, START_SECONDS)


def costs(todo: list[PlannedRun], threads: int, trained: Collection[str] = ()) -> dict[str, Cost]:
    """What each run is likely to take, by name; of those in `trained`, only the numbers are computed."""
    return {run.name: Cost(0.0, SCORE_SECONDS) if run.name in trained else estimate(run, threads) for run in todo}


def in_order(todo: list[PlannedRun], expected: dict[str, Cost]) -> list[PlannedRun]:
    """The longest first, but before all others one of each dataset: it trains the classifier that the others of its
    dataset need, who would else wait for it side by side."""
    longest = sorted(todo, key=lambda run: -expected[run.name].total)
    first = {run.settings.dataset: run for run in reversed(longest)}
    return sorted(longest, key=lambda run: first[run.settings.dataset] is not run)


# ---- whose the study's folder is -----------------------------------------------------------------


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
        where = f"{study.folder}: another `latent-report run` is using this folder"
        raise BusyError(f"{where}; wait for it or use --out DIR") from None
    except OSError as error:
        raise UserError(f"{study.folder}: cannot be written to ({error.strerror}); use --out DIR") from None
    try:
        yield
    finally:
        lock.release()


# ---- the engine ----------------------------------------------------------------------------------


@contextmanager
def local(workers: int):
    """Yields an Executor whose threads have a worker process each; they end with it."""
    try:
        with ThreadPoolExecutor(workers) as executor:
            yield executor
    finally:
        worker.end_all()


def run_all(
    todo: list[PlannedRun],
    lease: worker.Lease,
    executor: Executor,
    workers: int,
    threads: int,
    limits: Limits,
    *,
    fail_fast: bool = False,
    trained: Collection[str] = (),
    fresh: bool = False,
    keep: bool = True,
    final: tuple[type[Exception], ...] = (),
) -> dict[str, str]:
    """Executes runs side by side and shows how they go; returns {name: cause} of the failed.

    Args:
        lease: ends with this; runs that are then still at work end too.
        executor: any; a local one of threads, or a cluster's.
        trained: names of the runs of which only the numbers are computed.
        fresh: whether checkpoints are left aside.
        keep: worker processes for the executor's next runs.
        final: errors of the executor's after which a run is not tried again.
    """
    expected = costs(todo, threads, trained)
    memory = limits.bytes_for(workers)
    failed: dict[str, str] = {}
    lost: Counter[str] = Counter()
    pending: dict[Future, PlannedRun] = {}

    def submit(run: PlannedRun) -> None:
        verb = "score" if run.name in trained else "execute"
        order = worker.Order(verb, run, threads, limits.seconds, memory, fresh)
        pending[executor.submit(worker.watch, order, lease, keep)] = run

    def end(run: PlannedRun, future: Future) -> None:
        try:
            seconds = future.result()
        except worker.RunFailedError as error:
            cause = str(error)
        except Exception as error:  # of the executor, or of its worker: not of the run
            lost[run.name] += 1
            cause = str(error) if isinstance(error, worker.WorkerLostError) else f"{type(error).__name__}: {error}"
            if lost[run.name] <= limits.retries and not isinstance(error, final):
                progress.again(run, cause)
                return submit(run)
            times = "" if isinstance(error, final) else f" {lost[run.name]} times"
            cause = f"its worker process died{times}, last by {cause}; out of memory?"
            runs.fail(run.folder, cause)
        else:
            return progress.ended(run, seconds, trained=run.name not in trained)
        failed[run.name] = cause
        progress.ended(run, cause=cause)

    with _noted_signals() as signals, Progress(expected, workers) as progress:
        try:
            for run in in_order(todo, expected):
                if not runs.alive(partial := runs.partial_of(run.folder)):
                    (partial / runs.CLAIM).unlink(missing_ok=True)  # of a process that died
                submit(run)
            while pending and not signals and not (failed and fail_fast):
                lease.beat()
                progress.update(list(pending.values()))
                for future in wait(pending, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    end(pending.pop(future), future)
            progress.summary()
        finally:
            lease.release()
            for future in pending:  # Ctrl-C, SIGTERM or --fail-fast: what is under way ends now
                future.cancel()
    return failed


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
    script, head = folder / "run.sh", "# needs papermill and its python3 kernel: activate the environment first"
    written = {script: head} | {folder / f"{run.name}.yaml": "notebook: " for run in study.runs}
    for path, words in written.items():
        if not ownership.is_ours(path, words.encode()):
            raise UserError(
                f"{path}: was not written by `latent-report export` and would be lost: choose another folder"
            )
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [runs.partial_of(run.folder) for run in study.runs]
    lines = ["#!/bin/sh", head]
    lines.append("mkdir -p " + " ".join(shlex.quote(str(output)) for output in outputs))
    for run, output in zip(study.runs, outputs, strict=True):
        file = (folder / f"{run.name}.yaml").absolute()
        runs.write_aside(file, yaml.safe_dump(run.settings.model_dump(), sort_keys=False))
        paths = (runs.NOTEBOOK_DIR / f"{run.settings.notebook}.ipynb", output / "notebook.ipynb")
        # papermill passes paths through str.format, where a brace is doubled
        words = ("papermill", *(str(path).replace("{", "{{").replace("}", "}}") for path in paths), "-f", str(file))
        lines.append(" ".join(shlex.quote(word) for word in words) + " || failed=1")
    lines.append("exit ${failed:-0}")
    runs.write_aside(script, "\n".join(lines) + "\n")
    script.chmod(0o755)
    return script
