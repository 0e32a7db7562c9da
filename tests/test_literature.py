import pytest

from lib.report import literature
from lib.study import plan

DEFAULTS = {"network": "mlp", "epochs": 50, "batch_size": 128, "validation": 5000, "seed": 0}
VAE = DEFAULTS | {"likelihood": "bernoulli", "binarize": "none", "depth": 1, "activation": "relu"}
BURDA = {"latent_dim": 50, "width": 200, "depth": 2, "activation": "tanh", "binarize": "dynamic", "batch_size": 20}


def run(notebook="vae_mnist", canonical=True, metrics=None, **settings):
    """A finished run's result.json, as far as the comparison reads it."""
    base = {"notebook": notebook, "latent_dim": 20, "width": 512, **(VAE if notebook.startswith("vae") else DEFAULTS)}
    name = "-".join(f"{key}{value}" for key, value in settings.items())
    return {
        "run": name,
        "settings": base | settings,
        "dataset": {"canonical": canonical},
        "metrics": metrics or {},
    }


def compare(key, *results):
    """Compares the entry of this value or name."""
    return literature.compare(next(one for one in literature.TABLE if key in (one.value, one.what)), results)


def pytorch(loss, **settings):
    return run(metrics={"test_loss": loss}, **settings)


def test_every_entry_says_where_it_comes_from_and_how_it_is_judged():
    for one in literature.TABLE:
        assert one.kind in (literature.PAPER, literature.LOG)
        assert one.source
        assert sum([bool(one.tolerance), bool(one.ranked), bool(one.incomparable)]) == 1
        assert one.incomparable or (one.wanted["notebook"] and one.metrics)
        assert not set(one.wanted) & set(one.theirs)


def test_agrees_within_the_tolerance_and_differs_beyond_it():
    assert compare(105.6, pytorch(105.6 * 1.049)).word == "agrees"
    above = compare(105.6, pytorch(105.6 * 1.051))
    assert (above.word, above.why) == ("differs", "5.1 % above; tolerance 5 %")
    assert compare(105.6, pytorch(105.6 * 0.94)).why == "6.0 % below; tolerance 5 %"


def test_fewer_epochs_than_published_are_a_short_run_however_near():
    found = compare(105.6, pytorch(105.6 * 1.1, epochs=9))
    assert (found.word, found.why) == ("short run", "9 of 10 epochs; 10.0 % above")
    assert compare(105.6, pytorch(105.6, epochs=9)).word == "short run"
    assert compare(105.6, pytorch(105.6, epochs=10)).word == "agrees"


def test_only_the_setting_that_was_published_is_compared():
    assert compare(105.6).word == "no such run"
    for other in ({"latent_dim": 10}, {"binarize": "dynamic"}, {"likelihood": "gaussian"}):
        assert compare(105.6, pytorch(105.6, **other)).word == "no such run"
    assert compare(105.6, run(metrics={"sharpness": 1.0})).word == "no such run"
    assert compare(105.6, pytorch(105.6, canonical=False)).word == "other data"
    assert compare(105.6, pytorch(105.6, canonical=False), pytorch(105.6)).word == "agrees"


def test_what_differs_in_the_setting_is_read_from_the_run():
    assert compare(105.6, pytorch(105.6)).differences == (
        "width 512 (theirs 400)",
        "epochs 50 (theirs 10)",
        "validation 5,000 (theirs 0)",
    )
    assert compare(105.6, pytorch(105.6, width=400, epochs=10, validation=0)).differences == ()


def test_the_nearest_setting_is_compared_as_the_mean_over_its_seeds():
    near = [pytorch(loss, width=400, seed=seed) for seed, loss in enumerate((100.0, 104.0))]
    found = compare(105.6, pytorch(90.0), pytorch(80.0, width=400, epochs=500), *near)
    assert found.values == (100.0, 104.0)
    assert found.runs == ("width400-seed0", "width400-seed1")
    assert found.why == "3.4 % below; tolerance 5 %"


def test_burdas_bound_is_compared_with_the_largest_k_there_is():
    settings = BURDA | {"epochs": 3280, "validation": 0}
    bounds = {"nll_1": 92.0, "nll_50": 88.0}
    found = compare(86.76, run(metrics=bounds, **settings))
    assert (found.word, found.metric, found.values) == ("agrees", "nll_50", (88.0,))
    assert found.differences[0] == "nll_50 instead of nll_5000"
    exact = compare(86.76, run(metrics=bounds | {"nll_5000": 89.0}, **settings))
    assert (exact.word, exact.metric) == ("differs", "nll_5000")
    assert "instead of" not in " ".join(exact.differences)
    assert compare(86.76, run(metrics=bounds, **BURDA, epochs=100)).why.startswith("100 of 3,280 epochs")


@pytest.mark.parametrize(("study", "word"), [("iwae", "agrees"), ("iwae_short", "short run")])
def test_the_iwae_studies_are_burdas_setting(study, word):
    (planned,) = plan.read(study, check_data=False).runs
    found = compare(86.76, run(metrics={"nll_5000": 86.9}, **planned.settings.model_dump()))
    assert found.word == word
    apart = ("epochs 100 (theirs 3,280)",) if word == "short run" else ()
    assert found.differences == (*apart, "ours on 1,000 of the 10,000 test images")


def frechet(gan, clip=None, gp=None, family="mnist"):
    """Runs of up to three models with these Fréchet distances; a worse run of the GAN beside."""
    results = [run(f"gan_{family}", metrics={"frechet": value}) for value in (gan * 9, gan)]
    results[0]["settings"]["width"] = 8
    for lipschitz, value in (("clip", clip), ("gp", gp)):
        if value:
            results.append(run(f"wgan_{family}", lipschitz=lipschitz, metrics={"frechet": value}))
    return results


@pytest.mark.parametrize(
    ("name", "ours", "word", "why"),
    [
        ("FID, NS-GAN on MNIST", {"gan": 5.0, "gp": 9.0}, "rank agrees", "against FID, WGAN-GP on MNIST"),
        ("FID, NS-GAN on MNIST", {"gan": 9.0, "gp": 5.0}, "rank differs", "against FID, WGAN-GP on MNIST"),
        (
            "FID, NS-GAN on MNIST",
            {"gan": 5.0, "gp": 5.1},
            "rank differs",
            "against FID, WGAN-GP on MNIST",
        ),  # a tie of ours is no rank
        (
            "FID, NS-GAN on MNIST",
            {"gan": 5.0, "clip": 9.0},
            "not comparable",
            "the published values lie within 5 % of each other",
        ),
        ("FID, NS-GAN on MNIST", {"gan": 5.0}, "no such run", "no other model to rank it against"),
        ("FID, WGAN-GP on MNIST", {"gan": 5.0, "gp": 9.0, "clip": 10.0}, "rank differs", "against FID, WGAN on MNIST"),
        (
            "FID, NS-GAN on CIFAR-10",
            {"gan": 9.0, "clip": 5.0, "family": "cifar10"},
            "rank agrees",
            "against FID, WGAN on CIFAR-10",
        ),
    ],
)
def test_fid_is_compared_in_rank_only(name, ours, word, why):
    found = compare(name, *frechet(**ours))
    assert (found.word, found.why) == (word, why)


def test_a_rank_is_one_only_if_all_classifiers_agree():
    def ranked(*others):
        """The GAN's and the WGAN's distances by further classifiers; by the first, the GAN is ahead as published."""
        results = frechet(gan=5.0, gp=9.0)
        for one, values in zip(results[1:], zip(*others, strict=True), strict=True):
            one["further_classifiers"] = [{"metrics": {"frechet": value}} for value in values]
        found = compare("FID, NS-GAN on MNIST", *results)
        assert found.further == tuple((gan,) for gan, _ in others)
        return found.word, found.why

    assert ranked((4.0, 7.0), (6.0, 8.0)) == ("rank agrees", "against FID, WGAN-GP on MNIST")
    assert ranked((4.0, 7.0), (9.0, 8.0)) == ("classifiers disagree", "against FID, WGAN-GP on MNIST")


def test_the_best_of_our_settings_is_ranked():
    assert compare("FID, NS-GAN on MNIST", *frechet(gan=5.0, gp=9.0)).values == (5.0,)


def test_parzen_and_other_data_are_not_comparable():
    assert {compare(value).word for value in (225, 259.7, 300.3, 408.7, 351.2, -2.51)} == {"not comparable"}


def test_every_word_is_known():
    assert {one.word for one in literature.comparisons([pytorch(100.0), *frechet(5.0, 6.0, 7.0)])} <= set(
        literature.WORDS
    )
