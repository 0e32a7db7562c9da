"""The finished runs of a study, to look at side by side and one by one: what notebooks/explore.ipynb shows.

Nothing here is trained. In batch (papermill), where nobody chooses, a section shows the first runs, or the first.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from IPython.display import Markdown, display

from lib import data, explore, figures, rounding, runs
from lib.scores import evaluation
from lib.settings import UserError

REPORTS = runs.ROOT / "reports"
FROM_NOTEBOOKS = "notebooks"  # the folder of reports/ for runs that somebody made from a notebook
SHARED = ("frechet", "precision", "recall", "sharpness")  # numbers that all models have
MODELS = ("vae", "gan", "wgan")
GALLERY = 36  # images of a run in a comparison


def studies() -> list[str]:
    """The folders of reports/ that have finished runs, in the order of their names."""
    return sorted(path.name for path in REPORTS.glob("*") if any(_run_folders(path)))


def finished(study: Path) -> dict[str, Path]:
    """The run folders of a study, or the one that is given, by name; damaged ones are left out.

    VAEs come first, then GANs and WGANs; those of one dataset stand together, in the order of their settings.
    """
    places = {}
    for folder in _run_folders(study):
        with suppress(OSError, ValueError, KeyError, TypeError):
            places[folder] = _place(folder)
    return {folder.name: folder for folder in sorted(places, key=places.get)}


def _run_folders(study: Path):
    for path in (study / "result.json", *study.glob("runs/*/result.json")):
        if not path.parent.name.endswith(".partial") and (path.parent / "samples.npz").exists() and path.exists():
            yield path.parent


def _place(folder: Path) -> tuple:
    result = runs.read_result(folder)
    model, settings = _model_of(result), result["settings"]
    numbers = (settings[name] for name in ("latent_dim", "width", "epochs", "seed"))
    return MODELS.index(model) if model in MODELS else len(MODELS), result["dataset"]["name"], *numbers, folder.name


def _model_of(result: dict) -> str:
    return result["notebook"].partition("_")[0]


def _data_of(result: dict) -> str:
    return result["dataset"]["sha256"]


def apart(names: list[str]) -> list[str]:
    """Runs' names without what all of them have in common: 'latent_dim2 width128' beside 'latent_dim10 width128'."""
    parts = [name.split("-") for name in names]
    common = set.intersection(*map(set, parts)) if len(names) > 1 else set()
    return [" ".join(part for part in each if part not in common) for each in parts]


def has_networks(folder: Path) -> bool:
    """Whether a run can be decoded here: a repository may hold only the numbers and images of a run."""
    return any((folder / "model").glob("*.keras"))


def closest(image: np.ndarray, among: np.ndarray, count: int = 5) -> np.ndarray:
    """The indices of the `count` images of uint8 [M, H, W, C] that are nearest to uint8 [H, W, C] in pixels, L2."""
    far = np.zeros(len(among), np.float32)
    for first in range(0, len(among), 5000):
        part = among[first : first + 5000].astype(np.float32) - image
        far[first : first + 5000] = np.square(part).reshape(len(part), -1).sum(axis=1)
    return np.argsort(far, kind="stable")[:count]


@lru_cache(maxsize=2)
def _loaded(dataset: str, validation: int):
    return data.load(dataset, validation)


class Shelf:
    """The finished runs of a study.

    Args:
        study: a folder of reports/, or the path of a study's folder or of one run's.

    Raises:
        UserError: no finished run is there; says which studies have some.
    """

    def __init__(self, study: str = "small"):
        self._models: dict[tuple, object] = {}
        self._sections: dict[str, Callable] = {}  # how each one in JupyterLab is drawn anew
        self.open(study)

    def open(self, study: str) -> None:
        """Turns to another study; what is shown of this one in JupyterLab is drawn anew."""
        found = next(filter(None, map(finished, (REPORTS / study, Path(study).expanduser()))), None)
        if not found:
            raise UserError(
                f"no finished runs in {study!r}; there are some in: {', '.join(studies()) or 'no study yet'}"
            )
        self.study, self.runs = study, found
        self.results = {name: runs.read_result(folder) for name, folder in found.items()}
        for draw in self._sections.values():
            draw()

    def model(self, name: str):
        """A run's trained model, opened once, and again when the run has been made again."""
        folder = self.runs[name]
        key = folder, (folder / "result.json").stat().st_mtime
        if key not in self._models:
            self._models[key] = explore.opened(folder)
        return self._models[key]

    def _section(self, name: str, draw: Callable) -> None:
        """Draws a section now, and again for another study. A cell that is run again replaces its section."""
        self._sections[name] = draw
        draw()

    # ---- all runs --------------------------------------------------------------------------------

    def table(self):
        """The study's runs with a few of their numbers; in JupyterLab, studies to choose from above."""
        if not explore.interactive():
            return Markdown(self._table())
        import ipywidgets

        from lib import controls

        names = dict.fromkeys([*studies(), self.study])
        pick = ipywidgets.Dropdown(
            options=[(_described(name), name) for name in names],
            value=self.study,
            description="study",
            layout={"width": "40rem"},
        )
        box = controls.column()

        def draw():
            controls.fill(box, controls.shown(Markdown(self._table())))

        pick.observe(lambda change: self.open(change["new"]), "value")
        self._section("table", draw)
        return controls.column(pick, box)

    def _table(self) -> str:
        results = self.results.values()
        columns = [rounding.column([result["metrics"].get(metric) for result in results]) for metric in SHARED]
        rows = [
            [f"`{name}`", result["dataset"]["name"], result["settings"]["epochs"], *numbers]
            for (name, result), numbers in zip(self.results.items(), zip(*columns, strict=True), strict=True)
        ]
        return explore.table(["run", "data", "epochs", *SHARED], rows, 1 + len(SHARED))

    def compare(self, count: int = 4):
        """Galleries, curves and numbers of several runs side by side; in batch, one below the other."""
        if not explore.interactive():
            return self._listed(list(self._alike(count)))
        import ipywidgets

        from lib import controls

        pick = ipywidgets.SelectMultiple(rows=6, description="runs", layout={"width": "40rem"})
        box = controls.column()

        def redraw(_=None):
            controls.fill(box, *self._compared([name for name in self.runs if name in pick.value]))

        pick.observe(redraw, "value")
        self._section("compare", lambda: controls.offer(pick, list(self.runs), self._alike(count), redraw))
        return controls.column(pick, box)

    def _listed(self, names: list[str]) -> Markdown:
        """Shows a row of samples and a curve of each run; returns their numbers."""
        for name in names:
            row = figures.gallery(self._samples(name, 12), 12, name)
            display(row, self._curve(name, names))
        return Markdown(self._scores(names))

    def _samples(self, name: str, count: int) -> np.ndarray:
        return runs.read_samples(self.runs[name])["samples"][:count]

    def _curve(self, name: str, group: list[str]) -> figures.Figure:
        """A run's curve, on one scale with those of the same model in the group."""
        kind = _model_of(self.results[name])
        like = [runs.read_history(self.runs[one]) for one in group if _model_of(self.results[one]) == kind]
        return figures.training(runs.read_history(self.runs[name]), kind, like)

    def _scores(self, group: list[str]) -> str:
        return explore.scores(dict(zip(apart(group), map(self.results.get, group), strict=True)))

    def _alike(self, count: int) -> tuple[str, ...]:
        """The first runs on the first run's dataset: only their numbers can be compared."""
        dataset = _data_of(next(iter(self.results.values())))
        return tuple(name for name, result in self.results.items() if _data_of(result) == dataset)[:count]

    def _compared(self, names: list[str]) -> list:
        """For each dataset the runs on it side by side, and their numbers in one table."""
        from lib import controls

        groups, parts = {}, []
        for name in names:
            groups.setdefault(_data_of(self.results[name]), []).append(name)
        for group in groups.values():
            parts.append(controls.row(*(self._panel(name, group) for name in group)))
            parts.append(controls.shown(Markdown(self._scores(group))))
        return parts

    def _panel(self, name: str, group: list[str]):
        """A run's gallery and its curve."""
        import ipywidgets

        from lib import controls

        gallery, curve, images = controls.Picture(), controls.Picture(), self._samples(name, GALLERY)
        gallery.draw(figures.gallery(images, 6), 300)
        gallery.alt = f"{len(images)} samples of {name}"
        curve.draw(self._curve(name, group), 400)
        return controls.column(ipywidgets.Label(name), gallery, curve)

    # ---- one run ---------------------------------------------------------------------------------

    def _of_one(self, section: str, draw: Callable, batch: Callable):
        """A section about one run: `draw(name)` makes its widgets, `batch(name)` its figure where nobody chooses."""
        if not explore.interactive():
            names = self._decodable()
            return batch(names[0]) if names else Markdown(self._no_networks())
        import ipywidgets

        from lib import controls

        pick, box = ipywidgets.Dropdown(description="run", layout={"width": "40rem"}), controls.column()

        def redraw(_=None):
            try:
                part = draw(pick.value) if pick.value else controls.shown(Markdown(self._no_networks()))
            except (UserError, OSError, ValueError) as error:
                part = controls.shown(Markdown(f"**{pick.value}**: {error}"))
            controls.fill(box, part)

        def renew():
            names = self._decodable()
            pick.layout.display = None if names else "none"
            controls.offer(pick, names, pick.value if pick.value in names else next(iter(names), None), redraw)

        pick.observe(redraw, "value")
        self._section(section, renew)
        return controls.column(pick, box)

    def _decodable(self) -> list[str]:
        return [name for name, folder in self.runs.items() if has_networks(folder)]

    def _no_networks(self) -> str:
        return (
            f"**Numbers and images only here:** the networks of *{self.study}* are not in this copy. "
            f"`latent-report run {self.study}` trains them; the tables and galleries above do not need them."
        )

    def move(self):
        """Sliders over one run's latents; in batch, a walk between two of them."""
        return self._of_one(
            "move",
            lambda name: explore.move(self.model(name)),
            lambda name: figures.interpolation(explore.walk(self.model(name))),
        )

    def walk(self):
        """From one image to another for a VAE, from one seed's latent to another's for the others."""

        def draw(name):
            samples = runs.read_samples(self.runs[name])
            if "originals" in samples:
                return explore.walk_between_images(self.model(name), samples["originals"])
            return explore.walk_by_seed(self.model(name))

        return self._of_one("walk", draw, lambda name: figures.interpolation(explore.walk(self.model(name), 2, 3)))

    def nearest(self):
        """A sample by seed, and the training images that are nearest to it."""

        def draw(name):
            from lib import controls

            seed, sample, near = controls.seed_box(0), controls.Picture(), controls.Picture()

            def redraw(_=None):
                image, images = self._nearest(name, seed.value)
                sample.show(image, f"The sample of seed {seed.value}")
                near.show(controls.tiled(images, len(images)), f"The {len(images)} training images nearest to it")

            controls.redraw_on([seed], redraw)
            return controls.column(seed, sample, near)

        def batch(name):
            image, images = self._nearest(name, 0)
            return figures.reconstructions(np.stack([image] * len(images)), images, ("generated", "nearest"))

        return self._of_one("nearest", draw, batch)

    def _nearest(self, name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """A run's sample of a seed, and the training images nearest to it."""
        settings = self.results[name]["settings"]
        among = _loaded(settings["dataset"], settings["validation"]).x_train
        image = evaluation.decode(self.model(name), explore.seeded(self.model(name), seed))[0]
        return image, among[closest(image, among)]


def _described(study: str) -> str:
    """A study among those to choose from: how many runs it has, and whether they can be decoded here."""
    folder = REPORTS / study if any(_run_folders(REPORTS / study)) else Path(study).expanduser()
    folders = list(_run_folders(folder))
    what = "runs made from notebooks" if study == FROM_NOTEBOOKS else "runs"
    note = "" if any(map(has_networks, folders)) else ", numbers and images only"
    return f"{study} ({len(folders)} {what if len(folders) > 1 else what.replace('runs', 'run')}{note})"
