"""The study file (parameters/*.yaml): its keys, their types and limits, declared; and how it is read.

`extends` starts from another study file: mappings are merged, everything else is replaced, and null takes a key away.
"""

import datetime
import json
import os
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lib.data import is_path
from lib.errors import UserError, in_one_line, nearest, short

MAX_BYTES = 1_000_000  # of a file
MAX_TEXT = 10_000  # characters
MAX_EXTENDS = 10


# ---- what it may contain -------------------------------------------------------------------------


def _no_empty_grid(value: Any) -> Any:
    if value == []:
        raise ValueError("an empty list makes an empty grid")
    return value


def _no_place(values: dict) -> dict:
    if not {"notebook", "output_dir"}.isdisjoint(values):
        raise ValueError("output_dir and notebook cannot be set in a study; use --out DIR")
    return values


Text = Annotated[
    str,
    Field(max_length=MAX_TEXT, coerce_numbers_to_str=True),
    BeforeValidator(lambda value: str(value) if isinstance(value, datetime.date) else value),
]
Value = Annotated[Any, AfterValidator(_no_empty_grid)]  # of a setting, or a list of them: a grid axis
Values = Annotated[dict[str, Value], AfterValidator(_no_place)]
Selector = Annotated[dict[str, Values], Field(min_length=1, max_length=1)]  # a notebook, and what its runs must have


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NotebookEntry(_Entry):
    """A notebook's defaults in this study, and its runs: of each only what differs."""

    defaults: Values = {}
    runs: list[Values] = []


class FigureEntry(_Entry):
    """A figure of the report: its number, one kind or several, and the runs of each panel."""

    number: Annotated[int, Field(strict=True, ge=1)]
    kind: Annotated[
        tuple[str, ...],
        Field(min_length=1),
        BeforeValidator(lambda value: value if isinstance(value, list) else [value]),
    ]
    runs: Annotated[list[Selector], Field(min_length=1)]
    caption: Text = ""
    section: Text = ""


class StudyFile(_Entry):
    """A study file; `plan` tells what comes of it."""

    title: Text | None = None
    author: Text | None = None
    course: Text | None = None
    date: Text | None = None
    extends: Text | None = None
    defaults: Values = {}
    datasets: dict[str, Value] = {}  # by family
    notebooks: dict[str, NotebookEntry] = {}
    figures: list[FigureEntry] = []
    evidence: list[str] = []
    findings: list[Text] = []


# ---- reading -------------------------------------------------------------------------------------


def read(path: Path) -> StudyFile:
    """A study file, merged over the one that it extends.

    Raises:
        UserError: it cannot be read, is not valid YAML, or contains something else than is declared here.
    """
    return _checked(path, _content(path))


def parsed(text: str, where: str) -> Any:
    """The value of a YAML text, such as a study file or what `-p NAME` is given.

    Raises:
        UserError: it is not valid, or contains what no study needs: aliases (which can grow without bound) or tags.
    """
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            alias = isinstance(event, yaml.AliasEvent)
            if alias or getattr(event, "tag", None):
                fault = f"{'aliases (*name)' if alias else 'tags (!name)'} are not supported"
                raise yaml.MarkedYAMLError(problem=fault, problem_mark=event.start_mark)
        content = yaml.load(text, _Loader)
        # Integers too long to print and lone surrogates would fail far from here.
        json.dumps(content, ensure_ascii=False, default=str).encode()
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise UserError(f"{where}: not valid YAML: {in_one_line(error)[:300]}") from None
    return content


class _Loader(yaml.SafeLoader):
    """Refuses what YAML would accept in silence: a key that is no text, and the same key twice."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            is_name = key.tag == "tag:yaml.org,2002:str"
            if not is_name or key.value in seen:
                fault = f"key {key.value!r} appears twice" if is_name else "a key must be a name"
                raise yaml.MarkedYAMLError(problem=fault, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def located(value: Any, folder: Path, key: str = "") -> Any:
    """A study's content, in which the paths of notebooks and datasets that are relative to a folder become absolute.

    A path that begins with ~ stays: it is absolute, and means the same for who reads the records elsewhere.
    """

    def absolute(name: str, is_path: bool) -> str:
        return os.path.abspath(folder / name) if is_path and not name.startswith("~") else name

    if isinstance(value, dict):
        names = {name: absolute(name, name.endswith(".ipynb")) for name in value}
        if len(set(names.values())) < len(names):
            raise UserError(f"{key} in {folder}: one notebook is named in two ways: {', '.join(names)}")
        return {
            names[name]: located(one, folder, "dataset" if key == "datasets" else name) for name, one in value.items()
        }
    if isinstance(value, list):
        return [located(one, folder, key) for one in value]
    return absolute(value, is_path(value)) if key == "dataset" and isinstance(value, str) else value


def _content(path: Path, depth: int = 0) -> dict[str, Any]:
    if depth > MAX_EXTENDS:
        raise UserError(f"{path}: extends more than {MAX_EXTENDS} files, perhaps in a circle")
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise UserError(f"{path}: {size} bytes; a study file has at most {MAX_BYTES}")
        content = parsed(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: {EXPECTED['dict_type']}, found {short(content)}")
    content = located(content, path.parent)
    if "extends" not in content:
        return content
    parent = path.parent / str(content.pop("extends"))
    if not os.path.isfile(parent):  # Path.is_file raises on a name that is too long
        raise UserError(f"{path}: extends: {str(parent)!r} does not exist")
    base = _content(parent, depth + 1)
    _checked(parent, base)  # its faults are said of its own file
    return _merged({name: value for name, value in base.items() if name not in ("evidence", "findings")}, content)


def _merged(base: dict, over: dict) -> dict:
    merged = base | over
    for name, value in over.items():
        if value is None:
            del merged[name]
        elif isinstance(value, dict) and isinstance(base.get(name), dict):
            merged[name] = _merged(base[name], value)
    return merged


# ---- errors --------------------------------------------------------------------------------------

EXPECTED = {  # by pydantic's name of the fault; it has words of its own for others
    "model_type": "expected a mapping of names to values",
    "dict_type": "expected a mapping of names to values",
    "list_type": "expected a list",
    "string_type": "expected a text",
    "too_short": "expected at least one",
    "too_long": "expected only one",
}


def _checked(path: Path, content: dict[str, Any]) -> StudyFile:
    try:
        return StudyFile.model_validate(content)
    except ValidationError as error:  # a name that is missing may be the one that is unknown
        fault = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
        raise UserError(f"{path}: {_said(**fault)}") from None


def _said(type: str, loc: tuple[str | int, ...], msg: str, input: Any, **_) -> str:
    where, above = (
        "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in place)[1:] for place in (loc, loc[:-1])
    )
    if type == "extra_forbidden":
        known = ({"notebooks": NotebookEntry, "figures": FigureEntry}[loc[0]] if above else StudyFile).model_fields
        return f"unknown {above or 'study'} key {short(loc[-1])}{nearest(loc[-1], known)}; known: {', '.join(known)}"
    if type == "missing":
        return f"{where} is missing"
    return f"{where}: {EXPECTED.get(type, msg.removeprefix('Value error, '))}, found {short(input)}"
