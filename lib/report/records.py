"""A study's runs, read once: a record of each, a table of all, and arrays that are read when they are needed.

Never imports TensorFlow. What is shown of a run beyond its settings comes from its own files.
"""

import math
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib import finished, models, runs
from lib.notebooks import NOTEBOOKS, ROOT
from lib.report import claims, decoders
from lib.runs import states
from lib.series import SCORECARD, by_classifier
from lib.settings import parameters
from lib.study import plan

FAMILIES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}


# ---- one run -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Record:
    """A planned run and, once it is finished, what it left; until then `result` is None.

    A run that was made by earlier code or other package versions, but with these settings and data, is shown too; its
    state stays "stale".
    """

    planned: plan.PlannedRun
    state: str
    cause: str
    result: dict | None = None
    history: dict[str, list[float]] = field(default_factory=dict)

    name = property(lambda self: self.planned.name)
    settings = property(lambda self: self.planned.settings)
    title = property(lambda self: self.description.title)
    absent = property(lambda self: self.result.get("absent", {}) if self.result else {})  # why a number is missing
    decoder = property(lambda self: _decoder(self.planned.folder))  # as `decoders.make` gives it

    @cached_property
    def description(self) -> models.Description:
        """How to speak of the run's model: in its own record's words, if it has them."""
        own = (self.result or {}).get("model")
        return models.Description(**own) if own else models.describe(self.settings)

    @cached_property
    def metrics(self) -> dict[str, float]:
        return _finite(self.result["metrics"]) if self.result else {}

    @cached_property
    def references(self) -> dict[str, dict[str, float]]:
        """What the same estimators give for other images: by metric and reference."""
        marks = self.result.get("references", {}) if self.result else {}
        return {metric: found for metric, each in marks.items() if (found := _finite(each))}

    def by_classifier(self, metric: str) -> list[float]:
        """One of its numbers by each classifier that scored it."""
        return by_classifier(self.result, metric)

    @property
    def samples(self) -> dict[str, np.ndarray]:
        """The run's images by name, read only when they are needed: those of a thousand runs would fill the memory."""
        return _samples(self.planned.folder) if self.result else {}

    def first_samples(self, count: int) -> np.ndarray:
        """Its first samples; of those that stand in the order of their classes, as many from the whole row."""
        images = self.samples["samples"]
        if getattr(self.settings, "classes", 0) and len(images) > count:
            images = images[np.linspace(0, len(images) - 1, count).astype(int)]
        return images[:count]

    @cached_property
    def setting(self) -> Any:
        """What the runs share that differ only in the seed."""
        return self.settings.model_copy(update={"seed": 0, "output_dir": ""})

    @property
    def page(self) -> str:
        """The page of the run's notebook, seen from the report; '' if it is not done, or here without its notebook."""
        there = self.result and (self.planned.folder / "notebook.ipynb").exists()
        return f"notebooks/{self.name}.html" if there else ""

    # -- its data

    @property
    def _dataset(self) -> str:
        return self.result["dataset"]["name"] if self.result else self.settings.dataset

    @property
    def family(self) -> str:
        """The dataset that the notebook is for; of one that is for any images, the one that it used."""
        stem = Path(self._dataset).stem
        return FAMILIES[self.settings.family] if self.settings.family else FAMILIES.get(stem, stem)

    @property
    def data(self) -> str:
        """The dataset's name; the write-up's datasets have the write-up's names."""
        return self.reencoded or (Path(self._dataset).stem if self.stand_in else self.family)

    @property
    def reencoded(self) -> str:
        """The name of a copy of the write-up's images that was stored with loss; '' for all other data."""
        return self.result["dataset"].get("reencoded", "") if self.result else ""

    @property
    def stand_in(self) -> bool:
        """Whether other data stand in for those of the write-up."""
        if not self.settings.family:
            return False
        if self.result:
            return not (self.result["dataset"]["canonical"] or self.reencoded)
        return FAMILIES.get(self.settings.dataset) != self.family

    @property
    def genuine(self) -> str:
        """How the data relate to those of the write-up."""
        if self.stand_in:
            return f"stand-in for {self.family}"
        if self.reencoded:
            return "not canonical: a lossy copy"
        own = not self.settings.family and self.result and not self.result["dataset"]["canonical"]
        return "own data" if own else "canonical"


@lru_cache(maxsize=4)
def _samples(folder: Path) -> dict[str, np.ndarray]:
    return runs.read_samples(folder)


@lru_cache(maxsize=4)
def _decoder(folder: Path) -> dict[str, Any]:
    return decoders.read(folder)


def _finite(numbers: dict[str, Any]) -> dict[str, float]:
    """Those of some named values that are finite numbers."""
    return {name: value for name, value in numbers.items() if isinstance(value, int | float) and math.isfinite(value)}


def record(planned: plan.PlannedRun) -> Record:
    """Reads a run's folder. A run that cannot be read counts as stale."""
    folder, found = planned.folder, ()
    state, cause = states.of(folder, planned.settings, planned.as_found)
    if state in ("done", "unscored", "published", "stale"):
        try:
            found = runs.read_result(folder), runs.read_history(folder)
            if zipfile.ZipFile(folder / "samples.npz").testzip():
                raise zipfile.BadZipFile("samples.npz is damaged")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            state, cause, found = "stale", f"cannot be read ({type(error).__name__}: {error})", ()
        if state == "stale" and found and not (planned.as_found or _same_work(cause, found[0], planned.settings)):
            found = ()
    for path in (folder.parent, ROOT):  # this machine's paths do not concern the reader
        cause = cause.replace(f"{path}/", "")
    return Record(planned, state, cause, *found)


def _same_work(cause: str, result: dict, settings) -> bool:
    """Whether a stale run is complete and has the planned settings and data: only code or versions have changed.

    A setting that the run does not name was added later; the run had its default. A copy of the planned images that was
    stored with loss counts as the planned data: the report names it.

    Args:
        cause: names the first difference of the keys, in which the data come first.
    """
    excluded = {"output_dir", "dataset", *settings.evaluation_only}
    planned = settings.model_dump(exclude=excluded)
    had = parameters(settings.notebook) | result["settings"]
    trained = {name: value for name, value in had.items() if name not in excluded}
    reasons = ("model changed", "notebook changed", "settings.", "sources.", "versions.")
    reasons += ("data",) * ("reencoded" in result["dataset"])
    return cause.startswith(reasons) and trained == planned


def results(study: plan.Study) -> list[dict]:
    """The result.json of a study's finished runs, which is all that claims need; some runs have nothing else here."""
    found = []
    for run in study.runs:
        try:
            result = runs.read_result(run.folder)
            cause = states.outdated(result, run.settings, run.as_found)
        except (OSError, ValueError, KeyError):
            continue
        if not cause or _same_work(cause, result, run.settings):
            found.append(result)
    return found


# ---- all runs of a study -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Records:
    """A study's runs in their present state, in the study's order, and the results of the studies of its evidence."""

    study: plan.Study
    runs: list[Record]
    evidence: list[tuple[plan.Study, list[dict]]]

    @cached_property
    def done(self) -> list[Record]:
        return [one for one in self.runs if one.result]

    @cached_property
    def by_name(self) -> dict[str, Record]:
        return {one.name: one for one in self.runs}

    @cached_property
    def by_notebook(self) -> dict[str, list[Record]]:
        """The runs of each notebook: first of ours, in our order, and then of others, in the study's."""
        found = {one.settings.notebook: [] for one in self.runs}
        for one in self.runs:
            found[one.settings.notebook].append(one)
        return {name: found[name] for name in [*NOTEBOOKS, *found] if name in found}

    @property
    def of_write_up(self) -> bool:
        """Whether some run is of one of the write-up's models and datasets."""
        return not self.by_notebook.keys().isdisjoint(NOTEBOOKS)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Labels of all known metrics, in the order of the tables: the models' own, then those that all share."""
        own = [one.description.metrics for group in self.by_notebook.values() for one in group[:1]]
        return {name: label for each in own for name, label in each.items()} | SCORECARD

    def label(self, metric: str) -> str:
        return self.labels.get(metric, metric.replace("_", " "))

    def short(self, metric: str) -> str:
        """A metric's label without its unit."""
        return self.label(metric).partition(" (")[0]

    def metrics(self, group: Iterable[Record]) -> list[str]:
        """The metrics that any of the runs has, or says that it cannot have; the known ones first."""
        found = dict.fromkeys(name for one in group for name in (*one.metrics, *one.absent))
        return [name for name in self.labels if name in found] + [name for name in found if name not in self.labels]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a run: its state, settings, dataset, metrics with their references, seconds and counts.

        A cell is empty if a run does not have that number. The metric `frechet` has its reference `real` in
        `frechet_real`. The index numbers the settings: runs that differ only in the seed share one.
        """
        numbers: dict[Any, int] = {}
        index = [numbers.setdefault(one.setting, len(numbers)) for one in self.runs]
        return pd.DataFrame([self._row(one) for one in self.runs], index=index, dtype=object)

    @property
    def csv(self) -> str:
        """The table as results.csv has it."""
        return self.table.to_csv(index=False, lineterminator="\n")

    def rows(self, group: list[Record]) -> pd.DataFrame:
        """The table's rows of some runs."""
        places = {one.name: place for place, one in enumerate(self.runs)}
        return self.table.iloc[[places[one.name] for one in group]]

    def _row(self, one: Record) -> dict[str, Any]:
        metrics = {name: one.metrics.get(name) for name in self.metrics([one])}
        first = {"run": one.name, "notebook": one.settings.notebook, "state": one.state}
        return first | finished.row(one.settings.model_dump(), one.result, metrics, one.references)

    @cached_property
    def named(self) -> dict[str, tuple[plan.Study, list[dict]]]:
        """This study, under "", and those of its evidence by name, each with its finished runs' results."""
        own = {"": (self.study, [one.result for one in self.done])}
        return own | {other.name: (other, found) for other, found in self.evidence}

    @cached_property
    def verdicts(self) -> list[claims.Verdict]:
        return claims.verdicts([result for _, found in self.named.values() for result in found])

    @cached_property
    def seen(self) -> dict[str, dict[int, tuple[str, ...]]]:
        """The figures that show a run, by the run's name: their numbers and kinds."""
        found: dict[str, dict[int, tuple[str, ...]]] = {}
        for one in self.study.figures:
            for name in (name for panel in one.runs for name in panel):
                found.setdefault(name, {})[one.number] = one.kinds
        return found


def collect(study: plan.Study, evidence: Iterable[plan.Study] = ()) -> Records:
    """Reads what a study's runs have left, and the results of its evidence."""
    return Records(study, [record(run) for run in study.runs], [(other, results(other)) for other in evidence])


def of(study: str, out: str = "", overrides: dict[str, Any] | None = None) -> Records:
    """Reads a study's runs.

    Args:
        study: a study file, its stem in parameters/, or a folder of runs by path or by its name in reports/.
        out: the study's folder; empty: reports/<study>.
        overrides: settings for every run that has them, as `-p` gives them on the command line.
    """
    planned = plan.read(study, overrides, out or None, check_data=False)
    return collect(planned, plan.evidence(planned))
