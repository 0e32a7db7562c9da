"""This project's models, twice: `ours`, trained as in the notebooks, and `keras_fit`, the same model trained with
`compile()` and `fit()` and Keras' defaults, on the array of images."""

from protocol import case, serve

case = case()
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path = [str(Path(__file__).resolve().parents[2]), *sys.path[1:]]  # for lib
if case.contestant == "keras_fit":
    import tensorflow  # noqa: F401  before lib asks it for oneDNN: without AVX-512 that is off by default
from lib.backend import keras  # noqa: E402

IMPORTED = time.perf_counter()
from lib import models, runs, training  # noqa: E402
from lib.settings import check, notebook_defaults  # noqa: E402

name = f"{case.model}_{case.dataset}"
values = notebook_defaults(runs.NOTEBOOK_DIR / f"{name}.ipynb")
values |= {"network": case.network, "latent_dim": case.latent_dim, "width": case.width, "batch_size": case.batch}
values |= {"learning_rate": 1e-3}
values |= {"jit_compile": case.get("jit_compile", False)}
settings = check(values, "benchmark")
model = models.build(settings, case.shape)
images = case.images()
size = training.step_size(settings)
if case.contestant == "ours":
    training.compile_model(model, settings)
    feed, options = training.blocks(training.batches(images, size, seed=0)), {}
else:
    type(model).make_train_function = keras.Model.make_train_function  # Keras' own loop instead of the one over blocks
    if case.model == "vae":
        model.compile(keras.optimizers.Adam(1e-3))
    else:
        betas = {"gan": (0.5, 0.999), "wgan": (0.5, 0.9)}[case.model]
        model.compile(*(keras.optimizers.Adam(1e-3, *betas) for _ in range(2)))
    feed, options = images, {"batch_size": size}


def epoch():
    model.fit(feed, epochs=1, shuffle=case.contestant != "ours", verbose=0, **options)


serve(IMPORTED, epoch)
