"""How the defaults of GAN and WGAN were chosen: alternatives with the same budget, scored on validation images.

    python benchmarks/defaults.py --mnist mnist --cifar10 cifar10 --out benchmarks/defaults.jsonl [--only gan_mnist mlp]

All alternatives for one notebook and network are trained with the same seed and the same number of generator steps and
images. The score is the Frechet distance between the classifier's features of 4,000 generated and of 4,000 validation
images; test images are not used. Cases that are in the file already are not run again. `--table` prints the file as the
table of docs/defaults.md.
"""

import argparse
import json
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest import mock

MORE = ("precision", "recall", "sharpness")  # shown beside the distance
BUDGET = {  # generator steps, by network and notebook: what two cores can do in minutes
    "mlp": {"gan_mnist": 3000, "gan_cifar10": 3000, "wgan_mnist": 1000, "wgan_cifar10": 1000},
    "conv": {"gan_mnist": 800, "gan_cifar10": 200, "wgan_mnist": 100, "wgan_cifar10": 50},
}
RATES = {  # learning rates tried; conv is slow on two cores
    "mlp": {
        "gan": (2e-4, 5e-4, 1e-3, 2e-3),
        "wgan gp": (1e-4, 5e-4, 1e-3),
        "wgan clip": (5e-5, 2e-4, 5e-4),
    },
    "conv": {"gan": (2e-4, 5e-4, 1e-3), "wgan gp": (5e-4, 1e-3), "wgan clip": (2e-4, 5e-4)},
}


def _leaky(hidden):
    from keras import layers

    return layers.LeakyReLU(0.2)(hidden)


VARIANTS = {  # of the mlp networks at the default settings: what changes, and where
    "generator without batch normalisation": ("lib.models.layers.normalised", _leaky),
    "discriminator without dropout": ("lib.models.gan.DROPOUT", 0.0),
}


def cases():
    """Every (notebook, network, variant, settings that differ from the notebook's defaults)."""
    for network, kinds in RATES.items():
        for family in ("mnist", "cifar10"):
            for kind, rates in kinds.items():
                model, _, lipschitz = kind.partition(" ")
                extra = {"lipschitz": lipschitz} if lipschitz else {}
                for rate in rates:
                    yield f"{model}_{family}", network, "", {**extra, "learning_rate": rate}
    for family in ("mnist", "cifar10"):
        for variant in VARIANTS:
            yield f"gan_{family}", "mlp", variant, {"learning_rate": 1e-3}
        yield f"wgan_{family}", "mlp", next(iter(VARIANTS)), {"lipschitz": "gp", "learning_rate": 5e-4}


def measure(notebook, network, variant, change, dataset, card, held_out) -> dict:
    """Trains one alternative and scores it on validation images."""
    from lib import models, training
    from lib.settings import check, parameters

    values = parameters(notebook) | {"network": network} | change
    settings = check(values | {"epochs": 1}, "benchmark")
    step = models.of(notebook).images_a_step(settings)
    steps = BUDGET[network][notebook]
    a_pass = len(dataset.x_train) // step
    if steps < a_pass:  # less than an epoch: fewer images, each still seen once
        dataset = replace(dataset, x_train=dataset.x_train[: steps * step])
        a_pass = steps
    settings = settings.model_copy(update={"epochs": max(1, round(steps / a_pass))})
    with ExitStack() as stack:
        if variant:
            stack.enter_context(mock.patch(*VARIANTS[variant]))
        model = models.build(settings, dataset.shape)
    start = time.perf_counter()
    training.train(model, dataset, settings)
    seconds = time.perf_counter() - start
    return {
        "notebook": notebook,
        "network": network,
        "variant": variant,
        **change,
        "generator_steps": settings.epochs * a_pass,
        "images_seen": settings.epochs * a_pass * step,
        **score(model, settings, card, held_out),
        "seconds": round(seconds),
    }


def score(model, settings, card, held_out) -> dict:
    """Scores generated images against the features of as many validation images."""
    from lib.scores import estimates

    images = card.images(model, card.count)
    features, _ = card.classifier(images)
    precision, recall = estimates.precision_recall(held_out, features)
    return {
        "frechet": round(estimates.frechet_distance(features, held_out), 2),
        "precision": round(precision, 3),
        "recall": round(recall, 3),
        "sharpness": round(estimates.sharpness(images) / float(card.real["sharpness"]), 2),
    }


def scored(name):
    """A dataset, its scorecard, and the features of the validation images that the score compares with."""
    from lib import data
    from lib.scores.card import Scorecard

    dataset = data.load(name)
    card = Scorecard(dataset)
    return dataset, card, card.classifier(dataset.x_validation[: card.count])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default="mnist")
    parser.add_argument("--cifar10", default="cifar10")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("defaults.jsonl"))
    parser.add_argument("--only", nargs="*", default=[], help="words that a case must have, such as gan_mnist mlp")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    found = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    if options.table:
        print(table(found))
        return
    cards = {}
    for notebook, network, variant, change in cases():
        case = {"notebook": notebook, "network": network, "variant": variant, **change}
        words = {notebook, *notebook.split("_"), network, "variant" * bool(variant), *map(str, change.values())}
        if not words.issuperset(options.only) or any(case.items() <= row.items() for row in found):
            continue
        name = options.mnist if notebook.endswith("mnist") else options.cifar10
        if name not in cards:
            cards[name] = scored(name)
        row = measure(notebook, network, variant, change, *cards[name])
        print(row, flush=True)
        with options.out.open("a") as file:
            file.write(json.dumps(row | {"dataset": cards[name][0].name}) + "\n")


def table(rows) -> str:
    """The rows as a Markdown table, the best of each notebook, network and budget in bold."""
    head = ("notebook", "network", "lipschitz", "learning_rate", "variant", "generator_steps", "frechet", *MORE)
    rows = sorted(rows, key=lambda row: (_group(row), row.get("lipschitz", ""), row["variant"], row["learning_rate"]))
    best = {_group(row): min(one["frechet"] for one in rows if _group(one) == _group(row)) for row in rows}
    lines = [head, ["---"] * len(head)]
    for row in rows:
        bold = "**" if row["frechet"] == best[_group(row)] else ""
        shown = row | {"frechet": f"{bold}{row['frechet']}{bold}", "learning_rate": f"{row['learning_rate']:g}"}
        lines.append([shown.get(name, "") for name in head])
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _group(row):
    return row["notebook"], row["network"], row["generator_steps"]


if __name__ == "__main__":
    main()
