"""The training loop of all three models: Keras' `fit()`, the minibatches it is fed, and the callbacks around it."""

import math
import time

from lib.backend import keras, tf, untuned
from lib.errors import UserError
from lib.provenance import BUILD_AGAIN, Made, check_built, networks_digest
from lib.runs import keys

IMAGES_A_CALL = 4096  # of one compiled call: Python's share of a step, about 1 ms, becomes small


class NonFiniteLossError(UserError):
    """A loss became NaN or infinite: the run stops and counts as failed."""


def batches(images, batch_size, seed=None, epoch=0, labels=None):
    """The minibatches of one epoch: uint8 [batch_size, H, W, C], the incomplete last one left out.

    Args:
        images: uint8 [N, H, W, C]; held once, in memory.
        labels: int [N]; with them, a minibatch is the pair of images and labels.
        seed: shuffles, by a permutation that is a function of (seed, epoch); None keeps the order.
        epoch: int, or a tf.Variable that is read whenever a new pass begins.
    """
    arrays = tf.constant(images) if labels is None else (tf.constant(images), tf.constant(labels))
    count = len(images)

    def order(_):
        indices = tf.range(count)
        if seed is not None:
            indices = tf.random.experimental.stateless_shuffle(indices, seed=tf.stack([tf.cast(seed, tf.int64), epoch]))
        return tf.data.Dataset.from_tensor_slices(indices).batch(batch_size, drop_remainder=True)

    dataset = tf.data.Dataset.from_tensors(0).flat_map(order)
    dataset = dataset.map(lambda indices: tf.nest.map_structure(lambda each: tf.gather(each, indices), arrays))
    return dataset.apply(tf.data.experimental.assert_cardinality(count // batch_size))


def blocks(minibatches):
    """Minibatches [B, ...] -> blocks of them, [K, B, ...], as a `models.ImageModel` takes them in one call.

    K is such that a block has about IMAGES_A_CALL images. Where a number near divides the minibatches without
    remainder, K is that one: XLA compiles for each shape of a block.
    """
    steps, size = len(minibatches), tf.nest.flatten(minibatches.element_spec)[0].shape[0]
    most = max(1, min(IMAGES_A_CALL // size, steps))
    even = [near for near in range(most // 2 + 1, 2 * most) if steps % near == 0]
    length = min(even, key=lambda near: abs(near - most), default=most)
    return untuned(minibatches.batch(length).prefetch(2))


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


def even_size(count: int, most: int) -> int:
    """The size of equal batches of at most `most` that leaves out less than one image a batch."""
    return count // -(-count // most)


def train(model, dataset, settings, callbacks=(), checkpoint=None) -> dict[str, list[float]]:
    """Trains a model by `fit()` and returns its history: every loss by name, one number an epoch.

    The numbers measured after each epoch on the validation images carry the prefix "val_".

    Args:
        checkpoint: a `checkpoint.Checkpoint`, by which a killed training goes on after its last kept epoch.

    Returns:
        A `provenance.Made`: the record of a run accepts it only together with the networks as they are then.

    Raises:
        NonFiniteLossError: some loss became NaN or infinite; says which, where, and with what settings.
        UserError: the model was built with other settings or by other code, or has been trained already; or the
            checkpoint's run was opened with other settings or data. Then a notebook's cells were not all run again.
    """
    _check_fresh(model, dataset, settings)
    if checkpoint:
        checkpoint.run.check(settings, dataset)
        checkpoint.run.key["model"] = keys.source_digest(model.source)  # its cell may have been changed, and not saved
    x_train, x_validation = model.begin(dataset.x_train, dataset.x_validation)
    epoch = tf.Variable(0, dtype=tf.int64)
    model.prepare()
    labels, known = (dataset.y_train, dataset.y_validation) if model.classes else (None, None)
    even = even_size(len(x_validation), 500) if len(x_validation) else 0
    validation = blocks(batches(x_validation, even, labels=known)) if even else None

    def start(number, logs):
        epoch.assign(number)
        for optimizer in model.optimizers.values():
            optimizer.learning_rate = rate(number, settings)

    if checkpoint:
        callbacks = [*callbacks, checkpoint]
    history = model.fit(
        blocks(batches(x_train, model.images_a_step(settings), settings.seed, epoch, labels)),
        initial_epoch=checkpoint.restore(model) if checkpoint else 0,
        epochs=settings.epochs,
        validation_data=validation,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=start), StopOnNonFinite(settings), *callbacks],
        shuffle=False,  # `batches` does that
        verbose=0,
    )
    found = checkpoint.history if checkpoint else history.history
    found = {name: [float(value) for value in values] for name, values in found.items()}
    made = Made(found, networks_digest(model.networks), settings, dataset.record() if checkpoint else {})
    if checkpoint:
        checkpoint.run.trained = made.networks
    return made


def _check_fresh(model, dataset, settings) -> None:
    """Raises UserError unless the model is one of these settings and this dataset, as `models.build` has left it."""
    check_built(model, settings)
    if model.outdated:
        raise UserError(f"{type(model).__name__} has been changed since this model was built: {BUILD_AGAIN}")
    if networks_digest(model.networks) != model.drawn:
        raise UserError(f"this model has been trained already and would be trained further: {BUILD_AGAIN}")
    if model.image_shape != (found := dataset.x_train.shape[1:]):
        raise UserError(f"the images are of shape {found}, the model is for {model.image_shape}: {BUILD_AGAIN}")
    if model.classes and (found := dataset.class_count) != model.classes:
        raise UserError(f"classes = {model.classes}, but dataset {dataset.name} has {found or 'no labels'}")


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops training with an error as soon as any loss is NaN or infinite; Keras' own looks at `loss` only."""

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):  # Keras' batch is a block of ours
        self._check(logs, f"within {self.model.steps_taken} steps")

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
