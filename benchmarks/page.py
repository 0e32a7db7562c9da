"""Draws docs/benchmarks.md and its charts from results/*.json.

python benchmarks/page.py
"""

import json
import statistics

import matplotlib.pyplot as plt
from speed import RESULT, compared
from training import BATCH, RESULTS, images_a_step

from lib.notebooks import ROOT

DOCS = ROOT / "docs"
CHARTS = DOCS / "benchmarks"
MNIST_TRAIN = 55_000  # images of an epoch
LABELS = {
    "ours": "Latent Report",
    "ours_xla": "Latent Report, XLA",
    "keras_fit": "Keras fit(), defaults",
    "torch_loader": "PyTorch, DataLoader",
    "torch_lean": "PyTorch, lean",
    "jax_scan": "JAX, scan",
}
ORDER = ("mnist", "cifar10", "mlp", "conv", "vae", "gan", "wgan")
COLOURS = dict(zip(LABELS, ("#0072b2", "#56b4e9", "#e69f00", "#cc79a7", "#d55e00", "#009e73"), strict=True))


def speeds(entry: dict) -> dict[str, float]:
    """Median images per second, by contestant."""
    found = entry["results"].items()
    return {name: each["images_per_second"] for name, each in found if "images_per_second" in each}


def spread(entry: dict, name: str) -> tuple[float, float]:
    """Least and most images per second."""
    each = entry["results"][name]
    images = each["steps"] * images_a_step(entry["case"])
    return images / max(each["seconds"]), images / min(each["seconds"])


def share_of_peak(entry: dict) -> float:
    steps = speeds(entry)["ours"] / images_a_step(entry["case"])
    return steps * entry["gflop_a_step"] / entry["results"]["matrix_product"]["gflops"]


def like(entry: dict) -> dict[str, str]:
    return {name: entry["case"][name] for name in ("model", "network", "dataset")}


def ratios(entries: list[dict], entry: dict) -> dict[str, float]:
    """Our speed as a multiple of each other contestant's, by its name, measured in turns."""
    found = {}
    for one in (entry, *(of(entries, "fit", **like(entry)) if entry["part"] == "models" else ())):
        each = speeds(one)
        found |= {name: each["ours"] / value for name, value in each.items() if name != "ours"}
    return found


def title(case: dict) -> str:
    return f"{case['model'].upper()} {case['network']}, {case['dataset']}"


def of(entries: list[dict], part: str, **wanted) -> list[dict]:
    """The cases of a part: MNIST before CIFAR-10, mlp before conv, whenever they were measured."""
    found = [e for e in entries if e["part"] == part and all(e["case"][k] == v for k, v in wanted.items())]
    return sorted(found, key=lambda e: [ORDER.index(e["case"][name]) for name in ("dataset", "network", "model")])


# ---- charts --------------------------------------------------------------------------------------


def save(figure, name: str) -> None:
    CHARTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(CHARTS / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def draw_models(entries: list[dict]) -> None:
    figure, axes = plt.subplots(4, 3, figsize=(10, 8), layout="constrained")
    for axis, entry in zip(axes.flat, of(entries, "models"), strict=False):
        measured = dict.fromkeys(speeds(entry), entry)
        measured |= dict.fromkeys(("keras_fit",), of(entries, "fit", **like(entry))[0])
        found = {name: speeds(measured[name])[name] for name in LABELS if name in measured}
        for row, name in enumerate(found):
            axis.barh(row, found[name], color=COLOURS[name])
            least, most = spread(measured[name], name)
            axis.plot((least, most), [row, row], color="black", linewidth=1)
            axis.text(most, row, f" {found[name]:,.0f}", va="center", fontsize=8)
        axis.set_yticks(range(len(found)), [LABELS[name] for name in found], fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(0, max(found.values()) * 1.3)
        axis.set_title(title(entry["case"]), fontsize=9, loc="left")
        axis.set_xticks([])
        axis.spines[:].set_visible(False)
    figure.suptitle("Training images per second; bar: median, line: least to most", fontsize=10)
    save(figure, "models")


def draw_curves(entries: list[dict]) -> None:
    figure, (width, batch, memory) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for size, colour in zip((64, 128, 1024), ("#56b4e9", "#0072b2", "#000000"), strict=True):
        rows = of(entries, "width", batch=size)
        seconds = [MNIST_TRAIN / speeds(row)["ours"] for row in rows]
        width.loglog([row["case"]["width"] for row in rows], seconds, "o-", color=colour, label=f"batch {size}")
    width.set(xlabel="width", ylabel="seconds per epoch (55,000 images)", title="VAE mlp, mnist: cost of the width")
    width.legend(frameon=False)
    rows = sorted(of(entries, "batch") + of(entries, "models", **KEY), key=lambda row: row["case"]["batch"])
    for name in ("ours", "torch_lean", "jax_scan"):
        batch.plot(
            [row["case"]["batch"] for row in rows],
            [speeds(row)[name] / 1000 for row in rows],
            "o-",
            color=COLOURS[name],
            label=LABELS[name],
        )
    batch.set(xlabel="batch size", ylabel="1,000 images per second", title="VAE mlp, mnist: batch size", ylim=0)
    batch.set_xscale("log", base=2)
    batch.legend(frameon=False)
    for dataset, colour in (("mnist", "#0072b2"), ("cifar10", "#d55e00")):
        rows = of(entries, "memory", dataset=dataset)
        counts = [row["case"]["steps"] * BATCH / 1000 for row in rows]
        memory.plot(counts, [row["results"]["ours"]["peak_mib"] for row in rows], "o-", color=colour, label=dataset)
    memory.set(xlabel="1,000 training images", ylabel="peak MiB", title="VAE mlp: memory of the process", ylim=0)
    memory.legend(frameon=False)
    for axis in (width, batch, memory):
        axis.title.set_fontsize(10)
        axis.spines[["top", "right"]].set_visible(False)
    save(figure, "curves")


# ---- the page ------------------------------------------------------------------------------------

KEY = {"model": "vae", "network": "mlp", "dataset": "mnist"}


def targets(entries: list[dict], studies: dict | None) -> list[tuple[str, str, str]]:
    """(what, target, reached)"""
    key = of(entries, "models", **KEY)[0]
    found = ratios(entries, key)
    rows = [
        (f"VAE mlp, mnist: images per second, against {LABELS[name]}", f"{target} ×", f"{found[name]:.2f} ×")
        for name, target in (("keras_fit", 2.0), ("torch_loader", 2.5), ("torch_lean", 1.1), ("jax_scan", 1.1))
    ]
    rows.append(("VAE mlp, mnist: share of the matrix-product peak", "(60 %)", f"{share_of_peak(key):.0%}"))
    for model in ("gan", "wgan"):
        for entry in of(entries, "models", model=model):
            what = f"{title(entry['case'])}: against {LABELS['torch_lean']}"
            rows.append((what, "1.2 ×", f"{ratios(entries, entry)['torch_lean']:.2f} ×"))
    for dataset, most in (("mnist", 1.2), ("cifar10", 1.5)):
        for entry in of(entries, "memory", dataset=dataset, steps=50_000 // BATCH):
            peak = entry["results"]["ours"]["peak_mib"] / 1024
            rows.append((f"VAE mlp, {dataset}, 50,000 images: peak memory", f"{most} GiB", f"{peak:.2f} GiB"))
    if studies:
        seconds = {name: statistics.median(values) for name, values in studies["seconds"].items()}
        ratio = seconds["papermill loop"] / seconds["2 workers"]
        rows.append(("six runs, 2 workers, against the papermill loop", "1.4 ×", f"{ratio:.2f} ×"))
        rows.append(("a study in which nothing changed", "3 s", f"{seconds['unchanged']:.1f} s"))
        rows.append(("`--help`", "0.5 s", f"{seconds['--help']:.2f} s"))
    return rows


def table(head: tuple, rows: list[tuple]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def read(name: str) -> dict | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def model_rows(entries: list[dict], part: str) -> list[tuple]:
    rows = []
    for entry in of(entries, part):
        found = ratios(entries, entry)
        cells = [f"{found[name]:.2f}" if name in found else "" for name in list(LABELS)[2:]]
        peak = f"{share_of_peak(entry):.0%}" if "matrix_product" in entry["results"] else ""
        rows.append((title(entry["case"]), f"{speeds(entry)['ours']:,}", *cells, peak))
    return rows


def xla_rows(entries: list[dict]) -> list[tuple]:
    rows = []
    for entry in entries:
        without, with_xla = (speeds(entry)[name] for name in ("ours", "ours_xla"))
        ratio = f"{with_xla / without:.2f}"
        rows.append((title(entry["case"]), entry["case"]["threads"], f"{without:,}", f"{with_xla:,}", ratio))
    return rows


def start_rows(entry: dict) -> list[tuple]:
    found = ((name, each) for name, each in entry["results"].items() if name in LABELS)
    return [(LABELS[n], e["import_seconds"], e["first_step_seconds"], f"{e['peak_mib']:,}") for n, e in found]


MADE = """Made by `make bench` (`benchmarks/`). The networks, the batch size and the optimizer are the same
everywhere, in float32. All contestants of a case are started beforehand, each as a process, and take turns: one turn
each to warm up, then five that count; the numbers are medians. Machine: {cpu}, {cores} cores, {memory_gib} GiB,
{system}; Python {python}, Keras {keras}, TensorFlow {tensorflow}, PyTorch {torch}, JAX {jax}. No number here says
anything about GPUs: no GPU was measured."""
SPEED = """Images per second of this project (batch size {batch}, {cores} threads; for a WGAN, the images that its
critic sees), and that speed as a multiple of each other contestant's. The last column is the speed of the arithmetic
that a step cannot do without (matrix products and convolutions, forward and backward), as a share of the speed at
which NumPy multiplies two large matrices, measured in the same turns."""
BY_DATASET = """The evidence of claim 13: both datasets take turns in one process on one thread, at the settings that
they share, in CPU seconds and on a machine that did nothing else. The numbers are medians of five turns,
after one to warm up. Machine: {processor}. An image of CIFAR-10 has 3.9 times as many values
(pixels times colours) as one of MNIST. So MNIST is faster by images. By values, the VAE is about as fast on both, and
GAN and WGAN are faster on CIFAR-10."""
REMARKS = """Keras' `fit()` takes turns with this project only, and TensorFlow has its default settings. On this CPU,
which has AVX-512, TensorFlow turns oneDNN on by default. On others, this project turns it on: without it, conv steps
took 1.8 to 1.9 times as long. At the end of an epoch, `fit()` waits for TensorFlow's autotuning thread to wake up,
sometimes briefly and sometimes long; this project avoids the wait (`lib/backend.py`). PyTorch's
tutorial loop turns each image into a tensor separately. On this CPU, JAX takes ten to sixty times as long for
convolutions inside a compiled loop."""
MISSED = """TensorFlow's profiler shows where the time goes in a step of the mlp VAE on two threads (4.7 ms in all):
five large matrix products take 3.0 ms, which would be 2.5 ms at the measured peak. Adam takes about 0.8 ms, at the
speed of memory. Softplus, its gradient and the sums take about 0.6 ms; softplus alone is 0.33 ms on one thread. The
following was tried and not adopted: XLA for the whole step (3 to 12 % faster with two threads, but 9 % slower with
one, and studies run with one), XLA for the loss alone (9 % slower), gathering whole blocks of minibatches (no
effect), one thread between operations (9 % slower) or four (1 % faster), turning oneDNN off (8 % slower), bytes
instead of floats for dropout (8 % faster for the mlp GAN, but it needs our own code in place of Keras' layer), and one
call of the discriminator or critic for real and generated images together (from 2 % slower to 2 % faster, in CPU
seconds on one thread)."""
SINCE = """These numbers were measured before the import was made shorter: now garbage collection is paused during it,
and scikit-learn is imported only when it is needed (`lib/backend.py`). On another machine (Intel Xeon, one thread,
other work beside it), imports took 3.3 s before and 2.2 s after, and the first step was done after 4.2 s and 3.0 s."""


def main() -> None:
    training, studies, scale, speed = read("training"), read("studies"), read("scale"), json.loads(RESULT.read_bytes())
    entries, machine = training["cases"], training["machine"]
    draw_models(entries)
    draw_curves(entries)
    names = [LABELS[name] for name in list(LABELS)[2:]]
    text = [
        "# Benchmarks",
        MADE.format(**machine),
        "## Targets",
        table(("what", "target", "reached"), targets(entries, studies)),
        "## Training speed",
        SPEED.format(batch=BATCH, cores=machine["cores"]),
        table(("", "images/s", *[f"× {name}" for name in names], "of peak"), model_rows(entries, "models")),
        "![Training images per second](benchmarks/models.svg)",
        "With one thread, as in a study with one worker per core:",
        table(("", "images/s", *[f"× {name}" for name in names], "of peak"), model_rows(entries, "threads")),
        REMARKS,
        "## MNIST and CIFAR-10",
        BY_DATASET.format(**speed["machine"]),
        table(
            ("", "images/s, MNIST", "CIFAR-10", "million values/s, MNIST", "CIFAR-10"),
            compared(speed["rows"]),
        ),
        "## Missed targets",
        MISSED,
        "## XLA",
        "`jit_compile` is off by default. Images per second without it and with it:",
        table(
            ("", "threads", "without", "with XLA", "ratio"), xla_rows([*of(entries, "xla"), *of(entries, "threads")])
        ),
        "## Start and memory",
        "VAE mlp on images of MNIST's shape, one process each: seconds from the start until the imports and until the "
        "first step were done, and peak memory.",
        table(("", "imports, s", "first step, s", "peak, MiB"), start_rows(of(entries, "models", **KEY)[0])),
        SINCE,
        "## Cost curves",
        "![Cost of width, batch size and number of images](benchmarks/curves.svg)",
    ]
    if studies:
        seconds = {name: statistics.median(values) for name, values in studies["seconds"].items()}
        rows = [(name, f"{value:.1f}", studies["seconds"][name]) for name, value in seconds.items()]
        text += [
            "## Studies",
            f"Six runs of {studies['epochs']} epochs on digits and shapes, one per notebook, with evaluation. Then the "
            "same study when nothing has changed.",
            table(("", "seconds (median)", "each"), rows),
        ]
    if scale:
        rows = [
            tuple(row.get(key, "") for key in ("runs", "command", "seconds", "cpu_seconds", "peak_mib"))
            for row in scale["rows"]
        ]
        text += [
            "## Many runs",
            "The runs are made up: a script writes their records, and nothing is trained (`benchmarks/scale.py`).",
            table(("runs", "command", "seconds", "CPU seconds", "peak MiB"), rows),
        ]
    (DOCS / "benchmarks.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")
    print(DOCS / "benchmarks.md")


if __name__ == "__main__":
    main()
