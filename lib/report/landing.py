"""What the list of studies says about each of them, and the page that lists them."""

import json
import time
from contextlib import suppress
from pathlib import Path

import nbformat

from lib import files, runs
from lib.errors import UserError
from lib.report import claims, html
from lib.report.pieces import parts
from lib.report.records import Records
from lib.report.sections.opening import thumbnail
from lib.report.words import finished, listed
from lib.runs import ownership


def summary(found: Records) -> dict:
    """What the list of studies says about one of them."""
    return {
        "title": found.study.title,
        "runs": len(found.runs),
        "done": len(found.done),
        "data": listed(one.data for one in found.done) or "no data yet",
        "trained": runs.duration(sum(one.result["seconds"].get("fit", 0) for one in found.done)),
        "built": time.strftime("%Y-%m-%d"),
        "tally": claims.tally(found.verdicts) if found.of_write_up else "",
        "strip": [thumbnail(done, 120) for group in found.by_notebook.values() if (done := finished(group))],
    }


def landing(page: Path) -> str:
    """The page that lists all studies with a report in the folders beside it, the latest first.

    Raises:
        UserError: a file that no study wrote would be replaced by it.
    """
    if not files.is_ours(page, ownership.STUDY_FILES[page.name]):
        raise UserError(f"{page}: was not written by a study and would be lost: move it away")
    studies = []
    for path in sorted(page.parent.glob("*/summary.json"), key=lambda path: path.stat().st_mtime, reverse=True):
        with suppress(OSError, ValueError):
            if (path.parent / page.name).is_file():
                studies.append(json.loads(path.read_bytes()) | {"href": f"{path.parent.name}/{page.name}"})
    shown = f'<div class="report">{parts().landing(studies)}</div>'
    output = nbformat.v4.new_output("display_data", {"text/html": shown})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])])
    return html.render(notebook, "Studies", code=False)
