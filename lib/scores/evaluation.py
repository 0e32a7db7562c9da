"""The numbers of a trained run, each beside references of the same estimator at the same sample size, and the images
that it keeps.

Everything here is drawn with seeds of its own: evaluating twice gives the same numbers. Test images are used only here.
"""

import math
import time
from pathlib import Path

import numpy as np

from lib import data, models, runs
from lib.backend import keras
from lib.errors import UserError
from lib.provenance import LOAD_AGAIN, Made, check_built, networks_digest
from lib.runs import keys
from lib.scores import estimates
from lib.scores.card import Scorecard
from lib.scores.drawing import decode, latents

GRID = 36  # images of the fixed-latent gallery
SAMPLES = 100  # prior samples kept with a run
OPTIONAL = ("absent", "further_classifiers")  # parts of what `evaluate` returns
SHOWN = 10  # of these are shown beside the nearest training image


class Snapshots(keras.callbacks.Callback):
    """The fixed-latent gallery at a few epochs, ever further apart, the last one included: [E, 36, H, W, C].

    Args:
        epochs: of the training.
        kept: how many galleries at most.
    """

    def __init__(self, epochs: int, kept: int = 6):
        super().__init__()
        self.wanted = {round(epoch) for epoch in np.geomspace(1, epochs, kept)}
        self.epochs, self.images, self.done = [], [], 0

    def on_epoch_end(self, epoch, logs=None):
        self.done = epoch + 1
        if self.done in self.wanted:
            self.keep()

    def on_train_end(self, logs=None):
        if self.done and self.done not in self.epochs:  # it was stopped early
            self.keep()

    def keep(self) -> None:
        self.epochs.append(self.done)
        self.images.append(decode(self.model, self.model.arranged(latents(GRID, self.model.latent_dim))))


def samples(model, dataset, snapshots: Snapshots) -> dict[str, np.ndarray]:
    """The images that a run keeps in `samples.npz`: galleries, final samples and the training images nearest to the
    first of them; for a model that can encode, its latent space too."""
    if not snapshots.images or snapshots.model is not model:
        raise UserError("these snapshots are not of this model's training: run the cells from `models.build` on again")
    kept = {
        "grid_epochs": np.array(snapshots.epochs),
        "grids": np.stack(snapshots.images),
        "samples": decode(model, model.arranged(latents(SAMPLES, model.latent_dim))),
    }
    if (fitted := model.fitted_latents(dataset.x_train, SAMPLES)) is not None:
        kept["fitted"] = decode(model, fitted)
    kept["nearest"] = dataset.x_train[estimates.nearest(kept["samples"][:SHOWN], dataset.x_train)]
    return Made(kept | latent_space(model, dataset), networks_digest(model.networks), None, dataset.record())


def latent_space(model, dataset, count: int = 2000) -> dict[str, np.ndarray]:
    """Reconstructions of ten test images, a map of where test images lie, and for two latents the decoded plane.

    Nothing of a model that cannot encode.
    """
    if model.encode(dataset.x_test[:1]) is None:
        return {}
    from sklearn.decomposition import PCA  # imported late: it takes a second

    means = np.concatenate([model.encode(part) for part in estimates.parts(dataset.x_test[:count])])
    points = means if means.shape[1] <= 2 else PCA(2, svd_solver="full").fit_transform(means)
    if points.shape[1] == 1:
        points = np.column_stack([points, np.zeros_like(points)])
    kept = {
        "originals": dataset.x_test[:10],
        "reconstructions": decode(model, means[:10]),
        "latent_map": points.astype(np.float32),
    }
    if dataset.y_test is not None:
        kept["labels"] = dataset.y_test[:count].astype(np.uint16)
    if means.shape[1] == 2:
        ticks, z = plane_latents()
        kept |= {"plane": decode(model, z), "plane_ticks": ticks}
    return kept


def plane_latents(side: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Latents on a square that covers 95 % of the prior evenly in probability (Kingma & Welling 2014, appendix A).

    Returns:
        ticks [side] and latents [side * side, 2], row by row from the largest z_2 down.
    """
    from scipy.stats import norm

    ticks = norm.ppf(np.linspace(0.025, 0.975, side)).astype(np.float32)
    z_1, z_2 = np.meshgrid(ticks, ticks[::-1])
    return ticks, np.column_stack([z_1.ravel(), z_2.ravel()])


def load(settings, shape, folder: Path, without: tuple[str, ...] = ()):
    """The trained model of a finished run.

    Args:
        shape: of the images, [H, W, C].
        folder: the run's.
        without: names of networks that may be missing; they stay untrained.

    Raises:
        ValueError: a saved network does not fit these settings, or holds code (a Lambda layer), which is never run.
    """
    model = models.build(settings, shape)
    for name, network in model.networks.items():
        path = folder / "model" / f"{name}.keras"
        if name not in without or path.exists():
            saved = keras.models.load_model(path, compile=False, safe_mode=True)
            network.set_weights(saved.get_weights())
    return model


def evaluate(model, dataset, settings, say=print) -> dict[str, dict]:
    """All numbers of a trained model.

    Args:
        dataset: a `data.Dataset`.
        settings: of the run.
        say: called with one line before something slow begins.

    Returns:
        "metrics" {name: value}, "references" {metric: {reference: value}}, "samples_n" {metric: images used}, and
        "scorecard", what the scores were made with; "further_classifiers", the Frechet distance by each of them, as
        `Scorecard.further` gives it; where some numbers cannot be had, "absent" {metric: why not}.

    Raises:
        UserError: the model was built with other settings.
    """
    check_built(model, settings, besides="epochs")
    if dataset.changed:
        raise UserError(f"the images are not as `data.load` gave them: {LOAD_AGAIN}")
    card = Scorecard(dataset, say)
    images = card.images(model, card.count)
    metrics = card.scores(images)
    untrained = models.build(settings, dataset.shape, type(model))  # the seed gives the untrained network again
    before = card.scores(card.images(untrained, card.count))
    shared = {
        "metrics": metrics,
        "references": {name: marks | {"untrained": before[name]} for name, marks in card.references.items()},
        "samples_n": dict.fromkeys(metrics, card.count),
    }
    own = model.numbers(dataset, card)
    found = {part: own[part] | shared[part] for part in shared} | {"scorecard": card.about()}
    found["references"] = {name: _finite(marks) for name, marks in found["references"].items()}
    if further := card.further(images, say):
        found["further_classifiers"] = further
    if absent := own["absent"] | card.absent:
        found["absent"] = absent
    return Made(found, networks_digest(model.networks), settings, dataset.record())


def _finite(marks: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in marks.items() if math.isfinite(value)}


def score_again(folder: Path, settings) -> None:
    """Computes the numbers of a finished run anew, from its saved networks, and puts them into its result.json."""
    dataset = data.load(settings.dataset, settings.validation)
    found = evaluate(load(settings, dataset.shape, folder), dataset, settings, say=lambda line: None)
    earlier = {name: value for name, value in runs.read_result(folder).items() if name not in OPTIONAL}
    result = earlier | found | {"evaluated": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    result["keys"]["evaluation"] = keys.evaluation_key(settings)
    runs.write_result(folder, result)
