"""A folder of images, or an .npz file whose arrays do not fit, made into an .npz file that does. Each change is said.

In a folder, `train/` and `test/` are the two parts; without them, a sixth of the images, drawn by a fixed seed, are for
the test. Subfolders are classes. Hidden files are ignored.
"""

import glob
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lib.data import conversions, npz
from lib.data.npz import ARRAYS, FEWEST
from lib.errors import UserError, in_one_line, short

LABELS = ("y_train", "y_test")
PARTS = ("train", "test")
SEED = 5000  # of the split into training and test images
TEST_SHARE = 6

Arrays = dict[str, np.ndarray]
Say = Callable[[str], None]


def pack(source: str, out: str, size: int | None = None, grey: bool = False, say: Say = print) -> Path:
    """Writes an .npz file of a folder of images or of another .npz file.

    Args:
        size: the images' side in pixels: the largest square in the middle of each is scaled to it. Without it, images
            must be squares of one size already; those of an .npz file are cut to squares.
        grey: whether colour images become grey. Those whose three channels are alike always do.
        say: called with one line about each thing that was decided or changed.

    Raises:
        UserError: there is a file of that name; nothing to read; or images or labels that cannot be made fit.
    """
    path = Path(os.path.abspath(os.path.expanduser(out)))
    if path.suffix != ".npz":
        raise UserError(f"{out}: expected a name that ends in .npz")
    if os.path.lexists(path):
        raise UserError(f"{path}: is there already, and is not replaced: choose another name")
    where = Path(os.path.expanduser(source))
    if not where.exists():
        raise UserError(f"{where.absolute()}: is not there; expected a folder of images or an .npz file")
    arrays = _images(where, size, say) if where.is_dir() else _mended(where, size, say)
    _write(path, _greyed(arrays, grey, say))
    return path


def of_folder(name: str) -> Path:
    """The .npz file of a folder of images that fit already: made once for the files as they are, and kept.

    Raises:
        UserError: there is no such folder; its images are not squares of one size, or some cannot be read.
    """
    from lib.data.cache import cached

    folder = Path(os.path.abspath(os.path.expanduser(name)))
    if not folder.is_dir():
        raise UserError(f"dataset {name}: {folder} is no folder; expected a folder of images or an .npz file")

    def make(made: Path) -> None:
        arrays = _images(folder, None, lambda line: print(f"dataset {name}: {line}", file=sys.stderr), whole=True)
        _write(made / "images.npz", _greyed(arrays, False, lambda line: None), folder)

    states = [(file, os.stat(folder / file)) for file in _listed(folder)]
    key = {"folder": str(folder), "files": [(file, state.st_size, state.st_mtime_ns) for file, state in states]}
    return cached(f"images-{title(name)}", key, make) / "images.npz"


def command(source: str, word: str, options: str = "") -> str:
    """The command that makes a dataset of another one, in words for an error message."""
    out = os.path.basename(source.rstrip("/")).removesuffix(".npz") + f"-{word}" * bool(word) + ".npz"
    return f"run `latent-report data pack {shlex.quote(source)} {shlex.quote(out)}{options}`"


def title(name: str) -> str:
    """What a folder of images is called as a dataset: by its own name."""
    return Path(os.path.abspath(os.path.expanduser(name))).name


def _write(path: Path, arrays: Arrays, called: Path | None = None) -> None:
    """Writes a file aside, checks it as any .npz file is checked, and renames it."""
    try:
        with tempfile.TemporaryDirectory(prefix=".packing-", dir=path.parent) as scratch:
            aside = Path(scratch) / path.name
            np.savez(aside, **arrays)
            try:
                npz.read(aside)
            except UserError as error:
                raise UserError(str(error).replace(str(aside), str(called or path))) from None
            os.replace(aside, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {in_one_line(error)}") from None


# --- a folder of images ---


def _listed(folder: Path) -> list[str]:
    """The images in a folder and its subfolders, relative to it and in order; if it has train/ and test/, in these."""
    from PIL import Image

    suffixes = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    files = glob.iglob("**/*", root_dir=folder, recursive=True)  # leaves hidden ones out
    found = sorted(
        one for one in files if os.path.splitext(one)[1].lower() in suffixes and os.path.isfile(folder / one)
    )
    tops = {file.partition("/")[0] for file in found if "/" in file}
    if len(tops & {*PARTS}) == 1:
        raise UserError(f"{folder}: has only one of train/ and test/; expected both or neither")
    return [file for file in found if file.partition("/")[0] in PARTS] if tops >= {*PARTS} else found


def _images(folder: Path, size: int | None, say: Say, whole: bool = False) -> Arrays:
    """A folder's images uint8 [N, S, S, 3], and labels where there are several classes.

    Args:
        whole: whether a file that cannot be read is an error; otherwise it is left out, and named.
    """
    read, unreadable = {}, {}
    for file in _listed(folder):
        try:
            image = read[file] = _opened(folder / file, size)
        except Exception as error:  # a damaged file raises nearly anything
            unreadable[file] = in_one_line(error)
            continue
        high, wide, _ = image.shape
        if high != wide or high != len(next(iter(read.values()))):
            fault = f"{file} is {wide}x{high}" + (f", {next(iter(read))} is not" if high == wide else "")
            hint = f"{command(str(folder), '', ' --size 32')}, or with another size"
            raise UserError(f"{folder}: {fault}; expected squares of one size: {hint}")
    if unreadable:
        some = _some([f"{file} ({short(reason)})" for file, reason in unreadable.items()])
        words = f"{len(unreadable)} of {len(unreadable) + len(read)} files cannot be read: {some}"
        if whole:
            raise UserError(f"{folder}: {words}; remove them, or leave them out: {command(str(folder), '')}")
        say(f"left out: {words}")
    if len(read) < sum(FEWEST.values()):
        raise UserError(f"{folder}: {len(read)} images, expected at least {sum(FEWEST.values())}")
    return _split(list(read), np.stack(list(read.values())), say)


def _opened(path: Path, size: int | None) -> np.ndarray:
    """An image uint8 [H, W, 3], upright, on white where it is transparent; with a size, its largest square of that."""
    from PIL import Image, ImageOps

    with Image.open(path) as stored:
        image = ImageOps.exif_transpose(stored)
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.mode in ("I", "F"):
            raise ValueError(f"its pixels are of the kind {image.mode}, which has no known white")
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        image = image.convert("RGB")
        return np.asarray(image if size is None else ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS))


def _split(files: list[str], images: np.ndarray, say: Say) -> Arrays:
    """Arrays by name, from the places of the images in their folder."""
    parts = [file.split("/") for file in files]
    if given := all(part[0] in PARTS and len(part) > 1 for part in parts):
        test = np.array([part[0] == "test" for part in parts])
        parts = [part[1:] for part in parts]
    else:
        order = np.random.default_rng(SEED).permutation(len(files))
        test = np.zeros(len(files), bool)
        test[order[: max(len(files) // TEST_SHARE, FEWEST["x_test"])]] = True
    classes = [part[0] if len(part) > 1 else "" for part in parts]
    names, labels = np.unique(classes, return_inverse=True)
    if len(names) > 1 and not names[0]:
        stray = files[classes.index("")]
        raise UserError(f"{stray}: lies beside folders of classes; expected all images in such folders, or none")
    arrays = {"x_train": images[~test], "x_test": images[test]}
    words = f"of {len(names)} classes ({_some(names)})" if len(names) > 1 else "without classes"
    how = "as its folders say" if given else "drawn by a fixed seed"
    say(f"{len(files)} images {words}; {len(arrays['x_test'])} of them are for the test, {how}")
    if len(names) > 1:
        arrays |= {"y_train": labels[~test], "y_test": labels[test], "class_names": names}
    return arrays


def _some(words: Sequence[str], most: int = 10) -> str:
    return ", ".join(words[:most]) + ", ..." * (len(words) > most)


# --- an .npz file ---


def _mended(path: Path, size: int | None, say: Say) -> Arrays:
    """The arrays of an .npz file, converted by the same lines as the messages of `npz` show."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in (*ARRAYS, "class_names") if key in file}
        arrays["x_train"], arrays["x_test"]
    except Exception:  # a damaged zip raises nearly anything
        npz.headers(path)  # says what is wrong
        raise
    while lines := {key: line.format(key) for key in FEWEST if (line := _line(key, arrays, size))}:
        made = {key: eval(line, {"np": np}, arrays) for key, line in lines.items()}  # of ours: only numbers vary
        say("; ".join(f"{key} = {line}" for key, line in lines.items()))
        arrays |= made
    if size:
        arrays |= {key: _resized(arrays[key], size) for key in FEWEST}
    return _numbered(arrays, say)


def _line(key: str, arrays: Arrays, size: int | None) -> str:
    """The next expression that brings an array of images nearer to what `npz` wants; '' where there is none."""
    images = arrays[key]
    shape = images.shape
    if images.dtype != np.uint8:
        same = arrays["x_train"].dtype == images.dtype  # then both are converted alike
        numbers = arrays["x_train" if same else key] if images.dtype.kind in "fiu" else None
        return conversions.to_uint8(shape, images.dtype, numbers)
    if images.max(initial=0) == 1:
        return "255 * {}"
    if len(shape) == 2:
        return conversions.unflattened(shape)
    if len(shape) == 4 and shape[3] not in (1, 3):
        return conversions.channels_last(shape)
    return conversions.squared(shape) if not size and len(shape) > 2 and shape[1] != shape[2] else ""


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image, ImageOps

    flat = images.reshape(images.shape[:3]) if images.shape[3:] == (1,) else images
    return np.stack([ImageOps.fit(Image.fromarray(one), (size, size), Image.Resampling.LANCZOS) for one in flat])


def _numbered(arrays: Arrays, say: Say) -> Arrays:
    """Labels as class numbers from 0, in the order of their names; those that are from 0 stay."""
    if not all(key in arrays for key in LABELS):
        return arrays
    for key in LABELS:
        if arrays[key].ndim == 2 and arrays[key].shape[1] > 1:
            say(f"{key} = {key}.argmax(1)")
            arrays[key] = arrays[key].argmax(1)
    both = np.concatenate([arrays[key].ravel() for key in LABELS])
    if both.dtype.kind in "iu" and both.size and both.min() == 0 and both.max() < npz.CLASSES:
        return arrays
    names, numbers = np.unique(both, return_inverse=True)
    say(f"labels are numbered from 0 in the order {_some(names := names.astype(str))}")
    first, last = np.split(numbers, [arrays["y_train"].size])
    return arrays | {"y_train": first, "y_test": last, "class_names": names}


def _greyed(arrays: Arrays, grey: bool, say: Say) -> Arrays:
    """Colour images become grey if that is wanted, or if their channels are alike."""
    from PIL import Image

    images = [arrays[key] for key in FEWEST]
    if any(each.shape[3:] != (3,) for each in images):
        return arrays
    alike = all((each == each[..., :1]).all() for each in images)
    if not (alike or grey):
        return arrays
    say("the three channels are alike: stored as grey" if alike else "colours became grey")
    made = [each[..., 0] if alike else np.stack([Image.fromarray(one).convert("L") for one in each]) for each in images]
    return arrays | dict(zip(FEWEST, made, strict=True))
