"""Datasets: what they are, how their arrays are verified, and how they are split.

No dataset ever stands in for another. Where files come from is in `download`, what a user's own must hold in `npz`.
"""

import hashlib
import json
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lib.data import npz
from lib.data.download import SOURCES, again, array_sha256, fetch, folder, missing
from lib.data.generated import DIGITS_TRAIN, SHAPES, digits, shapes
from lib.data.npz import ARRAYS
from lib.errors import UserError, nearest

SPLIT_SEED = 5000
SHAPES_TEST = 1_000  # images
MNIST_SHA256 = {  # of the arrays' bytes (uint8, C order): the same images in another zip are the same dataset
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
REENCODED = {  # by the arrays' digest, known images that were stored with loss: whose they are, what reports call them
    "3d1c69e3c956894decf6db430c1cda7d5998f2de57880f9715555643ed7ac3fc": ("cifar10", "CIFAR-10 through JPEG"),
}


class BuiltIn(NamedTuple):
    """A dataset known by name: a line about it, its number of training images (before the split), shape, classes."""

    what: str
    train: int
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]


DIGITS = tuple("0123456789")
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BUILT_IN = {
    "mnist": BuiltIn("MNIST: 70,000 handwritten digits", 60_000, (28, 28, 1), DIGITS),
    "cifar10": BuiltIn("CIFAR-10: 60,000 photographs", 50_000, (32, 32, 3), OBJECTS),
    "digits": BuiltIn("scikit-learn's 1,797 handwritten digits, enlarged", DIGITS_TRAIN, (28, 28, 1), DIGITS),
    "shapes": BuiltIn("6,000 bright shapes on dark grounds, drawn", 5_000, (32, 32, 3), SHAPES),
}
DATASETS = tuple(BUILT_IN)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset in three parts.

    Attributes:
        name: as the report names it: "mnist", "cifar10", "digits", "shapes", or the .npz file's name.
        x_train, x_validation, x_test: uint8 [N, H, W, C], C = 1 or 3.
        y_train, y_validation, y_test: int64 [N], 0 to 999; None where the file has no labels.
        sha256: of the arrays before the validation split: their names, types, shapes and bytes.
        canonical: these are exactly MNIST's arrays, or CIFAR-10 made from the published archive.
        class_names: None for a user's own file.
        fingerprint: of what was read, as `fingerprint` gives it.
        loaded: the images as `load` gave them.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray | None
    x_validation: np.ndarray
    y_validation: np.ndarray | None
    x_test: np.ndarray
    y_test: np.ndarray | None
    sha256: str
    canonical: bool
    class_names: tuple[str, ...] | None
    fingerprint: str = ""
    loaded: tuple[np.ndarray, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether some images are not those that were loaded."""
        images = (self.x_train, self.x_validation, self.x_test)
        return bool(self.loaded) and any(one is not then for one, then in zip(images, self.loaded, strict=True))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.x_train.shape[1:]

    @property
    def class_count(self) -> int:
        """The number of classes: one more than the largest label; 0 without labels."""
        return 0 if self.y_train is None else 1 + int(max(self.y_train.max(), self.y_test.max()))

    @property
    def counts(self) -> dict[str, int]:
        """The number of images in each part."""
        return {"train": len(self.x_train), "validation": len(self.x_validation), "test": len(self.x_test)}

    def split_again(self, validation: int) -> "Dataset":
        """The same dataset with another number of validation images, as `load` would split it."""
        count = len(self.x_train) + len(self.x_validation)
        before, after = _held_out(count, len(self.x_validation)), _held_out(count, validation)
        if np.array_equal(before, after):
            return self
        parts = {}
        for kind in ("x", "y"):
            train, held = getattr(self, f"{kind}_train"), getattr(self, f"{kind}_validation")
            if train is not None:
                whole = np.empty((count, *train.shape[1:]), train.dtype)
                whole[~before], whole[before] = train, held
                parts |= {f"{kind}_train": whole[~after], f"{kind}_validation": whole[after]}
        return replace(self, **parts, loaded=())

    def record(self) -> dict[str, Any]:
        """What result.json says of the data; "reencoded" names a known dataset that was stored with loss."""
        about = {"name": self.name, "sha256": self.sha256, "canonical": self.canonical}
        if self.sha256 in REENCODED:
            about["reencoded"] = REENCODED[self.sha256][1]
        return about | {"counts": self.counts, "shape": list(self.shape)}


def load(name: str, validation: int = 5000) -> Dataset:
    """As `named.load`, of one of the first four datasets or of the path of an .npz file."""
    raw = _arrays(name, download=True)
    read = fingerprint(name)
    arrays = {key: _normal(key, array) for key, array in raw.items()}
    held = _held_out(len(arrays["x_train"]), validation)
    labels, digest = arrays.get("y_train"), _digest(arrays)
    known = name if name in DATASETS else REENCODED.get(digest, ("",))[0]
    found = Dataset(
        name=name if name in DATASETS else Path(name).name,
        x_train=arrays["x_train"][~held],
        y_train=None if labels is None else labels[~held],
        x_validation=arrays["x_train"][held],
        y_validation=None if labels is None else labels[held],
        x_test=arrays["x_test"],
        y_test=arrays.get("y_test"),
        sha256=digest,
        canonical=name in SOURCES or not _unlike(raw, MNIST_SHA256),
        class_names=BUILT_IN[known].class_names if known else None,
        fingerprint=read,
    )
    for value in vars(found).values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return replace(found, loaded=(found.x_train, found.x_validation, found.x_test))


def _held_out(count: int, validation: int) -> np.ndarray:
    """Which of `count` training images are validation images, bool [count]."""
    held = np.zeros(count, bool)
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    held[order[: min(validation, count // 10)]] = True
    return held


def fingerprint(name: str) -> str:
    """A cheap identity of the data: the file's sha256, or the name of a generated dataset. Downloads nothing.

    Raises:
        UserError: unknown name, or no such file.
    """
    if name in DATASETS and name not in SOURCES:
        return name
    path = _path(name)
    state = path.stat()
    return _file_sha256(path, state.st_size, state.st_mtime_ns)


def _path(name: str, download: bool = False) -> Path:
    """The dataset's .npz file, which exists; CIFAR-10's archive, if put there by hand, is converted on the way."""
    if name in SOURCES:
        path = folder() / f"{name}.npz"
        if path.is_file():
            return path
        if download or (folder() / SOURCES[name].file).is_file():
            return fetch(name, progress=False)
        raise UserError(missing(name))
    if not name.endswith(".npz"):
        known = ", ".join(DATASETS)
        raise UserError(
            f"dataset {name!r} is neither one of {known} nor the path of an .npz file{nearest(name, DATASETS)}"
        )
    path = Path(os.path.expanduser(name))
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "not there"
        raise UserError(f"dataset {name}: {path.absolute()} is {kind}; expected an .npz file with {', '.join(ARRAYS)}")
    return path


@lru_cache
def _file_sha256(path: Path, size: int, changed: int) -> str:
    """Asked once per run of a study: the size and the time of change stand for the content within one process."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- arrays ---


def _arrays(name: str, download: bool = False) -> dict[str, np.ndarray]:
    """A dataset's arrays by name, as they are stored, checked; y_train and y_test may be absent."""
    if name == "digits":
        return dict(zip(ARRAYS, digits(), strict=True))
    if name == "shapes":
        parts = shapes(BUILT_IN[name].train, seed=0) + shapes(SHAPES_TEST, seed=1)
        return dict(zip(ARRAYS, parts, strict=True))
    path = _path(name, download)
    try:
        raw = npz.read(path)
    except UserError as error:
        raise UserError(f"dataset {name}: {error}; {again(name)}" if name in SOURCES else error) from None
    if name in SOURCES and (fault := _unlike(raw, MNIST_SHA256 if name == "mnist" else _recorded(path))):
        raise UserError(f"dataset {name}: {path}: {fault}; {again(name)}")
    return raw


def _recorded(path: Path) -> dict[str, str]:
    """The digests that were recorded at the conversion.

    The record is trusted. It guards against damaged and mistaken files, not against someone who can write into the
    folder; but even then nothing is unpickled.
    """
    beside = path.with_suffix(".json")
    try:
        record = json.loads(beside.read_text(encoding="utf-8"))
        if record["archive_sha256"] == SOURCES["cifar10"].sha256:
            return {key: record["arrays_sha256"][key] for key in ARRAYS}
        found = "of another archive"
    except (OSError, ValueError, KeyError, TypeError):
        found = "missing or unreadable"
    raise UserError(
        f"dataset cifar10: {path} was not converted from the published archive: its record {beside.name} is {found}; "
        f"{again('cifar10')}, or use it as a dataset of your own, by its path"
    )


def _unlike(raw: dict[str, np.ndarray], published: dict[str, str]) -> str:
    """Which of the arrays is not the published one; "" if all are."""
    for key, digest in published.items():
        found = array_sha256(raw[key]) if key in raw else "none: there is no such array"
        if found != digest:
            return f"{key} is not the published one: sha256 {found}, expected {digest}"
    return ""


def _digest(arrays: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for key in ARRAYS:
        if key in arrays:
            total.update(f"{key} {arrays[key].dtype.str} {list(arrays[key].shape)}".encode())
            total.update(arrays[key])
    return total.hexdigest()


def _normal(key: str, array: np.ndarray) -> np.ndarray:
    """Images as uint8 [N, H, W, C], labels as int64 [N]."""
    shape = npz.image_shape(array.shape) if key.startswith("x") else (-1,)
    return np.ascontiguousarray(array.reshape(shape), np.uint8 if key.startswith("x") else np.int64)
