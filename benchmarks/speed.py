"""Does training on MNIST's images go faster than on CIFAR-10's? The evidence of claim 13.

    python benchmarks/speed.py          writes lib/report/speed.json, which reports read

The three models with Dense layers, at the settings that both datasets share, on random images of each shape: what a
step costs does not depend on what an image shows. Both shapes take turns, in CPU seconds of one thread. The first turn
compiles and does not count. The machine should do nothing else, although these are CPU seconds: on a busy one, the
VAE's five turns lay 17 % apart, on an idle one 5 %.
"""

import importlib.metadata
import json
import math
import os
import platform
import time
from pathlib import Path
from statistics import median

os.environ["OMP_NUM_THREADS"] = "1"
RESULT = Path(__file__).resolve().parent.parent / "lib" / "report" / "speed.json"
SHAPES = {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}
CASES = (("vae", 20, 512), ("gan", 100, 256), ("wgan", 100, 128))  # model, latent dimension, width
TURNS, SECONDS = 5, 3.0


def prepared(kind: str, family: str, latent_dim: int, width: int):
    """A function that trains for some CPU seconds and returns images per second, and the settings."""
    import numpy as np

    from lib import models
    from lib.backend import tf
    from lib.settings import check, parameters

    settings = check(parameters(f"{kind}_{family}") | {"latent_dim": latent_dim, "width": width}, "benchmark")
    model = models.build(settings, SHAPES[family])
    model.prepare()
    model.make_train_function()
    size = model.images_a_step(settings)
    block = np.random.default_rng(0).integers(0, 256, (16, size, *SHAPES[family]), np.uint8)
    block = tf.constant(block)

    def turn(seconds: float) -> float:
        start, steps = time.process_time(), 0
        while (spent := time.process_time() - start) < seconds or not steps:
            model.train_function(iter([block]))
            steps += len(block)
        return steps * size / spent

    return turn, settings


def compared(rows: list[dict]) -> list[tuple[str, ...]]:
    """(model, images per second on MNIST and on CIFAR-10, million values per second on each): medians of the turns."""
    found = []
    for kind, *_ in CASES:
        every = {family: [row for row in rows if row["notebook"] == f"{kind}_{family}"] for family in SHAPES}
        speeds = {family: median(row["images_per_second"] for row in each) for family, each in every.items()}
        values = [speed * math.prod(SHAPES[family]) / 1e6 for family, speed in speeds.items()]
        found.append((kind.upper(), *(f"{each:,.0f}" for each in speeds.values()), *(f"{each:.1f}" for each in values)))
    return found


def main() -> None:
    from lib.backend import tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = []
    for kind, latent_dim, width in CASES:
        both = {family: prepared(kind, family, latent_dim, width) for family in SHAPES}
        for number in range(TURNS + 1):
            for turn, settings in both.values():
                speed = turn(SECONDS)
                if number:
                    values = settings.model_dump(include={"notebook", "latent_dim", "width", "network", "batch_size"})
                    rows.append(values | {"turn": number, "images_per_second": round(speed, 1)})
                    print(rows[-1], flush=True)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next(line for line in lines if line.startswith("model name")).split(":")[1].strip()
    versions = {"python": platform.python_version(), "tensorflow": importlib.metadata.version("tensorflow")}
    about = {"processor": processor, **versions, "threads": 1, "clock": "CPU seconds of the process"}
    RESULT.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    for row in compared(rows):
        print(*row)


if __name__ == "__main__":
    main()
