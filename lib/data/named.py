"""A dataset by the name that a user gives: a known one, an .npz file, or a folder of images.

`dataset` knows four names and .npz files. All others lead to an .npz file too, which is made here where it is missing:
so a dataset more changes nothing on which earlier runs depend.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib.data import dataset, npz, packing
from lib.data.dataset import BuiltIn, Dataset
from lib.data.download import SOURCES, again, by_hand, fetch, folder, missing
from lib.errors import UserError, nearest

BUILT_IN = dataset.BUILT_IN | {
    "fashion_mnist": BuiltIn("Fashion-MNIST: 70,000 pieces of clothing", 60_000, (28, 28, 1), ()),
    "cifar100": BuiltIn("CIFAR-100: 60,000 photographs", 50_000, (32, 32, 3), ()),
}
DATASETS = tuple(BUILT_IN)


def is_path(name: str) -> bool:
    """Whether a dataset is named by its path: that of an .npz file, or of a folder, which has a / in it."""
    return name not in BUILT_IN and (name.endswith(".npz") or "/" in name)


def load(name: str, validation: int = 5000) -> Dataset:
    """The dataset of this name; a known one that is not there yet is downloaded.

    Args:
        name: one of DATASETS, the path of an .npz file, or that of a folder of images, in which a / must be (paths are
            relative to the current folder; ~ is the home folder).
        validation: how many training images to set aside, drawn by a fixed seed; at most a tenth of them.
            0 trains on all.

    Returns:
        Arrays that cannot be written to: a record of a training names the dataset by what was read.

    Raises:
        UserError: unknown name, missing file without a network, a file that is corrupt or not what it should be.
    """
    file = _file(name, download=True)
    found = _read(dataset.load, file, validation)
    if name.endswith(".npz"):
        return found
    return replace(found, name=packing.title(name) if is_path(name) else name)


def fingerprint(name: str) -> str:
    """A cheap identity of the data: the .npz file's sha256, or the name of a generated dataset. Downloads nothing.

    Raises:
        UserError: unknown name, or no such file.
    """
    return dataset.fingerprint(_file(name))


def header(name: str) -> tuple[int, tuple[int, int, int]]:
    """(number of training images before the split, (H, W, C)), read without the pixels. Downloads nothing.

    Raises:
        UserError: unknown name, no such file, or an .npz file whose headers show unfit arrays.
    """
    if name in BUILT_IN:
        return BUILT_IN[name].train, BUILT_IN[name].shape
    count, *shape = npz.image_shape(_read(npz.headers, dataset._path(_file(name)))["x_train"][0])
    return count, tuple(shape)


def class_count(name: str) -> int:
    """The number of classes, 0 for a dataset without labels, read without the pixels. Downloads nothing.

    Raises:
        UserError: as `header`.
    """
    if name in BUILT_IN:
        return len(BUILT_IN[name].class_names)
    labels = _read(npz.read_labels, dataset._path(_file(name)))
    return 0 if labels is None else 1 + int(labels.max())


def verify(name: str) -> str:
    """One line of good news about a dataset that was read and checked in full. Downloads nothing.

    Raises:
        UserError: the bad news.
    """
    generated = name in DATASETS and name not in SOURCES
    where = "generated" if generated else str(dataset._path(_file(name)))
    data = load(name, validation=0)
    size = "x".join(map(str, data.shape))
    kind = "as published" if name in SOURCES else "canonical" if data.canonical else "not canonical"
    counts = f"{len(data.x_train):,} training and {len(data.x_test):,} test images {size}"
    return f"{data.name}: good; {counts}; sha256 {data.sha256}; {kind}; {where}"


def listing() -> str:
    """A table of the datasets known by name: what each is, whether its file is there, and where."""
    rows = [("name", "images", "shape", "state", "file")]
    for name, known in BUILT_IN.items():
        file, state = "", "generated"
        if name in SOURCES:
            file, state = folder() / f"{name}.npz", "missing"
            if file.is_file():
                state = "present"
            elif len(archives := by_hand(name)) == len(SOURCES[name].files):
                file, state = next(iter(archives.values())), "to be converted"
        rows.append((name, known.what, "x".join(map(str, known.shape)), state, str(file)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


# --- the file that a name leads to ---


def _file(name: str, download: bool = False) -> str:
    """What `dataset` calls the dataset: one of its own names, or the path of an .npz file, which then is there."""
    if name in dataset.DATASETS or name.endswith(".npz"):
        return name
    if name in SOURCES:
        return str(_converted(name, download))
    if is_path(name):
        return str(packing.of_folder(name))
    known = ", ".join(DATASETS)
    raise UserError(
        f"dataset {name!r} is neither one of {known} nor the path of an .npz file or, with a / in it, of a folder "
        f"of images{nearest(name, DATASETS)}"
    )


def _converted(name: str, download: bool) -> Path:
    """The .npz file of a published dataset, which must be as it was converted from the published files."""
    path = folder() / f"{name}.npz"
    if not path.is_file():
        if not download and len(by_hand(name)) < len(SOURCES[name].files):
            raise UserError(missing(name))
        fetch(name, progress=False)
    with suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        expected = SOURCES[name].sha256, dataset.fingerprint(str(path))
        if (record["archive_sha256"], record["npz_sha256"]) == expected:
            return path
    raise UserError(
        f"dataset {name}: {path} is not as it was converted from the published files: its sha256 is not in "
        f"{path.stem}.json; {again(name)}, or use it as a dataset of your own, by its path"
    )


def _read(read: Callable, file: Any, *arguments) -> Any:
    """Calls a reader of a file; where arrays do not fit, the error also holds the command that makes them fit."""
    try:
        return read(file, *arguments)
    except UserError as error:
        if "; convert: " not in str(error) or " is object" in str(error):  # no object is unpickled
            raise
        raise UserError(f"{error}, or {packing.command(str(file), 'fit')}") from None
