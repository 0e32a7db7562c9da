"""What the contestants have in common: each is a process that runs a number of training steps whenever it is told to.

A contestant reads its case (JSON) from its command line, sets itself up, and reports how long that took as one line of
JSON on stdout. For each line on stdin, it runs the case's steps and reports the seconds. In this way, all contestants
of a case are ready at the same time, and each can be timed in turn while the others sleep.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable

STARTED = time.perf_counter()
CRITIC_STEPS = 5  # of a WGAN, per generator step
LEAK, DROPOUT, PENALTY = 0.2, 0.3, 10.0


class Case(dict):
    """model, network, dataset, latent_dim, width, batch, threads and steps, as attributes."""

    __getattr__ = dict.__getitem__

    @property
    def shape(self) -> tuple[int, int, int]:
        return {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}[self.dataset]

    @property
    def images_a_step(self) -> int:
        """The images of one training step: for a WGAN, CRITIC_STEPS minibatches and one step of the generator."""
        return self.batch * (CRITIC_STEPS if self.model == "wgan" else 1)

    def images(self):
        """As many images as the steps take, uint8 [N, H, W, C]. They are noise, which costs the same arithmetic."""
        import numpy as np  # only after the number of threads is set

        return np.random.default_rng(0).integers(0, 256, (self.steps * self.images_a_step, *self.shape), np.uint8)


def case() -> Case:
    """The command line's, with the numbers of threads set for the libraries that will be imported."""
    found = Case(json.loads(sys.argv[1]))
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(found.threads)
    if found.threads == 1:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # JAX has no setting
    return found


def serve(imported: float, epoch: Callable) -> None:
    """Runs the protocol.

    Args:
        imported: when the imports had ended, by time.perf_counter.
        epoch: runs the case's steps to their end; its first run also builds and compiles.
    """
    epoch()
    _say(import_seconds=imported - STARTED, ready_seconds=time.perf_counter() - STARTED, peak_mib=_peak())
    for _ in sys.stdin:
        start = time.perf_counter()
        epoch()
        _say(seconds=time.perf_counter() - start, peak_mib=_peak())


def _say(**words) -> None:
    print(json.dumps(words), file=replies, flush=True)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


replies = os.fdopen(os.dup(1), "w")  # kept apart from whatever a library prints
os.dup2(2, 1)
