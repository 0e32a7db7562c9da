"""Runs in a folder without a study file, such as those made in notebooks, are reported like a study's."""

import json

import nbformat
import pytest
import synthetic

from lib.__main__ import main
from lib.notebooks import ROOT
from lib.report import execution, records, sections
from lib.settings import UserError
from lib.study import found, plan

STUDY = """
notebooks:
  vae_mnist: {defaults: {dataset: digits, width: 8}, runs: [{latent_dim: [2, 10]}]}
  gan_mnist: {defaults: {dataset: digits, width: 8}, runs: [{}]}
"""

PARTS = [
    "run",
    "notebook",
    "keys",
    "settings",
    "dataset",
    "layers",
    "parameters",
    "seconds",
    "steps",
    "images_seen",
    "images_per_second",
    "continued_after",
    "peak_rss_mib",
    "metrics",
    "references",
    "samples_n",
    "scorecard",
    "finished",
    "machine",
    "versions",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """reports/notebooks with three finished runs, as notebooks leave them: there is no study file."""
    (tmp_path / "s.yaml").write_text(STUDY)
    monkeypatch.setattr(plan, "REPORTS_DIR", tmp_path / "reports")
    synthetic.finish(plan.read(str(tmp_path / "s.yaml"), out=str(tmp_path / "reports" / "notebooks")))
    return tmp_path / "reports" / "notebooks"


def changed(folder, run, change):
    """Changes the record of a run."""
    path = folder / "runs" / run / "result.json"
    result = json.loads(path.read_text())
    change(result)
    path.write_text(json.dumps(result))


def test_the_runs_of_notebooks_are_a_study(folder):
    study = plan.read("notebooks", check_data=False)
    assert [run.name for run in study.runs] == [
        "vae_mnist-latent_dim2-width8-seed0",
        "vae_mnist-latent_dim10-width8-seed0",
        "gan_mnist-latent_dim100-width8-seed0",
    ]
    assert (study.name, study.title, study.folder) == ("notebooks", "Runs made in notebooks", folder)
    page = records.of("notebooks")
    assert [one.state for one in page.runs] == ["done"] * 3
    assert "3 runs of VAE and GAN on digits" in sections.title(page)
    assert "What does latent dimension do?" in sections.answer(page)
    assert "vae_mnist-latent_dim10-width8-seed0" in sections.results(page)


def test_a_folder_of_runs_is_found_by_name_and_by_path(folder, tmp_path, monkeypatch):
    assert plan.read(str(folder)).folder == folder
    (folder.parent / "other").symlink_to(folder)
    assert plan.read("other").title == "The runs in other"
    assert plan.read("notebooks", out=str(folder.parent / "other")).folder == folder.parent / "other"
    monkeypatch.chdir(folder.parent)
    assert plan.read("./notebooks").folder == folder
    assert plan.find(str(ROOT / "reports" / "homework")) != plan.PARAMETERS_DIR  # another reports/


def test_a_studys_own_folder_is_that_study():
    assert plan.find(str(plan.REPORTS_DIR / "small")) == plan.PARAMETERS_DIR / "small.yaml"


def test_runs_of_earlier_code_and_other_data_are_shown(folder):
    def older(result):
        for settings in (result["settings"], result["keys"]["training"]["settings"]):
            del settings["activation"]
        result["keys"]["training"]["notebook"] = "0" * 64

    changed(folder, "vae_mnist-latent_dim2-width8-seed0", older)
    changed(folder, "vae_mnist-latent_dim10-width8-seed0", lambda result: result["keys"]["training"].update(data="0"))
    page = records.of("notebooks")
    assert [(one.state, bool(one.result)) for one in page.runs] == [("stale", True), ("stale", True), ("done", True)]
    assert page.runs[0].settings.activation == "relu"  # the notebook's default
    assert "latent-report run trains them again" not in sections.title(page)


def test_a_setting_that_was_added_later_hides_no_run_of_a_study(folder):
    def older(result):
        del result["settings"]["activation"]
        del result["keys"]["training"]["settings"]["activation"]

    changed(folder, "vae_mnist-latent_dim2-width8-seed0", older)
    page = records.of(str(folder.parent.parent / "s.yaml"), str(folder))
    assert [(one.state, bool(one.result)) for one in page.runs] == [("stale", True), ("done", True), ("done", True)]


def test_damaged_and_unknown_runs_are_named_and_left_out(folder, capsys):
    (folder / "runs" / "vae_mnist-latent_dim2-width8-seed0" / "result.json").write_text("{")
    changed(
        folder, "vae_mnist-latent_dim10-width8-seed0", lambda result: result["settings"].update(notebook="vae_faces")
    )
    assert main(["status", "notebooks"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "1 runs: 1 done"
    (line,) = said.err.splitlines()
    assert "vae_mnist-latent_dim2-width8-seed0 (result.json is damaged" in line
    assert "vae_mnist-latent_dim10-width8-seed0 (notebook 'vae_faces' is not one of" in line
    assert "Unreadable runs:" in sections.title(records.of("notebooks"))
    (folder / "runs" / "gan_mnist-latent_dim100-width8-seed0" / "log.txt").unlink()
    with pytest.raises(UserError, match=r"no finished run in .*/runs; left out: .*log.txt is missing"):
        plan.read("notebooks")


@pytest.mark.parametrize("content", ["[]", '{"settings": 5}', '{"settings": {"notebook": ["x"]}}', "null", "\udcff"])
def test_no_record_stops_the_others(folder, content):
    path = folder / "runs" / "gan_mnist-latent_dim100-width8-seed0" / "result.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    settings, skipped = found.in_folder(folder)
    assert (len(settings), len(skipped)) == (2, 1)


@pytest.mark.parametrize("part", PARTS)
def test_a_record_that_lacks_a_part_is_shown_or_named(folder, part):
    changed(folder, "vae_mnist-latent_dim2-width8-seed0", lambda result: result.pop(part))
    page = records.of("notebooks")
    pieces = "title answer verdicts datasets protocol results all_runs compare scatter budget networks assumptions"
    pieces += " conclusion published"
    assert all(getattr(sections, name)(page) for name in [*pieces.split(), "provenance", "data"])
    assert sections.model(page, "VAE")
    assert len(page.done) == 3 or page.study.skipped
    assert page.csv


def test_status_and_report_work_and_run_has_nothing_to_do(folder, capsys, monkeypatch):
    monkeypatch.setattr(execution, "self_test", nbformat.v4.new_notebook)
    assert main(["run", "notebooks"]) == 2
    assert capsys.readouterr().err.startswith("latent-report: notebooks: nothing to run")
    assert main(["report", "notebooks"]) == 0
    assert 'id="results"' in (folder / "index.html").read_text()
    assert len((folder / "results.csv").read_text().splitlines()) == 4
    assert main(["status", "notebooks", "-p", "epochs", "3"]) == 2
    assert "already made" in capsys.readouterr().err


def test_without_runs_one_line_says_where_they_would_be(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "REPORTS_DIR", tmp_path)
    with pytest.raises(UserError, match="no runs yet; notebooks save their runs in"):
        plan.read("notebooks")
    (tmp_path / "notebooks" / "runs").mkdir(parents=True)
    with pytest.raises(UserError, match="no finished run in"):
        plan.read("notebooks")
    with pytest.raises(UserError, match=r"did you mean notebooks\?"):
        plan.read("notebook")


def test_runs_of_own_notebooks_are_found_where_their_notebook_is(folder, tmp_path):
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "execution_count": 1, "outputs": []}
    cell["source"] = "notebook: str = 'vae_warm'\nbeta: float = 1.0"
    own = tmp_path / "vae_warm.ipynb"
    own.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    text = "notebooks: {vae_warm.ipynb: {defaults: {dataset: digits, width: 8, latent_dim: 2}, runs: [{beta: 3}]}}"
    (tmp_path / "own.yaml").write_text(text)
    synthetic.finish(plan.read(str(tmp_path / "own.yaml"), out=str(folder)))
    settings, skipped = found.in_folder(folder)
    assert ([one.notebook_name for one in settings], skipped) == ([*["vae_mnist"] * 2, "gan_mnist", "vae_warm"], [])
    assert settings[-1].beta == 3.0
    own.unlink()
    settings, (said,) = found.in_folder(folder)
    assert len(settings) == 3
    assert said.startswith(f"vae_warm-latent_dim2-width8-seed0-beta3.0 (notebook '{own}' is not one of")
