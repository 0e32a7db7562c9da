"""The scorecard that all models share: generated images against a dataset's real ones, seen through a small classifier.

Everything here is drawn with a seed of its own: scoring twice gives the same numbers. What a dataset cannot show gets
no number but a reason.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lib.data import cache
from lib.runs import keys
from lib.scores import drawing, estimates
from lib.scores.classifier import FURTHER, Classifier, classifier, further
from lib.scores.estimates import COMPARED, SEED, parts, some, too_few

BINS = 100  # of NDB, at most one for ten of the images that are scored: with fewer in a bin no test sees anything
BIN_IMAGES = 45_000  # training images that the bins are fitted to, at most
COMPONENTS = 64  # of the pixels' principal components, where there is no classifier


class Scorecard:
    """Scores generated images against a dataset's test images, with what the same scores are for other images.

    Both sides have `count` images: four fifths of the images held out of all training, so that as many are left when
    a class is removed from them. Bins, features and references are made once per dataset and cached.

    Args:
        dataset: a `data.Dataset`, however it is split: scores do not depend on the run's own split.
        say: called with one line before something slow begins.

    Attributes:
        held_out: images of no training, uint8 [N, H, W, C].
        references: {score: {kind of images: value}}.
        absent: {score: why this dataset has no such number}.
    """

    def __init__(self, dataset, say=print):
        dataset = dataset.split_again(5000)
        self.dataset, self.held_out, self.test = dataset, dataset.x_validation, dataset.x_test
        self.count = min(len(dataset.x_test), len(dataset.x_validation) * 4 // 5)
        self.classifier = None if without_classes(dataset) else classifier(dataset, say)
        key = cache_key(dataset, "Scorecard") | {
            "classifier": self.classifier and digest(self.classifier.network.get_weights())
        }
        folder = cache.cached(f"scorecard-{dataset.name}", key, lambda folder: self._make(folder, dataset, say))
        with np.load(folder / "real.npz") as arrays:
            self.real = dict(arrays)
        self.bins = estimates.Bins(self.real["centres"], self.real["counts"])
        self.references = json.loads((folder / "references.json").read_bytes())
        self.absent = json.loads((folder / "absent.json").read_bytes())

    def _make(self, folder: Path, dataset, say) -> None:
        say(f"scoring real and damaged images of {dataset.name}: once for this dataset, then it is kept")
        chosen = some(dataset.x_train, BIN_IMAGES)
        bins = max(2, min(BINS, self.count // 10, _different(chosen, BINS)))
        self.bins = estimates.Bins.fit(estimates.rows(chosen), bins, seed=0)
        test = some(dataset.x_test, self.count)
        self.real = {"centres": self.bins.centres, "counts": self.bins.counts, "sharpness": estimates.sharpness(test)}
        if self.classifier is None:
            self.real |= principal_components(estimates.rows(some(dataset.x_train, 10_000)), self.count)
        self.real["features"], probabilities = self.features(test)
        self.real["classes"] = _histogram(probabilities)
        self.absent = self._absent(dataset, test)
        found = {name: self.scores(images) for name, images in self._references(dataset).items()}
        references = {name: {which: scores[name] for which, scores in found.items()} for name in found["real"]}
        np.savez(folder / "real.npz", **self.real)
        (folder / "references.json").write_text(json.dumps(references), encoding="utf-8")
        (folder / "absent.json").write_text(json.dumps(self.absent), encoding="utf-8")

    def _absent(self, dataset, test: np.ndarray) -> dict[str, str]:
        found = {}
        if not self.real["sharpness"]:
            found["sharpness"] = "the test images have no edges"
        if _different(test, len(test)) * (estimates.NEIGHBOURS + 1) <= len(test):  # then neighbours are copies
            found |= dict.fromkeys(("precision", "recall"), "the test images repeat each other")
        if self.count < COMPARED:
            sets = (self._frechet, "precision", "recall", "ndb", "ndb_js", "class_kl")
            found |= dict.fromkeys(sets, too_few(self.count, COMPARED))
        if why := without_classes(dataset):
            found |= dict.fromkeys(("frechet", "precision", "recall", "class_kl", "confidence"), why)
        return found

    def _references(self, dataset) -> dict[str, np.ndarray]:
        """Real images that no training saw, whole and with known damage, `count` of each."""
        held_out, labels = dataset.x_validation, dataset.y_validation
        real = some(held_out, self.count)
        found = {"real": real, **estimates.damaged(real, SEED)}
        if labels is not None and (labels != labels.max()).sum() >= self.count:
            found["class_removed"] = some(held_out[labels != labels.max()], self.count)
        return found

    @property
    def _frechet(self) -> str:
        return "frechet" if self.classifier else "frechet_pixels"

    def features(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features [N, D] of uint8 [N, H, W, C], and class probabilities [N, K]; K is 0 without classifier."""
        if self.classifier:
            return self.classifier(images)
        projected = [(estimates.rows(part) - self.real["mean"]) @ self.real["components"].T for part in parts(images)]
        return np.concatenate(projected), np.zeros((len(images), 0))

    def scores(self, images: np.ndarray) -> dict[str, float]:
        """The scores of uint8 images [N, H, W, C], all but the absent; N should be `count`, as for the references."""
        features, probabilities = self.features(images)
        real = self.real
        every = {
            ("sharpness",): lambda: [estimates.sharpness(images) / float(real["sharpness"])],
            (self._frechet,): lambda: [estimates.frechet_distance(features, real["features"])],
            ("precision", "recall"): lambda: estimates.precision_recall(real["features"], features),
            ("ndb", "ndb_js"): lambda: self.bins.scores(estimates.rows(images)),
            ("class_kl",): lambda: [estimates.histogram_kl(_histogram(probabilities), real["classes"])],
            ("confidence",): lambda: [float(probabilities.max(axis=1).mean())],
        }
        scored = {names: score() for names, score in every.items() if names[0] not in self.absent}
        return {name: value for names, values in scored.items() for name, value in zip(names, values, strict=True)}

    def further(self, images: np.ndarray, say=print) -> list[dict]:
        """The Frechet distance of images, as `scores` takes them, by each further classifier, as a run records it.

        Returns:
            "seed", "accuracy", "metrics" {"frechet": value} and "references" {"frechet": {kind of images: value}} of
            each; none where the dataset has no such distance.
        """
        if self.classifier is None or "frechet" in self.absent:
            return []
        return [self._by(further(self.dataset, self.classifier, seed, say), seed, images) for seed in FURTHER]

    def _by(self, judge: Classifier, seed: int, images: np.ndarray) -> dict:
        def make(folder: Path) -> None:
            real = judge(some(self.test, self.count))[0]
            marks = {
                name: estimates.frechet_distance(judge(each)[0], real)
                for name, each in self._references(self.dataset).items()
            }
            np.savez_compressed(folder / "real.npz", features=real)
            (folder / "references.json").write_text(json.dumps(marks), encoding="utf-8")

        key = cache_key(self.dataset, "Scorecard", "further", "_by") | {"classifier": digest(judge.weights)}
        folder = cache.cached(f"scorecard{seed}-{self.dataset.name}", key, make)
        with np.load(folder / "real.npz") as arrays:
            distance = estimates.frechet_distance(judge(images)[0], arrays["features"])
        marks = json.loads((folder / "references.json").read_bytes())
        numbers = {"metrics": {"frechet": distance}, "references": {"frechet": marks}}
        return {"seed": seed, "accuracy": judge.accuracy, **numbers}

    @staticmethod
    def images(model, count: int) -> np.ndarray:
        """The first `count` images of a model, uint8: the same latents for every run of this latent dimension."""
        return drawing.decode(model, drawing.latents(count, model.latent_dim))

    def once(self, what: str, of: dict, code: tuple[str, ...], make: Callable[[], dict]) -> dict:
        """Numbers that are made once for this dataset, and kept.

        Args:
            what: begins the name under which they are kept.
            of: what they depend on beside the dataset and the code, in JSON's types.
            code: names of the functions that make them.
        """

        def write(folder: Path) -> None:
            (folder / "numbers.json").write_text(json.dumps(make()), encoding="utf-8")

        folder = cache.cached(f"{what}-{self.dataset.name}", cache_key(self.dataset, *code) | of, write)
        return json.loads((folder / "numbers.json").read_bytes())

    def about(self) -> dict:
        """What a run records of what it was scored with."""
        accuracy = self.classifier.accuracy if self.classifier else None
        return {
            "classifier_accuracy": accuracy,
            "classifier_test_n": len(self.test),
            "bins": len(self.bins.centres),
            "n": self.count,
        }


def without_classes(dataset) -> str:
    """Why there can be no classifier of a dataset; '' where there can."""
    if dataset.y_train is None:
        return "the dataset has no labels"
    return "" if np.ptp(dataset.y_train) else "the training images have one label only"


def digest(weights: Sequence[np.ndarray]) -> str:
    """sha256 of a network's weights: features of one classifier cannot be compared with those of another."""
    return hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest()


def cache_key(dataset, *code: str) -> dict:
    """What is computed once for a dataset depends on: its images, and the code that these names lead to."""
    return {"data": dataset.sha256, "sources": keys.sources(keys.EVALUATION, code), "versions": keys.versions()}


def principal_components(points: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Mean [D] and first principal components [C, D] of rows [N, D].

    Args:
        count: of the images that will be compared. The covariance of many components would be no more than noise in
            few images, so there are at most a fifth as many components.
    """
    from sklearn.decomposition import PCA  # imported late: it takes a second

    components = min(COMPONENTS, max(2, count // 5), *points.shape)
    fitted = PCA(components, svd_solver="randomized", random_state=0).fit(points)
    return {"mean": fitted.mean_, "components": fitted.components_}


def _different(images: np.ndarray, most: int) -> int:
    """How many different images there are, counted no further than `most`."""
    seen = set()
    for image in images:
        if len(seen) >= most:
            break
        seen.add(image.tobytes())
    return len(seen)


def _histogram(probabilities: np.ndarray) -> np.ndarray:
    return (
        np.bincount(probabilities.argmax(axis=1), minlength=probabilities.shape[1])
        if probabilities.size
        else np.zeros(0)
    )
