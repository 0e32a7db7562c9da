"""A run in the making, and what a finished one has left.

A run is made in `<run>.partial/`. It becomes `<run>/` by one rename, after everything in it is valid, the executed
notebook included: what is not so renamed is not done. papermill goes on writing the notebook when the last cell has
ended, so the rename is left to whoever looks next (`latent-report run`, `status`, `report`), or, where no notebook is
written into the folder, done by the record cell.
"""

import csv
import io
import json
import math
import os
import platform
import re
import resource
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import yaml

from lib import data
from lib.data.cache import scores_folder
from lib.errors import UserError
from lib.files import aside, write_aside
from lib.notebooks import ROOT
from lib.provenance import LOAD_AGAIN, Made, networks_digest, unlike
from lib.runs import keys, locks, ownership, states
from lib.runs.ownership import CHECKPOINT, ERROR, PROGRESS, partial_of
from lib.settings import Settings, check_images, parameters

_RSS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere


def run_name(settings: dict, defaults: dict) -> str:
    """The notebook, latent_dim, width and seed, plus what differs from the notebook's defaults.

    A setting added later has its default in older runs, so it changes no name. Values are made safe for a file name.
    """
    always = ("latent_dim", "width", "seed")
    notebook = Path(settings["notebook"]).name.removesuffix(".ipynb")
    parts = [notebook, *(f"{name}{settings[name]}" for name in always)]
    for name, value in sorted(settings.items()):
        if name not in (*always, "notebook", "output_dir") and value != defaults.get(name):
            text = Path(value).stem if name == "dataset" else str(value)
            parts.append(name + re.sub(r"[^\w.+-]+", "_", text)[:40])
    return "-".join(parts)


# ---- a run in the making -------------------------------------------------------------------------


class Run:
    """A run in the making, as its notebook holds it: a partial folder, clocks, a log, and at the end a record.

    Args:
        settings: validated; `output_dir` is the finished run's folder, by default one named after the settings
            under the repository's reports/notebooks/runs.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._place()
        ownership.check_run_folder(self.folder)
        self.opened, self.partial = self.folder, partial_of(self.folder)
        self.process_start = psutil.Process().create_time()
        self.seconds = {"start": time.time() - self.process_start}
        if settings.dataset in data.SOURCES:
            data.fetch(settings.dataset)  # a no-op when it is there
        check_images(settings, *data.header(settings.dataset), self.name)
        self.key = keys.training_key(settings, data.fingerprint(settings.dataset))
        self.evaluation_key = keys.evaluation_key(settings)  # of the code as it is imported now
        scores_folder()  # that it cannot be written to is said now, not after the training
        self.continued: list[int] = []  # epochs after which a checkpoint took over
        self.planned_epochs = 0  # of a training that was stopped
        self.lines: list[str] = []  # of the log
        self.trained = ""  # the digest of the networks that were trained last
        try:
            locks.take(self.folder)
            self._open()
            for name in ("result.json", "log.txt", ERROR, PROGRESS):
                (self.partial / name).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"output_dir {self.folder}: cannot be written to ({error.strerror})") from None

    def _place(self, **named: str) -> None:
        """Where the run will stand, and its name, in which some settings may be named otherwise."""
        name = run_name(self.settings.model_dump() | named, parameters(self.settings.notebook))
        folder = self.settings.output_dir or ROOT / "reports" / "notebooks" / "runs" / name
        self.folder = Path(os.path.abspath(os.path.expanduser(folder)))
        self.name = self.folder.name

    def _open(self) -> None:
        """Makes the partial folder: at first, and again where a cell is run once more after the record cell."""
        (self.partial / "model").mkdir(parents=True, exist_ok=True)
        plain = self.settings.model_dump(exclude={"output_dir"})
        write_aside(self.partial / "parameters.yaml", yaml.safe_dump(plain, sort_keys=False))

    def _refuse(self, words: str) -> None:
        raise UserError(f"{self.name}: {words}")

    def check(self, settings: Settings, dataset) -> None:
        """Makes sure, before a training, that the run is recorded with the settings and the data of that training.

        Raises:
            UserError: a cell has been run again with other values, but not the one that opens the run or the data.
        """
        again = "run the cell of `runs.Run(settings)` again"
        if words := unlike(settings, self.settings):
            self._refuse(f"{words}, since this run was opened: {again}")
        if self.planned_epochs:
            self._refuse(f"its training was stopped, and is recorded so: {again}")
        if data.fingerprint(settings.dataset) != self.key["data"]:
            cells = "run the cells from `runs.Run(settings)` on again"
            self._refuse(f"{settings.dataset} has changed since this run was opened: {cells}")
        whole = data.header(settings.dataset)[0]
        held, count = min(settings.validation, whole // 10), len(dataset.x_train) + len(dataset.x_validation)
        same = dataset.fingerprint == self.key["data"] and count == whole and not dataset.changed
        if not same or len(dataset.x_validation) != held:
            self._refuse(
                f"the settings ask for dataset {settings.dataset} with {whole - held} training and {held} validation "
                f"images, but {'' if same else 'another '}{dataset.name} with {len(dataset.x_train)} and "
                f"{len(dataset.x_validation)} is loaded: run the cell of `data.load` again"
            )
        self.trained = ""
        locks.take(self.folder)  # a finished run may have been put in its place since
        self._open()

    @contextmanager
    def clock(self, name: str):
        """Adds the seconds spent inside to result.json's `seconds` under this name."""
        start = time.perf_counter()
        self.say(name)
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def say(self, stage: str, **numbers) -> None:
        """Keeps in progress.json where the run stands, for whoever watches: a clock's name, and numbers."""
        with suppress(OSError):  # a full disk is found, and said, by what matters more
            if self.partial.is_dir():
                write_aside(self.partial / PROGRESS, json.dumps({"stage": stage, **numbers}))

    def log(self, line: str, show: bool = True) -> None:
        """Keeps a line in log.txt, and shows it."""
        if show:
            print(line, flush=True)
        if not self.partial.is_dir():
            self._open()
        self.lines.append(line)
        with (self.partial / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def begin_log(self, text: str = "") -> None:
        """Starts the log of a training: anew, or with what its checkpoint has kept of it."""
        self.lines = text.splitlines()
        if self.partial.is_dir():
            (self.partial / "log.txt").write_text(text, encoding="utf-8")

    def _stopped(self, epochs: int) -> None:
        """The record says for how long the networks were trained, and for how long they were to be."""
        self.planned_epochs = self.planned_epochs or self.settings.epochs
        self.settings = self.settings.model_copy(update={"epochs": epochs})
        self.key["settings"] |= {"epochs": epochs, "planned_epochs": self.planned_epochs}
        self._place(epochs=f"{epochs}of{self.planned_epochs}")

    def record(self, model, history: dict, samples: dict, found: dict) -> Path:
        """Writes networks, history, images and result.json, all or nothing; says where the run stands or will stand.

        Args:
            model: as it was trained; each of its networks becomes model/<name>.keras.
            history: what `training.train` returned; becomes history.csv. Where the training was stopped early, it
                decides the number of epochs that is recorded.
            samples: what `evaluation.samples` returned; becomes samples.npz.
            found: what `evaluation.evaluate` returned: metrics, references and more.

        Raises:
            UserError: these do not belong together, were changed since they were made, or are not of this run.
        """
        networks = networks_digest(model.networks)
        self._check_origin(history, networks, "the history is", "train")
        if networks != self.trained:
            words = "these networks were not trained last" if self.trained else "nothing has been trained"
            self._refuse(f"{words} since this run was opened: run the cells from `models.build` on again")
        self._check_origin(samples, networks, "the samples are", "draw the samples")
        self._check_origin(found, networks, "the numbers are", "evaluate")
        for made, what in ((samples, "samples"), (found, "numbers")):
            if made.dataset != history.dataset:
                self._refuse(f"the {what} are of other data than the training: {LOAD_AGAIN}, and those below it")
        finite(found["metrics"], self.name)
        if (epochs := len(next(iter(history.values())))) < self.settings.epochs:
            self._stopped(epochs)
        self._write(model.networks, history, samples)
        self._write_result(model, history, found)
        notebook = self.partial / "notebook.ipynb"
        if not notebook.exists() or notebook.stat().st_mtime < self.process_start:
            if self.folder.is_dir() and not states.fault(self.folder):
                return self.partial  # a complete run, notebook included, is not replaced by one without
            states.put_in_place(self.partial, self.folder)
        # else papermill is writing it, and the rename waits for its last line
        locks.release(self.opened)
        return self.folder

    def _check_origin(self, made: dict, networks: str, what: str, cell: str) -> None:
        """Raises UserError where something is not of these networks and settings, or not as it was made."""
        again = f"run the cells that {cell} again"
        if not isinstance(made, Made) or made.changed:
            self._refuse(f"{what} not as it was made: {again}")
        if made.networks != networks:
            self._refuse(f"{what} from other networks than these: {again}")
        if made.settings and (words := unlike(made.settings, self.settings, besides="epochs")):
            self._refuse(f"{words}, since this run was opened: run the cells from `runs.Run` on again")

    def _write(self, networks: dict, history: dict, samples: dict) -> None:
        import numpy as np

        self._open()
        if not (self.partial / "log.txt").exists():  # the record cell is run once more
            self.begin_log("".join(f"{line}\n" for line in self.lines))
        for name, network in networks.items():
            network.save(self.partial / "model" / f"{name}.keras")
        write_aside(self.partial / "history.csv", history_csv(history))
        packed = io.BytesIO()
        np.savez_compressed(packed, **samples)
        write_aside(self.partial / "samples.npz", packed.getvalue())

    def _write_result(self, model, history: dict, found: dict) -> None:
        planned = {"planned_epochs": self.planned_epochs} if self.planned_epochs else {}
        effort = model.effort()
        result = {
            "run": self.name,
            "notebook": self.settings.notebook,
            "settings": self.settings.model_dump(exclude={"output_dir"}),
            **planned,
            "dataset": history.dataset,
            "steps": effort["steps"],
            **model.facts(),
            **found,
            "images_seen": effort["images_seen"],
            "images_per_second": round(effort["images_seen"] / self.seconds["fit"], 1),
            "continued_after": self.continued,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_PER_MIB, 1),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "versions": keys.versions(),
            "keys": {"training": self.key, "evaluation": self.evaluation_key},  # last: they are long
        }
        write_result(self.partial, result)


def finite(metrics: dict[str, float], run: str) -> None:
    """Raises UserError when some number of a run is none."""
    if bad := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise UserError(f"{run}: {', '.join(bad)} is not finite: training diverged; lower learning_rate")


def write_result(folder: Path, result: dict) -> None:
    """Writes a run's result.json, whose numbers must be finite."""
    finite(result["metrics"], result["run"])
    write_aside(folder / "result.json", json.dumps(result, indent=1, allow_nan=False))


def history_csv(history: dict[str, list[float]]) -> str:
    """One row an epoch, counted from 1, and one column a number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    writer.writerows([epoch, *values] for epoch, values in enumerate(zip(*history.values(), strict=True), 1))
    return text.getvalue()


# ---- reading a finished run ----------------------------------------------------------------------


def read_result(folder: Path) -> dict:
    """A finished run's result.json."""
    return json.loads((folder / "result.json").read_bytes())


def read_history(folder: Path) -> dict[str, list[float]]:
    """history.csv as lists of one number an epoch, by column; without the epoch column."""
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else {}) if name != "epoch"}


def read_samples(folder: Path) -> dict:
    """The arrays of samples.npz by name."""
    import numpy as np

    with np.load(folder / "samples.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def duration(seconds: float) -> str:
    """Seconds in words: '40 s', '12 min' or '3.5 h'."""
    minutes, hours = seconds / 60, seconds / 3600
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes:.0f} min" if minutes < 100 else f"{hours:.1f} h"


# ---- checkpoints -----------------------------------------------------------------------------------


def write_checkpoint(partial: Path, facts: dict, arrays: dict) -> None:
    """Writes a partial folder's checkpoint.npz: arrays by name, and facts in JSON's types."""
    import numpy as np

    try:
        with aside(partial / CHECKPOINT) as file:
            np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
    except OSError as error:
        raise UserError(f"{partial / CHECKPOINT}: cannot be written ({error.strerror})") from None


def read_checkpoint(partial: Path, key: dict) -> tuple[dict, dict] | None:
    """Facts and arrays of a partial folder's checkpoint; None without a whole one of this training key."""
    import numpy as np

    with suppress(*states.DAMAGE), np.load(partial / CHECKPOINT, allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes())
        if not keys.difference(facts["key"], key):
            return facts, {name: file[name] for name in file.files if name != "facts"}
    return None
