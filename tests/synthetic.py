"""Finished run folders with made-up contents, written without training and without TensorFlow."""

import dataclasses
import json

import nbformat
import numpy as np
import yaml

from lib import data, models, runs
from lib.runs import keys
from lib.settings import find
from lib.study import plan

NETWORKS = {"vae": ("encoder", "decoder"), "gan": ("generator", "discriminator"), "wgan": ("generator", "critic")}
SAMPLES = 100
CLASSES = (
    "frechet",
    "precision",
    "recall",
    "class_kl",
    "confidence",
)  # what the classifier, and labels, are needed for
MARKS = {  # by metric: real, blurred, noisy, class_removed, mean_image, untrained
    "sharpness": (1.0, 0.1, 9.0, 1.0, 0.0, 20.0),
    "frechet": (0.6, 14.0, 21.0, 9.0, 210.0, 180.0),
    "frechet_pixels": (1.0, 6.0, 4.0, 2.0, 60.0, 90.0),
    "precision": (0.91, 0.4, 0.2, 0.92, 0.0, 0.0),
    "recall": (0.92, 0.5, 0.3, 0.81, 0.0, 0.0),
    "ndb": (5, 61, 48, 13, 99, 98),
    "ndb_js": (0.004, 0.12, 0.09, 0.016, 0.61, 0.58),
    "class_kl": (0.001, 0.02, 0.03, 0.11, 2.2, 1.6),
    "confidence": (0.991, 0.94, 0.88, 0.99, 0.41, 0.52),
}


def model_of(settings) -> str:
    """vae, gan or wgan, or which of these an own notebook's model is made from."""
    return next(name for name, ours in models.OURS.items() if issubclass(models.of(settings.notebook), ours))


def finish(study: plan.Study, leave_out=()) -> None:
    """Writes the folder of every run of a study, as its notebook would, but for those left out."""
    for run in study.runs:
        if run.name not in leave_out:
            write(run)


def write(run: plan.PlannedRun, canonical: bool = False, labels: bool = True, reencoded: str = "", **metrics) -> None:
    """Writes one run's folder; `metrics` replace or join the made-up ones, which are fewer without `labels`."""
    settings, rng = run.settings, np.random.default_rng(len(run.name) + run.settings.seed)
    _, shape = data.header(settings.dataset)
    (run.folder / "model").mkdir(parents=True)
    layers = {name: layer_rows(shape, settings.width) for name in NETWORKS[model_of(settings)]}
    for name in layers:
        (run.folder / "model" / f"{name}.keras").touch()
    plain = settings.model_dump(exclude={"output_dir"})
    (run.folder / "parameters.yaml").write_text(yaml.safe_dump(plain))
    (run.folder / "log.txt").write_text("epoch 1/1\n")
    (run.folder / "history.csv").write_text(runs.history_csv(history(settings, rng)))
    np.savez_compressed(run.folder / "samples.npz", **samples(settings, shape, rng))
    nbformat.write(executed(settings.notebook), run.folder / "notebook.ipynb")
    facts = result(run, shape, layers, rng, canonical or bool(reencoded), labels, metrics)
    if reencoded:
        facts["dataset"] |= {"canonical": False, "reencoded": reencoded}
    (run.folder / "result.json").write_text(json.dumps(facts))


def result(run, shape, layers, rng, canonical, labels, metrics) -> dict:
    settings = run.settings
    key = keys.training_key(settings, data.fingerprint(settings.dataset))
    numbers = scores(settings, rng, labels) | metrics
    return {
        "run": run.name,
        "notebook": settings.notebook,
        "keys": {"training": key, "evaluation": keys.evaluation_key(settings)},
        "settings": settings.model_dump(exclude={"output_dir"}),
        "dataset": {
            "name": settings.dataset,
            "sha256": "0123456789abcdef" * 4,
            "canonical": canonical,
            "counts": {"train": 1294, "validation": 143, "test": 360},
            "shape": list(shape),
        },
        "layers": layers,
        "model": dataclasses.asdict(models.describe(settings)),
        "parameters": {name: sum(row["parameters"] for row in rows) for name, rows in layers.items()},
        "seconds": {"start": 1.5, "build": 0.5, "fit": 12.0, "evaluation": 2.0},
        "steps": steps(settings),
        "images_seen": 64_700,
        "images_per_second": float(rng.uniform(5000, 5400)),
        "continued_after": [],
        "peak_rss_mib": 900.0,
        "metrics": numbers,
        "references": references(settings, numbers),
        "samples_n": {name: images(name, canonical) for name in numbers},
        "scorecard": {
            "classifier_accuracy": 0.992 if labels else None,
            "classifier_test_n": 10_000 if canonical else 360,
            "bins": 100,
            "n": 4000 if canonical else 143,
        },
        "finished": "2026-01-01T00:00:00+0000",
        "machine": "Linux x86_64, 2 cores, Python 3.11",
        "versions": keys.versions(),
    }


def scores(settings, rng, labels: bool = True) -> dict[str, float]:
    """Made-up metrics; the VAE's loss falls with latent_dim, and its bounds with k, as in earnest."""
    card = {
        "sharpness": rng.uniform(0.2, 0.9),
        "frechet" if labels else "frechet_pixels": rng.uniform(3, 30),
        "precision": rng.uniform(0.3, 0.8),
        "recall": rng.uniform(0.2, 0.7),
        "ndb": int(rng.integers(20, 70)),
        "ndb_js": rng.uniform(0.02, 0.2),
        "class_kl": rng.uniform(0.01, 0.2),
        "confidence": rng.uniform(0.8, 0.97),
    }
    shared = {name: float(value) for name, value in card.items() if labels or name not in CLASSES}
    return {"vae": vae_scores, "gan": gan_scores, "wgan": wgan_scores}[model_of(settings)](settings, rng) | shared


def vae_scores(settings, rng) -> dict[str, float]:
    kl = 3.0 * settings.latent_dim**0.5
    reconstruction = 200.0 - 5 * settings.latent_dim - settings.width / 100 + float(rng.uniform(0, 1))
    loss = {"test_loss": reconstruction + kl, "test_reconstruction": reconstruction, "test_kl": kl}
    bounds = {f"nll_{k}": reconstruction + kl - i for i, k in enumerate((1, 5, 50))}
    return loss | {"active_units": settings.latent_dim} | bounds


def gan_scores(settings, rng) -> dict[str, float]:
    return {f"jsd_{part}": float(rng.uniform(0.1, 0.6)) for part in ("train", "validation", "test", "fresh")}


def wgan_scores(settings, rng) -> dict[str, float]:
    numbers = {f"emd_{part}": float(rng.uniform(0.1, 0.6)) for part in ("train", "validation", "test")}
    numbers["w1"] = float(rng.uniform(5.5, 7))
    return numbers | {"w1_bound": numbers["emd_test"] / 4, "w1_bound_loose": numbers["emd_test"] / 300}


def references(settings, numbers) -> dict[str, dict[str, float]]:
    """What the same estimators give on real, damaged and untrained images."""
    names = ("real", "blurred", "noisy", "class_removed", "mean_image", "untrained")
    found = {metric: dict(zip(names, marks, strict=True)) for metric, marks in MARKS.items() if metric in numbers}
    own = {
        "vae": {"test_loss": {"mean_image": 210.0, "pixel_entropy": 60.0}},
        "gan": {"jsd_fresh": {"real": 0.002}},
        "wgan": {"w1": {"real": 5.55, "blurred": 5.4}},
    }
    return found | own[model_of(settings)]


def images(metric: str, canonical: bool) -> int:
    """How many images are behind a number."""
    few = 2000 if metric.startswith("w1") else 1000 if metric.startswith("nll") else 4000
    return few if canonical else 143


def steps(settings) -> dict[str, int]:
    judge = {"gan": {"discriminator": 100}, "wgan": {"critic": 500}}
    return {"vae": 1010} if model_of(settings) == "vae" else {"generator": 100, **judge[model_of(settings)]}


def history(settings, rng, epochs: int = 12) -> dict[str, list[float]]:
    model = model_of(settings)
    falling = rng.uniform(145, 155) + 60 / np.arange(1, epochs + 1) if model == "vae" else rng.uniform(0.1, 0.6, epochs)
    columns = {name: (falling * (0.05 if name == "kl" else 1)).tolist() for name in models.describe(settings).columns}
    return columns | {f"val_{name}": [value * 1.01 for value in values] for name, values in columns.items()}


def blobs(count: int, shape, rng) -> np.ndarray:
    """Soft spots, uint8 [count, H, W, C]: something to look at, and small in a file."""
    height, width, channels = shape
    y, x = np.mgrid[:height, :width] / height
    centres = rng.uniform(0.25, 0.75, (count, 2, 1, 1))
    spots = np.exp(-((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2) / 0.02)
    return (255 * spots[..., None] * rng.uniform(0.5, 1, (count, 1, 1, channels))).astype(np.uint8)


def samples(settings, shape, rng) -> dict[str, np.ndarray]:
    drawn = blobs(SAMPLES, shape, rng)
    grids = np.stack([drawn[:36] // 3, drawn[:36] // 2, drawn[:36]])
    kept = {"grid_epochs": np.array([1, 4, 12]), "grids": grids, "samples": drawn}
    if model_of(settings) == "vae":
        labels = (np.arange(200) % 10).astype(np.uint8)
        angle = 2 * np.pi * labels / 10
        points = rng.normal(np.stack([np.cos(angle), np.sin(angle)], axis=1) * 3, 0.5).astype(np.float32)
        kept |= {"originals": drawn[:10], "reconstructions": drawn[10:20], "latent_map": points, "labels": labels}
    if model_of(settings) == "vae" and settings.latent_dim == 2:
        kept |= {"plane": blobs(121, shape, rng), "plane_ticks": np.linspace(-2, 2, 11).astype(np.float32)}
    return kept


def layer_rows(shape, width: int) -> list[dict]:
    pixels = int(np.prod(shape))
    return [
        {"layer": "images", "kind": "InputLayer", "output": " × ".join(map(str, shape)), "parameters": 0},
        {"layer": "hidden_1", "kind": "Dense", "output": str(width), "parameters": (pixels + 1) * width},
    ]


def executed(notebook: str) -> nbformat.NotebookNode:
    """A model's notebook as papermill leaves it, with one output of each kind that a page must render."""
    found = nbformat.read(find(notebook), as_version=4)
    found.metadata["papermill"] = {"end_time": "2026-01-01T00:00:00"}
    found.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    cells = [cell for cell in found.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, 1):
        cell.execution_count = number
    put = nbformat.v4.new_output
    cells[-1].outputs = [
        put("stream", name="stdout", text="epoch 1/2 <script>alert(1)</script>\n"),
        put("stream", name="stdout", text="epoch 2/2\n"),
        put("display_data", {"text/html": "<table><tr><td>7</td></tr></table><script>alert(2)</script>"}),
        put("display_data", {"image/png": PIXEL}, metadata={"image/png": {"alt": "one <pixel>"}}),
        put("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "slider"}),
    ]
    return found


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
