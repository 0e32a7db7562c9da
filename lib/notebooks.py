"""The notebooks: where they are, and what can be read from one without running it."""

import ast
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from lib.errors import UserError, nearest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK_DIR = ROOT / "notebooks"
NOTEBOOKS = ("vae_mnist", "vae_cifar10", "gan_mnist", "gan_cifar10", "wgan_mnist", "wgan_cifar10")


def find(notebook: str) -> Path:
    """The file of a notebook: by its name in notebooks/ or notebooks/examples/, or by its path.

    A notebook of a user's own, which knows no more than its name, is found in the current folder: a kernel's is that of
    its notebook.

    Raises:
        UserError: there is none; names the nearest.
    """
    if notebook in NOTEBOOKS:
        return NOTEBOOK_DIR / f"{notebook}.ipynb"
    if str(notebook).endswith(".ipynb"):
        if (path := Path(os.path.abspath(os.path.expanduser(notebook)))).is_file():
            return path
    elif os.path.basename(str(notebook)) == str(notebook):
        for folder in (NOTEBOOK_DIR, NOTEBOOK_DIR / "examples", Path.cwd()):
            if os.path.isfile(path := folder / f"{notebook}.ipynb"):
                return path
    examples = sorted(path.stem for path in (NOTEBOOK_DIR / "examples").glob("*.ipynb"))
    known = [*NOTEBOOKS, *examples]
    expected = f"one of {', '.join(known)}, nor the path of an .ipynb file"
    raise UserError(f"notebook {notebook!r} is not {expected}{nearest(notebook, known)}")


def read(path: Path) -> dict:
    """A notebook as JSON.

    Raises:
        UserError: it is none.
    """
    try:
        notebook = json.loads(path.read_bytes())
        notebook["cells"], notebook["metadata"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is not a notebook ({type(error).__name__}: {error})") from None
    return notebook


def code_cells(notebook: dict) -> list[dict]:
    """A notebook's code cells that hold any code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def tagged(path: Path, tag: str) -> str:
    """The code of the notebook's cell with this tag; "" if there is none.

    Raises:
        UserError: there are several.
    """
    cells = [cell for cell in code_cells(read(path)) if tag in cell["metadata"].get("tags", ())]
    if len(cells) > 1:
        raise UserError(f"{path}: {len(cells)} cells are tagged {tag!r}; expected one")
    return "".join("".join(cell["source"]) for cell in cells)


@lru_cache(maxsize=64)
def _parameters(path: Path, stamp: int) -> dict[str, tuple[str, Any]]:
    if not (source := tagged(path, "parameters")):
        raise UserError(f"{path}: no cell is tagged 'parameters'")
    try:
        lines = [node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
        return {line.target.id: (ast.unparse(line.annotation), ast.literal_eval(line.value)) for line in lines}
    except (SyntaxError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: parameters: expected lines `name: type = literal  # help` ({error})") from None


def parameters(path: Path) -> dict[str, tuple[str, Any]]:
    """Type and default of each name in a notebook's parameters cell: one `name: type = literal  # help` a line."""
    return _parameters(path, path.stat().st_mtime_ns)
