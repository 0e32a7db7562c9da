"""Whether a study's report is up to date, so that `run` need not build it again. Reads no more than it must."""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lib import files
from lib.notebooks import NOTEBOOK_DIR, ROOT
from lib.runs import keys
from lib.runs.ownership import ERROR, partial_of
from lib.study.plan import Study

SHOWN = ("result.json", "notebook.ipynb", "history.csv", "samples.npz")
NOTED = ".report.json"  # in the study's folder


def key(study: Study, evidence: Iterable[Study]) -> dict:
    """What a report depends on: the study, its runs' files, and the code and template that make it."""
    sources = sorted(path for path in (ROOT / "lib").rglob("*") if path.is_file() and path.suffix != ".pyc")
    sources += [NOTEBOOK_DIR / f"{name}.ipynb" for name in ("report", "estimators")]
    digest = hashlib.sha256(repr((study.title, study.about, study.runs, study.figures)).encode())
    for path in sources:
        digest.update(path.read_bytes())
    return {
        "made_of": digest.hexdigest(),
        "runs": [[_stamp(run.folder / name) for name in SHOWN] for run in study.runs],
        "evidence": [[_stamp(run.folder / "result.json") for run in other.runs] for other in evidence],
        "failed": [_stamp(partial_of(run.folder) / ERROR) for run in study.runs],
        "versions": keys.versions(),
    }


def built(study: Study) -> dict | None:
    """The key of the present report; None if there is none, or if it was changed after it was built."""
    try:
        noted = json.loads((study.folder / NOTED).read_bytes())
        return noted["key"] if noted["page"] == _stamp(study.folder / "index.html") else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(study: Study, key: dict) -> None:
    """Notes that the present page was built from this key."""
    content = {"page": _stamp(study.folder / "index.html"), "key": key}
    with suppress(OSError):  # then it is built once more
        files.write_aside(study.folder / NOTED, json.dumps(content))


def _stamp(path: Path) -> list[int]:
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_mtime_ns, found.st_size]
