"""Imports TensorFlow and Keras quietly, and set for speed: `from lib.backend import keras, tf`.

Some of TensorFlow's start-up notes ignore TF_CPP_MIN_LOG_LEVEL (seen with 2.21) and go straight to file descriptor 2,
which ipykernel shows in the notebook: during the import that descriptor leads nowhere. Errors are exceptions and stay.
"""

import os
import sys

if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off without AVX-512: conv steps took 1.8 times as long
    _stderr, _nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(_nowhere, 2)
    try:
        import tensorflow as tf

        for _gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(_gpu, True)  # the default takes the whole device
    finally:
        os.dup2(_stderr, 2)
        os.close(_stderr)
        os.close(_nowhere)

import keras
import tensorflow as tf

from lib.settings import UserError

if keras.config.backend() != "tensorflow":
    raise UserError(f"Keras was imported with the backend {keras.config.backend()}: import lib before Keras")
# ~/.keras/keras.json may say otherwise, for other projects of this user.
keras.config.set_floatx("float32")
keras.config.set_image_data_format("channels_last")
keras.config.set_epsilon(1e-7)

__all__ = ["keras", "tf", "untuned"]


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The dataset without autotuning, which has nothing to tune in ours.

    When an iterator ends, it waits for the autotuning thread to wake, after 10 ms, 20, 40 and so on: seen with
    TensorFlow 2.21, any epoch took up to twice its time, Keras' own epochs over arrays too.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
