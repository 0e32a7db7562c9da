"""Lines of NumPy that make arrays fit: each function gives an expression, with {} where the array's name belongs.

They end the messages about arrays that do not fit. '' stands for: no line would do.
"""

from math import isqrt

import numpy as np


def to_uint8(shape: tuple[int, ...], dtype: np.dtype, values: np.ndarray | None) -> str:
    """Scales images of another type to 0..255.

    Args:
        values: the images, or None where they cannot be read.
    """
    if dtype.kind == "O":
        return "np.stack({})" if len(shape) == 1 else "{}.astype(float)"
    if dtype.kind == "b":
        return '255 * {}.astype("uint8")'
    if values is None or not (finite := values[np.isfinite(values)]).size:
        return ""
    array = "{}" if finite.size == values.size else "np.nan_to_num({})"
    least, most = float(finite.min()), float(finite.max())
    whole = ".round()" if dtype.kind == "f" else ""
    if least >= 0 and 128 <= most <= 255:
        return f'{array}{whole}.astype("uint8")'
    if least >= 0 and most <= 1:
        return f'(255 * {array}){whole}.astype("uint8")'
    return f'np.interp({array}, ({min(least, 0):g}, {_white(most, dtype):g}), (0, 255)).round().astype("uint8")'


def _white(most: float, dtype: np.dtype) -> float:
    """The value of white: of whole numbers beyond 255 a power of two less one, as in images of 12 or 16 bits."""
    return most if dtype.kind == "f" or most < 256 else 2 ** int(most).bit_length() - 1


def unflattened(shape: tuple[int, ...]) -> str:
    """Gives flat images [N, D] their sides; of colours, all of one come first, as in CIFAR-10's files."""
    pixels = shape[1] if len(shape) == 2 else 0
    grey, coloured = isqrt(pixels), isqrt(pixels // 3)
    if pixels and grey**2 == pixels:
        return f"{{}}.reshape(-1, {grey}, {grey})"
    if pixels and 3 * coloured**2 == pixels:
        return f"{{}}.reshape(-1, 3, {coloured}, {coloured}).transpose(0, 2, 3, 1)"
    return ""


def channels_last(shape: tuple[int, ...]) -> str:
    """Moves the channels to the last place, and drops transparency; [H, W, C, N] is MATLAB's order."""
    first, second, third, last = shape
    if second in (1, 2, 3, 4) and third == last != second:
        opaque = "" if second in (1, 3) else f"[:, :{second - 1}]"
        return f"{{}}{opaque}.transpose(0, 2, 3, 1)"
    if last in (2, 4):
        return f"{{}}[..., :{last - 1}]"
    return "{}.transpose(3, 0, 1, 2)" if third in (1, 3) and first == second else ""


def squared(shape: tuple[int, ...]) -> str:
    """Cuts the largest square out of the middle of each image."""
    high, wide = shape[1:3]
    side = min(high, wide)
    top, left = (high - side) // 2, (wide - side) // 2
    return f"{{}}[:, {top}:{top + side}, {left}:{left + side}]" if side >= 4 else ""


def numbered(train: int, dtype: np.dtype) -> dict[str, str]:
    """Numbers the classes of both label arrays alike, in the order of their names.

    Args:
        train: how many of the labels belong to the training images.
    """
    names = ".astype(str)" if dtype.kind == "O" else ""
    numbers = f"np.unique(np.append(y_train, y_test){names}, return_inverse=True)[1]"
    return {"y_train": f"{numbers}[:{train}]", "y_test": f"{numbers}[{train}:]"}
