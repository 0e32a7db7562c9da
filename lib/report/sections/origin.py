"""The origin of it all: commit, versions, machines, data, dates, time; and how to repeat any run."""

import shlex
import subprocess
import time
from pathlib import Path

from lib import runs
from lib.notebooks import ROOT, find
from lib.report.pieces import parts, piece
from lib.report.records import Record, Records
from lib.report.words import listed
from lib.runs import keys
from lib.settings import parameters

VERSIONS = ("Python", *keys.PACKAGES)


@piece
def provenance(records: Records) -> str:
    """Where the page and its numbers come from."""
    results = [one.result for one in records.done]
    dates = sorted(result["finished"] for result in results if "finished" in result)
    used = [{"Python": result.get("python", "–")} | result["versions"] for result in results]
    versions = [f"{name} {listed(sorted({one[name] for one in used if name in one}))}" for name in VERSIONS]
    spent = sum(sum(result["seconds"].values()) for result in results)
    digests = sorted({f"{one.data} {one.result['dataset']['sha256']}" for one in records.done})
    facts = {
        "commit": commit(),
        "versions": ", ".join(versions) if used else "–",
        "machines": listed(result.get("machine", "unknown") for result in results) or "–",
        "digests": "; ".join(digests) or "–",
        "finished": f"{dates[0]} to {dates[-1]}" if dates else "–",
        "spent": runs.duration(spent),
        "built": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    return parts().provenance(facts, [{"name": one.name, "command": again(one)} for one in records.runs])


@piece
def self_test(records: Records) -> str:
    """A link to the estimators' self-test, which `page.build` puts beside the runs' notebooks."""
    link = '<a href="notebooks/estimators.html">self-test of the estimators</a>'
    return f"<p>The {link} checks each of them against exactly known answers and against damage of known size.</p>"


def commit() -> str:
    """The repository's commit, and whether there are uncommitted changes."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout

    try:
        name = git("rev-parse", "--short=12", "HEAD").strip()
        changed = git("status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.CalledProcessError):
        return "version unknown: no git repository"
    return f"commit {name}" + " with uncommitted changes" * bool(changed)


def again(one: Record) -> str:
    """The papermill command that repeats a run; it names every setting that is not the notebook's default."""
    source, defaults = find(one.settings.notebook), parameters(one.settings.notebook)
    place = source.relative_to(ROOT) if source.is_relative_to(ROOT) else source
    dataset = one.result["dataset"]["name"] if one.result else Path(one.settings.dataset).name  # without its folder
    asked = one.settings.model_dump(exclude={"output_dir"}) | {"dataset": dataset}
    words = ["papermill", str(place), f"{one.name}.ipynb"]
    for name, value in asked.items():
        if value != defaults.get(name):
            words += ["-p", name, str(value)]
    return shlex.join([*words, "-p", "output_dir", f"again/{one.name}"])
