"""Runs on a Dask cluster of which each part is a process of its own, started as by hand."""

import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from types import SimpleNamespace

import psutil
import pytest
from conftest import command
from test_faults import TINY, started, until

from lib.__main__ import main
from lib.notebooks import ROOT
from lib.runs import states
from lib.study import plan

pytestmark = pytest.mark.slow
START = "import sys; from distributed.cli.{0} import main; sys.argv[0] = '{0}'; main()"


def dask(part, *words):
    return subprocess.Popen(
        [sys.executable, "-c", START.format(f"dask_{part}"), *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def ended(process):
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


@pytest.fixture(scope="module")
def scheduler():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    deadline = time.time() + 60
    while time.time() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    yield f"tcp://127.0.0.1:{port}"
    ended(process)


@pytest.fixture
def workers(scheduler):
    """Two workers of one thread each, without nannies: what is killed stays away."""
    both = [dask("worker", scheduler, "--nthreads", 1, "--no-nanny", "--no-dashboard") for _ in range(2)]
    from distributed import Client

    with Client(scheduler, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=300)
    yield both
    for one in both:
        if one.poll() is None:
            ended(one)


@pytest.mark.filterwarnings("ignore")
def test_a_lost_worker_costs_no_run(scheduler, workers, tmp_path, npz, study):
    text = f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}, epochs: 60, seed: [0, 1, 2]}}]}}}}"
    path, folder = study(text), tmp_path / "out"
    often = {"LATENT_REPORT_CHECKPOINT_SECONDS": "0"}
    process = started("run", path, "--out", folder, "--no-report", "--scheduler", scheduler, environment=often)
    planned = plan.read(str(path), out=str(folder)).runs
    until(lambda: sum(states.progress(run.folder).get("epoch", 0) > 1 for run in planned) == 2, process)
    family = psutil.Process(workers[0].pid).children(recursive=True)
    assert len(family) >= 2, "a worker process and its kernel"
    workers[0].kill()
    workers[0].wait()
    assert not psutil.wait_procs(family, timeout=15)[1], "no orphans"
    out, error = process.communicate(timeout=400)
    assert process.returncode == 0, out + error
    assert "with 2 workers of" in out
    assert command("status", path, "--out", folder).stdout.splitlines()[-1] == "3 runs: 3 done"
    assert "3 runs, 3 done, 0 to do" in command("run", path, "--out", folder, "--no-report").stdout


@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_study_leaves_nothing_at_work_on_the_cluster(scheduler, workers, tmp_path, npz, study):
    text = f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}, epochs: 100000, seed: [0, 1]}}]}}}}"
    path, folder = study(text), tmp_path / "out"
    process = started("run", path, "--out", folder, "--no-report", "--scheduler", scheduler)
    planned = plan.read(str(path), out=str(folder)).runs
    until(lambda: all(states.progress(run.folder).get("epoch", 0) > 1 for run in planned), process)
    family = [child for one in workers for child in psutil.Process(one.pid).children(recursive=True)]
    process.kill()  # nothing is said to the cluster
    process.communicate()
    assert not psutil.wait_procs(family, timeout=20)[1]
    assert all(one.poll() is None for one in workers)


@pytest.mark.filterwarnings("ignore")
def test_what_is_wrong_with_a_cluster_is_said_before_anything_starts(scheduler, tmp_path, npz, study, capsys):
    path = study(f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}}}]}}}}")
    words = ["run", str(path), "--out", str(tmp_path / "out"), "--scheduler"]
    assert main([*words, scheduler]) == 2
    assert "has no workers: start some with `dask worker" in capsys.readouterr().err
    assert main([*words, "nonsense"]) == 2
    assert "expected tcp://HOST:PORT" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_workers_that_do_not_share_the_folder_are_refused(scheduler, workers, tmp_path, npz, study, monkeypatch):
    from lib.errors import UserError
    from lib.study import cluster

    path = study(f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}}}]}}}}")
    ours = plan.read(str(path), out=str(tmp_path))
    nowhere = nullcontext(SimpleNamespace(lock_file=str(tmp_path / "nowhere")))  # as where the folder is another disk's
    monkeypatch.setattr(cluster, "_lock", lambda folder: nowhere)
    with (
        pytest.raises(UserError, match=r"does not see .*; a file system that all share is needed"),
        cluster.connected(scheduler, ours),
    ):
        pytest.fail("it was accepted")
