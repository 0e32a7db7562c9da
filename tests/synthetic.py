"""Finished run folders with made-up contents, written without training and without TensorFlow."""

import json

import nbformat
import numpy as np
import yaml

from lib import data, runs
from lib.study import plan

NETWORKS = {"vae": ("encoder", "decoder"), "gan": ("generator", "discriminator"), "wgan": ("generator", "critic")}
COLUMNS = {
    "vae": ("loss", "reconstruction", "kl"),
    "gan": ("d_loss", "g_loss", "jsd"),
    "wgan": ("critic_loss", "g_loss", "emd"),
}
SAMPLES = 100


def finish(study: plan.Study, leave_out=()) -> None:
    """Writes the folder of every run of a study, as its notebook would, but for those left out."""
    for run in study.runs:
        if run.name not in leave_out:
            write(run)


def write(run: plan.PlannedRun, canonical: bool = False, **metrics) -> None:
    """Writes one run's folder; `metrics` replace or join the made-up ones."""
    settings, rng = run.settings, np.random.default_rng(len(run.name) + run.settings.seed)
    _, shape = data.header(settings.dataset)
    (run.folder / "model").mkdir(parents=True)
    layers = {name: layer_rows(shape, settings.width) for name in NETWORKS[settings.model]}
    for name in layers:
        (run.folder / "model" / f"{name}.keras").touch()
    plain = settings.model_dump(exclude={"output_dir"})
    (run.folder / "parameters.yaml").write_text(yaml.safe_dump(plain))
    (run.folder / "log.txt").write_text("epoch 1/1\n")
    (run.folder / "history.csv").write_text(runs.history_csv(history(settings.model, rng)))
    np.savez_compressed(run.folder / "samples.npz", **samples(settings, shape, rng))
    nbformat.write(executed(settings.notebook), run.folder / "notebook.ipynb")
    facts = result(run, shape, layers, rng, canonical, metrics)
    (run.folder / "result.json").write_text(json.dumps(facts))


def result(run, shape, layers, rng, canonical, metrics) -> dict:
    settings = run.settings
    key = runs.training_key(settings, data.fingerprint(settings.dataset))
    numbers = scores(settings, rng) | metrics
    marks = {"real": 1.0, "blurred": 6.0, "noisy": 4.0, "mean_image": 60.0, "untrained": 90.0}
    references = {"frechet_pixels": marks, "sharpness": {"real": 1.0, "blurred": 0.1, "noisy": 9.0}}
    if settings.model == "vae":
        references["test_loss"] = {"mean_image": 210.0, "pixel_entropy": 60.0}
    return {
        "run": run.name,
        "notebook": settings.notebook,
        "keys": {"training": key, "evaluation": runs.evaluation_key()},
        "settings": settings.model_dump(exclude={"output_dir"}),
        "dataset": {
            "name": settings.dataset,
            "sha256": "0123456789abcdef" * 4,
            "canonical": canonical,
            "counts": {"train": 1294, "validation": 143, "test": 360},
            "shape": list(shape),
        },
        "layers": layers,
        "parameters": {name: sum(row["parameters"] for row in rows) for name, rows in layers.items()},
        "seconds": {"start": 1.5, "build": 0.5, "fit": 12.0, "evaluation": 2.0},
        "steps": {"generator": 100, "critic": 500},
        "images_per_second": 5400.0,
        "peak_rss_mib": 900.0,
        "metrics": numbers,
        "references": references,
        "samples_n": dict.fromkeys(numbers, 5000 if canonical else 360),
        "finished": "2026-01-01T00:00:00+0000",
        "machine": "Linux x86_64, 2 cores, Python 3.11",
        "versions": runs.versions(),
    }


def scores(settings, rng) -> dict[str, float]:
    """Made-up metrics; the VAE's loss falls with latent_dim, as in earnest."""
    shared = {"sharpness": float(rng.uniform(0.2, 0.9)), "frechet_pixels": float(rng.uniform(3, 30))}
    if settings.model == "vae":
        kl = 3.0 * settings.latent_dim**0.5
        reconstruction = 200.0 - 5 * settings.latent_dim
        loss = {"test_loss": reconstruction + kl, "test_reconstruction": reconstruction, "test_kl": kl}
        return loss | {"active_units": settings.latent_dim} | shared
    name = "jsd" if settings.model == "gan" else "emd"
    return {f"{name}_{part}": float(rng.uniform(0.1, 0.6)) for part in ("train", "validation", "test")} | shared


def history(model: str, rng, epochs: int = 12) -> dict[str, list[float]]:
    falling = 150 + 60 / np.arange(1, epochs + 1) if model == "vae" else rng.uniform(0.1, 0.6, epochs)
    columns = {name: (falling * (0.05 if name == "kl" else 1)).tolist() for name in COLUMNS[model]}
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
    if settings.model == "vae":
        labels = (np.arange(200) % 10).astype(np.uint8)
        angle = 2 * np.pi * labels / 10
        points = rng.normal(np.stack([np.cos(angle), np.sin(angle)], axis=1) * 3, 0.5).astype(np.float32)
        kept |= {"originals": drawn[:10], "reconstructions": drawn[10:20], "latent_map": points, "labels": labels}
    if settings.model == "vae" and settings.latent_dim == 2:
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
    found = nbformat.read(runs.NOTEBOOK_DIR / f"{notebook}.ipynb", as_version=4)
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
