"""How status, an unchanged `run`, results.csv and the report grow with the number of recorded runs; trains nothing.

    python benchmarks/scale.py [COUNT ...]      writes benchmarks/results/scale.json

tests/synthetic.py makes the runs up, with files of the same kinds and about the same sizes as real runs have.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import synthetic  # noqa: E402

from lib import files  # noqa: E402
from lib.runs import keys  # noqa: E402
from lib.study import plan  # noqa: E402

COMMANDS = {"status": ["status"], "report": ["report"], "unchanged run": ["run"]}  # in this order
STUDY = """title: {count} recorded runs
notebooks:
  vae_mnist: {{defaults: {{dataset: digits}}, runs: [{{latent_dim: [2, 10], seed: [{seeds}]}}]}}
  gan_mnist: {{defaults: {{dataset: digits}}, runs: [{{latent_dim: [2, 10], seed: [{seeds}]}}]}}
figures:
  - {{number: 1, kind: loss, runs: [{{vae_mnist: {{latent_dim: 2}}}}, {{vae_mnist: {{latent_dim: 10}}}}]}}
"""


def measured(words: list[str]) -> dict:
    """Seconds and peak MiB of a command and its kernels."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = "import resource, sys; from lib.__main__ import main; status = main(sys.argv[1:]); "
    code += "print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))"
    code += "; sys.exit(status)"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout[-500:] + done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = int(done.stdout.splitlines()[-1]) / 1024
    return {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "peak_mib": round(peak, 1)}


def main() -> None:
    rows = []
    for count in [int(word) for word in sys.argv[1:]] or [22, 200, 1000]:
        with tempfile.TemporaryDirectory() as folder:
            seeds = ", ".join(map(str, range(count // 4)))
            (path := Path(folder) / "recorded.yaml").write_text(STUDY.format(count=count, seeds=seeds))
            study = plan.read(str(path), out=f"{folder}/out")
            synthetic.finish(study)
            for name, words in COMMANDS.items():
                row = {"runs": len(study.runs), "command": name}
                row |= measured([*words, str(path), "--out", f"{folder}/out"])
                print(row, flush=True)
                rows.append(row)
            table = Path(folder) / "out" / "results.csv"
            page = Path(folder) / "out" / "index.html"
            rows[-2] |= {
                "csv_rows": table.read_text().count("\n") - 1,
                "page_mib": round(page.stat().st_size / 2**20, 1),
            }
    result = {"measured": time.strftime("%Y-%m-%d"), "versions": keys.versions(), "rows": rows}
    files.write_aside(ROOT / "benchmarks" / "results" / "scale.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
