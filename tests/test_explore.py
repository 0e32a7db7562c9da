"""Widgets and live progress as JupyterLab would use them, and what batch gets in their place."""

import time
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest
from conftest import images

from lib import evaluation, explore, figures, tour
from lib.models import build
from lib.training import OneLineAnEpoch, effort, train


@pytest.fixture
def in_lab(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "vae_mnist.ipynb")


def children(widget, kind):
    """Every widget of a kind inside a widget, in order."""
    found = [widget] if isinstance(widget, kind) else []
    return found + [one for child in getattr(widget, "children", ()) for one in children(child, kind)]


def test_batch_gets_a_figure_and_no_widget(settings):
    model = build(settings("gan_mnist", latent_dim=3, width=8), (8, 8, 1))
    assert isinstance(explore.widgets(model), figures.Figure)


@pytest.mark.parametrize(("notebook", "latent_dim"), [("vae_mnist", 2), ("gan_mnist", 3), ("wgan_cifar10", 20)])
def test_every_control_changes_its_picture(settings, in_lab, notebook, latent_dim):
    shape = (8, 8, 3 if notebook.endswith("cifar10") else 1)
    tab = explore.widgets(build(settings(notebook, latent_dim=latent_dim, width=8), shape))
    move, sample, walk = tab.children
    sliders = children(move, ipywidgets.FloatSlider)
    assert len(sliders) == min(latent_dim, explore.SLIDERS)
    assert len(children(move, ipywidgets.Image)) == 1
    for part, control in ((move, sliders[-1]), (sample, children(sample, ipywidgets.BoundedIntText)[0])):
        before = [picture.value for picture in children(part, ipywidgets.Image)]
        control.value = 2
        after = [picture.value for picture in children(part, ipywidgets.Image)]
        assert all(a != b for a, b in zip(before, after, strict=True))
    for control, value in zip(
        [*children(walk, ipywidgets.BoundedIntText), *children(walk, ipywidgets.FloatSlider)], (7, 5, 0.9), strict=True
    ):
        before = [picture.value for picture in children(walk, ipywidgets.Image)]
        control.value = value
        assert before != [picture.value for picture in children(walk, ipywidgets.Image)]


def test_a_walk_starts_and_ends_at_the_two_latents(settings):
    model = build(settings("gan_mnist", latent_dim=4, width=8), (8, 8, 1))
    first, last = explore.seeded(model, 1), explore.seeded(model, 2)
    path = explore.between(first, last, np.linspace(0, 1, 5))
    assert np.allclose(path[[0, -1]], np.concatenate([first, last]), atol=1e-6)
    assert np.array_equal(explore.walk(model, 1, 2)[0], evaluation.decode(model, first)[0])
    lengths = np.linalg.norm(path, axis=1)
    assert lengths.min() >= min(lengths[0], lengths[-1]) - 1e-4


def test_between_equal_and_opposite_latents_is_finite():
    z = np.ones((1, 3), np.float32)
    assert np.isfinite(explore.between(z, z, np.array([0.5]))).all()
    assert np.isfinite(explore.between(z, -z, np.array([0.5]))).all()


def test_png_enlarges_by_whole_pixels():
    import io

    from PIL import Image

    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20
    opened = np.asarray(Image.open(io.BytesIO(explore.png(image, 5))))
    assert opened.shape == (6, 6, 3)
    assert np.array_equal(opened[::3, ::3], image)


def test_progress_is_a_line_in_batch_and_a_figure_in_lab(settings, monkeypatch):
    ours = settings("vae_mnist", latent_dim=2, width=8, batch_size=8, epochs=3)
    lines, shown = [], []
    run = SimpleNamespace(settings=ours, log=lambda line, show=True: lines.append((line, show)))
    assert type(explore.progress(run)) is OneLineAnEpoch

    monkeypatch.setenv("JPY_SESSION_NAME", "vae_mnist.ipynb")
    canvas = SimpleNamespace(update=shown.append)
    monkeypatch.setattr(explore, "display", lambda *_, **__: canvas)
    data = SimpleNamespace(x_train=images(32), x_validation=images(10), name="tiny")
    train(build(ours, (8, 8, 1)), data, ours, [explore.progress(run)])
    assert [line.split("  ")[0] for line, _ in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert not any(show for _, show in lines)
    assert all(isinstance(figure, figures.Figure) for figure in shown)
    assert shown


def test_an_interrupt_keeps_what_was_learnt(settings, monkeypatch):
    import signal

    ours = settings("vae_mnist", latent_dim=2, width=8, batch_size=8, epochs=5)
    run = SimpleNamespace(settings=ours, key={"settings": {"epochs": 5}}, log=lambda line, show=True: None)
    monkeypatch.setenv("JPY_SESSION_NAME", "vae_mnist.ipynb")
    monkeypatch.setattr(explore, "display", lambda *_, **__: SimpleNamespace(update=lambda figure: None))
    before = signal.getsignal(signal.SIGINT)

    class Stop(explore.keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                signal.raise_signal(signal.SIGINT)

    data = SimpleNamespace(x_train=images(32), x_validation=images(10), name="tiny")
    model = build(ours, (8, 8, 1))
    history = train(model, data, ours, [explore.progress(run), Stop()])
    assert len(history["loss"]) == 2  # the epoch at work is finished
    assert (run.settings.epochs, run.key["settings"]["epochs"]) == (2, 2)
    assert effort(model, data, ours)["images_seen"] == 2 * 32
    assert signal.getsignal(signal.SIGINT) is before


def test_the_plane_and_the_sliders_follow_each_other(settings, in_lab):
    move = explore.widgets(build(settings("vae_mnist", latent_dim=2, width=8), (8, 8, 1))).children[0]
    plane, sliders = move.children[-1], children(move, ipywidgets.FloatSlider)
    (picture,) = children(move, ipywidgets.Image)
    before = picture.value
    plane.z = [1.5, -2.0]
    assert [slider.value for slider in sliders] == [1.5, -2.0]
    assert picture.value != before
    sliders[0].value = 0.5
    assert plane.z == [0.5, -2.0]


def test_the_committed_networks_open_and_change_with_every_control(in_lab):
    shelf = explore.Shelf("small")
    assert len(shelf.runs) == 4
    shelf.table(), shelf.compare()
    for section in (shelf.move(), shelf.walk(), shelf.nearest()):
        pick = children(section, ipywidgets.Dropdown)[0]
        for name in shelf.runs:
            pick.value = name
            control = (children(section, ipywidgets.FloatSlider) or children(section, ipywidgets.BoundedIntText))[0]
            shown = children(section, ipywidgets.Image)
            before = [picture.value for picture in shown]
            start = time.perf_counter()
            control.value = 0.35 if isinstance(control, ipywidgets.FloatSlider) else 3
            assert time.perf_counter() - start < 2  # 5 to 20 ms on a quiet machine
            assert before != [picture.value for picture in shown]


def test_a_study_without_runs_is_named_with_those_that_have_some():
    with pytest.raises(explore.UserError, match=r"no finished runs in 'nowhere'; there are some in: .*small"):
        explore.Shelf("nowhere")


def test_the_nearest_images_come_in_order():
    among = images(20)
    assert explore.closest(among[7], among, 3)[0] == 7
    far = np.square(among.astype(float) - among[7]).sum(axis=(1, 2, 3))
    np.testing.assert_array_equal(explore.closest(among[7], among), np.argsort(far, kind="stable")[:5])


def test_what_a_page_is_told_of_a_plane_gives_it_again():
    grid = np.linspace(0, 1, 9)
    plane = (
        200 * grid[:, None, None, None] * np.linspace(0, 1, 5)[None, :, None, None] * np.ones((1, 1, 4, 1))
    ).astype(np.uint8)
    kept = tour.compressed(plane)
    assert kept["error"] < 1.5
    np.testing.assert_allclose(tour.restored(kept), plane.reshape(9, -1), atol=4)


def test_tables():
    facts = {
        "layers": {"critic": [{"layer": "a", "kind": "Dense", "output": "3", "parameters": 1200}]},
        "parameters": {"critic": 1200},
    }
    assert "| **total** |  |  | **1,200** |" in explore.layers(facts).data
    found = {
        "metrics": {"jsd_test": 0.123456},
        "references": {"jsd_test": {"mean_image": 0.5}},
        "samples_n": {"jsd_test": 5000},
        "scorecard": {"classifier_accuracy": 0.9876, "classifier_test_n": 10000, "bins": 100, "n": 4000},
    }
    assert "| `jsd_test` | **0.1235** | mean image 0.5 | 5,000 |" in explore.numbers(found).data
    assert "98.8% of 10,000 test images" in explore.numbers(found).data
