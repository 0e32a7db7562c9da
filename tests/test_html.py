"""Figures of an executed notebook on pages: nbconvert's, and our own, whose sanitiser lets no other image through."""

import logging

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from IPython.core.formatters import DisplayFormatter
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output

from lib import figures, models, settings
from lib.report import html

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
FIGURES = {
    "images": figures.gallery(IMAGES, title='Samples of "a" & <b>'),
    "chart": figures.training(
        {"jsd": [0.1, 0.2]}, models.describe(settings.check(settings.parameters("gan_mnist"), ""))
    ),
}


@pytest.fixture
def executed():
    """A notebook whose two cells have put out figures."""
    data = [DisplayFormatter().format(figure)[0] for figure in FIGURES.values()]
    outputs = [new_output("display_data", one) for one in data]
    return new_notebook(cells=[new_code_cell("draw()", outputs=[one], execution_count=1) for one in outputs])


def test_nbconvert_misses_no_alternative_text(executed, caplog):
    log = logging.getLogger("nbconvert-test")
    with caplog.at_level(logging.WARNING, log.name):
        markup, _ = HTMLExporter(log=log).from_notebook_node(nbformat.from_dict(executed))
    assert markup.count("<img ") == len(FIGURES)
    assert caplog.messages == []


def test_a_runs_page_shows_its_figures_on_cards_with_their_words(executed):
    page = html.render(executed, "A run")
    shown = BeautifulSoup(page, "html.parser").find_all("img")
    assert [image["class"] for image in shown] == [["card"]] * len(FIGURES)
    assert [image["alt"] for image in shown] == [figure.alt for figure in FIGURES.values()]
    assert figures.DARK not in page


def test_only_the_reports_page_has_the_reports_styles_and_scripts(executed):
    for code in (True, False):
        page = html.render(executed, "A page", code=code)
        assert (".report .verdicts" in page, "function decoders()" in page) == (not code, not code)
        assert ".card {" in page
        assert "function contents()" in page


@pytest.mark.parametrize(
    "markup",
    [
        '<img alt="x" src="data:image/png;base64,AAAA" width="1" onerror="alert(1)">',
        '<img alt="x" src="data:image/svg+xml;base64,AAAA" width="1">',
        '<img alt="x" src="https://example.org/x.png" width="1">',
        '<img alt="x" src="data:image/png;base64,AAAA" width="1"><b onclick="alert(1)">x</b>',
        '<img alt="x"onerror="alert(1)" src="data:image/png;base64,AAAA" width="1">',
    ],
)
def test_no_other_image_passes_the_sanitiser(markup):
    passed = html.put_out(markup)
    assert "<img" not in passed
    assert "<b onclick" not in passed
    assert passed.startswith('<div class="scroll">')
