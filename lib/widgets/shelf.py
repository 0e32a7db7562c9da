"""The finished runs of a study, to look at side by side and one by one: what notebooks/explore.ipynb shows.

Nothing here is trained. In batch (papermill), where nobody chooses, a section shows the first runs, or the first.
"""

from collections.abc import Callable
from functools import lru_cache

import ipywidgets
import numpy as np
from IPython.display import Markdown, display

from lib import data, figures, finished, rounding, runs
from lib.errors import in_one_line
from lib.finished import Finished
from lib.widgets import controls, effects, moves, own, tables

FROM_NOTEBOOKS = "notebooks"  # the folder of reports/ for runs that somebody made from a notebook
SHARED = ("frechet", "precision", "recall", "sharpness")  # numbers that all models have
GALLERY = 36  # images of a run in a comparison
NO_NETWORKS = (
    "**No networks here:** those of *{0}* are not in this copy. "
    "`latent-report run {0}` trains them; the tables and charts above do not need them."
)


def _described(study: str) -> str:
    """A study among those to choose from: how many runs it has, and what of them is here."""
    folders = finished.folders(study)
    words = f"{len(folders)} run{'s' * (len(folders) > 1)}" + " made from notebooks" * (study == FROM_NOTEBOOKS)
    has = "and images " * any((folder / "samples.npz").exists() for folder in folders)
    return f"{study} ({words}{'' if any(map(finished.has_networks, folders)) else f', numbers {has}only'})"


def apart(names: list[str]) -> list[str]:
    """Runs' names without what all of them have in common: 'latent_dim2 width128' beside 'latent_dim10 width128'."""
    parts = [name.split("-") for name in names]
    common = set.intersection(*map(set, parts)) if len(names) > 1 else set()
    return [" ".join(part for part in each if part not in common) for each in parts]


_dataset = lru_cache(maxsize=2)(data.load)


class Shelf:
    """The finished runs of a study, `runs` by name.

    Args:
        study: a folder of reports/, or the path of a study's folder or of one run's.

    Raises:
        UserError: no finished run is there; says which studies have some.
    """

    def __init__(self, study: str = "small"):
        self._sections: dict[str, Callable] = {}  # how each one in JupyterLab is drawn anew
        self._chosen = own.Chosen()
        self.open(study)

    def open(self, study: str) -> None:
        """Turns to another study; what is shown of this one in JupyterLab is drawn anew."""
        self.runs = finished.of(study)
        self.study = study
        for renew in self._sections.values():
            renew()

    def _section(self, name: str, pick, choices: Callable[[], tuple], draw: Callable):
        """A choice, and below it the widgets that `draw` makes of what is chosen; both are renewed for another study.
        A cell that is run again replaces its section.

        Args:
            choices: gives the options and the first of them to be chosen.
        """
        box = controls.column()

        def redraw(_=None):
            controls.fill(box, *draw(pick.value))

        def renew():
            pick.unobserve(redraw, "value")  # drawn once, also where the name chosen stays and means something else
            pick.options, pick.value = choices()
            pick.observe(redraw, "value")
            redraw()

        pick.observe(redraw, "value")
        self._sections[name] = renew
        renew()
        return controls.column(pick, box)

    # ---- all runs

    def table(self):
        """The study's runs with a few of their numbers; in JupyterLab, studies to choose from above."""
        if not controls.interactive():
            return Markdown(self._table())
        options = [(_described(name), name) for name in dict.fromkeys([*finished.studies(), self.study])]
        pick, box = controls.choice("study", options=options, value=self.study), controls.column()
        self._sections["table"] = lambda: controls.fill(box, controls.words(self._table()))
        self._sections["table"]()
        pick.observe(lambda change: self.open(change["new"]), "value")
        return controls.column(pick, box)

    def _table(self) -> str:
        results = [run.result for run in self.runs.values()]
        columns = [rounding.column([result["metrics"].get(metric) for result in results]) for metric in SHARED]
        rows = [
            [f"`{name}`", result["dataset"]["name"], result["settings"]["epochs"], *numbers]
            for name, result, *numbers in zip(self.runs, results, *columns, strict=True)
        ]
        return tables.table(["run", "data", "epochs", *SHARED], rows, 1 + len(SHARED))

    def compare(self, count: int = 4):
        """Galleries, curves and numbers of several runs side by side; in batch, one below the other."""
        if not controls.interactive():
            group = [self.runs[name] for name in self._alike(count)]
            for run in group:
                display(*_figures(run, group, 12, 12, run.name))
            return Markdown(_scores(group))
        pick = controls.choice("runs", ipywidgets.SelectMultiple, rows=6)

        def drawn(names):
            return _side_by_side([run for name, run in self.runs.items() if name in names])

        return self._section("compare", pick, lambda: (list(self.runs), self._alike(count)), drawn)

    def effects(self):
        """A number over a setting, with seeds; in batch, the first of both."""
        if not controls.interactive():
            return effects.effects(self.runs.values(), next(iter(effects.labels(self.runs.values()))))
        pick, over = controls.choice("number"), ["latent_dim"]  # kept while the number changes

        def choices():
            names = {name: words for words, name in effects.labels(self.runs.values()).items()}
            return names.items(), _kept(pick.value, names.values())

        return self._section("effects", pick, choices, lambda name: [effects.effects(self.runs.values(), name, over)])

    def _alike(self, count: int) -> list[str]:
        """The first runs on the first run's dataset: only their numbers can be compared."""
        dataset = next(iter(self.runs.values())).dataset
        return [name for name, run in self.runs.items() if run.dataset == dataset][:count]

    # ---- one run

    def _of_one(self, section: str, draw: Callable):
        """A section about one run: `draw(run)` makes its widgets, or its figure where nobody chooses."""
        if not controls.interactive():
            names = self._decodable()
            return draw(self.runs[names[0]]) if names else Markdown(NO_NETWORKS.format(self.study))
        pick = controls.choice("run")

        def choices():
            names = self._decodable()
            pick.layout.display = None if names else "none"
            return names, _kept(pick.value, names)

        def drawn(name):
            try:
                return [draw(self.runs[name]) if name else controls.words(NO_NETWORKS.format(self.study))]
            except Exception as error:  # an own model may raise any
                return [controls.words(f"**{name}**: {in_one_line(error)}")]

        return self._section(section, pick, choices, drawn)

    def _decodable(self) -> list[str]:
        return [name for name, run in self.runs.items() if finished.has_networks(run.folder)]

    def move(self):
        """Sliders over one run's latents; in batch, a walk between two of them."""
        return self._of_one("move", lambda run: moves.move(run.model, _originals(run)))

    def traverse(self):
        """One latent after the other moved alone, those that tell most first."""
        return self._of_one("traverse", lambda run: moves.traverse(run.model, _originals(run)))

    def walk(self):
        """From one image to another for a model that encodes images, from one sample to another for others."""
        return self._of_one("walk", lambda run: moves.walk_between(run.model, _originals(run)))

    def own(self):
        """An image of the user's own: its latent vector, its reconstruction, its neighbours; in batch, of real images
        that the run kept."""

        def draw(run):
            examples = run.images.get("originals", run.images["nearest"])
            return own.own(run.model, lambda: _training(run), examples, self._chosen)

        return self._of_one("own", draw)

    def nearest(self):
        """A sample by seed, and the training images that are nearest to it."""
        return self._of_one("nearest", lambda run: own.nearest(run.model, _training(run)))


def _kept(value, options):
    """What was chosen, if it is still among the options, or else the first of these."""
    return value if value in options else next(iter(options), None)


def _training(run: Finished) -> np.ndarray:
    return _dataset(run.settings.dataset, run.settings.validation).x_train


def _originals(run: Finished) -> np.ndarray | None:
    """Test images that the run kept, if its model encodes images."""
    return run.images.get("originals")


def _figures(run: Finished, group: list[Finished], count: int, columns: int, title: str = "") -> list[figures.Figure]:
    """A run's gallery, and its curve on one scale with those of the group that show the same; what is here of them."""
    shown = []
    if (run.folder / "samples.npz").exists():
        shown.append(figures.gallery(run.samples[:count], columns, title))
    alike = [one.folder for one in group if one.description.curve == run.description.curve]
    if (run.folder / "history.csv").exists():
        like = [runs.read_history(folder) for folder in alike if (folder / "history.csv").exists()]
        shown.append(figures.training(runs.read_history(run.folder), run.description, like))
    return shown


def _scores(group: list[Finished]) -> str:
    names = apart([run.name for run in group])
    return tables.scores(dict(zip(names, (run.result for run in group), strict=True)))


def _side_by_side(chosen: list[Finished]) -> list:
    """For each dataset the runs on it side by side, and their numbers in one table."""
    parts = []
    for dataset in dict.fromkeys(run.dataset for run in chosen):
        group = [run for run in chosen if run.dataset == dataset]
        parts += [controls.row(*(_panel(run, group) for run in group)), controls.words(_scores(group))]
    return parts


def _panel(run: Finished, group: list[Finished]):
    """A run's gallery and its curve."""
    pictures = [controls.drawn(one, 400 if one.kind else 300) for one in _figures(run, group, GALLERY, 6)]
    for one in pictures:
        one.alt = one.alt if one.kind else f"{GALLERY} samples of {run.name}"
    return controls.column(ipywidgets.Label(run.name), *pictures)
