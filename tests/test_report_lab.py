"""report.ipynb as somebody sees it in JupyterLab, without the page's scripts, in a light and a dark theme."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest
import synthetic

from lib import runs
from lib.study import plan

STUDY = """
title: Small
notebooks:
  vae_mnist: {defaults: {dataset: digits, epochs: 12, width: 8}, runs: [{latent_dim: [2, 3], width: [8, 16]}]}
  gan_mnist: {defaults: {dataset: digits, epochs: 12, width: 8}, runs: [{latent_dim: [2, 3]}]}
figures:
  - {number: 1, kind: [layers, loss, gallery], runs: [{vae_mnist: {latent_dim: 2, width: 8}}]}
  - {number: 2, kind: [jsd, gallery], runs: [{gan_mnist: {latent_dim: 2}}, {gan_mnist: {latent_dim: 3}}]}
"""
ENDED = r"""
    [...document.querySelectorAll(".jp-Notebook .jp-CodeCell .jp-InputPrompt")].every(one => /\d/.test(one.textContent))
    || document.querySelector(".jp-Notebook [data-mime-type='application/vnd.jupyter.error']")
"""
SEEN = """
() => {
  const all = (selector) => [...document.querySelectorAll(".jp-OutputArea .report " + selector)];
  const visible = (one) => one.getClientRects().length > 0;
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765;
  const shade = (one) => light(getComputedStyle(one).backgroundColor);
  const ink = (one) => light(getComputedStyle(one).color);
  const cells = all("#runs-table tr").map((row) => [...row.cells].map((cell) => [cell, cell.getBoundingClientRect()]));
  return {
    controls: all(":is(button, input, select, canvas)").filter(visible).map((one) => one.outerHTML),
    nameless: all("img").filter((one) => !one.alt).length,
    images: all("img").length,
    cut: cells.flat().filter(([cell]) => cell.scrollWidth > cell.clientWidth + 1).length,
    crossing: cells.flatMap((row) => row.slice(1).filter(([, box], i) => box.left < row[i][1].right - 1)).length,
    panels: all(".panel").map(shade),
    inks: all(":is(figcaption, .setting, .summary)").map(ink),
    inverted: all("img.chart").map((one) => getComputedStyle(one).filter.includes("invert")),
    left: all("#runs-table td:first-child").map((one) => getComputedStyle(one).textAlign),
    page: getComputedStyle(document.documentElement).colorScheme,
  };
}
"""


@contextmanager
def serving(folder, theme):
    """The address of a JupyterLab over a folder, in a theme."""
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
    words = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    words += ["--allow-root", f"--ServerApp.root_dir={folder}", f"--LabApp.user_settings_dir={settings}"]
    words += ["--LabApp.extension_manager=readonly", f"--LabApp.workspaces_dir={settings / 'workspaces'}"]
    environment = os.environ | {"JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_RUNTIME_DIR": str(settings / "runtime")}
    with (folder / "lab.log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *words]
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
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


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """report.ipynb after Run All Cells in a dark JupyterLab on a light desktop, beside a page that was built before."""
    folder = tmp_path_factory.mktemp("report lab")
    (folder / "small.yaml").write_text(STUDY)
    study = plan.read(str(folder / "small.yaml"), out=str(folder / "out"))
    synthetic.finish(study)
    (study.folder / "index.html").write_text("<p>the built page</p>")
    notebook = json.loads((runs.NOTEBOOK_DIR / "report.ipynb").read_text(encoding="utf-8"))
    (cell,) = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", ())]
    cell["source"] = f"study, out, overrides = {str(study.path)!r}, {str(study.folder)!r}, {{}}"
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "report.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    with serving(folder, "JupyterLab Dark") as address:
        page = browser.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="light")
        page.set_default_timeout(240_000)
        page.goto(f"{address}/tree/notebooks/report.ipynb")
        page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.wait_for_function(ENDED)
        errors = page.locator('.jp-Notebook [data-mime-type="application/vnd.jupyter.error"]')
        assert errors.count() == 0, errors.all_inner_texts()
        yield page
        page.close()


def test_nothing_that_needs_a_script_is_shown_and_one_line_says_where_it_works(page):
    seen = page.evaluate(SEEN)
    assert seen["controls"] == []
    assert page.locator(".plane[role], .plane[tabindex]").count() == 0
    line = page.locator(".report p.note", has_text="JupyterLab does not run")
    assert "latent-report report" in line.inner_text()
    assert "Choosing two runs needs the built page" in page.locator("#compare").inner_text()


def test_images_have_words_and_columns_do_not_overlap(page):
    seen = page.evaluate(SEEN)
    assert seen["images"] > 20
    assert seen["nameless"] == 0
    assert (seen["cut"], seen["crossing"]) == (0, 0)
    assert set(seen["left"]) == {"left"}


def test_the_pieces_follow_jupyterlabs_theme(page):
    def themed(light):
        page.evaluate("light => { document.body.dataset.jpThemeLight = light; }", "true" if light else "false")
        return page.evaluate(SEEN)

    dark, light = themed(False), themed(True)
    themed(False)
    assert max(dark["panels"]) < 0.2
    assert min(dark["inks"]) > 0.6
    assert all(dark["inverted"])
    assert min(light["panels"]) > 0.95
    assert max(light["inks"]) < 0.45
    assert not any(light["inverted"])
    assert "dark" not in dark["page"]  # JupyterLab itself is left alone


def test_the_link_opens_the_built_page_and_links_without_a_page_are_words(page):
    assert page.locator("a[href*='estimators.html']").count() == 0  # it is not there
    page.locator(".report p.note a", has_text="open it").click()
    page.frame_locator(".jp-HTMLViewer iframe, iframe").get_by_text("the built page").wait_for()
