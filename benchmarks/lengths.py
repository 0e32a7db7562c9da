"""How the homework's run lengths and schedules were chosen: GAN and WGAN, scored on validation images during training.

    python benchmarks/lengths.py --cifar10 FILE.npz [--only gan_mnist:40:constant ...]    to results/lengths.jsonl

Runs with a hundred latents, the homework's smallest width and seed 0. Every few epochs, 4,000 generated images are
scored against 4,000 validation images; test images are not used. A run that has all its lines already is skipped.
"""

import argparse
import json
from pathlib import Path

from defaults import score, scored

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "lengths.jsonl"
WIDTH = {"gan": 256, "wgan": 128}
CASES = (  # notebook, epochs, schedule
    ("gan_mnist", 40, "constant"),
    ("gan_mnist", 50, "linear"),
    ("wgan_mnist", 50, "linear"),
    ("gan_cifar10", 15, "linear"),
    ("gan_cifar10", 30, "linear"),
    ("wgan_cifar10", 30, "linear"),
)
EVERY = 5  # epochs between two scores


def lines() -> list[dict]:
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def of(rows: list[dict], notebook: str, epochs: int, schedule: str) -> list[dict]:
    case = {"notebook": notebook, "epochs": epochs, "schedule": schedule}
    return [row for row in rows if case.items() <= row.items()]


def train(notebook: str, epochs: int, schedule: str, dataset, card, held_out) -> None:
    """Trains one run and appends a line for every score."""
    from lib import models, training
    from lib.backend import keras
    from lib.settings import check, parameters

    values = parameters(notebook)
    case = {"epochs": epochs, "schedule": schedule}
    values |= {"latent_dim": 100, "width": WIDTH[notebook.split("_")[0]], "network": "mlp", **case}
    settings = check(values, "benchmark")
    model = models.build(settings, dataset.shape)
    broken_off = of(lines(), notebook, epochs, schedule)
    kept = [json.dumps(row) + "\n" for row in lines() if row not in broken_off]
    RESULTS.write_text("".join(kept))

    def look(number, logs):
        if (epoch := number + 1) % EVERY == 0:
            row = {"notebook": notebook, **case, "dataset": dataset.name, "epoch": epoch}
            row |= model.effort()["steps"] | score(model, settings, card, held_out)
            print(row, flush=True)
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")

    training.train(model, dataset, settings, [keras.callbacks.LambdaCallback(on_epoch_end=look)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default="mnist")
    parser.add_argument("--cifar10", default="cifar10")
    parser.add_argument("--only", nargs="*", default=[":".join(map(str, case)) for case in CASES])
    options = parser.parse_args()
    for word in options.only:
        notebook, epochs, schedule = word.split(":")
        case = notebook, int(epochs), schedule
        if not any(row["epoch"] == row["epochs"] for row in of(lines(), *case)):
            train(*case, *scored(options.mnist if notebook.endswith("mnist") else options.cifar10))


if __name__ == "__main__":
    main()
