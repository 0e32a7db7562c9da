"""Looking at a model in a notebook: live progress of its training, its numbers, and widgets to move in its latents.

In batch (papermill) and in HTML there is no one to move a slider: there each function shows one picture of the same
kind, drawn by the same `figures`.
"""

import itertools
import os
import signal
import threading
import time
from html import escape
from pathlib import Path

import numpy as np
from IPython.display import Markdown, display

from lib import figures, rounding, runs
from lib.backend import keras
from lib.models import build
from lib.scores import evaluation
from lib.settings import check, parameters
from lib.training import OneLineAnEpoch

SLIDERS = 10  # at most: of the first latents


def interactive() -> bool:
    """Whether somebody sits in front of the notebook: JupyterLab sets this variable, papermill does not."""
    return "JPY_SESSION_NAME" in os.environ


def progress(run) -> keras.callbacks.Callback:
    """A callback that shows how training goes: live curves and a bar in JupyterLab, one line an epoch in batch.

    Args:
        run: the `runs.Run` whose log.txt gets the lines in either case.
    """
    return LiveProgress(run) if interactive() else OneLineAnEpoch(run.log)


class LiveProgress(OneLineAnEpoch):
    """A bar with the remaining time, and the curves and the fixed-latent gallery, drawn anew after an epoch.

    All are widgets: JupyterLab drops what a cell puts out after its page was reloaded, but brings back a widget of a
    saved notebook as soon as the kernel has time, with what it shows by then.

    An interrupt (the kernel's stop button) ends the training after the epoch that is being trained, and what was learnt
    is kept: the run is recorded with the number of epochs completed. A second one stops at once.
    """

    def __init__(self, run, pause: float = 2.0):
        super().__init__(self._say)
        self.run, self.model_name, self.pause = run, run.settings.model, pause
        self.history, self.epoch, self.drawn, self.interrupted, self.before = {}, 0, 0.0, False, None

    def on_train_begin(self, logs=None):
        import ipywidgets

        from lib.controls import Picture, column, row

        super().on_train_begin(logs)
        self.bar, self.curves, self.images = ipywidgets.HTML(), Picture(), Picture()
        self._show("the first epoch includes compiling")
        display(column(self.bar, row(self.curves, self.images)))
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._interrupt)

    def _say(self, line: str) -> None:
        self.run.log(line, show=False)
        self._show(line)

    def _show(self, words: str) -> None:
        self.bar.value = (
            f'<progress max="{self.params["epochs"]}" value="{self.epoch}" '
            f'aria-label="Training"></progress> {escape(words)}<br>{self._where()}'
        )

    def _where(self) -> str:
        """What a reader needs to know whose page was reloaded."""
        log, folder = (escape(_short(path)) for path in (self.run.partial / "log.txt", self.run.folder))
        return (
            f"Reloading this page does not stop the training. Its log is <code>{log}</code>; "
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
        z = evaluation.latents(evaluation.GRID, self.model.latent_dim)
        self.curves.draw(figures.training(self.history, self.model_name))
        self.images.draw(figures.gallery(evaluation.decode(self.model, z), 6), 320)
        self.drawn = time.perf_counter()

    def on_train_end(self, logs=None):
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)


def _short(path: Path) -> str:
    """A path as JupyterLab shows it, when it is started at the repository."""
    return str(path.relative_to(runs.ROOT) if path.is_relative_to(runs.ROOT) else path)


# ---- tables --------------------------------------------------------------------------------------


def table(head: list[str], rows: list[list], numbers: int = 0) -> str:
    """A table of Markdown; the last `numbers` columns are aligned at their right."""
    texts = len(head) - numbers
    lines = [head, [":---"] * texts + ["---:"] * numbers, *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def layers(facts: dict) -> Markdown:
    """The layer table of each network, from `networks.facts`."""
    parts = []
    for name, rows in facts["layers"].items():
        body = [[row["layer"], row["kind"], row["output"], f"{row['parameters']:,}"] for row in rows]
        total = ["**total**", "", "", f"**{facts['parameters'][name]:,}**"]
        parts.append(f"**{name}**\n\n" + table(["layer", "kind", "output", "parameters"], [*body, total], 1))
    return Markdown("\n\n".join(parts))


def numbers(found: dict) -> Markdown:
    """Every metric beside its references, from `evaluation.evaluate`."""
    return Markdown(scores({"this run": found}))


REFERENCES = ("real", "blurred", "noisy", "mean_image", "class_removed", "pixel_entropy")  # of no single run


def scores(found: dict[str, dict]) -> str:
    """The numbers of runs on one dataset side by side, with their references behind them, as a table of Markdown.

    Args:
        found: what `evaluation.evaluate` says, or a result.json, by the words above the run's column.
    """
    every = list(found.values())
    marks = {}
    for one in every:
        for name in (*one["metrics"], *one.get("absent", {})):
            marks.setdefault(name, {}).update(one["references"].get(name, {}))
    wanted = (*REFERENCES, "untrained") if len(every) == 1 else REFERENCES
    shown = [which for which in wanted if any(which in values for values in marks.values())]
    head = ["number", *found, *(which.replace("_", " ") for which in shown), "images"]
    rows = [_score_row(name, every, [values.get(which) for which in shown]) for name, values in marks.items()]
    return "\n\n".join([table(head, rows, len(head) - 1), *_remarks(found)])


def _score_row(name: str, every: list[dict], marks: list) -> list[str]:
    """One number of each run, of the references, and how many images it is of; all share their decimals."""
    values = [*(one["metrics"].get(name) for one in every), *marks]
    lacking = ["–" if name in one.get("absent", {}) else "" for one in every] + [""] * len(marks)
    texts = [
        lack if value is None else text
        for text, value, lack in zip(rounding.column(values), values, lacking, strict=True)
    ]
    images = max(one["samples_n"].get(name, 0) for one in every)
    bold = [f"**{text}**" if text else "" for text in texts[: len(every)]]
    return [f"`{name}`", *bold, *texts[len(every) :], f"{images:,}" if images else ""]


def _remarks(found: dict[str, dict]) -> list[str]:
    """What a reader of `scores` needs to know beside the numbers."""
    lines = ["The columns after the runs are references: the same estimator on other images."]
    card = next(iter(found.values()))["scorecard"]
    if card["classifier_accuracy"]:
        lines[0] += (
            f" The classifier behind the scores recognises {card['classifier_accuracy']:.1%} of "
            f"{card['classifier_test_n']:,} test images correctly; `ndb` counts bins out of {card['bins']}."
        )
    for which, one in found.items():
        if any(name.startswith("emd_") and value < 0 for name, value in one["metrics"].items()):
            lines.append(f"**A negative EMD estimate ({which}): the critic has failed, and it is meaningless.**")
        lines += [f"`{name}` ({which}): none; {reason}." for name, reason in one.get("absent", {}).items()]
    return lines


# ---- finished runs -------------------------------------------------------------------------------


def opened(folder: Path):
    """The trained model of a finished run; a judge whose network is not there stays untrained, as it draws nothing.

    Raises:
        ValueError: a saved network is not one of these settings, or holds code (a Lambda layer), which is never run.
    """
    result = runs.read_result(folder)
    settings = {
        **parameters(result["notebook"]),
        **result["settings"],
        "output_dir": "",
    }  # some were added since
    model = build(check(settings, folder.name), tuple(result["dataset"]["shape"]))
    for name, network in model.networks.items():
        saved = folder / "model" / f"{name}.keras"
        if saved.exists() or name not in ("discriminator", "critic"):
            loaded = keras.models.load_model(saved, compile=False, safe_mode=True)
            network.set_weights(loaded.get_weights())
    return model


# ---- widgets -------------------------------------------------------------------------------------


def walk(model, start: int = 0, end: int = 1, steps: int = 10) -> np.ndarray:
    """Images uint8 [steps, H, W, C] between the latents that two seeds draw.

    The path keeps the length that the prior gives a latent, which a straight line would not (White 2016,
    arXiv:1609.04468): it turns from one direction to the other.
    """
    return evaluation.decode(model, between(seeded(model, start), seeded(model, end), np.linspace(0, 1, steps)))


def seeded(model, seed: int, count: int = 1) -> np.ndarray:
    """Latents [count, latent_dim] of the prior, drawn from a seed."""
    return np.random.default_rng(seed).standard_normal((count, model.latent_dim)).astype(np.float32)


def between(first: np.ndarray, last: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Spherical interpolation from [1, Z] to [1, Z] at `parts` in [0, 1] -> [len(parts), Z]."""
    cosine = (first * last).sum() / (np.linalg.norm(first) * np.linalg.norm(last))
    angle, parts = np.arccos(np.clip(cosine, -1, 1)), np.asarray(parts, np.float32)[:, None]
    if np.sin(angle) < 1e-4:
        return (1 - parts) * first + parts * last
    return ((np.sin((1 - parts) * angle) * first + np.sin(parts * angle) * last) / np.sin(angle)).astype(np.float32)


def widgets(model):
    """Three ways to move in latent space: sliders that decode live, new samples by seed, a walk between two latents.

    Returns:
        A tab of widgets in JupyterLab; in batch, the figure of one walk.
    """
    if not interactive():
        return figures.interpolation(walk(model))
    import ipywidgets

    names = ("Move", "Sample", "Walk")
    return ipywidgets.Tab([move(model), sample(model), walk_by_seed(model)], titles=names)


def move(model):
    """One slider a latent, from a sample on; with two latents also the decoded plane, to press and drag on."""
    import ipywidgets

    from lib import controls

    size = model.latent_dim
    names = [f"z{number + 1}" for number in range(min(size, SLIDERS))]
    sliders, picture, words = (
        controls.Sliders(names=names, value=[0.0] * len(names)),
        controls.Picture(),
        ipywidgets.HTML(),
    )
    z, draws = np.zeros((1, size), np.float32), itertools.count(1)

    def redraw(_=None):
        z[0, : len(names)] = sliders.value
        picture.show(evaluation.decode(model, z)[0], "The image decoded from these latents")
        words.value = _length(z)

    def put(latents):
        z[:] = latents
        new = np.clip(z[0, : len(names)], -controls.REACH, controls.REACH).tolist()
        if new == sliders.value:
            redraw()
        sliders.value = new

    random, zero = (ipywidgets.Button(description=name, layout={"width": "auto"}) for name in ("Random", "Zero"))
    random.on_click(lambda _: put(seeded(model, next(draws))))
    zero.on_click(lambda _: put(0))
    sliders.observe(redraw, "value")
    put(seeded(model, next(draws)))
    parts = [controls.column(controls.row(random, zero), sliders, words), picture]
    if size == 2:
        parts.append(plane := controls.Plane(picture=controls.png(_plane(model), 0)))
        ipywidgets.link((sliders, "value"), (plane, "value"))
    return controls.row(*parts)


def _plane(model) -> np.ndarray:
    from lib import controls

    return controls.tiled(evaluation.decode(model, controls.plane_latents()), controls.TICKS)


def _length(z: np.ndarray) -> str:
    """How long a latent is, beside the length of the prior's: far shorter or longer ones were never trained on."""
    size = z.shape[1]
    length, typical = (rounding.number(float(value)) for value in (np.linalg.norm(z), size**0.5))
    others = f"<br>The other {size - SLIDERS} latents keep their values." if size > SLIDERS else ""
    return f"|z| = {length}; samples of the prior have a length near √{size} = {typical}{others}"


def sample(model):
    """A gallery of the prior, drawn anew for each seed."""
    from lib import controls

    seed, picture = controls.seed_box(0), controls.Picture()

    def redraw(_=None):
        images = evaluation.decode(model, seeded(model, seed.value, 40))
        picture.show(controls.tiled(images, 10), f"40 samples of seed {seed.value}", 2 * controls.SIDE)

    controls.redraw_on([seed], redraw)
    return controls.column(seed, picture)


def walk_by_seed(model):
    """From the latent of one seed to that of another."""
    from lib import controls

    start, end = controls.seed_box(0, "from seed"), controls.seed_box(1, "to seed")
    part, picture, strip = _way(), controls.Picture(), controls.Picture()

    def redraw(_=None):
        z = between(seeded(model, start.value), seeded(model, end.value), np.array(part.value))
        picture.show(evaluation.decode(model, z)[0], "The image at this point of the walk")
        strip.show(controls.tiled(walk(model, start.value, end.value), 5), "Ten images along the walk")

    controls.redraw_on([start, end, part], redraw)
    return controls.column(controls.row(start, end), part, controls.row(picture, strip))


def walk_between_images(model, images: np.ndarray):
    """From one real image to another, by way of the latents to which a VAE encodes them."""
    import ipywidgets

    from lib import controls

    def chosen(index, description):
        return ipywidgets.BoundedIntText(index, min=0, max=len(images) - 1, description=description)

    start, end, part = chosen(0, "from image"), chosen(1, "to image"), _way()
    picture, ends, strip = (controls.Picture() for _ in range(3))

    def redraw(_=None):
        pair = images[[start.value, end.value]]
        means = np.asarray(model.encoder(pair.astype(np.float32) / 255, training=False)[0])
        way = np.array([*np.linspace(0, 1, 10), *part.value], np.float32)[:, None]
        decoded = evaluation.decode(model, (1 - way) * means[:1] + way * means[1:])
        picture.show(decoded[-1], "The image at this point of the walk")
        strip.show(controls.tiled(decoded[:-1], 5), "Ten images along the walk")
        ends.show(controls.tiled(pair, 2), "The two images")

    controls.redraw_on([start, end, part], redraw)
    both = controls.column(ends, ipywidgets.Label("the two images"))
    return controls.column(controls.row(start, end), part, controls.row(picture, both, strip))


def _way():
    """The slider of a walk."""
    from lib import controls

    return controls.Sliders(names=["position"], value=[0.5], low=0, high=1, step=0.01)
