"""What scoring costs: seconds and peak memory of the scorecard on many samples, without training the classifier.

    python benchmarks/scorecard.py [--dataset mnist] [--count 10000]

The real images' bins, features and references are made beforehand: they are cached, once per dataset.
"""

import argparse
import resource
import time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--count", type=int, default=10_000, help="images to score, drawn from the training images")
    options = parser.parse_args()
    from lib import data
    from lib.scores.card import Scorecard

    dataset = data.load(options.dataset)
    Scorecard(dataset)  # fills the cache, if it is empty
    card = Scorecard(dataset)
    images = dataset.x_train[: options.count]
    before, start = _peak(), time.perf_counter()
    scores = card.scores(images)
    seconds = time.perf_counter() - start
    print(f"{len(images):,} images of {dataset.name}: {seconds:.1f} s, peak {_peak():,.0f} MiB ({before:,.0f} before)")
    print({name: round(value, 4) for name, value in scores.items()})


def _peak() -> float:
    """MiB, of this process since its start."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
