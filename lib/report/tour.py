"""What a report shows of a finished network beyond the images that its run kept: `python -m lib.report.tour FOLDER...`.

The report itself never imports TensorFlow: it starts this as a process of its own, once for all runs that need it. Each
run gets a `tour.npz` beside its networks, made anew only when these are newer.
"""

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lib import files
from lib.notebooks import ROOT
from lib.runs import read_result

FILE = "tour.npz"
WALK = 12  # images from one latent to another
REACH, COUNT, RANK = 3.0, 41, 24  # the plane: z1 and z2 from -3 to 3, its grid, the components that tell its images


def complete(folders: Iterable[Path]) -> None:
    """Lets networks decode what their runs did not keep, in another process; failures are said and leave gaps."""
    wanted = [str(folder) for folder in folders if missing(folder)]
    if not wanted:
        return
    print(f"decoding walks and planes of {len(wanted)} runs", flush=True)
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-m", __name__, *wanted], cwd=ROOT, env=environment, check=False)
    if done.returncode:
        print(f"walks and planes are missing: their process ended with status {done.returncode}", file=sys.stderr)


def missing(folder: Path) -> bool:
    """Whether a run's folder has networks that can be read but no tour of them."""
    names = read_result(folder)["layers"]
    networks = [path for name in names if (path := folder / "model" / f"{name}.keras").exists()]
    if not networks or not all(zipfile.is_zipfile(path) for path in networks):
        return False
    made = folder / FILE
    return not made.exists() or made.stat().st_mtime < max(path.stat().st_mtime for path in networks)


def read(folder: Path) -> dict[str, np.ndarray]:
    """A run's tour; nothing where there is none."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}


def make(folder: Path) -> dict[str, np.ndarray]:
    """Decodes a run's tour.

    Returns:
        "walk" uint8 [12, H, W, C], from one latent of the prior to another; for a model that encodes images in two
        latents also "plane" uint8 [121, H, W, C], every fourth row and column of a grid of 41 by 41, the first row the
        largest z2, and the grid as `compressed` tells it.
    """
    from lib.scores.drawing import decode
    from lib.widgets import Finished, walk

    model = Finished(folder).model
    kept = {"walk": walk(model, steps=WALK)}
    if model.latent_dim == 2 and model.encode(np.zeros((1, *model.image_shape), np.uint8)) is not None:
        places = np.linspace(-REACH, REACH, COUNT, dtype=np.float32)
        z = np.stack(np.meshgrid(places, places[::-1]), axis=-1).reshape(-1, 2)
        images = decode(model, z)
        grid = images.reshape(COUNT, COUNT, *images.shape[1:])
        kept |= compressed(images) | {"plane": grid[::4, ::4].reshape(-1, *images.shape[1:])}
    return kept


def compressed(images: np.ndarray, rank: int = RANK) -> dict[str, np.ndarray]:
    """Images [N, H, W, C] by their principal components, in bytes: about mean + coefficients * scales @ basis.

    Returns:
        "mean" uint8 [P], "basis" int8 [R, P], "coefficients" int8 [N, R], "scales" float32 [R], and "error": the mean
        absolute difference from the images, in grey levels.
    """
    flat = images.reshape(len(images), -1).astype(np.float32)
    mean = np.round(flat.mean(axis=0))
    left, sizes, basis = np.linalg.svd(flat - mean, full_matrices=False)
    rank = min(rank, len(sizes))
    coefficients, basis = left[:, :rank] * sizes[:rank], basis[:rank]
    most = [np.maximum(np.abs(part).max(axis=axis), 1e-12) / 127 for part, axis in ((coefficients, 0), (basis, 1))]
    kept = {
        "mean": mean.astype(np.uint8),
        "basis": np.round(basis / most[1][:, None]).astype(np.int8),
        "coefficients": np.round(coefficients / most[0]).astype(np.int8),
        "scales": (most[0] * most[1]).astype(np.float32),
    }
    kept["error"] = np.float32(np.abs(np.clip(restored(kept), 0, 255) - flat).mean())
    return kept


def restored(kept: dict[str, np.ndarray]) -> np.ndarray:
    """The images that `compressed` tells, float [N, P]; the report's page does the same at any place between them."""
    return kept["mean"] + (kept["coefficients"] * kept["scales"]) @ kept["basis"].astype(np.float32)


def main(folders: list[str]) -> None:
    """Writes each folder's tour; one that fails is named, and the others go on."""
    for folder in map(Path, folders):
        try:
            packed = io.BytesIO()
            np.savez_compressed(packed, **make(folder))
            files.write_aside(folder / FILE, packed.getvalue())
        except Exception as error:
            print(f"{folder.name}: its networks cannot be shown ({type(error).__name__}: {error})", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
