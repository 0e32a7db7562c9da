"""How the files of the published datasets come to this machine: found, downloaded, verified, converted.

No pickle is ever loaded from an archive that has not been verified.
"""

import gzip
import hashlib
import io
import json
import os
import pickle
import queue
import tarfile
import tempfile
import threading
import urllib.request
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import platformdirs

from lib import files
from lib.data.npz import ARRAYS
from lib.errors import UserError, in_one_line, nearest

CONNECT_SECONDS = 10


class Source(NamedTuple):
    """Where a dataset's file is published, its sha256, its size in MB, and the dataset that can stand in for it."""

    url: str
    sha256: str
    megabytes: int
    offline: str  # needs no network and fits the same notebooks
    beside: tuple[tuple[str, str], ...] = ()  # further files at the same place, and their sha256

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of all files by name."""
        return {self.file: self.sha256, **dict(self.beside)}


SOURCES = {  # as in keras.datasets
    "mnist": Source(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        11,
        offline="digits",
    ),
    "cifar10": Source(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        170,
        offline="shapes",
    ),
    "fashion_mnist": Source(  # Keras has no digests for it; these are those of tensorflow_datasets
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/train-images-idx3-ubyte.gz",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        31,
        offline="digits",
        beside=(
            ("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            ("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
    "cifar100": Source(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        169,
        offline="shapes",
    ),
}
CIFAR10_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CIFAR100_MD5 = {"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"}


def folder() -> Path:
    """Where the downloaded datasets lie: $LATENT_REPORT_DATA, by default a folder in the user's cache.

    Raises:
        UserError: there is no home folder to find it by.
    """
    chosen = os.environ.get("LATENT_REPORT_DATA")
    try:
        return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("latent-report")
    except RuntimeError as error:  # no HOME, and no entry in the list of users, as in some containers
        raise UserError(f"no place for datasets: {in_one_line(error)}; set LATENT_REPORT_DATA") from None


def missing(name: str) -> str:
    """Says that a dataset's file is not there, and what can be done."""
    source = SOURCES[name]
    return (
        f"dataset {name}: {name}.npz is not in {folder()}; fetch it with `latent-report data fetch {name}`, "
        f"or put {', '.join(source.files)} there, or use the dataset {source.offline!r}, which needs no network"
    )


def again(name: str) -> str:
    """Says how a spoilt file is replaced."""
    return f"delete the file and run `latent-report data fetch {name}`"


def by_hand(name: str) -> dict[str, Path]:
    """The published files that somebody put into the folder."""
    return {file: path for file in SOURCES[name].files if (path := folder() / file).is_file()}


def fetch(name: str, progress: bool = True) -> Path:
    """The .npz file of a published dataset, downloaded if it is not there.

    One that is there is left as it is (`verify` checks it). Other archives than MNIST's are converted; those that were
    put into the folder by hand save the download, and stay.

    Args:
        name: one of SOURCES.
        progress: whether to count the megabytes of a download.

    Raises:
        UserError: nothing to fetch under this name, no network, a corrupt download (nothing of it is kept), no
            permission to write.
    """
    if name not in SOURCES:
        *some, last = SOURCES
        only = f"only {', '.join(some)} and {last} are fetched{nearest(name, SOURCES)}"
        raise UserError(f"dataset {name!r}: {only}; others are made here, or are files of your own")
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
            here = by_hand(name)
            found = [here.get(file) or _download(name, file, aside, progress) for file in SOURCES[name].files]
            source = found[0]
            if name != "mnist":
                record = path.with_suffix(".json")
                if not files.is_ours(record, b'"arrays_sha256"'):
                    raise UserError(f"dataset {name}: {record} is none of ours and would be lost: move it away")
                source = _convert(name, found, aside)
                os.replace(source.with_suffix(".json"), path.with_suffix(".json"))
            os.replace(source, path)
    except OSError as error:
        raise UserError(
            f"dataset {name}: cannot be stored in {home}: {in_one_line(error)}; set LATENT_REPORT_DATA"
        ) from None
    return path


def _download(name: str, file: str, aside: Path, progress: bool) -> Path:
    """A published file in the folder `aside`, its sha256 checked."""
    source, digest, path = SOURCES[name], hashlib.sha256(), aside / file
    url = source.url.removesuffix(source.file) + file
    part = f"{file} of " * bool(source.beside)
    print(f"downloading {part}{name} ({source.megabytes} MB) from {url} to {folder()}", flush=True)
    try:
        with _opened(url) as answer, path.open("wb") as stored:
            while block := answer.read(2**20):
                stored.write(block)
                digest.update(block)
                print(f"\r{stored.tell() / 1e6:.0f} MB" if progress else "", end="", flush=True)
        print(end="\n" if progress else "")
        if digest.hexdigest() != source.files[file]:
            raise UserError(f"it has sha256 {digest.hexdigest()}, expected {source.files[file]}")
    except Exception as error:
        failed = f"the download from {url} failed: {in_one_line(error)} (nothing was kept)"
        raise UserError(f"{missing(name)}; {failed}") from None
    return path


def _opened(url: str) -> BinaryIO:
    """Raises soon if the network does not answer: a host's many addresses, each with its own time limit, add up."""
    outcome = queue.SimpleQueue()

    def attempt():
        try:
            outcome.put(urllib.request.urlopen(url, timeout=3 * CONNECT_SECONDS))  # the limit of every later read too
        except Exception as error:
            outcome.put(error)

    threading.Thread(target=attempt, daemon=True).start()
    try:
        answer = outcome.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer in {CONNECT_SECONDS} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _convert(name: str, archives: list[Path], aside: Path) -> Path:
    """Verified archives as aside/<name>.npz, with the record of its origin beside it, <name>.json."""
    source = SOURCES[name]
    packed = [_verified(name, archive) for archive in archives]
    parts = map(_idx, packed) if name == "fashion_mnist" else _cifar(name, *packed)
    arrays = dict(zip(ARRAYS, parts, strict=True))
    path = aside / f"{name}.npz"
    np.savez(path, **arrays)
    record = {
        "archive": source.url,
        "archive_sha256": source.sha256,
        "arrays_sha256": {key: array_sha256(array) for key, array in arrays.items()},
        "npz_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def _verified(name: str, archive: Path) -> bytes:
    """An archive's bytes, read once: what is unpacked later is what is verified here."""
    packed, expected = archive.read_bytes(), SOURCES[name].files[archive.name]
    if (found := hashlib.sha256(packed).hexdigest()) != expected:
        words = f"{archive} has sha256 {found}, expected {expected}; nothing in it was read"
        raise UserError(f"dataset {name}: {words}; {again(name)}")
    return packed


def _idx(packed: bytes) -> np.ndarray:
    """The uint8 array of a gzipped file in MNIST's format: two zeros, the type, the number of sides, the sides."""
    raw = gzip.decompress(packed)
    sides = np.frombuffer(raw, ">u4", raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(sides)


def _cifar(name: str, packed: bytes) -> tuple[np.ndarray, ...]:
    """Images and labels of CIFAR-10's or CIFAR-100's archive, whose last file holds the test images."""
    inside, known = ("cifar-10-batches-py", CIFAR10_MD5) if name == "cifar10" else ("cifar-100-python", CIFAR100_MD5)
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        files = {file: tar.extractfile(f"{inside}/{file}").read() for file in known}
    for file, md5 in known.items():
        if (found := hashlib.md5(files[file], usedforsecurity=False).hexdigest()) != md5:
            raise UserError(f"dataset {name}: {file} in the archive has md5 {found}, expected {md5}")
    (*x_train, x_test), (*y_train, y_test) = zip(*map(_batch, files.values()), strict=True)
    return np.concatenate(x_train), np.concatenate(y_train), x_test, y_test


def _batch(pickled: bytes) -> tuple[np.ndarray, np.ndarray]:
    """(images uint8 [N, 32, 32, 3], labels uint8 [N]) of one verified file; of CIFAR-100 the 100 fine classes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 2 wrote it: NumPy 2.4.0 to 2.4.4 remark on a flag given as 0
        batch = pickle.loads(pickled, encoding="bytes")
    images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    labels = batch[b"labels"] if b"labels" in batch else batch[b"fine_labels"]
    return np.ascontiguousarray(images), np.array(labels, np.uint8)


def array_sha256(array: np.ndarray) -> str:
    """sha256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
