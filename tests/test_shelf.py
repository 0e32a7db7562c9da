"""The shelf of finished runs: what explore.ipynb shows of a study, in JupyterLab and in batch."""

import json
import re
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
from conftest import images
from test_explore import children, moved, pictures

from lib import figures, finished, runs
from lib.errors import UserError
from lib.notebooks import NOTEBOOKS
from lib.scores.drawing import decode
from lib.series import half_interval
from lib.widgets import controls, effects, latents, moves, shelf

SMALL = finished.REPORTS / "small" / "runs"
RUNS = ("vae_mnist-latent_dim2-width128-seed0", "gan_mnist-latent_dim10-width64-seed0")


@pytest.fixture(scope="module")
def shelves(tmp_path_factory):
    """Two studies whose runs have the same names, but other networks, images and numbers; and one without networks."""
    folder = tmp_path_factory.mktemp("reports")
    for name in RUNS:
        for study in ("first", "second", "bare"):
            shutil.copytree(SMALL / name, folder / study / "runs" / name)
        change(folder / "second" / "runs" / name)
        shutil.rmtree(folder / "bare" / "runs" / name / "model")
    return folder


def change(run):
    """Makes another run of a folder: its weights shrink, its images are inverted, its numbers grow."""
    from lib.backend import keras

    for path in (run / "model").glob("*.keras"):
        network = keras.models.load_model(path, compile=False)
        network.set_weights([0.9 * weight for weight in network.get_weights()])
        network.save(path)
    kept = runs.read_samples(run)
    kept |= {name: 255 - kept[name] for name in ("samples", "originals") if name in kept}
    np.savez(run / "samples.npz", **kept)
    result = runs.read_result(run)
    result["metrics"] = {name: value + 1 for name, value in result["metrics"].items()}
    (run / "result.json").write_text(json.dumps(result))
    head, *lines = (run / "history.csv").read_text().splitlines()
    (run / "history.csv").write_text("\n".join([head, *lines[: len(lines) // 2]]))


def texts(widget):
    """The Markdown inside a widget."""
    found = [one["data"].get("text/markdown", "") for box in children(widget, ipywidgets.Output) for one in box.outputs]
    return "\n".join(found)


def test_another_study_is_drawn_in_every_section_though_its_runs_have_the_same_names(shelves, in_lab):
    ours = shelf.Shelf(str(shelves / "first"))
    sections = {name: getattr(ours, name)() for name in ("table", "compare", "move", "traverse", "walk", "nearest")}
    before = {name: (pictures(section), texts(section)) for name, section in sections.items()}
    ours.open(str(shelves / "second"))
    for name, section in sections.items():
        was, now = before[name], (pictures(section), texts(section))
        assert len(was[0]) == len(now[0])
        assert any(was), name
        assert was[1] != now[1] or not was[1], name
        if name == "nearest":  # the training images may well be the same
            was, now = (was[0][:1], ""), (now[0][:1], "")
        assert all(one != other for one, other in zip(was[0], now[0], strict=True)), name
    pick = children(sections["move"], ipywidgets.Dropdown)[0]
    pick.value = RUNS[1]
    ours.open(str(shelves / "first"))
    assert pick.value == RUNS[1]  # who looks at one run keeps looking at it


def test_a_cell_that_is_run_again_replaces_its_section(shelves, in_lab):
    ours = shelf.Shelf(str(shelves / "first"))
    old, new = ours.move(), ours.move()
    before = pictures(old), pictures(new)
    ours.open(str(shelves / "second"))
    assert pictures(old) == before[0]
    assert pictures(new) != before[1]


def test_a_run_that_was_made_again_is_opened_again(shelves, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(shelves / "first", study)
    ours = shelf.Shelf(str(study))
    before = ours.runs[RUNS[0]].model
    assert ours.runs[RUNS[0]].model is before
    time.sleep(0.01)
    change(ours.runs[RUNS[0]].folder)
    assert ours.runs[RUNS[0]].model is not before


def test_a_study_without_networks_says_so_where_they_are_needed(shelves, in_lab):
    ours = shelf.Shelf(str(shelves / "bare"))
    assert pictures(ours.compare())
    for section in (ours.move(), ours.traverse(), ours.walk(), ours.own(), ours.nearest()):
        assert "No networks here:" in texts(section)
        assert children(section, ipywidgets.Dropdown)[0].layout.display == "none"
        ours.open(str(shelves / "first"))
        assert pictures(section) or "Upload an image" in texts(section)
        assert children(section, ipywidgets.Dropdown)[0].layout.display is None
        ours.open(str(shelves / "bare"))
    assert "homework (22 runs, numbers and images only)" in dict(children(ours.table(), ipywidgets.Dropdown)[0].options)


MODEL = """from dataclasses import replace

from lib.models import VAE


class Model(VAE):
    @classmethod
    def describe(cls, settings):
        ours = super().describe(settings)
        return replace(ours, title="Bright VAE", columns=ours.columns | {"loss": "bright loss"})

    def generate(self, z):
        return super().generate(z) ** (1 / self.settings.brightness)
"""


@pytest.fixture
def own(shelves, tmp_path):
    """A run of a notebook that brings a model of its own, with a setting of its own, between runs of ours."""
    source = [("parameters", "brightness: float = 2.0"), ("model", MODEL)]
    cells = [{"cell_type": "code", "metadata": {"tags": [tag]}, "source": code} for tag, code in source]
    notebook = tmp_path / "bright_mnist.ipynb"
    notebook.write_text(json.dumps({"cells": cells, "metadata": {}}))
    shutil.copytree(shelves / "first", tmp_path / "study")
    run = shutil.copytree(shelves / "first" / "runs" / RUNS[0], tmp_path / "study" / "runs" / "bright_mnist-seed0")
    result = runs.read_result(run)
    result["settings"] |= {"notebook": str(notebook), "brightness": 3.0}
    (run / "result.json").write_text(json.dumps(result | {"notebook": str(notebook)}))
    return run


def test_a_run_of_an_own_notebook_is_shown_as_ours_are(own, in_lab):
    ours = shelf.Shelf(str(own.parent.parent))
    assert list(ours.runs) == [*RUNS, own.name]
    compare = ours.compare()
    children(compare, ipywidgets.SelectMultiple)[0].value = (own.name,)
    assert "bright loss from" in children(compare, controls.Picture)[1].alt
    model = ours.runs[own.name].model
    plain, bright = (
        run.model.generate(np.zeros((1, 2), np.float32)) for run in map(ours.runs.get, (RUNS[0], own.name))
    )
    np.testing.assert_allclose(bright, plain ** (1 / 3), atol=1e-6)
    for section in (ours.move(), ours.walk(), ours.nearest()):
        children(section, ipywidgets.Dropdown)[0].value = own.name
        before = pictures(section)
        if sliders := children(section, controls.Sliders):
            moved(sliders[0], 0.35)
        else:
            children(section, ipywidgets.BoundedIntText)[0].value = 3
        assert before != pictures(section)
    originals = runs.read_samples(own)["originals"]
    z = np.asarray(model.encode(originals[:2]))
    assert z.shape == (2, 2)
    walk = moves.walk_between(model, originals)
    ends, (place,) = children(walk, controls.Thumbnails), children(walk, controls.Sliders)
    assert [one.names[-1] for one in ends] == ["test image 10"] * 2
    place.value = [1.0]
    assert pictures(walk)[0] == controls.png(decode(model, z[1:])[0])  # the line ends at the second image's latent


def test_of_an_own_notebook_that_has_gone_images_and_numbers_are_left(own, in_lab):
    result = runs.read_result(own)
    words = finished.Finished(own).description
    (own / "result.json").write_text(json.dumps(result | {"model": asdict(words)}))
    Path(result["notebook"]).unlink()
    ours = shelf.Shelf(str(own.parent.parent))
    compare, move = ours.compare(), ours.move()
    children(compare, ipywidgets.SelectMultiple)[0].value = (own.name,)
    assert "bright loss from" in children(compare, controls.Picture)[1].alt
    children(move, ipywidgets.Dropdown)[0].value = own.name
    assert re.search(rf"\*\*{own.name}\*\*: .*notebook '.*bright_mnist.ipynb' is not", texts(move))


def test_in_batch_the_first_runs_are_shown(shelves, monkeypatch):
    put_out = []
    monkeypatch.setattr(shelf, "display", lambda *what: put_out.extend(what))
    monkeypatch.setattr(ipywidgets.Widget, "open", lambda self: pytest.fail(f"{self}: papermill would keep its state"))
    ours = shelf.Shelf(str(shelves / "first"))
    numbers = ours.compare().data
    assert [one.alt for one in put_out[::2]] == [f"12 images in 1 row: {name}" for name in ours.runs]
    assert [one.alt.split(": ")[1].split(" from")[0] for one in put_out[1::2]] == ["loss (−ELBO)", "JSD estimate"]
    assert "`jsd_test`" in numbers
    assert "| real | blurred |" in numbers
    every = (ours.move, ours.traverse, ours.walk, ours.own, ours.nearest)
    assert all(isinstance(part(), figures.Figure) for part in every)


def test_a_study_without_networks_in_batch(shelves, monkeypatch):
    monkeypatch.setattr(shelf, "display", lambda *what: None)
    ours = shelf.Shelf(str(shelves / "bare"))
    assert "`frechet`" in ours.compare().data
    every = (ours.move, ours.traverse, ours.walk, ours.own, ours.nearest)
    assert all("No networks here" in part().data for part in every)


def test_runs_are_sorted_by_what_they_are_and_compared_on_one_dataset():
    ours = shelf.Shelf("homework")
    assert [name.removesuffix("-seed0") for name in ours.runs if name.startswith("vae_mnist")] == [
        "vae_mnist-latent_dim2-width256",
        "vae_mnist-latent_dim2-width512",
        "vae_mnist-latent_dim2-width1024",
        "vae_mnist-latent_dim10-width512",
        "vae_mnist-latent_dim20-width512",
    ]
    first = list(ours.runs)[:10]
    assert [name.split("-")[0] for name in first] == ["vae_cifar10"] * 5 + ["vae_mnist"] * 5
    assert [name.split("-")[0] for name in ours._alike(6)] == ["vae_cifar10"] * 5 + ["gan_cifar10"]


def test_only_runs_on_one_dataset_share_an_axis_and_a_table(in_lab):
    ours = shelf.Shelf("homework")
    section = ours.compare()
    (pick,) = children(section, ipywidgets.SelectMultiple)
    cifar10, mnist = "vae_cifar10-latent_dim2-width512-seed0", "vae_mnist-latent_dim2-width512-seed0"
    pick.value = (mnist,)
    alone = pictures(section)
    pick.value = (cifar10, mnist)
    assert pictures(section)[2:] == alone, "MNIST's curve is drawn on CIFAR-10's scale"
    assert [text.splitlines()[0].count("latent_dim") for text in texts(section).split("| number |")[1:]] == [1, 1]


def test_a_comparison_has_every_number_beside_its_references(shelves, in_lab):
    shown = texts(shelf.Shelf(str(shelves / "first")).compare())
    result = runs.read_result(SMALL / RUNS[0])
    assert all(f"`{name}`" in shown for name in result["metrics"])
    assert "| real | blurred | noisy | mean image |" in shown


def test_one_run_is_opened_by_its_folder_and_a_damaged_one_is_left_out(shelves, tmp_path):
    one = shelves / "first" / "runs" / RUNS[0]
    assert list(shelf.Shelf(str(one)).runs) == [RUNS[0]]
    shutil.copytree(shelves / "first", tmp_path / "study")
    (tmp_path / "study" / "runs" / RUNS[1] / "result.json").write_text("{")
    assert list(shelf.Shelf(str(tmp_path / "study")).runs) == [RUNS[0]]


def test_names_without_what_they_share():
    assert shelf.apart(["vae_mnist-latent_dim2-seed0", "vae_mnist-latent_dim10-seed0"]) == [
        "latent_dim2",
        "latent_dim10",
    ]
    assert shelf.apart(["vae_mnist-seed0"]) == ["vae_mnist seed0"]


def test_runs_made_from_notebooks_are_a_study(shelves, in_lab, monkeypatch, tmp_path):
    monkeypatch.setattr(finished, "REPORTS", tmp_path)
    shutil.copytree(shelves / "first", tmp_path / "notebooks")
    table = shelf.Shelf("notebooks").table()
    assert ("notebooks (2 runs made from notebooks)", "notebooks") in children(table, ipywidgets.Dropdown)[0].options


def test_the_committed_networks_open_and_change_with_every_control(in_lab):
    ours = shelf.Shelf("small")
    assert {run.settings.notebook for run in ours.runs.values()} == {*NOTEBOOKS}
    for section in (ours.move(), ours.walk(), ours.nearest()):
        pick = children(section, ipywidgets.Dropdown)[0]
        for name in ours.runs:
            pick.value = name
            before = pictures(section)
            if sliders := children(section, controls.Sliders):
                moved(sliders[0], 0.35)
            else:
                children(section, ipywidgets.BoundedIntText)[0].value = 3
            assert before != pictures(section)


def test_a_study_without_runs_is_named_with_those_that_have_some():
    with pytest.raises(UserError, match=r"no finished runs in 'nowhere'; there are some in: .*small"):
        shelf.Shelf("nowhere")


def test_the_nearest_images_come_in_order():
    among = images(20)
    assert latents.closest(among[7], among, 3)[0] == 7
    far = np.square(among.astype(float) - among[7]).sum(axis=(1, 2, 3))
    np.testing.assert_array_equal(latents.closest(among[7], among), np.argsort(far, kind="stable")[:5])


def test_effects_are_those_that_the_report_draws(in_lab):
    ours = shelf.Shelf("seeds")
    section = ours.effects()
    number, over = children(section, ipywidgets.Dropdown)
    shown = {
        picture.alt.split(":")[1].split(" over")[0].strip(): picture for picture in children(section, controls.Picture)
    }
    assert (number.value, over.value) == ("frechet", "latent_dim")
    assert over.options == ("latent_dim", "width")
    values = {}
    for run in ours.runs.values():
        asked = run.result["settings"]
        if asked["notebook"] == "gan_mnist" and asked["width"] == 256:
            values.setdefault(asked["latent_dim"], []).append(run.result["metrics"]["frechet"])
    assert {len(each) for each in values.values()} == {3}
    means = ", ".join(f"{np.mean(each):.2f} at {value}" for value, each in sorted(values.items()))
    assert means in next(words.alt for title, words in shown.items() if title == "GAN on mnist")
    (line,) = [
        one
        for figure in effects.charts(ours.runs.values(), "frechet", "latent_dim")
        for axes in figure.axes
        if axes.get_title(loc="left") == "Fréchet distance: GAN on mnist"
        for one in axes.containers
        if one.has_yerr
    ][:1]
    (segment,) = line.lines[2][0].get_segments()
    assert np.ptp(segment[:, 1]) / 2 == pytest.approx(half_interval(values[10], 0.975))
    over.value = "width"
    number.value = "recall"
    assert children(section, ipywidgets.Dropdown)[1].value == "width"  # stays
    assert any("recall (share): " in picture.alt for picture in children(section, controls.Picture))


def test_a_number_without_two_comparable_runs_says_so(shelves, in_lab):
    section = shelf.Shelf(str(shelves / "first")).effects()
    assert "No two of these runs" in texts(section)
    assert not pictures(section)


def test_effects_in_batch_have_a_chart_for_each_model(monkeypatch):
    put_out = []
    monkeypatch.setattr(effects, "display", lambda *what: put_out.extend(what))
    shelf.Shelf("seeds").effects()
    assert len(put_out) == 6
    assert all(one.alt.startswith("Means over the seeds. Fréchet distance: ") for one in put_out)


def test_of_a_study_with_numbers_only_the_numbers_are_compared(in_lab):
    compare = shelf.Shelf("seeds").compare()
    assert not pictures(compare)
    assert "`frechet`" in texts(compare)
    table = shelf.Shelf("small").table()
    names = dict(children(table, ipywidgets.Dropdown)[0].options)
    assert "seeds (93 runs, numbers only)" in names
    assert "small (7 runs)" in names


def test_an_own_image_stays_while_another_run_is_chosen(shelves, in_lab):
    ours = shelf.Shelf(str(shelves / "first"))
    section = ours.own()
    assert "Upload an image, or draw one." in texts(section)
    content = controls.png(runs.read_samples(SMALL / RUNS[0])["originals"][3], 0)
    children(section, controls.Pad)[0].value = content
    shown = pictures(section)
    assert len(shown) == 2
    children(section, ipywidgets.Dropdown)[0].value = RUNS[1]
    assert children(section, controls.Pad)[0].value == content
    assert "This model has no encoder" in texts(section)
    assert pictures(section)[0] != shown[0]
