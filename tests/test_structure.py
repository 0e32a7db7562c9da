"""The house: who may know whom, and how large a room may be."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "lib").rglob("*.py"))
# A room may import rooms above it, never one below.
FLOORS = (
    ("errors", "files", "notebooks", "backend", "rounding"),
    ("data",),
    ("models", "provenance"),
    ("settings",),
    ("runs",),
    ("scores", "figures", "series"),
    ("finished",),
    ("training", "checkpoint", "widgets", "study"),
    ("report", "lessons"),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room(path):
    """The folder or the module of lib in which a file lies."""
    return path.relative_to(ROOT / "lib").parts[0].removesuffix(".py")


def imported(path):
    """The rooms that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib":
            _, *inside = node.module.split(".")
            found |= {inside[0]} if inside else {name.name for name in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_lies_above_it(path):
    own = room(path)
    if own == "__init__":
        return
    below = {name for name in imported(path) if name != own and FLOOR[name] > FLOOR[own]}
    # a model's own numbers ask the estimators, which know arrays only
    assert below <= ({"scores"} if own == "models" else set())


def test_files_and_functions_fit_one_sitting():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}
    functions = {
        f"{path.name}: {node.name}": node.end_lineno - node.lineno + 1
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: lines for name, lines in functions.items() if lines > 50} == {}


def test_only_models_knows_models():
    """The claims and the published numbers, which speak of three models, aside."""
    knows = re.compile(r"isinstance\([^)]*\b(VAE|GAN|WGAN)\b|[\"'](vae|gan|wgan)[\"']")
    others = [path for path in FILES if room(path) != "models" and path.stem not in ("claims", "literature")]
    assert [str(path.relative_to(ROOT)) for path in others if knows.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("name", ["models", "study.plan", "report.page", "__main__", "runs", "finished"])
def test_no_tensorflow_where_studies_and_reports_are_made(name):
    code = f"import lib.{name}, sys; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_picture_is_drawn_from_the_code_as_it_is():
    code = "import architecture, sys; sys.stdout.write(architecture.svg())"
    drawn = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "docs", capture_output=True, text=True, check=True)
    assert (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8") == drawn.stdout
