"""Images of a model, from the same latents for every run of a latent dimension."""

import numpy as np

from lib.scores import estimates


def latents(count: int, latent_dim: int) -> np.ndarray:
    """Standard normal [count, latent_dim], float32: the same for every run of this latent dimension."""
    return np.random.default_rng(estimates.SEED).standard_normal((count, latent_dim)).astype(np.float32)


def decode(model, z: np.ndarray) -> np.ndarray:
    """Images of latents [N, latent_dim] -> uint8 [N, H, W, C]: a decoder's means, or a generator's images."""
    return np.concatenate([to_uint8(model.generate(part)) for part in estimates.parts(z)])


def to_uint8(images) -> np.ndarray:
    """[0, 1] floats -> uint8, rounded."""
    return np.round(np.asarray(images) * 255.0).astype(np.uint8)
