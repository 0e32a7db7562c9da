"""The worker process, which forks each run's process and its kernel, and what such a kernel has and has not."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import nbformat
import psutil
import pytest

from lib.notebooks import NOTEBOOK_DIR, ROOT
from lib.study import job, kernel, plan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks only where that is safe")


@pytest.fixture
def order(tmp_path, npz, study):
    """An order that a kernel must work on, and that fails soon: its run's data are gone."""
    text = f"notebooks: {{gan_mnist: {{defaults: {{dataset: {npz()}, batch_size: 16}}, runs: [{{}}]}}}}"
    (run,) = plan.read(str(study(text)), out=str(tmp_path / "out")).runs
    run.folder.parent.mkdir(parents=True)
    (tmp_path / "tiny.npz").unlink()
    yield job.Order("execute", run, 1, 300.0, 0)
    while job._IDLE:
        job._end(job._IDLE.pop()[0])


def watched(order, at_work=lambda processes: None):
    """What has become of an order, and the last that was seen of the worker, the run's process and its kernel."""
    seen = []

    def wanted():
        with suppress(psutil.NoSuchProcess):  # some have just ended
            for worker in psutil.Process().children():
                processes = [worker, *worker.children(recursive=True)]
                if len(processes) == 3 and all(one.cmdline()[1:] == ["-m", "lib.study.job"] for one in processes):
                    seen[:] = processes
                    at_work(processes)
        return True

    return job.watch(order, wanted), *seen


def test_a_worker_forks_a_process_and_a_kernel_for_each_run(order, monkeypatch):
    first, worker, process, kernel = watched(order)
    assert first.kind == "failed"
    assert "tiny.npz" in first.words
    second, same_worker, another_process, another_kernel = watched(order)
    assert second[:2] == first[:2]
    assert worker == same_worker
    assert len({process, kernel, another_process, another_kernel}) == 4
    assert not psutil.wait_procs([process, kernel, another_process, another_kernel], timeout=5)[1]

    # a run's process that is killed costs the worker nothing
    lost, same_worker, *_ = watched(order, lambda processes: processes[1].kill())
    assert lost[:2] == ("lost", "signal 9")
    assert worker == same_worker
    assert worker.is_running()

    # a worker that is killed is replaced
    lost, same_worker, process, kernel = watched(order, lambda processes: processes[0].kill())
    assert lost[:2] == ("lost", "signal 9")
    assert worker == same_worker
    assert not psutil.wait_procs([worker, process, kernel], timeout=5)[1]
    again, other_worker, *_ = watched(order)
    assert again[:2] == first[:2]
    assert other_worker != worker

    # so is one that has other code, or another environment
    file = ROOT / "lib" / "errors.py"
    before = file.stat()
    try:
        os.utime(file)
        again, third_worker, *_ = watched(order)
    finally:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert again[:2] == first[:2]
    assert third_worker != other_worker
    assert not other_worker.is_running()
    monkeypatch.setenv("LATENT_REPORT_DATA", str(order.run.folder.parent))
    *_, fourth_worker = watched(order)[:2]
    assert fourth_worker not in (other_worker, third_worker)
    assert not psutil.wait_procs([fourth_worker], timeout=job.IDLE_SECONDS + 5)[1], "it ends when it gets no order"


def test_the_kernel_of_a_users_own_notebook_is_started(order, tmp_path):
    shutil.copy(NOTEBOOK_DIR / "gan_mnist.ipynb", own := tmp_path / "mine.ipynb")
    settings = order.run.settings.model_copy(update={"notebook": str(own)})
    seen = []

    def wanted():
        for one in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                seen.append(" ".join(one.cmdline()))
        return True

    outcome = job.watch(order._replace(run=replace(order.run, settings=settings)), wanted)
    assert outcome.kind == "failed"
    assert "tiny.npz" in outcome.words
    assert any("ipykernel_launcher" in words for words in seen)
    assert not job._IDLE, "the worker has carried out the order itself, and has ended"


def test_an_idle_worker_ends_with_its_starter(order):
    code = f"""
from pathlib import Path
from lib.settings import check
from lib.study import job, plan
settings = check({order.run.settings.model_dump()!r}, "x")
run = plan.PlannedRun({order.run.name!r}, Path({str(order.run.folder)!r}), settings)
print(job.watch(job.Order("execute", run, 1, 300.0, 0), lambda: True).kind, flush=True)
input()"""
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, **pipes)
    assert starter.stdout.readline() == "failed\n"
    (worker,) = psutil.Process(starter.pid).children()
    assert worker.is_running()
    starter.kill()
    starter.wait()
    assert not psutil.wait_procs([worker], timeout=5)[1]


CELL = """
import json, os, random, signal, sys, tempfile, numpy as np
found = {
    "environment": {name: value for name, value in os.environ.items() if name != "TMPDIR"},
    "arguments": [word for word in sys.argv[1:] if not word.endswith(".json")],
    "path": sys.path,
    "modules": [name for name in sys.modules if name.partition(".")[0] == "lib"],
    "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
    "session": os.getsid(0) == os.getpgid(0) == os.getpid(),
    "inherited": [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")
                  and os.readlink(f"/proc/self/fd/{name}") == KEPT],
    "folder": os.getcwd(),
    "scratch": tempfile.gettempdir() == os.environ["TMPDIR"],
    "parent": os.environ["JPY_PARENT_PID"] == str(os.getppid()),
    "backend": __import__("matplotlib").get_backend(),
    "random": [random.random(), np.random.random()],
}
print(json.dumps(found))
"""
CODE = """
import json, os, sys, threading
from pathlib import Path
import nbformat
from lib.study import job, kernel
source, kept = sys.argv[1:]
holds = open(kept, "a")
sys.path[0] = str(kernel.ROOT)  # as of `python -m`
assert job._can_fork("execute", "gan_mnist")
forked = [kernel.Ahead(), kernel.Ahead()]
def work():
    for ahead in (None, *forked):
        done = kernel.execute(Path(source), None, {"KEPT": kept}, ahead)
        print("".join(output["text"] for output in done.cells[-1].outputs if output.get("name") == "stdout"), end="")
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_a_forked_kernel_is_as_fresh_as_one_that_is_started(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, source := tmp_path / "tiny.ipynb")
    words = [sys.executable, "-c", CODE, source, tmp_path / "held"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    started, first, second = map(json.loads, done.stdout.splitlines())
    assert len({*started.pop("random"), *first.pop("random"), *second.pop("random")}) == 6
    assert started == first == second
    assert started["session"]
    assert started["parent"]
    assert started["scratch"]
    assert started["folder"] == str(tmp_path)
    assert not started["modules"]
    assert not started["inherited"]


def test_a_notebook_is_not_written_for_every_cell_but_whole_at_the_end(tmp_path, monkeypatch):
    from papermill import PapermillExecutionError, engines

    whole, written = engines.write_ipynb, []
    monkeypatch.setattr(engines, "write_ipynb", lambda *words: written.append(whole(*words)))
    cells = [nbformat.v4.new_code_cell(words) for words in ("1", "2", "3", "1 / 0", "5")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), source := tmp_path / "a.ipynb")
    monkeypatch.setattr(kernel, "SAVE_SECONDS", 3600.0)
    with pytest.raises(PapermillExecutionError):
        kernel.execute(source, output := tmp_path / "out.ipynb", {})
    assert len(written) == 2, "when it begins and when it ends"
    kept = [cell for cell in nbformat.read(output, as_version=4).cells if cell.source in ("1", "2", "3", "1 / 0")]
    assert [cell.outputs[0].get("ename", "a number") for cell in kept] == ["a number"] * 3 + ["ZeroDivisionError"]
    written.clear()
    monkeypatch.setattr(kernel, "SAVE_SECONDS", 0.0)
    with pytest.raises(PapermillExecutionError):
        kernel.execute(source, output, {})
    assert len(written) == 2 + 2 * 4, "before and after each cell that ran, too"
