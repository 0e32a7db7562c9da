"""What all models share: the frame around a Keras model of images that has latents, and its losses' common terms.

A model is a class whose `train_step` is the algorithm; `fit()` stays the loop. Every model takes uint8 images
[B, H, W, C] as they lie in memory and scales them to [0, 1] inside the compiled step. Each draws its random numbers
from `keras.random.SeedGenerator`s of its own, whose state is a function of the seed and the number of steps taken.
Losses are in nats per image.

A class becomes a `keras.Model` when it is first called: until then, neither Keras nor TensorFlow is imported.
"""

from __future__ import annotations

import linecache
import sys
from dataclasses import asdict
from functools import cache
from typing import ClassVar

import numpy as np

from lib.backend import Lazy, keras, ops, tf
from lib.errors import UserError
from lib.models.description import Description, Settings
from lib.models.layers import facts, stream

custom = Lazy("lib.models.custom")


def unit_range(images):
    """uint8 [B, H, W, C] in 0..255 -> float32 in [0, 1]."""
    return ops.cast(images, "float32") / 255.0


def per_image(values):
    """Sum over everything but the batch: [B, ...] -> [B]. Mixing this sum with a mean weighs the KL wrongly."""
    return ops.sum(ops.reshape(values, (ops.shape(values)[0], -1)), axis=1)


@cache
def _keras_class(kind: type) -> type:
    return type(kind.__name__, (kind, keras.Model), {"__module__": kind.__module__, "__doc__": kind.__doc__})


class ImageModel:
    """A model of images. A subclass builds its networks, and says what a step is and how it is described.

    Args:
        settings: of the run.
        shape: of the images, (H, W, C).

    Attributes:
        networks: what a run saves, keras.Models by name.
        optimizers: Keras' optimizers by what they update; set when the training begins.
        drawn: the digest of the networks' weights as `models.build` left them.
        source: the code of the notebook's cell, or of the file, that defined the class; "" for those of lib.
    """

    Settings: ClassVar[type[Settings]] = Settings
    images_per_second: ClassVar[tuple[int, int]] = (7_000, 2_100)  # mlp, one core: 28x28 grey, 32x32 colour
    source: ClassVar[str] = ""
    _newest: ClassVar[dict[tuple[str, str], str]] = {}  # the source by module and name of the class

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        place = sys._getframe(1)  # where the class statement stands: IPython keeps each cell's code as it was run
        if place.f_globals.get("__name__") == cls.__module__ and not cls.__module__.startswith("lib."):
            cls.source = "".join(linecache.getlines(place.f_code.co_filename))
            ImageModel._newest[cls.__module__, cls.__name__] = cls.source

    def __new__(cls, *args, **kwargs):
        if issubclass(cls, keras.Model):
            return super().__new__(cls, *args, **kwargs)
        kind = _keras_class(cls)
        return kind.__new__(kind, *args, **kwargs)

    def __init__(self, settings: Settings, shape: tuple[int, int, int]):
        super().__init__(name=type(self).__name__.lower())
        self.settings, self.image_shape, self.drawn = settings, tuple(shape), ""
        self.description = self.describe(settings)
        self.means = {name: keras.metrics.Mean(name=name) for name in self.description.columns}
        self.training_seed = keras.random.SeedGenerator(stream(settings.seed, 0))
        self.testing_seed = keras.random.SeedGenerator(stream(settings.seed, 1))  # of what is measured between epochs
        self.optimizers = {}

    # -- what a subclass says

    @classmethod
    def describe(cls, settings: Settings) -> Description:
        """The words by which tables, figures and reports speak of this model."""
        raise NotImplementedError

    @property
    def networks(self) -> dict[str, keras.Model]:
        raise NotImplementedError

    def make_optimizers(self) -> dict[str, keras.Optimizer]:
        """The optimizers, each by the network that it updates, or by another name if it updates all; the last one takes
        its step when the others have."""
        raise NotImplementedError

    def generate(self, z):
        """Images [B, H, W, C] in [0, 1] of latents [B, latent_dim]."""
        raise NotImplementedError

    def arranged(self, z: np.ndarray) -> np.ndarray:
        """Latents [N, latent_dim] of a gallery as it shows them: by class if the latents have one."""
        return z

    def encode(self, images):
        """Latents [B, latent_dim] of uint8 images [B, H, W, C]; None for a model that cannot encode."""
        return None

    def fitted_latents(self, images: np.ndarray, count: int) -> np.ndarray | None:
        """Latents [count, latent_dim] of a density that is fitted to where the encoder puts training images, uint8
        [N, H, W, C]; None for a model without encoder."""
        return None

    def kl_per_latent(self, images):
        """What each latent tells of an image: KL to the prior, nats, the mean over uint8 images [B, H, W, C] ->
        [latent_dim]; None for a model that does not encode as a distribution."""
        return None

    def numbers(self, dataset, card) -> dict[str, dict]:
        """The model's own numbers, drawn with seeds of their own.

        Args:
            dataset: a `data.Dataset`.
            card: the `scores.Scorecard` of the dataset.

        Returns:
            "metrics" {name: value}, and of these names "references" {reference: value} and "samples_n", the images
            used; "absent" {name: why there is no such number}.
        """
        return {"metrics": {}, "references": {}, "samples_n": {}, "absent": {}}

    def begin(self, x_train: np.ndarray, x_validation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is done once before training; returns the images to train on and to validate with."""
        return x_train, x_validation

    # -- what all have

    @property
    def latent_dim(self) -> int:
        return self.settings.latent_dim

    @property
    def classes(self) -> int:
        """The number of classes whose labels the training needs beside the images; 0: it needs none."""
        return 0

    @classmethod
    def images_a_step(cls, settings: Settings) -> int:
        """Images that one training step takes."""
        return settings.batch_size

    @property
    def outdated(self) -> bool:
        """Whether a class of this name has been defined with other code since this model was built."""
        return self.source != self._newest.get((type(self).__module__, type(self).__name__), self.source)

    @property
    def steps_taken(self) -> int:
        """Calls of `train_step` since the training began."""
        return int([*self.optimizers.values()][-1].iterations)

    def facts(self) -> dict[str, dict]:
        """What a run records of its model: each network's layers and number of parameters, description and source."""
        return {**facts(self.networks), "model": asdict(self.description), "source": self.source}

    def effort(self) -> dict:
        """What the training took: "steps" of each optimizer by what it updates, and "images_seen" in all epochs."""
        steps = {name: int(one.iterations) for name, one in self.optimizers.items()}  # the judge's first: it sees all
        return {"steps": steps, "images_seen": next(iter(steps.values())) * self.settings.batch_size}

    def prepare(self) -> None:
        """Makes the optimizers; a training can then begin, or go on from a checkpoint."""
        # On one core, as in studies, a step with XLA took 9 to 53 % longer (mlp), or 7 to 14 times as long (conv).
        self.compile(optimizer=None, jit_compile=self.settings.jit_compile)
        self.optimizers = self.make_optimizers()
        for name, one in self.optimizers.items():  # their state must be there for a checkpoint to be put in
            one.build(self.weights_of(name))

    def weights_of(self, name: str) -> list:
        """The weights that the optimizer of this name updates."""
        return (self.networks.get(name) or self).trainable_weights

    def variables_of_training(self) -> list:
        """Every variable that the next epoch depends on: weights, states of random generators, and of the optimizers.

        What the metrics hold is none of these: `fit()` resets them at each epoch's start.
        """
        return [*self.variables, *(variable for one in self.optimizers.values() for variable in one.variables)]

    @property
    def metrics(self):
        return list(self.means.values())

    def report(self, **values):
        """Adds a step's numbers to the running means and returns these."""
        if values.keys() != self.means.keys():
            given, known = (", ".join(names) for names in (values, self.means))
            raise UserError(f"a step reports {given}, but the columns of the model's description are {known}")
        for name, value in values.items():
            self.means[name].update_state(value)
        return {name: mean.result() for name, mean in self.means.items()}

    def make_train_function(self, force=False):
        if force or self.train_function is None:
            self.train_function = self._on_blocks(self.train_step, self.jit_compile)

    def make_test_function(self, force=False):
        if force or self.test_function is None:
            self.test_function = self._on_blocks(self.test_step, jit_compile=False)

    def _on_blocks(self, step, jit_compile):
        """What `fit()` calls: takes a block of minibatches, [K, B, ...], and makes a step on each in one compiled loop.
        With labels, a block is the pair of both.

        Keras' own loop, steps_per_execution, asks the pipeline for each minibatch: a step of the mlp VAE took 3 to 5 %
        longer, of GAN and WGAN as long.
        """

        @tf.function(jit_compile=jit_compile, autograph=False)
        def steps(block):
            def one(number):
                step(tf.nest.map_structure(lambda each: each[number], block))
                return number + 1

            length = tf.shape(tf.nest.flatten(block)[0])[0]
            tf.while_loop(lambda number: number < length, one, [tf.constant(0)])
            return self.get_metrics_result()

        return lambda iterator: steps(next(iterator))


class Adversarial(ImageModel):
    """A generator, and the network that judges its images against real ones; each has an optimizer of its own.

    Batch by batch, a step makes images of latents from the prior and shows them to the judge beside real ones.
    """

    estimate_name: ClassVar[str]  # of the number that `estimate` gives, as "jsd"

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        self.generator = self.build_generator()
        self.judge = self.build_judge()

    def build_generator(self) -> keras.Model:
        """Latents [B, latent_dim] -> images [B, H, W, C] in [0, 1]."""
        raise NotImplementedError

    def build_judge(self) -> keras.Model:
        """Images [B, H, W, C] in [0, 1] -> one number each, [B, 1]; its name is that of the saved network."""
        raise NotImplementedError

    def estimate(self, real, fake):
        """What the judge's outputs for real and generated images, [N, 1] both, say of their distance -> scalar."""
        raise NotImplementedError

    @property
    def networks(self):
        return {"generator": self.generator, self.judge.name: self.judge}

    def latents(self, count, seed):
        """Prior samples, standard normal [count, latent_dim]."""
        return keras.random.normal((count, self.latent_dim), seed=seed)

    def generate(self, z):
        return self.generator(z, training=False)

    def arranged(self, z):
        if not self.classes:
            return z
        z, rows = z.copy(), np.arange(len(z))
        class_, wanted = z[:, : self.classes].argmax(axis=1), rows * self.classes // len(z)
        z[rows, class_], z[rows, wanted] = z[rows, wanted], z[rows, class_]  # still draws of the prior, given the class
        return z

    def images_and_classes(self, batch):
        """Of a batch from the pipeline the images [B, H, W, C] in [0, 1], and their classes, one-hot [B, classes] or
        None."""
        if not self.classes:
            return unit_range(batch), None
        images, labels = batch
        return unit_range(images), ops.one_hot(labels, self.classes)

    def classes_of(self, latents):
        """The classes of latents [B, latent_dim], one-hot [B, classes]; None without classes."""
        return custom.class_of(latents, self.classes) if self.classes else None

    def scores(self, images, classes=None, training=False):
        """The judge's outputs, [B, 1], for images [B, H, W, C] in [0, 1] of these classes, one-hot [B, classes]."""
        return self.judge([images, classes] if self.classes else images, training=training)

    def update(self, network, tape, loss) -> None:
        """One optimizer step of a network on the gradient of its loss."""
        weights = network.trainable_weights
        gradients = tape.gradient(loss, weights)
        self.optimizers[network.name].apply_gradients(zip(gradients, weights, strict=True))

    def judged(self, images: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """The judge's outputs [N, 1] for uint8 images [N, H, W, C] with these labels [N], in inference mode."""
        from lib.scores import estimates

        if not self.classes:
            return judged(self.judge, images)
        batches = zip(estimates.parts(images), estimates.parts(labels), strict=True)
        return np.concatenate([self.scores(*self.images_and_classes(batch)) for batch in batches])

    def judged_fakes(self, card, count: int) -> np.ndarray:
        """The judge's outputs for the scorecard's first `count` generated images, [count, 1]."""
        from lib.scores.drawing import latents

        labels = latents(count, self.latent_dim)[:, : self.classes].argmax(axis=1) if self.classes else None
        return self.judged(card.images(self, count), labels)

    def numbers(self, dataset, card):
        """`estimate` by the final judge on as many training images as there are test images, on validation and on test
        images, each against as many generated ones: a gap between the first and the others means overfitting.

        The references of the last have held-out images, whole and damaged, in place of the generated ones.
        """
        from lib.scores import estimates

        name, count = self.estimate_name, len(dataset.x_test)
        labels = (dataset.y_train, dataset.y_validation, dataset.y_test) if self.classes else (None,) * 3
        splits = {
            "train": (estimates.some(dataset.x_train, count), self.classes and estimates.some(labels[0], count)),
            "validation": (dataset.x_validation, labels[1]),
            "test": (dataset.x_test, labels[2]),
        }
        splits = {f"{name}_{split}": pair for split, pair in splits.items() if len(pair[0])}
        found = {key: self.judged(*pair) for key, pair in splits.items()}
        fake = self.judged_fakes(card, max(map(len, found.values())))
        others = {"real": card.held_out, **estimates.damaged(card.held_out, estimates.SEED)}
        held_out = card.dataset.y_validation if self.classes else None
        return {
            "metrics": {key: float(self.estimate(scores, fake[: len(scores)])) for key, scores in found.items()},
            "references": {
                f"{name}_test": {
                    which: float(self.estimate(found[f"{name}_test"], self.judged(images, held_out)))
                    for which, images in others.items()
                }
            },
            "samples_n": {key: len(scores) for key, scores in found.items()},
            "absent": {} if len(dataset.x_validation) else {f"{name}_validation": "validation is 0"},
        }


def judged(judge: keras.Model, images: np.ndarray) -> np.ndarray:
    """A network's outputs for uint8 images [N, H, W, C], in inference mode."""
    from lib.scores import estimates

    return np.concatenate([judge(unit_range(part), training=False) for part in estimates.parts(images)])
