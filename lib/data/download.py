"""How the files of MNIST and CIFAR-10 come to this machine: found, downloaded, verified, converted.

No pickle is ever loaded from an archive that has not been verified.
"""

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

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


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
}
CIFAR10_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}


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
        f"or put {source.file} there, or use the dataset {source.offline!r}, which needs no network"
    )


def again(name: str) -> str:
    """Says how a spoilt file is replaced."""
    return f"delete the file and run `latent-report data fetch {name}`"


def fetch(name: str, progress: bool = True) -> Path:
    """The file of `mnist` or `cifar10`, downloaded if it is not there.

    One that is there is left as it is (`verify` checks it). CIFAR-10's archive is converted; one that was put into
    the folder by hand saves the download, and stays.

    Args:
        name: "mnist" or "cifar10".
        progress: whether to count the megabytes of a download.

    Raises:
        UserError: nothing to fetch under this name, no network, a corrupt download (nothing of it is kept), no
            permission to write.
    """
    if name not in SOURCES:
        only = f"only {' and '.join(SOURCES)} are fetched{nearest(name, SOURCES)}"
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
            by_hand = home / SOURCES[name].file
            source = by_hand if by_hand.is_file() else _download(name, aside, progress)
            if name == "cifar10":
                record = path.with_suffix(".json")
                if not files.is_ours(record, b'"arrays_sha256"'):
                    raise UserError(f"dataset {name}: {record} is none of ours and would be lost: move it away")
                source = _convert(source, aside)
                os.replace(source.with_suffix(".json"), path.with_suffix(".json"))
            os.replace(source, path)
    except OSError as error:
        raise UserError(
            f"dataset {name}: cannot be stored in {home}: {in_one_line(error)}; set LATENT_REPORT_DATA"
        ) from None
    return path


def _download(name: str, aside: Path, progress: bool) -> Path:
    """The published file in the folder `aside`, its sha256 checked."""
    source, digest = SOURCES[name], hashlib.sha256()
    path = aside / source.file
    print(f"downloading {name} ({source.megabytes} MB) from {source.url} to {folder()}", flush=True)
    try:
        with _opened(source.url) as answer, path.open("wb") as file:
            while block := answer.read(2**20):
                file.write(block)
                digest.update(block)
                print(f"\r{file.tell() / 1e6:.0f} MB" if progress else "", end="", flush=True)
        print(end="\n" if progress else "")
        if digest.hexdigest() != source.sha256:
            raise UserError(f"it has sha256 {digest.hexdigest()}, expected {source.sha256}")
    except Exception as error:
        failed = f"the download from {source.url} failed: {in_one_line(error)} (nothing was kept)"
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


def _convert(archive: Path, aside: Path) -> Path:
    """CIFAR-10's verified archive as aside/cifar10.npz, with the record of its origin beside it, cifar10.json."""
    source = SOURCES["cifar10"]
    packed = archive.read_bytes()  # once: what is unpickled below is what was verified here
    found = hashlib.sha256(packed).hexdigest()
    if found != source.sha256:
        raise UserError(
            f"dataset cifar10: {archive} has sha256 {found}, expected {source.sha256}; nothing in it was read; "
            f"{again('cifar10')}"
        )
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        batches = [_batch(tar, name, md5) for name, md5 in CIFAR10_MD5.items()]
    (*x_train, x_test), (*y_train, y_test) = zip(*batches, strict=True)
    arrays = dict(zip(ARRAYS, (np.concatenate(x_train), np.concatenate(y_train), x_test, y_test), strict=True))
    path = aside / "cifar10.npz"
    np.savez(path, **arrays)
    digests = {key: array_sha256(array) for key, array in arrays.items()}
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


def array_sha256(array: np.ndarray) -> str:
    """sha256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()
