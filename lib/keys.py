"""What a run depends on, as keys in its result.json: with another one it is stale. Never imports TensorFlow.

Code is compared by its syntax tree, without comments and docstrings.
"""

import ast
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from functools import cache

from lib.settings import NOTEBOOK_DIR, ROOT, Settings

TRAINING_SOURCES = ("backend", "checkpoint", "data", "generated", "networks", "models", "training")
EVALUATION_SETTINGS = ("importance_samples",)
EVALUATION_SOURCES = ("estimates", "classifier", "scorecard", "evaluation")
PACKAGES = ("keras", "numpy", "pillow", "scikit-learn", "scipy", "tensorflow")


def source_digest(source: str) -> str:
    """sha256 of Python source by its syntax tree, without comments and docstrings: only what runs counts."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def code_cells(notebook: dict) -> list[dict]:
    """A notebook's code cells that hold any code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def training_key(settings: Settings, fingerprint: str) -> dict:
    """What the trained networks depend on; runs with another one are stale.

    Args:
        fingerprint: of the dataset, as `data.fingerprint` gives it.

    Returns:
        Parts by name, so that a difference can be named: settings, data, notebook, source files, package versions.
    """
    return {
        "settings": settings.model_dump(exclude={"output_dir", "dataset", *EVALUATION_SETTINGS}),
        "data": fingerprint,
        "notebook": notebook_digest(settings.notebook),
        "sources": module_digests(TRAINING_SOURCES),
        "versions": versions(),
    }


def evaluation_key(settings: Settings) -> dict:
    """What the numbers depend on beside the networks: another one, and only the numbers are computed anew."""
    chosen = settings.model_dump(include=set(EVALUATION_SETTINGS))
    return {"settings": chosen, "sources": module_digests(EVALUATION_SOURCES)}


def module_digests(names: Iterable[str]) -> dict[str, str]:
    """source_digest of modules of lib, by name."""
    return {name: _module_digest(name) for name in names}


@cache
def versions() -> dict[str, str]:
    """The installed versions of the packages that shape a run's numbers."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def difference(old: dict, new: dict, prefix: str = "") -> str:
    """The first difference of two keys in words, for example 'settings.epochs: 5 -> 10'; '' when they are equal."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            if found := difference(before, after, f"{prefix}{name}."):
                return found
        elif before != after:
            digests = all(isinstance(value, str) and len(value) == 64 for value in (before, after))
            return f"{prefix}{name} changed" if digests else f"{prefix}{name}: {before} -> {after}"
    return ""


@cache  # of a process: one command sees one state of the sources
def notebook_digest(name: str) -> str:
    """source_digest of a notebook's code cells but for its parameters."""
    notebook = json.loads((NOTEBOOK_DIR / f"{name}.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in code_cells(notebook) if "parameters" not in cell["metadata"].get("tags", ())]
    return source_digest("\n".join("".join(cell["source"]) for cell in cells))


@cache
def _module_digest(name: str) -> str:
    return source_digest((ROOT / "lib" / f"{name}.py").read_text(encoding="utf-8"))
