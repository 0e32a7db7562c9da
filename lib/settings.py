"""What a run may be asked to do: the names, types and ranges of every setting.

The defaults live in the notebooks' parameters cells and nowhere else; here stands what is allowed.
"""

import ast
import difflib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK_DIR = ROOT / "notebooks"
NOTEBOOKS = ("vae_mnist", "vae_cifar10", "gan_mnist", "gan_cifar10", "wgan_mnist", "wgan_cifar10")
DATASETS = ("mnist", "cifar10", "digits", "shapes")


class UserError(Exception):
    """A mistake of the user's, said in one line: what, where, what was expected. Shown without a traceback."""

    def _render_traceback_(self):  # IPython asks for this name
        return [f"{type(self).__name__}: {self}"]


def nearest(name: Any, names) -> str:
    """' (did you mean X?)', or nothing when no known name is near."""
    found = difflib.get_close_matches(str(name), list(names), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def in_one_line(error: BaseException) -> str:
    """What an error says, or its name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):  # YAML reads yes, no, on and off as booleans, and Python counts them as 1 and 0
        raise ValueError("is a boolean, not a number")
    return value


def _dataset(value: str) -> str:
    if value in DATASETS or value.endswith(".npz"):
        return value
    known = ", ".join(DATASETS)
    raise ValueError(f"is neither a dataset ({known}) nor the path of an .npz file{nearest(value, DATASETS)}")


def _short_name(value: str) -> str:
    if len(Path(value).name.encode()) > 255:  # what file systems allow
        raise ValueError("has a file name of more than 255 bytes")
    return value


def _one_line(value: str) -> str:
    if any(ord(character) < 32 for character in value):
        raise ValueError("has a control character")
    return value


def _integer(low: int, high: int):
    return Annotated[int, BeforeValidator(_no_boolean), Field(ge=low, le=high)]


def _number(low: float, high: float):
    return Annotated[float, BeforeValidator(_no_boolean), Field(gt=low, le=high, allow_inf_nan=False)]


Text = Annotated[str, Field(max_length=1000), AfterValidator(_one_line)]


class Settings(BaseModel):
    """The settings that all three models share. Numbers written as strings (YAML's `1e-3`) are read as numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    notebook: Literal[NOTEBOOKS]
    dataset: Annotated[Text, AfterValidator(_dataset), AfterValidator(_short_name)]
    seed: _integer(0, 2**31 - 1)
    latent_dim: _integer(1, 4096)
    width: _integer(1, 16384)
    network: Literal["mlp", "conv"]
    epochs: _integer(1, 100_000)
    batch_size: _integer(2, 8192)
    learning_rate: _number(0, 1)
    schedule: Literal["constant", "linear"]
    validation: _integer(0, 1_000_000)
    precision: Literal["float32", "mixed_bfloat16"]
    jit_compile: bool
    output_dir: Annotated[Text, AfterValidator(_short_name)]

    @property
    def model(self) -> str:
        """vae, gan or wgan."""
        return self.notebook.partition("_")[0]

    @model_validator(mode="after")
    def _notebook_of_this_model(self):
        if self.model != MODEL_OF.get(type(self)):
            raise ValueError(f"notebook {self.notebook!r} belongs to another model")
        return self


class VAESettings(Settings):
    """A variational autoencoder's settings (Kingma & Welling 2014, arXiv:1312.6114)."""

    likelihood: Literal["bernoulli", "gaussian"]
    binarize: Literal["none", "fixed", "dynamic"]
    depth: _integer(1, 8)
    activation: Literal["relu", "tanh"]
    schedule: Literal["constant", "linear", "burda"]
    epsilon: _number(0, 1)
    importance_samples: _integer(1, 5000)


class GANSettings(Settings):
    """A GAN's settings (Goodfellow et al. 2014, arXiv:1406.2661)."""

    beta_1: Annotated[float, BeforeValidator(_no_boolean), Field(ge=0, lt=1, allow_inf_nan=False)]


class WGANSettings(Settings):
    """A WGAN's settings (Arjovsky et al. 2017, arXiv:1701.07875; Gulrajani et al. 2017, arXiv:1704.00028)."""

    lipschitz: Literal["clip", "gp"]
    clip: _number(0, 10)
    gp_weight: _number(0, 1000)
    n_critic: _integer(1, 100)


SETTINGS_OF = {"vae": VAESettings, "gan": GANSettings, "wgan": WGANSettings}
MODEL_OF = {settings: model for model, settings in SETTINGS_OF.items()}


def check(values: dict[str, Any], where: str) -> Settings:
    """The validated settings of one run.

    Args:
        values: every setting by name, `notebook` among them.
        where: what to name in an error, for example "parameters/demo.yaml: notebooks.vae_mnist.runs[0]".

    Raises:
        UserError: an unknown name, a wrong type or a value out of range; one line, all faults in it.
    """
    notebook = values.get("notebook")
    if notebook not in NOTEBOOKS:
        raise UserError(
            f"{where}: notebook {notebook!r} is not one of {', '.join(NOTEBOOKS)}{nearest(notebook, NOTEBOOKS)}"
        )
    kind = SETTINGS_OF[notebook.partition("_")[0]]
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_fault(one, kind) for one in error.errors(include_url=False))
        raise UserError(f"{where}: {faults}") from None


def _fault(error: dict[str, Any], kind: type[Settings]) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown parameter {_short(name)}{nearest(name, kind.model_fields)}"
    if error["type"] == "missing":
        typed = [other for other in error["input"] if other not in kind.model_fields]
        near = difflib.get_close_matches(name, typed, n=1)
        return f"{name} is missing" + (f" (is {near[0]!r} a typing error?)" if near else "")
    message = error["msg"].removeprefix("Value error, ")
    if isinstance(error["input"], list):
        message += "; a list is a grid of runs, for study files only: `latent-report run FILE`"
    if error["type"] == "literal_error":
        message += nearest(error["input"], NOTEBOOKS if name == "notebook" else _choices(kind, name))
    return f"{name} = {_short(error['input'])}: {message}" if name else message


def _choices(kind: type[Settings], name: str) -> tuple:
    return getattr(kind.model_fields[name].annotation, "__args__", ())


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def check_images(settings: Settings, count: int, shape: tuple[int, int, int], where: str) -> None:
    """Raises UserError when a run cannot be made on `count` training images of shape [H, W, C].

    Args:
        count: before the validation images are taken from them: at most a tenth.
    """
    channels, kind = (1, "grey (H×W)") if settings.notebook.endswith("_mnist") else (3, "colour (H×W×3)")
    found = f"{where}: dataset {settings.dataset}: images are {'×'.join(map(str, shape))}"
    if shape[2] != channels:
        raise UserError(f"{found}; {settings.notebook} expects {kind} ones")
    if settings.network == "conv" and shape[0] % 4:
        raise UserError(f"{found}; network conv needs sides divisible by 4")
    train = count - min(settings.validation, count // 10)
    step = settings.batch_size * getattr(settings, "n_critic", 1)
    if train < step:
        raise UserError(
            f"{where}: {settings.notebook}: batch_size {settings.batch_size}: one step takes {step} images, but "
            f"dataset {settings.dataset} has only {train} for training: lower batch_size"
        )


def of_notebook(namespace: dict[str, Any]) -> Settings:
    """The settings of the notebook that calls this in the cell after its parameters cell.

    papermill only warns of a name that is no parameter; here it is an error, as is a value of the wrong type.

    Args:
        namespace: the notebook's `globals()`.
    """
    notebook = namespace.get("notebook")
    where = f"notebook {notebook}"
    kind = SETTINGS_OF.get(str(notebook).partition("_")[0], Settings)
    history = namespace.get("In", [])
    injected = _injected_names(history)
    if not set(injected).isdisjoint({"notebooks", "figures", "extends"}):
        raise UserError(f"{where}: this is a study file, not one run's parameters: use `latent-report run FILE`")
    for name in (*injected, *_typed_names(history)):
        if name not in kind.model_fields:
            raise UserError(f"{where}: unknown parameter {_short(name)}{nearest(name, kind.model_fields)}")
    return check({name: namespace[name] for name in kind.model_fields if name in namespace}, where)


def _injected_names(history: list[str]) -> list[str]:
    """The names that papermill's injected cell assigned, read from IPython's input history."""
    for source in reversed(history):
        if source.startswith("# Parameters\n"):
            targets = [node.targets[0] for node in ast.parse(source).body if isinstance(node, ast.Assign)]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            return [name for name in names if not name.startswith("PAPERMILL_")]  # of its option --inject-paths
    return []


def _typed_names(history: list[str]) -> list[str]:
    """The names in the parameters cell as it was last run: somebody may have changed one by mistake."""
    for source in reversed(history):
        if source.startswith("notebook: str ="):
            with suppress(SyntaxError):  # IPython's own commands are no Python
                return [node.target.id for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
    return []


def notebook_defaults(path: Path) -> dict[str, Any]:
    """The values of a notebook's parameters cell: one `name: type = literal  # help` a line."""
    import json

    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if "parameters" in cell["metadata"].get("tags", ()):
            body = ast.parse("".join(cell["source"])).body
            return {node.target.id: ast.literal_eval(node.value) for node in body if isinstance(node, ast.AnnAssign)}
    raise UserError(f"{path}: no cell is tagged 'parameters'")
