"""The numbers of a trained run, each beside references of the same estimator at the same sample size.

Everything here is drawn with seeds of its own: evaluating twice gives the same numbers. Test images are used only here.
"""

import functools

import numpy as np
from scipy import linalg, ndimage

from lib.backend import keras, tf
from lib.models import GAN, VAE, WGAN, discriminator_loss, emd_estimate, jsd_estimate, unit_range
from lib.training import binarize_once

BATCH = 500
SEED = 20_131_220  # of every draw made for an evaluation, whatever the run's own seed
GRID = 36  # images of the fixed-latent gallery
SAMPLES = 100  # prior samples kept with a run
COMPONENTS = 64  # of the pixels' principal components, for the Frechet distance; fewer with less than 320 images
SCORED = 5000  # generated images that a score is computed from, or as many as there are test images


# ---- drawing -------------------------------------------------------------------------------------


def latents(count: int, latent_dim: int) -> np.ndarray:
    """Standard normal [count, latent_dim], float32: the same for every run of this latent dimension."""
    return np.random.default_rng(SEED).standard_normal((count, latent_dim)).astype(np.float32)


def decode(model, z: np.ndarray) -> np.ndarray:
    """Images of latents [N, latent_dim] -> uint8 [N, H, W, C]: a decoder's means, or a generator's images."""
    return np.concatenate([to_uint8(_decode(model, part)) for part in _parts(z)])


def to_uint8(images) -> np.ndarray:
    """[0, 1] floats -> uint8, rounded."""
    return np.round(np.asarray(images) * 255.0).astype(np.uint8)


def _decode(model, z):
    if isinstance(model, VAE):
        return keras.ops.sigmoid(model.decoder(z, training=False))
    return model.generator(z, training=False)


def latent_dim(model) -> int:
    """The size of a model's latent vectors."""
    return (model.decoder if isinstance(model, VAE) else model.generator).input_shape[-1]


def _parts(array, size: int = BATCH):
    return (array[start : start + size] for start in range(0, len(array), size))


class Snapshots(keras.callbacks.Callback):
    """The fixed-latent gallery after a few epochs, ever further apart: [E, 36, H, W, C], the last epoch always in it.

    Args:
        epochs: of the training.
        kept: how many galleries at most.
    """

    def __init__(self, epochs: int, kept: int = 6):
        super().__init__()
        self.wanted = {round(epoch) for epoch in np.geomspace(1, epochs, kept)}
        self.epochs, self.images = [], []

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 in self.wanted:
            self.epochs.append(epoch + 1)
            self.images.append(decode(self.model, latents(GRID, latent_dim(self.model))))


def samples(model, dataset, snapshots: Snapshots) -> dict[str, np.ndarray]:
    """What the run keeps as `samples.npz` to be looked at: galleries, final samples, for a VAE its latent space too."""
    kept = {
        "grid_epochs": np.array(snapshots.epochs),
        "grids": np.stack(snapshots.images),
        "samples": decode(model, latents(SAMPLES, latent_dim(model))),
    }
    return kept | (latent_space(model, dataset) if isinstance(model, VAE) else {})


def latent_space(model: VAE, dataset, count: int = 2000) -> dict[str, np.ndarray]:
    """Reconstructions of ten test images, a map of where test images lie, and for two latents the decoded plane."""
    means = np.concatenate(
        [model.encoder(unit_range(part), training=False)[0] for part in _parts(dataset.x_test[:count])]
    )
    points = means if means.shape[1] <= 2 else principal_components(means, 2)(means)
    if points.shape[1] == 1:
        points = np.column_stack([points, np.zeros_like(points)])
    kept = {
        "originals": dataset.x_test[:10],
        "reconstructions": decode(model, means[:10]),
        "latent_map": points.astype(np.float32),
    }
    if dataset.y_test is not None:
        kept["labels"] = dataset.y_test[:count].astype(np.uint16)
    if means.shape[1] == 2:
        ticks, z = plane_latents()
        kept |= {"plane": decode(model, z), "plane_ticks": ticks}
    return kept


def plane_latents(side: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Latents on a square that covers 95 % of the prior evenly in probability (Kingma & Welling 2014, appendix A).

    Returns:
        ticks [side] and latents [side * side, 2], row by row from the largest z_2 down.
    """
    from scipy.stats import norm

    ticks = norm.ppf(np.linspace(0.025, 0.975, side)).astype(np.float32)
    z_1, z_2 = np.meshgrid(ticks, ticks[::-1])
    return ticks, np.column_stack([z_1.ravel(), z_2.ravel()])


# ---- scores of images ----------------------------------------------------------------------------


def sharpness(images: np.ndarray) -> float:
    """Mean over images of the variance of the Laplacian, uint8 [N, H, W, C]; meaningful relative to real images'."""
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)[None, :, :, None]
    return float(np.mean([
        ndimage.convolve(part.astype(np.float32) / 255.0, kernel, mode="nearest").var(axis=(1, 2, 3)).mean()
        for part in _parts(images)
    ]))  # fmt: skip


def principal_components(rows: np.ndarray, count: int):
    """A function that projects rows [N, D] on the first `count` principal components of these rows, at most D."""
    from sklearn.decomposition import PCA  # imported late: it takes a second

    fitted = PCA(min(count, *rows.shape), svd_solver="randomized", random_state=0).fit(rows)
    return fitted.transform


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of the Gaussians fitted to rows [N, D] and [M, D] (Dowson & Landau 1982)."""
    mean_gap = first.mean(axis=0) - second.mean(axis=0)
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    # The trace of (ab)^(1/2), through the symmetric a^(1/2) b a^(1/2): its eigenvalues are real.
    values, vectors = linalg.eigh(a)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    cross = np.sqrt(np.clip(linalg.eigvalsh(root @ b @ root), 0, None)).sum()
    return float(mean_gap @ mean_gap + np.trace(a) + np.trace(b) - 2 * cross)


def damaged(images: np.ndarray) -> dict[str, np.ndarray]:
    """Real images uint8 [N, H, W, C] with known damage, by its name: what a score's size means."""
    rng = np.random.default_rng(SEED)
    noise = rng.random(images.shape) < 0.1
    mean = np.round(images.mean(axis=0)).astype(np.uint8)
    return {
        "blurred": np.round(ndimage.gaussian_filter(images.astype(np.float32), sigma=(0, 1, 1, 0))).astype(np.uint8),
        "noisy": np.where(noise, rng.integers(0, 256, images.shape, dtype=np.uint8), images),
        "mean_image": np.broadcast_to(mean, images.shape),
    }


class Scorecard:
    """Scores generated images against a dataset's test images; its references are computed once.

    Args:
        dataset: a `data.Dataset`.
    """

    def __init__(self, dataset):
        held_out = dataset.x_validation if len(dataset.x_validation) else dataset.x_train
        self.count = min(SCORED, len(dataset.x_test), len(held_out))
        self.real = dataset.x_test[: self.count]
        # Few images would give a covariance of many components no more than noise.
        components = min(COMPONENTS, max(2, self.count // 5))
        self.features = functools.partial(_project, principal_components(_rows(dataset.x_train[:10_000]), components))
        self.real_features = self.features(self.real)
        self.real_sharpness = sharpness(self.real)
        held_out = held_out[-self.count :]  # damage of the very images compared with would look too small
        others = {"real": held_out, **damaged(held_out)}
        self.references = {name: self.scores(images) for name, images in others.items()}

    def scores(self, images: np.ndarray) -> dict[str, float]:
        """The scores of uint8 images [N, H, W, C]; N should be `count`, as for the references."""
        return {
            "sharpness": sharpness(images) / self.real_sharpness,
            "frechet_pixels": frechet_distance(self.features(images), self.real_features),
        }


def _rows(images):
    return images.reshape(len(images), -1).astype(np.float32) / 255.0


def _project(projection, images):
    return np.concatenate([projection(_rows(part)) for part in _parts(images)])


# ---- numbers of each model -----------------------------------------------------------------------


def evaluate(model, dataset, untrained: np.ndarray) -> dict[str, dict]:
    """All numbers of a trained model.

    Args:
        dataset: a `data.Dataset`.
        untrained: images that the same network drew before training, uint8 [N, H, W, C].

    Returns:
        "metrics" {name: value}, "references" {metric: {reference: value}}, "samples_n" {metric: images used}.
    """
    card = Scorecard(dataset)
    metrics = card.scores(decode(model, latents(card.count, latent_dim(model))))
    references = card.references | {"untrained": card.scores(untrained[: card.count])}
    result = {
        "metrics": metrics,
        "references": {name: {which: scores[name] for which, scores in references.items()} for name in metrics},
        "samples_n": dict.fromkeys(metrics, card.count),
    }
    own = {VAE: vae_numbers, GAN: gan_numbers, WGAN: wgan_numbers}[type(model)](model, dataset)
    return {part: own[part] | result[part] for part in result}


def vae_numbers(model: VAE, dataset) -> dict[str, dict]:
    """Test loss (negative ELBO) and its parts in nats per image, and the number of active latent units.

    A unit is active when its posterior mean varies over test images by more than 0.01 (Burda et al. 2016, section 5.2).
    """
    images = binarize_once(dataset.x_test, 2) if model.binarize == "fixed" else dataset.x_test
    seed = keras.random.SeedGenerator(SEED)
    parts = [model.losses(part, seed) for part in _parts(images)]
    reconstruction, kl = (float(np.mean(np.concatenate(values))) for values in zip(*parts, strict=True))
    means = np.concatenate([model.encoder(unit_range(part), training=False)[0] for part in _parts(images)])
    numbers = {
        "test_loss": reconstruction + kl,
        "test_reconstruction": reconstruction,
        "test_kl": kl,
        "active_units": int((means.var(axis=0) > 0.01).sum()),
    }
    grey = model.likelihood == "bernoulli" and model.binarize == "none"
    return {
        "metrics": numbers,
        "references": {"test_loss": bernoulli_references(dataset)} if grey else {},
        "samples_n": dict.fromkeys(numbers, len(images)),
    }


def bernoulli_references(dataset) -> dict[str, float]:
    """Cross-entropy of the test images, nats per image: of the training set's mean image, and of the pixels themselves.

    A loss near the first is a collapsed model; below the second no model of grey levels can be.
    """
    pixels = _rows(dataset.x_test)
    mean = np.clip(_rows(dataset.x_train).mean(axis=0, dtype=np.float64), 1e-6, 1 - 1e-6)
    inner = np.clip(pixels, 1e-12, 1 - 1e-7).astype(np.float64)
    return {
        "mean_image": float(-(pixels @ np.log(mean) + (1 - pixels) @ np.log1p(-mean)).mean()),
        "pixel_entropy": float(-(inner * np.log(inner) + (1 - inner) * np.log1p(-inner)).sum(axis=1).mean()),
    }


def _judged(model, images) -> tuple[tf.Tensor, tf.Tensor]:
    """The judge's outputs [N, 1] for real images uint8 [N, H, W, C] and for as many generated ones."""
    z = latents(len(images), model.latent_dim)
    real = [model.judge(unit_range(part), training=False) for part in _parts(images)]
    fake = [model.judge(model.generator(part, training=False), training=False) for part in _parts(z)]
    return tf.concat(real, 0), tf.concat(fake, 0)


def _on_each_split(name, estimate, model, dataset) -> dict[str, dict]:
    """An estimate by the final networks, in inference mode, on as many training images as there are test images, on
    validation and on test images: the gap between the first and the others is overfitting."""
    splits = {
        "train": dataset.x_train[: len(dataset.x_test)],
        "validation": dataset.x_validation,
        "test": dataset.x_test,
    }
    splits = {f"{name}_{split}": images for split, images in splits.items() if len(images)}
    return {
        "metrics": {key: float(estimate(*_judged(model, images))) for key, images in splits.items()},
        "references": {},
        "samples_n": {key: len(images) for key, images in splits.items()},
    }


def gan_numbers(model: GAN, dataset) -> dict[str, dict]:
    """The JSD estimate, nats, on each split; a bound only where the discriminator was not fitted to the images."""
    return _on_each_split("jsd", lambda real, fake: jsd_estimate(discriminator_loss(real, fake)), model, dataset)


def wgan_numbers(model: WGAN, dataset) -> dict[str, dict]:
    """The critic's EMD estimate on each split: not W1, but comparable between runs of one setting of the critic."""
    return _on_each_split("emd", emd_estimate, model, dataset)
