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
from lib.figures.figure import DARK, Figure
from lib.figures.images import gallery, interpolation, mosaic, plane, reconstructions

__all__ = ["DARK", "HEAT", "Figure", "History", "edges", "gallery", "heat_map", "interpolation", "latent_map", "lines"]
__all__ += ["mosaic", "over_seeds", "plane", "points", "reconstructions", "small_multiples", "training"]
