"""The widgets by their former names, until all notebooks say `widgets`."""

from lib.widgets import Finished, layers, numbers, progress, walk  # noqa: F401
from lib.widgets import explore as widgets  # noqa: F401


def opened(folder):
    return Finished(folder).model
