"""A Dask cluster that somebody else has started, as an Executor; checked before anything runs on it."""

import os
from collections import defaultdict
from contextlib import contextmanager

from lib import data, keys, runs
from lib.settings import UserError
from lib.study.plan import Study
from lib.study.worker import Lease

CONNECT_SECONDS = 20


@contextmanager
def connected(address: str, study: Study, lease: Lease):
    """Yields (Executor, runs side by side, threads of each, the errors that the scheduler does not try again after).

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
    with client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise UserError(f"--scheduler {address}: has no workers: start some with `dask worker {address}`")
        names = sorted({run.settings.dataset for run in study.runs})
        try:
            found = client.run(look, lease, names)
        except ModuleNotFoundError as error:
            raise UserError(f"--scheduler {address}: workers cannot import {error.name}: install it there") from None
        except (ImportError, AttributeError) as error:  # an older lib, or another package of that name
            raise UserError(f"--scheduler {address}: workers import another lib: {error}") from None
        _compare(found, {**look(lease, names), "sees": True})
        slots = defaultdict(int)
        for name, worker in workers.items():
            slots[found[name]["host"]] += worker["nthreads"]
        threads = min(max(1, seen["cores"] // slots[seen["host"]]) for seen in found.values())
        with client.get_executor(pure=False, retries=0) as executor:
            yield executor, sum(slots.values()), threads, (KilledWorker,)


def look(lease: Lease, datasets: list[str]) -> dict:
    """What a machine sees of the study, and has of what shapes the numbers."""
    fingerprints = {}
    for name in datasets:
        try:
            fingerprints[name] = data.fingerprint(name)
        except UserError as error:
            fingerprints[name] = str(error)
    return {
        "host": runs.HOST,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "sees": lease.held(),
        "folder": str(lease.path.parent),
        "sources": keys.every_source(),
        "versions": keys.versions(),
        "data": fingerprints,
    }


def _compare(found: dict[str, dict], here: dict) -> None:
    for address, there in found.items():
        where = f"worker {address} on {there['host']}"
        if not there["sees"]:
            raise UserError(
                f"{where}: does not see {here['folder']}; a file system that all share is needed, use --out"
            )
        for part in ("sources", "versions", "data"):
            if differs := keys.difference(here[part], there[part]):
                raise UserError(f"{where}: its {part} differ from this machine's: {differs}")
