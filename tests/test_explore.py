"""Widgets and live progress as JupyterLab would use them, and what batch gets in their place."""

import io
from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest
from conftest import images
from PIL import Image

from lib import figures, widgets
from lib.backend import keras
from lib.errors import UserError
from lib.models import build
from lib.scores.drawing import decode
from lib.training import OneLineAnEpoch, train
from lib.widgets import controls, latents, live, moves, tables


def children(widget, kind):
    """Every widget of a kind inside a widget, in order."""
    found = [widget] if isinstance(widget, kind) else []
    return found + [one for child in getattr(widget, "children", ()) for one in children(child, kind)]


def test_batch_gets_a_figure_and_no_widget(settings):
    model = build(settings("gan_mnist", latent_dim=3, width=8), (8, 8, 1))
    assert isinstance(widgets.explore(model), figures.Figure)


def test_somebody_watches_in_jupyterlab_and_in_vs_code(monkeypatch):
    monkeypatch.setattr(controls, "get_ipython", lambda: SimpleNamespace(user_ns={}))
    assert not controls.interactive()
    monkeypatch.setenv("JPY_SESSION_NAME", "vae_mnist.ipynb")
    assert controls.interactive()
    monkeypatch.delenv("JPY_SESSION_NAME")
    monkeypatch.setattr(controls, "get_ipython", lambda: SimpleNamespace(user_ns={"__vsc_ipynb_file__": "/a.ipynb"}))
    assert controls.interactive()


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
    assert len(set(sliders.names)) == min(latent_dim, moves.SLIDERS)
    before = pictures(move), pictures(sample)
    moved(sliders, 2.0)
    seed.value = 2
    assert all(a != b for a, b in zip((pictures(move), pictures(sample)), before, strict=True))
    start, end = children(walk, controls.Thumbnails)
    (position,) = children(walk, controls.Sliders)
    for change in (lambda: setattr(start, "value", 7), lambda: setattr(end, "value", 5), lambda: moved(position, 0.9)):
        before = pictures(walk)
        change()
        assert before != pictures(walk)
    assert all(picture.alt for part in (move, sample, walk) for picture in children(part, controls.Picture))
    assert all(position.names), "a slider without a name"


def test_sliders_start_at_a_sample_and_reset_and_zero_are_one_button_away(settings, in_lab):
    model = build(settings("gan_mnist", latent_dim=100, width=8), (8, 8, 1))
    move = moves.Move(model)
    random, reset, zero = children(move, ipywidgets.Button)

    def shows(z):
        return move.picture.value == controls.png(decode(model, np.round(z, 3))[0])

    assert 7 < np.linalg.norm(move.z) < 13, "nearly all of the prior lies near a length of 10"
    assert shows(latents.seeded(model, 1))
    random.click()
    assert shows(latents.seeded(model, 2))
    moved(move.sliders, 1.5)
    there = np.round(latents.seeded(model, 2), 3)
    there[0, move.order[-1]] = 1.5
    assert shows(there)
    reset.click()
    assert shows(latents.seeded(model, 2))
    zero.click()
    assert move.sliders.value == [0.0] * moves.SLIDERS
    assert shows(np.zeros((1, 100), np.float32))
    assert "The other 90 latents" in move.words.value


def test_the_sliders_are_the_latents_that_tell_most(settings, in_lab):
    model = build(settings("vae_mnist", latent_dim=12, width=8), (8, 8, 1))
    shown = images(30)
    move = moves.Move(model, shown)
    kl = np.asarray(model.kl_per_latent(shown))
    assert move.order == np.argsort(-kl)[: moves.SLIDERS].tolist()
    assert move.sliders.names[0] == f"z{kl.argmax() + 1}"
    assert all(note.endswith(" nats") for note in move.sliders.notes)
    assert moves.Move(model).sliders.notes[0].endswith(" grey levels")  # without images: by what the picture does


def test_a_latent_that_changes_nothing_tells_nothing(settings):
    model = build(settings("gan_mnist", latent_dim=3, width=8), (8, 8, 1))
    first = next(layer for layer in model.generator.layers if layer.weights)
    kernel, *rest = first.get_weights()
    kernel[1] = 0
    first.set_weights([kernel, *rest])
    told, unit = latents.told(model)
    assert (told > 0).tolist() == [True, False, True]
    assert unit == "grey levels"


def test_a_vector_is_typed_pasted_and_copied(settings, in_lab):
    model = build(settings("wgan_mnist", latent_dim=3, width=8), (8, 8, 1))
    move = moves.Move(model)
    move.vector.value = "[0.5, −4.25;\n1e-1]"
    assert move.z.tolist() == [[0.5, -4.25, 0.1]]
    assert "Beyond ±3: z2" in move.words.value
    assert dict(zip(move.sliders.names, move.sliders.value, strict=True))["z2"] == -4.25
    picture, copied = move.picture.value, move.vector.value
    assert copied == "0.500, -4.250, 0.100"
    children(move, ipywidgets.Button)[0].click()
    assert move.picture.value != picture
    move.vector.value = copied
    assert move.picture.value == picture, "what was copied gives another image"
    for text, words in (("1, 2", "2 numbers, but this model takes 3"), ("1 2 <b>", "&lt;b&gt;&#x27; is not a number")):
        move.vector.value = text
        assert words in move.words.value
        assert move.picture.value == picture
        assert move.vector.value == text  # to be mended


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "0 numbers, but this model takes 2"),
        ("1 2 3", "3 numbers, but this model takes 2"),
        ("1, two", "'two' is not a number"),
        ("nan 1", "'nan' is not a number between"),
        ("1e9 1", "'1e9' is not a number between"),
        ("x" * 500, "is not a number"),
    ],
)
def test_what_is_no_vector_is_refused_in_one_line(text, words):
    with pytest.raises(UserError, match=words) as error:
        latents.parse(text, 2)
    assert len(str(error.value)) < 120


@pytest.mark.parametrize("by", ["value", "quantile"])
def test_a_traversal_moves_one_latent_a_row_through_places_told_apart(settings, in_lab, by):
    model = build(settings("gan_mnist", latent_dim=3, width=8), (8, 8, 1))
    order = np.argsort(-latents.told(model)[0], kind="stable").tolist()
    figure = moves.traversal(model, moves.leading(model), seed=4, by=by)
    (axes,) = figure.axes
    assert [label.get_text().split(":")[0] for label in axes.get_yticklabels()] == [
        f"z{one + 1}" for one in order[::-1]
    ]
    ends = [axes.get_xticklabels()[place].get_text() for place in (0, -1)]
    assert ends == (["5 %", "95 %"] if by == "quantile" else ["−3.0", "3.0"])
    z = latents.seeded(model, 4)
    z[0, order[1]] = 1.6448536 if by == "quantile" else 3.0  # of a standard normal 95 % lie below
    drawn = axes.images[0].get_array()
    np.testing.assert_array_equal(drawn[8:16, -8:], np.repeat(decode(model, z)[0], 3, axis=2))
    seed, places = children(moves.traverse(model), ipywidgets.BoundedIntText | ipywidgets.Dropdown)
    assert (seed.value, places.options) == (0, ("value", "quantile"))


def test_a_walk_is_saved_there_and_back(settings, in_lab):
    model = build(settings("wgan_cifar10", latent_dim=5, width=8), (8, 8, 3))
    walk = moves.walk_between(model)
    start, end = children(walk, controls.Thumbnails)
    assert start.names[2] == "sample 3"
    assert len(start.pictures) == moves.ENDS
    (saver,), sent = children(walk, controls.Saver), []
    saver.send = lambda content, buffers: sent.append((content["name"], Image.open(io.BytesIO(buffers[0]))))
    for name in saver.names:
        saver._handle_custom_msg(name, [])
    (gif, film), (png, strip) = sent
    assert (gif, png) == ("walk.gif", "walk.png")
    assert film.n_frames == 2 * moves.FRAMES - 2
    assert film.size == (160, 160)
    assert strip.size == (1600, 160)
    start.value = end.value = 4
    alike = pictures(walk)
    moved(children(walk, controls.Sliders)[0], 0.9)
    assert pictures(walk) == alike, "a walk from a latent to itself changes nothing"


def test_a_grey_walk_is_saved_exactly(settings):
    walk = images(3)
    film = Image.open(io.BytesIO(latents.gif(walk, 2)))
    frames = []
    for place in range(film.n_frames):
        film.seek(place)
        frames.append(np.asarray(film.convert("L"))[::2, ::2])
    np.testing.assert_array_equal(frames, walk[[0, 1, 2, 1], ..., 0])


def test_a_walk_starts_and_ends_at_the_two_latents(settings):
    model = build(settings("gan_mnist", latent_dim=4, width=8), (8, 8, 1))
    first, last = latents.seeded(model, 1), latents.seeded(model, 2)
    path = latents.between(first, last, np.linspace(0, 1, 5))
    assert np.allclose(path[[0, -1]], np.concatenate([first, last]), atol=1e-6)
    assert np.array_equal(widgets.walk(model, 1, 2)[0], decode(model, first)[0])
    lengths = np.linalg.norm(path, axis=1)
    assert lengths.min() >= min(lengths[0], lengths[-1]) - 1e-4


def test_between_equal_and_opposite_latents_is_finite():
    z = np.ones((1, 3), np.float32)
    assert np.isfinite(latents.between(z, z, np.array([0.5]))).all()
    assert np.isfinite(latents.between(z, -z, np.array([0.5]))).all()


def test_png_enlarges_by_whole_pixels():
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


def test_the_plane_and_the_sliders_follow_each_other(settings, in_lab, monkeypatch):
    move = moves.Move(build(settings("vae_mnist", latent_dim=2, width=8), (8, 8, 1)))
    (plane,), before = children(move, controls.Plane), pictures(move)
    plane.value = [1.5, -2.0]
    by_name = dict(zip(move.sliders.names, move.sliders.value, strict=True))
    assert by_name == {"z1": 1.5, "z2": -2.0}
    assert pictures(move) != before
    move.sliders.value = [0.5 if name == "z2" else 1.5 for name in move.sliders.names]
    assert plane.value == [1.5, 0.5]
    move.vector.value = "0.25 4.5"
    assert plane.value == [0.25, 4.5]
    draws, decoded = [], move.decode
    monkeypatch.setattr(move, "decode", lambda z: draws.append(1) or decoded(z))
    plane.value = [0.0, 1.0]
    moved(move.sliders, 0.4)
    assert len(draws) == 2  # one picture a move


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
