"""The training loop of all three models: Keras' `fit()`, the minibatches it is fed, and the callbacks around it."""

import math
import time

import numpy as np

from lib.backend import keras, tf
from lib.models import GAN, VAE
from lib.settings import UserError

STEPS_PER_CALL = 32  # of one compiled call: Python's share of a step, about 1 ms, becomes small


class NonFiniteLossError(UserError):
    """A loss became NaN or infinite: the run stops and counts as failed."""


def binarize_once(images, seed):
    """One seeded draw of black or white per pixel: uint8 -> uint8 in {0, 255}, each white with probability grey/255."""
    draws = np.random.default_rng(seed).integers(0, 255, images.shape, dtype=np.uint8)
    return np.where(draws < images, np.uint8(255), np.uint8(0))


def batches(images, batch_size, seed=None, epoch=0):
    """The minibatches of one epoch: uint8 [batch_size, H, W, C], the incomplete last one left out.

    Args:
        images: uint8 [N, H, W, C]; held once, in memory.
        seed: shuffles, by a permutation that is a function of (seed, epoch); None keeps the order.
        epoch: int, or a tf.Variable that is read whenever a new pass begins.
    """
    images = tf.constant(images)
    count = images.shape[0]

    def order(_):
        indices = tf.range(count)
        if seed is not None:
            indices = tf.random.experimental.stateless_shuffle(indices, seed=tf.stack([tf.cast(seed, tf.int64), epoch]))
        return tf.data.Dataset.from_tensor_slices(indices).batch(batch_size, drop_remainder=True)

    dataset = tf.data.Dataset.from_tensors(0).flat_map(order)
    dataset = dataset.map(lambda indices: tf.gather(images, indices))
    return dataset.apply(tf.data.experimental.assert_cardinality(count // batch_size)).prefetch(2)


def compile_model(model, settings) -> None:
    """Gives the model its optimizers, with the constants of the papers named in `models`."""
    rate = settings.learning_rate
    # XLA, which Keras would choose by itself, made no step of ours faster on two cores, and starts 6 s later.
    options = {"jit_compile": False, "steps_per_execution": STEPS_PER_CALL}
    if isinstance(model, VAE):
        model.compile(keras.optimizers.Adam(rate, epsilon=settings.epsilon), **options)
    elif isinstance(model, GAN):
        model.compile(*(keras.optimizers.Adam(rate, beta_1=settings.beta_1) for _ in range(2)), **options)
    elif settings.lipschitz == "clip":  # momentum made training unstable (Arjovsky et al. 2017, section 4.3)
        model.compile(*(keras.optimizers.RMSprop(rate) for _ in range(2)), **options)
    else:
        model.compile(*(keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9) for _ in range(2)), **options)


def burda_rate(epoch: int, first: float) -> float:
    """The learning rate of an epoch, counted from 0: first * 10^(-i/7) for 3^i epochs, i = 0, 1, ... up to 7.

    3,280 epochs in all (Burda et al. 2016, section 5).
    """
    stage, end = 0, 1
    while epoch >= end:
        stage += 1
        end += 3**stage
    return first * 10 ** (-stage / 7)


def step_size(settings) -> int:
    """Images that one training step takes: a WGAN's holds a minibatch for each of its critic's steps."""
    return settings.batch_size * getattr(settings, "n_critic", 1)


def even_size(count: int, most: int) -> int:
    """The size of equal batches of at most `most` that leaves out less than one image a batch."""
    return count // -(-count // most)


def effort(model, dataset, settings) -> dict:
    """What the training took: "steps" of each optimizer by what it updates, and "images_seen" in all epochs."""
    if isinstance(model, VAE):
        steps = {"vae": model.optimizer.iterations}
    else:  # the judge first: it sees real images at each of its steps
        steps = {model.judge.name: model.judge_optimizer.iterations, "generator": model.generator_optimizer.iterations}
    steps = {name: int(count) for name, count in steps.items()}
    return {"steps": steps, "images_seen": next(iter(steps.values())) * settings.batch_size}


def train(model, dataset, settings, callbacks=()) -> dict[str, list[float]]:
    """Trains a model by `fit()` and returns its history: every loss by name, one number an epoch.

    The numbers measured after each epoch on the validation images carry the prefix "val_".

    Raises:
        NonFiniteLossError: some loss became NaN or infinite; says which, where, and with what settings.
    """
    x_train, x_validation = dataset.x_train, dataset.x_validation
    if getattr(settings, "binarize", None) == "fixed":
        x_train, x_validation = binarize_once(x_train, 0), binarize_once(x_validation, 1)

    if isinstance(model, VAE):
        model.start_at_mean(x_train)
    epoch = tf.Variable(0, dtype=tf.int64)
    compile_model(model, settings)
    validation = batches(x_validation, even_size(len(x_validation), 500)) if len(x_validation) else None
    started = keras.callbacks.LambdaCallback(on_epoch_begin=lambda number, logs: epoch.assign(number))
    if getattr(settings, "schedule", None) == "burda":
        rate = keras.callbacks.LearningRateScheduler(lambda number: burda_rate(number, settings.learning_rate))
        callbacks = [rate, *callbacks]
    history = model.fit(
        batches(x_train, step_size(settings), settings.seed, epoch),
        epochs=settings.epochs,
        validation_data=validation,
        callbacks=[started, StopOnNonFinite(settings), *callbacks],
        shuffle=False,  # `batches` does that
        verbose=0,
    )
    return {name: [float(value) for value in values] for name, values in history.history.items()}


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops training with an error as soon as any loss is NaN or infinite; Keras' own looks at `loss` only."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # Keras counts a last, shorter call as a whole one
        self._check(logs, f"within step {min(batch + 1, self.params['steps'] or batch + 1)}")

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs, "on validation images")

    def _check(self, logs, where):
        for name, value in (logs or {}).items():
            if not math.isfinite(value := float(value)):
                raise NonFiniteLossError(
                    f"{name} is {value} at epoch {self.epoch + 1}, {where} "
                    f"(learning_rate {self.settings.learning_rate}, batch_size {self.settings.batch_size}, "
                    f"width {self.settings.width}): lower learning_rate"
                )


class OneLineAnEpoch(keras.callbacks.Callback):
    """Says after each epoch where training stands, in one line, and when it will be done.

    Args:
        write: takes the line, for example `print`.
    """

    def __init__(self, write=print):
        super().__init__()
        self.write = write

    def on_train_begin(self, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.start
        left = seconds / (epoch + 1) * (self.params["epochs"] - epoch - 1)
        width = len(str(self.params["epochs"]))
        self.write(
            f"epoch {epoch + 1:>{width}}/{self.params['epochs']}  {in_pairs(logs)}  {seconds:.0f} s, {left:.0f} s left"
        )


def in_pairs(logs: dict[str, float]) -> str:
    """'loss 120.5 | 121.3  kl 20.1 | 20.0': while training, and on validation images where there are any."""
    pairs = {name: (name, f"val_{name}") for name in logs if not name.startswith("val_")}
    shown = {name: " | ".join(f"{logs[one]:.4g}" for one in both if one in logs) for name, both in pairs.items()}
    return "  ".join(f"{name} {numbers}" for name, numbers in shown.items())
