"""The command line and its workers: what runs, what is skipped, what fails, and what signals leave behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
import synthetic
from conftest import command

from lib.__main__ import main
from lib.notebooks import ROOT
from lib.runs import states
from lib.study import engine, plan, progress

COMMAND = [sys.executable, "-m", "lib"]
TINY = "{epochs: 1, width: 8, latent_dim: 2, batch_size: 16, validation: 20}"


def test_one_run_of_each_dataset_goes_first_then_the_longest():
    demo = plan.read("demo")
    ordered = engine.in_order(list(demo.runs), expected := engine.costs(demo.runs, 1))
    assert {run.name for run in ordered} == {run.name for run in demo.runs}
    assert {run.settings.dataset for run in ordered[:2]} == {"digits", "shapes"}
    others = [(expected[run.name].total, run.settings.width) for run in ordered[2:]]
    assert others == sorted(others, reverse=True)
    for run in ordered[:2]:
        alike = [expected[one.name].total for one in demo.runs if one.settings.dataset == run.settings.dataset]
        assert expected[run.name].total == max(alike)


# ---- bad input: exit 2, one line, nothing started ------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "demmo"], "did you mean demo?"),
        (["run", "nowhere.yaml"], "no such study file"),
        (["run", "demo", "-p", "latent_dimm", "3"], "did you mean latent_dim?"),
        (["run", "demo", "-p", "epochs", "many"], "epochs = 'many'"),
        (["run", "demo", "-p", "epochs", "{"], "-p epochs: not valid YAML"),
        (["run", "demo", "-p", "epochs", "&a [*a]"], "-p epochs: not valid YAML: aliases (*name) are not supported"),
        (["run", "demo", "-p", "dataset", "mnits"], "did you mean mnist?"),
        (["run", "homework"], "mnist.npz"),
        (["run", "demo", "--out", "/proc/nowhere"], "cannot be written to"),
        (["data", "verify"], "expected a NAME or PATH"),
        (["data", "verify", "mnits"], "did you mean mnist?"),
        (["export", "demmo", "x"], "did you mean demo?"),
        (["status", "demmo"], "did you mean demo?"),
        (["report", "demmo"], "did you mean demo?"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(words, expected, capsys, monkeypatch):
    monkeypatch.setattr(engine, "run_all", lambda *_, **__: pytest.fail("something was started"))
    assert main(words) == 2
    _, error = capsys.readouterr()
    assert expected in error
    assert error.startswith("latent-report: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", [["run"], ["run", "demo", "--workers", "0"], ["fly"], ["data", "eat"]])
def test_wrong_usage_is_exit_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2


def test_a_damaged_dataset_is_found_before_anything_starts(npz, study, capsys, monkeypatch):
    path = npz()
    content = bytearray(path.read_bytes())
    content[1000] ^= 255  # of some pixel: the headers stay whole, the checksum does not
    path.write_bytes(content)
    monkeypatch.setattr(engine, "run_all", lambda *_, **__: pytest.fail("something was started"))
    text = f"notebooks: {{vae_mnist: {{defaults: {{dataset: {path}, batch_size: 16}}, runs: [{{}}]}}}}"
    assert main(["run", str(study(text))]) == 2
    assert "tiny.npz" in capsys.readouterr().err


def test_dry_run_starts_nothing(capsys, tmp_path):
    assert main(["run", "demo", "--dry-run", "--out", str(tmp_path / "x")]) == 0
    assert "22 runs, 0 done, 22 to do" in capsys.readouterr().out
    assert not (tmp_path / "x").exists()


def test_status_imports_no_tensorflow(tmp_path):
    code = "import sys; from lib.__main__ import main; main(sys.argv[1:]); print('tensorflow' in sys.modules)"
    words = [sys.executable, "-c", code, "status", "demo", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stdout.splitlines()[-2:] == ["22 runs: 22 missing", "False"]


def test_cores_are_divided_among_workers():
    cores = len(os.sched_getaffinity(0))
    assert engine.workers_and_threads(100, cores) == (cores, 1)
    assert engine.workers_and_threads(1, 8) == (1, cores)


def test_shares_are_disjoint_whole_and_about_as_long(capsys):
    demo = plan.read("demo")
    shares = [engine.share(demo.runs, (number, 4)) for number in range(4)]
    assert sorted(run.name for share in shares for run in share) == sorted(run.name for run in demo.runs)
    expected = engine.costs(demo.runs, 1)
    sums = [sum(expected[run.name].total for run in share) for share in shares]
    assert max(sums) < 1.5 * min(sums)
    assert engine.share(demo.runs, None) == list(demo.runs)
    assert engine.share(demo.runs, (30, 31)) == []
    for words in ("4/4", "1", "-1/4", "a/b", "1/0"):
        with pytest.raises(SystemExit) as stop:
            main(["run", "demo", f"--only={words}"])
        assert stop.value.code == 2
        assert "expected I/N with I from 0 to N-1" in capsys.readouterr().err


# ---- real runs -----------------------------------------------------------------------------------


def test_a_study_with_a_failing_run(tmp_path, npz, study):
    text = """
title: Small
notebooks:
  vae_mnist:
    defaults: {dataset: DATASET, epochs: 1, width: 64, batch_size: 16}
    runs: [{latent_dim: 2}, {latent_dim: 3, learning_rate: 1}]
figures: [{number: 1, kind: [loss, gallery], runs: [{vae_mnist: {latent_dim: 2}}, {vae_mnist: {latent_dim: 3}}]}]
"""
    path = study(text.replace("DATASET", str(npz())))
    folder = tmp_path / "a {b} ü"
    done = command("run", path, "--out", folder)
    assert done.returncode == 1, done.stderr
    states = {row["run"]: row for row in json.loads(command("status", path, "--out", folder, "--json").stdout)}
    (first, second) = states
    assert states[first]["state"] == "done"
    assert states[second]["state"] == "failed"
    assert "NonFiniteLossError" in states[second]["why"]
    assert "lower learning_rate" in states[second]["why"]
    assert f"{second} failed:" in done.stderr
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert second in page
    assert (folder / "results.csv").read_text(encoding="utf-8").count("\n") == 3

    result = folder / "runs" / first / "result.json"
    before = result.stat().st_mtime_ns
    path.write_text(path.read_text().replace("learning_rate: 1}", "batch_size: 15}"))
    again = command("run", path, "--out", folder, "--no-report")
    assert again.returncode == 0, again.stderr
    assert "2 runs, 1 done, 1 to do" in again.stdout
    assert result.stat().st_mtime_ns == before
    assert command("run", path, "--out", folder, "--no-report").stdout.startswith("Small: 2 runs, 2 done, 0 to do")


def test_numbers_of_other_code_are_computed_anew_without_training(tmp_path, npz, study):
    defaults = f"{{dataset: {npz()}, importance_samples: 1}}"
    path = study(f"notebooks: {{vae_mnist: {{defaults: {defaults}, runs: [{TINY}]}}}}")
    words = (path, "--out", tmp_path / "out", "--no-report")
    assert command("evaluate", *words).returncode == 2, "nothing is finished yet"
    assert command("run", *words).returncode == 0
    (result,) = (tmp_path / "out").glob("runs/*/result.json")
    good = json.loads(result.read_text())
    for verb, expected in (("evaluate", "the numbers of 1 of 1 runs"), ("run", "1 runs, 0 done, 1 to do")):
        old = json.loads(result.read_text()) | {"metrics": {"test_loss": 9.0}}
        old["keys"]["evaluation"]["sources"]["estimates"] = "b" * 64
        result.write_text(json.dumps(old))
        status = command("status", path, "--out", tmp_path / "out").stdout
        assert "unscored   evaluation sources.estimates changed" in status
        done = command(verb, *words)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
        new = json.loads(result.read_text())
        assert new["metrics"] == pytest.approx(good["metrics"])
        assert new["keys"] == good["keys"]
        assert new["finished"] == good["finished"], "trained again"


def test_the_lines_for_batch_systems_do_what_they_say(tmp_path, npz, study):
    """Those in docs/cluster.md, with the variables that a batch system sets, but nothing is started."""
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    lines = re.findall(r"latent-report run homework --out \S+ --only [^'\n]+", text)
    assert len(lines) == 2
    path = study(
        f"notebooks: {{gan_mnist: {{defaults: {{dataset: {npz()}, batch_size: 16}}, runs: [{{seed: [0, 1, 2]}}]}}}}"
    )
    names = sorted(run.name for run in plan.read(str(path)).runs)
    for line in lines:
        count, found = ("8" if "/8" in line else "2"), []
        line = line.replace("homework --out /shared/reports/homework", f"{path} --out {tmp_path / 'out'} --dry-run")
        for number in range(int(count)):
            given = {
                "SLURM_ARRAY_TASK_ID": str(number),
                "SLURM_ARRAY_TASK_COUNT": count,
                "JOB_COMPLETION_INDEX": str(number),
            }
            given |= {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
            done = subprocess.run(["sh", "-c", line], env=os.environ | given, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            found += [words.split()[0] for words in done.stdout.splitlines()[1:]]
        assert sorted(found) == names, line


def test_shares_make_a_study_together_and_the_last_one_its_report(tmp_path, npz, study):
    runs = f"[{{dataset: {npz()}, importance_samples: 1, seed: [0, 1, 2]}}]"
    path = study(f"notebooks: {{vae_mnist: {{defaults: {TINY}, runs: {runs}}}}}")
    synthetic.write(engine.share(plan.read(str(path), out=str(tmp_path / "out")).runs, (0, 2))[0])
    words = ("run", path, "--out", tmp_path / "out", "--only")
    first = command(*words, "0/2")
    assert first.returncode == 0, first.stderr
    assert "2 runs, 1 done, 1 to do" in first.stdout
    assert "no report yet: 1 of the study's 3 runs are not done" in first.stdout
    second = command(*words, "1/2")
    assert "1 runs, 0 done, 1 to do" in second.stdout
    assert second.stdout.splitlines()[-1] == f"report: {tmp_path / 'out' / 'index.html'}"
    assert command(*words, "0/2").stdout.splitlines()[-1] == f"report: {tmp_path / 'out' / 'index.html'}, unchanged"


def test_export_runs_by_plain_papermill_count_as_done(tmp_path, npz, study):
    path = study(f"notebooks: {{vae_mnist: {{defaults: {{dataset: {npz()}}}, runs: [{TINY}]}}}}")
    out, exported = tmp_path / "out", tmp_path / "ex port"
    assert command("export", path, exported, "--out", out).returncode == 0
    environment = os.environ | {"PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", exported / "run.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-1000:]
    time.sleep(2.5)
    assert "1 runs: 1 done" in command("status", path, "--out", out).stdout


@pytest.fixture
def long_run(tmp_path, npz, study, request):
    """A study of one or two endless runs, started; yields its process, its folder and all that it has started."""
    endless = f"{{dataset: {npz()}, epochs: 100000, seed: {[*range(request.param)]}}}"
    text = f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{endless}]}}}}"
    path, folder = study(text), tmp_path / "out"
    words = [*COMMAND, "run", str(path), "--out", str(folder), "--workers", "2", "--no-report"]
    process = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    planned, family = plan.read(str(path), out=str(folder)).runs, []
    deadline = time.time() + 120
    try:
        while any(states.progress(run.folder).get("epoch", 0) < 2 for run in planned):
            assert time.time() < deadline, "training did not begin"
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.2)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) == 3 * request.param, "for each run a worker, its process and its kernel"
        yield process, folder, family
    finally:
        for one in [*family, process]:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        process.communicate()


def gone(processes):
    return not psutil.wait_procs(processes, timeout=15)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("long_run", "number", "status"), [(2, signal.SIGINT, 130), (1, signal.SIGTERM, 143)], indirect=["long_run"]
)
def test_signals_leave_no_committed_run_and_no_kernel(long_run, number, status):
    process, folder, family = long_run
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)  # as a terminal's Ctrl-C does
    out, error = process.communicate(timeout=30)
    assert process.returncode == status
    assert error == "latent-report: stopped; finished runs are kept, run the command again to continue\n"
    assert re.search(r"^0 of [12] runs ended in ", out, re.MULTILINE)
    assert gone(family)
    assert all(path.name.endswith(".partial") for path in (folder / "runs").iterdir())
    assert not list((folder / "runs").glob("*/error.txt")), "interrupted, not failed"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_while_the_report_is_built(tmp_path, study, number, status):
    path = study(f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: digits}}]}}}}")
    words = [*COMMAND, "report", str(path), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background inherit "ignore"
    )
    deadline = time.time() + 60
    while not (kernels := psutil.Process(process.pid).children(recursive=True)):
        assert time.time() < deadline
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    assert process.returncode == status, error
    assert error == "latent-report: stopped; finished runs are kept, run the command again to continue\n"
    assert gone(kernels)
    assert not (tmp_path / "out" / "index.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("long_run", [1], indirect=True)
def test_a_killed_runner_leaves_no_kernel(long_run):
    process, _, family = long_run
    process.kill()
    process.communicate(timeout=30)
    assert gone(family)


def test_cost_is_shared_out_and_the_pace_is_learnt():
    costs = {name: progress.Cost(100.0, 20.0) for name in "abcd"}
    pace = progress.Pace(costs)
    assert pace.left(["a", "b", "c", "d"], {}, 2) == 240.0
    pace.ended("a", fit=50.0, total=170.0)  # twice as fast, but it has also trained the classifier
    pace.ended("b", fit=50.0, total=60.0)
    pace.ended("c", fit=50.0, total=60.0)
    assert pace.left(["d"], {}, 2) == 60.0
    said = {"stage": "fit", "epoch": 5, "epochs": 10, "seconds_left": 25.0}
    assert pace.left([], {"d": (30.0, said)}, 2) == 30.0
    assert pace.left([], {}, 2) == 0.0


def test_the_progress_table_has_a_row_for_each_run_at_work():
    from rich.console import Console

    shown = progress.Progress({"one": progress.Cost(10, 5), "two": progress.Cost(10, 5)}, 2)
    said = {"stage": "fit", "epoch": 3, "epochs": 10, "images_per_second": 1234.5, "seconds_left": 70.0}
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(shown.table({"one": (12.0, said), "two": (3.0, {})}, 80.0))
    head, first, second, whole = [line.split() for line in console.export_text().splitlines() if line.strip()]
    assert head == ["run", "state", "elapsed", "epoch", "images/s", "left"]
    assert first == ["one", "fit", "12", "s", "3/10", "1,234", "70", "s"]
    assert second == ["two", "starting", "3", "s"]
    assert whole[:8] == ["0", "of", "2", "ended,", "0", "failed,", "2", "running;"]


def test_a_continued_run_is_counted_with_the_seconds_that_it_took_here(tmp_path, study, npz):
    path = study(f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}}}]}}}}")
    (run,) = plan.read(str(path), out=str(tmp_path / "out")).runs
    synthetic.write(run)
    file = run.folder / "result.json"
    result = json.loads(file.read_text())
    file.write_text(json.dumps(result | {"continued_after": [3], "seconds": result["seconds"] | {"fit": 900.0}}))
    shown = progress.Progress({run.name: progress.Cost(10, 5)}, 1)
    shown.trained(run, 60.0)
    assert shown.seconds["fit"] == 60.0


def test_memory_is_shared_out_but_leaves_each_run_what_it_needs():
    limits = engine.Limits()
    total = psutil.virtual_memory().total
    assert limits.bytes_for(1) == max(int(0.9 * total), 3 * 2**30)
    assert limits.bytes_for(10_000) == 3 * 2**30
    assert engine.Limits(memory=5).bytes_for(7) == 5


@pytest.mark.parametrize(
    "words", [["--time-limit", "soon"], ["--time-limit", "0s"], ["--memory-limit", "-1"], ["--retries", "x"]]
)
def test_limits_that_are_none_are_refused(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", "demo", *words])
    assert stop.value.code == 2
    assert "expected a" in capsys.readouterr().err


def test_nothing_changed_is_said_at_once_and_without_tensorflow(tmp_path, study, npz):
    path = study(f"notebooks: {{gan_mnist: {{defaults: {TINY}, runs: [{{dataset: {npz()}}}]}}}}")
    ours = plan.read(str(path), out=str(tmp_path / "out"))
    synthetic.write(ours.runs[0])
    code = "import sys; from lib.__main__ import main; main(sys.argv[1:]); print('tensorflow' in sys.modules)"
    words = [sys.executable, "-c", code, "run", path, "--out", tmp_path / "out"]

    def run():
        start = time.monotonic()
        done = subprocess.run(words, capture_output=True, text=True, timeout=200, cwd=ROOT)
        *_, said, tensorflow = done.stdout.splitlines()
        assert tensorflow == "False"
        return said, time.monotonic() - start

    page = tmp_path / "out" / "index.html"
    assert run()[0] == f"report: {page}"
    before = page.stat().st_mtime_ns
    said, seconds = run()
    assert said == f"report: {page}, unchanged"
    assert seconds < 10
    assert page.stat().st_mtime_ns == before
    (ours.runs[0].folder / "history.csv").touch()
    assert run()[0] == f"report: {page}"
