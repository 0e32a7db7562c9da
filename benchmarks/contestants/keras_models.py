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

keras.Model  # noqa: B018  imports it now
IMPORTED = time.perf_counter()
from lib import models, training  # noqa: E402
from lib.settings import check, parameters  # noqa: E402

name = f"{case.model}_{case.dataset}"
values = parameters(name)
values |= {"network": case.network, "latent_dim": case.latent_dim, "width": case.width, "batch_size": case.batch}
values |= {"learning_rate": 1e-3}
values |= {"jit_compile": case.get("jit_compile", False)}
settings = check(values, "benchmark")
model = models.build(settings, case.shape)
images = case.images()
size = model.images_a_step(settings)
if case.contestant == "keras_fit":
    betas = {"vae": (0.9, 0.999), "gan": (0.5, 0.999), "wgan": (0.5, 0.9)}[case.model]
    names = list(model.make_optimizers())
    model.make_optimizers = lambda: {name: keras.optimizers.Adam(1e-3, *betas) for name in names}
model.prepare()
if case.contestant == "ours":
    feed, options = training.blocks(training.batches(images, size, seed=0)), {}
else:
    type(model).make_train_function = keras.Model.make_train_function  # Keras' own loop instead of the one over blocks
    feed, options = images, {"batch_size": size}


def epoch():
    model.fit(feed, epochs=1, shuffle=case.contestant != "ours", verbose=0, **options)


serve(IMPORTED, epoch)
