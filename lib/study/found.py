"""Runs in a folder without a study file, such as those made in notebooks. Never imports TensorFlow.

What each run was asked to do is read from its own result.json.
"""

from pathlib import Path

from lib import runs
from lib.settings import NOTEBOOKS, Settings, UserError, check, in_one_line, notebook_defaults

NEEDED = ("dataset", "keys", "layers", "metrics", "parameters", "run", "seconds", "versions")  # of a record


def in_folder(folder: Path) -> tuple[list[Settings], list[str]]:
    """The finished runs in a study's folder.

    Returns:
        The settings of each, with the run's folder as their `output_dir`, in the order of their notebooks, latent
        dimensions, widths and seeds; and a few words about each run that cannot be shown.
    """
    found, skipped = [], []
    for path in sorted((folder / "runs").glob("*/result.json")):
        if path.parent.suffix != ".partial":
            try:
                found.append(_settings(path.parent))
            except UserError as error:
                skipped.append(str(error))
    order = ("latent_dim", "width", "seed", "output_dir")
    return sorted(
        found, key=lambda one: (NOTEBOOKS.index(one.notebook), *(getattr(one, name) for name in order))
    ), skipped


def _settings(folder: Path) -> Settings:
    """A run's settings. One that the run does not name was added later: the run had its default.

    Raises:
        UserError: the run is damaged, or its notebook is none of ours.
    """
    try:
        result = runs.read_result(folder)
        asked = dict(result["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder.name} (result.json is damaged: {in_one_line(error)})") from None
    if lacking := [name for name in NEEDED if not isinstance(result.get(name), dict | str)]:
        raise UserError(f"{folder.name} (result.json lacks {', '.join(lacking)})")
    if (notebook := asked.get("notebook")) not in NOTEBOOKS:
        raise UserError(f"{folder.name} (unknown notebook {notebook!r})")
    defaults = notebook_defaults(runs.NOTEBOOK_DIR / f"{notebook}.ipynb")
    settings = check({**defaults, **asked, "output_dir": str(folder)}, folder.name)
    state, cause = runs.state(folder, settings, as_found=True)
    if state == "stale" and cause != runs.outdated(result, settings, as_found=True):
        raise UserError(f"{folder.name} ({cause})")
    return settings
