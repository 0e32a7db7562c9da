"""How far the order of models by their Frechet distance depends on the classifier.

`python benchmarks/classifiers.py MODELS DATASET` scores models anew by the classifier of all scores and by the further
ones. MODELS is a study whose networks are here, or the page of a report (reports/homework/index.html), whose live
decoders are computed; of either, only models of the dataset count. Prints a table, Spearman's rank correlations, and
how many pairs of models are in the same order by all classifiers.
"""

import base64
import itertools
import json
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from lib import data, finished
from lib.report import operations
from lib.report.sections.decoders import PLAIN
from lib.rounding import column
from lib.scores.card import Scorecard
from lib.scores.drawing import latents
from lib.widgets.tables import table

DECODER = re.compile(r'<script data-decoder="([^"]+)" type="application/json">(.*?)</script>', re.DOTALL)
BACK = {new: old for old, new in PLAIN.items()}  # to the digits of base 85


def of_study(study: str, card: Scorecard) -> Iterator[tuple[str, np.ndarray]]:
    """Each run's name and images, uint8 [N, H, W, C], from its saved networks."""
    for name, run in finished.of(study).items():
        if run.dataset == card.dataset.sha256:
            yield name, card.images(run.model, card.count)


def of_page(page: Path, card: Scorecard) -> Iterator[tuple[str, np.ndarray]]:
    """The same from the decoders in a report's page, which are within half a grey level of the networks."""
    for name, text in DECODER.findall(page.read_text(encoding="utf-8")):
        facts = json.loads(text)
        if tuple(facts["shape"]) == card.dataset.shape:
            weights, floats = (_unpacked(facts[part], kind) for part, kind in (("weights", "int8"), ("floats", "<f4")))
            z = latents(card.count, len(facts["told"]))
            numbers = operations.apply(facts["operations"], weights, floats, z)
            yield name, operations.images(numbers, facts["shape"])


def _unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b85decode(text.translate(BACK))), kind)


def distances(card: Scorecard, images: np.ndarray) -> list[float]:
    """By each classifier."""
    others = card.further(images)
    return [card.scores(images)["frechet"], *(one["metrics"]["frechet"] for one in others)]


def report(found: dict[str, list[float]]) -> str:
    """Args: found: each model's distances by each classifier."""
    values = np.array(list(found.values()))
    count = values.shape[1]
    order = np.argsort(values[:, 0])
    columns = [column(list(each)) for each in values.T]
    rows = [[f"`{list(found)[place]}`", *(texts[place] for texts in columns)] for place in order]
    ranks = [
        f"{first + 1} and {second + 1}: {spearmanr(values[:, first], values[:, second]).statistic:.3f}"
        for first, second in itertools.combinations(range(count), 2)
    ]
    pairs = list(itertools.combinations(values, 2))
    alike = sum(len({*np.sign(first - second)}) == 1 for first, second in pairs)
    return "\n\n".join(
        [
            table(["run", *(f"classifier {place + 1}" for place in range(count))], rows, count),
            f"Spearman's rank correlation of classifiers {', '.join(ranks)}. Of {len(pairs)} pairs of models, {alike} "
            f"are in the same order by all.",
        ]
    )


def main(models: str, dataset: str) -> None:
    card = Scorecard(data.load(dataset))
    made = of_page(Path(models), card) if models.endswith(".html") else of_study(models, card)
    print(report({name: distances(card, images) for name, images in made}))


if __name__ == "__main__":
    main(*sys.argv[1:])
