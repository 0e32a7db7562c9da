"""The networks that make images, as the report's page computes them: `python -m lib.report.decoders FOLDER...`, or
the folders on standard input, one a line.

The report itself never imports TensorFlow: it starts this as a process of its own, once for all runs that need it. Each
run gets a `decoder.npz` beside its networks, made anew only when these are newer.
"""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lib import data, files
from lib.errors import UserError, in_one_line
from lib.finished import Finished
from lib.notebooks import ROOT
from lib.report import operations
from lib.runs import read_result
from lib.runs.ownership import DECODER

LIMIT, WANTED = 0.5, 0.3  # grey levels from Keras on average: at most, and about as many as there should be
FITTED, COMPARED = 1000, 100  # samples of the prior for which weights are rounded, and which measure the difference
REAL = 20  # test images kept
DECODED = 40  # settings at most: a second or a few each
FEW = 5  # runs for which no further process is started: each imports TensorFlow


def complete(folders: Iterable[Path]) -> None:
    """Has networks told for the page, in other processes; failures are said and leave gaps."""
    wanted = [str(folder) for folder in folders if missing(folder)]
    if not wanted:
        return
    print(f"preparing the decoders of {len(wanted)} runs for the page", flush=True)
    count = min(os.cpu_count() or 1, -(-len(wanted) // FEW))
    options = {"cwd": ROOT, "env": os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}}
    started = [subprocess.Popen([sys.executable, "-m", __name__, *wanted[i::count]], **options) for i in range(count)]
    try:
        for process in started:
            process.wait()
    except BaseException:
        for process in started:
            process.kill()
        raise
    for process in started:
        if process.returncode:
            print(f"decoders are missing: their process ended with status {process.returncode}", file=sys.stderr)


def missing(folder: Path) -> bool:
    """Whether a run's folder has networks that can be read but no decoder made of them."""
    names = read_result(folder)["layers"]
    networks = [path for name in names if (path := folder / "model" / f"{name}.keras").exists()]
    if not networks or not all(zipfile.is_zipfile(path) for path in networks):
        return False
    made = folder / DECODER
    return not made.exists() or made.stat().st_mtime < max(path.stat().st_mtime for path in networks)


def read(folder: Path) -> dict[str, Any]:
    """A run's decoder, as `make` gives it; nothing where there is none."""
    try:
        with np.load(folder / DECODER, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if name != "facts"} | json.loads(str(arrays["facts"]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}


# ---- in the process of its own -------------------------------------------------------------------


def make(folder: Path) -> dict[str, Any]:
    """What the page needs of a run's model.

    Returns:
        "operations", "weights" and "floats" as `operations.packed` gives them, "mean" and "largest", the absolute
        difference from Keras in grey levels, "told", how much each latent tells, and "unit", of what; or only "reason",
        why there is no such decoder. And "real", test images uint8 [20, H, W, C], if the dataset is here.
    """
    run = Finished(folder)
    images = _test_images(run.settings.dataset, run.dataset)
    real = {} if images is None else {"real": images[np.linspace(0, len(images) - 1, REAL).astype(int)]}
    try:
        return of(run.model, images) | real
    except (operations.UnknownLayerError, UserError, ValueError, OSError) as error:
        return {"reason": in_one_line(error), **real}


def of(model, images: np.ndarray | None = None) -> dict[str, Any]:
    """A model's decoder and how near it comes to Keras. Args: images: test images.

    Raises:
        UnknownLayerError: it has a layer that the page cannot compute, or comes not near enough; says how.
    """
    from lib.widgets import latents

    shape = model.image_shape
    fits = [
        one
        for one in model.networks.values()
        if one.input_shape == (None, model.latent_dim) and tuple(one.output_shape[1:]) == shape
    ]
    if not fits:
        raise operations.UnknownLayerError("no network of this model makes images of latents")
    fitted, compared = (_prior(count, model.latent_dim, seed) for seed, count in enumerate((FITTED, COMPARED)))
    expected = np.asarray(model.generate(compared)).reshape(COMPARED, -1)
    plain = np.asarray(fits[0](compared, training=False)).reshape(COMPARED, -1)
    found, levels, grey = operations.of(fits[0]), 63, operations.images(expected, shape).astype(float)
    squashed = operations.ACTIVATIONS["sigmoid"](plain, 0)  # as a model may do to its network's numbers
    if np.abs(squashed - expected).mean() < np.abs(plain - expected).mean():
        found.append({"op": "activation", "name": "sigmoid", "parameter": 0})
    for _ in range(2):  # the coarser the steps, the smaller the page
        told = operations.packed(found, levels, fitted)
        difference = np.abs(operations.images(operations.apply(*told, compared), shape) - grey)
        levels = float(np.clip(levels * difference.mean() / WANTED, 15, 1000))
    if difference.mean() > LIMIT:
        raise operations.UnknownLayerError(f"its images differ from Keras by {difference.mean():.1f} grey levels")
    measured = {"mean": float(difference.mean()), "largest": int(difference.max())}
    each, unit = latents.told(model, None if images is None else images[: COMPARED * 10])
    measured |= {"told": each.tolist(), "unit": unit}
    return dict(zip(("operations", "weights", "floats"), told, strict=True)) | measured


def _prior(count: int, latent_dim: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, latent_dim)).astype(np.float32)


@lru_cache(maxsize=4)
def _test_images(name: str, sha256: str) -> np.ndarray | None:
    """A dataset's test images, if it is on this machine and the one that the run had."""
    try:
        data.fingerprint(name)  # downloads nothing, unlike `load`
        found = data.load(name)
    except (UserError, OSError, ValueError):
        return None
    return found.x_test if found.sha256 == sha256 else None


def write(folder: Path, made: dict[str, Any]) -> None:
    arrays = {name: value for name, value in made.items() if isinstance(value, np.ndarray)}
    facts = json.dumps({name: value for name, value in made.items() if name not in arrays})
    packed = io.BytesIO()
    np.savez_compressed(packed, facts=np.array(facts), **arrays)
    files.write_aside(folder / DECODER, packed.getvalue())


def main(folders: Iterable[str]) -> None:
    """Writes each folder's decoder; one that fails is named, and the others go on."""
    for folder in map(Path, folders):
        try:
            write(folder, make(folder))
        except Exception as error:
            print(f"{folder.name}: its decoder cannot be told ({type(error).__name__}: {error})", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:] or (line.rstrip("\n") for line in sys.stdin))
