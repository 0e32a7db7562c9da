"""Datasets that are made here and need no file: scikit-learn's digits, enlarged, and drawn shapes."""

import numpy as np

DIGITS_TRAIN = 1_437  # of 1,797
DIGITS_SEED = 5000  # of the split into training and test images
SHAPES = ("disc", "ring", "crescent", "square", "triangle", "star", "cross", "bar", "heart", "stripes")
INKS = 6  # colours of the shapes, evenly around the colour wheel


def digits() -> tuple[np.ndarray, ...]:
    """scikit-learn's digits: x_train, y_train, x_test and y_test, as in `data.ARRAYS`.

    They are 8x8, with values from 0 to 16. Enlarged to 24x24 and framed with zeros they become 28x28, as in MNIST. The
    contrast is raised by 1.6, which makes the edges of strokes as hard as MNIST's.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.float32) * (255 / 16)
    enlarged = np.stack([Image.fromarray(image).resize((24, 24), Image.Resampling.BICUBIC) for image in images])
    contrasted = np.clip(1.6 * (enlarged - 127.5) + 127.5, 0, 255).round().astype(np.uint8)
    framed = np.pad(contrasted, ((0, 0), (2, 2), (2, 2)))[..., None]
    order = np.random.default_rng(DIGITS_SEED).permutation(len(framed))
    train, test = np.split(order, [DIGITS_TRAIN])
    return framed[train], labels[train], framed[test], labels[test]


def shapes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright shapes on calm dark grounds: (images uint8 [count, 32, 32, 3], labels int64 [count], 0 to 9).

    Place, size, turn, colours and light are random, but vary little, so that networks of Dense layers learn the shapes
    in seconds. Every ten images in a row show all ten SHAPES. The first images of a seed are the same for any count.
    Everything is computed in float64, so that machines whose cosines differ in the last bit still draw the same pixels.
    """
    uniforms, blocks, grains = (np.random.default_rng([seed, stream]) for stream in range(3))
    u = uniforms.random((count, 9))
    labels = blocks.random((-(-count // 10), 10)).argsort(axis=1).ravel()[:count]
    images = np.empty((count, 32, 32, 3), np.uint8)
    for start in range(0, count, 250):  # some at a time: memory stays small for any count
        some = slice(start, start + 250)
        images[some] = _draw(labels[some], u[some, :, None, None], grains)
    return images, labels


def _draw(labels: np.ndarray, u: np.ndarray, grains: np.random.Generator) -> np.ndarray:
    """uint8 [n, 32, 32, 3] of labels [n] and uniform numbers u, [n, 9, 1, 1]."""
    middle = (np.arange(32) + 0.5) / 16 - 1
    y, x = middle[:, None], middle[None, :]
    size, turn = 0.78 + 0.08 * u[:, 0], 0.2 * (u[:, 3] - 0.5)
    dx, dy = (at - 0.06 * (2 * u[:, k] - 1) for at, k in ((x, 1), (y, 2)))
    own_x, own_y = (np.cos(turn) * dx + np.sin(turn) * dy) / size, (np.cos(turn) * dy - np.sin(turn) * dx) / size
    distance = np.empty(own_x.shape)
    for label, shape in enumerate(SHAPES):
        these = labels == label
        distance[these] = _distance(shape, own_x[these], own_y[these])
    cover = np.clip(0.5 - 16 * size * distance, 0, 1)  # one pixel of anti-aliasing

    ink = _colour(np.floor(INKS * u[:, 4]) / INKS, 0.6, 0.9 + 0.1 * u[:, 5])
    ground = _colour(u[:, 6], 0.5, 0.14 + 0.08 * u[:, 7])
    light = 255 * (1 + 0.1 * (np.cos(2 * np.pi * u[:, 8]) * x + np.sin(2 * np.pi * u[:, 8]) * y))
    grain = 8 * (grains.random((len(labels), 32, 32)) - 0.5)
    image = (cover * light)[..., None] * ink + ((1 - cover) * light)[..., None] * ground + grain[..., None]
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def _colour(hue: np.ndarray, saturation: float, value: np.ndarray) -> np.ndarray:
    """RGB, 0 to 1, in a new last axis; hue in whole turns."""
    rgb = 0.5 + 0.5 * np.cos(2 * np.pi * (hue[..., None] + np.arange(3) / 3))
    return value[..., None] * (1 - saturation * (1 - rgb))


def _distance(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance to a shape about as large as the unit disc: negative inside; y points down."""
    radius, a, b = np.hypot(x, y), np.abs(x), np.abs(y)
    match shape:
        case "disc":
            return radius - 0.9
        case "ring":
            return np.abs(radius - 0.75) - 0.22
        case "crescent":
            return np.maximum(radius - 0.95, 0.75 - np.hypot(x - 0.45, y))
        case "square":
            return np.maximum(a, b) - 0.8
        case "triangle":
            return np.maximum(0.8 * a - 0.55 * y - 0.45, y - 0.75)
        case "star":
            fold = np.abs((np.arctan2(x, -y) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)  # angle to the nearest tip
            return radius * np.cos(fold - 1.05) - 0.48
        case "cross":
            return np.maximum(np.maximum(a, b) - 0.95, np.minimum(a, b) - 0.28)
        case "bar":
            return np.hypot(x, np.maximum(b - 0.7, 0)) - 0.28
        case "heart":
            lobe = np.hypot(a - 0.45, y + 0.35) - 0.5
            wedge = np.maximum(np.maximum(a + y - 0.807, a - y - 0.8) / np.sqrt(2), -0.35 - y)
            return np.minimum(lobe, wedge)
        case "stripes":
            return np.maximum(np.minimum(np.abs(b - 0.68), b) - 0.17, a - 0.9)
