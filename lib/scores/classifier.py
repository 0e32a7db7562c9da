"""The project's own classifier: a small convolutional network whose features the scorecard compares images by.

It is trained once per dataset, on all training images but 5,000, and cached beside the downloaded datasets. Its
features are not those of Inception: a Frechet distance on them is not an "FID".

From another seed the same network learns other features, by which a Frechet distance is another. So there are two
further classifiers, of which nothing is used but that distance: it shows how far a result depends on the classifier.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.backend import Lazy, keras, tf, untuned
from lib.data import cache
from lib.runs import keys
from lib.scores import estimates

layers = Lazy("keras.layers")
FEATURES = 64
SEED = 1
FURTHER = (2, 3)  # seeds of the further classifiers


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
        network: images [B, H, W, C] in [0, 1] -> features [B, 64] and logits [B, classes].
        accuracy: on the test images, 0 to 1.
        weights: those to use in place of the network's own, if any: to load another network would take longer.
    """

    network: keras.Model
    accuracy: float
    weights: tuple[np.ndarray, ...] = ()

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [N, H, W, C] -> features [N, 64] and class probabilities [N, classes], float32."""
        found = [self._outputs(part / np.float32(255)) for part in estimates.parts(images)]
        features, logits = (np.concatenate(each) for each in zip(*found, strict=True))
        return features, keras.ops.convert_to_numpy(keras.ops.softmax(logits))

    def _outputs(self, images: np.ndarray) -> list:
        if not self.weights:
            return self.network(images, training=False)
        own = dict(zip(map(id, self.network.weights), self.weights, strict=True))  # without dropout's random state
        kinds = (self.network.trainable_variables, self.network.non_trainable_variables)
        return self.network.stateless_call(*([own.get(id(one), one) for one in kind] for kind in kinds), images)[0]


def classifier(dataset, say: Callable[[str], None] = print) -> Classifier:
    """The classifier of a labelled dataset: from the cache, or trained now.

    Args:
        dataset: a `data.Dataset`, split as `data.load(name)` does by default.
        say: called with one line before training starts.
    """

    def make(folder: Path) -> None:
        say(f"training the classifier whose features score {dataset.name}: once for this dataset, then it is kept")
        _train(dataset, folder, SEED).save(folder / "classifier.keras")

    folder = cache.cached(f"classifier-{dataset.name}", _key(dataset, SEED), make)
    return Classifier(keras.models.load_model(folder / "classifier.keras", compile=False), _accuracy(folder))


def further(dataset, first: Classifier, seed: int, say: Callable[[str], None] = print) -> Classifier:
    """A further classifier of a dataset, from the cache or trained now.

    Args:
        dataset, say: as for `classifier`, which gave the `first`.
        seed: one of FURTHER.
    """

    def make(folder: Path) -> None:
        say(f"training a further classifier of {dataset.name}, from seed {seed}: once, then it is kept")
        weights = _train(dataset, folder, seed).get_weights()
        np.savez_compressed(folder / "weights.npz", *(each.astype(np.float16) for each in weights))  # half the size

    folder = cache.cached(f"classifier{seed}-{dataset.name}", _key(dataset, seed), make)
    with np.load(folder / "weights.npz") as arrays:
        weights = tuple(arrays[name].astype(np.float32) for name in arrays.files)
    return Classifier(first.network, _accuracy(folder), weights)


def _key(dataset, seed: int) -> dict:
    sources = keys.sources(("backend", "scores/classifier"), ("_train",))
    return {"data": dataset.sha256, "sources": sources, "versions": keys.versions(), "seed": seed}


def _accuracy(folder: Path) -> float:
    return json.loads((folder / "about.json").read_bytes())["accuracy"]


def build(shape: tuple[int, int, int], classes: int, seed: int = SEED) -> keras.Model:
    """The untrained network: three convolutions, the last two strided, and two Dense layers."""
    images = hidden = keras.Input(shape, name="images")
    for channels, stride in ((32, 1), (64, 2), (128, 2)):
        hidden = layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False)(hidden)
        hidden = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(hidden))
    hidden = layers.Flatten()(layers.AveragePooling2D(2, padding="same")(hidden))
    hidden = layers.Dense(FEATURES, use_bias=False)(layers.Dropout(0.3, seed=seed)(hidden))
    # Normalised before the nonlinearity: otherwise nine of ten features of colour images were always zero.
    features = layers.Activation("relu", name="features")(layers.BatchNormalization(momentum=0.9)(hidden))
    logits = layers.Dense(classes, name="logits")(features)
    return keras.Model(images, [features, logits], name="classifier")


def _train(dataset, folder: Path, seed: int) -> keras.Model:
    """A network trained on x_train, y_train; writes about.json with its test accuracy."""
    keras.utils.set_random_seed(seed)
    count, labels = len(dataset.x_train), dataset.y_train
    network = build(dataset.shape, 1 + int(max(labels.max(), dataset.y_test.max())), seed)
    epochs = max(5, math.ceil(700 / math.sqrt(count)))  # 5 for MNIST and CIFAR-10, 20 for 1,294 images
    batch = min(64, count)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * (count // batch))
    fitted = keras.Sequential([layers.Rescaling(1 / 255), keras.Model(network.input, network.outputs[1])])
    fitted.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
        steps_per_execution=32,
    )
    pairs = tf.data.Dataset.from_tensor_slices((dataset.x_train, labels)).shuffle(count, seed).batch(batch)
    fitted.fit(untuned(pairs.prefetch(2)), epochs=epochs, shuffle=False, verbose=0)
    _, probabilities = Classifier(network, 0.0)(dataset.x_test)
    accuracy = float((probabilities.argmax(axis=1) == dataset.y_test).mean())
    (folder / "about.json").write_text(json.dumps({"accuracy": accuracy, "epochs": epochs}), encoding="utf-8")
    return network
