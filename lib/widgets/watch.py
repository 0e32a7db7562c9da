"""A study at work, as its files tell of it: started, stopped, and found again wherever it was started."""

import subprocess
import threading
import time
from html import escape
from pathlib import Path

import ipywidgets
from IPython.display import Markdown

from lib import runs
from lib.errors import UserError, in_one_line
from lib.runs import keys, locks, states
from lib.study import command, engine, plan
from lib.widgets import controls, tables
from lib.widgets.planner import Planner, drafted, fault, path_of

ROWS = 40  # of the table, at most
ORDER = ("running", "failed", "missing", "stale", "unscored", "published", "done")  # of rows, where not all fit
SLOWEST = 10.0  # seconds between two looks: a server keeps what is sent while no page is open


class Watch:
    """The runs of a study as they go on, with a button to start the study and one to stop it.

    Args:
        planner: the study that it has saved last is shown, but at first one that is at work.
    """

    newest = None  # of all in a kernel, only the one that was shown last goes on looking

    def __init__(self, planner: Planner):
        self.planner, self.looking = planner, threading.Lock()
        self.started: dict[str, subprocess.Popen] = {}  # by study, from this kernel
        self.study, self.since = None, 0.0  # and when it was chosen or started
        self.seen: tuple[int, dict[Path, int]] = 0, {}  # when its file and its done runs' records were written
        self.pick = None

    def show(self):
        """The study's runs; in batch, those of the study as it is planned."""
        if not controls.interactive():
            study = drafted(self.planner.first, self.planner.chosen)
            rows = [[f"`{name}`", _said(state)] for name, (state, _) in engine.states_of(study).items()]
            return Markdown(tables.table(["run", "state"], rows))
        if not self.pick:
            self._make()
        Watch.newest = turn = object()
        threading.Thread(target=self._follow, args=[turn], daemon=True).start()
        return self.box

    def _make(self) -> None:
        known = _known()
        busy = (name for name in known if command.at_work(plan.REPORTS_DIR / name))
        self.pick = controls.choice("study")
        self.head, self.table, self.last = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.start_button, self.stop_button = (ipywidgets.Button(description=each) for each in ("Start", "Stop"))
        self.start_button.on_click(self.start)
        self.stop_button.on_click(self.stop)
        buttons = controls.row(self.start_button, self.stop_button)
        self.box = controls.column(self.pick, buttons, self.head, self.table, self.last)
        self.turn(next(busy, self.planner.first))
        self.pick.observe(lambda change: self.look(), "value")
        self.planner.followers.append(self.turn)

    def turn(self, name: str) -> None:
        """Turns to a study in parameters/, or to none."""
        known = _known()
        self.pick.options = [("save a plan above, or choose a study", ""), *((each, each) for each in known)]
        self.pick.value = name if name in known else ""
        self.look()

    def _follow(self, turn: object) -> None:
        while Watch.newest is turn:
            time.sleep(min(SLOWEST, max(1.5, (time.time() - self.since) / 60)))
            try:
                self.look()
            except Exception as error:  # a hiccup of a file system, for example: the next look may succeed
                self.head.value = fault(in_one_line(error))

    # ---- what is seen

    def look(self) -> None:
        """Shows where the study stands."""
        with self.looking:
            try:
                self._read()
            except UserError as error:
                self.study, self.head.value = None, fault(str(error))
            if not self.study:
                self.table.value = self.last.value = ""
                self.start_button.disabled = self.stop_button.disabled = True
                return
            found = {run.name: self._state(run) for run in self.study.runs}
            at_work = command.at_work(self.study.folder)
            starting = not at_work and self._starting()
            self.start_button.disabled = bool(at_work) or starting
            self.stop_button.disabled = not (starting or any(each.by_notebook for each in at_work))
            self.head.value = self._head(found, at_work, starting)
            self.table.value = _table(self.study, found)
            words = command.last_words(self.study.folder)
            self.last.value = f"<pre>{escape(words)}</pre>" if words else ""

    def _read(self) -> None:
        """Reads the study again where another one is chosen, or its file has changed."""
        if not self.pick.value:
            self.study, self.head.value = None, ""
            return
        path = path_of(self.pick.value)
        stamp = path.stat().st_mtime_ns
        if not self.study or self.study.path != path or self.seen[0] != stamp:
            keys.notebook_digest.cache_clear()  # who works in JupyterLab may have changed a notebook
            self.study, self.seen, self.since = plan.read(str(path), check_data=False), (stamp, {}), time.time()

    def _state(self, run: plan.PlannedRun) -> tuple[str, str]:
        """A run's state, and why; a finished one is read once."""
        record, known = run.folder / "result.json", self.seen[1]
        stamp = record.stat().st_mtime_ns if record.exists() else 0
        if stamp and known.get(run.folder) == stamp and not locks.at_work(run.folder):
            return "done", ""
        state, why = states.of(run.folder, run.settings)
        if state == "done":
            known[run.folder] = stamp
        return state, why

    def _starting(self) -> bool:
        process = self.started.get(self.study.name)
        return bool(process) and process.poll() is None

    def _head(self, found: dict[str, tuple[str, str]], at_work: list[command.Command], starting: bool) -> str:
        kinds = [state for state, _ in found.values()]
        done, count = kinds.count("done"), len(kinds)
        others = ", ".join(f"{kinds.count(each)} {each}" for each in ("running", "failed") if each in kinds)
        words = f"{done} of {count} runs done{', ' * bool(others)}{others}. "
        words += "; ".join(map(_at_work, at_work)) or ("Starting." if starting else str(engine.Outlook(self.study, found)))
        return f'<progress max="{count}" value="{done}" aria-label="Runs done"></progress> {escape(words)}'

    # ---- what can be done

    def start(self, _=None) -> None:
        """Starts the study in the background."""
        try:
            study = plan.read(str(path_of(self.pick.value)))
            engine.check_folders(study)
            self.started[study.name], self.since = command.start(study), time.time()
        except UserError as error:
            self.last.value = fault(str(error))
            return
        self.look()

    def stop(self, _=None) -> None:
        """Stops the study, if a notebook has started it."""
        self.stop_button.disabled = True
        try:
            for each in command.at_work(self.study.folder):
                if each.by_notebook:
                    command.stop(each)
        except UserError as error:
            self.last.value = fault(str(error))


def _known() -> list[str]:
    return sorted(path.stem for path in plan.PARAMETERS_DIR.glob("*.yaml"))


def _said(state: str) -> str:
    return "to do" if state == "missing" else state


def _at_work(one: command.Command) -> str:
    """What a command is doing, and where it can be stopped."""
    said = one.said
    words = "The report is being built" if said.get("stage") == "report" else "At work"
    words += f", about {runs.duration(said['left'])} left" if "left" in said else ""
    return f"{words} (process {one.pid}" + (")." if one.by_notebook else ", started in a terminal: stop it there).")


def _table(study: plan.Study, found: dict[str, tuple[str, str]]) -> str:
    """The runs in HTML, at most `ROWS`: those first that somebody would look for."""
    shown = list(found)
    if len(shown) > ROWS:
        shown = sorted(shown, key=lambda name: ORDER.index(found[name][0]))[:ROWS]
    rows = [_row(study.run(name), *found[name]) for name in shown]
    more = f"<p>and {len(found) - len(shown)} more</p>" if len(found) > len(shown) else ""
    head = "".join(f'<th scope="col">{each}</th>' for each in ("run", "state", "epoch", "left", "why"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}"


def _row(run: plan.PlannedRun, state: str, why: str) -> str:
    said = states.progress(run.folder) if state == "running" else {}
    epoch = f"{said['epoch']} of {said['epochs']}" if "epoch" in said else ""
    left = runs.duration(said["seconds_left"]) if "seconds_left" in said else ""
    state = f"{state}: {said.get('stage', 'starting')}" if state == "running" else _said(state)
    cells = "".join(f"<td>{escape(each)}</td>" for each in (state, epoch, left, "" if said else why))
    return f'<tr><th scope="row">{escape(run.name)}</th>{cells}</tr>'
