"""report.ipynb as somebody sees it in JupyterLab, without the page's scripts, in a light and a dark theme."""

import json

import pytest
import synthetic
from labs import opened, run, serving, without_errors

from lib.notebooks import NOTEBOOK_DIR
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


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """report.ipynb after Run All Cells in a dark JupyterLab on a light desktop, beside a page that was built before."""
    folder = tmp_path_factory.mktemp("report lab")
    (folder / "small.yaml").write_text(STUDY)
    study = plan.read(str(folder / "small.yaml"), out=str(folder / "out"))
    synthetic.finish(study)
    (study.folder / "index.html").write_text("<p>the built page</p>")
    notebook = json.loads((NOTEBOOK_DIR / "report.ipynb").read_text(encoding="utf-8"))
    (cell,) = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", ())]
    cell["source"] = f"study, out, overrides, assets = {str(study.path)!r}, {str(study.folder)!r}, {{}}, False"
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "report.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    with serving(folder, theme="JupyterLab Dark") as address:
        page = opened(browser, address, "report", color_scheme="light")
        run(page, "Run All Cells")
        without_errors(page)
        yield page
        page.close()


def test_nothing_that_needs_a_script_is_shown_and_one_line_says_where_it_works(page):
    seen = page.evaluate(SEEN)
    assert seen["controls"] == []
    line = page.locator(".report p.note", has_text="JupyterLab does not run")
    assert "latent-report report" in line.inner_text()
    assert "Choosing runs needs the built page" in page.locator("#compare").inner_text()


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
