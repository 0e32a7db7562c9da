"""A user's own image: how it is read, its latent vector, and what is shown of it."""

import io
from datetime import UTC, datetime

import ipywidgets
import numpy as np
import pytest
from conftest import images
from PIL import Image
from test_explore import children, pictures

from lib.errors import UserError
from lib.models import build
from lib.scores.drawing import decode
from lib.widgets import controls, latents, own

NOW = datetime.now(UTC)


def file(array, kind="png", **options):
    out = io.BytesIO()
    Image.fromarray(array).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8, 3)])
def test_the_middle_of_an_image_is_taken_in_the_models_size_and_colours(shape):
    wide = np.full((40, 100, 3), 255, np.uint8)
    wide[:, 30:70] = (200, 40, 40)
    wide[:20, 30:70] = 0
    found = latents.fitted(file(wide), shape)
    assert (found.shape, found.dtype) == ((1, *shape), np.uint8)
    assert found[0, :2, 1:-1].max() < 9
    colour = [87.8] if shape[2] == 1 else [200, 40, 40]  # grey: 0.299 red, 0.587 green, 0.114 blue
    np.testing.assert_allclose(found[0, 6:, 1:-1], np.broadcast_to(colour, (2, 6, shape[2])), atol=9)
    np.testing.assert_array_equal(latents.fitted(file(wide), shape, invert=True), 255 - found)


def test_an_image_of_the_models_size_stays_as_it_is():
    (image,) = images(1)
    np.testing.assert_array_equal(latents.fitted(file(image[..., 0]), (8, 8, 1))[0], image)


def test_what_is_transparent_is_white_and_a_photograph_stands_upright():
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[4:, :, 3] = 255
    assert latents.fitted(file(clear), (8, 8, 1))[0, [0, -1], 0, 0].tolist() == [255, 0]
    lying = np.zeros((8, 8, 3), np.uint8)
    lying[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees
    upright = latents.fitted(file(lying, exif=exif), (8, 8, 1))[0, ..., 0]
    assert upright[0].min() > 200 > 50 > upright[-1].max()


@pytest.mark.parametrize("content", [b"no image", b"", file(images(1, side=64)[0, ..., 0])[:900]])
def test_what_is_no_image_is_said_in_one_line(content):
    with pytest.raises(UserError, match="this file is no image that can be read") as error:
        latents.fitted(content, (8, 8, 1))
    assert "\n" not in str(error.value)


def test_an_encoder_gives_the_vector_and_what_it_tells(settings):
    model = build(settings("vae_mnist", latent_dim=3, width=8), (8, 8, 1))
    image = images(1)
    z, how = own.code(model, image)
    np.testing.assert_array_equal(z, model.encode(image))
    assert f"tells {float(np.sum(model.kl_per_latent(image))):.3g}"[:10] in how


def test_without_an_encoder_a_vector_is_searched_for(settings):
    model = build(settings("gan_mnist", latent_dim=3, width=16), (8, 8, 1))
    z = latents.seeded(model, 77)
    image = decode(model, z)
    found, how = own.code(model, image)
    candidates = decode(model, latents.seeded(model, 0, latents.CANDIDATES)).astype(float)
    best = np.square(candidates - image).sum(axis=(1, 2, 3)).min()
    assert np.square(decode(model, found).astype(float) - image).sum() < best, "no nearer than the best sample"
    assert "no encoder" in how


def test_an_upload_and_a_drawing_are_shown_with_reconstruction_and_neighbours(settings, in_lab):
    model = build(settings("vae_mnist", latent_dim=3, width=8), (8, 8, 1))
    training = images(20)
    section = own.own(model, lambda: training, training, own.Chosen())
    (upload,), (pad,) = children(section, ipywidgets.FileUpload), children(section, controls.Pad)
    content = memoryview(file(training[7, ..., 0]))
    upload.value = ({"name": "a.png", "type": "image/png", "size": 9, "content": content, "last_modified": NOW},)
    pair, near = pictures(section)
    decoded = decode(model, np.asarray(model.encode(training[7:8])))[0]
    assert pair == controls.png(controls.tiled([training[7], decoded], 2))
    nearest = training[latents.closest(training[7], training)]
    np.testing.assert_array_equal(nearest[0], training[7])
    assert near == controls.png(controls.tiled(nearest, 5), own.NEIGHBOUR)
    (vector,) = children(section, ipywidgets.Text)
    np.testing.assert_allclose(latents.parse(vector.value, 3), model.encode(training[7:8]), atol=5e-4)
    pad.value = memoryview(file(training[2, ..., 0]))
    assert pictures(section)[0] != pair
    drawn = pictures(section)[0]
    children(section, ipywidgets.Checkbox)[0].value = True
    assert pictures(section)[0] != drawn
    pad.value = b""
    assert pictures(section) == []


def test_a_file_that_is_no_image_and_training_images_that_are_not_there_are_said(settings, in_lab):
    model = build(settings("vae_mnist", latent_dim=3, width=8), (8, 8, 1))

    def missing():
        raise UserError("mnist.npz is not there")

    section = own.own(model, missing, images(1), own.Chosen(content=b"no image"))

    def said():
        return "".join(
            one["data"]["text/markdown"] for box in children(section, ipywidgets.Output) for one in box.outputs
        )

    assert "**this file is no image that can be read" in said()
    children(section, controls.Pad)[0].value = file(images(1)[0, ..., 0])
    assert "Its neighbours cannot be shown: mnist.npz is not there" in said()
    assert len(pictures(section)) == 1
