"""JupyterLab as somebody uses it: open a notebook, run all cells, move a slider, see the picture change."""

import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest
from labs import idle, opened, run, serving, without_errors
from PIL import Image
from sklearn.datasets import load_digits

from lib.notebooks import NOTEBOOK_DIR, ROOT

QUICK = {"dataset": '"digits"', "epochs": "60", "width": "16", "batch_size": "32", "importance_samples": "1"}


def put(folder, name, values):
    """A copy of a notebook with other values in its parameters cell."""
    notebook = json.loads((NOTEBOOK_DIR / f"{name}.ipynb").read_text(encoding="utf-8"))
    (cell,) = [cell for cell in notebook["cells"] if "parameters" in cell["metadata"].get("tags", ())]
    lines = [line.rstrip("\n") for line in cell["source"]]
    for number, line in enumerate(lines):
        parameter = line.partition(":")[0]
        if parameter in values:
            lines[number] = f"{line.partition('=')[0]}= {values[parameter]}"
    cell["source"] = "\n".join(lines)
    (folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def copy_of_the_repository(folder):
    """What somebody sees who starts JupyterLab at the repository."""
    notebooks = folder / "notebooks"
    shutil.copytree(NOTEBOOK_DIR, notebooks, ignore=lambda _, names: {n for n in names if n[0] == "."})
    for name in ("lib", "docs", "README.md", "reports/README.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    put(notebooks, "vae_mnist", QUICK | {"output_dir": json.dumps(str(folder / "run"))})


def words_of_make_lab():
    """The arguments of jupyter in the Makefile's target `lab`, without running anything."""
    done = subprocess.run(["make", "--dry-run", "lab"], cwd=ROOT, capture_output=True, text=True, check=True)
    return re.search(r"/jupyter lab (.*)$", done.stdout, re.MULTILINE).group(1).split()


@pytest.mark.parametrize("user", [0, 1000])
def test_make_lab_starts_as_root_too(tmp_path, monkeypatch, user):
    (tmp_path / "id").write_text(f"#!/bin/sh\necho {user}\n")
    (tmp_path / "id").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert ("--allow-root" in words_of_make_lab()) == (user == 0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of what `make lab` starts, which asks the network for nothing, and the folder it is started in."""
    folder = tmp_path_factory.mktemp("lab")
    copy_of_the_repository(folder)
    with serving(folder, words_of_make_lab()) as address:
        yield address, folder


def below(page, heading):
    """The code cell below a heading."""
    return page.locator(f".jp-Cell:has(h2:has-text('{heading}')) + .jp-Cell")


def source(image):
    return image.evaluate("image => image.src")


def changes(page, image, action):
    """Does something, and waits until an image shows something else."""
    before = source(image)
    action()
    page.wait_for_function("([image, before]) => image.src !== before", arg=[image.element_handle(), before])


def nameless(page):
    """What a screen reader would read out without a name."""
    kinds = "img|slider|spinbutton|combobox|listbox|progressbar|textbox|application|button"
    lines = page.locator(".jp-Notebook .jp-OutputArea").all()
    found = [line for one in lines for line in one.aria_snapshot().splitlines()]
    return [line for line in found if re.match(rf"\s*- '?(?:{kinds})\b(?! \")", line)]


def on_dark_ground(page):
    """The filters of charts, and those of images, that a dark theme sets."""
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    filters = page.eval_on_selector_all(
        ".jp-OutputArea img",
        "all => all.map(one => [/^(By epoch|Means|Scatter)/.test(one.alt), getComputedStyle(one).filter])",
    )
    page.evaluate("document.body.dataset.jpThemeLight = 'true'")
    return ({filter for chart, filter in filters if chart == which} for which in (True, False))


def test_it_opens_explore_and_every_link_of_a_notebook_leads_somewhere(lab):
    address, _ = lab
    with urllib.request.urlopen(address.removesuffix("/lab"), timeout=30) as first:
        assert first.url.removesuffix("?") == f"{address}/tree/notebooks/explore.ipynb"
    wanted = {
        (path.parent / link.partition("#")[0]).resolve().relative_to(ROOT)
        for path in NOTEBOOK_DIR.glob("*.ipynb")
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "markdown"
        for link in re.findall(r"\]\(([^)\s]+)\)", "".join(cell["source"]))
        if not link.startswith(("http", "#"))
    }
    assert len(wanted) > 8
    for path in wanted:
        urllib.request.urlopen(f"{address}/../api/contents/{path}?content=0", timeout=30).close()


def test_a_model_notebook_whose_page_is_reloaded_while_it_trains(browser, lab):
    page = opened(browser, lab[0], "vae_mnist")
    run(page, "Run All Cells")
    training = below(page, "Training")
    training.locator("img").first.wait_for()
    page.keyboard.press("Control+s")  # or two minutes later by itself
    page.get_by_text("Saving completed").wait_for()
    page.reload()
    assert not (lab[1] / "run").exists(), "reloaded too late"
    idle(page)
    training.get_by_text("epoch 60/60").wait_for()  # the widgets have come back
    assert (lab[1] / "run" / "result.json").is_file()
    assert "epoch 60/60" in (lab[1] / "run" / "log.txt").read_text()
    assert f"{lab[1]}/run" in training.locator(".jp-OutputArea").inner_text()  # where the run is found
    assert training.locator("img").count() == 2

    training.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    run(page, "Run Selected Cell and All Below")
    without_errors(page, after="training.train(")
    assert nameless(page) == []
    charts, images = on_dark_ground(page)
    assert charts == {"invert(1) hue-rotate(180deg)"}
    assert images == {"none"}

    image = page.locator(".widget-tab img").first
    slider = page.get_by_role("slider", name="z1", exact=True)
    changes(page, image, lambda: slider.press("ArrowRight"))
    plane = page.locator("img[alt='Images decoded on a grid over two latents']")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    changes(page, image, lambda: page.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + 0.2 * box["height"]))
    page.wait_for_function("slider => slider.value < -2", arg=slider.element_handle())
    shown = [float(page.get_by_role("slider", name=name, exact=True).input_value()) for name in ("z1", "z2")]
    assert shown == pytest.approx([-2.65, 2.0], abs=0.3)
    ring, cell = page.get_by_role("application", name="Latent plane"), page.locator(".jp-Cell.jp-mod-active")
    before = cell.bounding_box()
    changes(page, image, lambda: ring.press("ArrowDown"))
    assert cell.bounding_box() == before, "JupyterLab has taken the key, and went to the next cell"
    changes(page, image, lambda: page.get_by_role("button", name="Zero").click())
    page.wait_for_function("slider => slider.value == 0", arg=slider.element_handle())
    page.close()


def moves_and_types(page, cell):
    """A slider by the arrow keys, by value and by quantile; a vector typed, one that is none, and back to the first."""
    image, slider = cell.locator("img").first, cell.get_by_role("slider", name="z1", exact=True)
    cell.get_by_label("vector").fill("0.5, 0")
    changes(page, image, lambda: page.keyboard.press("Enter"))
    first = image.screenshot()
    changes(page, image, lambda: slider.press("ArrowRight"))
    assert slider.get_attribute("aria-valuetext") == "0.55 (70.9 %)"
    cell.get_by_label("places by").select_option("quantile")
    page.wait_for_function("slider => slider.max == 99.9", arg=slider.element_handle())
    changes(page, image, lambda: slider.press("ArrowRight"))
    assert slider.get_attribute("aria-valuetext") == "0.55 (71.0 %)"
    assert cell.get_by_label("vector").input_value() == "0.553, 0.000"
    changes(page, image, lambda: cell.get_by_role("button", name="Reset").click())
    assert image.screenshot() == first
    cell.get_by_label("vector").fill("0.5, none")
    page.keyboard.press("Enter")
    cell.get_by_text("'none' is not a number").wait_for()


def walks(page, cell, folder):
    """Another end by the arrow keys, another place by the slider, and both files."""
    strip = cell.locator("img[alt='Ten images along the walk']")
    end = cell.get_by_role("group", name="To").get_by_role("radio")
    changes(page, strip, lambda: end.nth(1).press("ArrowRight"))
    assert end.nth(2).is_checked()
    assert end.nth(2).get_attribute("title") == "test image 3"
    slider = cell.get_by_role("slider", name="position", exact=True)
    changes(page, cell.locator("img[alt='The image at this point of the walk']"), lambda: slider.press("ArrowRight"))
    for kind, frames in (("GIF", 58), ("PNG", 1)):
        with page.expect_download() as download:
            cell.get_by_role("button", name=f"Save as {kind}").click()
        assert download.value.suggested_filename == f"walk.{kind.lower()}"
        download.value.save_as(folder / kind)
        assert getattr(Image.open(folder / kind), "n_frames", 1) == frames


def shows_an_own_image(page, cell, folder):
    """A digit drawn with the mouse, and one that is uploaded, for a model with an encoder and for one without."""
    pad, pair = cell.locator("canvas"), cell.locator("img[alt*='and its reconstruction']")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 80, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 40, steps=5)
    page.mouse.move(box["x"] + 120, box["y"] + 240, steps=5)
    page.mouse.up()
    pair.wait_for()
    digit = folder / "seven.png"
    Image.fromarray(255 - 15 * load_digits().images[7].astype("uint8")).resize((200, 120)).save(digit)
    cell.get_by_label("exchange light and dark").check()

    def upload():
        with page.expect_file_chooser() as chooser:
            cell.get_by_role("button", name="Upload an image").click()
        chooser.value.set_files(digit)

    drawn = source(pair)
    upload()
    page.wait_for_function("before => !document.querySelector(`img[src='${before}']`)", arg=drawn)
    cell.locator("img[alt='The 5 training images nearest to it']").wait_for()
    cell.get_by_label("run").select_option("gan_mnist-latent_dim10-width64-seed0")
    cell.get_by_text("This model has no encoder").wait_for()
    assert len(cell.get_by_label("vector").input_value().split(", ")) == 10


def test_the_explore_notebook(browser, lab, tmp_path):
    page = opened(browser, lab[0], "explore")
    run(page, "Run All Cells")
    without_errors(page)
    moves_and_types(page, below(page, "Move in latent space"))
    walks(page, below(page, "Walk between two images"), tmp_path)
    shows_an_own_image(page, below(page, "An image of your own"), tmp_path)
    grid = below(page, "Traverse one latent")
    changes(page, grid.locator("img"), lambda: grid.get_by_label("places by").select_option("quantile"))
    assert "from 5 % to 95 %" in grid.locator("img").get_attribute("alt")
    near = below(page, "Nearest training images")

    def another_seed():
        near.locator("input[type=number]").first.fill("7")
        page.keyboard.press("Enter")

    changes(page, near.locator("img").nth(1), another_seed)
    assert nameless(page) == []
    charts, images = on_dark_ground(page)
    assert charts == {"invert(1) hue-rotate(180deg)"}
    assert images == {"none"}

    compared = below(page, "Compare")
    assert "noisy" in compared.inner_text()  # one of the references
    study = page.get_by_role("combobox", name="study")
    study.select_option("homework (22 runs, numbers and images only)")
    compared.locator("img[alt='36 samples of vae_cifar10-latent_dim2-width256-seed0']").wait_for()
    effects = below(page, "Effects of a setting")
    effects.get_by_label("over").select_option("width")
    effects.locator("img[alt*='over width']").first.wait_for()
    for section in ("Move in latent space", "Walk between two images", "An image of your own"):
        below(page, section).get_by_text("No networks here").wait_for()
        assert below(page, section).locator("img").count() == 0
    page.close()
