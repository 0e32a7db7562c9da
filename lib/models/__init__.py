"""The models, each in a file of its own, and how a run's settings lead to one. Imports neither Keras nor TensorFlow.

A notebook's model is the class `Model` that its cell tagged `model` defines; without such a cell, the one that the
notebook's name begins with: vae, gan or wgan.
"""

from __future__ import annotations

import linecache
from functools import lru_cache
from pathlib import Path

from lib.backend import keras
from lib.errors import UserError, in_one_line
from lib.models.base import Adversarial, ImageModel
from lib.models.description import Description, Settings
from lib.models.gan import GAN
from lib.models.vae import VAE
from lib.models.wgan import WGAN
from lib.notebooks import find, tagged
from lib.provenance import networks_digest

__all__ = [
    "GAN",
    "OURS",
    "VAE",
    "WGAN",
    "Adversarial",
    "Description",
    "ImageModel",
    "Settings",
    "build",
    "describe",
    "of",
]
OURS = {"vae": VAE, "gan": GAN, "wgan": WGAN}


def of(notebook: str | Path) -> type[ImageModel]:
    """The class of a notebook's model.

    Raises:
        UserError: there is no such notebook, or its model's cell fails or defines no model.
    """
    path = notebook if isinstance(notebook, Path) else find(notebook)
    return _of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _of(path: Path, stamp: int) -> type[ImageModel]:
    if not (source := tagged(path, "model")):
        if kind := OURS.get(path.name.partition("_")[0]):
            return kind
        raise UserError(f"{path}: no cell is tagged 'model', and the name begins with none of {', '.join(OURS)}")
    names, place = {"__name__": str(path)}, f"<{path}, the cell tagged model>"
    linecache.cache[place] = len(source), None, source.splitlines(keepends=True), place
    try:
        exec(compile(source, place, "exec", dont_inherit=True), names)
    except Exception as error:
        raise UserError(f"{path}: the cell tagged 'model': {type(error).__name__}: {in_one_line(error)}") from None
    kind = names.get("Model")
    if not (isinstance(kind, type) and issubclass(kind, ImageModel)):
        raise UserError(f"{path}: the cell tagged 'model' defines no class Model that is a lib.models.ImageModel")
    return kind


def describe(settings: Settings) -> Description:
    """The words by which tables, figures and reports speak of a run's model."""
    return of(settings.notebook).describe(settings)


def build(settings: Settings, shape: tuple[int, int, int], kind: type[ImageModel] | None = None) -> ImageModel:
    """The model that validated settings ask for, its weights drawn from their seed.

    It remembers these weights' digest: `training.train` trains a model only as it was built.

    Args:
        shape: of the images, (H, W, C).
        kind: its class; by default the one of the settings' notebook.

    Raises:
        UserError: the class is defined in a cell of the notebook that is not tagged "model".
    """
    if kind and kind.__module__ == "__main__" and not tagged(find(settings.notebook), "model"):
        raise UserError(f"notebook {settings.notebook}: tag the cell that defines {kind.__name__} 'model', and save it")
    keras.utils.set_random_seed(settings.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        model = (kind or of(settings.notebook))(settings, shape)
    finally:
        keras.config.set_dtype_policy(before)
    model.drawn = networks_digest(model.networks)
    return model
