"""Decoders in the page: what it is told of a network gives Keras' images again, and the reader can move in it."""

import base64
import io
import json
import re
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import synthetic
from PIL import Image

from lib import data, models
from lib.backend import keras
from lib.finished import Finished
from lib.report import decoders, execution, operations, records, sections
from lib.report import page as report
from lib.report.sections.decoders import _chosen
from lib.rounding import number as number_of
from lib.scores.drawing import decode
from lib.settings import check, parameters
from lib.study import plan

STUDY = """
title: Live
notebooks:
  vae_mnist: {defaults: {dataset: digits, epochs: 12, width: 8}, runs: [{latent_dim: [3, 12]}]}
  gan_mnist:
    defaults: {dataset: digits, epochs: 12, width: 8, network: conv}
    runs: [{latent_dim: 2}, {latent_dim: 10, classes: 10, network: mlp}]
"""
VAE, DEEP = "vae_mnist-latent_dim3-width8-seed0", "vae_mnist-latent_dim12-width8-seed0"


def shaken(network, seed=0, wide=0.3):
    """A network with weights, and statistics of its batch normalisations, as if it had been trained."""
    rng = np.random.default_rng(seed)
    for variable in network.variables:
        positive = "variance" in variable.path or "gamma" in variable.path
        value = np.asarray(variable)
        if "seed" not in variable.path:
            variable.assign(rng.uniform(0.4, 2, value.shape) if positive else value + rng.normal(0, wide, value.shape))
    return network


def built(notebook, shape=(8, 8, 1), **changed):
    settings = check({**parameters(notebook), "width": 8, "latent_dim": 3, **changed}, notebook)
    model = models.build(settings, shape)
    for network in model.networks.values():
        shaken(network)
    return model


def prior(count, latent_dim):
    return np.random.default_rng(9).standard_normal((count, latent_dim)).astype(np.float32)


# ---- what the page is told -----------------------------------------------------------------------


@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("notebook", ["vae_mnist", "gan_cifar10", "wgan_mnist"])
def test_the_operations_give_keras_images_again(notebook, network):
    model = built(notebook, (8, 8, 3 if "cifar" in notebook else 1), network=network)
    told, z = decoders.of(model), prior(50, 3)
    numbers = operations.apply(told["operations"], told["weights"], told["floats"], z)
    expected = decode(model, z).astype(float)
    assert expected.std() > 20, "grey pictures would be easy"
    difference = np.abs(operations.images(numbers, model.image_shape) - expected)
    assert difference.mean() < 0.5
    assert told["mean"] == pytest.approx(difference.mean(), abs=0.1)
    assert not any(one["op"] == "affine" for one in told["operations"]), "batch normalisation is folded"


def test_gaussian_pixels_pass_through():
    assert decoders.of(built("vae_mnist", likelihood="gaussian"))["mean"] < 0.5


def test_all_layers_that_are_known():
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Rescaling(0.5, offset=0.1),
            layers.Dense(24, "elu"),
            layers.BatchNormalization(),  # behind an activation: it cannot be folded
            layers.Dropout(0.5),
            layers.Dense(36, "softplus"),
            layers.Reshape((3, 3, 4)),
            layers.BatchNormalization(),
            layers.Conv2DTranspose(6, 3, strides=2, padding="valid", activation="silu"),
            layers.Conv2D(5, 3, padding="same", activation=layers.LeakyReLU(0.1)),
            layers.Conv2D(4, 2, strides=2, padding="valid", use_bias=False),
            layers.Rescaling(2.0),
            layers.ReLU(negative_slope=0.3),
            keras.Sequential([layers.Conv2DTranspose(1, 5, strides=3, padding="same", activation="tanh")]),
            layers.ELU(),
            layers.Activation("sigmoid"),
        ]
    )
    shaken(network, wide=0.1)
    z = prior(40, 5)
    told = operations.packed(operations.of(network), 1023, prior(300, 5))
    expected = np.asarray(network(z)).reshape(40, -1)
    assert np.abs(operations.apply(*told, z) - expected).mean() < 0.01 * expected.std() + 0.002
    assert sum(one["op"] == "affine" for one in told[0]) == 3


@pytest.mark.parametrize(
    ("layer", "words"), [("Softmax", "Softmax"), ("LayerNormalization", "LayerNorm"), ("ReLU", "ReLU cut")]
)
def test_an_unknown_layer_is_named(layer, words):
    made = keras.layers.ReLU(max_value=0.1, name="cut") if layer == "ReLU" else getattr(keras.layers, layer)()
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), made])
    with pytest.raises(operations.UnknownLayerError, match=words):
        operations.of(network)


def test_a_model_that_does_more_than_its_network_has_no_decoder(monkeypatch):
    model = built("vae_mnist")
    before = model.generate
    monkeypatch.setattr(model, "generate", lambda z: 1 - before(z))
    with pytest.raises(operations.UnknownLayerError, match=r"differ from Keras by \d+"):
        decoders.of(model)


def test_how_much_a_latent_tells():
    vae, images = built("vae_mnist"), synthetic.blobs(30, (8, 8, 1), np.random.default_rng(0))
    told = decoders.of(vae, images)
    mean, log_var = vae.encoder(images / np.float32(255))
    nats = 0.5 * (np.exp(log_var) + np.square(mean) - 1 - np.asarray(log_var))
    assert told["unit"] == "nats"
    np.testing.assert_allclose(told["told"], nats.mean(axis=0), rtol=1e-3)
    kernel = vae.decoder.layers[1].kernel
    kernel.assign(np.asarray(kernel) * [[1], [0], [1]])
    told = decoders.of(vae)
    assert told["unit"] == "grey levels"
    assert told["told"][1] == 0 < min(told["told"][0], told["told"][2])


# ---- in a study ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose runs have networks, with the decoders made of them."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "live.yaml").write_text(STUDY)
    study = plan.read(str(folder / "live.yaml"), out=str(folder / "out"))
    synthetic.finish(study)
    digits = data.load("digits")
    for run in study.runs:
        facts = json.loads((run.folder / "result.json").read_text())
        facts["dataset"]["sha256"] = digits.sha256
        (run.folder / "result.json").write_text(json.dumps(facts))
        model = models.build(run.settings, digits.shape)
        for name, network in model.networks.items():
            shaken(network).save(run.folder / "model" / f"{name}.keras")
    assert all(decoders.missing(run.folder) for run in study.runs)
    decoders.main([str(run.folder) for run in study.runs])  # as the process of its own does
    assert not any(decoders.missing(run.folder) for run in study.runs)
    return study


@pytest.fixture(scope="module")
def address(study):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(execution, "self_test", nbformat.v4.new_notebook)
        report.build(study)
    return (study.folder / "index.html").as_uri()


@pytest.fixture
def opened(browser):
    """A function: a page at an address, which complains of nothing and requests nothing but itself."""
    pages = []

    def open_(address, width=1440, ready=True, **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.set_default_timeout(60_000)
        heard = []
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        pages.append((page, heard, address))
        page.goto(address)
        if ready:
            page.locator("#decoder").scroll_into_view_if_needed()
            page.locator("#decoder[data-ready]").wait_for()
        return page

    yield open_
    for page, heard, address in pages:
        assert [
            one for one in heard if not one.startswith(("data:", "blob:")) and one != address.partition("#")[0]
        ] == []
        page.close()


def drawn(canvas):
    """What a canvas shows, uint8 [H, W]."""
    url = canvas.evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("L")).astype(float)


def settled(page):
    page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 400))")


def choose(page, run):
    page.locator("#decoder-run").select_option(run)
    page.locator(f"#decoder[data-ready='{run}']").wait_for()


def typed(page, z):
    page.locator("#decoder-z").fill(", ".join(f"{value:.3f}" for value in z))
    page.locator("#decoder-z").press("Enter")
    settled(page)


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_the_page_decodes_a_typed_vector_as_keras_does(opened, address, study, number):
    run, page = study.runs[number], opened(address)
    choose(page, run.name)
    z = prior(1, run.settings.latent_dim).round(3)
    typed(page, z[0])
    picture, found = drawn(page.locator("#decoder-picture")), decoders.read(run.folder)
    numbers = operations.apply(found["operations"], found["weights"], found["floats"], z)
    assert np.abs(picture - operations.images(numbers, (28, 28))[0]).max() <= 1, "as it was measured"
    exact = decode(Finished(run.folder).model, z)[0, ..., 0].astype(float)
    mean, most = re.search(
        r"by ([\d.]+) of 255 grey levels on average, (\d+) at most", page.inner_text("#decoder-note")
    ).groups()
    assert float(mean) == pytest.approx(found["mean"], abs=0.005)
    assert exact.std() > 20
    assert np.abs(picture - exact).mean() < float(mean) + 0.25
    assert np.abs(picture - exact).max() <= float(most) + 3


def test_the_address_restores_run_vector_and_axes(opened, address):
    page = opened(address)
    choose(page, DEEP)
    z = prior(1, 12)[0].round(3)
    typed(page, z)
    page.locator("#decoder-up").select_option(label="z₁₁")
    settled(page)
    picture, link = drawn(page.locator("#decoder-picture")), page.evaluate("location.href")
    again = opened(link, ready=False)
    again.locator(f"#decoder[data-ready='{DEEP}']").wait_for()
    settled(again)
    assert again.locator("#decoder-z").input_value() == ", ".join(f"{value:.3f}" for value in z)
    assert again.locator("#decoder-up").input_value() == "10"
    np.testing.assert_array_equal(drawn(again.locator("#decoder-picture")), picture)


def test_sliders_come_in_order_and_all_of_them_on_demand(opened, address, study):
    page = opened(address)
    choose(page, DEEP)
    told = decoders.read(study.runs[1].folder)["told"]
    labels = page.locator(".decoders-sliders label")
    assert labels.count() == 10
    page.locator("#decoder-more").click()
    order = [int(label.get_attribute("data-latent")) for label in labels.all()]
    assert order == sorted(range(12), key=lambda latent: -told[latent])
    typed(page, [0.0] * 12)
    before = drawn(page.locator("#decoder-picture"))
    labels.nth(0).locator("input").fill("2")
    settled(page)
    assert page.locator("#decoder-z").input_value().split(", ")[order[0]] == "2.000"
    assert np.abs(drawn(page.locator("#decoder-picture")) - before).mean() > 1


def test_what_is_wrong_with_a_vector_is_said(opened, address):
    page = opened(address)
    choose(page, VAE)
    for text, words in (("1, 2", "2 numbers, but this decoder takes 3."), ("1 two 3", "“two” is not a number.")):
        page.locator("#decoder-z").fill(text)
        page.locator("#decoder-z").press("Enter")
        assert page.inner_text("#decoder-said") == words
    page.locator("#decoder-z").fill("[1; −2.5 3e-1]")
    page.locator("#decoder-z").press("Enter")
    assert page.inner_text("#decoder-said") == ""
    assert page.locator(".decoders-sliders label[data-latent='1'] output").inner_text() == "−2.50"
    page.locator("#decoder-z").fill("[1; 4 3e-1]")
    page.locator("#decoder-z").press("Enter")
    assert page.inner_text("#decoder-said") == "Numbers beyond ±3 lie outside the sliders and the plane."


def test_the_plane_is_drawn_and_followed(opened, address, study):
    page = opened(address)
    choose(page, VAE)
    typed(page, [0, 0, 0.5])
    for axis, label in (("across", "z₂"), ("up", "z₃")):
        page.locator(f"#decoder-{axis}").select_option(label=label)
    field = page.locator("#decoder-field")
    field.locator("canvas[data-done$=',1,2,0']").wait_for(state="attached")  # run, axes, the other latents
    grid = drawn(field.locator("canvas"))
    model = Finished(study.runs[0].folder).model
    for row, column in ((0, 0), (2, 9), (5, 5)):
        z = np.float32([[0, -3 + 0.6 * column, 3 - 0.6 * row]])
        there = grid[28 * row :, 28 * column :][:28, :28]
        assert np.abs(there - decode(model, z)[0, ..., 0]).mean() < 1.5
    box = field.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 9.5 / 11, box["y"] + box["height"] * 2.5 / 11)
    page.mouse.down()
    page.mouse.up()
    settled(page)
    assert np.abs(drawn(page.locator("#decoder-picture")) - grid[56:84, 252:280]).mean() < 6
    field.focus()
    page.keyboard.press("ArrowLeft")
    values = [float(value) for value in page.locator("#decoder-z").input_value().split(",")]
    np.testing.assert_allclose(values, [0, 2.3, 1.8], atol=0.05)


def test_a_walk_plays(opened, address):
    from playwright.sync_api import expect

    page = opened(address)
    strip, step = page.locator("#decoder-strip"), page.locator("#decoder-step")
    before = drawn(strip)
    assert before.shape == (28, 12 * 28)
    page.locator("#decoder-other").click()
    assert np.abs(drawn(strip) - before).mean() > 1
    step.fill("1")
    settled(page)
    np.testing.assert_array_equal(drawn(page.locator("#decoder-picture")), drawn(strip)[:, -28:])
    page.locator("#decoder-play").click()
    expect(page.locator("#decoder-play")).to_have_attribute("aria-label", "Stop the walk")
    expect(step).to_have_value(re.compile(r"0\.[1-8]"))
    page.locator("#decoder-play").click()
    assert page.locator("#decoder-play").get_attribute("aria-label") == "Play the walk"


def test_the_quiz_runs_by_keyboard_to_its_result(opened, address, study):
    page = opened(address, ready=False)
    page.locator("#quiz-run").select_option(DEEP)
    page.locator("#quiz-start").focus()
    page.keyboard.press("Enter")
    page.locator("#quiz-said", has_text="Pair 1 of 20.").wait_for()
    real = decoders.read(study.runs[1].folder)["real"][..., 0]
    seen = []
    for number in range(20):
        left, right = (drawn(page.locator(f"[data-side='{side}'] canvas")) for side in (0, 1))
        places = [[i for i, one in enumerate(real) if np.array_equal(one, image)] for image in (left, right)]
        assert sorted(map(len, places)) == [0, 1], "one of them is real"
        seen.append(next(filter(None, places))[0])
        right_key = "ArrowLeft" if places[0] else "ArrowRight"
        wrong_key = {"ArrowLeft": "ArrowRight", "ArrowRight": "ArrowLeft"}[right_key]
        page.keyboard.press(wrong_key if number < 3 else right_key)
    assert sorted(seen) == list(range(20))
    said = page.inner_text("#quiz-said")
    assert "in 3 of 20 pairs: an error rate of 15 %" in said
    distance = json.loads((study.runs[1].folder / "result.json").read_text())["metrics"]["frechet"]
    assert f"Fréchet distance is {number_of(distance)}" in said
    row = page.locator("#quiz tbody tr td").all_inner_texts()
    assert row[1:3] == ["3 of 20", "15 %"]
    assert "latents" in row[0]
    assert page.evaluate("document.activeElement.id") == "quiz-start"
    assert f"quiz={DEEP}" in page.evaluate("location.hash")


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
def test_axe_finds_nothing(opened, address, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = opened(address, width, color_scheme=scheme)
    page.locator("#quiz-start").click()
    page.locator(".quiz-pair progress").wait_for()
    settled(page)
    found = Axe().run(page, context={"include": [["#decoder"], ["#quiz"]]}).response["violations"]
    assert found == [], [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_there_is_a_walk_and_a_note(opened, address):
    page = opened(address, ready=False, java_script_enabled=False)
    assert page.locator(".decoders-still img").is_visible()
    assert "JavaScript" in page.inner_text("#quiz")
    assert not page.locator("#decoder-picture").is_visible()


def test_the_page_takes_the_leading_settings_then_small_images_then_others():
    def told(size, shape=(28, 28, 1)):
        return {"weights": "x" * size, "floats": "", "shape": shape}

    class Run(SimpleNamespace):
        __hash__ = object.__hash__

    rows = [("a", "big", 2, 8), ("b", "big", 20, 64), ("c", "big", 20, 8), ("d", "small", 2, 8), ("e", "small", 9, 8)]
    sizes = {
        "a": told(40, (32, 32, 3)),
        "b": told(60, (32, 32, 3)),
        "c": told(60, (32, 32, 3)),
        "d": told(10),
        "e": told(10),
    }
    runs = {
        Run(name=name, settings=SimpleNamespace(notebook=notebook, latent_dim=latent, width=width)): sizes[name]
        for name, notebook, latent, width in rows
    }

    def names(budget):
        return "".join(one.name for one in _chosen(runs, budget))

    assert [names(budget) for budget in (0, 80, 120, 1e9)] == ["ce", "cde", "acde", "abcde"]


def test_a_study_without_networks_says_so(tmp_path):
    (tmp_path / "live.yaml").write_text(STUDY)
    study = plan.read(str(tmp_path / "live.yaml"), out=str(tmp_path / "out"))
    synthetic.finish(study)
    found = records.collect(study)
    assert "has its networks here" in sections.decoders(found)
    assert "are not here" in sections.quiz(found)


def test_weights_rounded_in_blocks_are_those_rounded_row_by_row(monkeypatch):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(400, 5)) @ rng.normal(size=(5, 23)) + 0.3 * rng.normal(size=(400, 23))).astype(np.float32)
    one = {"op": "linear", "weights": rng.normal(size=(23, 6)), "bias": rng.normal(size=6)}
    scale = np.full(6, 0.2, np.float32)
    found = []
    for block in (1, 5, 23):
        monkeypatch.setattr(operations, "BLOCK", block)
        found.append(operations._rounded(one, one["weights"], scale, x))
    plain = np.round(one["weights"] / scale)
    for weights, bias in found:
        np.testing.assert_array_equal(weights, found[0][0])
        np.testing.assert_allclose(bias, found[0][1], rtol=1e-4)
    errors = [
        np.abs(x @ (each * scale) + b - x @ one["weights"] - one["bias"]).mean()
        for each, b in ((plain, one["bias"]), found[0])
    ]
    assert errors[1] < errors[0] / 2
