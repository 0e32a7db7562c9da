"""Widgets and live progress as JupyterLab would use them, and what batch gets in their place."""

from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest
from conftest import images

from lib import figures, widgets
from lib.backend import keras
from lib.models import build
from lib.scores.drawing import decode
from lib.training import OneLineAnEpoch, train
from lib.widgets import controls, live, moves, tables


def children(widget, kind):
    """Every widget of a kind inside a widget, in order."""
    found = [widget] if isinstance(widget, kind) else []
    return found + [one for child in getattr(widget, "children", ()) for one in children(child, kind)]


def test_batch_gets_a_figure_and_no_widget(settings):
    model = build(settings("gan_mnist", latent_dim=3, width=8), (8, 8, 1))
    assert isinstance(widgets.explore(model), figures.Figure)


def pictures(widget):
    """What each picture inside a widget shows."""
    return [picture.value for picture in children(widget, controls.Picture)]


def moved(sliders, to):
    """Moves the last of some sliders."""
    sliders.value = [*sliders.value[:-1], to]


@pytest.mark.parametrize(("notebook", "latent_dim"), [("vae_mnist", 2), ("gan_mnist", 3), ("wgan_cifar10", 20)])
def test_every_control_changes_its_picture(settings, in_lab, notebook, latent_dim):
    shape = (8, 8, 3 if notebook.endswith("cifar10") else 1)
    move, sample, walk = widgets.explore(build(settings(notebook, latent_dim=latent_dim, width=8), shape)).children
    (sliders,), (seed,) = children(move, controls.Sliders), children(sample, ipywidgets.BoundedIntText)
    assert sliders.names == [f"z{number + 1}" for number in range(min(latent_dim, moves.SLIDERS))]
    before = pictures(move), pictures(sample)
    moved(sliders, 2.0)
    seed.value = 2
    assert all(a != b for a, b in zip((pictures(move), pictures(sample)), before, strict=True))
    start, end = children(walk, ipywidgets.BoundedIntText)
    (position,) = children(walk, controls.Sliders)
    for change in (lambda: setattr(start, "value", 7), lambda: setattr(end, "value", 5), lambda: moved(position, 0.9)):
        before = pictures(walk)
        change()
        assert before != pictures(walk)
    assert all(picture.alt for part in (move, sample, walk) for picture in children(part, controls.Picture))
    assert all(position.names), "a slider without a name"


def test_sliders_start_at_a_sample_and_zero_is_one_button_away(settings, in_lab):
    model = build(settings("gan_mnist", latent_dim=100, width=8), (8, 8, 1))
    move = moves.move(model)
    (sliders,), (picture,), (words,) = (
        children(move, kind) for kind in (controls.Sliders, controls.Picture, ipywidgets.HTML)
    )
    random, zero = children(move, ipywidgets.Button)
    assert np.std(sliders.value) > 0.3
    length = float(words.value.split()[2].rstrip(";"))
    assert 7 < length < 13, "nearly all of the prior lies near a length of 10"
    assert picture.value == controls.png(decode(model, moves.seeded(model, 1))[0])
    random.click()
    assert picture.value == controls.png(decode(model, moves.seeded(model, 2))[0])
    zero.click()
    assert sliders.value == [0.0] * moves.SLIDERS
    assert picture.value == controls.png(decode(model, np.zeros((1, 100), np.float32))[0])
    moved(sliders, 1.5)  # the others are 0 now, and stay so
    z = np.zeros((1, 100), np.float32)
    z[0, moves.SLIDERS - 1] = 1.5
    assert picture.value == controls.png(decode(model, z)[0])


def test_a_walk_starts_and_ends_at_the_two_latents(settings):
    model = build(settings("gan_mnist", latent_dim=4, width=8), (8, 8, 1))
    first, last = moves.seeded(model, 1), moves.seeded(model, 2)
    path = moves.between(first, last, np.linspace(0, 1, 5))
    assert np.allclose(path[[0, -1]], np.concatenate([first, last]), atol=1e-6)
    assert np.array_equal(widgets.walk(model, 1, 2)[0], decode(model, first)[0])
    lengths = np.linalg.norm(path, axis=1)
    assert lengths.min() >= min(lengths[0], lengths[-1]) - 1e-4


def test_between_equal_and_opposite_latents_is_finite():
    z = np.ones((1, 3), np.float32)
    assert np.isfinite(moves.between(z, z, np.array([0.5]))).all()
    assert np.isfinite(moves.between(z, -z, np.array([0.5]))).all()


def test_png_enlarges_by_whole_pixels():
    import io

    from PIL import Image

    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20
    opened = np.asarray(Image.open(io.BytesIO(controls.png(image, 5))))
    assert opened.shape == (6, 6, 3)
    assert np.array_equal(opened[::3, ::3], image)


def running(settings, log):
    """A run in the making, as far as the live progress needs one."""
    return SimpleNamespace(settings=settings, log=log, folder=Path("/runs/one"), partial=Path("/runs/one.partial"))


def test_progress_is_a_line_in_batch_and_a_figure_in_lab(settings, monkeypatch):
    ours = settings("vae_mnist", latent_dim=2, width=8, batch_size=8, epochs=3)
    lines, shown = [], []
    run = running(ours, lambda line, show=True: lines.append((line, show)))
    assert type(widgets.progress(run)) is OneLineAnEpoch

    monkeypatch.setenv("JPY_SESSION_NAME", "vae_mnist.ipynb")
    monkeypatch.setattr(live, "display", shown.append)
    data = SimpleNamespace(x_train=images(32), x_validation=images(10), name="tiny")
    train(build(ours, (8, 8, 1)), data, ours, [widgets.progress(run)])
    assert [line.split("  ")[0] for line, _ in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert not any(show for _, show in lines)
    (widget,) = shown  # a widget: what else a cell puts out is lost when its page is reloaded
    curves, gallery = children(widget, controls.Picture)
    assert curves.alt.startswith("By epoch, over 3: loss")
    assert gallery.alt == "36 images in 6 rows"
    assert all(picture.value.startswith(b"\x89PNG") for picture in (curves, gallery))
    (bar,) = children(widget, ipywidgets.HTML)
    assert '<progress max="3" value="3" aria-label="Training">' in bar.value
    assert "epoch 3/3" in bar.value
    assert "<code>/runs/one.partial/log.txt</code>" in bar.value  # where to look after a reload


def test_an_interrupt_keeps_what_was_learnt(settings, monkeypatch):
    import signal

    ours = settings("vae_mnist", latent_dim=2, width=8, batch_size=8, epochs=5)
    lines = []
    run = running(ours, lambda line, show=True: lines.append(line))
    monkeypatch.setenv("JPY_SESSION_NAME", "vae_mnist.ipynb")
    monkeypatch.setattr(live, "display", lambda widget: None)
    before = signal.getsignal(signal.SIGINT)

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                signal.raise_signal(signal.SIGINT)

    data = SimpleNamespace(x_train=images(32), x_validation=images(10), name="tiny")
    model = build(ours, (8, 8, 1))
    history = train(model, data, ours, [widgets.progress(run), Stop()])
    assert len(history["loss"]) == 2  # the epoch at work is finished
    assert "interrupted after 2 of 5 epochs" in lines[-1]
    assert model.effort()["images_seen"] == 2 * 32
    assert signal.getsignal(signal.SIGINT) is before


def test_the_plane_and_the_sliders_follow_each_other(settings, in_lab):
    move = moves.move(build(settings("vae_mnist", latent_dim=2, width=8), (8, 8, 1)))
    (plane,), (sliders,) = children(move, controls.Plane), children(move, controls.Sliders)
    before = pictures(move)
    plane.value = [1.5, -2.0]
    assert sliders.value == [1.5, -2.0]
    assert pictures(move) != before
    moved(sliders, 0.5)
    assert plane.value == [1.5, 0.5]


FOUND = {
    "metrics": {"jsd_test": 0.123456, "frechet": 104.97},
    "references": {"jsd_test": {"mean_image": 0.5}, "frechet": {"real": 2.5, "untrained": 101.2}},
    "samples_n": {"jsd_test": 5000, "frechet": 4000},
    "scorecard": {"classifier_accuracy": 0.9876, "classifier_test_n": 10000, "bins": 100, "n": 4000},
}


def rows(markdown):
    """A Markdown table's cells, by their row's first one."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown.splitlines() if line[:1] == "|"]
    return {first.strip("`"): rest for first, *rest in lines}


def test_layers_end_with_their_sum():
    facts = {
        "layers": {"critic": [{"layer": "a", "kind": "Dense", "output": "3", "parameters": 1200}]},
        "parameters": {"critic": 1200},
    }
    assert "| **total** |  |  | **1,200** |" in widgets.layers(facts).data


def test_numbers_stand_beside_their_references_with_decimals_that_line_up():
    table = widgets.numbers(FOUND).data
    found = rows(table)
    assert found["number"] == ["this run", "real", "mean image", "untrained", "images"]
    assert found["jsd_test"] == ["**0.123**", "", "0.500", "", "5,000"]
    assert found["frechet"] == ["**105.0**", "2.5", "", "101.2", "4,000"]
    assert "98.8% of 10,000 test images" in table


def test_a_number_that_cannot_be_had_says_why():
    found = FOUND | {"absent": {"recall": "all images are alike"}}
    table = widgets.numbers(found).data
    assert rows(table)["recall"] == ["**–**", "", "", "", ""]
    assert "`recall` (this run): none; all images are alike." in table


def test_runs_side_by_side_share_their_references():
    other = FOUND | {"metrics": {"frechet": 22.0, "emd_test": -0.5}}
    table = tables.scores({"a": FOUND, "b": other})
    found = rows(table)
    assert found["number"] == ["a", "b", "real", "mean image", "images"]  # before training, each is another
    assert found["frechet"] == ["**105.0**", "**22.0**", "2.5", "", "4,000"]
    assert found["jsd_test"][:2] == ["**0.123**", ""]  # another model has no such number
    assert "A negative EMD estimate (b)" in table
