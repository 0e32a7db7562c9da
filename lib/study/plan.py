"""From a study file (parameters/*.yaml) to its ordered runs and its registry of figures; everything is checked here.

A value comes from the last of these that gives one: the notebook's parameters cell, the study's `datasets`, its
`defaults`, the notebook's `defaults` there, the run itself, `-p NAME VALUE` of the command line. A list is a grid axis:
of one run, or, among defaults, of every run that does not set that name itself.

A folder of runs without a study file, such as reports/notebooks, is a study too: its runs are those that are there.
"""

import itertools
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lib import data, keys, runs
from lib.settings import (
    NOTEBOOKS,
    SETTINGS_OF,
    Settings,
    UserError,
    check,
    check_images,
    nearest,
    notebook_defaults,
)
from lib.study import found

PARAMETERS_DIR = runs.ROOT / "parameters"
REPORTS_DIR = runs.ROOT / "reports"
NOTEBOOK_RUNS = (
    "notebooks"  # the folder of REPORTS_DIR where notebooks put the runs that they are not told to put elsewhere
)
MAX_BYTES = 1_000_000  # of a study file
MAX_RUNS = 10_000
MAX_EXTENDS = 10
STUDY_KEYS = (
    "title",
    "author",
    "course",
    "date",
    "extends",
    "defaults",
    "datasets",
    "notebooks",
    "figures",
    "evidence",
    "findings",
)
FIGURE_KEYS = ("number", "kind", "runs", "caption", "section")
KINDS = {  # and the models that have them
    "layers": ("vae", "gan", "wgan"),
    "gallery": ("vae", "gan", "wgan"),
    "loss": ("vae", "gan", "wgan"),
    "reconstructions": ("vae",),
    "latent_map": ("vae",),
    "jsd": ("gan",),
    "emd": ("wgan",),
}


@dataclass(frozen=True)
class PlannedRun:
    """One run: its name, which is its folder's, its folder, and its validated settings."""

    name: str
    folder: Path
    settings: Settings
    as_found: bool = False  # its settings are its own record's, and no study asks for others

    @property
    def setting(self) -> str:
        """The name without the seed, which all runs of a setting share."""
        return self.name.replace(f"-seed{self.settings.seed}", "", 1)


@dataclass(frozen=True)
class Figure:
    """One entry of the registry. `runs` holds, for each panel, the names of its runs: one, or one a seed."""

    number: int
    kinds: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...]
    caption: str
    section: str


@dataclass(frozen=True)
class Study:
    """A checked study: what to run, where it goes, and what its report shows."""

    name: str
    path: Path
    folder: Path
    title: str
    about: dict[str, str]  # author, course, date: what is shown under the title
    runs: tuple[PlannedRun, ...]
    figures: tuple[Figure, ...]
    findings: tuple[str, ...]  # what its author found, a paragraph each, with [fig:3] and [num:METRIC RUN] filled in
    evidence: tuple[str, ...]  # studies in parameters/ on whose runs its claims are tested too
    overrides: dict[str, Any]  # as given, but datasets' paths absolute: the report's kernel works in another folder
    as_found: bool = False  # there is no study file; `path` is the folder
    skipped: tuple[str, ...] = ()  # runs that are there but cannot be shown, with the reason

    def run(self, name: str) -> PlannedRun:
        return next(run for run in self.runs if run.name == name)


def read(
    study: str, overrides: dict[str, Any] | None = None, out: str | None = None, *, check_data: bool = True
) -> Study:
    """Reads and checks a study.

    Args:
        study: a study file, its stem in parameters/, or a folder of runs by path or by its name in reports/.
        overrides: settings of every run that has them, by name (`-p` of the command line).
        out: the study's folder; by default reports/<study>.
        check_data: whether the datasets' files must be there and suit the runs; a report can be rebuilt without them.

    Raises:
        UserError: whatever is wrong, with file and key; nothing has been started then.
    """
    path = find(study)
    if path.is_dir() or (out and study == NOTEBOOK_RUNS):
        return _as_found(Path(os.path.abspath(os.path.expanduser(out))) if out else path, study, overrides)
    content = _content(path)
    overrides = _located(overrides or {}, Path.cwd())
    folder = Path(os.path.abspath(os.path.expanduser(out))) if out else _default_folder(path)
    planned = _runs(path, content, overrides, folder)
    if check_data:
        _check_data(path, [run.settings for run in planned])
    return Study(
        name=path.stem,
        path=path,
        folder=folder,
        title=_text(path, "title", content.get("title", path.stem)),
        about={key: _text(path, key, content[key]) for key in ("author", "course", "date") if key in content},
        runs=planned,
        figures=_figures(path, content.get("figures", []), planned),
        findings=tuple(_text(path, "findings", one) for one in _list(path, "findings", content.get("findings", []))),
        evidence=_evidence(path, content.get("evidence", [])),
        overrides=overrides,
    )


def _as_found(folder: Path, study: str, overrides: dict[str, Any] | None) -> Study:
    """A study of the runs that are in a folder, however they were made."""
    if overrides:
        raise UserError(f"-p {next(iter(overrides))}: the runs of {folder} are already made; -p cannot change them")
    settings, skipped = found.in_folder(folder)
    if not settings:
        reason = f"; left out: {'; '.join(skipped)}" if skipped else ""
        raise UserError(f"study {study!r}: no finished run in {folder / 'runs'}{reason}")
    at_home = NOTEBOOK_RUNS in (study, folder.name)
    return Study(
        name=folder.name,
        path=folder,
        folder=folder,
        title="Runs made in notebooks" if at_home else f"The runs in {folder.name}",
        about={},
        runs=tuple(PlannedRun(Path(one.output_dir).name, Path(one.output_dir), one, as_found=True) for one in settings),
        figures=(),
        findings=(),
        evidence=(),
        overrides={},
        as_found=True,
        skipped=tuple(skipped),
    )


def evidence(study: Study) -> list[Study]:
    """The studies on whose runs a study's claims are tested too; their folders lie beside its own, or in reports/."""
    beside = {name: study.folder.parent / name for name in study.evidence}
    folders = {name: path if (path / "runs").is_dir() else REPORTS_DIR / name for name, path in beside.items()}
    return [read(name, out=str(folder), check_data=False) for name, folder in folders.items()]


def find(study: str) -> Path:
    """The file of a study named by path or by stem; or, if there is none, the folder with its runs."""
    path = Path(os.path.expanduser(study))
    if path.suffix in (".yaml", ".yml"):
        if os.path.isfile(path):  # Path.is_file raises on a name that is too long
            return path.absolute()
        raise UserError(f"{study}: no such study file")
    known = sorted(file.stem for file in PARAMETERS_DIR.glob("*.yaml"))
    if study in known:
        return PARAMETERS_DIR / f"{study}.yaml"
    if folder := _folder_of_runs(study):
        ours = PARAMETERS_DIR / f"{folder.name}.yaml"
        return ours if folder.parent == REPORTS_DIR and ours.is_file() else folder
    if study == NOTEBOOK_RUNS:
        raise UserError(f"study {study!r}: no runs yet; notebooks save their runs in {REPORTS_DIR / study}")
    raise UserError(
        f"study {study!r} is not one of {', '.join(known)} in parameters/{nearest(study, [*known, NOTEBOOK_RUNS])}, a "
        ".yaml file, or a folder with runs/ in it"
    )


def _folder_of_runs(study: str) -> Path | None:
    """The folder with runs/ in it that is named by path or by its name in reports/."""
    for folder in (REPORTS_DIR / study, Path(os.path.abspath(os.path.expanduser(study)))):
        if os.path.isdir(folder / "runs"):
            return folder
    return None


def _evidence(path: Path, value: Any) -> tuple[str, ...]:
    known = sorted({file.stem for file in PARAMETERS_DIR.glob("*.yaml")} - {path.stem})
    for name in _list(path, "evidence", value):
        if name not in known:
            raise UserError(f"{path}: evidence: {_kind(name)} is not one of {', '.join(known)}{nearest(name, known)}")
    return tuple(value)


def _default_folder(path: Path) -> Path:
    """reports/<study>, which two studies of one name would share."""
    ours = PARAMETERS_DIR / f"{path.stem}.yaml"
    if ours.is_file() and not ours.samefile(path):
        raise UserError(f"{path}: {ours.name} in {PARAMETERS_DIR.name}/ has the same name: rename it or use --out DIR")
    return REPORTS_DIR / path.stem


# ---- reading -------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML's safe subset without what no study needs: aliases (they can grow without bound), tags, odd keys."""

    def compose_node(self, parent, index):
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.tag:
            what = "tags (!name)" if getattr(event, "tag", None) else "aliases (*name)"
            raise yaml.constructor.ConstructorError(None, None, f"{what} are not supported", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a name", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} appears twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _content(path: Path, depth: int = 0) -> dict[str, Any]:
    """A study file as a mapping, merged over the one that it extends."""
    if depth > MAX_EXTENDS:
        raise UserError(f"{path}: extends more than {MAX_EXTENDS} files, perhaps in a circle")
    content = _located(_mapping(path, "", _loaded(path)), path.parent)
    _known(path, "study", content, STUDY_KEYS)
    if "extends" not in content:
        return content
    parent = path.parent / _text(path, "extends", content.pop("extends"))
    if not os.path.isfile(parent):
        raise UserError(f"{path}: extends: {str(parent)!r} does not exist")
    base = _content(parent, depth + 1)
    for own in ("evidence", "findings"):  # are of that study's runs
        base.pop(own, None)
    return _merged(base, content)


def _loaded(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: {path.stat().st_size} bytes; a study file has at most {MAX_BYTES}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    return parsed(text, str(path))


def parsed(text: str, where: str) -> Any:
    """The value of a YAML text, such as a study file or what `-p NAME` is given.

    Raises:
        UserError: it is not valid, or contains what no study needs.
    """
    try:
        content = yaml.load(text, _Loader)
        # Integers too long to print and lone surrogates would fail far from here.
        json.dumps(content, ensure_ascii=False, skipkeys=True, default=str).encode()
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise UserError(f"{where}: not valid YAML: {' '.join(str(error).split())[:300]}") from None
    return content


def _located(value: Any, folder: Path, key: str = "") -> Any:
    """A study's content with the relative paths of datasets made absolute, wherever they appear.

    A path that begins with ~ stays: it is absolute, and means the same for who reads the records elsewhere.

    Args:
        folder: what they are relative to: the study file's, or the shell's for `-p`. Kernels work in another one.
        key: the one under which `value` stands.
    """
    if isinstance(value, dict):
        return {
            name: _located(inner, folder, "dataset" if key == "datasets" else name) for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_located(inner, folder, key) for inner in value]
    if key == "dataset" and isinstance(value, str) and value.endswith(".npz") and not value.startswith("~"):
        return os.path.abspath(folder / value)
    return value


def _merged(base: dict, over: dict) -> dict:
    """Mappings are merged, everything else is replaced; null takes a key away."""
    result = dict(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result


def _mapping(path: Path, key: str, value: Any) -> dict:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UserError(f"{path}: {key or 'the file'}: expected a mapping of names to values, found {_kind(value)}")
    return value


def _list(path: Path, key: str, value: Any) -> list:
    if not isinstance(value, list):
        raise UserError(f"{path}: {key}: expected a list, found {_kind(value)}")
    return value


def _text(path: Path, key: str, value: Any) -> str:
    if isinstance(value, bool | dict | list | None) or len(str(value)) > 10_000:
        raise UserError(f"{path}: {key}: expected a text of at most 10000 characters, found {_kind(value)}")
    return str(value)


def _known(path: Path, what: str, mapping: dict, names) -> None:
    for name in mapping:
        if name not in names:
            raise UserError(f"{path}: unknown {what} key {name!r}{nearest(name, names)}; known: {', '.join(names)}")


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {str(value)[:60]!r}"


# ---- runs ----------------------------------------------------------------------------------------


def _runs(path: Path, content: dict, overrides: dict, folder: Path) -> tuple[PlannedRun, ...]:
    notebooks = _notebooks(path, content, overrides)
    planned: dict[str, tuple[str, PlannedRun]] = {}
    for notebook, entry in notebooks.items():
        base, axes = _defaults(path, content, notebook)
        applied = {name: value for name, value in overrides.items() if name in base}
        key = f"notebooks.{notebook}.runs"
        for number, run in enumerate(_list(path, key, entry.get("runs", []))):
            where = f"{key}[{number}]"
            own = _parameters(path, where, run)
            shared = {name: values for name, values in axes.items() if name not in own and name not in applied}
            for point in _grid(path, where, own | shared, len(planned)):
                one = _planned(f"{path}: {where}", {**base, **point, **applied}, base, folder)
                _same(path, *planned.setdefault(one.name, (where, one)), where, one)
    if not planned:
        raise UserError(f"{path}: notebooks: no runs; expected at least one under some notebook's `runs`")
    return tuple(run for _, run in planned.values())


def _notebooks(path: Path, content: dict, overrides: dict) -> dict[str, dict]:
    """Each notebook's entry. What concerns all of them is checked here: names, datasets, defaults, overrides."""
    if "notebooks" not in content:
        example = "`notebooks: {vae_mnist: {runs: [{}]}}`"
        raise UserError(f"{path}: no notebooks: expected at least one, for example {example}")
    notebooks = _mapping(path, "notebooks", content["notebooks"])
    _known(path, "notebooks", notebooks, NOTEBOOKS)
    for notebook, entry in notebooks.items():
        key = f"notebooks.{notebook}"
        _known(path, key, _mapping(path, key, entry), ("defaults", "runs"))
    _known(path, "datasets", _mapping(path, "datasets", content.get("datasets", {})), ("mnist", "cifar10"))
    _reject_unknown(f"{path}: defaults", _parameters(path, "defaults", content.get("defaults", {})), notebooks)
    _reject_unknown("-p", overrides, notebooks)
    return notebooks


def _parameters(path: Path, key: str, value: Any) -> dict:
    """A mapping of settings, which must not contain the two that the study itself decides."""
    if not {"notebook", "output_dir"}.isdisjoint(_mapping(path, key, value)):
        raise UserError(f"{path}: {key}: output_dir and notebook cannot be set in a study; use --out DIR")
    return value


def _reject_unknown(where: str, names, notebooks) -> None:
    """A value for all notebooks must be a setting of at least one of them."""
    known = {field for notebook in notebooks for field in _fields(notebook)} - {"notebook", "output_dir"}
    for name in names:
        if name not in known:
            raise UserError(f"{where}: unknown parameter {name!r}{nearest(name, known)}")


def _fields(notebook: str):
    return SETTINGS_OF[notebook.partition("_")[0]].model_fields


def _defaults(path: Path, content: dict, notebook: str) -> tuple[dict[str, Any], dict[str, list]]:
    """What every run of a notebook starts from.

    Returns:
        A value for each setting, which also decides what a run's name leaves out, and the lists among the defaults by
        setting: a grid axis has the value of the layer below it.
    """
    key, family = f"notebooks.{notebook}.defaults", notebook.partition("_")[2]
    values = notebook_defaults(runs.NOTEBOOK_DIR / f"{notebook}.ipynb") | {"output_dir": ""}
    if family in (datasets := content.get("datasets", {})):
        values["dataset"] = datasets[family]
    shared = {name: value for name, value in content.get("defaults", {}).items() if name in _fields(notebook)}
    own = _parameters(path, key, content["notebooks"][notebook].get("defaults", {}))
    axes: dict[str, tuple[str, list]] = {}  # with the key that each comes from
    for source, layer in (("defaults", shared), (key, own)):
        for name, value in layer.items():
            axes.pop(name, None)
            if isinstance(value, list):
                axes[name] = (source, value)
            else:
                values[name] = value
    base = check(values, f"{path}: {key}").model_dump()
    for name, (source, points) in axes.items():
        _filled(path, f"{source}.{name}", points)
        for point in points:
            check({**base, name: point}, f"{path}: {source}")
    return base, {name: points for name, (_, points) in axes.items()}


def _grid(path: Path, where: str, run: dict, already: int) -> list[dict]:
    """Every point of a run's grid: a list is an axis; the last one varies fastest."""
    axes = {name: value if isinstance(value, list) else [value] for name, value in run.items()}
    for name, values in axes.items():
        _filled(path, f"{where}.{name}", values)
    if already + math.prod(len(values) for values in axes.values()) > MAX_RUNS:
        raise UserError(f"{path}: {where}: the grid has more than {MAX_RUNS} runs")
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


def _filled(path: Path, key: str, values: list) -> None:
    if not values:
        raise UserError(f"{path}: {key}: an empty list makes an empty grid")


def _planned(where: str, values: dict, base: dict, folder: Path) -> PlannedRun:
    settings = check(values, where)
    name = runs.run_name(settings.model_dump(), base)
    return PlannedRun(
        name, folder / "runs" / name, settings.model_copy(update={"output_dir": str(folder / "runs" / name)})
    )


def _same(path: Path, first: str, one: PlannedRun, second: str, other: PlannedRun) -> None:
    """The same setting twice is one run; two settings with one name would share a folder."""
    if one != other:
        differ = keys.difference(one.settings.model_dump(), other.settings.model_dump())
        both = f"{first} and {second}" if first != second else first
        raise UserError(f"{path}: {both}: two different runs would be called {one.name} ({differ}); rename a file")


def _check_data(path: Path, settings: list[Settings]) -> None:
    """Before any run starts, the number and the shape of the images must suit all of them."""
    for dataset in dict.fromkeys(one.dataset for one in settings):
        try:
            count, shape = data.header(dataset)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        for one in settings:
            if one.dataset == dataset:
                check_images(one, count, shape, str(path))


# ---- figures -------------------------------------------------------------------------------------


def _figures(path: Path, entries: Any, planned: tuple[PlannedRun, ...]) -> tuple[Figure, ...]:
    figures: dict[int, Figure] = {}
    for index, entry in enumerate(_list(path, "figures", entries)):
        figure = _figure(path, f"figures[{index}]", entry, planned)
        if figures.setdefault(figure.number, figure) is not figure:
            raise UserError(f"{path}: figures[{index}].number: {figure.number} appears twice")
    return tuple(figures[number] for number in sorted(figures))


def _figure(path: Path, key: str, entry: Any, planned: tuple[PlannedRun, ...]) -> Figure:
    _known(path, key, _mapping(path, key, entry), FIGURE_KEYS)
    number = entry.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise UserError(f"{path}: {key}.number: expected a whole number from 1, found {_kind(number)}")
    selectors = _list(path, f"{key}.runs", entry.get("runs"))
    panels = tuple(_selected(path, f"{key}.runs[{n}]", selector, planned) for n, selector in enumerate(selectors))
    if not panels:
        raise UserError(f"{path}: {key}.runs: selects no run; expected at least one")
    kinds = _kinds(path, f"{key}.kind", entry.get("kind"), panels)
    caption, section = (_text(path, f"{key}.{name}", entry.get(name, "")) for name in ("caption", "section"))
    return Figure(number, kinds, panels, caption, section)


def _kinds(path: Path, key: str, value: Any, panels: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """A figure's kinds, one or a list, each of which must suit the model of every panel."""
    kinds = tuple(value) if isinstance(value, list) else (value,)
    if not kinds:
        raise UserError(f"{path}: {key}: names no kind; known: {', '.join(KINDS)}")
    for kind in kinds:
        if kind not in tuple(KINDS):  # which, unlike the dict, can be asked for what has no hash
            raise UserError(f"{path}: {key}: {_kind(kind)} is not one of {', '.join(KINDS)}{nearest(kind, KINDS)}")
        for name, *_ in panels:
            if name.partition("_")[0] not in KINDS[kind]:
                raise UserError(f"{path}: {key}: {kind!r} does not suit {name}")
    return kinds


def _selected(path: Path, key: str, selector: Any, planned: tuple[PlannedRun, ...]) -> tuple[str, ...]:
    """The runs that a selector such as `{vae_mnist: {latent_dim: 10}}` names: one, or one for each seed."""
    _known(path, key, _mapping(path, key, selector), NOTEBOOKS)
    if len(selector) != 1:
        raise UserError(f"{path}: {key}: expected one notebook, found {len(selector)}")
    ((notebook, wanted),) = selector.items()
    found = [run for run in planned if run.settings.notebook == notebook]
    if _parameters(path, f"{key}.{notebook}", wanted) and found:
        found = _matching(found, wanted, f"{path}: {key}.{notebook}")
    if not found:
        raise UserError(f"{path}: {key}: selects no run: {notebook} {wanted}")
    if len({run.settings.model_copy(update={"seed": 0, "output_dir": ""}) for run in found}) > 1:
        names = ", ".join(run.name for run in found[:4])
        raise UserError(f"{path}: {key}: selects {len(found)} runs that differ in more than the seed: {names}, ...")
    return tuple(run.name for run in found)


def _matching(planned: list[PlannedRun], wanted: dict, where: str) -> list[PlannedRun]:
    """The runs of one notebook that have these values, read like a run's own: YAML's `1e-3` is a number."""
    asked = check({**planned[0].settings.model_dump(), "output_dir": "", **wanted}, where)
    return [run for run in planned if all(getattr(run.settings, name) == getattr(asked, name) for name in wanted)]
