import base64
import html
import io
import math
import re

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from PIL import Image

from lib import figures, models, settings
from lib.figures import charts

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)
VAE = {"loss": [3.0, 2.0], "reconstruction": [2.5, 1.0], "kl": [0.5, 1.0], "val_loss": [3.5, 2.5]}
GAN = {"jsd": [0.1, 0.4, 0.2], "val_jsd": [0.0, 0.3, 0.1], "d_loss": [0.6, 0.3, 0.5], "g_loss": [1.0, 2.0, 3.0]}
WGAN = {"emd": [3.0, 2.0], "critic_loss": [-3.0, -2.0], "g_loss": [0.0, 1.0]}


def described(notebook):
    """The words for a notebook's model."""
    return models.describe(settings.check(settings.parameters(notebook), notebook))


A_VAE, A_GAN, A_WGAN = map(described, ("vae_mnist", "gan_mnist", "wgan_mnist"))


def test_mosaic_places_every_pixel():
    canvas = figures.mosaic(IMAGES, columns=3)
    assert canvas.shape == (3 * 5 - 1, 3 * 6 - 1, 3)
    for index, image in enumerate(IMAGES):
        row, column = divmod(index, 3)
        np.testing.assert_array_equal(canvas[row * 5 : row * 5 + 4, column * 6 : column * 6 + 5], image)
    assert (canvas[4] == 255).all()
    assert (canvas[10:, 6:] == 255).all()  # the last row holds one image only


def test_mosaic_reads_floats_and_grey():
    canvas = figures.mosaic(np.array([0.0, 0.5, 1.0, 2.0]).reshape(4, 1, 1, 1), columns=4, gap=0)
    np.testing.assert_array_equal(canvas[0, :, 0], [0, 128, 255, 255])


def test_gallery_shows_the_mosaic_at_whole_pixels():
    drawn = figures.gallery(IMAGES, columns=3, title="Samples")
    (image,) = drawn.axes[0].images
    np.testing.assert_array_equal(image.get_array()[..., :3], figures.mosaic(IMAGES, 3))
    assert image.get_interpolation() == "nearest"
    assert drawn.size[0] % figures.mosaic(IMAGES, 3).shape[1] == 0
    assert drawn.axes[0].get_title(loc="left") == "Samples"


def an_own_model(**words):
    """The words for a model of somebody's own."""
    names = ("loss", "kl", "missing")
    words = {
        "columns": dict(zip(names, names, strict=True)),
        "curve": (names,),
        "losses": (),
        "units": ("nats",),
    } | words
    return models.Description(title="Mine", headline="", **words)


def test_curves_draw_training_solid_and_validation_dashed():
    axes = figures.training(VAE, an_own_model(levels={"mean image": 2.8})).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(lines["loss"].get_xdata(), [1, 2])
    np.testing.assert_array_equal(lines["loss"].get_ydata(), VAE["loss"])
    np.testing.assert_array_equal(lines["val_loss"].get_ydata(), VAE["val_loss"])
    assert lines["loss"].get_linestyle() == "-"
    assert lines["val_loss"].get_linestyle() == "--"
    assert lines["val_loss"].get_color() == lines["loss"].get_color() != lines["kl"].get_color()
    assert any("mean image (2.80)" in text.get_text() for text in axes.texts)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "nats")


def test_an_own_model_says_what_its_curve_is():
    kept = {
        "columns": {"a": "first loss", "b": "b", "c": "c"},
        "curve": [["a"], ["b", "c"]],
        "losses": [["c"], ["b"], ["a"]],
    }  # as JSON
    own = an_own_model(**kept, units=["nats"], levels={"the least": 0.5})
    history = {"a": [3.0, 2.0], "b": [1.0, 1.5], "c": [0.2, 0.1]}
    drawn = figures.training(history, own)
    assert drawn.alt == "By epoch, over 2: first loss from 3.00 to 2.00, b from 1.00 to 1.50, c from 0.200 to 0.100"
    assert [axes.get_ylabel() for axes in drawn.axes] == ["nats", ""]
    assert [axes.get_xlabel() for axes in drawn.axes] == ["", "epoch"]
    above, below = (len(axes.lines) for axes in drawn.axes)
    assert (above, below) == (2, 2)  # a and the level; b and c
    losses = figures.training(history, own, losses=True).axes
    assert [[line.get_label() for line in axes.lines] for axes in losses] == [["c"], ["b"], ["a"]]


def test_training_picks_the_models_own_curve():
    vae, kl = figures.training(VAE, A_VAE).axes
    assert {line.get_label() for line in vae.lines} == {"loss", "val_loss", "reconstruction"}
    assert [line.get_label() for line in kl.lines] == ["kl"]
    (gan,) = figures.training(GAN, A_GAN).axes
    assert any(list(line.get_ydata()) == [math.log(2)] * 2 for line in gan.lines)
    assert gan.get_ylim()[1] > math.log(2)
    (wgan,) = figures.training(WGAN, A_WGAN).axes
    assert wgan.get_ylim()[0] < 0
    (losses,) = figures.training(GAN, A_GAN, losses=True).axes
    assert {line.get_label() for line in losses.lines} == {"d_loss", "g_loss"}


def test_figures_side_by_side_have_one_scale():
    other = {name: [10 * value for value in values] for name, values in VAE.items()}
    limits = [figures.training(one, A_VAE, like=[VAE, other]).axes[0].get_ylim() for one in (VAE, other)]
    assert limits[0] == limits[1]
    assert limits[0][1] > 35


def test_seeds_are_averaged_over_the_epochs_that_all_have():
    mean, band = figures.over_seeds([{"jsd": [1.0, 2.0, 9.0], "odd": [1.0]}, {"jsd": [3.0, 2.0]}])
    assert mean == {"jsd": [2.0, 2.0]}
    assert band == {"jsd": [pytest.approx(math.sqrt(2)), 0.0]}


def test_a_band_is_shaded_said_and_held_by_the_axes():
    band = {name: [5.0] * len(values) for name, values in VAE.items()}
    axes = figures.training(VAE, A_VAE, band=band).axes[0]
    edges = axes.collections[0].get_paths()[0].vertices
    assert (edges[:, 1].min(), edges[:, 1].max()) == (-3.0, 8.0)  # the loss is 3 and 2
    assert len(axes.collections) == 3  # loss, its validation, reconstruction
    assert axes.get_ylim()[0] < -3 < 8.5 < axes.get_ylim()[1]
    assert "band: ± 1 standard deviation" in axes.get_title(loc="left")
    assert not figures.training(VAE, A_VAE).axes[0].collections
    assert figures.training(VAE, A_VAE, band=band).alt.startswith("Means over seeds")


@pytest.mark.parametrize("history", [{}, {"loss": [1.0]}, {"loss": [math.nan, math.inf]}])
def test_curves_of_almost_nothing(history):
    assert figures.training(history, A_VAE).png().startswith(b"\x89PNG")


def test_latent_map_shows_every_point_under_its_label():
    points, labels = RNG.normal(size=(30, 2)), np.arange(30) % 3
    axes = figures.latent_map(points, labels, ("a", "b")).axes[0]
    for label, collection in enumerate(axes.collections):
        np.testing.assert_allclose(collection.get_offsets(), points[labels == label])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "1", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")
    assert figures.latent_map(points).axes[0].get_legend() is None


def test_plane_has_the_largest_z2_on_top():
    images = np.arange(9, dtype=np.uint8).reshape(9, 1, 1, 1)
    axes = figures.plane(images, [-1.0, -0.01, 1.0]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array()[..., 0], images.reshape(3, 3))
    assert axes.images[0].get_extent() == [0, 3, 0, 3]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["-1.0", "0.0", "1.0"]


def test_the_names_of_two_rows_of_images_are_not_cut():
    drawn = figures.reconstructions(IMAGES[:3], IMAGES[3:6], ("generated", "nearest"))
    assert min(text.get_window_extent().x0 for text in drawn.texts) >= 0


def test_reconstructions_stand_below_their_originals():
    drawn = figures.reconstructions(IMAGES[:3], IMAGES[3:6])
    np.testing.assert_array_equal(drawn.axes[0].images[0].get_array()[5:9, :5, :3], IMAGES[3])
    assert [text.get_text() for text in drawn.texts] == ["original", "decoded"]


def test_a_heat_map_writes_each_value_in_its_cell_and_says_where_the_ends_are():
    values, texts = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[f"{name}\n± 0.1" for name in row] for row in ("abc", "def")]
    drawn = figures.heat_map(values, [2, 10], [8, 16, 32], texts, ("latent_dim", "width"), "loss (nats)")
    (axes,) = drawn.axes
    np.testing.assert_array_equal(axes.images[0].get_array(), values)
    assert {tuple(text.get_position()): text.get_text() for text in axes.texts}[(2, 1)] == "f\n± 0.1"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2", "10"]
    assert drawn.alt == (
        "Heat map of loss (nats) over 2 by 3 settings: "
        "from a ± 0.1 at latent_dim 2, width 8 to f ± 0.1 at latent_dim 10, width 32"
    )


@pytest.mark.parametrize("values", [[[1.0, 1.0], [1.0, 1.0]], [[1.0, math.nan], [2.0, 3.0]]])
def test_a_heat_map_of_one_value_or_with_a_gap(values):
    drawn = figures.heat_map(values, [1, 2], [3, 4], [["x"] * 2] * 2, ("a", "b"), "c")
    assert drawn.png().startswith(b"\x89PNG")


def test_text_on_a_heat_map_can_be_read():
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return np.dot((0.2126, 0.7152, 0.0722), linear)

    for share in np.linspace(0, 1, 50):
        cell, ink = luminance(figures.HEAT(share)), 1.0 if charts._ink(figures.HEAT(share)) == "white" else 0.0
        assert (max(cell, ink) + 0.05) / (min(cell, ink) + 0.05) >= 4.5  # WCAG 2.1, level AA


IMAGE = re.compile(
    r'<img (?:class="latent-report-chart" )?alt="([^"]+)" src="data:image/png;base64,([^"]+)" width="(\d+)">'
)


def displayed(figure):
    """What a notebook keeps of a figure that a cell puts out."""
    return DisplayFormatter().format(figure)[0]


def test_every_figure_displays_itself_once_and_says_what_it_shows():
    drawn = [
        figures.gallery(IMAGES, title='Samples of <b>"a" & b</b>'),
        figures.interpolation(IMAGES),
        figures.training(GAN, A_GAN),
        figures.training({}, A_WGAN),
        figures.reconstructions(IMAGES, IMAGES),
    ]
    for one in drawn:
        assert isinstance(one, Figure)
        kept = displayed(one)
        assert kept.keys() == {
            "text/html",
            "text/plain",
        }  # an image/png, whose words Jupyter ignores, would be a second
        assert kept["text/plain"] == one.alt != ""
        (alt, image, width) = IMAGE.search(kept["text/html"]).groups()
        assert html.unescape(alt) == one.alt
        assert "<" not in alt
        assert base64.b64decode(image).startswith(b"\x89PNG")
        assert int(width) == one.size[0]


def pixels(figure):
    image = IMAGE.search(displayed(figure)["text/html"]).group(2)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image))).convert("RGBA"))


def test_images_stand_on_the_pages_own_ground_and_words_can_be_read_on_any():
    drawn = figures.gallery(IMAGES, columns=4, title="Samples")
    shown, ground = pixels(drawn), pixels(drawn)[..., 3] == 0
    assert ground[-5:, -5:].all()  # the last row ends early
    assert (shown[-5:, :5, 3] == 255).all()
    inks = shown[:40][shown[:40, :, 3] == 255][:, :3]  # of the title
    luminance = np.dot(
        [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in inks[0] / 255], (0.2126, 0.7152, 0.0722)
    )
    for other in (1.0, 0.0056):  # white, and JupyterLab's dark ground
        assert (max(luminance, other) + 0.05) / (min(luminance, other) + 0.05) > 4.3


def test_a_charts_ground_is_white_so_that_dark_themes_can_invert_it():
    drawn = figures.training(GAN, A_GAN)
    assert (pixels(drawn)[..., 3] == 255).all()
    assert "latent-report-chart" in drawn.html()
    assert figures.DARK in drawn.html()
    assert "<style" not in figures.gallery(IMAGES).html()


def test_a_picture_for_the_report_is_opaque():
    few = np.asarray(Image.open(io.BytesIO(figures.plane(IMAGES[:4], [-1, 1]).png())).convert("RGBA"))
    assert (few[..., 3] == 255).all()


def test_svg_is_the_same_each_time():
    assert figures.training(VAE, A_VAE).svg() == figures.training(VAE, A_VAE).svg()
