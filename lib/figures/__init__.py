"""Arrays in, a Figure out; nothing else: no training, no sampling, no saving, no global state of pyplot."""

from lib.figures.charts import (
    HEAT,
    History,
    edges,
    heat_map,
    latent_map,
    lines,
    over_seeds,
    points,
    small_multiples,
    training,
)
from lib.figures.effects import Line, effects, ordered
from lib.figures.figure import DARK, Figure
from lib.figures.images import gallery, interpolation, mosaic, plane, reconstructions, traversal

__all__ = ["DARK", "HEAT", "Figure", "History", "Line", "edges", "effects", "gallery", "heat_map", "interpolation"]
__all__ += ["latent_map", "lines", "mosaic", "ordered", "over_seeds", "plane", "points", "reconstructions"]
__all__ += ["small_multiples", "training", "traversal"]
