"""Runs in a folder without a study file, such as those made in notebooks. Never imports TensorFlow.

What each run was asked to do is read from its own result.json.
"""

from pathlib import Path

from lib import runs
from lib.errors import UserError, in_one_line
from lib.runs import states
from lib.settings import NOTEBOOKS, Settings, check, parameters

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
                skipped.append(f"{path.parent.name} ({error})")
    return sorted(found, key=_place), skipped


def _place(one: Settings) -> tuple:
    ours = NOTEBOOKS.index(one.notebook) if one.notebook in NOTEBOOKS else len(NOTEBOOKS)
    return ours, one.notebook_name, one.latent_dim, one.width, one.seed, one.output_dir


def _settings(folder: Path) -> Settings:
    """A run's settings. One that the run does not name was added later: the run had its default.

    Raises:
        UserError: the run is damaged, or its notebook is not there.
    """
    try:
        result = runs.read_result(folder)
        asked = dict(result["settings"])
        lacking = [name for name in NEEDED if not isinstance(result.get(name), dict | str)]
        defaults = parameters(asked["notebook"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"result.json is damaged: {in_one_line(error)}") from None
    if lacking:
        raise UserError(f"result.json lacks {', '.join(lacking)}")
    settings = check({**defaults, **asked, "output_dir": str(folder)}, "settings")
    state, cause = states.of(folder, settings, as_found=True)
    if state == "stale" and cause != states.outdated(result, settings, as_found=True):
        raise UserError(cause)
    return settings
