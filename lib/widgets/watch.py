"""A study at work, as its files tell of it: started, stopped, and found again wherever it was started."""

import os
import subprocess
import threading
import time
from html import escape
from pathlib import Path
from urllib.parse import quote

import ipywidgets
from IPython.display import HTML

from lib import runs
from lib.errors import UserError, in_one_line
from lib.runs import keys, locks, states
from lib.study import command, engine, plan
from lib.widgets import controls
from lib.widgets.planner import BOX, Planner, drafted, fault, path_of

ROWS = 40  # of the table, at most
ORDER = ("running", "failed", "missing", "stale", "unscored", "published", "done")  # of rows, where not all fit
STYLE = "<style>.latent-report-runs :is(td, th) { padding: 2px 16px 2px 0; text-align: left; line-height: 1.5 }"
STYLE += " .latent-report-runs tbody th { white-space: nowrap; font-weight: normal }</style>"
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
        self.study, self.stamp, self.since = None, 0, 0.0  # when its file was written; when it was chosen or started
        self.known: dict[Path, tuple[int, str, str]] = {}  # of its finished runs: when recorded, state and why
        self.stopped: set[int] = set()  # processes that were asked to stop
        if controls.interactive():
            self._make()

    def _make(self) -> None:
        self.pick = controls.choice("study")
        self.head, self.table, self.last = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.note = ipywidgets.HTML()
        self.page, self.shown = ipywidgets.Output(layout={"width": "100%"}), None
        self.start_button, self.stop_button = (ipywidgets.Button(description=each) for each in ("Start", "Stop"))
        self.start_button.on_click(self.start)
        self.stop_button.on_click(self.stop)
        busy = (name for name in _known() if command.at_work(plan.REPORTS_DIR / name))
        self.turn(next(busy, self.planner.name))
        self.pick.observe(lambda _: self.look(), "value")
        self.planner.follow = self.turn

    def show(self):
        """The study's runs; in batch, those of the study as it is planned."""
        if not controls.interactive():
            study = drafted(self.planner.name, self.planner.chosen)
            return HTML(_table(study, engine.states_of(study)))
        Watch.newest = turn = object()
        threading.Thread(target=self._go_on, args=[turn], daemon=True).start()
        buttons = controls.row(self.start_button, self.stop_button)
        return controls.column(self.pick, buttons, self.note, self.head, self.table, self.last)

    def report(self):
        """The study's report, once it is built."""
        return self.page if controls.interactive() else HTML(_report(self.planner.name))

    def turn(self, name: str) -> None:
        """Turns to a study in parameters/, or to none."""
        known = _known()
        self.pick.options = [("save a plan above, or choose a study", ""), *((each, each) for each in known)]
        self.pick.value = name if name in known else ""
        self.look()

    def _go_on(self, turn: object) -> None:
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
                if self.pick.value:
                    self._read()
                    self._show()
                    return
                self.study, self.head.value = None, ""
            except (OSError, UserError) as error:
                self.study, self.head.value = None, fault(str(error))
            self.table.value = self.last.value = ""
            self.start_button.disabled = self.stop_button.disabled = True

    def _read(self) -> None:
        """Reads the study again where another one is chosen, or its file has changed."""
        path = path_of(self.pick.value)
        stamp = path.stat().st_mtime_ns
        if not self.study or (self.study.path, self.stamp) != (path, stamp):
            keys.notebook_digest.cache_clear()  # who works in JupyterLab may have changed a notebook
            self.study = plan.read(str(path), check_data=False)
            self.known, self.stamp, self.since, self.note.value = {}, stamp, time.time(), ""

    def _show(self) -> None:
        found = {run.name: self._state(run) for run in self.study.runs}
        at_work, process = command.at_work(self.study.folder), self.started.get(self.study.name)
        starting = not at_work and process is not None and process.poll() is None
        self.start_button.disabled = starting or bool(at_work)
        self.stop_button.disabled = not any(each.by_notebook for each in at_work)
        kinds = [state for state, _ in found.values()]
        words = f"{kinds.count('done')} of {len(kinds)} runs done, {kinds.count('failed')} failed. "
        if at_work:
            words += "; ".join("Stopping" if one.pid in self.stopped else _at_work(one) for one in at_work)
        else:
            words = words + "Starting" if starting else str(engine.Outlook(self.study, found))
        bar = f'<progress max="{len(kinds)}" value="{kinds.count("done")}" aria-label="Runs done"></progress>'
        self.head.value = f"{bar} {escape(words)}."
        self.table.value, last = _table(self.study, found), command.last_words(self.study.folder)
        self.last.value = f'<pre style="{BOX}">{escape(last)}</pre>' if last else ""
        if self.shown != (shown := (self.study.name, _written(self.study.folder / "index.html"))):
            self.shown, page = shown, {"text/html": _report(self.study.name)}
            self.page.outputs = ({"output_type": "display_data", "data": page, "metadata": {}},)

    def _state(self, run: plan.PlannedRun) -> tuple[str, str]:
        """A run's state, and why; a finished one is read only once."""
        stamp = _written(run.folder / "result.json")
        when, *known = self.known.get(run.folder, (0, "", ""))
        if stamp and when == stamp and not locks.at_work(run.folder):
            return tuple(known)
        state, why = states.of(run.folder, run.settings)
        if state in ("done", "published", "unscored"):
            self.known[run.folder] = stamp, state, why
        return state, why

    # ---- what can be done

    def start(self, _=None) -> None:
        """Starts the study in the background."""
        try:
            study = plan.read(str(path_of(self.pick.value)))  # with its datasets
            engine.check_folders(study)
            self.started[study.name], self.since, self.note.value = command.start(study), time.time(), ""
        except UserError as error:
            self.note.value = fault(str(error))
        self.look()

    def stop(self, _=None) -> None:
        """Stops the study, if it was started from a notebook."""
        try:
            for one in command.at_work(self.study.folder):
                if one.by_notebook:
                    command.stop(one)
                    self.stopped.add(one.pid)
        except UserError as error:
            self.note.value = fault(str(error))
        self.look()


def _known() -> list[str]:
    return sorted(path.stem for path in plan.PARAMETERS_DIR.glob("*.yaml"))


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _at_work(one: command.Command) -> str:
    """What a command is doing, and where it can be stopped."""
    words = "The report is being built" if one.said.get("stage") == "report" else "At work"
    words += f", about {runs.duration(one.said['left'])} left" if "left" in one.said else ""
    return f"{words} (process {one.pid}{'' if one.by_notebook else ', started in a terminal: stop it there'})"


def _table(study: plan.Study, found: dict[str, tuple[str, str]]) -> str:
    """The runs in HTML; where not all fit, those that somebody would look for."""
    shown = list(found) if len(found) <= ROWS else sorted(found, key=lambda name: ORDER.index(found[name][0]))[:ROWS]
    rows = [_row(study.run(name), *found[name]) for name in shown]
    head = "".join(f'<th scope="col">{each}</th>' for each in ("run", "state", "epoch", "left", "why"))
    more = f"<p>and {len(found) - ROWS} more</p>" if len(found) > ROWS else ""
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'{STYLE}<table class="latent-report-runs">{body}</table>{more}'


def _row(run: plan.PlannedRun, state: str, why: str) -> str:
    said = states.progress(run.folder) if state == "running" else {}
    epoch = f"{said['epoch']} of {said['epochs']}" if "epoch" in said else ""
    left = runs.duration(said["seconds_left"]) if "seconds_left" in said else ""
    state = {"missing": "to do", "running": f"running: {said.get('stage', 'starting')}"}.get(state, state)
    cells = "".join(f"<td>{escape(each)}</td>" for each in (state, epoch, left, "" if said else why))
    return f'<tr><th scope="row">{escape(run.name)}</th>{cells}</tr>'


def _report(name: str) -> str:
    """Where a study's report is, and the report itself, in HTML. JupyterLab turns both into addresses of its own, from
    which the report may run its scripts: a tab of JupyterLab allows that only after "Trust HTML"."""
    page = plan.REPORTS_DIR / name / "index.html"
    place, path = f"reports/{name}/index.html", quote(os.path.relpath(page))
    if not page.exists():
        return f"<p>No report yet. It will be <code>{place}</code>.</p>"
    link = (
        f'<a href="{path}">Open it in a tab of its own</a> (there, press <em>Trust HTML</em> for what moves), or open '
    )
    link += f"<code>{place}</code> in any browser."
    frame = f'<iframe src="{path}" title="Report" loading="lazy" width="100%" height="800" '
    frame += 'style="border: 1px solid var(--jp-border-color1, #999)"></iframe>'
    return f"<p>{link}</p>{frame}"
