"""Looking at a model in a notebook: live progress while it trains, widgets over the finished model.

In batch (papermill) and in HTML there is no one to move a slider: there each function shows one picture of the same
kind, drawn by the same `figures`.
"""

import io
import os
import re
import signal
import threading
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
from IPython.display import Markdown, display

from lib import data, evaluation, figures, runs
from lib.backend import keras
from lib.models import build
from lib.settings import UserError, check, notebook_defaults
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
    """Curves and the fixed-latent gallery, drawn anew after an epoch, and a bar with the remaining time.

    An interrupt (the kernel's stop button) ends the training after the epoch that is being trained, and what was learnt
    is kept: the run then counts as one of so many epochs. A second one stops at once.
    """

    def __init__(self, run, pause: float = 2.0):
        super().__init__(lambda line: run.log(line, show=False))
        self.run, self.model_name, self.pause = run, run.settings.model, pause
        self.history, self.drawn, self.interrupted, self.before = {}, 0.0, False, None

    def on_train_begin(self, logs=None):
        from tqdm.notebook import tqdm

        super().on_train_begin(logs)
        self.bar = tqdm(total=self.params["epochs"], unit="epoch")
        self.canvas = display(Markdown("*the first epoch includes compiling*"), display_id=True)
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number, frame):
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        self.bar.set_description("stopping after this epoch")

    def on_epoch_begin(self, epoch, logs=None):
        if not self.done:  # a training that goes on from its checkpoint begins at a later one
            self.bar.initial = self.bar.n = epoch

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.bar.update()
        last = epoch + 1 == self.params["epochs"]
        if self.interrupted and not last:
            self.model.stop_training = last = True
            self._shorten(epoch + 1)
        if last or time.perf_counter() - self.drawn > self.pause:
            images = evaluation.decode(
                self.model, evaluation.latents(evaluation.GRID, evaluation.latent_dim(self.model))
            )
            self.canvas.update(figures.progress(self.history, self.model_name, images))
            self.drawn = time.perf_counter()

    def _shorten(self, epochs: int) -> None:
        """The record says what was trained; `status` then calls the run stale, and `run` would train it in full."""
        self.run.settings = self.run.settings.model_copy(update={"epochs": epochs})
        self.run.key["settings"]["epochs"] = epochs
        self.run.log(f"interrupted after {epochs} of {self.params['epochs']} epochs; this is kept as a run of {epochs}")

    def on_train_end(self, logs=None):
        self.bar.close()
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)


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
    settings = {
        **notebook_defaults(runs.NOTEBOOK_DIR / f"{result['notebook']}.ipynb"),
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
    """One slider a latent; with two latents also the decoded plane, to press and drag on."""
    import ipywidgets

    size = evaluation.latent_dim(model)
    sliders = [
        ipywidgets.FloatSlider(0.0, min=-REACH, max=REACH, step=0.05, description=f"z{number + 1}")
        for number in range(min(size, SLIDERS))
    ]
    picture = ipywidgets.Image(format="png")
    plane = _plane(model) if size == 2 else None

    def redraw(_=None):
        z = np.zeros((1, size), np.float32)
        z[0, : len(sliders)] = [slider.value for slider in sliders]
        picture.value = png(evaluation.decode(model, z)[0])
        if plane:
            plane.z = [float(value) for value in z[0]]

    def follow(change):
        for slider, value in zip(sliders, change["new"], strict=True):
            slider.value = value

    for slider in sliders:
        slider.observe(redraw, "value")
    if plane:
        plane.observe(follow, "z")
    redraw()
    note = ipywidgets.Label(f"the first {SLIDERS} of {size} latents; the others are 0" if size > SLIDERS else "")
    return _row(ipywidgets.VBox([*sliders, note]), picture, *([plane] if plane else []))


def _plane(model):
    """The decoded plane of two latents as a widget whose `z` follows the pointer."""
    import anywidget
    import traitlets

    class Plane(anywidget.AnyWidget):
        _esm = Path(__file__).with_name("plane.js")
        picture = traitlets.Bytes().tag(sync=True)
        z = traitlets.List([0.0, 0.0]).tag(sync=True)
        reach = traitlets.Float(REACH).tag(sync=True)
        side = traitlets.Int(11).tag(sync=True)

    return Plane(picture=png(_tiled(evaluation.decode(model, _square()), 11), 0))


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


def _between_images(model, images: np.ndarray):
    """From one real image to another, by way of the latents to which a VAE encodes them."""
    import ipywidgets

    def chosen(index, description):
        return ipywidgets.BoundedIntText(index, min=0, max=len(images) - 1, description=description)

    start, end = chosen(0, "from image"), chosen(1, "to image")
    part = ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.01, description="way")
    picture, ends, strip = (ipywidgets.Image(format="png") for _ in range(3))

    def redraw(_=None):
        pair = images[[start.value, end.value]]
        means = np.asarray(model.encoder(pair.astype(np.float32) / 255, training=False)[0])
        way = np.append(np.linspace(0, 1, 10), part.value).astype(np.float32)[:, None]
        decoded = evaluation.decode(model, (1 - way) * means[:1] + way * means[1:])
        picture.value, strip.value, ends.value = png(decoded[-1]), png(_tiled(decoded[:-1], 5)), png(_tiled(pair, 2))

    for control in (start, end, part):
        control.observe(redraw, "value")
    redraw()
    return _column(
        _row(start, end), part, _row(picture, ipywidgets.VBox([ipywidgets.Label("the two images"), ends]), strip)
    )


# ---- a study's runs ------------------------------------------------------------------------------


def closest(image: np.ndarray, among: np.ndarray, count: int = 5) -> np.ndarray:
    """The indices of the `count` images of uint8 [M, H, W, C] that are nearest to uint8 [H, W, C] in pixels, L2."""
    far = np.zeros(len(among), np.float32)
    for first in range(0, len(among), 5000):
        part = among[first : first + 5000].astype(np.float32) - image
        far[first : first + 5000] = np.square(part).reshape(len(part), -1).sum(axis=1)
    return np.argsort(far, kind="stable")[:count]


class Shelf:
    """The finished runs of a study, to look at: what notebooks/explore.ipynb shows.

    Args:
        study: a folder of reports/, or the path of a study's folder.

    Raises:
        UserError: no finished run is there; says which studies have some.
    """

    def __init__(self, study: str = "small"):
        self.models: dict[Path, object] = {}
        self.watchers: list = []
        self.open(study)

    def open(self, study: str) -> None:
        """Turns to another study; what is shown of this one in JupyterLab is drawn anew."""
        folder = next((path for path in (REPORTS / study, Path(study).expanduser()) if finished(path)), None)
        if folder is None:
            raise UserError(
                f"no finished runs in {study!r}; there are some in: {', '.join(studies()) or 'no study yet'}"
            )
        self.study, self.folder = study, folder
        self.runs = {path.name: path for path in finished(folder)}
        for watcher in self.watchers:
            watcher()

    def model(self, name: str):
        """A run's trained model, opened once."""
        folder = self.runs[name]
        if folder not in self.models:
            self.models[folder] = opened(folder)
        return self.models[folder]

    def table(self):
        """The study's runs with a few of their numbers; in JupyterLab, studies to choose from above."""
        if not interactive():
            return Markdown(self._table())
        import ipywidgets

        box = ipywidgets.Output()
        pick = ipywidgets.Dropdown(
            options=list(dict.fromkeys([*studies(), self.study])), value=self.study, description="study"
        )
        pick.observe(lambda change: self.open(change["new"]), "value")

        def fill():
            box.outputs = ()
            box.append_display_data(Markdown(self._table()))

        self.watchers.append(fill)
        fill()
        return _column(pick, box)

    def _table(self) -> str:
        shared = ("frechet", "precision", "recall", "sharpness")
        rows = []
        for name, folder in self.runs.items():
            result = runs.read_result(folder)
            numbers = [result["metrics"].get(metric) for metric in shared]
            shown = ["–" if value is None else f"{value:.3g}" for value in numbers]
            rows.append([f"`{name}`", result["dataset"]["name"], result["settings"]["epochs"], *shown])
        return _table(["run", "data", "epochs", *shared], rows)

    def compare(self, count: int = 4):
        """Galleries, curves and numbers of several runs side by side; in batch, a row of samples for each run."""
        if not interactive():
            names = [name for name in self.runs if self._alike(name)][:count]
            images = [runs.read_samples(self.runs[name])["samples"][:12] for name in names]
            return figures.gallery(np.concatenate(images), 12, "one row a run: " + ", ".join(names))
        import ipywidgets

        pick = ipywidgets.SelectMultiple(rows=6, description="runs", layout={"width": "40rem"})
        shown = _row()

        def fill():
            pick.options = tuple(self.runs)
            pick.value = tuple(self.runs)[:count]

        def redraw(_=None):
            chosen = [name for name in pick.value if name in self.runs]
            histories = {name: (runs.read_history(self.runs[name]), self._kind(name)) for name in chosen}
            shown.children = [self._panel(name, histories) for name in chosen]

        pick.observe(redraw, "value")
        self.watchers.append(fill)
        fill()
        return _column(pick, shown)

    def _panel(self, name: str, histories: dict):
        import ipywidgets

        history, kind = histories[name]
        like = [other for other, its in histories.values() if its == kind]
        curve = figures.training(history, kind, like)
        result = runs.read_result(self.runs[name])
        numbers = ", ".join(f"{metric} {value:.4g}" for metric, value in result["metrics"].items())
        return ipywidgets.VBox(
            [
                ipywidgets.Label(name),
                ipywidgets.Image(value=png(_tiled(runs.read_samples(self.runs[name])["samples"][:36], 6), 300)),
                ipywidgets.Image(value=curve.png(), width=curve.size[0] * 0.8),
                ipywidgets.Label(numbers, layout={"width": "26rem", "white_space": "normal", "height": "auto"}),
            ]
        )

    def _kind(self, name: str) -> str:
        return runs.read_result(self.runs[name])["notebook"].partition("_")[0]

    def _alike(self, name: str) -> bool:
        """Whether a run's images have the shape of the first run's."""
        first = runs.read_result(next(iter(self.runs.values())))
        return runs.read_result(self.runs[name])["dataset"]["shape"] == first["dataset"]["shape"]

    def _of_one(self, draw, batch):
        """A section about one run: `draw(name)` makes its widgets, `batch(name)` its figure where nobody chooses."""
        if not interactive():
            return batch(next(iter(self.runs)))
        import ipywidgets

        pick, shown = ipywidgets.Dropdown(description="run", layout={"width": "40rem"}), _column()

        def redraw(_=None):
            try:
                shown.children = [draw(pick.value)] if pick.value else []
            except (UserError, OSError, ValueError) as error:
                shown.children = [ipywidgets.Label(f"{pick.value}: {error}")]

        def fill():
            pick.options = tuple(self.runs)
            pick.value = pick.options[0]

        pick.observe(redraw, "value")
        self.watchers.append(fill)
        fill()
        return _column(pick, shown)

    def move(self):
        """Sliders over one run's latents; in batch, a walk between two of them."""
        return self._of_one(
            lambda name: _move(self.model(name)), lambda name: figures.interpolation(walk(self.model(name)))
        )

    def walk(self):
        """From one image to another for a VAE, from one seed's latent to another's for the others."""

        def draw(name):
            samples = runs.read_samples(self.runs[name])
            return (
                _between_images(self.model(name), samples["originals"])
                if "originals" in samples
                else _walk(self.model(name))
            )

        return self._of_one(draw, lambda name: figures.interpolation(walk(self.model(name), 2, 3)))

    def nearest(self):
        """A sample by seed, and the training images that are nearest to it."""

        def found(name, seed):
            image = evaluation.decode(self.model(name), seeded(self.model(name), seed))[0]
            among = self._training_images(name)
            return image, among[closest(image, among)]

        def draw(name):
            import ipywidgets

            seed = ipywidgets.BoundedIntText(0, min=0, max=10**6, description="seed")
            sample, near = ipywidgets.Image(format="png"), ipywidgets.Image(format="png")

            def redraw(_=None):
                image, images = found(name, seed.value)
                sample.value, near.value = png(image), png(_tiled(images, len(images)))

            seed.observe(redraw, "value")
            redraw()
            return _column(seed, _row(sample, near))

        def batch(name):
            image, images = found(name, 0)
            return figures.reconstructions(np.stack([image] * len(images)), images, ("generated", "nearest"))

        return self._of_one(draw, batch)

    def _training_images(self, name: str) -> np.ndarray:
        settings = runs.read_result(self.runs[name])["settings"]
        return _loaded(settings["dataset"], settings["validation"]).x_train


@lru_cache(maxsize=2)
def _loaded(dataset: str, validation: int):
    return data.load(dataset, validation)


REPORTS = runs.ROOT / "reports"


def studies() -> list[str]:
    """The folders of reports/ that have finished runs, in the order of their names."""
    return sorted(path.name for path in REPORTS.glob("*") if finished(path))


def finished(study: Path) -> list[Path]:
    """A study's run folders whose networks, images and numbers are there; VAEs first, then by latents and width."""
    found = [
        path.parent for path in (study / "runs").glob("*/result.json") if not path.parent.name.endswith(".partial")
    ]
    order = ("vae", "gan", "wgan")

    def place(folder: Path):
        model, *_ = folder.name.split("_")
        return order.index(model) if model in order else len(order), [int(n) for n in re.findall(r"\d+", folder.name)]

    return sorted((folder for folder in found if (folder / "samples.npz").exists()), key=place)
