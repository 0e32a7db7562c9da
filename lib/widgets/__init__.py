"""What notebooks show of a model beside figures: its layers and numbers as tables, its training as it goes on, and what
moves in JupyterLab: ways through its latent space, and the finished runs of a study.

In batch (papermill) and in HTML there is no one to move a slider: there each function shows one picture of the same
kind, drawn by the same `figures`.
"""

from lib.widgets.live import progress
from lib.widgets.moves import explore, walk
from lib.widgets.shelf import Shelf
from lib.widgets.tables import layers, numbers, source

__all__ = ["Shelf", "explore", "layers", "numbers", "progress", "source", "walk"]
