"""Real or generated? Pairs of images among which the reader chooses."""

from lib.report import measures
from lib.report.pieces import in_lab, parts, piece, tiles
from lib.report.records import Record, Records
from lib.report.words import by_setting, title_of
from lib.rounding import number


@piece
def quiz(records: Records) -> str:
    """Twenty pairs of a test image and a generated one, of a run that the reader chooses."""
    firsts = [group[0] for group in by_setting(records.done)]
    shown = [one for one in firsts if "real" in one.decoder and len(one.samples["samples"])]
    if not shown:
        return parts().notes(["There are no test images to show: the data or the networks of these runs are not here."])
    real: dict[bytes, str] = {}  # runs of one dataset share them
    runs = [_pairs(one, title_of(one, firsts), records, real) for one in shown]
    return parts().quiz(runs, {} if in_lab() else {"real": list(real.values()), "runs": runs})


def _pairs(one: Record, label: str, records: Records, real: dict[bytes, str]) -> dict:
    images = one.decoder["real"]
    count = min(len(images), len(one.samples["samples"]))
    real.setdefault(images.tobytes(), tiles(images, len(images), "")["src"])
    quality = next((name for name in measures.QUALITY if name in one.metrics), "")
    return {
        "name": one.name,
        "label": label,
        "count": count,
        "size": images.shape[1:3],
        "real": list(real).index(images.tobytes()),
        "fake": tiles(one.first_samples(count), count, "")["src"],
        "distance": (records.short(quality), number(one.metrics[quality])) if quality else None,
    }
