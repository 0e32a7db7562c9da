"""What a report needs beside its runs, made while these are: their pages, their decoders, and the self-test.

Whatever is lacking in the end, the report makes itself, and says what fails.
"""

import os
import subprocess
import sys
from contextlib import contextmanager, suppress

from lib import files
from lib.notebooks import ROOT
from lib.report import decoders, execution
from lib.study import job
from lib.study.plan import PlannedRun, Study


@contextmanager
def report(study: Study, wanted: bool = True):
    """Yields what is to be called with each run as soon as it is done.

    The self-test has what others leave of the processors. If it is not done when the block ends, it goes on, and
    whoever builds the report waits for it. The decoders are done by then. An error in the block ends all.
    """
    if not wanted:
        yield lambda run: None
        return
    making = _Making(study)
    try:
        yield making.of
        making.finish()
    except BaseException:
        for process in making.processes:
            if process.poll() is None:  # else its number may be another's by now
                job.end_tree(process.pid)
        raise


class _Making:
    def __init__(self, study: Study):
        self.folder, self.first = study.folder / "notebooks", True
        leading = {run.settings.model_copy(update={"seed": 0, "output_dir": ""}): run for run in reversed(study.runs)}
        self.decoded = [run for run in study.runs if run in leading.values()][: decoders.DECODED]
        self.decoder = None
        self.processes = [process for process in [execution.self_testing()] if process]

    def of(self, run: PlannedRun) -> None:
        """Makes the page of a run that is done, and has its decoder made."""
        with suppress(Exception):
            self.show(run)
        if run in self.decoded:
            self.decode(run)

    def show(self, run: PlannedRun) -> None:
        from lib.report import page  # takes a second

        files.write_all([(path := self.folder / f"{run.name}.html", page.of_run(run))])
        if self.first:
            print(f"the first images: {path}", flush=True)
        self.first = False

    def decode(self, run: PlannedRun) -> None:
        if not self.decoder:
            quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            environment = os.environ | dict.fromkeys(job.THREADS, "1")
            words = [sys.executable, "-m", decoders.__name__]
            self.decoder = subprocess.Popen(words, cwd=ROOT, env=environment, start_new_session=True, **quiet)
            self.processes.append(self.decoder)
        with suppress(OSError):
            self.decoder.stdin.write(os.fsencode(f"{run.folder}\n"))
            self.decoder.stdin.flush()

    def finish(self) -> None:
        """Waits for the decoders."""
        if self.decoder:
            with suppress(OSError):
                self.decoder.stdin.close()
            self.decoder.wait()
