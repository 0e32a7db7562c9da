"""The lists of dependencies agree, and what the project pins is what is installed."""

import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lib.notebooks import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = [
    Requirement(line) for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")
]


def wanted():
    return [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]]


def test_every_dependency_is_locked_within_its_range():
    for requirement in wanted():
        pins = [pin for pin in LOCKED if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
        assert pins, f"{requirement.name} is not in requirements.lock: make lock"
        for pin in pins:
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert exact.version in requirement.specifier


def test_the_lock_names_no_index_and_no_file():
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|--(extra-)?index|--find-links|file:", text)


def test_what_is_locked_is_installed():
    for pin in LOCKED:
        if pin.marker is None or pin.marker.evaluate():
            assert importlib.metadata.version(pin.name) in pin.specifier, pin.name


def test_conda_environment_points_at_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    assert pip == {"pip": ["-r requirements.lock", "-e ."]}


def test_plain_tensorflow_is_the_dependency_and_gpu_an_extra():
    assert [one for one in wanted() if one.name == "tensorflow" and not one.extras]
    assert "and-cuda" in PROJECT["optional-dependencies"]["gpu"][0]


def test_every_import_of_a_package_is_declared():
    """What lib imports is declared, not merely installed by something else."""
    modules = importlib.metadata.packages_distributions()
    declared = {canonicalize_name(one.name) for one in wanted()}
    builtin = {"lib"}
    for path in (ROOT / "lib").rglob("*.py"):
        for name in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE):
            distributions = {canonicalize_name(one) for one in modules.get(name, [])}
            assert name in builtin or not distributions or distributions & declared, f"{path.name} imports {name}"


def test_every_room_of_lib_is_a_package_of_the_project():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(packages) == sorted(
        ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "lib").rglob("__init__.py")
    )


def test_what_publishes_the_reports_lists_them(tmp_path):
    """The step of the workflow, run on a copy of what the repository holds."""
    steps = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text())["jobs"]["publish"]["steps"]
    (step,) = [one["run"] for one in steps if one.get("name", "").startswith("list")]
    for name in ("homework", "architectures"):
        (tmp_path / "reports" / name).mkdir(parents=True)
        for file in ("summary.json", "index.html"):
            (tmp_path / "reports" / name / file).symlink_to(ROOT / "reports" / name / file)
    command = step.replace(".venv/bin/python", shlex.quote(sys.executable))
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    page = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{name}/index.html"' in page for name in ("homework", "architectures"))
