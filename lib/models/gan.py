"""A GAN (Goodfellow et al. 2014, arXiv:1406.2661) with the non-saturating loss: all that is particular to it."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import model_validator

from lib.backend import Lazy, keras, ops, tf, untuned
from lib.models import layers
from lib.models.base import Adversarial, judged
from lib.models.description import Description, Settings, integer, share

custom = Lazy("lib.models.custom")

LOG_2 = math.log(2.0)
CLASSES_SAID = (
    "The GAN is class-conditional: the largest of the first {} latents says which class an image is of. Galleries show "
    "one class after another."
)
SPLITS = ("train", "validation", "test")
DROPOUT = 0.3  # of the mlp discriminator: without it, galleries of mlp GANs on MNIST lost most digits but 4, 7 and 9


class GANSettings(Settings):
    """A GAN's settings.

    `classes`: the number of the dataset's classes for a class-conditional GAN, 0 for another.
    `ema`: how much of the generator's average over the steps each step keeps; the average is what generates. 0: none.
    """

    beta_1: share()
    loss: Literal["non_saturating", "hinge"]
    spectral_norm: bool
    classes: integer(0, 1000)
    ema: share()

    @model_validator(mode="after")
    def _latents_for_classes(self):
        if self.classes > self.latent_dim:
            raise ValueError(f"classes = {self.classes}: expected at most latent_dim, which is {self.latent_dim}")
        return self


# ---- losses --------------------------------------------------------------------------------------


def discriminator_loss(real_logits, fake_logits):
    """Mean of the real and the fake cross-entropies, [B, 1] both -> scalar (Goodfellow et al. 2014, eq. 1, halved)."""
    return 0.5 * (ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits)))


def jsd_estimate(discriminator_loss):
    """log 2 - d_loss, in nats, at most 0.6931: in expectation, and on images that the discriminator was not fitted
    to, a lower bound of the Jensen-Shannon divergence (Goodfellow et al. 2014, theorem 1)."""
    return LOG_2 - discriminator_loss


def non_saturating_loss(fake_logits):
    """The generator's loss, -log D(G(z)), [B, 1] -> scalar (Goodfellow et al. 2014, section 3)."""
    return ops.mean(ops.softplus(-fake_logits))


def hinge_loss(real_scores, fake_scores):
    """The discriminator's hinge loss, [B, 1] both -> scalar (Lim & Ye 2017, arXiv:1705.02894, eq. 3)."""
    return ops.mean(ops.relu(1.0 - real_scores)) + ops.mean(ops.relu(1.0 + fake_scores))


def tv_estimate(hinge_loss):
    """1 - hinge loss / 2, at most 1: in expectation, and on images that the discriminator was not fitted to, a lower
    bound of the total variation distance, because no scores have a smaller hinge loss than 2 - 2 TV (Nguyen et al.
    2009, arXiv:math/0510521, section 3)."""
    return 1.0 - 0.5 * hinge_loss


# ---- the model -----------------------------------------------------------------------------------


class GAN(Adversarial):
    """A generator against a discriminator, which says of each image whether it is real."""

    Settings = GANSettings
    images_per_second = (6_500, 2_200)

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        self.learner = self.generator  # the generator that is trained
        if settings.ema:
            self.generator = self.build_generator()
            self.generator.set_weights(self.learner.get_weights())

    @property
    def estimate_name(self):
        return "tv" if self.settings.loss == "hinge" else "jsd"

    @classmethod
    def describe(cls, settings):
        hinge = settings.loss == "hinge"
        name, word, unit = ("tv", "total variation", "") if hinge else ("jsd", "JSD", "nats")
        splits = {f"{name}_{split}": f"{word}, {split}{f' ({unit})' * bool(unit)}" for split in SPLITS}
        kept = "kernels divided by their largest singular value; " * settings.spectral_norm
        return Description(
            title="GAN",
            columns={"d_loss": "discriminator", "g_loss": "generator", name: f"{word} estimate"},
            curve=((name,),),
            losses=(("d_loss", "g_loss"),),
            units=(unit,),
            levels={"1, the maximum": 1.0} if hinge else {"log 2, the maximum": LOG_2},
            headline=f"{name}_test",
            metrics=splits | {"jsd_fresh": "JSD, fresh (nats)"},
            figures=(name,),
            assumptions={"layers of the GAN": f"{settings.network}; {kept}see the tables of layers above"},
            steps=("generator", "discriminator"),
            about=CLASSES_SAID.format(settings.classes) if settings.classes else "",
        )

    @property
    def classes(self):
        return self.settings.classes

    def build_generator(self):
        return layers.generator(self.image_shape, self.settings, self.classes)

    def build_judge(self):
        """The discriminator: images [B, H, W, C] in [0, 1] -> [B, 1], logits of "this image is real" or, for the hinge
        loss, scores; of a class-conditional GAN, it takes the images' classes too, one-hot [B, classes]."""
        return layers.judge(
            self.image_shape,
            self.settings,
            "discriminator",
            scale=2.0,
            dropout=DROPOUT,
            spectral=self.settings.spectral_norm,
            classes=self.classes,
        )

    def weights_of(self, name):
        return (self.learner if name == self.learner.name else self.judge).trainable_weights

    def make_optimizers(self):
        rate, beta_1 = self.settings.learning_rate, self.settings.beta_1
        return {name: custom.FusedAdam(rate, beta_1=beta_1) for name in ("discriminator", "generator")}

    # -- the algorithm

    def judge_loss(self, real, fake):
        """What the discriminator minimises."""
        return (hinge_loss if self.settings.loss == "hinge" else discriminator_loss)(real, fake)

    def generator_loss(self, fake):
        """What the generator minimises."""
        return -ops.mean(fake) if self.settings.loss == "hinge" else non_saturating_loss(fake)

    def train_step(self, batch):
        real, classes = self.images_and_classes(batch)
        latents = self.latents(real.shape[0], self.training_seed)
        wanted = self.classes_of(latents)
        with tf.GradientTape() as generator_tape:
            fake = self.learner(latents, training=True)

        with tf.GradientTape() as tape:
            scores = self.scores(real, classes, training=True), self.scores(fake, wanted, training=True)
            d_loss = self.judge_loss(*scores)
        self.update(self.judge, tape, d_loss)

        with generator_tape:  # continues with the same images: the generator runs once per step
            g_loss = self.generator_loss(self.scores(fake, wanted, training=True))
        self.update(self.learner, generator_tape, g_loss)
        if self.settings.ema:
            self.average()
        return self.report(d_loss=d_loss, g_loss=g_loss, **{self.estimate_name: self.estimate(*scores)})

    def average(self):
        """Moves the generator's weights, an exponential moving average, towards the learner's."""
        for kept, new in zip(self.generator.weights, self.learner.weights, strict=True):
            kept.assign(self.settings.ema * kept + (1.0 - self.settings.ema) * new)

    def test_step(self, batch):
        real, classes = self.images_and_classes(batch)
        latents = self.latents(real.shape[0], self.testing_seed)
        fake = self.generator(latents, training=False)
        scores = self.scores(real, classes), self.scores(fake, self.classes_of(latents))
        d_loss, g_loss = self.judge_loss(*scores), self.generator_loss(scores[1])
        return self.report(d_loss=d_loss, g_loss=g_loss, **{self.estimate_name: self.estimate(*scores)})

    # -- numbers

    def estimate(self, real, fake):
        if self.settings.loss == "hinge":
            return tv_estimate(hinge_loss(real, fake))
        return jsd_estimate(discriminator_loss(real, fake))

    def numbers(self, dataset, card):
        """The estimate by the trained discriminator on each split, JSD in nats or, with the hinge loss, total
        variation; and the JSD estimate by a fresh discriminator.

        It is a bound only where the discriminator was not fitted to the images: the training images' value is none.
        """
        from lib.scores import estimates

        own = super().numbers(dataset, card)
        if "jsd_fresh" not in self.description.metrics:  # a model that was made of this one, with another loss
            return own
        count = min(len(card.held_out), len(dataset.x_test))
        if count < 2 * estimates.COMPARED:  # a half to fit to, a half to score
            own["absent"]["jsd_fresh"] = estimates.too_few(count, 2 * estimates.COMPARED)
            return own
        test, held_out = estimates.some(dataset.x_test, count), estimates.some(card.held_out, count)
        settings = self.settings.model_copy(update={"seed": 0})
        fresh = layers.judge(dataset.shape, settings, "discriminator", scale=2.0, dropout=DROPOUT)

        def references():
            others = {"real": held_out, **estimates.damaged(held_out, estimates.SEED)}
            return {name: fresh_jsd(fresh, test, images) for name, images in others.items()}

        own["metrics"]["jsd_fresh"] = fresh_jsd(fresh, test, card.images(self, count))
        own["references"]["jsd_fresh"] = card.once(
            "fresh", {"network": settings.network}, ("fresh_jsd", "judge"), references
        )
        own["samples_n"]["jsd_fresh"] = count - count // 2  # those that it is scored on
        return own


def fresh_jsd(judge: keras.Model, real: np.ndarray, other: np.ndarray) -> float:
    """The JSD estimate of a discriminator that no generator was trained against, nats.

    It is fitted to four fifths of one half of both sets and scored on the other half: a lower bound of the
    Jensen-Shannon divergence in expectation, whatever the fit. The last fifth says when to stop, and how sure to be:
    one slope and one offset for all logits (Platt 1999). The images are shuffled first: the halves of MNIST's test
    images differ, and a file may be sorted by class.

    Args:
        judge: gives the layers; its weights are not used.
        real, other: uint8 [N, H, W, C] both.
    """
    from sklearn.linear_model import LogisticRegression  # imported late: it takes a second

    from lib.scores import estimates

    keras.utils.set_random_seed(estimates.SEED)
    fresh = keras.models.clone_model(judge)
    fresh.compile(keras.optimizers.Adam(2e-4), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    rng = np.random.default_rng(estimates.SEED)
    real, other = (each[rng.permutation(len(each))] for each in (real, other))
    half = len(real) // 2
    fitted = half * 4 // 5
    images = np.concatenate([real[:fitted], other[:fitted]])
    stopping = np.concatenate([real[fitted:half], other[fitted:half]])
    labels, stopping_labels = (np.repeat(np.float32([1, 0]), count)[:, None] for count in (fitted, half - fitted))

    def pairs(images, labels):
        return tf.data.Dataset.from_tensor_slices((images / np.float32(255), labels))

    fresh.fit(
        untuned(pairs(images, labels).shuffle(2 * fitted, estimates.SEED).batch(min(64, fitted)).prefetch(2)),
        epochs=30,
        shuffle=False,  # it is
        validation_data=untuned(pairs(stopping, stopping_labels).batch(500)),
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
        verbose=0,
    )
    sure = LogisticRegression().fit(judged(fresh, stopping), stopping_labels.ravel())
    logits = (sure.decision_function(judged(fresh, each[half:])).astype(np.float32) for each in (real, other))
    return float(jsd_estimate(discriminator_loss(*logits)))
