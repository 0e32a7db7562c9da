"""What other programs and projects have left in a user's environment does not change a run, nor which lib is meant."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from lib import data, models, runs, training
from lib.errors import UserError
from lib.notebooks import NOTEBOOK_DIR, ROOT, code_cells
from lib.study import kernel, plan

SCRIPT = Path(sys.executable).with_name("latent-report")
KERAS_JSON = {"floatx": "float16", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}


@pytest.fixture
def elsewhere(tmp_path):
    """The folder of another project, which has a lib of its own with modules of our names."""
    folder = tmp_path / "project"
    (folder / "lib").mkdir(parents=True)
    for name in ("__init__", "settings", "models", "data", "__main__"):
        (folder / "lib" / f"{name}.py").write_text("raise SystemExit('the wrong lib')\n")
    return folder


def odd(tmp_path, elsewhere):
    """An environment in which everything is otherwise than usual."""
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "keras.json").write_text(json.dumps(KERAS_JSON))
    (long := tmp_path / ("temporary" * 12)).mkdir()
    return os.environ | {
        "KERAS_HOME": str(tmp_path / "keras"),
        "KERAS_BACKEND": "torch",
        "TF_USE_LEGACY_KERAS": "1",
        "LC_ALL": "C",
        "HOME": "/proc/nowhere",
        "TMPDIR": str(long),
        "PYTHONPATH": str(elsewhere),
    }


@pytest.mark.slow
def test_a_study_in_an_odd_environment(tmp_path, npz, study, elsewhere):
    tiny = {"epochs": 1, "width": 8, "latent_dim": 2, "batch_size": 16, "validation": 20}
    path = study(f"notebooks: {{gan_mnist: {{defaults: {json.dumps(tiny | {'dataset': str(npz())})}, runs: [{{}}]}}}}")
    words = [SCRIPT, "run", path, "--out", tmp_path / "out", "--no-report"]
    environment = odd(tmp_path, elsewhere) | {"MPLBACKEND": "nonsense", "PYTHONWARNINGS": "error::DeprecationWarning"}
    done = subprocess.run(words, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    (run,) = plan.read(str(path), out=str(tmp_path / "out")).runs
    dataset = data.load(run.settings.dataset, run.settings.validation)
    history = training.train(models.build(run.settings, dataset.shape), dataset, run.settings)
    for name, values in runs.read_history(run.folder).items():
        assert values == pytest.approx(history[name], rel=1e-3), name  # to the last digit where threads are as many


@pytest.mark.parametrize("content", ["[1, 2]", '{"floatx": "float128"}', '{"image_data_format": "sideways"}'])
def test_a_keras_json_that_keras_cannot_use_is_named(content, tmp_path):
    (tmp_path / "keras.json").write_text(content)
    code = "from lib.backend import keras\nfrom lib.errors import UserError\n"
    code += "try:\n    keras.Model\nexcept UserError as error:\n    print(error)"
    environment = os.environ | {"KERAS_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert re.fullmatch(rf"{tmp_path}/keras\.json: Keras cannot use it \(.+\): mend it, or move it away\n", done.stdout)


def test_a_data_folder_that_cannot_be_written_to_is_found_before_training(settings, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LATENT_REPORT_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot be written to .*; set LATENT_REPORT_DATA"):
        runs.Run(settings("gan_mnist", dataset="digits", output_dir=str(tmp_path / "one")))
    assert not (tmp_path / "one.partial").exists()


def test_files_get_the_mode_that_the_users_umask_asks_for(tmp_path):
    code = "from pathlib import Path; from lib import files; files.write_aside(Path(__import__('sys').argv[1]), 'x')"
    for mask in (0o077, 0o022):
        words = [sys.executable, "-c", code, tmp_path / "x"]
        subprocess.run(words, cwd=ROOT, check=True, preexec_fn=lambda mask=mask: os.umask(mask))
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o666 & ~mask


def test_keras_json_and_another_backend_change_nothing(tmp_path, elsewhere):
    code = "from lib.backend import keras as k; c = k.config; import json\n"
    code += (
        "print(json.dumps([c.backend(), c.floatx(), c.image_data_format(), c.epsilon(), str(c.dtype_policy().name)]))\n"
        "import gc, sys; assert gc.isenabled() and 'sklearn' not in sys.modules\n"  # as before
        "import sklearn"
    )
    environment = odd(tmp_path, elsewhere)
    done = subprocess.run(
        [sys.executable, "-c", "import latent_report\n" + code], env=environment, capture_output=True, text=True
    )
    assert json.loads(done.stdout) == ["tensorflow", "float32", "channels_last", 1e-7, "float32"], done.stderr


def test_keras_that_was_imported_before_with_another_backend_is_said_in_one_line():
    code = "import sys, types; keras = types.ModuleType('keras'); sys.modules['keras'] = keras\n"
    code += "keras.config = types.SimpleNamespace(backend=lambda: 'jax')\n"
    code += "from lib.backend import keras as ours\nfrom lib.errors import UserError\n"
    code += "try:\n    ours.Model\nexcept UserError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "Keras was imported with the backend jax: import lib before Keras\n", done.stderr


# ---- another package called lib ------------------------------------------------------------------


@pytest.mark.parametrize("words", [[SCRIPT], [sys.executable, "-m", "latent_report"]])
@pytest.mark.parametrize("on_the_path", [False, True])
def test_the_command_from_a_folder_with_another_lib(words, on_the_path, elsewhere):
    environment = os.environ | ({"PYTHONPATH": str(elsewhere)} if on_the_path else {})
    done = subprocess.run([*words, "status", "demo"], cwd=elsewhere, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("22 missing\n") or " runs: " in done.stdout


def test_every_notebook_finds_our_lib_first(elsewhere):
    for path in sorted(NOTEBOOK_DIR.glob("*.ipynb")):
        cells = code_cells(json.loads(path.read_text(encoding="utf-8")))
        lines = "".join("".join(cell["source"]) + "\n" for cell in cells).splitlines()
        first = next(line for line in lines if "import" in line and " lib" in line)
        assert first.startswith("import latent_report"), path.name
    code = "import latent_report; from lib import settings; print(settings.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=elsewhere, capture_output=True, text=True)
    assert done.stdout.strip() == str(ROOT / "lib" / "settings.py"), done.stderr


def test_another_lib_that_was_imported_first_is_said_in_one_line(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", "import lib, latent_report"], cwd=tmp_path, capture_output=True, text=True
    )
    assert f"ImportError: another lib was imported already, {tmp_path / 'lib'}: import latent_report" in done.stderr


# ---- where a kernel's sockets lie ----------------------------------------------------------------


def test_a_temporary_folder_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", "/proc/nowhere")
    monkeypatch.setattr(kernel.tempfile, "tempdir", None)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), source := tmp_path / "a.ipynb")
    assert kernel.execute(source, None, {}).cells[-1].outputs[0]["data"]["text/plain"] == "2"


@pytest.mark.parametrize("short_places", [True, False])
def test_a_long_temporary_folder(short_places, tmp_path, monkeypatch):
    (long := tmp_path / ("temporary" * 12)).mkdir()
    monkeypatch.setattr(kernel.tempfile, "tempdir", str(long))
    if not short_places:
        monkeypatch.setattr(kernel, "_fits", lambda socket: False)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]), source := tmp_path / "a.ipynb")
    done = kernel.execute(source, None, {})
    assert done.cells[-1].outputs[0]["data"]["text/plain"] == "2"
    assert not list(long.iterdir()), "nothing is left there"
