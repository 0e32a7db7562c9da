"""Reading a user's own .npz file: what must be in it, said in one line where it is not, with the line that converts it.

Arrays are judged by their headers wherever these show enough, before anything large is read. No object is unpickled.
"""

import zipfile
from pathlib import Path

import numpy as np

from lib.data import conversions
from lib.errors import UserError, in_one_line, nearest

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
FEWEST = {"x_train": 20, "x_test": 10}  # images
CLASSES = 1000  # at most, numbered from 0

Header = tuple[tuple[int, ...], np.dtype]


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays by name, as they are stored; y_train and y_test may be absent.

    Raises:
        UserError: a damaged file, or arrays that are not what they should be.
    """
    found = headers(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in found}
    except Exception as error:  # a damaged zip raises nearly anything
        raise UserError(f"{path}: is corrupt: {in_one_line(error)}; expected a file written by np.savez") from None
    _check_range(path, arrays)
    _check_grey_levels(path, arrays)
    return arrays


def headers(path: Path) -> dict[str, Header]:
    """(shape, dtype) of the arrays by name, from the .npy headers inside the zip, and checked.

    Raises:
        UserError: a damaged file, or headers that show unfit arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename.removesuffix(".npy") for info in archive.infolist()]
            found = {key: _npy_header(archive, key) for key in ARRAYS if key in names}
    except Exception as error:  # a damaged zip raises nearly anything
        raise UserError(
            f"{path}: is no readable .npz file: {in_one_line(error)}; expected a file written by np.savez"
        ) from None
    for key in FEWEST:
        if key not in found:
            raise UserError(f"{path}: has no array {key!r}, only {names[:8]}{nearest(key, set(names) - set(ARRAYS))}")
    _check_images(path, {key: found[key] for key in FEWEST})
    _check_labels(path, found)
    return found


def read_labels(path: Path) -> np.ndarray | None:
    """The training images' labels as they are stored; None without labels."""
    with np.load(path, allow_pickle=False) as arrays:
        return arrays.get("y_train")


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[N, H, W] is [N, H, W, 1]."""
    return shape if len(shape) == 4 else (*shape, 1)


def _npy_header(archive: zipfile.ZipFile, key: str) -> Header:
    with archive.open(f"{key}.npy") as file:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = readers[version](file)
        return shape, dtype


def _refuse(path: Path, fault: str, lines: dict[str, str] | None = None) -> None:
    """Raises a UserError.

    Args:
        lines: for arrays by name, the expression that converts each; one that is empty is left out.
    """
    converted = "".join(f"{key}={line}, " for key, line in (lines or {}).items() if line)
    raise UserError(f"{path}: {fault}" + (f"; convert: np.savez(..., {converted}...)" if converted else ""))


# --- images ---


def _check_images(path: Path, found: dict[str, Header]) -> None:
    faults = {key: _fault(path, key, found) for key in found}
    if said := list(filter(None, (fault for fault, _ in faults.values()))):
        _refuse(path, said[0], {key: line.format(key) for key, (_, line) in faults.items()})
    train, test = (list(image_shape(shape)[1:]) for shape, _ in found.values())
    if train != test:
        raise UserError(f"{path}: x_test has images {test}, expected {train} as in x_train")


def _fault(path: Path, key: str, found: dict[str, Header]) -> tuple[str, str]:
    """What is wrong with an array of images, and what converts it; '' twice where it fits."""
    shape, dtype = found[key]
    if dtype != np.uint8:
        scale = "x_train" if found["x_train"][1] == dtype else key  # both arrays are converted alike
        values = _values(path, scale, dtype)
        shown = "" if values is None else f" ({_range(values)})"
        line = conversions.to_uint8(shape, dtype, values)
        return f"{key} is {dtype}{shown}, expected uint8, values 0 to 255", line
    if len(shape) not in (3, 4):
        line = conversions.unflattened(shape)
        return f"{key} is of shape {list(shape)}, expected [N, H, W] or [N, H, W, C]", line
    count, high, wide, channels = image_shape(shape)
    if channels not in (1, 3):
        line = conversions.channels_last(shape)
        return f"{key} is of shape {list(shape)}, expected 1 or 3 channels, in the last place", line
    if high != wide or high < 4:
        return f"{key} has images of {high}x{wide}, expected square ones, at least 4x4", conversions.squared(shape)
    if count < FEWEST[key]:
        return f"{key} has {count} images, expected at least {FEWEST[key]}", ""
    return "", ""


def _check_grey_levels(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Refuses images whose white is 1, and training images that are all alike."""
    if dark := [key for key in FEWEST if arrays[key].max() == 1]:
        lines = {key: f"255 * {key}" for key in dark}
        _refuse(path, f"{dark[0]} has only the values 0 and 1, expected 0 to 255", lines)
    first, *others = arrays["x_train"]
    if all(np.array_equal(first, other) for other in others):
        grey = f", every pixel {first.min()}" if first.min() == first.max() else ""
        raise UserError(
            f"{path}: x_train is the same image {len(others) + 1} times{grey}: there is nothing to learn from it; "
            f"expected images that differ"
        )


# --- labels ---


def _check_labels(path: Path, found: dict[str, Header]) -> None:
    labelled = [key for key in ("y_train", "y_test") if key in found]
    if len(labelled) == 1:
        raise UserError(f"{path}: has only {labelled[0]}, expected y_train and y_test, or neither")
    for key in labelled:
        shape, dtype = found[key]
        count = _count(key, found)
        if dtype.kind not in "iu" or shape not in ((count,), (count, 1)):
            fault = f"{key} is {dtype} of shape {list(shape)}, expected integers [{count}] or [{count}, 1]"
            _refuse(path, fault, _class_numbers(key, found))


def _count(key: str, found: dict[str, Header]) -> int:
    """Of the images that labels belong to."""
    return found[key.replace("y", "x")][0][0]


def _class_numbers(key: str, found: dict[str, Header]) -> dict[str, str]:
    """What converts unfit labels; nothing where there is not one for each image."""
    shape, dtype = found[key]
    count = _count(key, found)
    rows = [each for each in ("y_train", "y_test") if len(found[each][0]) == 2 and found[each][0][1] > 1]
    if key in rows and shape[0] == count:
        return {each: f"{each}.argmax(1)" for each in rows}
    return conversions.numbered(_count("y_train", found), dtype) if shape in ((count,), (count, 1)) else {}


def _check_range(path: Path, arrays: dict[str, np.ndarray]) -> None:
    for key in ("y_train", "y_test"):
        if key in arrays and not 0 <= arrays[key].min() <= arrays[key].max() < CLASSES:
            fault = f"{key} has {_range(arrays[key])}, expected class numbers from 0 to {CLASSES - 1}"
            _refuse(path, fault, conversions.numbered(len(arrays["y_train"]), arrays[key].dtype))


# --- values ---


def _values(path: Path, key: str, dtype: np.dtype) -> np.ndarray | None:
    """An array of numbers; None for others: to see objects would need unpickling."""
    if dtype.kind not in "fiub":
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return file[key]
    except Exception:  # the error that is about to be raised says enough
        return None


def _range(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    lost = values.size - finite.size
    text = f"values {float(finite.min()):g} to {float(finite.max()):g}" if finite.size else "no finite value"
    return text + (f", {lost} NaN or infinite" if lost else "")
