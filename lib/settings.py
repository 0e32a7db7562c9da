"""What a notebook may be asked to do: its parameters cell gives names and defaults, its model the types and ranges."""

import ast
import difflib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError, create_model

from lib import data, models, notebooks
from lib.errors import UserError, in_one_line, nearest, short  # noqa: F401
from lib.models.description import FAMILIES, Settings, Text, finite, integer
from lib.notebooks import NOTEBOOK_DIR, NOTEBOOKS, ROOT, find

__all__ = ["NOTEBOOKS", "NOTEBOOK_DIR", "ROOT", "Settings", "UserError", "check", "check_images", "find", "kind_of"]
__all__ += ["nearest", "of_notebook", "parameters"]
LARGEST = 2**31 - 1
TYPES = {"int": integer(-LARGEST, LARGEST), "float": finite(), "bool": bool, "str": Text}


def parameters(notebook: str) -> dict[str, Any]:
    """The defaults of a notebook's parameters. An own notebook has the names that it leaves out from one of ours with
    a model of the same kind.

    Raises:
        UserError: there is no such notebook, or it has no good parameters cell.
    """
    path = find(notebook)
    own = {name: default for name, (_, default) in notebooks.parameters(path).items()} | {"notebook": notebook}
    return own if path.parent == NOTEBOOK_DIR else _inherited(path) | own


def _inherited(path: Path) -> dict[str, Any]:
    kind = models.of(path)
    ours = next((name for name, one in models.OURS.items() if issubclass(kind, one)), next(iter(models.OURS)))
    defaults = {name: default for name, (_, default) in notebooks.parameters(find(f"{ours}_mnist")).items()}
    return {name: value for name, value in defaults.items() if name in kind.Settings.model_fields}


def kind_of(notebook: str) -> type[Settings]:
    """The settings of a notebook: those of its model, and what else its parameters cell names.

    Raises:
        UserError: there is no such notebook, or it gives a parameter an unknown type.
    """
    path = find(notebook)
    return _kind_of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _kind_of(path: Path, stamp: int) -> type[Settings]:
    kind = models.of(path).Settings
    new = {name: each for name, (each, _) in notebooks.parameters(path).items() if name not in kind.model_fields}
    if unknown := [name for name, each in new.items() if each not in TYPES]:
        name = unknown[0]
        raise UserError(f"{path}: parameters: {name}: type {new[name]} is not one of {', '.join(TYPES)}")
    own = {name: (TYPES[each], ...) for name, each in new.items()}
    return create_model(kind.__name__, __base__=kind, **own) if own else kind


def check(values: dict[str, Any], where: str) -> Settings:
    """The validated settings of one run.

    Args:
        values: every setting by name, `notebook` among them.
        where: what to name in an error, for example "parameters/demo.yaml: notebooks.vae_mnist.runs[0]".

    Raises:
        UserError: an unknown name, a wrong type or a value out of range; one line, all faults in it.
    """
    try:
        kind = kind_of(values.get("notebook"))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_fault(one, kind) for one in error.errors(include_url=False))
        raise UserError(f"{where}: {faults}") from None


def _fault(error: dict[str, Any], kind: type[Settings]) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown parameter {short(name)}{nearest(name, kind.model_fields)}"
    if error["type"] == "missing":
        typed = [other for other in error["input"] if other not in kind.model_fields]
        near = difflib.get_close_matches(name, typed, n=1)
        return f"{name} is missing" + (f" (is {near[0]!r} a typing error?)" if near else "")
    message = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], list):
        message += "; a list is a grid of runs, for study files only: `latent-report run FILE`"
    if error["type"] == "literal_error":
        message += nearest(error["input"], getattr(kind.model_fields[name].annotation, "__args__", ()))
    return f"{name} = {short(error['input'])}: {message}" if name else message


def check_images(settings: Settings, count: int, shape: tuple[int, int, int], where: str) -> None:
    """Raises UserError when a run cannot be made on `count` training images of shape [H, W, C].

    Args:
        count: before the validation images are taken from them: at most a tenth.
    """
    channels, kind = FAMILIES.get(settings.family, (shape[2], ""))
    found = f"{where}: dataset {settings.dataset}: images are {'×'.join(map(str, shape))}"
    if shape[2] != channels:
        grey = f"; {data.command(settings.dataset, 'grey', ' --grey')}" if channels == 1 and shape[2] == 3 else ""
        raise UserError(f"{found}; {settings.notebook_name} expects {kind} ones{grey * data.is_path(settings.dataset)}")
    if shape[0] % (side := {"conv": 4, "dcgan": 8}.get(settings.network, 1)):
        raise UserError(f"{found}; network {settings.network} needs sides divisible by {side}")
    wanted = getattr(settings, "classes", 0)
    if wanted and (classes := data.class_count(settings.dataset)) != wanted:
        raise UserError(f"{where}: classes = {wanted}, but dataset {settings.dataset} has {classes or 'no labels'}")
    train = count - min(settings.validation, count // 10)
    step = models.of(find(settings.notebook)).images_a_step(settings)
    if train < step:
        raise UserError(
            f"{where}: {settings.notebook_name}: batch_size {settings.batch_size}: one step takes {step} images, but "
            f"dataset {settings.dataset} has only {train} for training: lower batch_size"
        )


def of_notebook(namespace: dict[str, Any]) -> Settings:
    """The settings of the notebook that calls this in the cell after its parameters cell.

    papermill only warns of a name that is no parameter; here it is an error, as is a value of the wrong type.

    Args:
        namespace: the notebook's `globals()`.
    """
    notebook = namespace.get("notebook")
    where, history = f"notebook {notebook}", namespace.get("In", [])
    injected = _injected_names(history)
    if not set(injected).isdisjoint({"notebooks", "figures", "extends"}):
        raise UserError(f"{where}: this is a study file, not one run's parameters: use `latent-report run FILE`")
    try:
        known = kind_of(notebook).model_fields
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    for name in (*injected, *_typed_names(history)):
        if name not in known:
            unsaved = "" if name in injected else "; if it is new, save the notebook first"
            raise UserError(f"{where}: unknown parameter {short(name)}{nearest(name, known) or unsaved}")
    own = {name: namespace[name] for name in known if name in namespace}
    return check(own if find(notebook).parent == NOTEBOOK_DIR else parameters(notebook) | own, where)


def _injected_names(history: list[str]) -> list[str]:
    """The names that papermill's injected cell assigned, read from IPython's input history."""
    for source in reversed(history):
        if source.startswith("# Parameters\n"):
            targets = [node.targets[0] for node in ast.parse(source).body if isinstance(node, ast.Assign)]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            return [name for name in names if not name.startswith("PAPERMILL_")]  # of its option --inject-paths
    return []


def _typed_names(history: list[str]) -> list[str]:
    """The names in the parameters cell as it was last run: somebody may have changed one by mistake."""
    for source in reversed(history):
        if source.startswith("notebook: str ="):
            with suppress(SyntaxError):  # IPython's own commands are no Python
                return [node.target.id for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
    return []
