"""What the tests share: settings from a notebook's defaults, tiny datasets, a study file in a folder of its own."""

import contextlib
import io
import os
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lib import data

# Whichever process is done with a file takes the next: the longest come first, else one would be left with them.
LONGEST = ("faults", "demo", "engine", "cells", "report", "notebooks", "own_data", "browser", "own_models", "worker")
LONGEST += ("compare", "models", "cluster", "lab")
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.pop("JPY_SESSION_NAME", None)  # a developer may start the tests from JupyterLab's terminal


def pytest_collection_modifyitems(items):
    place = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session", autouse=True)
def _no_user_data(tmp_path_factory):
    """No test may read or fill the user's own data folder. Processes side by side share one, and its classifiers."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "data"
    shared.mkdir(exist_ok=True)
    os.environ["LATENT_REPORT_DATA"] = str(shared)


@pytest.fixture(autouse=True)
def _no_download(monkeypatch):
    """No test may download a dataset: their addresses lead to a closed port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    for name, source in data.SOURCES.items():
        monkeypatch.setitem(data.SOURCES, name, source._replace(url=f"http://127.0.0.1:{closed}/{source.file}"))
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def in_lab(monkeypatch):
    """As in a notebook that is open in JupyterLab, where widgets are shown."""
    monkeypatch.setenv("JPY_SESSION_NAME", "vae_mnist.ipynb")


@pytest.fixture
def settings():
    """A function: settings("vae_mnist", width=8) is that notebook's defaults with some replaced."""
    from lib.settings import check, parameters

    def made(notebook, **changed):
        return check({**parameters(notebook), **changed}, notebook)

    return made


def command(*words):
    """What a command line does, without a process of its own: its status and what it prints."""
    from lib.__main__ import main

    os.environ["PYTEST_CURRENT_TEST"] = "any"  # the next test may take over this one's worker: same environment
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as error:
        status = main([*map(str, words)])
    return SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=error.getvalue())


def images(count, channels=1, side=8, seed=0):
    """Smooth random images, uint8 [count, side, side, channels]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    u = rng.random((count, 1, 1, channels, 3))
    waves = np.sin(6 * (u[..., 0] * x[None, ..., None] + u[..., 1] * y[None, ..., None]) + 6 * u[..., 2])
    return np.round(127.5 * (1 + waves)).astype(np.uint8)


def write_npz(path, channels=1, side=8, train=200, seed=0):
    """Writes a small dataset file and returns its path."""
    path.parent.mkdir(exist_ok=True)
    labels = np.arange(train) % 10
    np.savez(
        path,
        x_train=images(train, channels, side, seed=seed),
        y_train=labels,
        x_test=images(60, channels, side, seed=1),
        y_test=labels[:60],
    )
    return path


@pytest.fixture
def npz(tmp_path):
    """A function that writes a small dataset file and returns its path."""

    def made(channels=1, side=8, train=200, name="tiny.npz", seed=0):
        return write_npz(tmp_path / name, channels, side, train, seed)

    return made


@pytest.fixture
def study(tmp_path):
    """A function that writes a study file and returns its path, which then is its `path` too."""

    def made(text, name="tiny.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        made.path = path
        return path

    return made


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium under Playwright. Without one CI fails, and a user's tests are skipped."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        assert not os.environ.get("CI"), "no browser: install Debian's chromium"
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()
