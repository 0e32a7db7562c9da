"""A Dask cluster that somebody else has started, as a crew; checked before anything runs on it."""

import functools
import os
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

from lib import data
from lib.errors import UserError
from lib.runs import keys, locks
from lib.study.engine import Crew, cores
from lib.study.plan import Study

CONNECT_SECONDS = 20


@contextmanager
def connected(address: str, study: Study):
    """Yields the crew of a cluster's workers.

    They work for as long as a lock in the study's folder is held: that ends with this process, however it ends.

    Args:
        address: of the scheduler, such as tcp://host:8786.

    Raises:
        UserError: no scheduler there, no workers, or workers that would not compute the same: another file system,
            another lib, other versions, other data.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UserError("--scheduler: Dask is not installed: pip install -e '.[cluster]'") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"--scheduler {address}: cannot be reached ({cause}); expected tcp://HOST:PORT") from None
    with client, _lock(study.folder) as lock:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise UserError(f"--scheduler {address}: has no workers: start some with `dask worker {address}`")
        names = sorted({run.settings.dataset for run in study.runs})
        wanted = functools.partial(locks.held, Path(lock.lock_file))
        try:
            found = client.run(look, wanted, names)
        except ModuleNotFoundError as error:
            raise UserError(f"--scheduler {address}: workers cannot import {error.name}: install it there") from None
        except (ImportError, AttributeError) as error:  # an older lib, or another package of that name
            raise UserError(f"--scheduler {address}: workers import another lib: {error}") from None
        _compare(found, look(wanted, names), study.folder)
        slots = defaultdict(int)
        for name, worker in workers.items():
            slots[found[name]["host"]] += worker["nthreads"]
        threads = min(max(1, seen["cores"] // slots[seen["host"]]) for seen in found.values())
        with client.get_executor(pure=False, retries=0) as executor:
            yield Crew(executor, sum(slots.values()), threads, wanted, lambda: locks.give_back(lock), (KilledWorker,))


@contextmanager
def _lock(folder: Path):
    handle, name = tempfile.mkstemp(prefix=".cluster-", dir=folder)
    os.close(handle)
    lock = locks.acquire(Path(name))
    try:
        yield lock
    finally:
        locks.give_back(lock)


def look(wanted, datasets: list[str]) -> dict:
    """What a machine sees of the study, and has of what shapes the numbers.

    Args:
        wanted: whether the runs are, as `job.watch` asks.
    """
    fingerprints = {}
    for name in datasets:
        try:
            fingerprints[name] = data.fingerprint(name)
        except UserError as error:
            fingerprints[name] = str(error)
    found = {"sources": keys.every_source(), "versions": keys.versions(), "data": fingerprints}
    return {"host": locks.HOST, "cores": cores(), "sees": wanted(), "compared": found}


def _compare(found: dict[str, dict], here: dict, folder: Path) -> None:
    for address, there in found.items():
        where = f"worker {address} on {there['host']}"
        if not there["sees"]:
            raise UserError(
                f"{where}: does not see {folder} and its locks; a file system that all share is needed, use --out"
            )
        for part, ours in here["compared"].items():
            if differs := keys.difference(ours, there["compared"][part]):
                raise UserError(f"{where}: its {part} differ from this machine's: {differs}")
