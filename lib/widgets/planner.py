"""Planning a study: what is chosen becomes the text of a study file, which `lib.study` reads as it reads any other."""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets
import psutil
import yaml
from IPython.display import Markdown

from lib import data, settings
from lib.errors import UserError
from lib.files import write_aside
from lib.notebooks import NOTEBOOK_DIR, NOTEBOOKS
from lib.study import engine, file, plan
from lib.widgets import controls

HEAD = "# Planned in notebooks/study.ipynb. To run it in a terminal: latent-report run {}\n"
NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,59}"
MOST = 1000  # runs: more would take seconds to check whenever a key is pressed
DATASETS = {"mnist": "grey images", "cifar10": "colour images"}  # by family
LISTS = {"latent_dim": "latent dimensions", "width": "widths", "seed": "seeds", "epochs": "epochs"}
FIRST = {  # takes two minutes
    "title": "My first study",
    "notebooks": ["vae_mnist"],
    "mnist": "digits",
    "cifar10": "shapes",
    "latent_dim": "2, 10",
    "width": "32, 256",
    "seed": "0",
    "epochs": "60",
}


# ---- from what is chosen to a study --------------------------------------------------------------


def values(text: str) -> list[Any]:
    """The values in a list such as "2, 10" or "2 10", as YAML reads them."""
    found = []
    for word in re.split(r"[,;\s]+", text.strip(" []")):
        with suppress(UserError):
            found += [file.parsed(word, "")] if word else []
            continue
        found.append(word)  # whoever checks it says what is wrong
    return found


def content(chosen: dict[str, Any]) -> dict[str, Any]:
    """What the study file says: several values are an axis of the grid, one is a default, none leaves the notebook's.

    Args:
        chosen: as `FIRST`; a dataset's path is meant from the current folder.
    """
    lists = {name: found for name in LISTS if (found := values(chosen[name]))}
    families = [each for each in DATASETS if any(name.endswith(f"_{each}") for name in chosen["notebooks"])]
    return {
        "title": chosen["title"].strip(),
        "datasets": {each: file.located(chosen[each].strip(), Path.cwd(), "dataset") for each in families},
        "defaults": {name: found[0] for name, found in lists.items() if len(found) == 1},
        "notebooks": {
            name: {"runs": [{axis: found for axis, found in lists.items() if len(found) > 1}]}
            for name in chosen["notebooks"]
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes out what appears twice: a study file has no aliases."""

    def ignore_aliases(self, data):
        return True


def written(name: str, study: dict[str, Any]) -> str:
    """The text of parameters/<name>.yaml."""
    style = {"sort_keys": False, "default_flow_style": None, "allow_unicode": True, "width": 110}
    return HEAD.format(name) + yaml.dump(study, Dumper=_Dumper, **style)


def opened(name: str, text: str) -> dict[str, Any] | None:
    """What was chosen for a study file; None if it says anything else than `written` would."""
    with suppress(UserError, AttributeError, LookupError, TypeError, ValueError):
        found = file.parsed(text, name)
        (grid, *_) = next(iter(found["notebooks"].values()))["runs"]
        lists = found["defaults"] | grid
        lists = {each: str(lists.get(each, "")).strip("[]") for each in LISTS}
        chosen = FIRST | found["datasets"] | lists | {"title": found["title"], "notebooks": [*found["notebooks"]]}
        if written(name, content(chosen)) == text:
            return chosen
    return None


def faults(name: str, chosen: dict[str, Any]) -> dict[str, str]:
    """What is wrong with the fields, by field; checked by each notebook's own settings."""
    found = {}
    if not re.fullmatch(NAME, name) or name == plan.NOTEBOOK_RUNS:
        found["name"] = "expected letters from A to Z, digits, - and _, at most 60 of them, for example first-try"
    if not chosen["notebooks"]:
        found["notebooks"] = "no runs; choose at least one notebook"
    datasets = content(chosen)["datasets"]
    for notebook in chosen["notebooks"]:
        asked = {each: ("dataset", [path]) for each, path in datasets.items() if notebook.endswith(f"_{each}")}
        for field, (setting, points) in (asked | {each: (each, values(chosen[each])) for each in LISTS}).items():
            for point in points[:MOST]:
                try:
                    one = settings.check(settings.parameters(notebook) | {"output_dir": "", setting: point}, notebook)
                    if setting == "dataset":
                        settings.check_images(one, *data.header(point), notebook)
                except UserError as error:
                    found.setdefault(field, str(error))
    return found


def path_of(name: str) -> Path:
    """The study file of a name."""
    return plan.PARAMETERS_DIR / f"{name}.yaml"


def drafted(name: str, chosen: dict[str, Any]) -> plan.Study:
    """The study, as the command line will read it once it is saved.

    Raises:
        UserError: it cannot be run, or is too large to be planned here.
    """
    grid = math.prod(max(1, len(values(chosen[each]))) for each in LISTS)
    if (count := grid * len(chosen["notebooks"])) > MOST:
        raise UserError(f"{count:,} runs; at most {MOST:,} can be planned here: shorten a list")
    study = plan.draft(name, written(name, content(chosen)))
    engine.check_folders(study)
    return study


def outlook(study: plan.Study) -> str:
    """How many runs there are, how long they take and how much memory, in sentences."""
    left = engine.Outlook(study, engine.states_of(study))
    each, free = engine.GIB_PER_RUN, psutil.virtual_memory().available / 2**30
    words = f"{left}. Memory: up to {each * left.workers:.0f} GiB, {each:.0f} for each worker; {free:.0f} GiB are free."
    for name in {run.settings.dataset for run in left.todo} & data.SOURCES.keys():
        try:
            data.fingerprint(name)
        except UserError:
            words += f" {name} is downloaded first ({data.SOURCES[name].megabytes} MB)."
    return words


# ---- the fields ----------------------------------------------------------------------------------


class Planner:
    """Fields from which a study file is made, with what it would take to run it. Saving never replaces a file that was
    not made here.

    Args:
        name: of the study. If it was planned here before, its file fills the fields.
    """

    def __init__(self, name: str = "first"):
        self.first, self.saved = name, ""  # the text that this has read or written
        self.followers: list[Callable[[str], None]] = []  # are called with the name of a study that has been saved
        with suppress(OSError):
            text = path_of(name).read_text(encoding="utf-8")
            self.saved = text if opened(name, text) else ""
        self.chosen = opened(name, self.saved) or FIRST

    def show(self):
        """The fields with what follows from them; in batch, what follows from the first choice."""
        if not controls.interactive():
            study = drafted(self.first, self.chosen)
            text = written(self.first, content(self.chosen))
            return Markdown(f"{outlook(study)}\n\n```yaml\n{text}```")
        known = sorted(path.stem for path in (NOTEBOOK_DIR / "examples").glob("*.ipynb"))
        self.boxes = {each: _box(each, each in self.chosen["notebooks"]) for each in (*NOTEBOOKS, *known)}
        self.fields = {"name": _text("name", self.first), "title": _text("title", self.chosen["title"])}
        for each, label in DATASETS.items():
            self.fields[each] = _dataset(label, self.chosen[each], grey=each == "mnist")
        self.fields |= {each: _text(label, self.chosen[each]) for each, label in LISTS.items()}
        self.notes = {each: ipywidgets.HTML() for each in ("notebooks", *self.fields)}
        self.result, self.state = ipywidgets.HTML(), ipywidgets.HTML()
        self.button = ipywidgets.Button(description="Save", button_style="primary")
        self.button.on_click(self.save)
        controls.redraw_on([*self.boxes.values(), *self.fields.values()], self.renew)
        rows = [controls.row(field, self.notes[each]) for each, field in self.fields.items()]
        rows.insert(2, controls.row(*self.boxes.values(), self.notes["notebooks"]))
        return controls.column(*rows, self.result, controls.row(self.button, self.state))

    @property
    def name(self) -> str:
        return self.fields["name"].value.strip()

    def renew(self, _=None) -> None:
        """Checks what is chosen, and shows what follows from it."""
        self.chosen = {each: field.value for each, field in self.fields.items() if each != "name"}
        self.chosen["notebooks"] = [each for each, box in self.boxes.items() if box.value]
        found = faults(self.name, self.chosen)
        if "name" not in found and (taken := self._taken()):
            found["name"] = taken
        for each, note in self.notes.items():
            note.value = fault(found.get(each, ""))
        self.button.disabled, self.result.value = bool(found), ""
        if not found:
            try:
                words = escape(outlook(drafted(self.name, self.chosen)))
                self.result.value = f"<p>{words}</p><pre>{escape(self.text)}</pre>"
            except UserError as error:
                self.button.disabled, self.result.value = True, fault(str(error))
        self.state.value = "Saved." if self.saved == self.text else "Not saved yet."

    def _taken(self) -> str:
        """Why the file cannot be written; '' if it can."""
        path = path_of(self.name)
        ours = not path.exists() or path.read_text(encoding="utf-8", errors="replace") in (self.saved, self.text)
        return "" if ours else f"{path.name} is there already and was not saved from these fields: choose another name"

    @property
    def text(self) -> str:
        return written(self.name, content(self.chosen))

    def save(self, _=None) -> None:
        """Writes the study file, unless another one of its name is there."""
        path = path_of(self.name)
        try:
            if taken := self._taken():
                raise UserError(taken)
            write_aside(path, self.text)
        except (OSError, UserError) as error:
            self.state.value = fault(str(error))
            return
        self.saved, self.state.value = self.text, f"Saved as <code>parameters/{path.name}</code>."
        for follow in self.followers:
            follow(self.name)


def fault(words: str) -> str:
    """What is wrong, in HTML."""
    return f'<span role="alert" style="color: var(--jp-error-color1, #b91c1c)">{escape(words)}</span>' if words else ""


def _text(label: str, value: str, kind=ipywidgets.Text, **options):
    style = {"description_width": "9rem"}
    return kind(value=value, description=label, style=style, layout={"width": "26rem"}, **options)


def _dataset(label: str, value: str, grey: bool):
    names = [name for name, one in data.BUILT_IN.items() if (one.shape[-1] == 1) == grey]
    return _text(label, value, ipywidgets.Combobox, options=names, placeholder="or the path of an .npz file")


def _box(name: str, value: bool):
    return ipywidgets.Checkbox(value=value, description=name, indent=False, layout={"width": "auto"})
