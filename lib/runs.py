"""The run folder: write it whole, read it, know whether it is complete and current. Never imports TensorFlow.

A run is made in `<run>.partial/`. It becomes `<run>/` by one rename, after everything in it is valid, the executed
notebook included: what is not so renamed is not done. papermill goes on writing the notebook when the last cell has
ended, so the rename is left to whoever looks next (`latent-report run`, `status`, `report`), or, where no notebook is
written into the folder, done by the record cell.
"""

import ast
import csv
import hashlib
import importlib.metadata
import io
import json
import math
import os
import platform
import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil
import yaml
from filelock import FileLock

from lib import data
from lib.settings import Settings, UserError, notebook_defaults

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK_DIR = ROOT / "notebooks"
TRAINING_SOURCES = ("backend", "data", "networks", "models", "training")
EVALUATION_SETTINGS = ("importance_samples",)
EVALUATION_SOURCES = ("estimates", "classifier", "evaluation")
PACKAGES = ("keras", "numpy", "pillow", "scikit-learn", "scipy", "tensorflow")
FILES = ("result.json", "parameters.yaml", "history.csv", "samples.npz", "log.txt", "notebook.ipynb")


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


def source_digest(source: str) -> str:
    """sha256 of Python source by its syntax tree, without comments and docstrings: only what runs counts."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def code_cells(notebook: dict) -> list[dict]:
    """A notebook's code cells that hold any code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def training_key(settings: Settings, fingerprint: str) -> dict:
    """What the trained networks depend on; runs with another one are stale.

    Args:
        fingerprint: of the dataset, as `data.fingerprint` gives it.

    Returns:
        Parts by name, so that a difference can be named: settings, data, notebook, source files, package versions.
    """
    return {
        "settings": settings.model_dump(exclude={"output_dir", "dataset", *EVALUATION_SETTINGS}),
        "data": fingerprint,
        "notebook": notebook_digest(settings.notebook),
        "sources": module_digests(TRAINING_SOURCES),
        "versions": versions(),
    }


def evaluation_key(settings: Settings) -> dict:
    """What the numbers depend on beside the networks: another one, and only the numbers are computed anew."""
    chosen = settings.model_dump(include=set(EVALUATION_SETTINGS))
    return {"settings": chosen, "sources": module_digests(EVALUATION_SOURCES)}


def module_digests(names: Iterable[str]) -> dict[str, str]:
    """source_digest of modules of lib, by name."""
    return {name: _module_digest(name) for name in names}


@cache
def versions() -> dict[str, str]:
    """The installed versions of the packages that shape a run's numbers."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def difference(old: dict, new: dict, prefix: str = "") -> str:
    """The first difference of two keys in words, for example 'settings.epochs: 5 -> 10'; '' when they are equal."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            if found := difference(before, after, f"{prefix}{name}."):
                return found
        elif before != after:
            digests = all(isinstance(value, str) and len(value) == 64 for value in (before, after))
            return f"{prefix}{name} changed" if digests else f"{prefix}{name}: {before} -> {after}"
    return ""


@cache  # of a process: one command sees one state of the sources
def notebook_digest(name: str) -> str:
    """source_digest of a notebook's code cells but for its parameters."""
    notebook = json.loads((NOTEBOOK_DIR / f"{name}.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in code_cells(notebook) if "parameters" not in cell["metadata"].get("tags", ())]
    return source_digest("\n".join("".join(cell["source"]) for cell in cells))


@cache
def _module_digest(name: str) -> str:
    return source_digest((ROOT / "lib" / f"{name}.py").read_text(encoding="utf-8"))


# ---- writing -------------------------------------------------------------------------------------


def write_aside(path: Path, content: bytes | str) -> None:
    """Writes a file beside its place and renames it there: a reader sees the old one or the new one, whole."""
    content = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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


def partial_of(folder: Path) -> Path:
    """Where a run is made before it stands in `folder`."""
    return folder.with_name(folder.name + ".partial")


class Run:
    """A run in the making, as its notebook holds it: a partial folder, clocks, a log, and at the end a record.

    Args:
        settings: validated; `output_dir` is the finished run's folder, by default one named after the settings
            under the repository's reports/notebooks/runs.
    """

    def __init__(self, settings: Settings):
        defaults = notebook_defaults(NOTEBOOK_DIR / f"{settings.notebook}.ipynb")
        name = run_name(settings.model_dump(), defaults)
        folder = settings.output_dir or ROOT / "reports" / "notebooks" / "runs" / name
        self.folder = Path(folder).expanduser().absolute()
        self.name = self.folder.name
        self.partial = partial_of(self.folder)
        self.settings = settings
        self.process_start = psutil.Process().create_time()
        self.seconds = {"start": time.time() - self.process_start}
        if settings.dataset in data.SOURCES:
            data.fetch(settings.dataset)  # a no-op when it is there
        self.key = training_key(settings, data.fingerprint(settings.dataset))
        try:
            self._open()
            for name in ("result.json", "log.txt"):
                (self.partial / name).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"output_dir {self.folder}: cannot be written to ({error.strerror})") from None

    def _open(self) -> None:
        """Makes the partial folder: at first, and again where a cell is run once more after the record cell."""
        (self.partial / "model").mkdir(parents=True, exist_ok=True)
        plain = self.settings.model_dump(exclude={"output_dir"})
        write_aside(self.partial / "parameters.yaml", yaml.safe_dump(plain, sort_keys=False))

    @contextmanager
    def clock(self, name: str):
        """Adds the seconds spent inside to result.json's `seconds` under this name."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def log(self, line: str, show: bool = True) -> None:
        """Keeps a line in log.txt, and shows it."""
        if show:
            print(line, flush=True)
        if not self.partial.is_dir():
            self._open()
        with (self.partial / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def save(self, networks: dict, history: dict, samples: dict) -> None:
        """Writes networks, history and images into the partial folder.

        Args:
            networks: Keras models by name; each becomes model/<name>.keras.
            history: lists of one number an epoch by name; becomes history.csv.
            samples: arrays by name; becomes samples.npz.
        """
        import numpy as np

        self._open()
        for name, network in networks.items():
            network.save(self.partial / "model" / f"{name}.keras")
        write_aside(self.partial / "history.csv", history_csv(history))
        packed = io.BytesIO()
        np.savez_compressed(packed, **samples)
        write_aside(self.partial / "samples.npz", packed.getvalue())

    def record(self, images_seen: int, **facts) -> Path:
        """Writes result.json, the last of the record cell's files; says where the run stands or will stand.

        Args:
            images_seen: in training, whose throughput this and the "fit" clock give.
            facts: dataset, parameters, layers, metrics, references and what else belongs to the run.
        """
        result = {
            "run": self.name,
            "notebook": self.settings.notebook,
            "keys": {"training": self.key, "evaluation": evaluation_key(self.settings)},
            "settings": self.settings.model_dump(exclude={"output_dir"}),
            **facts,
            "images_seen": images_seen,
            "images_per_second": round(images_seen / self.seconds["fit"], 1),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_PER_MIB, 1),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "versions": versions(),
        }
        write_result(self.partial, result)
        notebook = self.partial / "notebook.ipynb"
        if notebook.exists() and notebook.stat().st_mtime > self.process_start:
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
    if quiet and (partial / "result.json").exists() and not _fault(partial):
        _rename(partial, folder)


def _rename(partial: Path, folder: Path) -> None:
    for leftover in ("error.txt", "worker.json", "kernel.log"):
        (partial / leftover).unlink(missing_ok=True)
    if folder.exists():
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:50]}-old-"))
        os.rename(folder, aside / "run")
        os.rename(partial, folder)
        shutil.rmtree(aside)
    else:
        os.rename(partial, folder)


# ---- reading -------------------------------------------------------------------------------------


def _fault(folder: Path) -> str:
    """What is missing or invalid in a folder that should hold a whole run; '' when nothing is."""
    for name in FILES:
        if not (folder / name).is_file():
            return f"{name} is missing"
    try:
        result = json.loads((folder / "result.json").read_bytes())
        result["keys"]["training"], result["keys"]["evaluation"], result["metrics"]
        notebook = json.loads((folder / "notebook.ipynb").read_bytes())
        cells = code_cells(notebook)
        if not notebook["metadata"].get("papermill", {}).get("end_time"):
            return "notebook.ipynb was not executed to its end"
        if any(cell.get("execution_count") is None for cell in cells):
            return "notebook.ipynb has cells that were not executed"
        if any(output["output_type"] == "error" for cell in cells for output in cell["outputs"]):
            return "notebook.ipynb ended with an error"
        networks = {f"{name}.keras" for name in result["layers"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"result.json or notebook.ipynb is damaged ({type(error).__name__}: {error})"
    if missing := networks - {path.name for path in (folder / "model").glob("*.keras")}:
        return f"model/{min(missing)} is missing"
    return ""


def state(folder: Path, settings: Settings) -> tuple[str, str]:
    """Where a run stands: ("done" | "unscored" | "stale" | "running" | "failed" | "missing", why in one line or '').

    An unscored run is trained as its settings ask for, but its numbers were computed by other code.

    Where the dataset's file is not here, only the rest is compared: a report can be rebuilt without it.
    """
    partial = partial_of(folder)
    if _worker_alive(partial):
        return "running", ""
    settle(folder)
    stale = _stale(folder, settings) if folder.is_dir() else None
    if stale == "":
        unscored = difference(read_result(folder)["keys"]["evaluation"], evaluation_key(settings), "evaluation ")
        return ("unscored", unscored) if unscored else ("done", "")
    if (partial / "error.txt").is_file():
        return "failed", (partial / "error.txt").read_text(encoding="utf-8").strip()
    return ("stale", stale) if stale else ("missing", "")


def _stale(folder: Path, settings: Settings) -> str:
    """Why a run's folder is not, or no longer, what its settings ask for; '' when it is."""
    if fault := _fault(folder):
        return fault
    keys = read_result(folder)["keys"]
    try:
        fingerprint = data.fingerprint(settings.dataset)
    except UserError:
        fingerprint = keys["training"].get("data")
    return difference(keys["training"], training_key(settings, fingerprint))


def duration(seconds: float) -> str:
    """Seconds in words: '40 s', '12 min' or '3.5 h'."""
    minutes, hours = seconds / 60, seconds / 3600
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes:.0f} min" if minutes < 100 else f"{hours:.1f} h"


def claim(folder: Path) -> None:
    """Marks a partial folder as this process's, so that `state` can tell running from left behind."""
    partial = partial_of(folder)
    partial.mkdir(parents=True, exist_ok=True)
    for name in ("error.txt", "notebook.ipynb", "history.csv", "log.txt", "result.json"):
        (partial / name).unlink(missing_ok=True)
    process = psutil.Process()
    worker = {"pid": process.pid, "started": process.create_time(), "host": platform.node()}
    write_aside(partial / "worker.json", json.dumps(worker))


def fail(folder: Path, cause: str) -> None:
    """Keeps the one-line cause of a failure in the partial folder, for `state`."""
    partial_of(folder).mkdir(parents=True, exist_ok=True)
    write_aside(partial_of(folder) / "error.txt", " ".join(cause.split())[:1000] + "\n")
    (partial_of(folder) / "worker.json").unlink(missing_ok=True)


def _worker_alive(partial: Path) -> bool:
    try:
        worker = json.loads((partial / "worker.json").read_bytes())
        if worker["host"] != platform.node():
            return True  # cannot be asked from here; `latent-report run` asks the study's lock instead
        return psutil.Process(worker["pid"]).create_time() == worker["started"]
    except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        return False


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
