"""Every user-facing setting: what is accepted, what is refused, and in what words."""

import re

import pytest

from lib.settings import NOTEBOOKS, UserError, check, check_images, of_notebook, parameters


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_defaults_of_each_notebook_are_valid_and_complete(notebook, settings):
    assert settings(notebook).notebook == notebook


@pytest.mark.parametrize(
    ("notebook", "name", "value", "words"),
    [
        ("vae_mnist", "latent_dim", 0, "greater than or equal to 1"),
        ("vae_mnist", "latent_dim", 10**9, "less than or equal to 4096"),
        ("vae_mnist", "latent_dim", 2.5, "integer"),
        ("vae_mnist", "latent_dim", True, "boolean"),
        ("vae_mnist", "latent_dim", None, "integer"),
        ("vae_mnist", "latent_dim", [2], "integer"),
        ("vae_mnist", "width", "wide", "integer"),
        ("vae_mnist", "width", 0, "greater"),
        ("vae_mnist", "epochs", -1, "greater"),
        ("vae_mnist", "seed", -1, "greater"),
        ("vae_mnist", "batch_size", 1, "greater"),
        ("vae_mnist", "learning_rate", 0, "greater than 0"),
        ("vae_mnist", "learning_rate", float("nan"), "learning_rate = nan"),
        ("vae_mnist", "learning_rate", float("inf"), "learning_rate = inf"),
        ("vae_mnist", "learning_rate", "fast", "number"),
        ("vae_mnist", "learning_rate", False, "boolean"),
        ("vae_mnist", "validation", -5, "greater"),
        ("vae_mnist", "network", "cnn", "'mlp', 'conv' or 'dcgan'"),
        ("vae_mnist", "network", "convv", "did you mean conv?"),
        ("vae_mnist", "network", True, "'mlp', 'conv' or 'dcgan'"),
        ("vae_mnist", "likelihood", "normal", "'bernoulli' or 'gaussian'"),
        ("vae_mnist", "binarize", False, "'none', 'fixed' or 'dynamic'"),
        ("vae_mnist", "depth", 0, "greater"),
        ("vae_mnist", "activation", "gelu", "'relu' or 'tanh'"),
        ("gan_mnist", "schedule", "burda", "'constant' or 'linear'"),
        ("vae_mnist", "schedule", "cosine", "'constant', 'linear' or 'burda'"),
        ("vae_mnist", "epsilon", 0, "greater than 0"),
        ("vae_mnist", "importance_samples", 5001, "less than or equal to 5000"),
        ("vae_mnist", "dataset", "mnst", "did you mean mnist?"),
        ("vae_mnist", "dataset", "a\nb.npz", "control character"),
        ("vae_mnist", "dataset", "a" * 300 + ".npz", "more than 255 bytes"),
        ("vae_mnist", "output_dir", "b" * 300, "more than 255 bytes"),
        ("vae_mnist", "output_dir", "a\nb", "control character"),
        ("gan_mnist", "beta_1", 1.0, "less than 1"),
        ("wgan_mnist", "lipschitz", "none", "'clip' or 'gp'"),
        ("wgan_mnist", "clip", 0, "greater than 0"),
        ("wgan_mnist", "gp_weight", -1, "greater than 0"),
        ("wgan_mnist", "n_critic", 0, "greater"),
    ],
)
def test_bad_values_are_refused_in_one_line(settings, notebook, name, value, words):
    with pytest.raises(UserError) as error:
        settings(notebook, **{name: value})
    assert words in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_numbers_written_as_text_are_read_as_numbers(settings):
    assert settings("vae_mnist", learning_rate="1e-3", latent_dim="10").learning_rate == 0.001


def test_unknown_name_gets_the_nearest(settings):
    with pytest.raises(UserError, match=r"unknown parameter 'latent_dims' \(did you mean latent_dim\?\)"):
        settings("vae_mnist", latent_dims=3)


def test_a_name_with_code_in_it_is_refused(settings):
    with pytest.raises(UserError, match="unknown parameter"):
        settings("vae_mnist", **{"x = 1\nimport os": 1})


def test_missing_settings_are_named():
    with pytest.raises(UserError, match="seed is missing"):
        check({"notebook": "gan_mnist"}, "here")


def test_a_missing_setting_is_found_under_a_name_like_it(settings):
    values = settings("vae_mnist").model_dump() | {"widht": 64}
    del values["width"]
    with pytest.raises(UserError, match=r"width is missing \(is 'widht' a typing error\?\)"):
        check(values, "here")


def test_settings_of_another_model(settings):
    with pytest.raises(UserError, match="unknown parameter 'n_critic'"):
        settings("gan_mnist", n_critic=5)


def test_settings_cannot_be_changed_afterwards(settings):
    with pytest.raises(ValueError, match="frozen"):
        settings("gan_mnist").seed = 3


def _namespace(injected="", **changed):
    values = parameters("vae_mnist")
    return {
        **values,
        **changed,
        "In": ["", "notebook: str = ...", f"# Parameters\n{injected}", "of_notebook(globals())"],
    }


def test_of_notebook_reads_what_papermill_injected():
    assert of_notebook(_namespace("epochs = 3\n", epochs=3)).epochs == 3


def test_of_notebook_refuses_an_injected_name_that_is_no_parameter():
    with pytest.raises(UserError, match=r"unknown parameter 'latent_dmi' \(did you mean latent_dim\?\)"):
        of_notebook(_namespace("latent_dmi = 3\n", latent_dmi=3))


def test_of_notebook_knows_a_study_file():
    with pytest.raises(UserError, match=r"this is a study file.*use `latent-report run FILE`"):
        of_notebook(_namespace('title = "x"\nnotebooks = {"vae_mnist": {}}\n', notebooks={}))


def test_of_notebook_knows_papermills_own_parameters():
    injected = 'PAPERMILL_INPUT_PATH = "a"\nPAPERMILL_OUTPUT_PATH = "b"\nPAPERMILL_OUTPUT_DIR_PATH = ""\nepochs = 3\n'
    assert of_notebook(_namespace(injected, epochs=3)).epochs == 3  # of its option --inject-paths


def test_of_notebook_says_what_a_list_is_for():
    with pytest.raises(
        UserError, match=r"width = \[8, 16\].*a list is a grid of runs, for study files only: `latent-report run FILE`"
    ):
        of_notebook(_namespace("width = [8, 16]\n", width=[8, 16]))


def test_of_notebook_finds_a_name_that_was_changed_by_mistake():
    values = parameters("vae_mnist")
    values["widht"] = values.pop("width")
    cell = 'notebook: str = "vae_mnist"  # its name\n%matplotlib\nwidht: int = 512\n'
    for source, words in (
        (cell.replace("%matplotlib\n", ""), "unknown parameter 'widht' (did you mean width?)"),
        (cell, "width is missing"),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            of_notebook(values | {"In": ["", source]})


def test_of_notebook_ignores_other_names_of_a_live_notebook():
    assert of_notebook({**_namespace(), "settings": 1, "np": 2}).notebook == "vae_mnist"


def test_error_is_shown_in_one_line_by_ipython():
    assert UserError("what: where")._render_traceback_() == ["UserError: what: where"]


@pytest.mark.parametrize(
    ("notebook", "changed", "count", "shape", "words"),
    [
        ("vae_mnist", {}, 1000, (28, 28, 3), "expects grey"),
        ("gan_cifar10", {}, 1000, (28, 28, 1), "expects colour"),
        ("vae_mnist", {"network": "conv"}, 1000, (30, 30, 1), "divisible by 4"),
        ("vae_mnist", {"batch_size": 100}, 100, (28, 28, 1), "one step takes 100 images"),
        ("wgan_mnist", {"batch_size": 50}, 250, (28, 28, 1), "one step takes 250 images"),
    ],
)
def test_images_that_do_not_suit_a_run(settings, notebook, changed, count, shape, words):
    with pytest.raises(UserError, match=words):
        check_images(settings(notebook, **changed), count, shape, "here")


def test_images_that_suit(settings):
    check_images(settings("wgan_mnist", batch_size=50), 278, (28, 28, 1), "here")
