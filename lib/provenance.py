"""What was made of which networks, so that a record holds together however a notebook's cells were run.

Cells are run twice, partly and out of order. Whatever is recorded of a training therefore knows by their digest which
networks it was made of, and `runs.Run` refuses to record together what does not belong together.
"""

import hashlib
from typing import Any

import numpy as np

from lib.errors import UserError

BUILD_AGAIN = "run the cell of `models.build` again"
LOAD_AGAIN = "run the cell of `data.load` again"


class Made(dict):
    """A history, samples or numbers by name, with the networks, settings and data behind them.

    Attributes:
        networks: the `networks_digest` of these networks.
        settings: of the training; None where they do not matter.
        dataset: what `data.Dataset.record` says of the images.
    """

    def __init__(self, values: dict, networks: str, settings, dataset: dict):
        super().__init__(values)
        self.networks, self.settings, self.dataset = networks, settings, dataset
        self._content = {name: _digest(value) for name, value in values.items()}

    @property
    def changed(self) -> bool:
        """Whether some value is not as it was made; others may have been added."""
        return any(name not in self or _digest(self[name]) != then for name, then in self._content.items())


def _digest(value: Any) -> str:
    content = (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
    return hashlib.sha256(repr(content).encode()).hexdigest()


def networks_digest(networks: dict[str, Any]) -> str:
    """sha256 of the weights of Keras models, by name."""
    found = hashlib.sha256()
    for name, network in networks.items():
        found.update(name.encode())
        for weight in network.get_weights():
            found.update(np.ascontiguousarray(weight))
    return found.hexdigest()


def unlike(one, other, besides: str = "") -> str:
    """The first setting in which two differ, as 'width is 64, not 512'; '' when they describe one training.

    Args:
        besides: a setting that may differ, as may the folder of the run.
    """
    first, second = (each.model_dump(exclude={"output_dir", besides}) for each in (one, other))
    for name in first | second:
        if first.get(name) != second.get(name):
            return f"{name} is {first.get(name)}, not {second.get(name)}"
    return ""


def check_built(model, settings, besides: str = "") -> None:
    """Raises UserError when a model was built with other settings."""
    if words := unlike(settings, model.settings, besides):
        raise UserError(f"{words}, since the model was built: {BUILD_AGAIN}")
