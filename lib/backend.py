"""TensorFlow and Keras, imported when one of their names is first used: `from lib.backend import keras, ops, tf`.

So a model's file can be imported for its settings and words alone, in no time. The import is quiet: some of
TensorFlow's start-up notes ignore TF_CPP_MIN_LOG_LEVEL (seen with 2.21) and go straight to file descriptor 2, which
ipykernel shows in the notebook. During the import that descriptor leads nowhere. Errors are exceptions and stay.
"""

import gc
import os
import sys
from functools import cache
from importlib import import_module

from lib.errors import UserError, in_one_line


class Lazy:
    """A module that is imported when one of its names is first used."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str):
        if attribute.startswith("__"):  # what tools ask of any object
            raise AttributeError(attribute)
        _start()
        return getattr(import_module(self._name), attribute)


keras, ops, tf = Lazy("keras"), Lazy("keras.ops"), Lazy("tensorflow")


@cache
def _start() -> None:
    """Imports both, set as ours need them.

    Raises:
        UserError: Keras was imported before, with another backend; or its keras.json cannot be read.
    """
    try:
        if "tensorflow" not in sys.modules:
            _import_tensorflow()
        import keras
    except (AssertionError, AttributeError, OSError, TypeError) as error:  # both read the file, and trust it
        file = os.path.join(os.environ.get("KERAS_HOME", os.path.expanduser("~/.keras")), "keras.json")
        if not os.path.exists(file):
            raise
        raise UserError(f"{file}: Keras cannot use it ({in_one_line(error)}): mend it, or move it away") from None

    if keras.config.backend() != "tensorflow":
        raise UserError(f"Keras was imported with the backend {keras.config.backend()}: import lib before Keras")
    # ~/.keras/keras.json may say otherwise, for other projects of this user.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)


def _import_tensorflow() -> None:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off without AVX-512: conv steps took 1.8 times as long
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    unneeded = {"sklearn"} - sys.modules.keys()  # Keras tries, for its wrappers: 0.6 of 3.7 s
    sys.modules.update(dict.fromkeys(unneeded))
    collecting = gc.isenabled()
    gc.disable()  # there is nothing to collect: the search took another 0.6 s
    try:
        import tensorflow as tf

        gc.freeze()  # nor will there be: without it, the first step took 0.3 s longer, and the process's end 0.7 s
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)  # the default takes the whole device
    finally:
        for name in unneeded:
            del sys.modules[name]
        if collecting:
            gc.enable()
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def untuned(dataset):
    """A tf.data.Dataset without autotuning, which has nothing to tune in ours.

    When an iterator ends, it waits for the autotuning thread to wake, after 10 ms, 20, 40 and so on: seen with
    TensorFlow 2.21, any epoch took up to twice its time, Keras' own epochs over arrays too.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
