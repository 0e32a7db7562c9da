"""The networks that make images, to be moved in by hand: the page computes their pictures itself."""

import base64
import zlib

import numpy as np

from lib.report import operations
from lib.report.pieces import in_lab, parts, piece, tiles
from lib.report.records import Record, Records
from lib.report.words import by_setting, title_of

BUDGET = 9.2e6  # characters of all decoders in a page, of which 15 MB are as much as it may have
SMALL = 32 * 32 * 3  # numbers of an image: decoders of smaller ones come first
PLAIN = str.maketrans("<>&", ".,:")  # in base 85, instead of the digits that HTML writes as several letters
WALK = 12  # pictures of the way from one latent vector to another


@piece
def decoders(records: Records, every: bool = False) -> str:
    """A decoder of each setting, live in the page. Args: every: also those beyond the page's budget."""
    firsts = [group[0] for group in by_setting(records.done)]
    told = {one: facts for one in firsts if (facts := _told(one))}
    if not told:
        return parts().notes(["No run of this study has its networks here, so this page cannot compute images."])
    shown = _chosen(told, np.inf if every else BUDGET)
    without = [(title_of(one, firsts), one.decoder["reason"]) for one in firsts if "reason" in one.decoder]
    texts = [f"No live decoder for the {name}: {reason}." for name, reason in without]
    if lacking := len(firsts) - len(told) - len(without):
        texts.append(
            f"{lacking} setting{'s have' if lacking > 1 else ' has'} no live decoder: the networks are not here."
        )
    if left := len(told) - len(shown):
        why = "would make this page too large; latent-report report puts them in with --assets"
        texts.append(f"The decoders of {left} more setting{'s' * (left > 1)} {why}.")
    chosen = [
        {"name": one.name, "label": title_of(one, firsts), "content": {} if in_lab() else told[one]} for one in shown
    ]
    return parts().decoders(chosen, _still(shown[0], chosen[0]["label"]), texts)


def _told(one: Record) -> dict:
    """A run's decoder as decoder.js takes it; {} where there is none."""
    found = one.decoder
    if "operations" not in found:
        return {}
    facts = {name: value for name, value in found.items() if not isinstance(value, np.ndarray)}
    facts["told"] = [float(f"{value:.3g}") for value in facts["told"]]
    packed = {name: _packed(found[name].tobytes()) for name in ("weights", "floats")}
    facts |= {name: base64.b85encode(content).decode().translate(PLAIN) for name, content in packed.items()}
    return facts | {"shape": one.result["dataset"]["shape"]}


def _packed(content: bytes) -> bytes:
    """As zlib packs it. Rounded weights hardly repeat: to seek repeats, as it does at level 9, takes four times as long
    and makes the decoders of the demo 4 % larger."""
    packer = zlib.compressobj(level=6, memLevel=9, strategy=zlib.Z_FILTERED)
    return packer.compress(content) + packer.flush()


def _chosen(told: dict[Record, dict], budget: float) -> list[Record]:
    """Those whose decoders go into the page, in the study's order: of each notebook the one with most latents and the
    smallest width, then all of small images, then others, as long as the budget lasts."""
    by_size = sorted(told, key=lambda one: (one.settings.latent_dim, -one.settings.width))
    leading = {one.settings.notebook: one for one in by_size}.values()
    small = [one for one in told if np.prod(told[one]["shape"]) < SMALL]
    found, spent = [], 0
    for one in dict.fromkeys((*leading, *small, *told)):
        size = len(told[one]["weights"]) + len(told[one]["floats"])
        if one in leading or spent + size <= budget:
            found.append(one)
            spent += size
    return [one for one in told if one in found]


def _still(one: Record, label: str) -> dict:
    """The pictures between two latent vectors that are drawn, computed as the page would."""
    found, shape = one.decoder, one.result["dataset"]["shape"]
    first, last = np.random.default_rng(0).standard_normal((2, one.settings.latent_dim))
    angle = np.arccos(np.clip(first @ last / np.linalg.norm(first) / np.linalg.norm(last), -1, 1))
    parts = np.linspace(0, 1, WALK)[:, None]
    z = (np.sin((1 - parts) * angle) * first + np.sin(parts * angle) * last) / max(np.sin(angle), 1e-6)
    numbers = operations.apply(found["operations"], found["weights"], found["floats"], z)
    images = operations.images(numbers, shape)
    return tiles(images, WALK, f"{WALK} images by the {label}, from one latent vector to another", 700)
