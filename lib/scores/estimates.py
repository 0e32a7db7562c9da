"""Estimators of how alike two sets are: arrays in, numbers out; no model, no dataset, no TensorFlow.

Rows are float arrays [N, D]; images are uint8 [N, H, W, C]. Every estimate depends on the number of rows: it means
something only beside the value that other real images have at the same number.
"""

import numpy as np
from scipy import linalg, ndimage, optimize, special

PART = 500  # images or rows taken at a time, where all at once would need much memory
SEED = 20_131_220  # of every draw made for an evaluation, whatever the run's own seed
COMPARED = 10  # images on each side, at least, where sets are compared: of fewer, a score says nothing
Z = 3.0  # standard errors beyond which a bin counts as different
NEIGHBOURS = 3  # k of precision and recall


def parts(array, size: int = PART):
    """Consecutive pieces of an array, the last one perhaps shorter."""
    return (array[start : start + size] for start in range(0, len(array), size))


def rows(images: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, C] -> float32 [N, H * W * C] in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


# ---- distances between sets ----------------------------------------------------------------------


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of the Gaussians fitted to rows [N, D] and [M, D] (Dowson & Landau 1982)."""
    mean_gap = first.mean(axis=0) - second.mean(axis=0)
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    # The trace of (ab)^(1/2), through the symmetric a^(1/2) b a^(1/2): its eigenvalues are real.
    values, vectors = linalg.eigh(a)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    cross = np.sqrt(np.clip(linalg.eigvalsh(root @ b @ root), 0, None)).sum()
    return float(mean_gap @ mean_gap + np.trace(a) + np.trace(b) - 2 * cross)


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS) -> tuple[float, float]:
    """Improved precision and recall of rows [N, D] and [M, D], each in 0..1 (Kynkaanniemi et al. 2019, eq. 1 and 2).

    Precision is the share of fake rows within the distance to the k-th nearest neighbour of some real row; recall the
    share of real rows within that of some fake row.
    """
    from sklearn.metrics import pairwise_distances_chunked

    within_real, within_fake = _neighbour_distances(real, k), _neighbour_distances(fake, k)
    near_real, near_fake = [], np.zeros(len(real), bool)
    start = 0
    for distances in pairwise_distances_chunked(fake, real, working_memory=64):  # MiB
        near_real.append((distances <= within_real).any(axis=1))
        near_fake |= (distances <= within_fake[start : start + len(distances), None]).any(axis=0)
        start += len(distances)
    return float(np.concatenate(near_real).mean()), float(near_fake.mean())


def _neighbour_distances(points, k):
    """The distance from each row to its k-th nearest other row, [N]."""
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points)
    return fitted.kneighbors()[0][:, -1]


def w1(first: np.ndarray, second: np.ndarray) -> float:
    """Exact Wasserstein-1 distance between two samples of equal size, rows [N, D], by optimal assignment.

    It belongs to the samples, not to the distributions: in many dimensions two samples of one distribution lie far
    apart. So it serves to check other estimates, never to rank models. Time grows with N^3; 2,000 rows take seconds.
    """
    from sklearn.metrics import euclidean_distances

    distances = euclidean_distances(first.astype(np.float64), second.astype(np.float64))
    return float(distances[optimize.linear_sum_assignment(distances)].mean())


# ---- bins ----------------------------------------------------------------------------------------


class Bins:
    """Bins of image space around k-means centres, to see which are over- or underfilled (Richardson & Weiss 2018).

    Attributes:
        centres: [K, D]; a row belongs to the nearest.
        counts: [K], of the rows that the bins were fitted to.
    """

    def __init__(self, centres: np.ndarray, counts: np.ndarray):
        self.centres, self.counts = centres, counts

    @classmethod
    def fit(cls, points: np.ndarray, bins: int = 100, seed: int = 0) -> "Bins":
        """Fits the bins to float32 rows [N, D], which are centred in place to save a copy, and then restored."""
        from sklearn.cluster import KMeans

        fitted = KMeans(bins, n_init=1, random_state=seed, copy_x=False).fit(points)
        return cls(fitted.cluster_centers_, np.bincount(fitted.labels_, minlength=bins))

    def count(self, points: np.ndarray) -> np.ndarray:
        """How many of the rows fall into each bin, [K]."""
        from sklearn.metrics import pairwise_distances_argmin

        return np.bincount(pairwise_distances_argmin(points, self.centres), minlength=len(self.centres))

    def scores(self, points: np.ndarray) -> tuple[int, float]:
        """NDB, the number of bins that the rows fill differently, and the Jensen-Shannon divergence of the fillings.

        Different: the two shares differ by more than 3 standard errors of a two-proportion z-test with pooled share
        (their section 3 tests at a level of 5 %; at 3 standard errors chance gives 0.3 bins of 100). JS in nats.
        """
        return bins_different(self.counts, found := self.count(points)), jensen_shannon(self.counts, found)


def bins_different(first: np.ndarray, second: np.ndarray, z: float = Z) -> int:
    """The number of bins whose shares of two samples differ by more than z standard errors; counts [K] both."""
    n, m = first.sum(), second.sum()
    pooled = (first + second) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return int((np.abs(first / n - second / m) > z * error).sum())


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> float:
    """Jensen-Shannon divergence of two histograms of counts [K], in nats, 0 to log 2."""
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    return float((special.rel_entr(p, middle) + special.rel_entr(q, middle)).sum() / 2)


def histogram_kl(found: np.ndarray, expected: np.ndarray) -> float:
    """KL(found || expected) of two histograms of counts [K], in nats; one is added to each count, against zeros."""
    p, q = (found + 1) / (found + 1).sum(), (expected + 1) / (expected + 1).sum()
    return float(special.rel_entr(p, q).sum())


# ---- likelihoods and Lipschitz bounds ------------------------------------------------------------


def importance_bounds(log_weights: np.ndarray, sizes) -> dict[int, float]:
    """L_k for each k of `sizes`: a lower bound of log p(x) that rises with k (Burda et al. 2016, eq. 8).

    Args:
        log_weights: log p(x, z) - log q(z|x), [N, K], K a multiple of each k. Groups of k share the same weights for
            every k, so that the bounds rise without noise wherever each k divides the next.

    Returns:
        The mean over images for each k, in nats.
    """
    count = len(log_weights)
    grouped = {k: log_weights.reshape(count, -1, k) for k in sizes}
    return {k: float((special.logsumexp(group, axis=2) - np.log(k)).mean()) for k, group in grouped.items()}


def bernoulli_references(x_train: np.ndarray, x_test: np.ndarray) -> dict[str, float]:
    """Cross-entropy of test images, nats per image: under the training images' mean, which is the best constant
    decoder, and under the pixels themselves, which is 0 for black and white ones.

    A loss near the first means a collapsed model; no model of grey levels can get below the second.
    """
    total = sum(rows(part).sum(axis=0, dtype=np.float64) for part in parts(x_train))
    mean = np.clip(total / len(x_train), 1e-6, 1 - 1e-6)
    against_mean, against_itself = 0.0, 0.0
    for part in parts(x_test):
        pixels = rows(part).astype(np.float64)
        against_mean -= (pixels @ np.log(mean) + (1 - pixels) @ np.log1p(-mean)).sum()
        against_itself += special.entr(pixels).sum() + special.entr(1 - pixels).sum()
    return {"mean_image": float(against_mean / len(x_test)), "pixel_entropy": float(against_itself / len(x_test))}


def lipschitz_bound(kernels) -> float:
    """A Lipschitz constant, L2 to L2, of a chain of Dense layers [n_in, n_out] and slopes of at most 1: the product of
    the spectral norms."""
    return float(np.prod([np.linalg.norm(kernel, 2) for kernel in kernels]))


def loose_lipschitz_bound(kernels, clip: float) -> float:
    """The same from the shapes alone, for weights within -clip..clip: the product of clip * sqrt(n_in * n_out)."""
    return float(np.prod([clip * np.sqrt(kernel.size) for kernel in kernels]))


# ---- single images -------------------------------------------------------------------------------


def sharpness(images: np.ndarray) -> float:
    """Mean over images of the variance of the Laplacian, uint8 [N, H, W, C]; meaningful relative to real images'."""
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)[None, :, :, None]
    return float(np.mean(np.concatenate([
        ndimage.convolve(part.astype(np.float32) / 255.0, kernel, mode="nearest").var(axis=(1, 2, 3))
        for part in parts(images)
    ])))  # fmt: skip


def nearest(images: np.ndarray, among: np.ndarray) -> np.ndarray:
    """For each of uint8 [N, H, W, C] the index of the image of `among` [M, H, W, C] that is nearest in pixels (L2)."""
    points, best, found = rows(images), np.full(len(images), np.inf), np.zeros(len(images), int)
    for start in range(0, len(among), 5000):
        candidates = rows(among[start : start + 5000])
        distances = (candidates**2).sum(axis=1) - 2 * points @ candidates.T  # less what is the same for all
        index = distances.argmin(axis=1)
        closest = distances[np.arange(len(points)), index]
        found = np.where(closest < best, start + index, found)
        best = np.minimum(closest, best)
    return found


def damaged(images: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Real images uint8 [N, H, W, C] with known damage, by its name: what a score's size means."""
    rng = np.random.default_rng(seed)
    noise = rng.random(images.shape) < 0.1
    mean = np.round(images.mean(axis=0)).astype(np.uint8)
    return {
        "blurred": np.round(ndimage.gaussian_filter(images.astype(np.float32), sigma=(0, 1, 1, 0))).astype(np.uint8),
        "noisy": np.where(noise, rng.integers(0, 256, images.shape, dtype=np.uint8), images),
        "mean_image": np.broadcast_to(mean, images.shape),
    }


# ---- of which images ------------------------------------------------------------------------------


def some(images: np.ndarray, count: int) -> np.ndarray:
    """`count` of the images, drawn by a fixed seed: never the first ones, which may be easier than the others."""
    chosen = np.random.default_rng(SEED).permutation(len(images))[:count]
    return images[np.sort(chosen)]


def too_few(found: int, needed: int) -> str:
    """Why a number that compares sets is absent."""
    return f"{found} real image{'s' * (found > 1)} to compare with, {needed} needed"
