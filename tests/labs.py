"""A real JupyterLab for the tests, and notebooks in it run as somebody runs them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

ENDED = r"""after => {
    const cells = [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")];
    const first = cells.findIndex(cell => cell.textContent.includes(after));
    return cells.slice(first + 1).every(cell => /\d/.test(cell.querySelector(".jp-InputPrompt").textContent))
        || document.querySelector(".jp-Notebook [data-mime-type='application/vnd.jupyter.error']");
}"""


@contextmanager
def serving(folder, words=(), theme="JupyterLab Light"):
    """The address of a JupyterLab that was started in a folder; it asks the network for nothing.

    Args:
        words: further arguments.
    """
    settings = folder / ".lab"
    for name, content in {
        "notebook-extension/tracker": {"windowingMode": "none"},  # every output stands in the page
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "apputils-extension/themes": {"theme": theme},
    }.items():
        path = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [*words, "--no-browser", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    words += ["--allow-root", f"--LabApp.user_settings_dir={settings}", "--LabApp.extension_manager=readonly"]
    words += [f"--LabApp.workspaces_dir={settings / 'workspaces'}"]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_RUNTIME_DIR": str(settings / "runtime")}
    with (folder / "lab.log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *words]
        options = {"stdout": log, "stderr": log, "env": environment, "cwd": folder, "start_new_session": True}
        server = subprocess.Popen(command, **options)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "lab.log").read_text()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/lab"
    finally:
        server.send_signal(signal.SIGINT)
        time.sleep(0.2)
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def opened(browser, address, notebook, **options):
    """A notebook's page, with its kernel."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000}, **options)
    page.set_default_timeout(120_000)
    page.on("dialog", lambda dialog: dialog.accept())  # of a page that is left with changes
    page.goto(f"{address}/workspaces/{notebook}/tree/notebooks/{notebook}.ipynb")  # else the other one is opened too
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    idle(page)  # earlier, JupyterLab would ask for a kernel
    return page


def idle(page):
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()


def run(page, which):
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name=which, exact=True).click()


def without_errors(page, after="no cell"):
    """Waits until all code cells have ended, or those after the one with these words."""
    page.wait_for_function(ENDED, arg=after)
    errors = page.locator('.jp-Notebook [data-mime-type="application/vnd.jupyter.error"]')
    assert errors.count() == 0, errors.all_inner_texts()
