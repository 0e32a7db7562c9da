"""The numbers of a trained run, each beside references of the same estimator at the same sample size.

Everything here is drawn with seeds of its own: evaluating twice gives the same numbers. Test images are used only here.
"""

import json
import math
import time
from pathlib import Path

import numpy as np
from scipy import special

from lib import data, estimates, keys, networks, runs
from lib.backend import keras, tf, untuned
from lib.estimates import parts
from lib.models import GAN, VAE, WGAN, build, discriminator_loss, emd_estimate, jsd_estimate, unit_range
from lib.provenance import Made, check_built, networks_digest
from lib.scorecard import COMPARED, SEED, Scorecard, cache_key, some, too_few
from lib.settings import UserError
from lib.training import binarize_once

GRID = 36  # images of the fixed-latent gallery
SAMPLES = 100  # prior samples kept with a run
SHOWN = 10  # of these are shown beside the nearest training image
BOUND_IMAGES = 1000  # test images of the importance-weighted bounds
ASSIGNED = 2000  # images on each side of an exact W1


# ---- drawing -------------------------------------------------------------------------------------


def latents(count: int, latent_dim: int) -> np.ndarray:
    """Standard normal [count, latent_dim], float32: the same for every run of this latent dimension."""
    return np.random.default_rng(SEED).standard_normal((count, latent_dim)).astype(np.float32)


def decode(model, z: np.ndarray) -> np.ndarray:
    """Images of latents [N, latent_dim] -> uint8 [N, H, W, C]: a decoder's means, or a generator's images."""
    return np.concatenate([to_uint8(_decode(model, part)) for part in parts(z)])


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


class Snapshots(keras.callbacks.Callback):
    """The fixed-latent gallery at a few epochs, ever further apart, the last one included: [E, 36, H, W, C].

    Args:
        epochs: of the training.
        kept: how many galleries at most.
    """

    def __init__(self, epochs: int, kept: int = 6):
        super().__init__()
        self.wanted = {round(epoch) for epoch in np.geomspace(1, epochs, kept)}
        self.epochs, self.images, self.done = [], [], 0

    def on_epoch_end(self, epoch, logs=None):
        self.done = epoch + 1
        if self.done in self.wanted:
            self.keep()

    def on_train_end(self, logs=None):
        if self.done and self.done not in self.epochs:  # it was stopped early
            self.keep()

    def keep(self) -> None:
        self.epochs.append(self.done)
        self.images.append(decode(self.model, latents(GRID, latent_dim(self.model))))


def samples(model, dataset, snapshots: Snapshots) -> dict[str, np.ndarray]:
    """The images that a run keeps in `samples.npz`: galleries, final samples and the training images nearest to the
    first of them; for a VAE its latent space too."""
    if not snapshots.images:
        raise UserError("this model has not been trained: run the cell of `training.train` first")
    kept = {
        "grid_epochs": np.array(snapshots.epochs),
        "grids": np.stack(snapshots.images),
        "samples": decode(model, latents(SAMPLES, latent_dim(model))),
    }
    kept["nearest"] = dataset.x_train[estimates.nearest(kept["samples"][:SHOWN], dataset.x_train)]
    kept |= latent_space(model, dataset) if isinstance(model, VAE) else {}
    return Made(kept, networks_digest(model.networks))


def latent_space(model: VAE, dataset, count: int = 2000) -> dict[str, np.ndarray]:
    """Reconstructions of ten test images, a map of where test images lie, and for two latents the decoded plane."""
    from sklearn.decomposition import PCA  # imported late: it takes a second

    means = np.concatenate(
        [model.encoder(unit_range(part), training=False)[0] for part in parts(dataset.x_test[:count])]
    )
    points = means if means.shape[1] <= 2 else PCA(2, svd_solver="full").fit_transform(means)
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


def load(settings, shape, folder: Path):
    """The trained model of a finished run.

    Args:
        shape: of the images, [H, W, C].
        folder: the run's.

    Raises:
        ValueError: a saved network does not fit these settings, or holds code (a Lambda layer), which is never run.
    """
    model = build(settings, shape)
    for name, network in model.networks.items():
        saved = keras.models.load_model(folder / "model" / f"{name}.keras", compile=False, safe_mode=True)
        network.set_weights(saved.get_weights())
    return model


# ---- numbers of each model -----------------------------------------------------------------------


def evaluate(model, dataset, settings, say=print) -> dict[str, dict]:
    """All numbers of a trained model.

    Args:
        dataset: a `data.Dataset`.
        settings: of the run.
        say: called with one line before something slow begins.

    Returns:
        "metrics" {name: value}, "references" {metric: {reference: value}}, "samples_n" {metric: images used}, and
        "scorecard", what the scores were made with; where some numbers cannot be had, "absent" {metric: why not}.

    Raises:
        UserError: the model was built with other settings.
    """
    check_built(model, settings, besides="epochs")
    card = Scorecard(dataset, say)
    z = latents(card.count, settings.latent_dim)
    metrics = card.scores(decode(model, z))
    before = card.scores(decode(build(settings, dataset.shape), z))  # the seed gives the untrained network again
    shared = {
        "metrics": metrics,
        "references": {name: marks | {"untrained": before[name]} for name, marks in card.references.items()},
        "samples_n": dict.fromkeys(metrics, card.count),
    }
    numbers = {VAE: vae_numbers, GAN: gan_numbers, WGAN: wgan_numbers}[type(model)]
    own = numbers(model, dataset, settings)
    found = {part: own[part] | shared[part] for part in shared} | {"scorecard": card.about()}
    found["references"] = {name: _finite(marks) for name, marks in found["references"].items()}
    if absent := own.get("absent", {}) | card.absent:
        found["absent"] = absent
    return Made(found, networks_digest(model.networks), settings, dataset.record())


def _finite(marks: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in marks.items() if math.isfinite(value)}


def score_again(folder: Path, settings) -> None:
    """Computes the numbers of a finished run anew, from its saved networks, and puts them into its result.json."""
    dataset = data.load(settings.dataset, settings.validation)
    found = evaluate(load(settings, dataset.shape, folder), dataset, settings, say=lambda line: None)
    earlier = {name: value for name, value in runs.read_result(folder).items() if name != "absent"}
    result = earlier | found | {"evaluated": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    result["keys"]["evaluation"] = keys.evaluation_key(settings)
    runs.write_result(folder, result)


def vae_numbers(model: VAE, dataset, settings) -> dict[str, dict]:
    """Test loss (negative ELBO) and its parts, importance-weighted bounds, and the number of active latent units.

    All but the last in nats per image. A unit is active when its posterior mean varies over test images by more than
    0.01 (Burda et al. 2016, section 5.2).
    """
    images = dataset.x_test if model.binarize == "none" else binarize_once(dataset.x_test, 2)
    seed = keras.random.SeedGenerator(SEED)
    losses = [model.losses(part, seed) for part in parts(images)]
    reconstruction, kl = (float(np.mean(np.concatenate(values))) for values in zip(*losses, strict=True))
    means = np.concatenate([model.encoder(unit_range(part), training=False)[0] for part in parts(images)])
    numbers = {
        "test_loss": reconstruction + kl,
        "test_reconstruction": reconstruction,
        "test_kl": kl,
        "active_units": int((means.var(axis=0) > 0.01).sum()),
    }
    chosen = some(images, BOUND_IMAGES)
    bounds = importance_bounds(model, chosen, settings.importance_samples)
    references = {}
    if model.likelihood == "bernoulli":
        marks, marks_of_chosen = (bernoulli_references(dataset.x_train, each) for each in (images, chosen))
        references = {"test_loss": marks, "test_reconstruction": marks} | dict.fromkeys(bounds, marks_of_chosen)
    return {
        "metrics": numbers | bounds,
        "references": references,
        "samples_n": dict.fromkeys(numbers, len(images)) | dict.fromkeys(bounds, len(chosen)),
    }


def importance_bounds(model: VAE, images: np.ndarray, most: int) -> dict[str, float]:
    """-L_k of uint8 [N, H, W, C], nats per image, under the names nll_1, nll_5, nll_50, ... up to k = `most`.

    Upper bounds of the negative log-likelihood that fall as k rises (Burda et al. 2016, theorem 1); -L_1 is the loss.
    """
    sizes = [k for k in (1, 5, 50, 500, 5000) if k <= most]
    at_a_time = min(sizes[-1], 500)
    seed = keras.random.SeedGenerator(SEED)

    @tf.function
    def draw(pixels):
        return log_weights(model, pixels, at_a_time, seed)

    found = []
    for part in parts(images, 2):  # two images with 500 samples each: the decoder's work stays in the cache
        drawn = [draw(model.pixels(part, seed)) for _ in range(sizes[-1] // at_a_time)]
        found.append(np.concatenate(drawn, axis=1))
    bounds = estimates.importance_bounds(np.concatenate(found), sizes)
    return {f"nll_{k}": -bound for k, bound in bounds.items()}


def log_weights(model: VAE, pixels, count: int, seed):
    """log p(x|z) p(z) / q(z|x) for `count` draws of z from q(z|x): pixels [B, H, W, C] -> [B, count]."""
    z_mean, z_log_var = model.encoder(pixels, training=False)
    z_mean, z_log_var, repeated = (tf.repeat(each, count, axis=0) for each in (z_mean, z_log_var, pixels))
    noise = keras.random.normal(tf.shape(z_mean), seed=seed)
    z = z_mean + tf.exp(0.5 * z_log_var) * noise
    log_ratio = 0.5 * tf.reduce_sum(noise**2 + z_log_var - z**2, axis=1)  # log p(z) - log q(z|x)
    log_weight = log_ratio - model.nll(repeated, model.decoder(z, training=False))
    return tf.reshape(log_weight, (-1, count))


def bernoulli_references(x_train: np.ndarray, x_test: np.ndarray) -> dict[str, float]:
    """Cross-entropy of test images, nats per image: under the training images' mean, which is the best constant
    decoder, and under the pixels themselves, which is 0 for black and white ones.

    A loss near the first means a collapsed model; no model of grey levels can get below the second.
    """
    total = sum(estimates.rows(part).sum(axis=0, dtype=np.float64) for part in parts(x_train))
    mean = np.clip(total / len(x_train), 1e-6, 1 - 1e-6)
    against_mean, against_itself = 0.0, 0.0
    for part in parts(x_test):
        pixels = estimates.rows(part).astype(np.float64)
        against_mean -= (pixels @ np.log(mean) + (1 - pixels) @ np.log1p(-mean)).sum()
        against_itself += special.entr(pixels).sum() + special.entr(1 - pixels).sum()
    return {"mean_image": float(against_mean / len(x_test)), "pixel_entropy": float(against_itself / len(x_test))}


def judged(judge: keras.Model, images: np.ndarray) -> np.ndarray:
    """A discriminator's logits or a critic's scores [N, 1] of uint8 images [N, H, W, C], in inference mode."""
    return np.concatenate([judge(unit_range(part), training=False) for part in parts(images)])


def _on_each_split(name, estimate, model, dataset) -> dict[str, dict]:
    """An estimate by the final judge on as many training images as there are test images, on validation and on test
    images, each against as many generated ones: a gap between the first and the others means overfitting.

    The references of the last have held-out images, whole and damaged, in place of the generated ones.
    """
    splits = {
        "train": some(dataset.x_train, len(dataset.x_test)),
        "validation": dataset.x_validation,
        "test": dataset.x_test,
    }
    splits = {f"{name}_{split}": images for split, images in splits.items() if len(images)}
    found = {key: judged(model.judge, images) for key, images in splits.items()}
    fake = judged(model.judge, decode(model, latents(max(map(len, found.values())), model.latent_dim)))
    held_out = dataset.split_again(5000).x_validation
    others = {"real": held_out, **estimates.damaged(held_out, SEED)}
    return {
        "metrics": {key: float(estimate(scores, fake[: len(scores)])) for key, scores in found.items()},
        "references": {
            f"{name}_test": {
                which: float(estimate(found[f"{name}_test"], judged(model.judge, images)))
                for which, images in others.items()
            }
        },
        "samples_n": {key: len(images) for key, images in splits.items()},
        "absent": {f"{name}_validation": "validation is 0"} if not len(dataset.x_validation) else {},
    }


def gan_numbers(model: GAN, dataset, settings) -> dict[str, dict]:
    """The JSD estimate, nats: by the trained discriminator on each split, and by a fresh one.

    It is a bound only where the discriminator was not fitted to the images: the training images' value is none.
    """
    own = _on_each_split("jsd", lambda real, fake: jsd_estimate(discriminator_loss(real, fake)), model, dataset)
    held_out = dataset.split_again(5000).x_validation
    count = min(len(held_out), len(dataset.x_test))
    if count < 2 * COMPARED:  # a half to fit to, a half to score
        own["absent"]["jsd_fresh"] = too_few(count, 2 * COMPARED)
        return own
    test, held_out = some(dataset.x_test, count), some(held_out, count)
    judge = networks.discriminator(dataset.shape, settings.model_copy(update={"seed": 0}))

    def make(folder: Path) -> None:
        others = {"real": held_out, **estimates.damaged(held_out, SEED)}
        found = {name: fresh_jsd(judge, test, images) for name, images in others.items()}
        (folder / "references.json").write_text(json.dumps(found), encoding="utf-8")

    layers = keys.module_digests(["models", "networks"])
    key = cache_key(dataset) | {"network": settings.network, "layers": layers}
    folder = runs.cached(f"fresh-{dataset.name}", key, make)
    own["metrics"]["jsd_fresh"] = fresh_jsd(judge, test, decode(model, latents(count, model.latent_dim)))
    own["references"]["jsd_fresh"] = json.loads((folder / "references.json").read_bytes())
    own["samples_n"]["jsd_fresh"] = count - count // 2  # those that it is scored on
    return own


def fresh_jsd(judge: keras.Model, real: np.ndarray, other: np.ndarray) -> float:
    """The JSD estimate of a discriminator that no generator was trained against, nats.

    It is fitted to four fifths of one half of both sets and scored on the other half: a lower bound of the
    Jensen-Shannon divergence in expectation, whatever the fit. The last fifth says when to stop, and how sure to be:
    one slope and one offset for all logits (Platt 1999). The images are shuffled first: the halves of MNIST's test
    images differ, and a file may be sorted by class.

    Args:
        judge: gives the layers; its weights are not used.
        real, other: uint8 [N, H, W, C] both.
    """
    from sklearn.linear_model import LogisticRegression  # imported late: it takes a second

    keras.utils.set_random_seed(SEED)
    fresh = keras.models.clone_model(judge)
    fresh.compile(keras.optimizers.Adam(2e-4), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    rng = np.random.default_rng(SEED)
    real, other = (each[rng.permutation(len(each))] for each in (real, other))
    half = len(real) // 2
    fitted = half * 4 // 5
    images = np.concatenate([real[:fitted], other[:fitted]])
    stopping = np.concatenate([real[fitted:half], other[fitted:half]])
    labels, stopping_labels = (np.repeat(np.float32([1, 0]), count)[:, None] for count in (fitted, half - fitted))

    def pairs(images, labels):
        return tf.data.Dataset.from_tensor_slices((images / np.float32(255), labels))

    fresh.fit(
        untuned(pairs(images, labels).shuffle(2 * fitted, SEED).batch(min(64, fitted)).prefetch(2)),
        epochs=30,
        shuffle=False,  # it is
        validation_data=untuned(pairs(stopping, stopping_labels).batch(500)),
        callbacks=[keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)],
        verbose=0,
    )
    sure = LogisticRegression().fit(judged(fresh, stopping), stopping_labels.ravel())
    logits = (sure.decision_function(judged(fresh, each[half:])).astype(np.float32) for each in (real, other))
    return float(jsd_estimate(discriminator_loss(*logits)))


def wgan_numbers(model: WGAN, dataset, settings) -> dict[str, dict]:
    """The critic's EMD estimate on each split, the exact W1 of finite samples, and what a clipped critic certifies.

    The estimate is not W1 (Arjovsky et al. 2017, section 4.2); divided by the critic's Lipschitz constant it is a lower
    bound of W1. W1 is in units of a pixel's range, as the critic sees images; it is biased upward at any such n.
    """
    own = _on_each_split("emd", emd_estimate, model, dataset)
    held_out = dataset.split_again(5000).x_validation
    count = min(ASSIGNED, len(held_out), len(dataset.x_test))
    real, held_out = some(dataset.x_test, count), some(held_out, count)
    fake = decode(model, latents(count, model.latent_dim))
    numbers = {"w1": estimates.w1(estimates.rows(real), estimates.rows(fake))}
    others = {"real": held_out, "blurred": estimates.damaged(held_out, SEED)["blurred"]}
    own["references"]["w1"] = {
        name: estimates.w1(estimates.rows(real), estimates.rows(images)) for name, images in others.items()
    }
    if settings.lipschitz == "clip" and settings.network == "mlp":
        scores = [
            np.concatenate([model.judge(unit_range(part), training=False) for part in parts(each)])
            for each in (real, fake)
        ]
        kernels = [layer.get_weights()[0] for layer in model.judge.layers if isinstance(layer, keras.layers.Dense)]
        emd = float(emd_estimate(*scores))
        numbers["w1_bound"] = emd / estimates.lipschitz_bound(kernels)
        numbers["w1_bound_loose"] = emd / estimates.loose_lipschitz_bound(kernels, settings.clip)
    own["metrics"] |= numbers
    own["samples_n"] |= dict.fromkeys(numbers, count)
    return own
