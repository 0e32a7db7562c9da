"""How fast the models train, compared with the same models in Keras' fit, PyTorch and JAX.

    python benchmarks/training.py [--only PART]... [--repeats 5]

All contestants of a case are processes that are ready at the same time. They take turns, so that a machine whose speed
drifts affects all of them alike. Each turn is a number of training steps. Finished cases are kept in
results/training.json: delete it to measure again. `make bench` installs the other libraries and calls this.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SCRIPTS = {
    "ours": "keras_models",
    "ours_xla": "keras_models",
    "keras_fit": "keras_models",
    "torch_loader": "pytorch",
    "torch_lean": "pytorch",
    "jax_scan": "jax_scan",
    "matrix_product": "matrix_product",
}
PEERS = ("torch_loader", "torch_lean", "jax_scan", "matrix_product")
STEPS = {"vae": 192, "gan": 96, "wgan": 20}  # per turn; each step of a WGAN has five minibatches
WIDTH = {"vae": 512, "gan": 256, "wgan": 128}  # the notebooks' defaults
BATCH = 128


def cases():
    """(part, case, contestants), in the order in which they are measured."""
    for dataset in ("mnist", "cifar10"):
        for network in ("mlp", "conv"):
            for model in STEPS:
                yield "models", case(model, network, dataset), ("ours", *PEERS)
                yield "fit", case(model, network, dataset), ("ours", "keras_fit")
    for model in STEPS:
        yield "threads", case(model, threads=1), ("ours", "ours_xla", "torch_lean", "jax_scan", "matrix_product")
        yield "xla", case(model), ("ours", "ours_xla")
    for batch in (64, 256, 512, 1024):
        yield "batch", case(batch=batch, steps=192 * BATCH // batch), ("ours", "torch_lean", "jax_scan")
    for width in (64, 256, 1024, 4096):
        for batch in (64, 128, 1024):
            yield "width", case(width=width, batch=batch, steps=max(8, 96 * BATCH // batch * 256 // width)), ("ours",)
    for dataset in ("mnist", "cifar10"):
        for count in (25_000, 50_000, 100_000, 200_000):
            yield "memory", case(dataset=dataset, steps=count // BATCH), ("ours",)


def case(model="vae", network="mlp", dataset="mnist", batch=BATCH, threads=None, width=None, steps=None) -> dict:
    return {
        "model": model,
        "network": network,
        "dataset": dataset,
        "batch": batch,
        "threads": threads or len(os.sched_getaffinity(0)),
        "width": width or WIDTH[model],
        "latent_dim": 2 if model == "vae" else 100,
        "steps": steps or STEPS[model] // (1 if network == "mlp" else 4),
    }


def gflop(case: dict) -> float:
    """The multiplications and additions that one training step cannot do without, in 10^9.

    A layer with n multiply-adds per image costs 2n forward, 2n for the gradient of its weights and 2n for that of its
    input, which a network's first layer does not need. Elementwise work and the optimizer are not counted. A gradient
    penalty goes forward through the network, back to the pixels, and back again through both.
    """
    side, channels = (28, 1) if case["dataset"] == "mnist" else (32, 3)
    pixels, small, width, z = side * side * channels, (side // 4) ** 2, case["width"], case["latent_dim"]
    half = (side // 2) ** 2

    def down(first, second):  # 4x4 kernels at stride 2
        return [16 * channels * first * half, 16 * first * second * small]

    def up(units, first, second):  # each input pixel meets the whole kernel
        return [units * first * small, 16 * first * second * small, 16 * second * channels * half]

    conv = case["network"] == "conv"
    if case["model"] == "vae":
        encoder = [*down(32, 64), 64 * small * width] if conv else [pixels * width]
        decoder = [z * width, *(up(width, 64, 32) if conv else [width * pixels])]
        layers = [*encoder, 2 * width * z, *decoder]
        return 2 * case["batch"] * (3 * sum(layers) - layers[0]) / 1e9
    judge = [*down(64, 128), 128 * small] if conv else [pixels * 512, 512 * 512, 512]
    generator = [z * width, *(up(width, 128, 64) if conv else [width * 512, 512 * pixels])]
    d, g, d_first, g_first = sum(judge), sum(generator), judge[0], generator[0]
    update = 2 * (3 * d - d_first)  # of the judge, on real and on generated images
    backward = 2 * d + 2 * g - g_first  # the judge forward and back to the pixels, the generator back to its weights
    if case["model"] == "gan":
        return 2 * case["batch"] * (g + update + backward) / 1e9
    return 2 * case["batch"] * (5 * (g + update + 4 * d) + g + backward) / 1e9


def images_a_step(case: dict) -> int:
    return case["batch"] * (5 if case["model"] == "wgan" else 1)


class Contestant:
    """A process of contestants/, ready when made."""

    def __init__(self, name: str, case: dict):
        self.case = {**case, "contestant": "ours" if name == "ours_xla" else name, "jit_compile": name == "ours_xla"}
        if name == "jax_scan" and case["network"] == "conv":  # ten times slower than the others
            self.case["steps"] = max(1, case["steps"] // 12)
        if name == "matrix_product":
            self.case["steps"] = 30
        command = [sys.executable, str(HERE / "contestants" / f"{SCRIPTS[name]}.py"), json.dumps(self.case)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.ready = self._reply()
        self.seconds: list[float] = []

    def turn(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        reply = self._reply()
        self.seconds.append(reply["seconds"])
        self.peak_mib = reply["peak_mib"]

    def _reply(self) -> dict:
        if line := self.process.stdout.readline():
            return json.loads(line)
        raise SystemExit(f"{self.case}: ended: {self.process.communicate()[1][-2000:]}")

    def result(self) -> dict:
        """Medians, and the spread as [least, most]."""
        self.process.stdin.close()
        self.process.wait()
        steps = self.case["steps"]
        found = {
            "seconds": [round(seconds, 4) for seconds in self.seconds],
            "steps": steps,
            "import_seconds": round(self.ready["import_seconds"], 2),
            "first_step_seconds": round(self.ready["ready_seconds"] - statistics.median(self.seconds), 2),
            "peak_mib": round(self.peak_mib),
        }
        if self.case["contestant"] == "matrix_product":
            return {**found, "gflops": round(2 * 1536**3 * steps / min(self.seconds) / 1e9, 1)}
        return {**found, "images_per_second": round(steps * images_a_step(self.case) / statistics.median(self.seconds))}


def measure(case: dict, names: tuple[str, ...], repeats: int) -> dict:
    contestants = {name: Contestant(name, case) for name in names}
    for _ in range(repeats):
        for contestant in contestants.values():
            contestant.turn()
    return {name: contestant.result() for name, contestant in contestants.items()}


def machine() -> dict:
    """What the numbers were measured on and with."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    packages = ("keras", "tensorflow", "torch", "jax", "numpy")
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="a part: models, fit, threads, xla, batch, width or memory")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "training.json"
    found = json.loads(path.read_text()) if path.exists() else {"machine": machine(), "cases": []}
    done = [(each["part"], each["case"]) for each in found["cases"]]
    for part, asked, names in cases():
        if (part, asked) in done or (options.only and part not in options.only):
            continue
        results = measure(asked, names, 1 if part == "memory" else options.repeats)
        found["cases"].append({"part": part, "case": asked, "gflop_a_step": round(gflop(asked), 4), "results": results})
        aside = path.with_suffix(".aside")
        aside.write_text(json.dumps(found, indent=1) + "\n")
        aside.replace(path)
        speeds = ", ".join(
            f"{name} {each.get('images_per_second') or each['gflops']:,}" for name, each in results.items()
        )
        print(f"{part} {' '.join(map(str, asked.values()))}: {speeds}", flush=True)


if __name__ == "__main__":
    main()
