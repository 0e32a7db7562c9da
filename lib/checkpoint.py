"""Checkpoints inside a run: all that a killed training needs to go on as if nothing had happened."""

import os
import time

import numpy as np

from lib import runs
from lib.backend import keras
from lib.errors import UserError


def _pause() -> float:
    text = os.environ.get("LATENT_REPORT_CHECKPOINT_SECONDS", "60")
    if not text.isdigit():
        raise UserError(f"LATENT_REPORT_CHECKPOINT_SECONDS = {text!r}: expected a whole number of seconds")
    return float(text)


class Checkpoint(keras.callbacks.Callback):
    """Keeps a training on disk after an epoch, at most once in `pause` seconds, and says how far it is.

    Args:
        run: the `runs.Run` whose partial folder holds the checkpoint. Only one of the run's own training key counts.
        snapshots: the `evaluation.Snapshots` of the same `fit()`; they are kept and restored too.
        pause: by default a minute, or $LATENT_REPORT_CHECKPOINT_SECONDS.
    """

    def __init__(self, run, snapshots, pause: float | None = None):
        super().__init__()
        if pause is None:
            pause = _pause()
        self.run, self.snapshots, self.pause = run, snapshots, pause
        self.history: dict[str, list[float]] = {}

    def restore(self, model) -> int:
        """Puts a compiled model, the run's log and the snapshots where the checkpoint left them.

        Returns:
            The number of epochs that are done: 0 when there is nothing to go on from.
        """
        self.history, self.start = {}, time.perf_counter()
        variables = model.variables_of_training()
        found = runs.read_checkpoint(self.run.partial, self.run.key)
        for name in ("fit", "first_step"):
            self.run.seconds.pop(name, None)
        if not found:
            self.run.continued = []
            self.run.begin_log()
            self.snapshots.epochs, self.snapshots.images = [], []
            self.begin(model, 0)
            return 0
        facts, arrays = found
        for number, variable in enumerate(variables):
            variable.assign(arrays[f"variable_{number}"])
        self.snapshots.epochs, self.snapshots.images = arrays["grid_epochs"].tolist(), list(arrays["grids"])
        self.history = facts["history"]
        self.run.seconds["fit"] = facts["seconds"]
        self.run.continued = [*facts["continued"], facts["epoch"]]
        self.run.begin_log(facts["log"])
        self.run.log(f"continuing after epoch {facts['epoch']}")
        self.begin(model, facts["epoch"])
        return facts["epoch"]

    def begin(self, model, epoch: int) -> None:
        """Starts the clocks; `epoch` are already done."""
        self.first, self.first_step, self.start = epoch, model.steps_taken, time.perf_counter()
        self.kept = self.said = self.start

    def on_train_batch_end(self, batch, logs=None):
        # a part of "fit": tracing and compiling, and the first steps, which one call takes together
        self.run.seconds.setdefault("first_step", time.perf_counter() - self.start)

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        done, now = epoch + 1, time.perf_counter()
        if now - self.said > 1 or done == self.params["epochs"]:
            self.said = now
            self.run.say("fit", **self.speed(done, now))
        if now - self.kept >= self.pause:
            self.keep(done, now)
            self.kept = time.perf_counter()

    def speed(self, done: int, now: float) -> dict:
        """Epochs done and in all, images a second and seconds left, at the pace of this process."""
        epochs, seconds, here = self.params["epochs"], now - self.start, done - self.first
        images = (self.model.steps_taken - self.first_step) * self.model.images_a_step(self.run.settings)
        return {
            "epoch": done,
            "epochs": epochs,
            "images_per_second": round(images / seconds, 1),
            "seconds_left": round(seconds / here * (epochs - done), 1),
        }

    def keep(self, epoch: int, now: float) -> None:
        arrays = {
            f"variable_{number}": np.asarray(variable)
            for number, variable in enumerate(self.model.variables_of_training())
        }
        grids = np.stack(self.snapshots.images) if self.snapshots.images else np.empty((0,), np.uint8)
        facts = {
            "key": self.run.key,
            "epoch": epoch,
            "history": self.history,
            "seconds": self.run.seconds.get("fit", 0.0) + now - self.start,
            "continued": self.run.continued,
            "log": "".join(f"{line}\n" for line in self.run.lines),
        }
        runs.write_checkpoint(
            self.run.partial, facts, {**arrays, "grid_epochs": np.array(self.snapshots.epochs, int), "grids": grids}
        )
