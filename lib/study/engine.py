"""What is to be done with a study's runs, in which order, by whom, and what to do when one fails."""

import os
import shlex
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
import yaml

from lib import data, files, models, runs
from lib.errors import UserError
from lib.files import write_aside
from lib.notebooks import find
from lib.runs import locks, ownership, states
from lib.study import job
from lib.study.plan import PlannedRun, Study
from lib.study.progress import Cost, Progress

GIB_PER_RUN = 3.0  # what a kernel with TensorFlow and a dataset may take at its peak (a VAE's evaluation on CIFAR-10)
START_SECONDS = 9.0  # of a run whose kernel is forked: all but the steps, on one core (18 where it is not)
SCORE_SECONDS = 15.0  # of a run's numbers alone
CONV_FACTOR = 6.0  # between 3 (VAE, CIFAR-10) and 9 (WGAN, MNIST)
STEP_SECONDS = 0.004  # of a step, whatever its size, and not in the above: small batches take longer
MEMORY_SHARE = 0.9  # of the machine's memory, that all runs together may hold
BUSY_SECONDS = 2.0  # between two looks at runs that other processes are at work on


@dataclass(frozen=True)
class Limits:
    """What a run may take."""

    seconds: float = 24 * 3600.0  # of wall-clock time, in one go; what was trained by then is kept in its checkpoint
    memory: int | None = None  # bytes that its processes together may hold; None shares the machine's memory out
    retries: int = 2  # how often a run is tried again whose process died

    def bytes_for(self, workers: int) -> int:
        """The memory limit of each of so many runs side by side."""
        if self.memory is not None:
            return self.memory
        share = int(MEMORY_SHARE * psutil.virtual_memory().total / workers)
        return max(share, int(GIB_PER_RUN * 2**30))  # less would end runs that use what they need


class Crew(NamedTuple):
    """Who carries out runs: threads of this process, or a cluster's."""

    executor: Executor  # has `job.watch` called
    workers: int  # runs side by side
    threads: int  # that each of them may use
    wanted: Callable[[], bool]  # whether the runs still are; asked wherever they are made
    stop: Callable[[], None]  # makes that say no
    final: tuple[type[Exception], ...] = ()  # the executor's errors after which a run is not tried again


# ---- what is to be done, in which order ----------------------------------------------------------


class Outlook:
    """What is left to do of a study, and what that is likely to take. As text, both in one line.

    Args:
        states: of its runs, as `states_of` gives them.
        only: a share of its runs, as `share` takes it.
        force: whether what is done is done again.
        workers: as many as the machine has room for, where it is None.
    """

    def __init__(self, study: Study, states: dict, only: tuple[int, int] | None = None, force=False, workers=None):
        mine = share(study.runs, only)
        self.todo = [run for run in mine if force or states[run.name][0] != "done"]
        self.trained = {name for name, (state, _) in states.items() if state == "unscored" and not force}
        self.workers, threads = workers_and_threads(len(self.todo), workers)
        self.costs = costs(self.todo, threads, self.trained)
        done = len(mine) - len(self.todo)
        self.head = f"{study.title}: {len(mine)} runs, {done} done, {len(self.todo)} to do"
        self.whole = self.head + (expected(self.costs, self.workers, threads) if self.todo else "")

    def __str__(self) -> str:
        return self.whole


def states_of(study: Study) -> dict[str, tuple[str, str]]:
    """Every run's state and why, by its name, as `states.of` gives it."""
    return {run.name: states.of(run.folder, run.settings, run.as_found) for run in study.runs}


def expected(costs: dict[str, Cost], workers: int, threads: int) -> str:
    """How long some runs are likely to take, and with how many workers, as the end of a line."""
    seconds = max(sum(cost.total for cost in costs.values()) / workers, *(cost.total for cost in costs.values()), 0.0)
    size = f"{workers} worker{'s' * (workers > 1)} of {threads} thread{'s' * (threads > 1)}"
    return f" with {size}{' each' * (workers > 1)}, about {runs.duration(seconds)}"


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_and_threads(count: int, workers: int | None) -> tuple[int, int]:
    """How many runs go side by side, and on how many threads each: the cores divided, memory permitting."""
    fitting = max(1, int(psutil.virtual_memory().available / 2**30 / GIB_PER_RUN))
    workers = max(1, min(workers or min(cores(), fitting, 8), count))
    return workers, max(1, cores() // workers)


def estimate(run: PlannedRun, threads: int) -> Cost:
    """What a run is likely to take; within about a factor of two, on a machine like the one measured."""
    settings = run.settings
    count, shape = data.header(settings.dataset)
    images = count * settings.epochs
    factor = CONV_FACTOR if settings.network == "conv" else 1.0
    speed = models.of(find(settings.notebook)).images_per_second[shape[-1] == 3]
    return Cost(factor * images / (speed * threads**0.7) + STEP_SECONDS * images / settings.batch_size, START_SECONDS)


def costs(todo: Sequence[PlannedRun], threads: int, trained: Collection[str] = ()) -> dict[str, Cost]:
    """What each run is likely to take, by name; of those in `trained`, only the numbers are computed."""
    return {run.name: Cost(0.0, SCORE_SECONDS) if run.name in trained else estimate(run, threads) for run in todo}


def in_order(todo: Sequence[PlannedRun], expected: dict[str, Cost]) -> list[PlannedRun]:
    """The longest first, of equally long ones the widest, but before all others one of each dataset: it trains the
    classifier that the others of its dataset need, who would else wait for it side by side."""
    longest = sorted(todo, key=lambda run: (-expected[run.name].total, -run.settings.width))
    first = {run.settings.dataset: run for run in reversed(longest)}
    return sorted(longest, key=lambda run: first[run.settings.dataset] is not run)


def share(planned: Sequence[PlannedRun], which: tuple[int, int] | None) -> list[PlannedRun]:
    """The I-th of N shares of a study's runs, from 0, which take about the same time; all of them for None.

    A share has the same runs wherever it is asked, whatever is done already; no two have one in common.
    """
    if which is None:
        return list(planned)
    number, count = which
    mine = in_order(planned, costs(planned, 1))[number::count]
    return [run for run in planned if run in mine]


def check_folders(study: Study) -> None:
    """Makes sure, before anything is started, that nothing of a user's is in the way of the study's files.

    Raises:
        UserError: names what is.
    """
    ownership.check_study_folder(study.folder, [*(f"{run.name}.html" for run in study.runs), "estimators.html"])
    for run in study.runs:
        ownership.check_run_folder(run.folder, "the run's folder")


def prepare(study: Study) -> None:
    """Makes the study's folder.

    Raises:
        UserError: it cannot be written to.
    """
    try:
        (study.folder / "runs").mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=study.folder).close()
    except OSError as error:
        raise UserError(f"{study.folder}: cannot be written to ({error.strerror}); use --out DIR") from None


# ---- doing it ------------------------------------------------------------------------------------


@contextmanager
def local(workers: int, threads: int):
    """Yields a crew of this process's threads."""
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as executor:
        yield Crew(executor, workers, threads, lambda: not stop.is_set(), stop.set)


def run_all(
    todo: Sequence[PlannedRun],
    crew: Crew,
    limits: Limits,
    *,
    fail_fast: bool = False,
    trained: Collection[str] = (),
    fresh: bool = False,
    ended: Callable[[PlannedRun], None] = lambda run: None,
) -> dict[str, str]:
    """Has a crew carry out runs and shows how they go; returns {name: cause} of the failed.

    Args:
        trained: names of the runs of which only the numbers are computed.
        ended: called with each run that is done, as soon as it is.
        fresh: whether all is done from the start, and what is done already too.
    """
    expected = costs(todo, crew.threads, trained)
    with _noted_signals() as signals, Progress(expected, crew.workers) as progress:
        execution = _Execution(crew, limits, trained, fresh, progress, ended)
        try:
            for run in in_order(todo, expected):
                execution.submit(run)
            while (execution.pending or execution.busy) and not signals and not (execution.failed and fail_fast):
                execution.step()
            progress.summary()
        finally:  # after Ctrl-C, SIGTERM or --fail-fast, what is under way ends now
            crew.stop()
            for future in execution.pending:
                future.cancel()
    return execution.failed


class _Execution:
    """Runs with a crew at work on them; see `run_all`."""

    def __init__(self, crew: Crew, limits: Limits, trained: Collection[str], fresh: bool, progress: Progress, ended):
        self.crew, self.limits, self.trained, self.fresh, self.progress = crew, limits, trained, fresh, progress
        self.ended = ended
        self.pending: dict[Future, PlannedRun] = {}
        self.busy: dict[PlannedRun, tuple[float, int]] = {}  # others are at work on them: since when, on what record
        self.lost: Counter[str] = Counter()
        self.failed: dict[str, str] = {}
        self.looked = 0.0

    def submit(self, run: PlannedRun) -> None:
        """Hands a run to the crew, behind all others."""
        verb = "score" if run.name in self.trained else "execute"
        memory = self.limits.bytes_for(self.crew.workers)
        order = job.Order(verb, run, self.crew.threads, self.limits.seconds, memory, self.fresh)
        self.pending[self.crew.executor.submit(job.watch, order, self.crew.wanted)] = run

    def step(self) -> None:
        """Waits a moment, and sees to the runs that have ended meanwhile."""
        self.progress.update([*self.pending.values(), *self.busy])
        for future in wait(self.pending, timeout=0.5, return_when=FIRST_COMPLETED).done:
            self.end(self.pending.pop(future), future)
        if not self.pending:
            time.sleep(0.5)
        if time.monotonic() - self.looked > BUSY_SECONDS:
            self.looked = time.monotonic()
            for run in list(self.busy):
                self.look_again(run, *self.busy[run])

    def end(self, run: PlannedRun, future: Future) -> None:
        """Sees to a run that the crew has done with, one way or another."""
        try:
            kind, words, seconds = future.result()
        except Exception as error:  # of the executor, or of its worker: not of the run
            kind, words = "lost", f"{type(error).__name__}: {error}"
        final = isinstance(future.exception(), self.crew.final)
        if kind == "done":
            trained = "" if run.name in self.trained else self.progress.trained(run, seconds)
            self.done(run, f"done in {runs.duration(seconds)}{trained}")
        elif kind == "elsewhere":
            self.done(run, "done elsewhere")
        elif kind == "failed":
            self.fail(run, words)
        elif kind == "busy":
            self.busy[run] = (time.monotonic(), _written(run))
            self.progress.again(run, f"{words or 'another process'} is working on it; waiting for that")
        else:  # "lost", or "stopped" by a hiccup: we still want it
            self.lose(run, words or kind, final)

    def done(self, run: PlannedRun, words: str) -> None:
        self.progress.ended(run, words)
        self.ended(run)

    def fail(self, run: PlannedRun, cause: str) -> None:
        self.failed[run.name] = cause
        self.progress.ended(run, f"failed: {cause}", failed=True)

    def lose(self, run: PlannedRun, cause: str, final: bool) -> None:
        """Has a run tried again whose process died, or its worker, within limits."""
        self.lost[run.name] += 1
        if self.lost[run.name] <= self.limits.retries and not final:
            self.progress.again(run, f"its worker process died ({cause}); trying again")
            return self.submit(run)
        times = "" if final else f" {self.lost[run.name]} times"
        cause = f"its worker process died{times}, last by {cause}; out of memory?"
        states.fail(run.folder, cause)
        self.fail(run, cause)

    def look_again(self, run: PlannedRun, since: float, record: int) -> None:
        """Sees to a run that another process was at work on: that has made it, or we do, or the wait is too long."""
        if owner := locks.at_work(run.folder):
            if time.monotonic() - since > self.limits.seconds:
                del self.busy[run]
                self.fail(run, f"{owner} is working on it; wait for it or end it")
            return
        del self.busy[run]
        if record != _written(run) and states.of(run.folder, run.settings)[0] == "done":
            self.done(run, "done elsewhere")
        else:
            self.submit(run)


def _written(run: PlannedRun) -> int:
    """When a run's record was last written."""
    try:
        return (run.folder / "result.json").stat().st_mtime_ns
    except OSError:
        return 0


@contextmanager
def _noted_signals():
    """Yields a list that Ctrl-C and SIGTERM are put into; the KeyboardInterrupt comes when the block has ended.

    Raised wherever the main thread just is, it could leave one of the pool's locks taken, and the end waits for ever.
    """
    noted: list[int] = []
    both = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda got, _: noted.append(got)) for number in both}
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
    script, head = folder / "run.sh", "# needs papermill and its python3 kernel: activate the environment first"
    for path, words in {script: head, **{folder / f"{run.name}.yaml": "notebook: " for run in study.runs}}.items():
        if not files.is_ours(path, words.encode()):
            raise UserError(
                f"{path}: was not written by `latent-report export` and would be lost: choose another folder"
            )
    outputs = [ownership.partial_of(run.folder) for run in study.runs]
    lines = ["#!/bin/sh", head, shlex.join(["mkdir", "-p", *map(str, outputs)])]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for run, output in zip(study.runs, outputs, strict=True):
            file = (folder / f"{run.name}.yaml").absolute()
            write_aside(file, yaml.safe_dump(run.settings.model_dump(), sort_keys=False))
            # papermill passes paths through str.format, where a brace is doubled
            paths = [str(path).replace("{", "{{").replace("}", "}}") for path in (find(run.settings.notebook), output)]
            lines.append(
                shlex.join(["papermill", paths[0], f"{paths[1]}/notebook.ipynb", "-f", str(file)]) + " || failed=1"
            )
        write_aside(script, "\n".join([*lines, "exit ${failed:-0}"]) + "\n")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror})") from None
    script.chmod(0o755)
    return script
