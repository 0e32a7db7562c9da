"""The training loop of all three models: Keras' `fit()`, the minibatches it is fed, and the callbacks around it."""

import math
import time

import numpy as np

from lib.backend import keras, tf, untuned
from lib.models import GAN, VAE
from lib.provenance import BUILD_AGAIN, Made, check_built, networks_digest
from lib.settings import UserError

IMAGES_A_CALL = 4096  # of one compiled call: Python's share of a step, about 1 ms, becomes small


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
    return dataset.apply(tf.data.experimental.assert_cardinality(count // batch_size))


def blocks(minibatches):
    """Minibatches [B, ...] -> blocks of them, [K, B, ...], as `models.ImageModel` takes them in one call.

    K is such that a block has about IMAGES_A_CALL images. Where a number near divides the minibatches without
    remainder, K is that one: XLA compiles for each shape of a block.
    """
    steps, size = len(minibatches), minibatches.element_spec.shape[0]
    most = max(1, min(IMAGES_A_CALL // size, steps))
    even = [near for near in range(most // 2 + 1, 2 * most) if steps % near == 0]
    length = min(even, key=lambda near: abs(near - most), default=most)
    return untuned(minibatches.batch(length).prefetch(2))


class FusedAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015) by TensorFlow's kernel of it: one pass over a weight's memory where Keras makes ten.

    The same formula and state as Keras' own, with which a step of the mlp VAE took 14 % longer on two cores, of the mlp
    GAN 5 %.
    """

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def compile_model(model, settings) -> None:
    """Gives the model its optimizers, with the constants of the papers named in `models`."""
    rate = settings.learning_rate
    # On one core, as in studies, a step with XLA took 9 to 53 % longer (mlp), or 7 to 14 times as long (conv).
    options = {"jit_compile": settings.jit_compile}
    if isinstance(model, VAE):
        model.compile(FusedAdam(rate, epsilon=settings.epsilon), **options)
    elif isinstance(model, GAN):
        model.compile(*(FusedAdam(rate, beta_1=settings.beta_1) for _ in range(2)), **options)
    elif settings.lipschitz == "clip":  # momentum made training unstable (Arjovsky et al. 2017, section 4.3)
        model.compile(*(keras.optimizers.RMSprop(rate) for _ in range(2)), **options)
    else:
        model.compile(*(FusedAdam(rate, beta_1=0.5, beta_2=0.9) for _ in range(2)), **options)


def rate(epoch: int, settings) -> float:
    """The learning rate of an epoch, counted from 0.

    "linear" falls by the same amount each epoch, to zero after the last. "burda" is first * 10^(-i/7) for 3^i epochs,
    i = 0, 1, ... up to 7: 3,280 epochs in all (Burda et al. 2016, section 5).
    """
    if settings.schedule == "linear":
        return settings.learning_rate * (1 - epoch / settings.epochs)
    if settings.schedule == "burda":
        stage, end = 0, 1
        while epoch >= end:
            stage += 1
            end += 3**stage
        return settings.learning_rate * 10 ** (-stage / 7)
    return settings.learning_rate


def optimizers(model) -> list:
    """A compiled model's optimizers: one of a VAE, two of GAN and WGAN."""
    return [model.optimizer] if isinstance(model, VAE) else [model.judge_optimizer, model.generator_optimizer]


def step_size(settings) -> int:
    """Images that one training step takes: a WGAN's holds a minibatch for each of its critic's steps."""
    return settings.batch_size * getattr(settings, "n_critic", 1)


def steps_taken(model) -> int:
    """Calls of `train_step` since the model was built."""
    return int(optimizers(model)[-1].iterations)


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


def train(model, dataset, settings, callbacks=(), checkpoint=None) -> dict[str, list[float]]:
    """Trains a model by `fit()` and returns its history: every loss by name, one number an epoch.

    The numbers measured after each epoch on the validation images carry the prefix "val_".

    Args:
        checkpoint: a `checkpoint.Checkpoint`, by which a killed training goes on after its last kept epoch.

    Returns:
        A `provenance.Made`: the record of a run accepts it only together with the networks as they are then.

    Raises:
        NonFiniteLossError: some loss became NaN or infinite; says which, where, and with what settings.
        UserError: the model was built with other settings, or has been trained already; or the checkpoint's run was
            opened with other settings or data. Then a notebook's cells were not all run again.
    """
    _check_fresh(model, dataset, settings)
    if checkpoint:
        checkpoint.run.check(settings, dataset)
    x_train, x_validation = dataset.x_train, dataset.x_validation
    if getattr(settings, "binarize", None) == "fixed":
        x_train, x_validation = binarize_once(x_train, 0), binarize_once(x_validation, 1)

    if isinstance(model, VAE):
        model.start_at_mean(x_train)
    epoch = tf.Variable(0, dtype=tf.int64)
    compile_model(model, settings)
    validation = blocks(batches(x_validation, even_size(len(x_validation), 500))) if len(x_validation) else None

    def start(number, logs):
        epoch.assign(number)
        for optimizer in optimizers(model):
            optimizer.learning_rate = rate(number, settings)

    if checkpoint:
        callbacks = [*callbacks, checkpoint]
    history = model.fit(
        blocks(batches(x_train, step_size(settings), settings.seed, epoch)),
        initial_epoch=checkpoint.restore(model) if checkpoint else 0,
        epochs=settings.epochs,
        validation_data=validation,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=start), StopOnNonFinite(settings), *callbacks],
        shuffle=False,  # `batches` does that
        verbose=0,
    )
    found = checkpoint.history if checkpoint else history.history
    found = {name: [float(value) for value in values] for name, values in found.items()}
    return Made(found, networks_digest(model.networks), settings, dataset.record() if checkpoint else None)


def _check_fresh(model, dataset, settings) -> None:
    """Raises UserError unless the model is one of these settings and this dataset, as `models.build` has left it."""
    check_built(model, settings)
    if model.drawn and networks_digest(model.networks) != model.drawn:
        raise UserError(f"this model has been trained already and would be trained further: {BUILD_AGAIN}")
    if model.image_shape and model.image_shape != (found := dataset.x_train.shape[1:]):
        raise UserError(f"the images are of shape {found}, the model is for {model.image_shape}: {BUILD_AGAIN}")


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops training with an error as soon as any loss is NaN or infinite; Keras' own looks at `loss` only."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):  # Keras' batch is a block of ours
        self._check(logs, f"within {steps_taken(self.model)} steps")

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
        self.start, self.done = time.perf_counter(), 0  # epochs: a training that goes on begins at a later one

    def on_epoch_end(self, epoch, logs=None):
        self.done += 1
        seconds = time.perf_counter() - self.start
        left = seconds / self.done * (self.params["epochs"] - epoch - 1)
        width = len(str(self.params["epochs"]))
        self.write(
            f"epoch {epoch + 1:>{width}}/{self.params['epochs']}  {in_pairs(logs)}  {seconds:.0f} s, {left:.0f} s left"
        )


def in_pairs(logs: dict[str, float]) -> str:
    """'loss 120.5 | 121.3  kl 20.1 | 20.0': while training, and on validation images where there are any."""
    pairs = {name: (name, f"val_{name}") for name in logs if not name.startswith("val_")}
    shown = {name: " | ".join(f"{logs[one]:.4g}" for one in both if one in logs) for name, both in pairs.items()}
    return "  ".join(f"{name} {numbers}" for name, numbers in shown.items())
