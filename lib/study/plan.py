"""From a study file to its ordered runs and its registry of figures.

A value comes from the last of these that gives one: the notebook's parameters cell, the study's `datasets`, its
`defaults`, the notebook's `defaults` there, the run itself, `-p NAME VALUE` of the command line. A list is a grid axis:
of one run, or, among defaults, of every run that does not set that name itself.

A folder of runs without a study file, such as reports/notebooks, is a study too: its runs are those that are there.
"""

import functools
import itertools
import math
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib import data, models, runs
from lib.errors import UserError, nearest, short
from lib.models.description import FAMILIES
from lib.notebooks import NOTEBOOK_DIR, ROOT
from lib.notebooks import find as find_notebook
from lib.runs import keys
from lib.settings import Settings, check, check_images, parameters
from lib.study import file, found
from lib.study.file import FigureEntry, StudyFile

parsed = file.parsed
PARAMETERS_DIR = ROOT / "parameters"
REPORTS_DIR = ROOT / "reports"
NOTEBOOK_RUNS = "notebooks"  # the folder of REPORTS_DIR where notebooks put their runs if they are told nothing else
KINDS = ("layers", "gallery", "loss")  # of figures, whatever the model
MAX_RUNS = 10_000


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
    runs: tuple[PlannedRun, ...]
    about: dict[str, str] = field(default_factory=dict)  # author, course, date: what is shown under the title
    figures: tuple[Figure, ...] = ()
    findings: tuple[
        str, ...
    ] = ()  # what its author found, a paragraph each; [fig:3] and [num:METRIC RUN] are filled in
    evidence: tuple[str, ...] = ()  # studies in parameters/ on whose runs its claims are tested too
    overrides: dict[str, Any] = field(default_factory=dict)  # as given, but paths are absolute: kernels work elsewhere
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
    folder = Path(os.path.abspath(os.path.expanduser(out))) if out else None
    if path.is_dir() or (folder and study == NOTEBOOK_RUNS):
        return _as_found(folder or path, study, overrides)
    content, overrides = file.read(path), file.located(overrides or {}, Path.cwd())
    try:
        return _study(path, content, overrides, folder, check_data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def draft(name: str, text: str) -> Study:
    """The study of parameters/<name>.yaml, if that file had this text; checked as `read` does, and nothing is written.

    Raises:
        UserError: whatever is wrong, without the file's name.
    """
    path = PARAMETERS_DIR / f"{name}.yaml"
    return _study(path, file.draft(path, text), {}, REPORTS_DIR / name, True)


def _study(path: Path, content: StudyFile, overrides: dict, folder: Path | None, check_data: bool) -> Study:
    ours = {one.stem: one for one in PARAMETERS_DIR.glob("*.yaml")}
    if not folder and path.stem in ours and not ours[path.stem].samefile(path):  # they would share a folder
        raise UserError(f"{path.stem}.yaml in {PARAMETERS_DIR.name}/ has the same name: rename it or use --out DIR")
    _known("evidence: unknown study", content.evidence, ours.keys() - {path.stem})
    folder = folder or REPORTS_DIR / path.stem
    planned = _runs(content, overrides, folder)
    header = functools.cache(data.header)
    for run in planned if check_data else ():
        check_images(run.settings, *header(run.settings.dataset), run.name)
    return Study(
        name=path.stem,
        path=path,
        folder=folder,
        title=content.title or path.stem,
        runs=planned,
        about=content.model_dump(include={"author", "course", "date"}, exclude_none=True),
        figures=_figures(content.figures, planned),
        findings=tuple(content.findings),
        evidence=tuple(content.evidence),
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
    title = "Runs made in notebooks" if NOTEBOOK_RUNS in (study, folder.name) else f"The runs in {folder.name}"
    planned = (PlannedRun(Path(one.output_dir).name, Path(one.output_dir), one, as_found=True) for one in settings)
    return Study(folder.name, folder, folder, title, tuple(planned), as_found=True, skipped=tuple(skipped))


def evidence(study: Study) -> list[Study]:
    """The studies on whose runs a study's claims are tested too; their folders lie beside its own, or in reports/."""
    near = [study.folder.parent / name for name in study.evidence]
    folders = [folder if (folder / "runs").is_dir() else REPORTS_DIR / folder.name for folder in near]
    return [read(folder.name, out=str(folder), check_data=False) for folder in folders]


def find(study: str) -> Path:
    """The file of a study named by path or by stem; or, if there is none, the folder with its runs."""
    known = sorted(one.stem for one in PARAMETERS_DIR.glob("*.yaml"))
    given = Path(os.path.abspath(os.path.expanduser(study)))
    for path in (PARAMETERS_DIR / f"{study}.yaml", REPORTS_DIR / study, given):
        if path.suffix in (".yaml", ".yml") and os.path.isfile(path):  # Path.is_file raises on a name that is too long
            return path
        if os.path.isdir(path / "runs"):
            ours = path.parent == REPORTS_DIR and path.name in known
            return PARAMETERS_DIR / f"{path.name}.yaml" if ours else path
    if study == NOTEBOOK_RUNS:
        raise UserError(f"study {study!r}: no runs yet; notebooks save their runs in {REPORTS_DIR / study}")
    raise UserError(
        f"study {study!r}: no such study file, no folder with runs/ in it, and not one of {', '.join(known)} in "
        f"parameters/{nearest(study, [*known, NOTEBOOK_RUNS])}"
    )


def _known(fault: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{fault} {short(name)}{nearest(name, known)}; known: {', '.join(sorted(known))}")


# ---- runs ----------------------------------------------------------------------------------------


def _runs(study: StudyFile, overrides: dict, folder: Path) -> tuple[PlannedRun, ...]:
    planned: dict[str, tuple[str, PlannedRun]] = {}
    for notebook, own in _notebooks(study, overrides).items():
        base, axes = _defaults(own, study)
        applied = {name: value for name, value in overrides.items() if name in base}
        for number, run in enumerate(study.notebooks[notebook].runs):
            where = f"notebooks.{notebook}.runs[{number}]"
            grid = run | {name: points for name, points in axes.items() if name not in run | applied}
            for point in _points(where, grid, MAX_RUNS - len(planned)):
                settings = check(base | point | applied, where)
                place = folder / "runs" / runs.run_name(settings.model_dump(), base)
                one = PlannedRun(place.name, place, settings.model_copy(update={"output_dir": str(place)}))
                first, same = planned.setdefault(one.name, (where, one))
                if same != one:  # the same settings twice are one run; other settings would share its folder
                    both = f"{first} and {where}" if first != where else first
                    differ = keys.difference(same.settings.model_dump(), one.settings.model_dump())
                    raise UserError(f"{both}: two different runs would be called {one.name} ({differ}); rename a file")
    return tuple(run for _, run in planned.values())


def _notebooks(study: StudyFile, overrides: dict) -> dict[str, Settings]:
    """Each notebook's own settings. What is set for all notebooks must be a setting of at least one."""
    if not any(entry.runs for entry in study.notebooks.values()):
        example = "`notebooks: {vae_mnist: {runs: [{}]}}`"
        raise UserError(f"notebooks: no runs; expected at least one, for example {example}")
    named: dict[str, str] = {}
    for notebook in study.notebooks:
        if (other := named.setdefault(Path(notebook).stem, notebook)) != notebook:
            raise UserError(f"notebooks: {other} and {notebook} have the same name: rename one")
        # A kernel works in another folder, where a name alone would lead nowhere.
        if not notebook.endswith(".ipynb") and NOTEBOOK_DIR not in find_notebook(notebook).parents:
            raise UserError(f"notebooks: {notebook}: one of your own is named by its path: {notebook}.ipynb")
    own = {name: check(parameters(name) | {"output_dir": ""}, f"notebooks.{name}") for name in study.notebooks}
    everywhere = {name for one in own.values() for name in type(one).model_fields} - {"notebook", "output_dir"}
    _known("datasets: unknown family", study.datasets, FAMILIES)
    _known("defaults: unknown parameter", study.defaults, everywhere)
    _known("-p: unknown parameter", overrides, everywhere)
    return own


def _defaults(own: Settings, study: StudyFile) -> tuple[dict[str, Any], dict[str, list]]:
    """What every run of a notebook starts from.

    Returns:
        A value for each setting, which also decides what a run's name leaves out, and the lists among the defaults by
        setting: a grid axis has the value of the layer below it.
    """
    values, axes = own.model_dump(), {}
    layers = (
        {"dataset": study.datasets[own.family]} if own.family in study.datasets else {},
        {name: value for name, value in study.defaults.items() if name in values},
        study.notebooks[own.notebook].defaults,
    )
    for name, value in itertools.chain.from_iterable(layer.items() for layer in layers):
        axes.pop(name, None)
        (axes if isinstance(value, list) else values)[name] = value
    where = f"notebooks.{own.notebook}.defaults"
    base = check(values, where).model_dump()
    for name, points in axes.items():
        for point in points:
            check(base | {name: point}, where)
    return base, axes


def _points(where: str, run: dict, most: int) -> list[dict]:
    """Every point of a run's grid: a list is an axis; the last one varies fastest."""
    axes = {name: value if isinstance(value, list) else [value] for name, value in run.items()}
    if math.prod(map(len, axes.values())) > most:
        raise UserError(f"{where}: the grid has more than {MAX_RUNS} runs")
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


# ---- figures -------------------------------------------------------------------------------------


def _figures(entries: list[FigureEntry], planned: tuple[PlannedRun, ...]) -> tuple[Figure, ...]:
    figures: dict[int, Figure] = {}
    for index, entry in enumerate(entries):
        where = f"figures[{index}]"
        panels = [_selected(f"{where}.runs[{n}]", selector, planned) for n, selector in enumerate(entry.runs)]
        for run, *_ in panels:
            kinds = KINDS + models.describe(run.settings).figures
            _known(f"{where}.kind: {run.name} has no figure of kind", entry.kind, kinds)
        if entry.number in figures:
            raise UserError(f"{where}.number: {entry.number} appears twice")
        names = tuple(tuple(run.name for run in panel) for panel in panels)
        figures[entry.number] = Figure(entry.number, entry.kind, names, entry.caption, entry.section)
    return tuple(figures[number] for number in sorted(figures))


def _selected(where: str, selector: dict[str, dict], planned: tuple[PlannedRun, ...]) -> list[PlannedRun]:
    """The runs that a selector such as `{vae_mnist: {latent_dim: 10}}` names: one, or one for each seed."""
    ((notebook, wanted),) = selector.items()
    _known(f"{where}: unknown notebook", [notebook], {run.settings.notebook for run in planned})
    found = [run for run in planned if run.settings.notebook == notebook]
    # Read like a run's own, for YAML's `1e-3` is a number.
    asked = check(found[0].settings.model_dump() | {"output_dir": ""} | wanted, f"{where}.{notebook}")
    found = [run for run in found if all(getattr(run.settings, name) == getattr(asked, name) for name in wanted)]
    if not found:
        raise UserError(f"{where}: selects no run: {notebook} {wanted}")
    if len({run.settings.model_copy(update={"seed": 0, "output_dir": ""}) for run in found}) > 1:
        names = ", ".join(run.name for run in found[:4])
        raise UserError(f"{where}: selects {len(found)} runs that differ in more than the seed: {names}, ...")
    return found
