import base64
import csv
import hashlib
import html
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
import synthetic

from lib import data, figures, files, rounding
from lib.__main__ import main
from lib.report import assets, claims, execution, landing, pieces, records, sections, words
from lib.report import page as report
from lib.report.html import contents, render
from lib.report.sections.verdicts import shown_in
from lib.runs import ownership, states
from lib.settings import UserError
from lib.study import plan

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
STUDY = f"""
title: "Small & {EVIL}"
author: "A. {EVIL}"
notebooks:
  vae_mnist: {{defaults: {{dataset: digits, epochs: 12, width: 8}}, runs: [{{latent_dim: [2, 3]}}]}}
  gan_mnist: {{defaults: {{dataset: digits, epochs: 12, width: 8}}, runs: [{{latent_dim: [2, 3]}}]}}
  wgan_cifar10: {{defaults: {{dataset: shapes, epochs: 12, width: 8}}, runs: [{{latent_dim: 2}}]}}
figures:
  - number: 1
    section: VAE / MNIST / Original {EVIL}
    kind: [layers, loss, gallery, reconstructions, latent_map]
    runs: [{{vae_mnist: {{latent_dim: 2}}}}]
    caption: "{EVIL}"
  - {{number: 2, kind: [jsd, gallery], runs: [{{gan_mnist: {{latent_dim: 2}}}}, {{gan_mnist: {{latent_dim: 3}}}}]}}
  - {{number: 3, section: Of its own, kind: [loss], runs: [{{wgan_cifar10: {{latent_dim: 2}}}}]}}
"""
FAILED = "gan_mnist-latent_dim3-width8-seed0"


NOT_DRAWN = pieces.picture(b"", "png", (1, 1), "not drawn")
OURS = nbformat.v4.new_notebook(cells=[nbformat.v4.new_raw_cell("records.of(study, out, overrides)")])  # to be replaced


class Tags(HTMLParser):
    """Every tag with its attributes, and the text of the cells of every table row."""

    def __init__(self, markup):
        super().__init__()
        self.tags, self.rows, self.in_cell = [], [], False
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        self.in_cell = self.in_cell and tag not in ("td", "th")

    def handle_data(self, text):
        if self.in_cell:
            self.rows[-1][-1] += text


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A built report of four finished runs and a failed one, in a folder that breaks what formats its path."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.yaml").write_text(STUDY)
    study = plan.read(str(folder / "small.yaml"), out=str(folder / "out {braces} ü"))
    synthetic.finish(study, leave_out=[FAILED])
    failed = study.run(FAILED)
    ownership.partial_of(failed.folder).mkdir()
    states.fail(failed.folder, f"out of memory {EVIL}")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("JPY_SESSION_NAME", "notebook.ipynb")  # as from within JupyterLab
        report.build(study)
        assert os.environ["JPY_SESSION_NAME"] == "notebook.ipynb"
    return study


@pytest.fixture(scope="module")
def page(study):
    return (study.folder / "index.html").read_text(encoding="utf-8")


def test_report_has_every_figure_section_and_run(study, page):
    for number in (1, 2, 3):
        assert f'id="fig-{number}"' in page
        assert f"<b>Figure {number}.</b>" in page
    for heading in ("What does latent dimension do\\?", "The experiment", "Results", "What was assumed", "Of its own"):
        assert re.search(rf"<h[23] id=[^>]*>{heading}<", page)
    for run in study.runs:
        assert run.name in page
    assert page.count('id="claim-') == 14
    assert "in place of MNIST" in page
    assert "4 of 5 runs" in page


def test_a_failed_run_leaves_a_visible_gap(page):
    gap = page[page.index('<div class="gap"') :][:600]
    assert "failed" in gap
    assert FAILED in gap
    assert "out of memory" in gap


def test_strict_builds_and_then_complains(study, page, monkeypatch):
    monkeypatch.setattr(execution, "report", lambda *_: OURS)
    monkeypatch.setattr(report, "checked", lambda *_: None)
    with pytest.raises(report.IncompleteError, match=FAILED) as error:
        report.build(study, strict=True)
    assert error.value.status == 1
    (study.folder / "index.html").write_text(page, encoding="utf-8")


def test_markup_in_titles_captions_and_causes_is_inert(study, page):
    pages = [page, *(path.read_text(encoding="utf-8") for path in (study.folder / "notebooks").glob("*.html"))]
    for markup in pages:
        tags = Tags(markup).tags
        assert not [tag for tag, _ in tags if tag in ("iframe", "object", "embed", "form", "base")]
        scripts = [attrs.get("type", "") for tag, attrs in tags if tag == "script"]
        assert scripts == (["", "application/json", ""] if markup is page else ["", ""])
        assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]
        policy = next(attrs["content"] for tag, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
        assert "default-src 'none'" in policy
        for own in re.findall("<script>(.*?)</script>", markup, flags=re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
        assert policy.count("'sha256-") == 2
    assert page.count(html.escape(EVIL, quote=False)) >= 4  # title, author, heading, caption, cause


def test_pages_ask_the_network_for_nothing_and_describe_their_images(study, page):
    for markup in (page, *(path.read_text(encoding="utf-8") for path in (study.folder / "notebooks").glob("*.html"))):
        for tag, attrs in Tags(markup).tags:
            loaded = [attrs[name] for name in ("src", "srcset", "data", "poster") if name in attrs]
            loaded += [attrs["href"]] if tag == "link" else []
            assert all(address.startswith("data:") for address in loaded), attrs
            assert tag != "img" or attrs["alt"]
        assert not re.search(r"@import|url\(", markup)


def test_ids_are_unique_and_links_lead_somewhere(study, page):
    tags = Tags(page).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for address in {attrs["href"] for tag, attrs in tags if tag == "a"}:
        assert address[1:] in ids if address.startswith("#") else (study.folder / address).is_file()


def folded(markup):
    """The rows of what stands folded in a page, by its summary."""
    found = re.findall(r'<details class="fold"><summary>(.*?)</summary>(.*?)</details>', markup, flags=re.DOTALL)
    return {html.unescape(summary): Tags(inside).rows for summary, inside in found}


def is_rounded(text, value):
    """Whether a text is a value, rounded to the text's own decimals."""
    plain = text.replace(",", "").replace("−", "-")
    return abs(float(plain) - value) <= 0.5001 * 10.0 ** -len(plain.partition(".")[2])


def test_every_number_of_the_results_is_that_of_the_records_and_of_results_csv(study, page):
    found, tables, seen = records.collect(study), folded(page), 0
    with (study.folder / "results.csv").open(encoding="utf-8", newline="") as file:
        lines = {row["run"]: row for row in csv.DictReader(file)}
    assert [*lines] == [run.name for run in study.runs]
    for group in found.by_notebook.values():
        (rows,) = [rows for title, rows in tables.items() if title.startswith(f"{group[0].title} on {group[0].data}: ")]
        metrics = {found.label(name): name for name in found.metrics(group)}
        assert rows[0][0] == "setting"
        assert {*rows[0][1:]} == {*metrics}
        for one, row in zip(group, rows[1:], strict=True):
            assert row[0] == words.setting_of(one, found.runs)
            if not one.result:
                assert row[1] == "failed"
                continue
            result = json.loads((one.planned.folder / "result.json").read_text())["metrics"]
            for label, text in zip(rows[0][1:], row[1:], strict=True):
                assert is_rounded(text, result[metrics[label]]), (one.name, label)
                assert float(lines[one.name][metrics[label]]) == result[metrics[label]]
                seen += 1
            assert lines[one.name]["scorecard_classifier_accuracy"] == "0.992"
            assert lines[one.name]["dtype_policy"] == "float32"
            assert lines[one.name]["dataset_canonical"] == "False"
    assert seen > 50


def test_results_csv_has_a_column_for_each_reference_beside_its_metric(made):
    found = made("[{latent_dim: 2}, {latent_dim: 3}]", leave_out=["gan_mnist-latent_dim3-width8-seed0"])
    row, without = csv.DictReader(io.StringIO(found.csv))
    columns = list(row)
    start = columns.index("frechet")
    kinds = ("real", "blurred", "noisy", "class_removed", "mean_image", "untrained")
    assert columns[start + 1 : start + 7] == [f"frechet_{kind}" for kind in kinds]
    marks = found.runs[0].result["references"]
    assert all(float(row[f"{metric}_{kind}"]) == value for metric in marks for kind, value in marks[metric].items())
    assert without["frechet"] == without["frechet_real"] == ""


def test_no_reference_has_the_column_of_something_else():
    for name in ("homework", "architectures", "seeds"):
        found = records.of(name)
        for one, (_, row) in zip(found.runs, found.table.iterrows(), strict=True):
            if one.result:
                facts = {**one.result["metrics"], **one.settings.model_dump()}
                columns = [f"{metric}_{kind}" for metric, marks in one.references.items() for kind in marks]
                assert len(columns) == len(set(columns))
                assert not set(columns) & set(facts)
                assert all(
                    row[f"{metric}_{kind}"] == marks[kind] for metric, marks in one.references.items() for kind in marks
                )


def test_only_images_of_an_earlier_page_are_removed_from_assets(study, page, tmp_path):
    folder = tmp_path / "assets"
    content = base64.b64encode(b"x" * 4000).decode()
    _, kept = assets.apart(f'<img src="data:image/png;base64,{content}">')
    files.write_all((folder / name, image) for name, image in kept.items())
    (ours,) = kept
    (folder / "mine.png").write_bytes(b"a photograph")
    (folder / f"{'0' * 20}.png").write_bytes(b"named like ours, but not ours")
    (folder / "link").symlink_to(folder / ours)
    (folder / f"{'1' * 20}.svg").symlink_to(tmp_path)
    (folder / "0123456789abcdef0123.d").mkdir()
    assert [path.name for path in assets.made(folder)] == [ours]
    (folder / ours).write_bytes(b"changed by its owner")
    assert assets.made(folder) == []


def test_building_a_report_leaves_other_files_in_assets(study, page, monkeypatch):
    monkeypatch.setattr(execution, "report", lambda *_: OURS)
    monkeypatch.setattr(report, "checked", lambda *_: None)
    folder = study.folder / "assets"
    _, kept = assets.apart(f'<img src="data:image/png;base64,{"A" * 4000}">')
    files.write_all((folder / name, image) for name, image in kept.items())
    (folder / "precious.png").write_bytes(b"a photograph")
    for apart in (False, True):
        report.build(study, apart=apart)
        assert [path.name for path in folder.iterdir()] == ["precious.png"]
    shutil.rmtree(folder)
    (study.folder / "index.html").write_text(page, encoding="utf-8")


def test_a_report_notebook_with_somebodys_notes_is_kept(study, page, monkeypatch, capsys):
    monkeypatch.setattr(execution, "report", lambda *_: OURS)
    monkeypatch.setattr(report, "checked", lambda *_: None)
    edited, later = study.folder / "report.ipynb", (study.folder / "index.html").stat().st_mtime + 3600
    built = edited.read_bytes()
    edited.write_bytes(built.replace(b'"cells": [', b'"cells": [{"cell_type": "markdown", "source": "notes"},', 1))
    os.utime(edited, (later, later))
    report.build(study)
    assert "kept as report-edited.ipynb" in capsys.readouterr().out
    assert b"notes" in (study.folder / "report-edited.ipynb").read_bytes()
    assert b"notes" not in edited.read_bytes()
    (study.folder / "report-edited.ipynb").unlink()
    edited.write_bytes(built)
    (study.folder / "index.html").write_text(page, encoding="utf-8")


@pytest.mark.parametrize("ignored", [True, False])
def test_a_page_that_is_published_has_no_link_to_the_list_of_studies(tmp_path, monkeypatch, ignored):
    monkeypatch.setattr(execution, "report", lambda *_: OURS)
    monkeypatch.setattr(execution, "self_test", nbformat.v4.new_notebook)
    monkeypatch.setattr(plan, "REPORTS_DIR", home := tmp_path / "reports")
    (tmp_path / "s.yaml").write_text("notebooks: {gan_mnist: {defaults: {dataset: digits}, runs: [{}]}}")
    subprocess.run(["git", "init", "--quiet", home], check=True)
    (home / ".gitignore").write_text("*\n" if ignored else "index.html\n!s/index.html\n")
    markup = report.build(plan.read(str(tmp_path / "s.yaml"))).read_text(encoding="utf-8")
    assert ('href="../index.html"' in markup) == ignored
    assert 'href="s/index.html"' in (home / "index.html").read_text(encoding="utf-8")


def test_run_notebooks_show_code_and_sanitised_output(study):
    markup = (study.folder / "notebooks" / f"{study.runs[0].name}.html").read_text(encoding="utf-8")
    assert "of_notebook" in markup
    assert "&lt;script&gt;alert(1)" in markup  # what a cell printed
    assert "&lt;/script&gt;\nepoch 2/2\n</pre>" in markup  # lines in one block
    assert "alert(2)" not in markup  # what a cell put out as HTML
    assert 'alt="one &lt;pixel&gt;"' in markup
    assert 'href="../index.html"' in markup
    assert "interactive widget" in markup


def test_run_notebooks_are_converted_once(study, monkeypatch):
    one = next(entry for entry in records.collect(study).runs if entry.result)
    page = study.folder / "notebooks" / f"{one.name}.html"
    assert not report.outdated(one, page)
    page.touch()
    os.utime(page, (0, 0))
    assert report.outdated(one, page)
    page.touch()


def test_a_run_that_cannot_be_read_is_a_gap(tmp_path):
    (tmp_path / "s.yaml").write_text("notebooks: {vae_mnist: {defaults: {dataset: digits, width: 8}, runs: [{}]}}")
    study = plan.read(str(tmp_path / "s.yaml"), out=str(tmp_path))
    synthetic.finish(study)
    (study.runs[0].folder / "samples.npz").write_bytes(b"not a zip")
    (entry,) = records.collect(study).runs
    assert (entry.state, entry.result) == ("stale", None)
    assert "stale" in sections.model(records.of(str(study.path), str(tmp_path)), "VAE")


@pytest.fixture
def made(tmp_path):
    """A function: the page of a study of one notebook with these runs, and what else stands in its file."""

    def page(runs, more="", leave_out=(), notebook="gan_mnist", **options):
        defaults = f"{{dataset: {'digits' if notebook.endswith('mnist') else 'shapes'}, width: 8}}"
        text = f"notebooks: {{{notebook}: {{defaults: {defaults}, runs: {runs}}}}}\n{more}"
        (tmp_path / "s.yaml").write_text(text)
        study = plan.read(str(tmp_path / "s.yaml"), out=str(tmp_path))
        for number, run in enumerate(study.runs):
            if run.name not in leave_out:
                numbers = {name: value(number) if callable(value) else value for name, value in options.items()}
                synthetic.write(run, **numbers)
        return records.of(str(study.path), str(tmp_path))

    return page


SEEDS = "[{seed: [0, 1, 2]}]"


def test_seeds_share_a_panel_and_unknown_metrics_are_shown(made):
    figure = "figures: [{number: 1, kind: gallery, runs: [{gan_mnist: {}}]}]"
    found = made(SEEDS, figure, sharpness=lambda number: 0.5 + number / 10, new_score=0.125)
    assert "sharpness 0.600 ± 0.100" in sections.model(found, "GAN")
    assert "mean ± standard deviation of 3 seeds · images: seed 0" in sections.model(found, "GAN")
    assert sections.model(found, "GAN").count('<div class="panel">') == 3  # and the galleries of two more seeds
    assert "new score" in sections.results(found)
    assert "0.125 ± 0.000" in sections.results(found)


def test_seeds_are_one_row_with_a_link_each(made):
    missing = "gan_mnist-latent_dim3-width8-seed1-beta_10.3"
    found = made("[{seed: [0, 1, 2]}, {latent_dim: 3, beta_1: 0.3, seed: [0, 1]}]", leave_out=[missing])
    tables = Tags(sections.results(found))
    (row,) = [row for row in tables.rows if row[0] == "100 latents, width 8, beta 1 0.5; 3 seeds: 0 1 2"]
    metrics = [found.runs[number].metrics for number in range(3)]
    for metric in ("jsd_fresh", "frechet", "ndb"):
        values = [each[metric] for each in metrics]
        assert any(rounding.spread(values, places) in row for places in range(5))
    assert all("±" in cell for cell in row[1:])
    links = [attrs["href"] for tag, attrs in tables.tags if tag == "a"]
    assert [f"notebooks/{entry.name}.html" in links for entry in found.runs] == [True, True, True, True, False]
    assert "3 latents, width 8, beta 1 0.3; 1 of 2 seeds: 0 1 (missing)" in [row[0] for row in tables.rows]


def test_every_run_has_one_film_whatever_figures_show(made):
    figure = "figures: [{number: 1, kind: gallery, runs: [{gan_mnist: {latent_dim: 2}}]}]"
    found = made("[{latent_dim: [2, 3], seed: [0, 1]}]", figure)
    markup = sections.model(found, "GAN")
    films = re.findall(r'id="film-gan-mnist-latent-dim(\d)-width8-seed(\d)"', markup)
    assert films == [("2", "0"), ("3", "0"), ("2", "1"), ("3", "1")]  # a figure, further runs, and folded seeds
    assert "<summary>The galleries of 2 more runs</summary>" in markup
    assert "<b>3 latents, width 8, seed 1</b>" in markup


def test_a_run_that_kept_one_grid_has_a_plain_gallery(made):
    found = made("[{}]")
    path = found.runs[0].planned.folder / "samples.npz"
    with np.load(path) as arrays:
        kept = dict(arrays)
    np.savez(path, **kept | {"grids": kept["grids"][:1], "grid_epochs": kept["grid_epochs"][:1]})
    records._samples.cache_clear()
    markup = sections.model(records.of(str(found.study.path), str(found.study.folder)), "GAN")
    assert 'class="film"' not in markup
    assert 'class="epochs' not in markup
    assert "36 images by GAN on digits, 100 latents, width 8" in markup


def test_a_curve_of_several_seeds_is_their_mean_with_a_band(made, monkeypatch):
    drawn = []
    monkeypatch.setattr(sections.models, "drawing", lambda *_, **__: NOT_DRAWN)
    monkeypatch.setattr(figures, "training", lambda history, *_, band=None, **__: drawn.append((history, band)))
    found = made("[{seed: [0, 1, 2]}, {latent_dim: 3}]")
    sections.model(found, "GAN")
    (history, band), (alone, none) = drawn
    losses = [entry.history["jsd"][4] for entry in found.runs]
    assert history["jsd"][4] == pytest.approx(sum(losses[:3]) / 3)
    assert band["jsd"][4] == pytest.approx(statistics.stdev(losses[:3]))
    assert (alone["jsd"][4], none) == (losses[3], None)


GRID = "[{latent_dim: [2, 10], width: [8, 16, 32]}]"


def test_a_full_grid_gets_heat_maps(made):
    found = made(GRID)
    assert "Latent dimension by width" in sections.model(found, "GAN")
    alts = [
        attrs["alt"]
        for tag, attrs in Tags(sections.model(found, "GAN")).tags
        if tag == "img" and "Heat map" in attrs["alt"]
    ]
    titles = ("JSD, test (nats)", "sharpness (real = 1)", "Fréchet distance")
    assert [alt.partition(" over")[0] for alt in alts] == [f"Heat map of {title}" for title in titles]
    best = max(found.done, key=lambda entry: entry.metrics["frechet"])
    assert re.search(rf"to {best.metrics['frechet']:.1f}\d* at latent_dim {best.settings.latent_dim}, width", alts[2])


@pytest.mark.parametrize(
    ("runs", "leave_out"),
    [
        ("[{latent_dim: [2, 10, 20]}]", ()),  # one width
        ("[{latent_dim: [2, 10]}, {width: 16}]", ()),
        (GRID, ["gan_mnist-latent_dim10-width16-seed0"]),
        ("[{latent_dim: [2, 10], width: [8, 16]}]", ["gan_mnist-latent_dim10-width16-seed0"]),
        ("[{latent_dim: [2, 10]}, {latent_dim: [2, 10], width: 16, epochs: 3}]", ()),
    ],
)
def test_runs_that_are_no_full_grid_get_none(made, runs, leave_out):
    assert "Latent dimension by width" not in sections.model(made(runs, leave_out=leave_out), "GAN")


def test_a_heat_maps_cells_are_means_over_seeds(made):
    found = made("[{latent_dim: [2, 10], width: [8, 16], seed: [0, 1]}]", frechet=lambda number: 10.0 + number % 2)
    (cells,) = words.grids(found.done)
    assert sorted(cells) == [(2, 8), (2, 16), (10, 8), (10, 16)]
    assert "10.5 ± 0.7 at latent_dim 2, width 8" in sections.models.heat_map(cells, "frechet", "")["alt"]


def test_the_budget_adds_up(made):
    rows = {
        row[0]: row
        for row in Tags(sections.budget(made("[{latent_dim: 2}, {latent_dim: 3}]", notebook="wgan_mnist"))).rows
    }
    row = rows["WGAN on digits, 2 latents, width 8"]
    assert row[1:6] == ["12,560", "100", "500", "64,700", "12.0"]
    assert len(rows) == 3


def test_the_budget_has_one_row_for_all_seeds(made):
    _, row = Tags(sections.budget(made(SEEDS))).rows
    assert row[0] == "GAN on digits, 100 latents, width 8"
    assert row[2:5] == ["100", "100", "64,700"]  # a count, the same for all
    assert "±" in row[6]


def test_the_classifiers_accuracy_stands_with_its_numbers(made):
    found = made("[{}]", canonical=True)
    assert "partly based on" not in sections.verdicts(found)
    for piece in (sections.results(found), sections.verdicts(found)):
        assert "recognises 99.2 % of 10,000 test images of MNIST correctly" in piece


def test_without_labels_there_is_no_classifier(made):
    found = made("[{}]", labels=False)
    assert "recognises" not in sections.results(found) + sections.verdicts(found) + sections.published(found)
    assert "Fréchet, pixels" in sections.model(found, "GAN")
    assert "Fréchet, pixels" in sections.results(found)


def test_references_stand_once_for_each_dataset_without_those_that_depend_on_networks(made):
    found = made("[{latent_dim: [2, 3]}]", notebook="wgan_mnist")
    for number, one in enumerate(found.runs):
        path = one.planned.folder / "result.json"
        result = json.loads(path.read_text())
        result["references"]["emd_test"] = {"real": 0.1 * number}  # by the run's own critic
        result["references"]["ndb"]["blurred"] += number
        path.write_text(json.dumps(result))
    said = sections.results(records.of(str(found.study.path), str(found.study.folder)))
    ((title, rows),) = [one for one in folded(said).items() if "for comparison" in one[0]]
    assert title.endswith("Fréchet distance real 0.600, blurred 14.0")
    assert [row[0] for row in rows] == ["images", "real", "blurred", "noisy", "class removed", "mean image"]
    ndb = rows[0].index("NDB (bins)")
    assert [row[ndb] for row in rows[1:]] == ["5", "", "48", "13", "99"]
    assert "EMD, test" not in rows[0]
    assert "Do not rank models by it" in said


def test_images_stored_with_loss_are_named_wherever_their_numbers_stand(made, monkeypatch):
    found = made("[{latent_dim: [10, 100], width: 256}]", reencoded="CIFAR-10 through JPEG", notebook="gan_cifar10")
    assert "the images called CIFAR-10 through JPEG are copies of the canonical ones" in sections.title(found)
    assert "These runs used CIFAR-10 through JPEG." in sections.model(found, "GAN")
    for piece in (
        sections.datasets(found),
        sections.results(found),
        sections.verdicts(found),
        sections.provenance(found),
    ):
        assert "CIFAR-10 through JPEG" in piece
    assert "partly based on" in sections.verdicts(found)
    assert "-p dataset shapes" in sections.provenance(found)
    (claim,) = [one for one in found.verdicts if one.claim.number == 9]
    assert (claim.word, claim.why, claim.reencoded) == ("undecided", "1 seed", "CIFAR-10 through JPEG")
    monkeypatch.setattr(data, "fingerprint", lambda name: "of the canonical file")
    assert [one.state for one in records.of(str(found.study.path), str(found.study.folder)).done] == ["stale"] * 2


@pytest.mark.parametrize("epochs", [50, 9])
def test_only_where_other_runs_are_told_of_does_the_answer_say_so(tmp_path, monkeypatch, epochs):
    monkeypatch.setattr(plan, "PARAMETERS_DIR", tmp_path)
    text = "notebooks: {{vae_mnist: {{defaults: {{dataset: digits}}, runs: [{{latent_dim: [2, 10], {}}}]}}}}\n"
    (tmp_path / "one.yaml").write_text(text.format("epochs: 50") + "evidence: [seeds]\n")
    (tmp_path / "seeds.yaml").write_text(text.format(f"epochs: {epochs}, seed: [1, 2]"))
    for name in ("one", "seeds"):
        for run in plan.read(name, out=str(tmp_path / "out" / name)).runs:
            synthetic.write(run)
    answer = sections.answer(records.of("one", str(tmp_path / "out" / "one")))
    assert "In brackets: the change of the Fréchet distance" in answer
    assert ("which may be shorter than others" in answer) == (epochs == 9)


def test_claims_are_tested_on_the_runs_of_other_studies_too(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "PARAMETERS_DIR", tmp_path)
    text = "title: {0}\nnotebooks: {{vae_mnist: {{defaults: {{dataset: digits, width: 512}}, runs: [{1}]}}}}\n"
    (tmp_path / "one.yaml").write_text(text.format("One", "{latent_dim: [2, 10, 20]}") + "evidence: [seeds]\n")
    (tmp_path / "seeds.yaml").write_text(text.format("Seeds", "{latent_dim: [2, 10, 20], seed: [1, 2]}"))
    (tmp_path / "child.yaml").write_text("extends: one.yaml\n")
    for name in ("one", "seeds"):
        for run in plan.read(name, out=str(tmp_path / "out" / name)).runs:
            loss = 150 - 2 * run.settings.latent_dim + run.settings.seed / 10
            synthetic.write(run, canonical=True, test_loss=loss)
    found = records.of("one", str(tmp_path / "out" / "one"))
    assert str(found.verdicts[0]) == "supported"
    assert "6 runs of “Seeds”, with these numbers of epochs: VAE on MNIST 50." in sections.verdicts(found)
    rows = {row[0]: row[-3:] for row in Tags(sections.verdicts(found)).rows if row}
    assert rows["comparison"] == ["seeds", "epochs", "holds"]
    assert rows["VAE on MNIST, width 512: 2 → 10 latents"] == ["3", "50", "open, points to yes"]
    for folder in (tmp_path / "out" / "seeds").glob("*/*"):  # their numbers alone are published
        shutil.rmtree(folder / "model")
        for file in folder.iterdir():
            if file.name != "result.json":
                file.unlink()
    (tmp_path / "out" / "seeds" / "index.html").touch()
    found = records.of("one", str(tmp_path / "out" / "one"))
    assert str(found.verdicts[0]) == "supported"
    assert 'Also tested on 6 runs of <a href="../seeds/index.html">“Seeds”</a>, with' in sections.verdicts(found)
    summary = landing.summary(found)
    assert summary["tally"] == claims.tally(found.verdicts) != claims.tally(claims.verdicts([]))
    damaged = next((tmp_path / "out" / "seeds").glob("*/*/result.json"))
    damaged.write_text(damaged.read_text()[:-1])
    found = records.of("one", str(tmp_path / "out" / "one"))
    assert "Also tested on 5 runs of" in sections.verdicts(found)
    assert plan.read("child").evidence == ()
    (tmp_path / "one.yaml").write_text(text.format("One", "{}") + "evidence: [seed]\n")
    with pytest.raises(
        UserError, match=r"evidence: unknown study 'seed' \(did you mean seeds\?\); known: child, seeds"
    ):
        plan.read("one")


def test_a_page_asks_what_the_settings_do_that_vary(made):
    figures = "figures: [{number: 1, kind: gallery, runs: [{gan_mnist: {network: mlp}}, {gan_mnist: {network: conv}}]}]"
    found = made("[{network: [mlp, conv]}]", figures, frechet=lambda number: 10.0 - 4 * number)
    said = sections.answer(found)
    assert "What does network do?" in said
    assert "<strong>With network conv instead of mlp:</strong> images closer to real ones" in said
    assert all(f"<span>network {network}</span>" in said for network in ("mlp", "conv"))
    for network in ("mlp", "conv"):
        assert f"<b>100 latents, width 8, {network} network</b>" in sections.model(found, "GAN")
    assert "What do latent dimension and width do?" in sections.answer(
        made("[{latent_dim: [2, 3]}, {latent_dim: 2, width: 9}]")
    )


def test_a_row_of_the_verdicts_unfolds_to_its_comparisons(made):
    runs = "[{latent_dim: [2, 10, 20], width: 512, seed: [0, 1, 2]}]"
    found = made(
        runs, notebook="vae_mnist", canonical=True, test_loss=lambda number: 150 - 0.5 * (number // 3) + number % 3
    )
    said = sections.verdicts(found)
    row = said[said.index('id="claim-1"') : said.index('id="claim-2"')]
    assert row.count("<details>") == 1
    assert "<b>Rule.</b> The test loss is at least 1 % lower at each step" in row
    cells = {each[0]: each[1:] for each in Tags(f"<tr {row}").rows if len(each) == 10}
    compared = cells["VAE on MNIST, width 512: 2 → 10 latents"]
    assert compared[1:3] == ["151.0 ± 1.0", "150.5 ± 1.0"]
    there_but_smaller = ("yes", "1 % lower", "no", "no")
    assert (compared[3], compared[4], compared[5], compared[8]) == there_but_smaller
    assert '<span class="verdict refuted">refuted</span>' in row


def test_a_claim_names_the_figures_of_what_it_compares(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "PARAMETERS_DIR", tmp_path)
    figure = "figures: [{number: 1, kind: gallery, runs: [{gan_mnist: {network: mlp}}]}]\n"
    grid = "notebooks: {{gan_mnist: {{defaults: {{dataset: digits, width: 8}}, runs: [{{network: {}}}]}}}}\n"
    (tmp_path / "one.yaml").write_text(grid.format("mlp") + figure + "evidence: [both]\n")
    (tmp_path / "both.yaml").write_text(grid.format("[mlp, conv]") + figure)
    for name in ("one", "both"):
        for run in plan.read(name, out=str(tmp_path / "out" / name)).runs:
            synthetic.write(run, frechet=9.0)
    for name in ("one", "both"):
        found = records.of(name, str(tmp_path / "out" / name))
        assert len(found.verdicts[13].outcomes) == 1  # mlp against conv
        assert ("<b>Shown in</b>" in sections.verdicts(found)) == (name == "both")


SHOWN = {"test_loss": "loss", "jsd_test": "jsd", "jsd_fresh": "jsd"}  # by metric, the kind of figure that shows it


def test_no_claim_cites_a_figure_that_does_not_show_what_it_compares(tmp_path, monkeypatch):
    monkeypatch.setattr(sections.models, "drawing", lambda *_, **__: NOT_DRAWN)
    text = f"extends: {plan.PARAMETERS_DIR / 'homework.yaml'}\ndatasets: {{mnist: digits, cifar10: shapes}}\n"
    (tmp_path / "s.yaml").write_text(text)
    study = plan.read(str(tmp_path / "s.yaml"), out=str(tmp_path))
    synthetic.finish(study)
    found = records.of(str(study.path), str(tmp_path))
    kinds = {one.number: set(one.kinds) for one in study.figures}
    cited = {}
    for verdict in found.verdicts:
        words = [piece["text"] for piece in shown_in(found, verdict) if "href" in piece]
        cited[verdict.claim.number] = [int(word.removeprefix("Figure ")) for word in words]
        metrics = {metric for test in verdict.claim.tests for metric in test.measure.metrics}
        wanted = {SHOWN.get(metric, "gallery") for metric in metrics}
        assert all(kinds[number] & wanted for number in cited[verdict.claim.number]), verdict.claim
    assert not any({1, 6} & set(numbers) for numbers in cited.values())  # tables of layers
    assert (cited[1], cited[2], cited[3], cited[5], cited[7]) == ([2, 3], [2, 4], [2, 5], [7, 8], [9])
    assert (cited[8], cited[9], cited[11]) == ([10, 13], [10, 12], [14, 17])
    told = "".join(piece["text"] for piece in shown_in(found, found.verdicts[7]))
    assert told == "Figure 10 to Figure 13"
    assert (cited[13], cited[14]) == ([], [])


def test_a_number_that_a_run_cannot_have_is_a_dash_with_a_reason(made):
    found = made("[{latent_dim: [2, 3]}]")
    path = found.runs[1].planned.folder / "result.json"
    result = json.loads(path.read_text())
    reason = "all generated images are the same"
    result["absent"] = dict.fromkeys(("recall", "precision"), reason)
    for name in result["absent"]:
        del result["metrics"][name], result["references"][name], result["samples_n"][name]
    path.write_text(json.dumps(result))
    found = records.of(str(found.study.path), str(found.study.folder))
    said = sections.results(found)
    assert f"No precision and recall for 3 latents, width 8: {reason}." in said
    rows = {row[0]: row for row in Tags(said).rows}
    assert rows["3 latents, width 8"].count("–") == 2
    assert "–" not in rows["2 latents, width 8"]
    assert len(found.verdicts) == 14
    rows = list(csv.DictReader(io.StringIO(found.csv)))
    assert (rows[1]["recall"], rows[1]["precision_real"]) == ("", "")
    assert float(rows[0]["recall"]) == found.runs[0].metrics["recall"]
    for one in found.runs:  # a number that no run has is a column of dashes
        record = json.loads((one.planned.folder / "result.json").read_text())
        record["metrics"].pop("recall", None)
        record["absent"] = {"recall": reason}
        (one.planned.folder / "result.json").write_text(json.dumps(record))
    found = records.of(str(found.study.path), str(found.study.folder))
    assert "recall (share)" in sections.results(found)
    assert f"No recall: {reason}." in sections.results(found)  # of all of them
    assert "recall" in next(csv.reader(io.StringIO(found.csv)))


def every_piece(found):
    """Every piece of the report."""
    models = [sections.model(found, model) for model in ("VAE", "GAN", "WGAN")]
    names = "title findings datasets protocol further results all_runs compare scatter self_test budget networks"
    names += " answer assumptions verdicts conclusion published provenance data"
    return models + [getattr(sections, name)(found) for name in names.split()]


@pytest.mark.parametrize("notebook", ["vae_mnist", "gan_mnist", "wgan_cifar10"])
@pytest.mark.parametrize(
    "change",
    [
        lambda result: result.update(references={}),
        lambda result: result.pop("references"),
        lambda result: result.update(metrics={}),
        lambda result: result.update(metrics=dict.fromkeys(result["metrics"], 0)),
        lambda result: result.update(metrics=dict.fromkeys(result["metrics"], 7.0)),
        lambda result: result.update(metrics=dict.fromkeys(result["metrics"], float("nan"))),
        lambda result: result.update(references={name: {"real": 0.0} for name in result["metrics"]}),
        lambda result: result.update(references={name: {"real": None} for name in result["metrics"]}),
        lambda result: [result.pop(name) for name in ("scorecard", "samples_n", "steps", "images_per_second")],
        lambda result: result["scorecard"].pop("classifier_accuracy"),
    ],
)
def test_records_that_lack_numbers_or_have_constant_ones_are_shown(made, notebook, change, monkeypatch):
    draw = sections.models.drawing  # of what changes here, heat maps alone are drawn: that takes longest
    monkeypatch.setattr(
        sections.models, "drawing", lambda one, **how: draw(one, **how) if "Heat map" in one.alt else NOT_DRAWN
    )
    runs = "[{latent_dim: [2, 3], width: [8, 16]}, {latent_dim: 5, seed: [0, 1, 2]}]"
    found = made(runs, notebook=notebook, canonical=True)
    for one in found.runs[1:]:
        path = one.planned.folder / "result.json"
        result = json.loads(path.read_text())
        change(result)
        path.write_text(json.dumps(result))
    found = records.of(str(found.study.path), str(found.study.folder))
    assert len(found.done) == 7
    for piece in every_piece(found):
        assert "nan" not in re.sub(r'="[^"]*"|<script.*?</script>', "", piece)
    numbers = re.search(r"<script[^>]*>(.*)</script>", sections.data(found), flags=re.DOTALL)[1]
    json.loads(numbers, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found.csv


@pytest.mark.parametrize("history", ["epoch\n", "epoch,other\n1,2\n", "epoch,jsd\n1,nan\n2,0.5\n", "epoch,jsd\n1,0\n"])
def test_runs_whose_curve_is_missing_or_constant_are_shown(made, history):
    found = made("[{latent_dim: 2}, {latent_dim: 3, seed: [0, 1]}]")
    for one in found.runs[1:]:
        (one.planned.folder / "history.csv").write_text(history)
    found = records.of(str(found.study.path), str(found.study.folder))
    assert len(found.done) == 3
    assert all(isinstance(piece, str) for piece in every_piece(found))


def test_numbers_that_say_less_than_they_seem_to_are_named(made):
    said = sections.results(made("[{latent_dim: [2, 3]}]", notebook="wgan_mnist", emd_test=lambda number: 0.5 - number))
    assert "The EMD of the run with 3 latents, width 8 is negative: the critic has failed" in said
    assert "is not a likelihood" in sections.results(made("[{}]", notebook="vae_mnist"))
    assert "is not a likelihood" not in sections.results(made("[{binarize: dynamic}]", notebook="vae_mnist"))


def test_published_numbers_stand_beside_ours(made):
    found = made("[{latent_dim: 20}]", notebook="vae_mnist", canonical=True, test_loss=104.0)
    (row,) = [row for row in Tags(sections.published(found)).rows if "105.6 nats" in row]
    assert row[3] == "104.0, test loss"
    assert "width 8 (theirs 400)" in row[4]
    assert row[5] == "agrees (1.5 % below; tolerance 5 %)"
    assert sections.published(found).count('<tr class="beside">') == 1
    assert "18 more published numbers have no comparable run" in sections.published(found)


def test_a_study_without_figures_shows_every_run(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "notebooks: {wgan_mnist: {defaults: {dataset: digits, width: 8}, runs: [{latent_dim: [1, 2]}]}}"
    )
    study = plan.read(str(tmp_path / "s.yaml"), out=str(tmp_path))
    synthetic.finish(study)
    found = records.of(str(study.path), str(tmp_path))
    assert sections.model(found, "WGAN").count("<figure") == 2
    assert "no VAE runs" in sections.model(found, "VAE")
    assert sections.further(found) == ""


def test_the_same_page_is_built_from_what_is_published_of_runs(made):
    found = made("[{latent_dim: [2, 3]}]")
    whole = [sections.title(found), sections.model(found, "GAN"), sections.results(found), sections.verdicts(found)]
    for one in found.runs:
        (one.planned.folder / "notebook.ipynb").unlink()
        shutil.rmtree(one.planned.folder / "model")
    again = records.of(str(found.study.path), str(found.study.folder))
    assert [one.state for one in again.done] == ["published"] * 2
    parts = [sections.title(again), sections.model(again, "GAN"), sections.results(again), sections.verdicts(again)]
    links = re.compile(r'<a href="notebooks/[^"]*">([^<]*)</a>')
    assert [links.sub(r"\1", part) for part in whole] == parts


def test_runs_with_numbers_of_earlier_code_are_shown_and_named(tmp_path):
    (tmp_path / "s.yaml").write_text("notebooks: {gan_mnist: {defaults: {dataset: digits}, runs: [{seed: [0, 1]}]}}")
    study = plan.read(str(tmp_path / "s.yaml"), out=str(tmp_path))
    synthetic.finish(study)
    path = study.runs[0].folder / "result.json"
    result = json.loads(path.read_text())
    result["keys"]["evaluation"] = {"sources": {}}
    path.write_text(json.dumps(result))
    found = records.of(str(study.path), str(tmp_path))
    assert len(found.done) == 2
    assert "those of 1 run come from an earlier version of the code" in sections.title(found)
    assert "computed again after training" not in sections.title(found)
    path.write_text(json.dumps(result | {"evaluated": "2026-01-01T00:00:00+0000"}))
    assert "Some numbers were computed again after training" in sections.title(
        records.of(str(study.path), str(tmp_path))
    )


def test_homework_has_seventeen_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(sections.models, "drawing", lambda *_, **__: NOT_DRAWN)
    homework = plan.PARAMETERS_DIR / "homework.yaml"
    (tmp_path / "s.yaml").write_text(f"extends: {homework}\ndatasets: {{mnist: digits, cifar10: shapes}}\n")
    study = plan.read(str(tmp_path / "s.yaml"), out=str(tmp_path))
    synthetic.finish(study)
    found = records.of(str(study.path), str(tmp_path))
    markup = "".join(sections.model(found, model) for model in ("VAE", "GAN", "WGAN"))
    order = [int(number) for number in re.findall(r'<figure id="fig-(\d+)"', markup)]
    assert order == list(range(1, 18))
    assert 'width in <a href="#fig-10">Figure 10</a>' in sections.assumptions(found)
    assert 'latent dimension in <a href="#fig-17">Figure 17</a>' in sections.assumptions(found)
    assert len(found.done) == 22


def test_rendering_makes_html_in_markdown_visible_text():
    notebook = nbformat.v4.new_notebook()
    source = (
        f"# Title {EVIL}\n\n{EVIL}\n\n[x](javascript:alert(3)) $x^2$ [y](other.ipynb) ![z](https://example.org/z.png)"
    )
    notebook.cells = [nbformat.v4.new_markdown_cell(source)]
    markup = render(notebook, "t")
    tags = Tags(markup).tags
    assert [attrs for tag, attrs in tags if tag == "script"] == [{}, {}]  # the page's own
    assert not [attrs for _, attrs in tags if "javascript" in (attrs.get("href") or "")]
    assert "img" not in {tag for tag, _ in tags}
    assert "math" in {tag for tag, _ in tags}


def test_a_reference_to_no_figure_fails(made):
    figures = "figures: [{number: 1, kind: gallery, runs: [{gan_mnist: {}}], caption: 'Unlike [fig:2]'}]"
    with pytest.raises(UserError, match=r"figure 1: caption: \[fig:2\] refers to no figure"):
        sections.model(made("[{}]", figures), "GAN")


def test_findings_are_filled_with_the_runs_numbers(made):
    figures = "figures: [{number: 1, kind: gallery, runs: [{gan_mnist: {}}]}]"
    run = "gan_mnist-latent_dim100-width8-seed0"
    texts = [f"[num:images_per_second {run}]", f"Sharpness [num:sharpness {run}], see [fig:1].", "**Odd** <b> [5*3]**"]
    found = made("[{}]", f"{figures}\nfindings: {texts}", sharpness=1.23456)
    said = sections.findings(found)
    assert f'<p class="finding">{rounding.number(found.done[0].result["images_per_second"])}</p>' in said
    assert '<p class="finding">Sharpness 1.23, see <a href="#fig-1">Figure 1</a>.</p>' in said
    assert "<summary><strong>Odd</strong></summary><p> &lt;b&gt; [5*3]**</p></details>" in said
    assert not sections.findings(records.of(str(found.study.path), str(found.study.folder), {"epochs": 1}))


def test_evidence_is_found_in_reports_when_it_is_not_beside_the_study(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "PARAMETERS_DIR", tmp_path)
    monkeypatch.setattr(plan, "REPORTS_DIR", tmp_path / "reports")
    grid = "notebooks: {gan_mnist: {defaults: {dataset: digits, width: 8}, runs: [{}]}}\n"
    (tmp_path / "others.yaml").write_text(grid)
    (tmp_path / "own.yaml").write_text(grid + "evidence: [others]\n")
    synthetic.finish(plan.read("others"))
    found = records.of("own", str(tmp_path / "elsewhere" / "own"))
    assert [len(found) for _, found in found.evidence] == [1]


def test_gaps_are_said_in_one_line_with_the_command_that_fills_them(made, capsys, monkeypatch):
    monkeypatch.setattr(execution, "report", lambda *_: OURS)
    monkeypatch.setattr(execution, "self_test", nbformat.v4.new_notebook)
    study = made("[{latent_dim: [10, 11], width: 8}]").study
    words = [str(study.path), "--out", str(study.folder)]

    def said(*more):
        assert main(["report", *words, *more]) == 0
        return capsys.readouterr().err

    assert said() == ""
    shutil.rmtree(study.runs[0].folder)
    assert said() == (
        f"latent-report: the report lacks 1 of 2 runs; to make what is missing: latent-report run {' '.join(words)}\n"
    )
    (study.folder / "summary.json").unlink()
    shutil.rmtree(study.runs[1].folder)
    assert "lacks 2 of 2 runs" in (found := said("-p", "epochs", "3"))
    assert found.endswith(" -p epochs 3\n")


def test_a_page_is_not_replaced_by_one_of_gaps_only(made, capsys):
    study = made("[{latent_dim: 10, width: 8}]").study
    (study.folder / "index.html").write_text('<meta content="Latent Report">as it was')
    (study.folder / "summary.json").write_text('{"done": 58, "tally": ""}')
    shutil.rmtree(study.runs[0].folder)  # as of a study of which a clone has only the page
    assert main(["report", str(study.path), "--out", str(study.folder)]) == 1
    assert "left as it is: it shows 58 runs, and none of them can be shown from what is here" in capsys.readouterr().err
    assert "as it was" in (study.folder / "index.html").read_text()


def test_findings_have_means_over_seeds_and_numbers_of_the_evidence(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "PARAMETERS_DIR", tmp_path)
    setting = "gan_mnist-latent_dim100-width8"
    grid = f"notebooks: {{gan_mnist: {{defaults: {{dataset: digits, width: 8}}, runs: {SEEDS}}}}}\n"
    found = f"'Here [num:sharpness {setting}], there [num:sharpness others/{setting}-seed1].'"
    theirs = f"'[fig:1] has **much** [num:sharpness {setting}-seed2].'"
    figures = "figures: [{number: 1, kind: gallery, runs: [{gan_mnist: {}}]}]\n"
    (tmp_path / "others.yaml").write_text(f"title: Others\n{grid}{figures}findings: [{theirs}]\n")
    (tmp_path / "own.yaml").write_text(f"{grid}evidence: [others]\nfindings: [{found}]\n")
    for name in ("own", "others"):
        for number, run in enumerate(plan.read(name, out=str(tmp_path / name)).runs):
            synthetic.write(run, sharpness=1.0 + number / 10)
    found = records.of("own", str(tmp_path / "own"))
    assert ">Here 1.10 ± 0.10, there 1.10.</p>" in sections.findings(found)
    assert '<h3 id="found-by-others">Findings of “Others”</h3>' in sections.conclusion(found)
    assert "Figure 1 of that study has <strong>much</strong> 1.20.</p>" in sections.conclusion(found)
    (tmp_path / "others" / "index.html").touch()
    assert '<a href="../others/index.html#fig-1">Figure 1 of that study</a> has' in sections.conclusion(found)


@pytest.mark.parametrize(
    "wrong", ["num:sharp RUN", "num:sharpness RUM", "num:sharpness other/RUN", "num:sharpness", "fig:x"]
)
def test_findings_that_name_what_is_not_there_fail(made, wrong):
    wrong = wrong.replace("RUN", "gan_mnist-latent_dim100-width8-seed0")
    with pytest.raises(UserError, match=re.escape(f"findings[0]: [{wrong}] refers to no")):
        sections.findings(made("[{}]", f"findings: ['[{wrong}]']"))


def test_a_run_without_numbers_leaves_a_dash_in_the_findings(made):
    run = "gan_mnist-latent_dim100-width8-seed0"
    assert "It is –." in sections.findings(made("[{}]", f"findings: ['It is [num:sharpness {run}].']", leave_out=[run]))


def test_a_page_that_lacks_a_figure_or_leads_nowhere_fails(study, page):
    report.checked(page, study)
    with pytest.raises(UserError, match="each figure exactly once, unlike Figure 2"):
        report.checked(page.replace('id="fig-2"', 'id="figure-2"').replace('href="#fig-2"', ""), study)
    with pytest.raises(UserError, match="lead nowhere: nowhere"):
        report.checked(page.replace("</main>", '<a href="#nowhere">x</a></main>'), study)


def test_runs_of_earlier_code_are_shown_and_named_but_not_those_of_other_settings(made):
    found = made("[{seed: [0, 1]}]")
    for one, part, value in (
        (found.runs[0], "sources", {"models": "0" * 64}),
        (found.runs[1], "settings", {"epochs": 1}),
    ):
        path = one.planned.folder / "result.json"
        result = json.loads(path.read_text())
        result["keys"]["training"][part] |= value
        if part == "settings":
            result["settings"] |= value
        path.write_text(json.dumps(result))
    again = records.of(str(found.study.path), str(found.study.folder))
    assert [(one.state, bool(one.result)) for one in again.runs] == [("stale", True), ("stale", False)]
    assert (
        "1 of 2 runs were made with other code or data than the present ones (sources.models changed)"
        in sections.title(again)
    )


def test_every_run_can_be_made_again_by_the_command_that_stands_there(made):
    found = made("[{latent_dim: 3, seed: 1}]")
    (words,) = re.findall(r"<code>(papermill [^<]*)</code>", sections.provenance(found))
    assert words.startswith("papermill notebooks/gan_mnist.ipynb gan_mnist-latent_dim3-width8-seed1.ipynb")
    assert all(part in words for part in ("-p dataset digits", "-p seed 1", "-p latent_dim 3", "-p width 8"))


def test_the_list_of_studies_names_each_with_a_report(study, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        summary = landing.summary(records.collect(study)) | {"title": f"{name} {EVIL}"}
        (tmp_path / name / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "one" / "index.html").write_text("")
    markup = landing.landing(tmp_path / "index.html")
    assert 'href="one/index.html"' in markup
    assert 'href="two/index.html"' not in markup  # it has no report
    assert "4 of 5 runs" in markup
    assert "<script>alert" not in markup


def test_a_report_that_is_built_from_within_jupyterlab_is_the_page(page):
    assert 'id="study-data"' in page  # what the page's script needs


def test_contents_nest_headings():
    markup = '<h3 id="z">Z</h3><h2 id="a">A</h2><h3 id="b"><i>B</i></h3><h2 id="c">C</h2>'
    nested = '<li><a href="#a">A</a><ul><li><a href="#b">B</a></li></ul></li>'
    assert contents(markup) == f'<ul><li><a href="#z">Z</a></li>{nested}<li><a href="#c">C</a></li></ul>'
    assert contents("") == ""


def test_a_folder_that_cannot_be_written_is_a_users_error(study, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "report", lambda *_: OURS)
    (tmp_path / "file").write_text("")
    blocked = plan.read(str(study.path), out=str(tmp_path / "file" / "out"))
    with pytest.raises(UserError, match="cannot be written"):
        report.build(blocked)


def test_the_report_needs_no_tensorflow():
    code = "import sys, lib.report.page; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


HINGE = """
from dataclasses import replace
from lib.models import GAN

class Model(GAN):
    @classmethod
    def describe(cls, settings):
        return replace(super().describe(settings), title="Hinge GAN")
"""
OWN = """
notebooks:
  vae_mnist: {defaults: {dataset: digits, width: 8}, runs: [{latent_dim: 2}]}
  lsgan_mnist: {defaults: {dataset: digits, width: 8}, runs: [{seed: [0, 1]}]}
  beta_vae_mnist: {defaults: {dataset: digits, width: 8}, runs: [{latent_dim: 2}]}
  PATH: {defaults: {dataset: shapes}, runs: [{latent_dim: [2, 10], width: [8, 16]}, {dataset: digits, latent_dim: 3}]}
figures:
  - {number: 1, kind: [chi2, gallery], runs: [{lsgan_mnist: {seed: 0}}]}
  - {number: 2, section: Hinge GAN / shapes / By itself, kind: [gallery], runs: [{PATH: {latent_dim: 2, width: 8}}]}
"""


@pytest.fixture
def own(tmp_path):
    """The records of a study of models that notebooks define, one of them for any images."""
    defaults = 'notebook: str = "hinge"\nlatent_dim: int = 2\nwidth: int = 8\ndataset: str = "shapes"'
    cells = [nbformat.v4.new_code_cell(source) for source in (defaults, HINGE)]
    cells[0].metadata["tags"], cells[1].metadata["tags"] = ["parameters"], ["model"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "hinge.ipynb")
    (tmp_path / "own.yaml").write_text(OWN.replace("PATH", str(tmp_path / "hinge.ipynb")))
    study = plan.read(str(tmp_path / "own.yaml"), out=str(tmp_path / "out"))
    synthetic.finish(study)
    return records.collect(study)


def test_own_models_have_sections_in_the_studys_order_with_all_that_ours_have(own):
    markup = sections.further(own)
    tags = Tags(markup).tags
    assert re.findall(r"<h2 id=[^>]*>([^<]*)<", markup) == ["LSGAN", "β-VAE", "Hinge GAN"]
    ids = [attrs["id"] for _, attrs in Tags(sections.model(own, "VAE") + markup).tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {"fig-1", "fig-2"} <= {*ids}
    assert re.findall(r"<h4 id=[^>]*>([^<]*)<", markup[markup.index(">Hinge GAN<") :]) == [
        "By itself",
        "Further runs",
        "Latent dimension by width",
    ]
    alts = [attrs["alt"] for tag, attrs in tags if tag == "img"]
    assert any("χ² estimate from" in alt for alt in alts)
    assert any("loss (weighted) from" in alt for alt in alts)
    assert sum(", from the same latent vectors" in alt for alt in alts) == 8  # a film for each run
    assert "Reconstructions and latent maps of one setting" in markup
    assert "Hinge GAN on shapes" in sections.answer(own)


def test_own_models_have_tables_and_can_be_compared(own):
    said = sections.results(own)
    for title in ("LSGAN on digits: 1 setting, 2 runs", "β-VAE on digits: 1 run", "Hinge GAN on shapes: 5 runs"):
        assert title in said
    heads = [row for row in Tags(said).rows if row[0] == "setting"]
    assert any("test loss (nats)" in row for row in heads)
    table = Tags(sections.all_runs(own))
    assert ["LSGAN on digits, 100 latents, width 8, seed 1", "LSGAN", "digits"] in [row[:3] for row in table.rows]
    assert "lsgan_mnist-latent_dim100-width8-seed1" in {attrs.get("title") for _, attrs in table.tags}
    shown = json.loads(re.search(r"<script[^>]*>(.*)</script>", sections.data(own), flags=re.DOTALL)[1])["runs"]
    curves = {run["model"]: run["curve"] for run in shown}
    assert curves["LSGAN"]["label"] == "χ² estimate"
    assert len(curves["LSGAN"]["values"]) == 12
    assert {row["notebook"] for row in csv.DictReader(io.StringIO(own.csv))} >= {"lsgan_mnist"}
    assert "notebooks/examples/lsgan_mnist.ipynb" in sections.provenance(own)
    assert all(one.word in ("undecided", "no verdict") for one in own.verdicts)


def test_a_distance_by_several_classifiers_shows_its_lowest_and_highest_wherever_it_stands(made, tmp_path):
    found = made("[{latent_dim: [2, 10]}]", frechet=9.0)
    assert "Fréchet distances come from this one classifier" in sections.results(found)
    assert "frechet_classifier_2" not in found.csv
    first = found.done[0]
    others = [{"seed": seed, "metrics": {"frechet": value}} for seed, value in ((2, 8.5), (3, 12.25))]
    first.result["further_classifiers"] = others
    again = records.Records(found.study, found.runs, [])
    shown = sections.results(again)
    assert "9.00 (8.50 to 12.25)" in shown
    assert "from 3 classifiers" in shown
    assert "Some runs were scored by one classifier only." in shown
    assert "9.00 (8.50 to 12.25)" in sections.all_runs(again)
    assert '"further": {"frechet": [8.5, 12.25]}' in sections.data(again)
    rows = list(csv.DictReader(io.StringIO(again.csv)))
    assert [row["frechet_classifier_3"] for row in rows] == ["12.25", ""]
