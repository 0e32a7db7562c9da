"""Which of a GAN's settings make better images in equal time: CIFAR-10, scored on validation images.

    python benchmarks/images.py --cifar10 FILE.npz [--seconds 300] [--only WORD ...]    appends to results/images.jsonl

Every alternative is trained for the same number of CPU seconds on one thread, with a learning rate that falls linearly
to 0 over them, and with three seeds. The score is the Frechet distance between the classifier's features of 4,000
generated and of 4,000 validation images; test images are not used. Each run keeps an average of its generator's
weights, which has no effect on the training, and both generators are scored. Cases that are in the file already are not
run again. `--table` prints the file as the table of docs/defaults.md.
"""

import argparse
import itertools
import json
import time
from pathlib import Path
from statistics import fmean

from defaults import score, scored

RESULTS = Path(__file__).with_name("results") / "images.jsonl"
SEEDS = (0, 1, 2)
EMA = 0.99
DCGAN = {"network": "dcgan"}
HINGE = {"loss": "hinge", "spectral_norm": True, "beta_1": 0.0, "learning_rate": 4e-3}
CASES = {  # in words: the notebook, and what differs from its defaults
    "conv": ("gan_cifar10", {"network": "conv"}),
    "dcgan": ("gan_cifar10", DCGAN),
    "dcgan, rate 4e-3": ("gan_cifar10", DCGAN | {"learning_rate": 4e-3}),
    "dcgan, classes": ("gan_cifar10", DCGAN | {"classes": 10}),
    "dcgan, hinge": ("gan_cifar10", DCGAN | HINGE),
    "dcgan, hinge, classes": ("gan_cifar10", DCGAN | HINGE | {"classes": 10}),
    "dcgan, hinge, classes, bfloat16": ("gan_cifar10", DCGAN | HINGE | {"classes": 10, "precision": "mixed_bfloat16"}),
    "conv, hinge, classes": ("gan_cifar10", {"network": "conv"} | HINGE | {"classes": 10}),
    "WGAN, conv": ("wgan_cifar10", {"network": "conv", "learning_rate": 1e-3}),
}


def trained(notebook: str, change: dict, dataset, seconds: float):
    """A model trained for so many CPU seconds, and the number of the generator's steps."""
    from lib import models
    from lib.backend import tf
    from lib.settings import check, parameters
    from lib.training import batches, blocks

    settings = check(parameters(notebook) | change, "benchmark")
    model, epoch = models.build(settings, dataset.shape), tf.Variable(0, dtype=tf.int64)
    model.prepare()
    model.make_train_function()
    labels = dataset.y_train if model.classes else None
    minibatches = blocks(batches(dataset.x_train, model.images_a_step(settings), settings.seed, epoch, labels))
    spent, steps_before = 0.0, None
    for number in itertools.count():
        epoch.assign(number)
        for block in minibatches:
            for one in model.optimizers.values():
                one.learning_rate = settings.learning_rate * max(0.0, 1 - spent / seconds)
            start = time.process_time()
            model.train_function(iter([block]))
            if steps_before is None:  # the first call compiles
                steps_before = model.steps_taken
                continue
            spent += time.process_time() - start
            if spent >= seconds:
                return model, settings, model.steps_taken


def measure(case: str, seed: int, seconds: float, dataset, card, held_out) -> dict:
    notebook, change = CASES[case]
    change = {"batch_size": 128 if notebook.startswith("gan") else 64, "seed": seed} | change
    if notebook.startswith("gan"):
        change |= {"ema": EMA}
    model, settings, steps = trained(notebook, change, dataset, seconds)
    row = {"case": case, "seed": seed, "seconds": seconds, "generator_steps": steps}
    row |= {"images_seen": model.effort()["images_seen"]}
    if not notebook.startswith("gan"):
        return row | {"plain": score(model, settings, card, held_out)}
    row["average"] = score(model, settings, card, held_out)
    model.generator = model.learner
    return row | {"plain": score(model, settings, card, held_out)}


def table(rows: list[dict]) -> str:
    """One line a case: the mean over seeds, and in brackets the lowest and highest."""

    def said(chosen, which, name):
        values = [row[which][name] for row in chosen if which in row]
        if not values:
            return ""
        spread = f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
        return f"{fmean(values):.3g}{spread}"

    head = ("setting", "seeds", "steps", "Fréchet", "of the average", "recall", "of the average")
    lines = [head, ["---"] * len(head)]
    for case in CASES:
        if chosen := [row for row in rows if row["case"] == case]:
            steps = f"{fmean(row['generator_steps'] for row in chosen):,.0f}"
            numbers = [said(chosen, which, name) for name in ("frechet", "recall") for which in ("plain", "average")]
            lines.append((case, len(chosen), steps, *numbers))
    return "\n".join("| " + " | ".join(str(cell).strip() for cell in line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", default="cifar10")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--only", nargs="*", default=list(CASES), help="cases, such as 'dcgan, hinge'")
    parser.add_argument("--seeds", nargs="*", type=int, default=SEEDS)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    found = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    if options.table:
        print(table(found))
        return
    from lib.backend import tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    cards = scored(options.cifar10)
    done = {(row["case"], row["seed"], row["seconds"]) for row in found}
    for seed, case in itertools.product(options.seeds, options.only):
        if (case, seed, options.seconds) not in done:
            row = measure(case, seed, options.seconds, *cards)
            print(row, flush=True)
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
