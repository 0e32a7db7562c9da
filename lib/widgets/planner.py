"""Planning a study: what is chosen becomes the text of a study file, which `lib.study` reads as it reads any other."""

import math
import re
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets
import psutil
import yaml
from IPython.display import HTML

from lib import data
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
FIRST = {"title": "My first study", "notebooks": ["vae_mnist"], "mnist": "digits", "cifar10": "shapes"}
FIRST |= {"latent_dim": "2, 10", "width": "32, 256", "seed": "0", "epochs": "60"}  # a few minutes
BOX = "padding: 8px; line-height: 1.4; white-space: pre-wrap; "
BOX += "background: var(--jp-layout-color2, #eee); color: var(--jp-content-font-color1, #111)"


# ---- from what is chosen to a study --------------------------------------------------------------


def values(text: str) -> list[Any]:
    """The values in a list such as "2, 10" or "2 10", as YAML reads them."""

    def read(word: str) -> Any:
        try:
            return file.parsed(word, "")
        except UserError:
            return word  # whoever checks it says what was expected

    return [read(word) for word in re.split(r"[,;\s]+", text.strip(" []")) if word]


def written(name: str, chosen: dict[str, Any]) -> str:
    """The text of parameters/<name>.yaml. Several values of a setting are an axis of the grid, one is a default, and
    none leaves the notebook's own.

    Args:
        chosen: as `FIRST`; the path of a dataset is meant from the current folder.
    """
    lists = {each: found for each in LISTS if (found := values(chosen[each]))}
    grid = {each: found for each, found in lists.items() if len(found) > 1}
    content = {
        "title": chosen["title"].strip(),
        "datasets": datasets(chosen),
        "defaults": {each: found[0] for each, found in lists.items() if len(found) == 1},
        "notebooks": {each: {"runs": [grid]} for each in chosen["notebooks"]},
    }
    style = {"sort_keys": False, "default_flow_style": None, "allow_unicode": True, "width": 110}
    return HEAD.format(name) + yaml.dump(content, Dumper=_Dumper, **style)


class _Dumper(yaml.SafeDumper):
    """Writes out what appears twice: a study file has no aliases."""

    def ignore_aliases(self, data):
        return True


def datasets(chosen: dict[str, Any]) -> dict[str, str]:
    """The datasets by family, for the families of the chosen notebooks."""
    families = [each for each in DATASETS if any(name.endswith(f"_{each}") for name in chosen["notebooks"])]
    return {each: file.located(chosen[each].strip(), Path.cwd(), "dataset") for each in families}


def opened(name: str, text: str) -> dict[str, Any] | None:
    """What was chosen for a study file; None if it says anything else than `written` would."""
    with suppress(UserError, AttributeError, LookupError, TypeError, ValueError):
        found = file.parsed(text, name)
        lists = found["defaults"] | next(iter(found["notebooks"].values()))["runs"][0]
        lists = {each: str(lists.get(each, "")).strip("[]") for each in LISTS}
        chosen = FIRST | found["datasets"] | lists | {"title": found["title"], "notebooks": [*found["notebooks"]]}
        if written(name, chosen) == text:
            return chosen
    return None


def drafted(name: str, chosen: dict[str, Any]) -> plan.Study:
    """The study, as the command line will read it once it is saved.

    Raises:
        UserError: it cannot be run, or is too large to be planned here.
    """
    count = len(chosen["notebooks"]) * math.prod(max(1, len(values(chosen[each]))) for each in LISTS)
    if not re.fullmatch(NAME, name) or name == plan.NOTEBOOK_RUNS:
        raise UserError("name: expected at most 60 letters (A to Z), digits, - and _, for example first-try")
    if not count:
        raise UserError("notebooks: no runs; choose at least one")
    if count > MOST:
        raise UserError(f"{count:,} runs; at most {MOST:,} can be planned here: shorten a list")
    study = plan.draft(name, written(name, chosen))
    engine.check_folders(study)
    return study


def field_of(fault: str, chosen: dict[str, Any]) -> str:
    """The field that a fault is about; "result" where it is about no single one."""
    found = [each for each in ("name", "notebooks") if fault.startswith(f"{each}: ")]
    found += [each for each in LISTS if f" {each} = " in fault]
    if "dataset" in fault:  # of the notebook that is named, or else the one that is named itself
        found += [each for each in DATASETS if f"_{each}" in fault]
        found += [each for each, name in datasets(chosen).items() if name in fault]
    return next(iter(found), "result")


def outlook(name: str, chosen: dict[str, Any]) -> str:
    """In HTML, how many runs there are, how long they take, how much memory, and the study file.

    Raises:
        UserError: as `drafted` does.
    """
    study = drafted(name, chosen)
    left, each = engine.Outlook(study, engine.states_of(study)), engine.GIB_PER_RUN
    words = f"{left}, then the report."
    if left.todo:
        words += f" Memory: up to {each * left.workers:.0f} GiB, {each:.0f} for each worker; "
        words += f"{psutil.virtual_memory().available / 2**30:.0f} GiB are free."
    for dataset in {run.settings.dataset for run in left.todo} & data.SOURCES.keys():
        try:
            data.fingerprint(dataset)
        except UserError:
            words += f" {dataset} is downloaded first ({data.SOURCES[dataset].megabytes} MB)."
    return f'<p>{escape(words)}</p><pre style="{BOX}">{escape(written(name, chosen))}</pre>'


# ---- the fields ----------------------------------------------------------------------------------


class Planner:
    """Fields from which a study file is made, and what it would take to run it.

    Args:
        name: of the study. If it was planned here before, its file fills the fields.
    """

    def __init__(self, name: str = "first"):
        self.name, self.chosen, self.saved = name, FIRST, ""  # the text that was read or written last
        self.follow = lambda name: None  # is called with the name of a study that has been saved
        with suppress(OSError, UnicodeDecodeError):
            text = path_of(name).read_text(encoding="utf-8")
            if known := opened(name, text):
                self.chosen, self.saved = known, text

    def show(self):
        """The fields with what follows from them; in batch, only that."""
        if not controls.interactive():
            return HTML(outlook(self.name, self.chosen))
        examples = sorted(path.stem for path in (NOTEBOOK_DIR / "examples").glob("*.ipynb"))
        self.boxes = {each: _box(each, each in self.chosen["notebooks"]) for each in (*NOTEBOOKS, *examples)}
        self.fields = {"name": _text("name", self.name), "title": _text("title", self.chosen["title"])}
        self.fields |= {each: _dataset(each, self.chosen[each]) for each in DATASETS}
        self.fields |= {each: _text(label, self.chosen[each]) for each, label in LISTS.items()}
        self.notes = {each: ipywidgets.HTML() for each in (*self.fields, "notebooks", "result", "state")}
        self.button = ipywidgets.Button(description="Save the plan", button_style="primary")
        self.button.on_click(self.save)
        controls.redraw_on([*self.boxes.values(), *self.fields.values()], self.renew)
        rows = [controls.row(field, self.notes[each]) for each, field in self.fields.items()]
        label = ipywidgets.HTML('<div style="width: 9rem; margin-right: 8px; text-align: right">notebooks</div>')
        boxes = controls.row(*self.boxes.values(), self.notes["notebooks"])
        rows.insert(2, ipywidgets.HBox([label, boxes]))
        return controls.column(*rows, self.notes["result"], controls.row(self.button, self.notes["state"]))

    @property
    def text(self) -> str:
        return written(self.name, self.chosen)

    def renew(self, _=None) -> None:
        """Checks what is chosen, and shows what follows from it."""
        self.chosen = {each: field.value for each, field in self.fields.items()}
        self.chosen["notebooks"] = [each for each, box in self.boxes.items() if box.value]
        self.name = self.chosen.pop("name").strip()
        said, self.button.disabled = dict.fromkeys(self.notes, ""), False
        try:
            said["result"] = outlook(self.name, self.chosen)
            self._check_file()
        except UserError as error:
            said[field_of(str(error), self.chosen)], self.button.disabled = fault(str(error)), True
        said["state"] = "Saved." if self.saved == self.text else "Not saved yet."
        for each, words in said.items():
            self.notes[each].value = words
        for each in DATASETS:
            self.fields[each].layout.display = None if each in datasets(self.chosen) else "none"

    def _check_file(self) -> None:
        """Raises UserError where a file of this name is there that has not been read or written here."""
        path = path_of(self.name)
        if path.exists() and path.read_text(encoding="utf-8", errors="replace") not in (self.saved, self.text):
            raise UserError(f"name: {path.name} is there already, and was not saved from these fields; choose another")

    def save(self, _=None) -> None:
        """Writes the study file, unless another one of its name is there."""
        path, state = path_of(self.name), self.notes["state"]
        try:
            self._check_file()
            write_aside(path, self.text)
        except (OSError, UserError) as error:
            state.value = fault(str(error))
            return
        self.saved, state.value = self.text, f"Saved as <code>parameters/{path.name}</code>."
        self.follow(self.name)


def path_of(name: str) -> Path:
    """The study file of a name."""
    return plan.PARAMETERS_DIR / f"{name}.yaml"


def fault(words: str) -> str:
    """What is wrong, in HTML."""
    return f'<span role="alert" style="color: var(--jp-error-color1, #b91c1c)">{escape(words)}</span>' if words else ""


def _text(label: str, value: str, kind=ipywidgets.Text, **options):
    style, layout = {"description_width": "9rem"}, {"width": "26rem"}
    return kind(value=value, description=label, style=style, layout=layout, **options)


def _dataset(family: str, value: str):
    channels = {name: one.shape[-1] for name, one in data.BUILT_IN.items()}
    names = [name for name, count in channels.items() if count == channels[family]]
    return _text(DATASETS[family], value, ipywidgets.Combobox, options=names, placeholder="or the path of an .npz file")


def _box(name: str, value: bool):
    return ipywidgets.Checkbox(value=value, description=name, indent=False, layout={"width": "auto"})
