"""Finished runs: a study's as one pandas table, and each with its networks, history and images (docs/python.md).

Nothing is trained here, and TensorFlow is imported only when a network is opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib import models, runs, settings
from lib.errors import UserError, nearest
from lib.notebooks import ROOT

REPORTS = ROOT / "reports"
LAST = ("images_seen", "images_per_second", "peak_rss_mib", "finished")  # columns of the table


class Finished:
    """A finished run, as its folder tells of it. What is wrong with a damaged one, reading it raises."""

    def __init__(self, folder: Path):
        self.folder, self.name, self.result = folder, folder.name, runs.read_result(folder)
        self.dataset = self.result["dataset"]["sha256"]  # only numbers of one dataset can be compared

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @cached_property
    def settings(self) -> models.Settings:
        """Those of the run; one that it does not name was added later: the run had its default."""
        asked = self.result["settings"]
        return settings.check({**settings.parameters(asked["notebook"]), **asked, "output_dir": ""}, self.name)

    @cached_property
    def description(self) -> models.Description:
        """The words for its model: the run's own, or, of a run from before they were kept, its notebook's."""
        kept = self.result.get("model")
        return models.Description(**kept) if kept else models.describe(self.settings)

    @property
    def model(self):
        """Its trained model, opened once, and again when the run has been made again; a judge whose network is not
        there stays untrained, as it draws nothing.

        Raises:
            UserError, ValueError: its networks are not here; its notebook, which defines its model, is gone; or as
                `evaluation.load` does.
        """
        if not has_networks(self.folder):
            raise UserError(f"{self.name}: its networks are not in {self.folder}: run its study to train them")
        return _opened(self.folder, (self.folder / "result.json").stat().st_mtime_ns)

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch, counted from 1, and one column a number."""
        return pd.read_csv(self._file("history.csv"), index_col="epoch")

    @property
    def images(self) -> dict[str, np.ndarray]:
        """All arrays of samples.npz by name, as `evaluation.samples` keeps them."""
        return runs.read_samples(self._file("samples.npz").parent)

    @property
    def samples(self) -> np.ndarray:
        """Images of the prior, uint8 [100, H, W, C]."""
        return self.images["samples"]

    def _file(self, name: str) -> Path:
        if not (path := self.folder / name).is_file():
            raise UserError(f"{self.name}: no {name} in {self.folder}: run its study to make it")
        return path

    @property
    def place(self) -> tuple:
        """Its place among others: our models first, in their order, then by dataset and settings."""
        title, known = self.description.title, [kind.__name__ for kind in models.OURS.values()]
        numbers = (self.result["settings"][name] for name in ("latent_dim", "width", "epochs", "seed"))
        return (*known, title).index(title), title, self.result["dataset"]["name"], *numbers, self.name


def has_networks(folder: Path) -> bool:
    """Whether a run can be decoded here: a repository may hold only the numbers and images of a run."""
    return any((folder / "model").glob("*.keras"))


@lru_cache(maxsize=32)
def _opened(folder: Path, stamp: int):
    from lib.scores.evaluation import load  # here: it imports TensorFlow, which tables and images do without

    run = Finished(folder)
    return load(run.settings, tuple(run.result["dataset"]["shape"]), folder, without=run.description.steps[1:])


# ---- studies -------------------------------------------------------------------------------------


def folders(study: str | Path) -> list[Path]:
    """The folders of a study's finished runs.

    Args:
        study: a folder of reports/ by its name, or the path of a study's folder or of one run's.
    """
    for place in (REPORTS / study, Path(os.path.expanduser(study))):
        every = (place, *place.glob("runs/*")) if os.path.isdir(place) else ()  # Path.is_dir raises on a long name
        found = [one for one in every if os.path.isfile(one / "result.json")]
        if found := sorted(one for one in found if one.suffix != ".partial"):
            return found
    return []


def studies() -> list[str]:
    """The studies in reports/ that have finished runs, in the order of their names."""
    return sorted(path.name for path in REPORTS.glob("*") if folders(path))


def of(study: str | Path) -> dict[str, Finished]:
    """The finished runs of a study by name and in order; damaged ones are left out. The argument is that of `folders`.

    Raises:
        UserError: there are none; names the studies that have some.
    """
    places = {}
    for folder in folders(study):
        with suppress(UserError, OSError, ValueError, KeyError, TypeError):
            run = Finished(folder)
            places[run] = run.place
    if not places:
        known = studies()
        some = ", ".join(known) or "no study yet"
        raise UserError(f"no finished runs in {str(study)!r}{nearest(study, known)}; there are some in: {some}")
    return {run.name: run for run in sorted(places, key=places.get)}


def load(study: str | Path, run: str = "") -> Finished:
    """One finished run.

    Args:
        study: a folder of reports/ by its name, or the path of a study's folder or of one run's.
        run: its name; it may be left out where there is one only.

    Raises:
        UserError: there is no such run; names the nearest.
    """
    found = of(study)
    if not run and len(found) == 1:
        return next(iter(found.values()))
    if run not in found:
        words = f"no run {run!r}{nearest(run, found)}" if run else f"{len(found)} runs; name one"
        raise UserError(f"{str(study)!r}: {words}; there are: {', '.join(list(found)[:8])}{', ...' * (len(found) > 8)}")
    return found[run]


def table(study: str | Path) -> pd.DataFrame:
    """One row a finished run, by its name, with the columns of results.csv but `state`: settings, dataset, metrics with
    their references (after `frechet`, for example, `frechet_real`), seconds, counts. What a run lacks is NaN.

    Argument and errors are those of `of`.
    """
    found = of(study)
    return pd.DataFrame([_row(run) for run in found.values()], index=pd.Index(found, name="run"))


def _row(run: Finished) -> dict[str, Any]:
    try:
        asked = run.settings.model_dump()
    except UserError:  # its notebook is gone; its record names what it was asked
        asked = run.result["settings"]
    return row(asked, run.result, run.result["metrics"], run.result.get("references", {}))


def row(asked: Mapping, result: dict | None, metrics: Mapping[str, Any], references: Mapping[str, dict]) -> dict:
    """A run's row of a table.

    Args:
        asked: its settings by name.
        result: its result.json; None while it is not finished.
        metrics, references: its numbers by name, and theirs; `real` of `frechet` becomes `frechet_real`. The same by
            the further classifiers, trained from seeds 2 and 3, are `frechet_classifier_2` and `frechet_classifier_3`.
    """
    own = {name: value for name, value in asked.items() if name not in ("output_dir", "notebook")}
    own["dataset"] = Path(own["dataset"]).name
    own["dtype_policy"] = own.pop("precision")  # the score of that name has a column too
    found = {"notebook": asked["notebook"], **own}
    if not result:
        return found
    dataset = result["dataset"]
    found |= {f"dataset_{name}": dataset[name] for name in ("sha256", "canonical")}
    found |= _flat("images", dataset["counts"])
    for name, value in metrics.items():
        found |= {name: value} | _flat(name, references.get(name, {}))
        others = (each for each in result.get("further_classifiers", ()) if name in each["metrics"])
        found |= {f"{name}_classifier_{each['seed']}": each["metrics"][name] for each in others}
    for name in ("scorecard", "seconds", "steps", "parameters"):
        found |= _flat(name, result.get(name, {}))
    return found | {name: result[name] for name in LAST if name in result}


def _flat(name: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}_{part}": value for part, value in numbers.items()}
