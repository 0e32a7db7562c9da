"""Small trainings side by side, for the notebooks `solutions` and `failures`: nothing is written, nothing recorded."""

from typing import NamedTuple

from IPython.display import HTML, Markdown

from lib import data, figures, models, rounding, training
from lib.scores.card import Scorecard
from lib.settings import check, parameters
from lib.widgets import tables


class Trained(NamedTuple):
    """A trained model, its history, its numbers (its own and the scorecard's), and what they are for real images."""

    model: models.ImageModel
    history: figures.History
    numbers: dict[str, float]
    real: dict[str, float | None]


class Bench:
    """A dataset, `images`, with its scorecard, and the settings that all trainings on it share."""

    def __init__(self, dataset: str, **settings):
        self.settings, self.images = {"dataset": dataset, **settings}, data.load(dataset)
        self.card = Scorecard(self.images)

    def train(self, notebook: str, kind: type | None = None, images: data.Dataset | None = None, **changed) -> Trained:
        """Trains a model as its notebook would, with the shared settings and those that are changed.

        Args:
            kind: the model's class; by default the notebook's.
            images: what to train on, if not all of the dataset's training images.

        Raises:
            UserError: an unknown setting, or a value out of range.
        """
        settings = check(parameters(notebook) | self.settings | changed, notebook)
        model = models.build(settings, (images := images or self.images).shape, kind)
        history = training.train(model, images, settings)
        scores = self.card.scores(self.card.images(model, self.card.count))
        own = model.numbers(images, self.card)
        marks = self.card.references | own["references"]
        real = {name: each.get("real") for name, each in marks.items()}
        return Trained(model, history, scores | own["metrics"], real)

    def table(self, runs: dict[str, Trained], *names: str) -> Markdown:
        """Some of the numbers, a line a run, and below them those of real images that no training saw, unless each run
        has another: a discriminator judges real images too."""
        every = {name: {run.real.get(name) for run in runs.values() if name in run.numbers} for name in names}
        real = {name: values.pop() for name, values in every.items() if len(values) == 1}
        found = {**{words: run.numbers for words, run in runs.items()}, "*real images*": real}
        texts = [rounding.column([numbers.get(name) for numbers in found.values()]) for name in names]
        rows = [*zip(found, *texts, strict=True)]
        return Markdown(tables.table(["", *(f"`{name}`" for name in names)], rows, len(names)))


def show(runs: dict[str, Trained], count: int = 40) -> HTML:
    """A line a run, under its words: its curve, all on one scale, and `count` samples, from the same latents."""
    histories, parts = [run.history for run in runs.values()], []
    for words, run in runs.items():
        curve = figures.training(run.history, run.model.description, histories, compact=True)
        pair = curve.html() + figures.gallery(Scorecard.images(run.model, count)).html()
        parts.append(f'<p><b>{words}</b></p><div style="display: flex; align-items: center; gap: 20px">{pair}</div>')
    return HTML("".join(parts))
