"""What a run depends on, as keys in its result.json: with another one it is stale. Never imports TensorFlow.

Code is compared definition by definition: functions, methods and constants by their syntax trees, without comments and
docstrings. A key holds those that the training, or the evaluation, can reach through the names that they use. So moving
code to another file changes nothing, and what is particular to one model makes no run of another stale.
"""

import ast
import hashlib
import importlib.metadata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lib import models, notebooks
from lib.notebooks import ROOT
from lib.settings import Settings, find

PACKAGES = ("keras", "numpy", "pillow", "scikit-learn", "scipy", "tensorflow")
# Modules of the code that trains, and of the code that computes the numbers.
TRAINING = ("backend", "checkpoint", "data/dataset", "data/generated", "data/npz", "training", "models/*")
EVALUATION = (*TRAINING, "scores/*")
# With what a training begins: what a notebook calls, and what Keras calls of a model.
TRAINED_BY = ("load", "build", "train", "Checkpoint", "train_step", "test_step", "make_train_function", "metrics")
EVALUATED_BY = ("evaluate", "samples", "Snapshots", "numbers")
NOT_FOLLOWED = ("describe", "of", "UserError")  # they choose and speak, and compute nothing


def source_digest(source: str) -> str:
    """sha256 of Python source by its syntax tree, without comments and docstrings: only what runs counts."""
    try:
        return _digest(ast.parse(source))
    except SyntaxError:  # IPython's own commands are no Python
        return hashlib.sha256(source.encode()).hexdigest()


def _digest(tree: ast.AST) -> str:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


# ---- definitions ---------------------------------------------------------------------------------


class _Bare(ast.NodeTransformer):
    """Names what is taken from modules of lib by its own name alone, so that it may move to another module."""

    def __init__(self, tree: ast.Module):
        imports = [node for node in ast.walk(tree) if self._of_lib(node)]
        folders = {node: ROOT / node.module.replace(".", "/") for node in imports}
        self.modules = {name.name for node in imports for name in node.names if _is_module(folders[node] / name.name)}

    @staticmethod
    def _of_lib(node: ast.AST) -> bool:
        return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib"

    def visit_ImportFrom(self, node):
        return None if self._of_lib(node) else node

    def visit_Attribute(self, node):
        self.generic_visit(node)
        from_module = isinstance(node.value, ast.Name) and node.value.id in self.modules
        return ast.Name(node.attr, node.ctx) if from_module else node


def _is_module(path: Path) -> bool:
    return path.is_dir() or path.with_suffix(".py").is_file()


def _defined(source: str) -> Iterator[tuple[str, ast.AST]]:
    """A module's definitions by name: functions, constants, classes without their methods, and each 'Class.method'."""
    tree = ast.parse(source)
    for node in _Bare(tree).visit(tree).body:
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            yield from ((f"{node.name}.{each.name}", each) for each in methods)
            node.body = [each for each in node.body if each not in methods]
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        yield from ((target.id, node) for target in targets if isinstance(target, ast.Name))
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node


def _definitions(places: tuple[str, ...]) -> dict[str, tuple[str, frozenset[str]]]:
    """Of each definition in some modules of lib: its digest, and the names that it uses."""
    paths = (path for place in places for path in sorted((ROOT / "lib").glob(f"{place}.py")))
    return {name: found for path in paths for name, found in _of_module(path).items()}


@cache
def _of_module(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    found = {}
    for name, node in _defined(path.read_text(encoding="utf-8")):
        used = _used(node)  # before the digest, which takes docstrings away
        found[name] = (_digest(node)[:8], used)
    return found


def _used(tree: ast.AST) -> frozenset[str]:
    nodes = list(ast.walk(tree))
    names = {each.id for each in nodes if isinstance(each, ast.Name)}
    return frozenset(names | {each.attr for each in nodes if isinstance(each, ast.Attribute)})


@cache
def sources(places: tuple[str, ...], roots: tuple[str, ...]) -> dict[str, str]:
    """The digests of the definitions that some names lead to, by name.

    A class's methods are among them if something uses their names, or if Python or Keras calls them by themselves.
    """
    known, used, found = _definitions(places), set(roots), {}

    def wanted(name: str) -> bool:
        owner, _, last = name.rpartition(".")
        if name in found or last in NOT_FOLLOWED or last.endswith("Settings"):
            return False
        return owner in found and (last in used or last.startswith(("__", "on_"))) if owner else name in used

    while new := [name for name in known if wanted(name)]:
        found |= {name: known[name][0] for name in new}
        used.update(*(known[name][1] for name in new))
    return dict(sorted(found.items()))


def every_source() -> dict[str, str]:
    """The digests of all definitions that can shape a run."""
    return {name: digest for name, (digest, _) in _definitions(EVALUATION).items()}


def _of_model(notebook: str) -> tuple[str, ...]:
    """The names of a model's classes, and those that the notebook's cell uses."""
    kind = models.of(notebook)
    return (*(each.__name__ for each in kind.__mro__), *sorted(_used(ast.parse(kind.source))))


def training_sources(notebook: str) -> dict[str, str]:
    """The digests of the definitions that shape a training, by name."""
    return sources(TRAINING, (*TRAINED_BY, *_of_model(notebook)))


def evaluation_sources(notebook: str) -> dict[str, str]:
    """The digests of the further definitions on which a run's numbers and images depend, by name."""
    every = sources(EVALUATION, (*TRAINED_BY, *EVALUATED_BY, *_of_model(notebook)))
    trained = training_sources(notebook)
    return {name: digest for name, digest in every.items() if name not in trained}


# ---- keys ----------------------------------------------------------------------------------------


def training_key(settings: Settings, fingerprint: str) -> dict:
    """What the trained networks depend on; runs with another one are stale.

    Args:
        fingerprint: of the dataset, as `data.fingerprint` gives it.

    Returns:
        Parts by name, so that a difference can be named: settings, data, notebook, the cell that defines the model,
        definitions, package versions.
    """
    excluded = {"output_dir", "dataset", *settings.evaluation_only}  # where things lie on this machine shapes nothing
    return {
        "settings": {**settings.model_dump(exclude=excluded), "notebook": settings.notebook_name},
        "data": fingerprint,
        "notebook": notebook_digest(settings.notebook),
        "model": source_digest(models.of(settings.notebook).source),  # `training.train` puts in what it has trained
        "sources": training_sources(settings.notebook),
        "versions": versions(),
    }


def evaluation_key(settings: Settings) -> dict:
    """What the numbers depend on beside the networks: another one, and only the numbers are computed anew."""
    chosen = settings.model_dump(include=set(settings.evaluation_only))
    return {"settings": chosen, "sources": evaluation_sources(settings.notebook)}


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
            digests = prefix.endswith("sources.") or 64 in (len(str(before)), len(str(after)))
            return f"{prefix}{name} changed" if digests else f"{prefix}{name}: {before} -> {after}"
    return ""


@cache  # of a process: one command sees one state of the sources
def notebook_digest(notebook: str) -> str:
    """source_digest of a notebook's code cells but for its parameters and its model."""
    cells = notebooks.code_cells(notebooks.read(find(notebook)))
    cells = [cell for cell in cells if not {"parameters", "model"} & {*cell["metadata"].get("tags", ())}]
    return source_digest("\n".join("".join(cell["source"]) for cell in cells))
