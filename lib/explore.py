"""Looking at a model in a notebook: live progress while it trains, widgets over the finished model.

In batch (papermill) and in HTML there is no one to move a slider: there each function shows one picture of the same
kind, drawn by the same `figures`.
"""

import io
import os
import time
from pathlib import Path

import numpy as np
from IPython.display import Markdown, display

from lib import evaluation, figures, runs
from lib.backend import keras
from lib.models import build
from lib.settings import check
from lib.training import OneLineAnEpoch

ZOOM = 160  # side of a decoded image on the screen, in pixels, at least
SLIDERS = 10  # at most: of the first latents
REACH = 3.0  # standard deviations of the prior that a slider spans to either side


def interactive() -> bool:
    """Whether somebody sits in front of the notebook: JupyterLab sets this variable, papermill does not."""
    return "JPY_SESSION_NAME" in os.environ


def progress(run) -> keras.callbacks.Callback:
    """A callback that shows how training goes: a live figure and a bar in JupyterLab, one line an epoch in batch.

    Args:
        run: the `runs.Run` whose log.txt gets the lines in either case.
    """
    return LiveProgress(run) if interactive() else OneLineAnEpoch(run.log)


class LiveProgress(OneLineAnEpoch):
    """Curves and the fixed-latent gallery, drawn anew after an epoch, and a bar with the remaining time."""

    def __init__(self, run, pause: float = 2.0):
        super().__init__(lambda line: run.log(line, show=False))
        self.model_name, self.pause = run.settings.model, pause
        self.history, self.drawn = {}, 0.0

    def on_train_begin(self, logs=None):
        from tqdm.notebook import tqdm

        super().on_train_begin(logs)
        self.bar = tqdm(total=self.params["epochs"], unit="epoch")
        self.canvas = display(Markdown("*the first epoch includes compiling*"), display_id=True)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.bar.update()
        last = epoch + 1 == self.params["epochs"]
        if last or time.perf_counter() - self.drawn > self.pause:
            images = evaluation.decode(
                self.model, evaluation.latents(evaluation.GRID, evaluation.latent_dim(self.model))
            )
            self.canvas.update(figures.progress(self.history, self.model_name, images))
            self.drawn = time.perf_counter()

    def on_train_end(self, logs=None):
        self.bar.close()


# ---- tables --------------------------------------------------------------------------------------


def _table(head: list[str], rows: list[list]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def layers(facts: dict) -> Markdown:
    """The layer table of each network, from `networks.facts`."""
    parts = []
    for name, rows in facts["layers"].items():
        body = [[row["layer"], row["kind"], row["output"], f"{row['parameters']:,}"] for row in rows]
        total = ["**total**", "", "", f"**{facts['parameters'][name]:,}**"]
        parts.append(f"**{name}**\n\n" + _table(["layer", "kind", "output", "parameters"], [*body, total]))
    return Markdown("\n\n".join(parts))


def numbers(found: dict) -> Markdown:
    """Every metric beside its references, from `evaluation.evaluate`."""
    rows = []
    for name, value in found["metrics"].items():
        beside = ", ".join(
            f"{which.replace('_', ' ')} {number:.4g}" for which, number in found["references"].get(name, {}).items()
        )
        rows.append([f"`{name}`", f"**{value:.4g}**", beside or "–", f"{found['samples_n'][name]:,}"])
    table = _table(["number", "this run", "references: the same estimator on", "images"], rows)
    if (card := found["scorecard"])["classifier_accuracy"]:
        table += (
            f"\n\nThe classifier behind the scores is right on {card['classifier_accuracy']:.1%} of "
            f"{card['classifier_test_n']:,} test images; `ndb` is of {card['bins']} bins."
        )
    if any(name.startswith("emd_") and value < 0 for name, value in found["metrics"].items()):
        table += "\n\n**A negative EMD estimate: the critic has failed, and the number says nothing.**"
    return Markdown(table)


# ---- finished runs -------------------------------------------------------------------------------


def opened(folder: Path):
    """The trained model of a finished run; a judge whose network is not there stays untrained, as it draws nothing.

    Raises:
        ValueError: a saved network is not one of these settings, or holds code (a Lambda layer), which is never run.
    """
    result = runs.read_result(folder)
    model = build(check({**result["settings"], "output_dir": ""}, folder.name), tuple(result["dataset"]["shape"]))
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
    return np.random.default_rng(seed).standard_normal((count, evaluation.latent_dim(model))).astype(np.float32)


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
    return ipywidgets.Tab([_move(model), _sample(model), _walk(model)], titles=names)


def png(image: np.ndarray, side: int = ZOOM) -> bytes:
    """A uint8 image [H, W, C] as PNG bytes, its pixels enlarged by a whole number to at least `side`."""
    from PIL import Image

    scale = max(1, -(-side // image.shape[0]))
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    out = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(out, "png")
    return out.getvalue()


def _tiled(images: np.ndarray, columns: int) -> np.ndarray:
    rows = [np.concatenate(list(images[i : i + columns]), axis=1) for i in range(0, len(images), columns)]
    return np.concatenate(rows, axis=0)


def _move(model):
    """One slider a latent; with two latents, where they point is marked on the decoded plane."""
    import ipywidgets

    size = evaluation.latent_dim(model)
    sliders = [
        ipywidgets.FloatSlider(0.0, min=-REACH, max=REACH, step=0.05, description=f"z{number + 1}")
        for number in range(min(size, SLIDERS))
    ]
    picture = ipywidgets.Image(format="png")
    plane = ipywidgets.Image(format="png") if size == 2 else None
    ground = _tiled(evaluation.decode(model, _square()), 11) if plane else None

    def redraw(_=None):
        z = np.zeros((1, size), np.float32)
        z[0, : len(sliders)] = [slider.value for slider in sliders]
        picture.value = png(evaluation.decode(model, z)[0])
        if plane:
            plane.value = png(_marked(ground, z[0]), 0)

    for slider in sliders:
        slider.observe(redraw, "value")
    redraw()
    note = ipywidgets.Label(f"the first {SLIDERS} of {size} latents; the others are 0" if size > SLIDERS else "")
    return _row(ipywidgets.VBox([*sliders, note]), picture, *([plane] if plane else []))


def _row(*parts):
    """Widgets side by side at their own heights: the default stretches pictures."""
    import ipywidgets

    return ipywidgets.HBox(parts, layout={"align_items": "flex-start", "flex_flow": "row wrap"})


def _column(*parts):
    import ipywidgets

    return ipywidgets.VBox(parts, layout={"align_items": "flex-start"})


def _square() -> np.ndarray:
    ticks = np.linspace(-REACH, REACH, 11, dtype=np.float32)
    z_1, z_2 = np.meshgrid(ticks, ticks[::-1])
    return np.column_stack([z_1.ravel(), z_2.ravel()])


def _marked(ground: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The plane in colour, with a red cross-hair at z."""
    marked = np.repeat(ground, 3, axis=2) if ground.shape[2] == 1 else ground.copy()
    cell = len(marked) / 11
    column, row = (
        int(np.clip((REACH + s) / (2 * REACH) * (len(marked) - cell) + cell / 2, 1, len(marked) - 2))
        for s in (z[0], -z[1])
    )
    marked[row - 1 : row + 1, :] = marked[:, column - 1 : column + 1] = (213, 94, 0)
    return marked


def _sample(model):
    """A gallery of the prior, drawn anew for each seed."""
    import ipywidgets

    seed = ipywidgets.BoundedIntText(0, min=0, max=10**6, description="seed")
    picture = ipywidgets.Image(format="png")

    def redraw(_=None):
        picture.value = png(_tiled(evaluation.decode(model, seeded(model, seed.value, 40)), 10), 2 * ZOOM)

    seed.observe(redraw, "value")
    redraw()
    return _column(seed, picture)


def _walk(model):
    """From the latent of one seed to that of another."""
    import ipywidgets

    start = ipywidgets.BoundedIntText(0, min=0, max=10**6, description="from seed")
    end = ipywidgets.BoundedIntText(1, min=0, max=10**6, description="to seed")
    part = ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.01, description="way")
    picture, strip = ipywidgets.Image(format="png"), ipywidgets.Image(format="png")

    def redraw(_=None):
        z = between(seeded(model, start.value), seeded(model, end.value), np.array([part.value]))
        picture.value = png(evaluation.decode(model, z)[0])
        strip.value = png(_tiled(walk(model, start.value, end.value), 5), ZOOM)

    for control in (start, end, part):
        control.observe(redraw, "value")
    redraw()
    return _column(_row(start, end), part, _row(picture, strip))
