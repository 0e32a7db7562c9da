"""Every fault that the project promises to survive, each injected for real: the table says which test does it.

What is left as near as can be: row 24 loses a worker of a Dask cluster on this one machine; rows 5 and 6 mount file
systems, and row 22 takes the network away, which need root (as on the CI machine).
"""

import ast
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
import synthetic
from conftest import command

from lib import runs
from lib.errors import UserError
from lib.notebooks import NOTEBOOK_DIR, ROOT
from lib.report import page as report
from lib.runs import locks, ownership, states
from lib.runs.ownership import RUN_FILES
from lib.study import kernel, plan

COMMAND = [sys.executable, "-m", "lib"]
TINY = "{epochs: 1, width: 8, latent_dim: 2, batch_size: 16, validation: 20}"
ROWS = {
    1: "test_faults.py::test_a_killed_runner_goes_on_and_ends_as_if_undisturbed",
    2: "test_faults.py::test_a_killed_kernel_and_a_time_limit_fail_their_runs_only",
    3: "test_engine.py::test_signals_leave_no_committed_run_and_no_kernel",
    4: "test_faults.py::test_a_killed_kernel_and_a_time_limit_fail_their_runs_only",
    5: "test_faults.py::test_a_full_disk",
    6: "test_faults.py::test_a_read_only_folder_is_found_before_anything_starts",
    7: "test_data.py::test_a_truncated_known_file_is_refused",
    8: "test_data.py::test_no_pickle_is_executed",
    9: "test_data.py::test_an_array_that_is_no_npy_is_refused",
    10: "test_engine.py::test_a_study_with_a_failing_run",
    11: "test_engine.py::test_bad_input_is_one_line_and_exit_2",
    12: "test_settings.py::test_bad_values_are_refused_in_one_line",
    13: "test_settings.py::test_a_name_with_code_in_it_is_refused",
    14: "test_plan.py::test_broken_studies_are_refused_in_one_line",
    15: "test_faults.py::test_hostile_text_is_inert_in_a_browser",
    16: "test_faults.py::test_two_commands_on_one_study_share_its_runs",
    17: "test_faults.py::test_a_kernel_of_another_environment_is_found_before_anything_starts",
    18: "test_faults.py::test_a_killed_runner_goes_on_and_ends_as_if_undisturbed",  # in an oddly named folder
    19: "test_runs.py::test_a_damaged_run_is_not_done_and_not_committed",
    20: "test_runs.py::test_state_names_what_changed",
    21: "test_report.py::test_strict_builds_and_then_complains",
    22: "test_faults.py::test_without_any_network",
    23: "test_faults.py::test_parallel_kernel_starts",
    24: "test_cluster.py::test_a_lost_worker_costs_no_run",
    25: "test_evaluation.py::test_load_gives_the_trained_networks_back_and_runs_no_code",
    26: "test_ownership.py::test_a_folder_of_somebody_elses_is_refused_and_left_as_it_is",
    27: "test_cells.py::test_another_width_without_the_cell_that_opens_the_run",
    28: "test_environments.py::test_a_study_in_an_odd_environment",
    29: "test_environments.py::test_the_command_from_a_folder_with_another_lib",
    30: "test_environments.py::test_a_long_temporary_folder",
    31: "test_own_data.py::test_odd_but_legal_data_get_numbers_or_a_reason",
    32: "test_runs.py::test_a_run_that_another_process_is_at_work_on_is_refused_until_it_ends",
}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system or unshares the network: needs root")


def test_every_row_has_its_test():
    assert sorted(ROWS) == list(range(1, 33))
    for file, _, name in (where.partition("::") for where in ROWS.values()):
        source = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
        assert name in [node.name for node in source.body if isinstance(node, ast.FunctionDef)], f"{file}::{name}"


def command_in(environment, *words, before=()):
    """A command line in a process with these variables too."""
    words, environment = [*before, *COMMAND, *map(str, words)], os.environ | environment
    return subprocess.run(words, capture_output=True, text=True, timeout=400, cwd=ROOT, env=environment)


def started(*words, environment=()):
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **dict(environment)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(condition, process=None, seconds=240):
    for _ in range(20 * seconds):  # looks, not the clock: the machine may have stood still
        if condition():
            return
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)
    pytest.fail("it did not come so far")


def until_said(words, process):
    """Reads what a process says until it has said this."""
    said = ""
    while words not in said:
        assert select.select([process.stdout], [], [], 120)[0], said
        more = os.read(process.stdout.fileno(), 4096).decode()
        assert more, said
        said += more


def at_work(folder):
    """The number of the process that is at work on a run, or None."""
    words = locks.at_work(folder).split()
    return int(words[1]) if words and words[0] == "process" else None


# ---- 1 and 18 ------------------------------------------------------------------------------------


def weights(folder):
    """Every array of a run's saved networks, by file and place."""
    import io
    import zipfile

    import h5py

    found = {}
    for path in sorted((folder / "model").glob("*.keras")):
        with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(
                lambda name, item, path=path: (
                    found.update({f"{path.name}/{name}": item[()]}) if isinstance(item, h5py.Dataset) else None
                )
            )
    return found


@pytest.mark.slow
def test_a_killed_runner_goes_on_and_ends_as_if_undisturbed(tmp_path, npz, study):
    path = study(
        f"""notebooks:
  gan_mnist:
    defaults: {{dataset: '{npz(name="a {b} ü.npz")}', width: 8, latent_dim: 2, batch_size: 16, validation: 20}}
    runs: [{{epochs: 30}}]"""
    )
    often = {"LATENT_REPORT_CHECKPOINT_SECONDS": "0"}
    whole, killed = tmp_path / "whole", tmp_path / ("long" * 40) / "a {b} ü"
    assert command("run", path, "--out", whole, "--no-report").returncode == 0
    (run,) = plan.read(str(path), out=str(killed)).runs
    partial = ownership.partial_of(run.folder)
    for at_least in (4, 12):
        process = started("run", path, "--out", killed, "--no-report", environment=often)
        until(lambda at_least=at_least: states.checkpoint_epoch(partial) >= at_least, process)
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()
        assert not psutil.wait_procs(family, timeout=15)[1], "no orphans"
        assert not run.folder.exists()
        assert "checkpoint after epoch" in command("status", path, "--out", killed).stdout
    assert command_in(often, "run", path, "--out", killed, "--no-report").returncode == 0
    first, second = (runs.read_result(folder / "runs" / run.name) for folder in (whole, killed))
    assert len(second["continued_after"]) == 2
    assert second["metrics"] == first["metrics"]
    assert second["steps"] == first["steps"]
    one, other = (weights(folder / "runs" / run.name) for folder in (whole, killed))
    assert len(one) > 10
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    for name in ("history.csv", "parameters.yaml"):
        assert (run.folder / name).read_text() == (whole / "runs" / run.name / name).read_text()
    kept = sorted(path.name for path in run.folder.iterdir())
    assert kept == sorted([*RUN_FILES, "model"]), "nothing else is left"


# ---- 2 and 4 -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_kernel_and_a_time_limit_fail_their_runs_only(tmp_path, npz, study):
    text = f"""notebooks:
  vae_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}}}]}}
  gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}, epochs: 100000, seed: [0, 1]}}]}}"""
    path, folder = study(text), tmp_path / "out"
    process = started("run", path, "--out", folder, "--no-report", "--workers", 3, "--time-limit", "60s")
    short, first, second = plan.read(str(path), out=str(folder)).runs
    until(lambda: states.progress(first.folder).get("epoch", 0) > 1, process)
    family = psutil.Process(process.pid).children(recursive=True)
    (victim,) = psutil.Process(at_work(first.folder)).children()
    victim.send_signal(signal.SIGKILL)
    out, error = process.communicate(timeout=200)
    assert process.returncode == 1, out + error
    rows = {row["run"]: row for row in json.loads(command("status", path, "--out", folder, "--json").stdout)}
    assert rows[short.name]["state"] == "done"
    assert rows[first.name]["state"] == rows[second.name]["state"] == "failed"
    assert "DeadKernelError" in rows[first.name]["why"]
    assert "TimeLimitError" in rows[second.name]["why"]
    assert "the limit is 60 s" in rows[second.name]["why"]
    assert not psutil.wait_procs(family, timeout=15)[1]


@pytest.mark.slow
def test_a_memory_limit_and_a_worker_killed_again_and_again_fail_their_run_only(tmp_path, npz, study):
    text = f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}, epochs: 100000}}]}}}}"
    path, folder = study(text), tmp_path / "out"
    done = command("run", path, "--out", folder, "--no-report", "--memory-limit", "0.2")
    assert done.returncode == 1
    assert "MemoryLimitError" in done.stderr
    assert "the limit is 0.20 GiB (--memory-limit)" in done.stderr
    (run,) = plan.read(str(path), out=str(folder)).runs
    assert not at_work(run.folder)
    process = started("run", path, "--out", folder, "--no-report", "--retries", 1)
    gone = set()
    for _ in range(2):
        until(lambda: at_work(run.folder) not in {None, *gone}, process)
        gone.add(victim := at_work(run.folder))
        os.kill(victim, signal.SIGKILL)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 1, out + error
    assert "its worker process died (signal 9); trying again" in out
    assert "its worker process died 2 times, last by signal 9; out of memory?" in error


# ---- 5 and 6 -------------------------------------------------------------------------------------


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts a tmpfs: mounted(size="4m") is its folder; mounted.remount_read_only(folder)."""
    folders = []

    def made(size="4m"):
        folders.append(folder := tmp_path / f"tmpfs{len(folders)}")
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        return folder

    made.read_only = lambda folder: subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    yield made
    for folder in folders:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    """Writes until the disk is full."""
    with (folder / "ballast").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(folder).free == 0


@needs_root
@pytest.mark.slow
def test_a_full_disk(mounted, npz, study, capsys):
    folder = mounted("3m")
    # a checkpoint: the last one is whole
    partial = folder / "one.partial"
    partial.mkdir()
    runs.write_checkpoint(partial, {"epoch": 1, "key": {}}, {"a": np.arange(1000)})
    with pytest.raises(UserError, match=r"checkpoint\.npz: cannot be written \(No space left on device\)"):
        runs.write_checkpoint(partial, {"epoch": 2, "key": {}}, {"a": np.zeros(10**6)})
    assert runs.read_checkpoint(partial, {})[0]["epoch"] == 1
    assert [path.name for path in partial.iterdir()] == [ownership.CHECKPOINT]
    shutil.rmtree(partial)
    # the report: the last one is whole
    path = study(f"notebooks: {{gan_mnist: {{defaults: {{dataset: {npz()}, batch_size: 16}}, runs: [{{}}]}}}}")
    ours = plan.read(str(path), out=str(folder))
    (folder / "index.html").write_text(was := '<meta content="Latent Report">as it was')
    fill(folder)
    with pytest.raises(UserError, match="No space left on device"):
        report.build(ours)
    assert (folder / "index.html").read_text() == was
    # a run, whose notebook and networks have no room
    (folder / "ballast").unlink()
    (folder / "ballast").write_bytes(bytes(2_700_000))
    done = command("run", path, "--out", folder, "--no-report", "-p", "epochs", 1)
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert (folder / "index.html").read_text() == was
    assert not [one for one in (folder / "runs").iterdir() if not one.name.endswith(".partial")]


@needs_root
def test_a_read_only_folder_is_found_before_anything_starts(mounted, npz, study):
    folder = mounted()
    mounted.read_only(folder)
    path = study(f"notebooks: {{gan_mnist: {{defaults: {{dataset: {npz()}, batch_size: 16}}, runs: [{{}}]}}}}")
    done = command("run", path, "--out", folder / "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"latent-report: {folder / 'out'}: cannot be written to (Read-only file system)")
    assert done.stderr.count("\n") == 1


# ---- 15 ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_hostile_text_is_inert_in_a_browser(tmp_path, npz, study, browser):
    import html

    import yaml

    hostile = "</title></figcaption><img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"
    data = npz(name="<img src=x onerror=pwned=1>.npz")
    figure = {"number": 1, "kind": "loss", "runs": [{"vae_mnist": {}}, {"gan_mnist": {}}], "caption": hostile}
    content = {
        "title": hostile,
        "author": hostile,
        "notebooks": {
            name: {"defaults": {"dataset": str(data), "batch_size": 16}, "runs": [{}]}
            for name in ("vae_mnist", "gan_mnist")
        },
        "figures": [figure],
    }
    ours = plan.read(str(study(yaml.safe_dump(content))), out=str(tmp_path / "out"))
    synthetic.write(ours.runs[0])
    states.fail(ours.runs[1].folder, hostile)
    page = report.build(ours)
    text = page.read_text(encoding="utf-8")
    assert html.escape("<script>window.pwned=1", quote=False) in text
    assert "Content-Security-Policy" in text
    (without := page.with_name("without.html")).write_text(
        text.replace("Content-Security-Policy", "X-Nothing"), encoding="utf-8"
    )
    for each in (page, without):  # with the page's policy and without one
        tab = browser.new_page()
        said = []
        tab.on("dialog", lambda dialog, said=said: said.append(dialog.message))
        tab.goto(each.as_uri())
        assert tab.evaluate("typeof window.pwned") == "undefined"
        assert tab.locator("img[onerror], script:has-text('pwned')").count() == 0
        assert hostile in tab.inner_text("body")
        tab.close()
        assert said == []


# ---- 16, 17, 22, 23 ------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_commands_on_one_study_share_its_runs(tmp_path, npz, study):
    text = f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}, seed: [0, 1, 2], epochs: 50}}]}}}}"
    path, folder = study(text), tmp_path / "out"
    first = started("run", path, "--out", folder, "--workers", 1)
    planned = plan.read(str(path), out=str(folder)).runs
    until(lambda: any(at_work(run.folder) for run in planned), first)
    second = started("run", path, "--out", folder, "--workers", 1)
    said = [one.communicate(timeout=400) for one in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), said
    lines = [line.partition("  ") for out, _ in said for line in out.splitlines() if line.startswith("[")]
    assert len(lines) == 6, said
    made = [words for _, _, words in lines if words.startswith("done in")]
    assert len(made) == 3, "none twice"
    assert [words for _, _, words in lines if words not in made] == ["done elsewhere"] * 3
    assert "is working on it; waiting for that" in said[1][0]
    assert command("status", path, "--out", folder).stdout.splitlines()[-1] == "3 runs: 3 done"
    assert sorted(one.name for one in (folder / "runs").iterdir()) == sorted(run.name for run in planned)


@pytest.mark.slow
def test_a_run_at_work_is_not_disturbed_and_is_taken_over_when_its_command_is_killed(tmp_path, npz, study):
    text = f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}, epochs: 100000}}]}}}}"
    path, folder = study(text), tmp_path / "out"
    often = {"LATENT_REPORT_CHECKPOINT_SECONDS": "0"}
    process = started("run", path, "--out", folder, "--no-report", environment=often)
    (run,) = plan.read(str(path), out=str(folder)).runs
    until(lambda: states.progress(run.folder).get("epoch", 0) > 1, process)
    plain = [sys.executable, "-m", "papermill", str(NOTEBOOK_DIR / "gan_mnist.ipynb"), os.devnull, "-p"]
    plain += ["dataset", str(npz()), "-p", "output_dir", str(run.folder), "-p", "batch_size", "16"]
    third = subprocess.run(plain, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert third.returncode != 0
    assert "is working on it" in third.stderr
    assert command("status", path, "--out", folder).stdout.count("running    process") == 1
    second = started("run", path, "--out", folder, "--no-report", environment=often)
    until_said("is working on it; waiting for that", second)
    before, victim = states.progress(run.folder)["epoch"], at_work(run.folder)
    until(lambda: states.progress(run.folder)["epoch"] > before, process)
    process.kill()
    process.communicate()
    until(lambda: at_work(run.folder) not in (None, victim), second)
    log = ownership.partial_of(run.folder) / "log.txt"
    until(lambda: log.exists() and "continuing after epoch" in log.read_text(), second)
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=30)
    assert second.returncode == 130
    assert sorted(one.name for one in (folder / "runs").iterdir()) == [f"{run.name}.partial"]


def test_a_kernel_of_another_environment_is_found_before_anything_starts(tmp_path, npz, study):
    home = tmp_path / "jupyter" / "kernels" / "python3"
    home.mkdir(parents=True)
    other = {"argv": ["/bin/sh", "-c", "exit 1"], "display_name": "x", "language": "python"}
    (home / "kernel.json").write_text(json.dumps(other))
    path = study(f"notebooks: {{gan_mnist: {{defaults: {{dataset: {npz()}, batch_size: 16}}, runs: [{{}}]}}}}")
    done = command_in({"JUPYTER_PATH": str(tmp_path / "jupyter")}, "run", path, "--out", tmp_path / "out")
    assert done.returncode == 2, done.stdout
    assert f"kernel python3 of {home} starts /bin/sh, not this environment's" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list((tmp_path / "out" / "runs").iterdir())


@needs_root
@pytest.mark.slow
def test_without_any_network(tmp_path, npz, study):
    path = study(f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}}}]}}}}")
    done = command_in({}, "run", path, "--out", tmp_path / "out", before=["unshare", "-n"])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_kernel_leaves_no_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cell = nbformat.v4.new_code_cell("import tempfile; open(name := tempfile.mkstemp()[1], 'w').write('x'); name")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), source := tmp_path / "tiny.ipynb")
    done = kernel.execute(source, None, {})
    made = Path(done.cells[-1].outputs[0]["data"]["text/plain"].strip("'"))
    assert (made.parent.parent, made.exists()) == (tmp_path, False)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.ipynb"]


@pytest.mark.slow
def test_parallel_kernel_starts(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    nbformat.write(notebook, source := tmp_path / "tiny.ipynb")
    code = "import sys; from pathlib import Path; from lib.study import kernel\n"
    code += "for n in range(8): kernel.execute(Path(sys.argv[1]), Path(sys.argv[2] + str(n)), {})"
    words = [sys.executable, "-c", code, str(source)]

    def start(number):
        return subprocess.run([*words, str(tmp_path / f"{number}-")], cwd=ROOT, capture_output=True, text=True)

    with ThreadPoolExecutor(8) as threads:
        for done in threads.map(start, range(8)):
            assert done.returncode == 0, done.stderr[-1000:]
    outputs = [nbformat.read(path, as_version=4).cells[-1].outputs for path in tmp_path.glob("[0-9]-*")]
    assert len(outputs) == 64
    assert all(output[0]["data"]["text/plain"] == "2" for output in outputs)


def test_a_missing_kernel_is_found(monkeypatch):
    monkeypatch.setattr(kernel, "KERNEL", "python3-that-is-not-there")
    with pytest.raises(UserError, match="no kernel python3-that-is-not-there"):
        kernel.check()
