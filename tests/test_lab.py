"""JupyterLab as somebody uses it: open a notebook, run all cells, move a slider, see the picture change."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from lib import runs

QUICK = {"dataset": '"digits"', "epochs": "3", "width": "16", "batch_size": "32", "importance_samples": "1"}


ENDED = r"""
    [...document.querySelectorAll(".jp-Notebook .jp-CodeCell .jp-InputPrompt")].every(one => /\d/.test(one.textContent))
    || document.querySelector(".jp-Notebook [data-mime-type='application/vnd.jupyter.error']")
"""


def put(folder, name, values):
    """A copy of a notebook with other values in its parameters cell."""
    notebook = json.loads((runs.NOTEBOOK_DIR / f"{name}.ipynb").read_text(encoding="utf-8"))
    (cell,) = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", ())]
    lines = [line.rstrip("\n") for line in cell["source"]]
    for number, line in enumerate(lines):
        parameter = line.partition(":")[0]
        if parameter in values:
            lines[number] = f"{line.partition('=')[0]}= {values[parameter]}"
    cell["source"] = "\n".join(lines)
    (folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab over a folder with two notebooks, which asks the network for nothing."""
    folder, settings = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("settings")
    put(folder, "vae_mnist", QUICK | {"output_dir": json.dumps(str(folder / "run"))})
    put(folder, "explore", {})
    for name, content in {
        "notebook-extension/tracker": {"windowingMode": "none"},  # every output stands in the page
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }.items():
        path = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    words += ["--allow-root", f"--ServerApp.root_dir={folder}", f"--LabApp.user_settings_dir={settings}"]
    words += ["--LabApp.extension_manager=readonly", f"--LabApp.workspaces_dir={settings / 'workspaces'}"]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_RUNTIME_DIR": str(settings / "runtime")}
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *words],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        address = f"http://127.0.0.1:{port}/lab"
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{address}/../api", timeout=5).close()
                    break
                except OSError:
                    assert server.poll() is None, (folder / "lab.log").read_text()
                    time.sleep(0.5)
            yield address, folder
        finally:
            server.send_signal(signal.SIGINT)
            time.sleep(0.2)
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def run_all(browser, lab, notebook):
    """A notebook's page after Run All Cells, whose last code cell has ended without an error."""
    address, _ = lab
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(240_000)
    page.goto(f"{address}/workspaces/{notebook}/tree/{notebook}.ipynb")  # else the other one is opened too
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # earlier, JupyterLab would ask for a kernel
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(ENDED)
    errors = page.locator('.jp-Notebook [data-mime-type="application/vnd.jupyter.error"]')
    assert errors.count() == 0, errors.all_inner_texts()
    return page


def source(image):
    return image.evaluate("image => image.src")


def test_a_model_notebook(browser, lab):
    page = run_all(browser, lab, "vae_mnist")
    assert (lab[1] / "run" / "result.json").is_file()
    assert "epoch 3/3" in (lab[1] / "run" / "log.txt").read_text()
    training = page.locator(".jp-Cell:has(h2:has-text('Training')) + .jp-Cell")
    assert training.locator(".jp-OutputArea img").count() == 1  # curves and gallery, drawn while it trained
    assert "3/3" in training.locator(".jp-OutputArea").inner_text()
    image = page.locator(".widget-tab img.widget-image").first
    before = source(image)
    page.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('.widget-tab img.widget-image').src !== before", arg=before
    )
    plane = page.locator("img[alt='Images decoded on a grid over two latents']")
    plane.scroll_into_view_if_needed()
    box, before = plane.bounding_box(), source(image)
    page.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + 0.2 * box["height"])
    page.wait_for_function(
        "before => document.querySelector('.widget-tab img.widget-image').src !== before", arg=before
    )
    wanted = pytest.approx([-2.65, 2.0], abs=0.3)
    for _ in range(50):  # the sliders follow one after the other
        readouts = page.locator(".widget-tab .widget-readout").all_inner_texts()[:2]
        shown = [float(text.replace("−", "-")) for text in readouts]  # a true minus sign
        if shown == wanted:
            break
        page.wait_for_timeout(200)
    assert shown == wanted
    page.close()


def test_the_explore_notebook(browser, lab):
    page = run_all(browser, lab, "explore")
    for section, control in (("Move in latent space", ".noUi-handle"), ("Walk between two images", ".noUi-handle")):
        cell = page.locator(f".jp-Cell:has(h2:has-text('{section}')) + .jp-Cell")
        image = cell.locator("img.widget-image").first
        image.wait_for()
        before = source(image)
        cell.locator(control).first.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("([image, before]) => image.src !== before", arg=[image.element_handle(), before])
    near = page.locator(".jp-Cell:has(h2:has-text('Nearest training images')) + .jp-Cell")
    before = source(near.locator("img.widget-image").nth(1))
    near.locator("input[type=number]").first.fill("7")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "([image, before]) => image.src !== before",
        arg=[near.locator("img.widget-image").nth(1).element_handle(), before],
    )
    page.close()
