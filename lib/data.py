"""Datasets: what they are, where their files lie, how they are checked, and how they are split.

Images are uint8 [N, H, W, C], C = 1 or 3, from 0 to 255, and stay so in memory; labels are int64 [N]. No pickle is ever
loaded from a file that has not been verified, and no dataset ever stands in for another.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
import queue
import socket
import tarfile
import tempfile
import threading
import urllib.request
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import platformdirs

from lib.settings import DATASETS, UserError, nearest

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
FEWEST = {"x_train": 20, "x_test": 10}  # images
SPLIT_SEED = 5000
CONNECT_SECONDS = 10


class Source(NamedTuple):
    """Where a dataset's file is published, its sha256, and its size in MB."""

    url: str
    sha256: str
    megabytes: int

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


SOURCES = {  # as in keras.datasets
    "mnist": Source(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        11,
    ),
    "cifar10": Source(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        170,
    ),
}
MNIST_SHA256 = {  # of the arrays' bytes (uint8, C order): the same images in another zip are the same dataset
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
CIFAR10_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


REENCODED = {  # known images stored with loss, by the digest of the arrays: of which dataset, and how reports name them
    "3d1c69e3c956894decf6db430c1cda7d5998f2de57880f9715555643ed7ac3fc": ("cifar10", "CIFAR-10 through JPEG"),
}


class BuiltIn(NamedTuple):
    """A dataset known by name: a line about it, its number of training images (before the split), shape, classes."""

    what: str
    train: int
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    offline: str = ""  # the dataset that needs no network and fits the same notebooks


DIGITS = tuple("0123456789")
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPES = ("disc", "ring", "crescent", "square", "triangle", "star", "cross", "bar", "heart", "stripes")
BUILT_IN = {
    "mnist": BuiltIn("MNIST: 70,000 handwritten digits", 60_000, (28, 28, 1), DIGITS, offline="digits"),
    "cifar10": BuiltIn("CIFAR-10: 60,000 photographs", 50_000, (32, 32, 3), OBJECTS, offline="shapes"),
    "digits": BuiltIn("scikit-learn's 1,797 handwritten digits, enlarged", 1_437, (28, 28, 1), DIGITS),
    "shapes": BuiltIn("6,000 drawn shapes on textured grounds", 5_000, (32, 32, 3), SHAPES),
}


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

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.x_train.shape[1:]

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
        return replace(self, **parts)

    def record(self) -> dict[str, Any]:
        """What result.json says of the data; "reencoded" names a known dataset that was stored with loss."""
        about = {"name": self.name, "sha256": self.sha256, "canonical": self.canonical}
        if self.sha256 in REENCODED:
            about["reencoded"] = REENCODED[self.sha256][1]
        return about | {"counts": self.counts, "shape": list(self.shape)}


def load(name: str, validation: int = 5000) -> Dataset:
    """The dataset of this name; a known one that is not there yet is downloaded.

    Args:
        name: one of DATASETS, or a path ending in .npz (relative to the current folder; ~ is the home folder).
        validation: how many training images to set aside, drawn by a fixed seed; at most a tenth of them.
            0 trains on all.

    Raises:
        UserError: unknown name, missing file without a network, a file that is corrupt or not what it should be.
    """
    raw = _arrays(name, download=True)
    arrays = {key: _normal(key, array) for key, array in raw.items()}
    held = _held_out(len(arrays["x_train"]), validation)
    labels, digest = arrays.get("y_train"), _digest(arrays)
    known = name if name in DATASETS else REENCODED.get(digest, ("",))[0]
    return Dataset(
        name=name if name in DATASETS else Path(name).name,
        x_train=arrays["x_train"][~held],
        y_train=None if labels is None else labels[~held],
        x_validation=arrays["x_train"][held],
        y_validation=None if labels is None else labels[held],
        x_test=arrays["x_test"],
        y_test=arrays.get("y_test"),
        sha256=digest,
        canonical=name in SOURCES or _is_mnist(raw),
        class_names=BUILT_IN[known].class_names if known else None,
    )


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


def header(name: str) -> tuple[int, tuple[int, int, int]]:
    """(number of training images before the split, (H, W, C)), read without the pixels. Downloads nothing.

    Raises:
        UserError: unknown name, no such file, or an .npz file whose headers show unfit arrays.
    """
    if name in BUILT_IN:
        return BUILT_IN[name].train, BUILT_IN[name].shape
    count, *shape = _image_shape(_headers(_path(name))["x_train"][0])
    return count, tuple(shape)


def folder() -> Path:
    """Where the downloaded datasets lie: $LATENT_REPORT_DATA, by default in the user's cache folder."""
    chosen = os.environ.get("LATENT_REPORT_DATA")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("latent-report")


def verify(name: str) -> str:
    """One line of good news about a dataset that was read and checked in full. Downloads nothing.

    Raises:
        UserError: the bad news.
    """
    where = "generated" if name in DATASETS and name not in SOURCES else str(_path(name))
    data = load(name, validation=0)
    size = "x".join(map(str, data.shape))
    kind = "canonical" if data.canonical else "not canonical"
    counts = f"{len(data.x_train):,} training and {len(data.x_test):,} test images {size}"
    return f"{data.name}: good; {counts}; sha256 {data.sha256}; {kind}; {where}"


def listing() -> str:
    """A table of the datasets known by name: what each is, whether its file is there, and where."""
    rows = [("name", "images", "shape", "state", "file")]
    for name, known in BUILT_IN.items():
        state, file = _state(name) if name in SOURCES else ("generated", "")
        rows.append((name, known.what, "x".join(map(str, known.shape)), state, file))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _state(name: str) -> tuple[str, str]:
    for file, state in ((f"{name}.npz", "present"), (SOURCES[name].file, "to be converted")):
        if (folder() / file).is_file():
            return state, str(folder() / file)
    return "missing", str(folder() / f"{name}.npz")


# --- files ---


def _path(name: str, download: bool = False) -> Path:
    """The dataset's .npz file, which exists; CIFAR-10's archive, if put there by hand, is converted on the way."""
    if name in SOURCES:
        path = folder() / f"{name}.npz"
        if path.is_file():
            return path
        if download or (folder() / SOURCES[name].file).is_file():
            return fetch(name, progress=False)
        raise UserError(_missing(name))
    if not name.endswith(".npz"):
        known = ", ".join(DATASETS)
        raise UserError(f"dataset {name!r} is none of {known}, nor the path of an .npz file{nearest(name, DATASETS)}")
    path = Path(os.path.expanduser(name))
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "not there"
        raise UserError(f"dataset {name}: {path.absolute()} is {kind}; expected an .npz file with {', '.join(ARRAYS)}")
    return path


def _missing(name: str) -> str:
    source = SOURCES[name]
    return (
        f"dataset {name}: {name}.npz is not there, in {folder()}; fetch it with `latent-report data fetch {name}`, "
        f"or put {source.file} there, or use the dataset {BUILT_IN[name].offline!r}, which needs no network"
    )


def _again(name: str) -> str:
    return f"delete the file and run `latent-report data fetch {name}`"


def fetch(name: str, progress: bool = True) -> Path:
    """The file of `mnist` or `cifar10`, downloaded if it is not there.

    One that is there is left as it is (`verify` checks it). CIFAR-10's archive is converted; one that was put into
    the folder by hand saves the download, and stays.

    Args:
        name: "mnist" or "cifar10".
        progress: show Keras' progress bar rather than one line.

    Raises:
        UserError: nothing to fetch under this name, no network, a corrupt download (nothing of it is kept), no
            permission to write.
    """
    if name not in SOURCES:
        kind = "is generated" if name in DATASETS else "has no known source"
        raise UserError(f"dataset {name!r} {kind}: only {' and '.join(SOURCES)} are fetched{nearest(name, SOURCES)}")
    from filelock import FileLock

    home, path = folder(), folder() / f"{name}.npz"
    if path.is_file():
        return path
    try:
        home.mkdir(parents=True, exist_ok=True)
        # several runs may start at once: the first one downloads, the others wait for it
        with FileLock(home / ".lock"), tempfile.TemporaryDirectory(prefix=".fetch-", dir=home) as scratch:
            if path.is_file():
                return path
            aside = Path(scratch)
            by_hand = home / SOURCES[name].file
            source = by_hand if by_hand.is_file() else _download(name, aside, progress)
            if name == "cifar10":
                source = _convert(source, aside)
                os.replace(source.with_suffix(".json"), path.with_suffix(".json"))
            os.replace(source, path)
    except OSError as error:
        raise UserError(f"dataset {name}: cannot keep it in {home}: {_line(error)}; set LATENT_REPORT_DATA") from None
    return path


def _download(name: str, aside: Path, progress: bool) -> Path:
    """The published file in the folder `aside`, its sha256 checked."""
    source = SOURCES[name]
    failed = f"{_missing(name)}; the download from {source.url} failed: "
    try:
        _connect(source.url)
    except Exception as error:
        raise UserError(failed + _line(error)) from None
    import keras

    if not progress:
        print(f"downloading {name} ({source.megabytes} MB) from {source.url} to {folder()}", flush=True)
    hush = contextlib.nullcontext() if progress else contextlib.redirect_stdout(io.StringIO())
    try:
        with hush, _socket_timeout(3 * CONNECT_SECONDS):
            got = keras.utils.get_file(
                source.file, source.url, file_hash=source.sha256, cache_dir=aside, cache_subdir=""
            )
    except Exception as error:  # get_file raises bare Exceptions
        raise UserError(f"{failed}{_line(error)} (nothing was kept)") from None
    return Path(got)


def _connect(url: str) -> None:
    """Raises soon if the network does not answer: a host's many addresses, each with its own time limit, add up."""
    outcome = queue.SimpleQueue()

    def attempt():
        try:
            urllib.request.urlopen(url, timeout=CONNECT_SECONDS).close()
            outcome.put(None)
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=attempt, daemon=True).start()
    try:
        error = outcome.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        error = TimeoutError(f"no answer in {CONNECT_SECONDS} s")
    if error:
        raise error


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """get_file sets no time limit: a stalled download would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _convert(archive: Path, aside: Path) -> Path:
    """CIFAR-10's verified archive as aside/cifar10.npz, with the record of its origin beside it, cifar10.json."""
    source = SOURCES["cifar10"]
    packed = archive.read_bytes()  # once: what is unpickled below is what was verified here
    found = hashlib.sha256(packed).hexdigest()
    if found != source.sha256:
        raise UserError(
            f"dataset cifar10: {archive} has sha256 {found}, expected {source.sha256}; nothing in it was read; "
            f"{_again('cifar10')}"
        )
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        batches = [_batch(tar, name, md5) for name, md5 in CIFAR10_MD5.items()]
    (*x_train, x_test), (*y_train, y_test) = zip(*batches, strict=True)
    arrays = dict(zip(ARRAYS, (np.concatenate(x_train), np.concatenate(y_train), x_test, y_test), strict=True))
    path = aside / "cifar10.npz"
    np.savez(path, **arrays)
    digests = {key: _sha256(array) for key, array in arrays.items()}
    record = {"archive": source.url, "archive_sha256": found, "arrays_sha256": digests}
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def _batch(tar: tarfile.TarFile, name: str, md5: str) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 [N, 32, 32, 3], labels uint8 [N]) of one of the archive's files."""
    pickled = tar.extractfile(f"cifar-10-batches-py/{name}").read()
    found = hashlib.md5(pickled, usedforsecurity=False).hexdigest()
    if found != md5:
        raise UserError(f"dataset cifar10: {name} in the archive has md5 {found}, expected {md5}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 2 wrote it: NumPy 2.4.0 to 2.4.4 remark on a flag given as 0
        batch = pickle.loads(pickled, encoding="bytes")
    images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), np.array(batch[b"labels"], np.uint8)


@lru_cache
def _file_sha256(path: Path, size: int, changed: int) -> str:
    """Asked once per run of a study: the size and the time of change stand for the content within one process."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# --- arrays ---


def _arrays(name: str, download: bool = False) -> dict[str, np.ndarray]:
    """A dataset's arrays by name, as they are stored, checked; y_train and y_test may be absent."""
    if name == "digits":
        return _digits()
    if name == "shapes":
        parts = shapes(BUILT_IN[name].train, seed=0) + shapes(1000, seed=1)
        return dict(zip(ARRAYS, parts, strict=True))
    path = _path(name, download)
    try:
        raw = _read(path)
    except UserError as error:
        raise UserError(f"dataset {name}: {error}; {_again(name)}" if name in SOURCES else error) from None
    if name == "mnist":
        _check_digests(path, raw, MNIST_SHA256)
    if name == "cifar10":
        _check_digests(path, raw, _recorded(path))
    return raw


def _recorded(path: Path) -> dict[str, str]:
    """The digests that were recorded at the conversion. The record is trusted: it guards against damage and mistaken
    files, not against someone who can write into the folder; but even then nothing is unpickled."""
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
        f"{_again('cifar10')}, or use it as a dataset of your own, by its path"
    )


def _check_digests(path: Path, raw: dict[str, np.ndarray], expected: dict[str, str]) -> None:
    for key, digest in expected.items():
        found = _sha256(raw[key]) if key in raw else "none: there is no such array"
        if found != digest:
            raise UserError(
                f"dataset {path.stem}: {path}: {key} is not the published one: sha256 {found}, expected {digest}; "
                f"{_again(path.stem)}"
            )


def _is_mnist(raw: dict[str, np.ndarray]) -> bool:
    return all(key in raw and _sha256(raw[key]) == digest for key, digest in MNIST_SHA256.items())


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


def _digest(arrays: dict[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for key in ARRAYS:
        if key in arrays:
            total.update(f"{key} {arrays[key].dtype.str} {list(arrays[key].shape)}".encode())
            total.update(arrays[key])
    return total.hexdigest()


def _normal(key: str, array: np.ndarray) -> np.ndarray:
    """Images as uint8 [N, H, W, C], labels as int64 [N]."""
    shape = _image_shape(array.shape) if key.startswith("x") else (-1,)
    return np.ascontiguousarray(array.reshape(shape), np.uint8 if key.startswith("x") else np.int64)


def _image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[N, H, W] is [N, H, W, 1]."""
    return shape if len(shape) == 4 else (*shape, 1)


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, checked but for what they show."""
    found = _headers(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            raw = {key: file[key] for key in found}
    except Exception as error:  # a damaged zip raises nearly anything
        raise UserError(f"{path}: is corrupt: {_line(error)}; expected the .npz file that np.savez wrote") from None
    for key in ("y_train", "y_test"):
        if key in raw and not 0 <= raw[key].min() <= raw[key].max() < 1000:
            raise UserError(f"{path}: {key} has {_range(raw[key])}, expected class numbers from 0 to 999")
    return raw


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """(shape, dtype) of a dataset's arrays, read from the .npy headers inside the zip, and checked."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
            found = {key: _npy_header(archive, key) for key in ARRAYS if key in names}
    except Exception as error:  # a damaged zip raises nearly anything
        raise UserError(f"{path}: is no readable .npz file: {_line(error)}; expected what np.savez writes") from None
    for key in FEWEST:
        if key not in found:
            raise UserError(f"{path}: has no array {key!r}, only {names[:8]}{nearest(key, set(names) - set(ARRAYS))}")
        _check_images(path, key, *found[key])
    train, test = (_image_shape(found[key][0])[1:] for key in FEWEST)
    if train != test:
        raise UserError(f"{path}: x_test is of images {list(test)}, expected {list(train)} as in x_train")
    labelled = [part for part in ("train", "test") if f"y_{part}" in found]
    if len(labelled) == 1:
        raise UserError(f"{path}: has only y_{labelled[0]}, expected y_train and y_test, or neither")
    for part in labelled:
        _check_labels(path, f"y_{part}", *found[f"y_{part}"], count=found[f"x_{part}"][0][0])
    return found


def _npy_header(archive: zipfile.ZipFile, key: str) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(f"{key}.npy") as file:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = readers[version](file)
        return shape, dtype


def _check_images(path: Path, key: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if dtype != np.uint8:
        raise UserError(f"{path}: {key} is {dtype}{_shown(path, key, dtype)}, expected uint8, values 0 to 255")
    if len(shape) not in (3, 4):
        raise UserError(f"{path}: {key} is of shape {list(shape)}, expected [N, H, W] or [N, H, W, C]")
    count, high, wide, channels = _image_shape(shape)
    if channels not in (1, 3):
        raise UserError(f"{path}: {key} is of shape {list(shape)}, expected 1 or 3 channels, in the last place")
    if high != wide or high < 4:
        raise UserError(f"{path}: {key} has images of {high}x{wide}, expected square ones, at least 4x4")
    if count < FEWEST[key]:
        raise UserError(f"{path}: {key} has {count} images, expected at least {FEWEST[key]}")


def _check_labels(path: Path, key: str, shape: tuple[int, ...], dtype: np.dtype, count: int) -> None:
    if dtype.kind not in "iu" or shape not in ((count,), (count, 1)):
        raise UserError(f"{path}: {key} is {dtype} of shape {list(shape)}, expected integers [{count}] or [{count}, 1]")


def _shown(path: Path, key: str, dtype: np.dtype) -> str:
    """' (values 0 to 1, 3 NaN or infinite)', or nothing: to tell objects would need unpickling."""
    if dtype.kind not in "fiub":
        return ""
    try:
        with np.load(path, allow_pickle=False) as file:
            return f" ({_range(file[key])})"
    except Exception:  # the error that is about to be raised says enough
        return ""


def _range(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    lost = values.size - finite.size
    text = f"values {finite.min():g} to {finite.max():g}" if finite.size else "no finite value"
    return text + (f", {lost} NaN or infinite" if lost else "")


# --- generated datasets ---


def _digits() -> dict[str, np.ndarray]:
    """scikit-learn's digits, 8x8 with values 0 to 16, enlarged to 24x24 in a frame of zeros: 28x28 as MNIST's are.

    The contrast is raised by 1.6, which gives strokes MNIST's hardness of edge.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.float32) * (255 / 16)
    enlarged = np.stack([Image.fromarray(image).resize((24, 24), Image.Resampling.BICUBIC) for image in images])
    contrasted = np.clip(1.6 * (enlarged - 127.5) + 127.5, 0, 255).round().astype(np.uint8)
    framed = np.pad(contrasted, ((0, 0), (2, 2), (2, 2)))[..., None]
    order = np.random.default_rng(SPLIT_SEED).permutation(len(framed))
    train, test = np.split(order, [BUILT_IN["digits"].train])
    return dict(zip(ARRAYS, (framed[train], labels[train], framed[test], labels[test]), strict=True))


def shapes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Coloured shapes on textured grounds: (images uint8 [count, 32, 32, 3], labels int64 [count], 0 to 9).

    Place, size, turn, colours, texture and light are random; every ten images in a row show all ten SHAPES. The first
    images of a seed are the same for any count. All is computed in float64, so that what a machine's cosine does in
    its last bit does not change a pixel.
    """
    uniforms, blocks, grains = (np.random.default_rng([seed, stream]) for stream in range(3))
    u = uniforms.random((count, 21))
    labels = blocks.random((-(-count // 10), 10)).argsort(axis=1).ravel()[:count]
    images = np.empty((count, 32, 32, 3), np.uint8)
    for start in range(0, count, 250):  # some at a time: memory stays small for any count
        some = slice(start, start + 250)
        images[some] = _draw(labels[some], u[some, :, None, None], grains)
    return images, labels


def _draw(labels: np.ndarray, u: np.ndarray, grains: np.random.Generator) -> np.ndarray:
    """uint8 [n, 32, 32, 3] of labels [n] and uniform numbers u, [n, 21, 1, 1]."""
    middle = (np.arange(32) + 0.5) / 16 - 1
    y, x = middle[:, None], middle[None, :]
    size, turn = 0.5 + 0.25 * u[:, 0], 0.8 * (u[:, 3] - 0.5)
    dx, dy = (at - (0.9 - size) * (2 * u[:, k] - 1) for at, k in ((x, 1), (y, 2)))
    own_x, own_y = (np.cos(turn) * dx + np.sin(turn) * dy) / size, (np.cos(turn) * dy - np.sin(turn) * dx) / size
    distance = np.empty(own_x.shape)
    for label, shape in enumerate(SHAPES):
        these = labels == label
        distance[these] = _distance(shape, own_x[these], own_y[these])
    cover = np.clip(0.5 - 16 * size * distance, 0, 1)[..., None]  # one pixel of anti-aliasing

    night = u[:, 4] < 0.5  # a bright shape on a dark ground, or the reverse
    ground = _colour(u[:, 5], 0.2 + 0.5 * u[:, 6], np.where(night, 0.15 + 0.25 * u[:, 7], 0.75 + 0.15 * u[:, 7]))
    ink = _colour(u[:, 5] + 0.3 + 0.4 * u[:, 8], 0.5 + 0.4 * u[:, 9], np.where(night, 0.75, 0.2) + 0.2 * u[:, 10])
    waves = sum(np.cos((3 + 9 * u[:, k]) * _along(u[:, k + 1], x, y) + 2 * np.pi * u[:, k + 2]) for k in (11, 14, 17))
    grain = grains.random((len(labels), 32, 32)) - 0.5
    texture = (1 + 0.09 * waves + 0.12 * grain)[..., None]
    light = (1 + 0.15 * _along(u[:, 20], x, y))[..., None]
    image = cover * ink * light + (1 - cover) * ground * texture
    return np.clip(255 * image + 0.5, 0, 255).astype(np.uint8)


def _along(turn: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The coordinate in a direction, given in whole turns."""
    return np.cos(2 * np.pi * turn) * x + np.sin(2 * np.pi * turn) * y


def _colour(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """RGB, 0 to 1, in a new last axis; hue in whole turns."""
    rgb = 0.5 + 0.5 * np.cos(2 * np.pi * (hue[..., None] + np.arange(3) / 3))
    return value[..., None] * (1 - saturation[..., None] * (1 - rgb))


def _distance(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance to a shape about as large as the unit disc: negative inside; y points down."""
    radius, a, b = np.hypot(x, y), np.abs(x), np.abs(y)
    match shape:
        case "disc":
            return radius - 0.9
        case "ring":
            return np.abs(radius - 0.75) - 0.22
        case "crescent":
            return np.maximum(radius - 0.95, 0.75 - np.hypot(x - 0.45, y))
        case "square":
            return np.maximum(a, b) - 0.8
        case "triangle":
            return np.maximum(0.8 * a - 0.55 * y - 0.45, y - 0.75)
        case "star":
            fold = np.abs((np.arctan2(x, -y) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)  # angle to the nearest tip
            return radius * np.cos(fold - 1.05) - 0.48
        case "cross":
            return np.maximum(np.maximum(a, b) - 0.95, np.minimum(a, b) - 0.28)
        case "bar":
            return np.hypot(x, np.maximum(b - 0.7, 0)) - 0.28
        case "heart":
            lobe = np.hypot(a - 0.45, y + 0.35) - 0.5
            wedge = np.maximum(np.maximum(a + y - 0.807, a - y - 0.8) / np.sqrt(2), -0.35 - y)
            return np.minimum(lobe, wedge)
        case "stripes":
            return np.maximum(np.minimum(np.abs(b - 0.68), b) - 0.17, a - 0.9)
