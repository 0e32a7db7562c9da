"""How far the order of settings by their Frechet distance depends on the classifier.

`python benchmarks/classifiers.py STUDY` reads the study's records, which hold the distance by each classifier. For each
dataset it prints the settings, with means over seeds, and how the classifiers rank them: Spearman's correlations, and
how many pairs of settings are in the same order by all.
"""

import itertools
import sys

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from lib import finished
from lib.rounding import column
from lib.widgets.tables import table

SCORES = ["frechet", "frechet_classifier_2", "frechet_classifier_3"]


def report(runs: pd.DataFrame) -> str:
    """The runs of one dataset, as `finished.table` gives them."""
    means = runs.groupby(runs.index.str.replace(r"-seed\d+", "", regex=True))[SCORES].mean().sort_values(SCORES[0])
    values, names = means.to_numpy(), [f"classifier {place}" for place in range(1, len(SCORES) + 1)]
    rows = [[f"`{name}`", *cells] for name, *cells in zip(means.index, *map(column, values.T.tolist()), strict=True)]
    ranks = [
        f"{first + 1} and {second + 1}: {spearmanr(values[:, first], values[:, second]).statistic:.3f}"
        for first, second in itertools.combinations(range(len(SCORES)), 2)
    ]
    pairs = list(itertools.combinations(values, 2))
    alike = sum(len({*np.sign(first - second)}) == 1 for first, second in pairs)
    said = f"Spearman's rank correlation of classifiers {', '.join(ranks)}. Of {len(pairs)} pairs, {alike} are alike."
    return f"{table(['setting', *names], rows, len(names))}\n\n{said}\n"


if __name__ == "__main__":
    every = finished.table(sys.argv[1])
    if missing := [name for name in SCORES if name not in every]:
        sys.exit(f"{sys.argv[1]}: none of its runs has {' and '.join(missing)}; latent-report evaluate computes them")
    for name, runs in every.dropna(subset=SCORES).groupby("dataset"):
        print(f"{name}\n\n{report(runs)}")
