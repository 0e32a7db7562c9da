"""Latent planes of two dimensions over which the reader can move."""

import base64

from lib.report import tour
from lib.report.pieces import tiles
from lib.report.records import Record, Records
from lib.report.words import by_setting, finished, slug

SIDE = 11  # images of the plane that is drawn


def _name(one: Record) -> str:
    return f"plane-{slug(one.name)}"


def plane(one: Record) -> list[dict]:
    """What template/parts/ needs to show a run's plane; without its tour, only the images that the run kept."""
    if "plane" not in one.tour:
        return [{"picture": _picture(one, one.samples["plane"], max(one.samples["plane_ticks"]))}]
    shown = {"picture": _picture(one, one.tour["plane"], tour.REACH), "side": one.result["dataset"]["shape"][:2]}
    return [{"plane": {"id": _name(one), "name": one.name, "error": float(one.tour["error"]), **shown}}]


def _picture(one: Record, images, reach: float) -> dict:
    side = f"from −{reach:g} to {reach:g}"
    alt = f"Images decoded by {one.name} on an 11 by 11 grid, z1 {side} left to right, z2 {side} upwards"
    return tiles(images, SIDE, alt, 330)


def planes(records: Records) -> dict[str, dict]:
    """The planes that are shown, as plane.js draws them; see `tour.compressed`."""
    firsts = [each[0] for group in records.by_notebook.values() for each in by_setting(finished(group))]
    return {_name(one): _drawn(one.tour) for one in firsts if "plane" in one.tour}


def _drawn(toured: dict) -> dict:
    packed = {name: base64.b64encode(toured[name].tobytes()).decode() for name in ("mean", "basis", "coefficients")}
    edge = 0.5 / SIDE  # of the outermost images' middles, where z is -3 or 3
    return packed | {
        "scales": [float(f"{scale:.6g}") for scale in toured["scales"]],
        "count": tour.COUNT,
        "rank": len(toured["scales"]),
        "reach": tour.REACH,
        "channels": toured["plane"].shape[-1],
        "margins": [edge, 1 - edge, edge, 1 - edge],
        "error": float(toured["error"]),
    }
