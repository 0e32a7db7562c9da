"""Times a study of six short runs, one per notebook, with 1 and 2 workers, and a shell loop over plain papermill.

    python benchmarks/studies.py [--repeats 3] [--epochs 6]      writes results/studies.json

The three take turns, each in a new folder. What is made once per dataset (classifiers, references) is made beforehand.
Then it times `run` when nothing has changed, and `--help`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from training import RESULTS, machine

ROOT = RESULTS.parent.parent
STUDY = """title: Six short runs
datasets: {{mnist: digits, cifar10: shapes}}
defaults: {{epochs: {epochs}}}
notebooks:
  vae_mnist: {{runs: [{{}}]}}
  vae_cifar10: {{runs: [{{}}]}}
  gan_mnist: {{runs: [{{}}]}}
  gan_cifar10: {{runs: [{{}}]}}
  wgan_mnist: {{runs: [{{}}]}}
  wgan_cifar10: {{runs: [{{}}]}}
"""
OURS = [sys.executable, "-m", "lib"]


def timed(command: list[str]) -> float:
    """Seconds of a command that must succeed; papermill is found beside this Python."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    return round(time.perf_counter() - start, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    found = {name: [] for name in ("papermill loop", "1 worker", "2 workers", "unchanged", "--help")}
    with tempfile.TemporaryDirectory() as scratch:
        study = Path(scratch) / "six.yaml"
        study.write_text(STUDY.format(epochs=options.epochs))
        run = [*OURS, "run", str(study), "--no-report", "--out"]
        timed([*run, f"{scratch}/before", "--workers", "2"])
        for number in range(options.repeats):
            lines = f"{scratch}/lines{number}"
            timed([*OURS, "export", str(study), lines, "--out", f"{scratch}/loop{number}"])
            found["papermill loop"].append(timed(["sh", f"{lines}/run.sh"]))
            for workers, name in ((1, "1 worker"), (2, "2 workers")):
                out = f"{scratch}/{workers}-{number}"
                found[name].append(timed([*run, out, "--workers", str(workers)]))
            print({name: seconds[-1:] for name, seconds in found.items() if seconds}, flush=True)
        timed([*run[:-2], "--out", f"{scratch}/before"])  # with its report
        for _ in range(5):
            found["unchanged"].append(timed([*run[:-2], "--out", f"{scratch}/before"]))
            found["--help"].append(timed([*OURS, "--help"]))
    RESULTS.mkdir(exist_ok=True)
    result = {"machine": machine(), "epochs": options.epochs, "seconds": found}
    (RESULTS / "studies.json").write_text(json.dumps(result, indent=1) + "\n")
    print(found)


if __name__ == "__main__":
    main()
