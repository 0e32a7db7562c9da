"""What can be said of a model before it is built: its settings, and the words for tables, figures and reports."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lib.data import DATASETS, is_path
from lib.errors import UserError, nearest, short

FAMILIES = {"mnist": (1, "grey (H×W)"), "cifar10": (3, "colour (H×W×3)")}  # a notebook's last word: channels, in words


# ---- settings ------------------------------------------------------------------------------------


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):  # YAML reads yes, no, on and off as booleans, and Python counts them as 1 and 0
        raise ValueError("is a boolean, not a number")
    return value


def _dataset(value: str) -> str:
    if value in DATASETS or is_path(value):
        return value
    path = "the path of an .npz file or, with a / in it, of a folder of images"
    raise ValueError(f"is neither a dataset ({', '.join(DATASETS)}) nor {path}{nearest(value, DATASETS)}")


def _short_name(value: str) -> str:
    if len(Path(value).name.encode()) > 255:  # what file systems allow
        raise ValueError("has a file name of more than 255 bytes")
    return value


def _one_line(value: str) -> str:
    if any(ord(character) < 32 for character in value):
        raise ValueError("has a control character")
    return value


def integer(low: int, high: int):
    """The type of a whole number from `low` to `high`."""
    return Annotated[int, BeforeValidator(_no_boolean), Field(ge=low, le=high)]


def _number(**bounds: float):
    return Annotated[float, BeforeValidator(_no_boolean), Field(allow_inf_nan=False, **bounds)]


def positive(high: float):
    """The type of a number above 0, at most `high`."""
    return _number(gt=0, le=high)


def share():
    """The type of a number from 0 and below 1."""
    return _number(ge=0, lt=1)


def finite():
    """The type of any finite number."""
    return _number()


Text = Annotated[str, Field(max_length=1000), AfterValidator(_one_line)]
Name = Annotated[Text, AfterValidator(_short_name)]


class Settings(BaseModel):
    """The settings that all models share. Numbers written as strings (YAML's `1e-3`) are read as numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    evaluation_only: ClassVar[tuple[str, ...]] = ()  # those on which no training depends

    notebook: Name
    dataset: Annotated[Name, AfterValidator(_dataset)]
    seed: integer(0, 2**31 - 1)
    latent_dim: integer(1, 4096)
    width: integer(1, 16384)
    network: Literal["mlp", "conv", "dcgan"]
    epochs: integer(1, 100_000)
    batch_size: integer(2, 8192)
    learning_rate: positive(1)
    schedule: Literal["constant", "linear"]
    validation: integer(0, 1_000_000)
    precision: Literal["float32", "mixed_bfloat16"]
    jit_compile: bool
    output_dir: Name

    @property
    def notebook_name(self) -> str:
        """The notebook's name, also where `notebook` is a path."""
        return Path(self.notebook).name.removesuffix(".ipynb")

    @property
    def family(self) -> str:
        """Which images the notebook is for, by the last word of its name: "mnist" (grey), "cifar10" (colour) or ""."""
        last = self.notebook_name.rpartition("_")[2]
        return last if last in FAMILIES else ""


# ---- words ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Description:
    """How tables, figures and reports speak of a run's model. A run's result.json has it, under "model".

    Attributes:
        title: of the model, as "VAE".
        columns: of the history, in order, and their labels.
        curve: the model's own curve: groups of columns, a panel each.
        losses: the same of the networks' losses.
        units: of each panel of the curve.
        levels: marks on the curve by their labels.
        metrics: its own numbers and their labels, in the order of tables.
        headline: the first of its numbers to look at.
        figures: the kinds of figures that it has beyond "layers", "gallery" and "loss".
        optimizer: as "Adam".
        assumptions: what papers leave open and the run's settings decide.
        steps: names, among the counted steps, of the generating and of the judging network's.
        about: a few sentences that the report puts before its figures: what it is, and how to read its numbers.
    """

    title: str
    columns: dict[str, str]
    curve: tuple[tuple[str, ...], ...]
    losses: tuple[tuple[str, ...], ...]
    units: tuple[str, ...]
    headline: str
    metrics: dict[str, str] = field(default_factory=dict)
    levels: dict[str, float] = field(default_factory=dict)
    figures: tuple[str, ...] = ()
    optimizer: str = "Adam"
    assumptions: dict[str, str] = field(default_factory=dict)
    steps: tuple[str, str] = ("generator", "")
    about: str = ""

    def __post_init__(self):
        """Raises UserError where the parts do not fit each other: before anything is trained."""
        for name in (name for group in (*self.curve, *self.losses) for name in group):
            if name not in self.columns:
                known = f"none of the columns {', '.join(self.columns)}{nearest(name, self.columns)}"
                raise UserError(f"describe: {name!r} in curve or losses is {known}; a panel is a tuple, as (('emd',),)")
        if self.headline not in self.metrics and (near := nearest(self.headline, self.metrics)):
            raise UserError(f"describe: headline {self.headline!r} is none of the metrics{near}")
        if not isinstance(self.levels, dict):
            raise UserError(f"describe: levels {short(self.levels)}: expected values by their labels")
