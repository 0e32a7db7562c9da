"""The run folder: write it whole, read it, know whether it is complete and current. Never imports TensorFlow.

A run is made in `<run>.partial/`. It becomes `<run>/` by one rename, after everything in it is valid, the executed
notebook included: what is not so renamed is not done. papermill goes on writing the notebook when the last cell has
ended, so the rename is left to whoever looks next (`latent-report run`, `status`, `report`), or, where no notebook is
written into the folder, done by the record cell.
"""

import csv
import hashlib
import io
import json
import math
import os
import platform
import re
import resource
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import yaml
from filelock import FileLock

from lib import data, keys, ownership
from lib.ownership import CHECKPOINT, CLAIM, ERROR, PROGRESS, partial_of
from lib.provenance import Made, networks_digest, unlike
from lib.settings import NOTEBOOK_DIR, ROOT, Settings, UserError, check_images, notebook_defaults

FILES = ownership.RUN_FILES
HEARTBEAT_SECONDS = 10.0  # between two signs of life of a run's process
HOST = platform.node()
STALE_SECONDS = 120.0  # without one, a process of another host counts as gone; network file systems show times late


# ---- names and keys ------------------------------------------------------------------------------


def run_name(settings: dict, defaults: dict) -> str:
    """The notebook, latent_dim, width and seed, plus what differs from the notebook's defaults.

    A setting added later has its default in older runs, so it changes no name. Values are made safe for a file name.
    """
    always = ("latent_dim", "width", "seed")
    parts = [settings["notebook"], *(f"{name}{settings[name]}" for name in always)]
    for name, value in sorted(settings.items()):
        if name not in (*always, "notebook", "output_dir") and value != defaults.get(name):
            text = Path(value).stem if name == "dataset" else str(value)
            parts.append(name + re.sub(r"[^\w.+-]+", "_", text)[:40])
    return "-".join(parts)


# ---- writing -------------------------------------------------------------------------------------


@contextmanager
def aside(path: Path):
    """Yields a binary file beside `path` and renames it there: a reader sees the old one or the new one, whole."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_aside(path: Path, content: bytes | str) -> None:
    """Writes a whole file by `aside`."""
    with aside(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def cached(what: str, key: dict, make: Callable[[Path], None]) -> Path:
    """A folder that is made once and kept beside the downloaded datasets: the one of this key, or a new one.

    Whoever comes first makes it, aside, and renames it when it is whole; others wait.

    Args:
        what: begins its name, for example "classifier-mnist".
        key: what its content depends on, in JSON's types.
        make: fills the empty folder that it is given.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    folder = data.folder() / "scores" / f"{what[:60]}-{digest}"
    if folder.is_dir():
        return folder
    home = scores_folder()
    try:
        with FileLock(home / f".{folder.name}.lock"):
            if not folder.is_dir():
                with tempfile.TemporaryDirectory(prefix=".making-", dir=home) as scratch:
                    (aside := Path(scratch) / "made").mkdir()
                    make(aside)
                    os.rename(aside, folder)
    except OSError as error:
        raise UserError(f"{home}: cannot be written to ({error.strerror}); set LATENT_REPORT_DATA") from None
    return folder


def scores_folder() -> Path:
    """Where classifiers and references are kept, made if need be.

    Raises:
        UserError: it cannot be written to.
    """
    home = data.folder() / "scores"
    try:
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError as error:
        raise UserError(f"{home}: cannot be written to ({error.strerror}); set LATENT_REPORT_DATA") from None
    return home


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
        self.partial = partial_of(self.folder)
        self.process_start = psutil.Process().create_time()
        self.seconds = {"start": time.time() - self.process_start}
        if settings.dataset in data.SOURCES:
            data.fetch(settings.dataset)  # a no-op when it is there
        check_images(settings, *data.header(settings.dataset), self.name)
        self.key = keys.training_key(settings, data.fingerprint(settings.dataset))
        self.continued: list[int] = []  # epochs after which a checkpoint took over
        self.planned_epochs = 0  # of a training that was stopped
        self.lines: list[str] = []  # of the log
        self.networks = ""  # the digest of those that were saved last
        self.trained_on: dict | None = None
        try:
            claim(self.folder)
            self._open()
            for name in ("result.json", "log.txt", ERROR, PROGRESS):
                (self.partial / name).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"output_dir {self.folder}: cannot be written to ({error.strerror})") from None

    def _place(self, **named: str) -> None:
        """Where the run will stand, and its name, in which some settings may be named otherwise."""
        defaults = notebook_defaults(NOTEBOOK_DIR / f"{self.settings.notebook}.ipynb")
        name = run_name(self.settings.model_dump() | named, defaults)
        folder = self.settings.output_dir or ROOT / "reports" / "notebooks" / "runs" / name
        self.folder = Path(os.path.abspath(os.path.expanduser(folder)))
        self.name = self.folder.name

    def _open(self) -> None:
        """Makes the partial folder: at first, and again where a cell is run once more after the record cell."""
        (self.partial / "model").mkdir(parents=True, exist_ok=True)
        plain = self.settings.model_dump(exclude={"output_dir"})
        write_aside(self.partial / "parameters.yaml", yaml.safe_dump(plain, sort_keys=False))

    def check(self, settings: Settings, dataset) -> None:
        """Makes sure, before a training, that the run is recorded with the settings and the data of that training.

        Raises:
            UserError: a cell has been run again with other values, but not the one that opens the run or the data.
        """
        if words := unlike(settings, self.settings):
            raise UserError(
                f"{self.name}: {words}, since this run was opened: run the cell of `runs.Run(settings)` again"
            )
        if self.planned_epochs:
            raise UserError(
                f"{self.name}: its training was stopped, and is recorded so: run the cell of `runs.Run(settings)` again"
            )
        if data.fingerprint(settings.dataset) != self.key["data"]:
            raise UserError(
                f"{self.name}: {settings.dataset} has changed since this run was opened: run the cells from "
                "`runs.Run(settings)` on again"
            )
        whole = data.header(settings.dataset)[0]
        held, count = min(settings.validation, whole // 10), len(dataset.x_train) + len(dataset.x_validation)
        same = dataset.fingerprint == self.key["data"] and count == whole
        if not same or len(dataset.x_validation) != held:
            raise UserError(
                f"{self.name}: the settings ask for dataset {settings.dataset} with {whole - held} training and {held} "
                f"validation images, but {'' if same else 'another '}{dataset.name} with {len(dataset.x_train)} and "
                f"{len(dataset.x_validation)} is loaded: run the cell of `data.load` again"
            )
        claim(self.folder)  # a finished run may have been put in its place since
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

    def save(self, networks: dict, history: dict, samples: dict) -> None:
        """Writes networks, history and images into the partial folder.

        Args:
            networks: Keras models by name; each becomes model/<name>.keras.
            history: lists of one number an epoch by name; becomes history.csv. Where the training was stopped early, it
                decides the number of epochs that is recorded.
            samples: arrays by name; becomes samples.npz.

        Raises:
            UserError: history and samples are not of these networks, or these were trained with other settings.
        """
        import numpy as np

        self.networks = networks_digest(networks)
        self._check(history, "the history is", "train")
        self._check(samples, "the samples are", "draw the samples")
        self.trained_on = getattr(history, "dataset", None)
        if (epochs := len(next(iter(history.values()), ()))) < self.settings.epochs and isinstance(history, Made):
            self._stopped(epochs)
        self._open()
        if not (self.partial / "log.txt").exists():  # the record cell is run once more
            self.begin_log("".join(f"{line}\n" for line in self.lines))
        for name, network in networks.items():
            network.save(self.partial / "model" / f"{name}.keras")
        write_aside(self.partial / "history.csv", history_csv(history))
        packed = io.BytesIO()
        np.savez_compressed(packed, **samples)
        write_aside(self.partial / "samples.npz", packed.getvalue())

    def _check(self, made: dict, what: str, cell: str) -> None:
        """Raises UserError where something that knows its origin is not of the saved networks and these settings."""
        if not isinstance(made, Made):
            return
        if made.networks != self.networks:
            raise UserError(f"{self.name}: {what} from other networks than these: run the cells that {cell} again")
        if made.settings and (words := unlike(made.settings, self.settings, besides="epochs")):
            raise UserError(f"{self.name}: {words}, since this run was opened: run the cells from `runs.Run` on again")

    def _stopped(self, epochs: int) -> None:
        """The record says for how long the networks were trained, and for how long they were to be."""
        self.planned_epochs = self.planned_epochs or self.settings.epochs
        self.settings = self.settings.model_copy(update={"epochs": epochs})
        self.key["settings"] |= {"epochs": epochs, "planned_epochs": self.planned_epochs}
        self._place(epochs=f"{epochs}of{self.planned_epochs}")

    def record(self, found: dict, images_seen: int, **facts) -> Path:
        """Writes result.json, the last of the record cell's files; says where the run stands or will stand.

        Args:
            found: metrics, references and what else `evaluation.evaluate` says.
            images_seen: in training, whose throughput this and the "fit" clock give.
            facts: dataset, parameters, layers and what else belongs to the run.

        Raises:
            UserError: the numbers are not of the saved networks, or the dataset is not the one they were trained on.
        """
        self._check(found, "the numbers are", "evaluate")
        if self.trained_on and facts["dataset"] != self.trained_on:
            raise UserError(
                f"{self.name}: the model was not trained on these data: run the cells from `data.load` on again"
            )
        if (scored := getattr(found, "dataset", None)) and scored != facts["dataset"]:
            raise UserError(f"{self.name}: the numbers are of other data than the training: run the evaluation again")
        if "fit" not in self.seconds:
            raise UserError(
                f"{self.name}: nothing has been trained since this run was opened: run the training cell first"
            )
        planned = {"planned_epochs": self.planned_epochs} if self.planned_epochs else {}
        result = {
            "run": self.name,
            "notebook": self.settings.notebook,
            "keys": {"training": self.key, "evaluation": keys.evaluation_key(self.settings)},
            "settings": self.settings.model_dump(exclude={"output_dir"}),
            **planned,
            **facts,
            **found,
            "images_seen": images_seen,
            "images_per_second": round(images_seen / self.seconds["fit"], 1),
            "continued_after": self.continued,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_PER_MIB, 1),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "versions": keys.versions(),
        }
        write_result(self.partial, result)
        notebook = self.partial / "notebook.ipynb"
        if notebook.exists() and notebook.stat().st_mtime > self.process_start:
            release(self.partial)
            return self.folder  # papermill is writing it, and the rename waits for its last line
        if self.folder.is_dir() and not _fault(self.folder):
            return self.partial  # a complete run, notebook included, is not replaced by one without
        _rename(self.partial, self.folder)
        return self.folder


def write_result(folder: Path, result: dict) -> None:
    """Writes a run's result.json, whose numbers must be finite."""
    if bad := [name for name, value in result["metrics"].items() if not math.isfinite(value)]:
        raise UserError(f"{result['run']}: {', '.join(bad)} is not finite: training diverged; lower learning_rate")
    write_aside(folder / "result.json", json.dumps(result, indent=1, allow_nan=False))


_RSS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere


def history_csv(history: dict[str, list[float]]) -> str:
    """One row an epoch, counted from 1, and one column a number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *history])
    writer.writerows([epoch, *values] for epoch, values in enumerate(zip(*history.values(), strict=True), 1))
    return text.getvalue()


def commit(folder: Path) -> None:
    """Renames `<folder>.partial` to `folder` when everything in it is valid.

    Raises:
        UserError: what is missing or invalid.
    """
    partial = partial_of(folder)
    if fault := _fault(partial):
        raise UserError(f"{partial}: {fault}")
    _rename(partial, folder)


def settle(folder: Path) -> None:
    """Commits a run that plain papermill has finished, or whose runner died before the rename; else does nothing."""
    partial = partial_of(folder)
    notebook = partial / "notebook.ipynb"
    try:
        quiet = time.time() - notebook.stat().st_mtime > 2  # papermill writes the finished notebook twice
    except OSError:
        return
    if quiet and (partial / "result.json").exists() and not _fault(partial) and ownership.may_replace(folder):
        _rename(partial, folder)


def _rename(partial: Path, folder: Path) -> None:
    ownership.clear(partial, keep=FILES, networks=True)
    ownership.replace(partial, folder)


# ---- reading -------------------------------------------------------------------------------------


def published(folder: Path) -> bool:
    """Whether a folder has only what is published of a run: neither its notebook nor its networks."""
    return (folder / "result.json").is_file() and not any(
        (folder / name).exists() for name in ("notebook.ipynb", "model")
    )


def _fault(folder: Path, published: bool = False, notebook: bool = True) -> str:
    """What is missing or invalid in a folder that should hold a run; '' when nothing is.

    Args:
        published: only what a report shows is wanted, neither notebook nor networks.
        notebook: whether the executed notebook is wanted.
    """
    notebook &= not published
    for name in FILES:
        if not (folder / name).is_file() and (notebook or name != "notebook.ipynb"):
            return f"{name} is missing"
    try:
        result = json.loads((folder / "result.json").read_bytes())
        result["keys"]["training"], result["keys"]["evaluation"], result["metrics"]
        if notebook and (words := _unfinished(json.loads((folder / "notebook.ipynb").read_bytes()))):
            return words
        networks = set() if published else {f"{name}.keras" for name in result["layers"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"result.json or notebook.ipynb is damaged ({type(error).__name__}: {error})"
    if missing := networks - {path.name for path in (folder / "model").glob("*.keras")}:
        return f"model/{min(missing)} is missing"
    return ""


def _unfinished(notebook: dict) -> str:
    """Why an executed notebook does not count as such; '' when it does."""
    cells = keys.code_cells(notebook)
    if not notebook["metadata"].get("papermill", {}).get("end_time"):
        return "notebook.ipynb was not executed to its end"
    if any(cell.get("execution_count") is None for cell in cells):
        return "notebook.ipynb has cells that were not executed"
    if any(output["output_type"] == "error" for cell in cells for output in cell["outputs"]):
        return "notebook.ipynb ended with an error"
    return ""


def state(folder: Path, settings: Settings, as_found: bool = False) -> tuple[str, str]:
    """Where a run stands, and why in one line or ''.

    "done", "unscored", "published", "stale", "running", "failed" or "missing". An unscored run is trained as its
    settings ask for, but its numbers were computed by other code; of a published one, only what a report shows is here.

    Where the dataset's file is not here, only the rest is compared: a report can be rebuilt without it.

    Args:
        as_found: the settings are the run's own. It may then have been made in JupyterLab, which keeps the executed
            notebook elsewhere, and may have been stopped early.
    """
    partial = partial_of(folder)
    if owner := alive(partial):
        return "running", f"process {owner['pid']} on {owner['host']}"
    settle(folder)
    stale = _stale(folder, settings, as_found) if folder.is_dir() else None
    if stale == "" and published(folder):
        return "published", "its notebook and networks are not here"
    if stale == "":
        unscored = keys.difference(
            read_result(folder)["keys"]["evaluation"], keys.evaluation_key(settings), "evaluation "
        )
        return ("unscored", unscored) if unscored else ("done", "")
    if cause := _cause(partial):
        return "failed", cause
    if stale:
        return "stale", stale
    epoch = checkpoint_epoch(partial)
    return "missing", f"interrupted; checkpoint after epoch {epoch} of {settings.epochs}" if epoch else ""


def _cause(partial: Path) -> str:
    """The one-line cause of a run's failure: kept by `fail`, or in the notebook that plain papermill left; or ''."""
    try:
        return (partial / ERROR).read_text(encoding="utf-8").strip()
    except OSError:
        pass
    try:
        cells = keys.code_cells(json.loads((partial / "notebook.ipynb").read_bytes()))
        found = [output for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
        return " ".join(f"{found[0]['ename']}: {found[0]['evalue']}".split()) if found else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def current(folder: Path, settings: Settings) -> bool:
    """Whether a run's folder is what its settings ask for, notebook and networks included."""
    return folder.is_dir() and not published(folder) and not _stale(folder, settings)


def _stale(folder: Path, settings: Settings, as_found: bool = False) -> str:
    """Why a run's folder is not, or no longer, what its settings ask for; '' when it is."""
    notebook = not as_found or (folder / "notebook.ipynb").exists()
    return _fault(folder, published(folder), notebook) or outdated(read_result(folder), settings, as_found)


def outdated(result: dict, settings: Settings, as_found: bool = False) -> str:
    """The first part of a result's training key that is not what the settings ask for now; '' when all are.

    Where the dataset's file is not here, only the rest is compared.

    Args:
        as_found: the settings are the run's own; then it does not matter that its training was stopped early.
    """
    trained = result["keys"]["training"]
    if as_found:
        asked = {name: value for name, value in trained["settings"].items() if name != "planned_epochs"}
        trained = trained | {"settings": asked}
    try:
        fingerprint = data.fingerprint(settings.dataset)
    except UserError:
        fingerprint = trained.get("data")
    return keys.difference(trained, keys.training_key(settings, fingerprint))


def duration(seconds: float) -> str:
    """Seconds in words: '40 s', '12 min' or '3.5 h'."""
    minutes, hours = seconds / 60, seconds / 3600
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes:.0f} min" if minutes < 100 else f"{hours:.1f} h"


# ---- whose a partial folder is, and what it holds for the next -----------------------------------


class ClaimedError(UserError):
    """Another process is at work on the run."""


def claim(folder: Path, patience: float = 0.0) -> None:
    """Marks a partial folder as this process's, unless the one that started this process has done so.

    A process gives a sign of life by touching the mark; of another host, that is all that can be seen of it.

    Args:
        patience: seconds to wait for another's mark to become stale.

    Raises:
        ClaimedError: another process is at work in it.
    """
    partial, deadline = partial_of(folder), time.monotonic() + patience
    partial.mkdir(parents=True, exist_ok=True)
    ownership.recover(folder)
    while owner := alive(partial):
        if owner["host"] == HOST and owner["pid"] in _line_of_descent():
            return
        if time.monotonic() > deadline:
            raise ClaimedError(
                f"{folder.name}: process {owner['pid']} on {owner['host']} is working on it; wait for it or end it"
            )
        time.sleep(1)
    process = psutil.Process()
    mine = {"pid": process.pid, "started": process.create_time(), "host": HOST}
    write_aside(partial / CLAIM, json.dumps(mine))
    threading.Thread(target=_beat, args=(partial / CLAIM, mine), daemon=True).start()


def release(partial: Path) -> None:
    """Takes this process's mark away from a partial folder; another's stays."""
    path = partial / CLAIM
    if (owner := _owner(path)) and (owner["pid"], owner["host"]) == (os.getpid(), HOST):
        path.unlink(missing_ok=True)


def alive(partial: Path) -> dict | None:
    """The process that is at work in a partial folder, {pid, started, host}, or None."""
    path = partial / CLAIM
    owner = _owner(path)
    try:
        if owner is None:
            return None
        if owner["host"] != HOST:
            return owner if time.time() - path.stat().st_mtime < STALE_SECONDS else None
        return owner if abs(psutil.Process(owner["pid"]).create_time() - owner["started"]) < 5 else None
    except (OSError, psutil.NoSuchProcess):
        return None


def _owner(path: Path) -> dict | None:
    try:
        owner = json.loads(path.read_bytes())
        return {"pid": int(owner["pid"]), "started": float(owner["started"]), "host": str(owner["host"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _line_of_descent() -> set[int]:
    process = psutil.Process()
    return {process.pid, *(parent.pid for parent in process.parents())}


def _beat(path: Path, mine: dict) -> None:
    while _owner(path) == mine:
        with suppress(OSError):
            os.utime(path)
        time.sleep(HEARTBEAT_SECONDS)


def clear(folder: Path, keep_checkpoint: bool = True) -> None:
    """Takes out of a partial folder what an earlier attempt left; the checkpoint only if that is wanted."""
    ownership.clear(partial_of(folder), keep={CLAIM, CHECKPOINT} if keep_checkpoint else {CLAIM})


def fail(folder: Path, cause: str) -> None:
    """Keeps the one-line cause of a failure in the partial folder, for `state`."""
    with suppress(OSError):  # on a full disk, whoever runs the study still says the cause
        partial_of(folder).mkdir(parents=True, exist_ok=True)
        write_aside(partial_of(folder) / ERROR, " ".join(cause.split())[:1000] + "\n")
    with suppress(OSError):
        (partial_of(folder) / CLAIM).unlink(missing_ok=True)


def read_progress(folder: Path) -> dict:
    """What a run in the making last said of where it stands, {} when it has not begun to."""
    try:
        return json.loads((partial_of(folder) / PROGRESS).read_bytes())
    except (OSError, ValueError):
        return {}


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

    try:
        with np.load(partial / CHECKPOINT, allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            if keys.difference(facts["key"], key):
                return None
            return facts, {name: file[name] for name in file.files if name != "facts"}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def checkpoint_epoch(partial: Path) -> int:
    """The epoch after which a partial folder's checkpoint was made; 0 without one."""
    if not (partial / CHECKPOINT).is_file():
        return 0
    import numpy as np

    try:
        with np.load(partial / CHECKPOINT, allow_pickle=False) as file:
            return int(json.loads(file["facts"].tobytes())["epoch"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return 0


# ---- finished runs -------------------------------------------------------------------------------


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
