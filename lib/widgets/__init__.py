"""What notebooks show of a model beside figures: its layers and numbers as tables, its training as it goes on, and what
moves in JupyterLab: ways through its latent space, the finished runs of a study, and a study that is planned and run.

In batch (papermill) and in HTML there is no one to move a slider: there each function shows one picture of the same
kind, drawn by the same `figures`.
"""

from importlib import import_module

_HOMES = {
    **dict.fromkeys(("layers", "numbers", "source"), "tables"),
    **dict.fromkeys(("explore", "walk"), "moves"),
    **{"Shelf": "shelf", "progress": "live", "Planner": "planner", "Watch": "watch"},
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    """Imports what is asked for: planning a study needs no TensorFlow, which takes seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
