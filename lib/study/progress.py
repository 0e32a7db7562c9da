"""How a study goes: a table of the runs at work, a line for each that ends, and what remains."""

import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lib import runs
from lib.runs import locks, states
from lib.study import command
from lib.study.plan import PlannedRun

QUIET_SECONDS = 600.0  # between two lines on the runs at work, where the output is no terminal


@dataclass(frozen=True)
class Cost:
    """Seconds that a run is likely to take: in training, and in all the rest (start, compiling, evaluation)."""

    fit: float
    rest: float

    @property
    def total(self) -> float:
        return self.fit + self.rest


class Pace:
    """How this machine's seconds compare to the estimated ones, learnt from the runs that have ended or are at work.

    Training and the rest are learnt apart, and the rest as a median: the first run of a dataset also trains its
    classifier, which says nothing of the others.
    """

    def __init__(self, costs: dict[str, Cost]):
        self.costs = costs
        self.measured = self.expected = 0.0  # seconds of training
        self.rests: list[float] = []

    def ended(self, name: str, fit: float, total: float) -> None:
        self.measured, self.expected = self.measured + fit, self.expected + self.costs[name].fit
        self.rests.append(max(0.0, total - fit))

    def left(self, waiting: list[str], at_work: dict[str, tuple[float, dict]], workers: int) -> float:
        """Seconds until all have ended.

        Args:
            at_work: by name, the seconds since a run began, and what it last said (`states.progress`).
        """
        if not waiting and not at_work:
            return 0.0
        measured, expected = self.measured, self.expected
        for name, (_, said) in at_work.items():
            if said.get("stage") == "fit" and 0 < said.get("epoch", 0) < said["epochs"]:
                measured += said["seconds_left"]
                expected += self.costs[name].fit * (1 - said["epoch"] / said["epochs"])
        factor = measured / expected if expected else 1.0
        rest = statistics.median(self.rests or [self.costs[name].rest for name in (*waiting, *at_work)])
        whole = {name: self.costs[name].fit * factor + rest for name in (*waiting, *at_work)}
        waits, lasting = [whole[name] for name in waiting], []
        for name, (since, said) in at_work.items():
            if "seconds_left" in said:
                lasting.append(said["seconds_left"] + rest / 2)
            else:
                lasting.append(rest / 4 if said.get("stage") == "evaluation" else max(rest / 2, whole[name] - since))
        return max([sum(lasting + waits) / workers, *lasting, *waits])


class Progress:
    """Shows a study's way: on a terminal a live table, else a line now and then."""

    def __init__(self, costs: dict[str, Cost], workers: int):
        self.costs, self.workers, self.pace = costs, workers, Pace(costs)
        self.start = self.looked = self.said = time.monotonic()
        self.began: dict[str, float] = {}
        self.count = self.failures = 0
        self.seconds: Counter[str] = Counter()  # of the runs that have ended, by what they were spent on
        terminal = sys.stdout.isatty()  # a notebook's kernel sets FORCE_COLOR for all that it starts
        self.console = Console(file=sys.stdout, force_terminal=terminal, highlight=False, soft_wrap=True)
        self.live = Live(console=self.console, auto_refresh=False, transient=True, redirect_stdout=False)

    def __enter__(self):
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_):
        self.live.stop()

    def update(self, pending: list[PlannedRun]) -> None:
        """Looks at what the pending runs say, at most once a second."""
        now = time.monotonic()
        if now - self.looked < 1:
            return
        self.looked = now
        working = [run for run in pending if locks.at_work(run.folder)]
        at_work = {
            run.name: (now - self.began.setdefault(run.name, now), states.progress(run.folder)) for run in working
        }
        left = self.pace.left([run.name for run in pending if run.name not in at_work], at_work, self.workers)
        command.say(stage="runs", ended=self.count, of=len(self.costs), left=left)
        if self.console.is_terminal:
            self.live.update(self.table(at_work, left), refresh=True)
        elif now - self.said > QUIET_SECONDS:
            self.said = now
            each = ", ".join(f"{name} {_epoch(said) or said.get('stage', '')}" for name, (_, said) in at_work.items())
            self.say(f"{self.count}/{len(self.costs)} ended, about {runs.duration(left)} left; running: {each}")

    def table(self, at_work: dict[str, tuple[float, dict]], left: float) -> Group:
        """One row for each run at work, and the whole below."""
        whole = f"{self.count} of {len(self.costs)} ended, {self.failures} failed, {len(at_work)} running; "
        whole += f"{runs.duration(time.monotonic() - self.start)}, about {runs.duration(left)} left"
        table = Table(box=None, pad_edge=False)
        for name in ("run", "state", "elapsed", "epoch", "images/s", "left"):
            table.add_column(name, justify="left" if name in ("run", "state") else "right", no_wrap=True)
        for name, (since, said) in at_work.items():
            rate = f"{said['images_per_second']:,.0f}" if "images_per_second" in said else ""
            remaining = runs.duration(said["seconds_left"]) if "seconds_left" in said else ""
            stage = said.get("stage", "starting")
            table.add_row(Text(name), stage, runs.duration(since), _epoch(said), rate, remaining)
        return Group(table, Text(whole))  # as the table's caption it would be broken to the table's width

    def ended(self, run: PlannedRun, words: str, failed: bool = False) -> None:
        """Says how a run has ended."""
        self.count += 1
        self.failures += failed
        self.say(f"[{self.count:>{len(str(len(self.costs)))}}/{len(self.costs)}] {run.name}  {words}")

    def trained(self, run: PlannedRun, seconds: float) -> str:
        """What a run that was trained here has taken, in words; the pace is learnt from it."""
        result = runs.read_result(run.folder)
        fit = min(result["seconds"]["fit"], seconds)  # of a continued run the record has earlier seconds too
        self.seconds.update({**result["seconds"], "fit": fit, "all": seconds})
        if not result["continued_after"]:
            self.pace.ended(run.name, result["seconds"]["fit"], seconds)
        start, first = (result["seconds"].get(name, 0.0) for name in ("start", "first_step"))
        return f" (start {start:.0f} s, first step {first:.0f} s), {result['images_per_second']:,.0f} images/s"

    def again(self, run: PlannedRun, words: str) -> None:
        """Says that a run is tried again, or waited for."""
        self.began.pop(run.name, None)
        self.say(f"{run.name}  {words}")

    def summary(self) -> None:
        """Says at the end how long it took and on what the workers' time was spent."""
        wall = time.monotonic() - self.start
        of = len(self.costs)
        ended = f"{self.count} run{'s' * (of > 1)}" if self.count == of else f"{self.count} of {of} runs ended"
        line = f"{ended} in {runs.duration(wall)}"
        if self.seconds["all"]:
            shares = {
                name: self.seconds[name] / (wall * self.workers) for name in ("fit", "evaluation", "start", "build")
            }
            parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
            line += f"; {self.workers} workers' time: {parts}, the rest {max(0.0, 1 - sum(shares.values())):.0%}"
        self.say(line)

    def say(self, line: str) -> None:
        self.console.print(Text(line))
        sys.stdout.flush()


def _epoch(said: dict) -> str:
    return f"{said['epoch']}/{said['epochs']}" if "epoch" in said else ""
