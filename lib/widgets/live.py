"""A training as it goes on."""

import signal
import threading
import time
from html import escape
from pathlib import Path

import ipywidgets
from IPython.display import display

from lib import figures
from lib.backend import keras
from lib.notebooks import ROOT
from lib.scores.drawing import decode, latents
from lib.scores.evaluation import GRID
from lib.training import OneLineAnEpoch
from lib.widgets import controls


def progress(run) -> keras.callbacks.Callback:
    """A callback that shows how training goes: live curves and a bar in JupyterLab, one line an epoch in batch.

    Args:
        run: the `runs.Run` whose log.txt gets the lines in either case.
    """
    return LiveProgress(run) if controls.interactive() else OneLineAnEpoch(run.log)


class LiveProgress(OneLineAnEpoch):
    """A bar with the remaining time, and the curves and the fixed-latent gallery, drawn anew after an epoch.

    All are widgets: after a reload of its page JupyterLab drops what else a cell has put out, but brings back a widget
    of a saved notebook as soon as the kernel has time, with what it shows by then.

    An interrupt (the kernel's stop button) ends the training after the epoch that is being trained, and what was learnt
    is kept: the run is recorded with the number of epochs completed. A second one stops at once.
    """

    def __init__(self, run, pause: float = 2.0):
        super().__init__(self._say)
        self.run, self.pause = run, pause
        self.history, self.epoch, self.drawn, self.interrupted, self.before = {}, 0, 0.0, False, None

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.bar, self.curves, self.images = ipywidgets.HTML(), controls.Picture(), controls.Picture()
        self._show("the first epoch includes compiling")
        display(controls.column(self.bar, controls.row(self.curves, self.images)))
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._interrupt)

    def _say(self, line: str) -> None:
        self.run.log(line, show=False)
        self._show(line)

    def _show(self, words: str) -> None:
        """Puts words beside the bar, and below what a reader needs to know whose page was reloaded."""
        log, folder = (escape(_short(path)) for path in (self.run.partial / "log.txt", self.run.folder))
        self.bar.value = (
            f'<progress max="{self.params["epochs"]}" value="{self.epoch}" aria-label="Training"></progress> '
            f"{escape(words)}<br>Reloading this page does not stop the training. Its log is <code>{log}</code>; "
            f"the record cell moves the run, with its log, to <code>{folder}</code>."
        )

    def _interrupt(self, number, frame):
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        self._show("stopping after this epoch")

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.epoch = epoch + 1
        super().on_epoch_end(epoch, logs)
        last = self.epoch == self.params["epochs"]
        if self.interrupted and not last:
            self.model.stop_training = last = True
            self._say(f"interrupted after {self.epoch} of {self.params['epochs']} epochs; what was learnt is kept")
        if last or time.perf_counter() - self.drawn > self.pause:
            self._draw()

    def _draw(self) -> None:
        self.curves.draw(figures.training(self.history, self.model.description))
        images = decode(self.model, latents(GRID, self.model.latent_dim))
        self.images.draw(figures.gallery(images, 6), 320)
        self.drawn = time.perf_counter()

    def on_train_end(self, logs=None):
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)


def _short(path: Path) -> str:
    """A path as JupyterLab shows it, when it is started at the repository."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
