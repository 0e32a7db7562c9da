"""Images side by side: galleries, reconstructions, the plane of two latents."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context

from lib.figures.figure import GREY, STYLE, Figure, bare, framed, sized


def mosaic(images, columns: int = 10, gap: int = 1) -> np.ndarray:
    """Images in rows, with white gaps and white where the last row ends early.

    Args:
        images: [N, H, W, C] with C 1, 3 or 4, uint8 or float in [0, 1].

    Returns:
        uint8 [rows * (H + gap) - gap, columns * (W + gap) - gap, 3]; with C 4, of opacity, 4 and clear in the gaps.
    """
    images = _pixels(images)
    count, height, width, channels = images.shape
    columns = max(1, min(columns, count))
    rows = math.ceil(count / columns)
    canvas = np.full((rows * (height + gap), columns * (width + gap), max(3, channels)), 255, np.uint8)
    canvas[..., 3:] = 0
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas[: rows * (height + gap) - gap, : columns * (width + gap) - gap]


@rc_context(STYLE)
def gallery(images, columns: int = 10, title: str = "") -> Figure:
    """A grid of images [N, H, W, C], uint8 or float in [0, 1]."""
    canvas = mosaic(_opaque(images), columns)
    drawn = _shown(canvas, 580, top=26 if title else 0)
    drawn.axes[0].set_title(title)
    rows = math.ceil(len(images) / columns)
    drawn.alt = f"{len(images)} images in {rows} row{'s' if rows > 1 else ''}" + (f": {title}" if title else "")
    return drawn


def interpolation(images) -> Figure:
    """Images [N, H, W, C] in one row, as a walk through the latent space decodes to."""
    drawn = gallery(images, columns=len(images))
    drawn.alt = f"{len(images)} images in one row, from one latent vector to another"
    return drawn


@rc_context(STYLE)
def reconstructions(originals, decoded, names: tuple[str, str] = ("original", "decoded")) -> Figure:
    """Images above others that belong to them, both [N, H, W, C]: originals above what encoder and decoder make of
    them, or generated images above the nearest real ones.

    Args:
        names: of the two rows.
    """
    drawn = _shown(mosaic(np.concatenate([_opaque(originals), _opaque(decoded)]), len(originals)), 520, left=80)
    for height, name in zip((0.75, 0.25), names, strict=True):
        drawn.text(80 / drawn.size[0] * 0.9, height, name, ha="right", va="center", color=GREY)
    drawn.alt = f"{len(originals)} images in two rows, {names[0]} above {names[1]}"
    return drawn


def plane(images, ticks: Sequence[float]) -> Figure:
    """The decoded plane of two latents.

    Args:
        images: [n * n, H, W, C], row by row, the first row with the largest z2.
        ticks: [n] ascending values of z1, and of z2.
    """
    names = [f"{tick:.1f}".replace("-0.0", "0.0") for tick in ticks]
    axes = _grid(images, names[::-1], names, (430, 430), left=0.13, right=0.98, bottom=0.13, top=0.98)
    axes.set(xlabel="z1", ylabel="z2")
    across = f"{len(names)} by {len(names)} grid"
    axes.figure.alt = f"Images decoded on a {across} over two latents, each from {names[0]} to {names[-1]}"
    return axes.figure


def traversal(images, rows: Sequence[str], columns: Sequence[str], of_rows: str, of_columns: str) -> Figure:
    """One latent after the other moved through the same places, the others at rest.

    Args:
        images: [R * C, H, W, C], row by row.
        rows, columns: the names of R latents and of C places.
        of_rows, of_columns: what the names are.
    """
    side = images.shape[2] * max(1, round(50 / images.shape[2]))
    width, height = side * len(columns) + 92, side * len(rows) + 48
    edges = {"left": 86 / width, "right": 1 - 6 / width, "bottom": 42 / height, "top": 1 - 6 / height}
    axes = _grid(images, rows, columns, (width, height), **edges)
    axes.set(xlabel=of_columns, ylabel=of_rows)
    axes.figure.alt = f"Images in {len(rows)} rows, {of_rows}: {', '.join(rows)}; along each {of_columns}"
    axes.figure.alt += f" from {columns[0]} to {columns[-1]}"
    return axes.figure


@rc_context(STYLE)
def _grid(images, rows: Sequence[str], columns: Sequence[str], size: tuple[int, int], **margins: float):
    """The axes of a grid of images [R * C, H, W, C] with a name for each row, from above, and each column."""
    axes = framed(*size, **margins)
    extent = (0, len(columns), 0, len(rows))
    axes.imshow(mosaic(images, len(columns), gap=0), extent=extent, interpolation="nearest")
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows[::-1])
    bare(axes)
    axes.figure.kind = ""
    return axes


def _pixels(images) -> np.ndarray:
    """[N, H, W, C], uint8 or float in [0, 1] -> uint8."""
    images = np.asarray(images)
    return images if images.dtype == np.uint8 else np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def _opaque(images) -> np.ndarray:
    """[N, H, W, C], uint8 or float in [0, 1] -> uint8 [N, H, W, 4]."""
    images = _pixels(images)
    alpha = np.full((*images.shape[:3], 1), 255, np.uint8)
    return np.concatenate([np.broadcast_to(images, (*images.shape[:3], 3)), alpha], axis=3)


def _shown(canvas: np.ndarray, wanted: int, left: int = 0, top: int = 0) -> Figure:
    """A mosaic about as wide as wanted, with room at its left and above it; each pixel is a square of CSS pixels."""
    height, width = canvas.shape[:2]
    scale = max(1, round(wanted / width))
    drawn = sized(width * scale + left, height * scale + top)
    share, head = left / drawn.size[0], top / drawn.size[1]
    axes = drawn.add_axes((share, 0, 1 - share, 1 - head))
    axes.imshow(canvas, interpolation="nearest", aspect="equal")
    axes.set_axis_off()
    drawn.kind = ""
    return drawn
