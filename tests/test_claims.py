import json

import pytest

from lib.report import claims, measures

MARKS = {"real": 1.0, "blurred": 6.0, "noisy": 4.0, "mean_image": 61.0}


def run(notebook="vae_mnist", latent_dim=2, width=512, seed=0, canonical=True, network="mlp", epochs=50, **metrics):
    """A finished run's result.json, as far as claims read it."""
    speed = metrics.pop("images_per_second", 1000.0)
    settings = {"notebook": notebook, "latent_dim": latent_dim, "width": width, "seed": seed}
    settings |= {"network": network, "epochs": epochs, "depth": 1}
    return {
        "settings": settings,
        "dataset": {"canonical": canonical},
        "metrics": metrics,
        "references": {"frechet": MARKS, "frechet_pixels": MARKS, "confidence": {"real": 0.99}},
        "samples_n": dict.fromkeys(metrics, 5000),
        "images_per_second": speed,
    }


def losses(values, seeds=3, **same):
    """Runs with test losses by latent_dim, a little apart from seed to seed."""
    return [
        run(latent_dim=z, seed=seed, test_loss=loss + 0.1 * seed, **same)
        for z, loss in values.items()
        for seed in range(seeds)
    ]


def verdict(number, results):
    return claims.verdict(claims.CLAIMS[number - 1], results)


def test_there_are_fourteen_claims_in_order():
    assert [claim.number for claim in claims.CLAIMS] == list(range(1, 15))


def test_a_fall_of_the_loss_is_supported():
    assert str(verdict(1, losses({2: 150, 10: 110, 20: 100}))) == "supported"


def test_a_rise_of_the_loss_is_refuted():
    assert verdict(1, losses({2: 150, 10: 110, 20: 112})).word == "refuted"


def test_a_gain_below_the_minimum_effect_is_refuted():
    assert verdict(1, losses({2: 150, 10: 110, 20: 109.9})).word == "refuted"


def test_seeds_too_far_apart_are_undecided():
    noisy = [run(latent_dim=20, seed=seed, test_loss=loss) for seed, loss in enumerate((60, 105, 140))]
    found = verdict(1, losses({2: 150, 10: 110}) + noisy)
    assert (found.word, found.points_to) == ("undecided", "supported")


def test_how_many_seeds_would_decide():
    """At 0.5 %, below the 1 % that is asked, with a spread of 1 %: 13 seeds would refute, as Student's t says."""
    losses_at = {10: (100.0, 100.0, 100.0), 20: (98.5, 99.5, 100.5)}
    found = verdict(
        1,
        [run(latent_dim=2, seed=i, test_loss=150.0) for i in range(3)]
        + [
            run(latent_dim=z, seed=i, test_loss=loss)
            for z, values in losses_at.items()
            for i, loss in enumerate(values)
        ],
    )
    (open_one,) = [one for one in found.outcomes if one.decided == "open"]
    assert open_one.seeds_needed == 13
    assert found.why == "the seeds differ too much; with this mean and spread, 13 seeds would decide"
    assert found.points_to == "refuted"


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_are_undecided_but_point_somewhere(seeds):
    found = verdict(1, losses({2: 150, 10: 110, 20: 100}, seeds))
    assert (found.word, found.points_to) == ("undecided", "supported")
    assert str(found) == f"undecided ({seeds} seed{'s' * (seeds > 1)}; points to: supported)"
    assert verdict(1, losses({2: 100, 10: 110, 20: 120}, seeds)).points_to == "refuted"


def test_stand_in_data_give_no_verdict():
    found = verdict(1, losses({2: 150, 10: 110, 20: 100}, canonical=False))
    assert str(found) == "no verdict (stand-in data; points to: supported)"


def test_a_verdict_on_images_stored_with_loss_names_them():
    results = losses({2: 150, 10: 110, 20: 100}, 3, canonical=False)
    for one in results:
        one["dataset"]["reencoded"] = "MNIST through JPEG"
    assert str(verdict(1, results)) == "supported (MNIST through JPEG)"


def test_few_images_give_no_verdict():
    results = losses({2: 150, 10: 110, 20: 100})
    results[0]["samples_n"]["test_loss"] = 360
    assert verdict(1, results).word == "no verdict"


def test_missing_runs_or_metrics_are_undecided():
    assert str(verdict(1, [])) == "undecided (no runs to compare)"
    assert verdict(1, [run(latent_dim=z, frechet_pixels=1.0) for z in (2, 10, 20)]).outcomes == ()
    partial = verdict(1, losses({2: 150, 10: 110}))
    assert (partial.word, partial.why) == ("undecided", "no runs for 1 of 2 comparisons")


def test_only_runs_alike_in_everything_else_are_compared():
    results = losses({2: 150, 10: 110, 20: 100})
    for result in results[:3]:
        result["settings"]["epochs"] = 5
    assert verdict(1, results).word == "undecided"


def test_of_several_lengths_and_networks_those_with_most_seeds_count():
    short = losses({2: 160, 10: 130, 20: 120}, epochs=10)
    long = losses({2: 120, 10: 130, 20: 160}, seeds=1, epochs=50)
    found = verdict(1, short + long)
    assert (found.word, found.outcomes[0].seeds) == ("supported", 3)
    assert found.outcomes[0].before == [160, 160.1, 160.2]  # seed 0 of the long ones does not enter
    longest = losses({2: 120, 10: 130, 20: 160}, epochs=50)
    assert verdict(1, short + longest).word == "refuted"
    deeper = losses({2: 160, 10: 130, 20: 120}, epochs=90, network="conv")
    assert verdict(1, deeper + longest).word == "refuted"
    assert verdict(1, deeper).word == "supported"


def test_sharpness_counts_nearness_to_real_images():
    def sharp(values):
        return [run(latent_dim=z, seed=s, sharpness=value) for z, value in values.items() for s in range(3)]

    assert verdict(2, sharp({2: 0.2, 10: 0.4, 20: 0.8})).word == "supported"
    assert verdict(2, sharp({2: 0.2, 10: 0.4, 20: 5.0})).word == "refuted"  # noise is not sharpness


def wide(frechet, confidence=(0.9, 0.9, 0.9), **same):
    """Three VAEs of two latents and growing width, three seeds each, with these Fréchet distances and confidences."""
    return [
        run(width=width, seed=seed, frechet=distance + seed / 10, confidence=sure, **same)
        for width, distance, sure in zip((256, 512, 1024), frechet, confidence, strict=True)
        for seed in range(3)
    ]


def test_no_gain_is_supported_by_a_loss_and_refuted_by_a_gain():
    assert verdict(4, wide((10, 10, 12))).word == "supported"
    assert verdict(4, wide((10, 10, 5))).word == "refuted"


def test_digits_come_out_wrong_where_the_classifier_is_less_sure_than_of_real_images():
    assert verdict(4, wide((10, 10, 12), (0.9, 0.9, 0.93))).word == "supported"
    assert verdict(4, wide((10, 10, 12), (0.9, 0.9, 0.96))).word == "refuted"


def test_same_is_refuted_by_a_move_either_way():
    cases = [(f"gan_{family}", z, w) for family in ("mnist", "cifar10") for z in (10, 100) for w in (256, 1024)]

    def of_each(name, of_wide):
        return [
            run(notebook, z, w, seed, **{name: (of_wide if w == 1024 else 0.3) + seed / 1000})
            for notebook, z, w in cases
            for seed in range(3)
        ]

    def jsd(of_wide, fresh):
        own, new = of_each("jsd_test", of_wide), of_each("jsd_fresh", fresh)
        return [
            first | {"metrics": first["metrics"] | second["metrics"]} for first, second in zip(own, new, strict=True)
        ]

    assert verdict(8, jsd(0.31, 0.31)).word == "supported"
    assert verdict(8, jsd(0.2, 0.3)).word == verdict(8, jsd(0.4, 0.3)).word == "refuted"
    assert verdict(8, jsd(0.31, 0.4)).word == "refuted"  # by a fresh discriminator


def test_loss_above_1000_is_part_of_claim_5():
    assert verdict(5, losses({2: 1900, 10: 1800, 20: 1750}, notebook="vae_cifar10")).word == "supported"
    assert verdict(5, losses({2: 1100, 10: 1010, 20: 990}, notebook="vae_cifar10")).word == "refuted"


def test_satisfactory_means_better_than_damaged_real_images():
    def wgan(value):
        families = ("wgan_mnist", "wgan_cifar10")
        return [run(one, 100, 128, seed, frechet_pixels=value) for one in families for seed in range(3)]

    assert verdict(10, wgan(3.9)).word == "supported"
    assert verdict(10, wgan(4.1)).word == "refuted"  # worse than 10 % noise, though better than blur


def test_datasets_are_compared_on_their_own_scale():
    settings = [("vae", 2, 512), ("vae", 10, 512), ("vae", 20, 512)]
    settings += [("gan", 10, 256), ("gan", 100, 256), ("wgan", 10, 128), ("wgan", 100, 128)]
    results = []
    for model, z, width in settings:
        for seed in range(3):
            mnist = run(f"{model}_mnist", z, width, seed, frechet_pixels=4.0)  # (4 - 1) / 60
            cifar10 = run(f"{model}_cifar10", z, width, seed, frechet_pixels=3.0)
            cifar10["references"] = {"frechet_pixels": {"real": 1.0, "mean_image": 11.0}}  # (3 - 1) / 10
            results += [mnist, cifar10]
    found = verdict(12, results)
    assert found.word == "supported"
    assert found.outcomes[0].after == pytest.approx([0.05] * 3)
    others = [one for one in results if "mnist" not in one["settings"]["notebook"]]
    longer = [one | {"settings": one["settings"] | {"epochs": 60}} for one in results if one not in others]
    alone = others + longer
    assert verdict(12, alone).why == "no runs to compare", "runs of unequal length are not compared"


def test_speeds_come_from_the_benchmark(monkeypatch, tmp_path):
    cases = {"vae": (20, 512, 4.0), "gan": (100, 256, 3.0), "wgan": (100, 128, 3.0)}
    rows = [
        {"notebook": f"{model}_{family}", "latent_dim": z, "width": width, "network": "mlp", "turn": turn}
        | {"images_per_second": (100 * times if family == "mnist" else 100) + turn}
        for model, (z, width, times) in cases.items()
        for family in ("mnist", "cifar10")
        for turn in range(1, 6)
    ]
    monkeypatch.setattr(measures, "SPEED", tmp_path / "speed.json")
    measures.SPEED.write_text(json.dumps({"rows": rows}))
    runs = [run(f"{model}_{family}", images_per_second=1.0) for model in cases for family in ("mnist", "cifar10")]
    found = verdict(13, runs)
    assert (found.word, [one.seeds for one in found.outcomes]) == ("supported", [5, 5, 5])
    assert found.outcomes[0].before == [101, 102, 103, 104, 105]
    assert verdict(13, runs[:4]).why == "no runs for 1 of 3 comparisons", "a study without WGANs says nothing of them"
    for one in runs:
        one["dataset"] = {"canonical": False, "reencoded": "MNIST through JPEG"}
    assert str(verdict(13, runs)) == "supported", "the benchmark's images are random"
    for one in runs:
        one["dataset"] = {"canonical": False}
    assert verdict(13, runs).word == "no verdict", "stand-in data"
    slower = [row | {"images_per_second": 50 + row["turn"]} if row["notebook"] == "gan_mnist" else row for row in rows]
    measures.SPEED.write_text(json.dumps({"rows": slower}))
    assert verdict(13, [one | {"dataset": {"canonical": True}} for one in runs]).word == "refuted"


def test_the_classifiers_features_are_preferred_to_pixels_and_their_number_of_images_counts():
    results = wide((1, 2, 3), frechet_pixels=1.0)
    assert verdict(4, results).word == "supported"
    for result in results:
        result["samples_n"]["frechet_pixels"] = 360
    assert verdict(4, results).word == "supported"
    results[0]["samples_n"]["frechet"] = 360
    assert verdict(4, results).why == "only 360 images behind the numbers"


def test_distances_on_different_features_are_not_compared():
    results = [run(latent_dim=z, notebook="vae_cifar10", frechet=9.0 / z) for z in (2, 10)]
    results.append(run(latent_dim=20, notebook="vae_cifar10", frechet_pixels=0.1))
    assert [one.metric for one in verdict(6, results).outcomes] == ["frechet"]


def test_distances_by_different_classifiers_of_one_dataset_are_not_compared():
    results = [run(latent_dim=z, notebook="vae_cifar10", frechet=9.0 / z) for z in (2, 10, 20)]
    results = [one | {"scorecard": {"classifier_accuracy": 0.74}} for one in results]
    assert len(verdict(6, results).outcomes) == 2
    results[2]["scorecard"] = {"classifier_accuracy": 0.73}
    assert len(verdict(6, results).outcomes) == 1
    lost = [one | {"metrics": {"test_loss": 9.0}} for one in results]
    assert len(verdict(5, lost).outcomes) == 5  # a loss does not depend on it


def test_more_epochs_and_deeper_networks_are_both_needed_for_claim_14():
    def epochs(after):
        return [run(epochs=n, seed=s, frechet=value) for n, value in ((10, 9.0), (40, after)) for s in range(3)]

    conv = [run(network="conv", epochs=10, seed=s, frechet=6.0) for s in range(3)]
    assert str(verdict(14, epochs(5.0))) == "undecided (no runs for 'deeper'; points to: supported)"
    assert verdict(14, epochs(5.0) + conv).word == "supported"
    assert verdict(14, epochs(8.9) + conv).word == "refuted"


def test_a_comparison_says_how_long_its_runs_were():
    lengths = [run(epochs=n, seed=s, frechet=9.0 / n) for n in (10, 20, 40) for s in range(3)]
    assert [one.epochs for one in verdict(14, lengths).outcomes] == [([10, 20], [20, 40])]
    assert verdict(1, losses({2: 9, 10: 8}, epochs=5)).outcomes[0].epochs == ([5], [5])


def test_runs_of_earlier_code_without_a_setting_do_not_stop_the_report():
    results = wide((10, 10, 12))
    for one in results[:4]:
        del one["settings"]["depth"]
    assert len(claims.verdicts(results)) == 14


def test_infinite_and_zero_values_do_not_stop_the_report():
    results = [*losses({2: float("inf"), 10: 0.0, 20: 1.0}), run(sharpness=0.0), run(latent_dim=10, sharpness=0.0)]
    assert len(claims.verdicts(results)) == 14


@pytest.mark.parametrize(
    ("losses_at_10", "there", "large", "word"),
    [
        ((110.0, 110.1, 110.2), "yes", "yes", "holds"),
        ((148.0, 147.5, 149.0), "yes", "not clear", "holds"),  # on average 1.2 % lower, by no seed surely 1 %
        ((149.9, 149.8, 149.9), "yes", "no", "fails"),
        ((151.0, 149.0, 150.2), "not clear", "not clear", "open"),
        ((152.9, 153.0, 153.1), "yes, the other way", "no", "fails"),
    ],
)
def test_that_an_effect_is_there_and_that_it_is_as_large_as_claimed_are_two_things(losses_at_10, there, large, word):
    runs = [run(latent_dim=2, seed=seed, test_loss=150.0) for seed in range(3)]
    runs += [run(latent_dim=10, seed=seed, test_loss=loss) for seed, loss in enumerate(losses_at_10)]
    (one,) = verdict(1, runs).outcomes
    assert (one.there, one.large, one.decided) == (there, large, word)


def test_of_a_claim_that_nothing_changes_a_change_either_way_is_large():
    for factor, large in ((1.0, "no"), (1.2, "yes"), (0.8, "yes")):
        runs = [run("vae_cifar10", width=256, seed=seed, test_loss=150.0 + 0.01 * seed) for seed in range(3)]
        runs += [run("vae_cifar10", width=1024, seed=seed, test_loss=150.0 * factor) for seed in range(3)]
        (one,) = verdict(7, runs).outcomes
        assert one.large == large


def seen(result, *distances, marks=MARKS):
    """The result of a run that was scored by further classifiers too."""
    others = [{"metrics": {"frechet": each}, "references": {"frechet": marks}} for each in distances]
    return result | {"further_classifiers": others}


def better(*last):
    """The VAE's distances on CIFAR-10, falling with latent_dim; with 20, `last` by further classifiers."""
    values = {2: (9, 9, 9), 10: (5, 5, 5), 20: (3, *last)}
    return [
        seen(run("vae_cifar10", z, seed=seed, frechet=own + seed / 10), *(each + seed / 10 for each in others))
        for z, (own, *others) in values.items()
        for seed in range(3)
    ]


def test_an_order_by_the_distance_counts_only_if_all_classifiers_agree():
    assert verdict(6, better(3.2, 2.8)).word == "supported"
    found = verdict(6, better(3.2, 7.0))
    assert (found.word, found.why, found.points_to) == ("undecided", "the classifiers disagree", "")
    assert [one.there for one in found.outcomes] == ["yes", "classifiers disagree"]
    assert verdict(6, better(3.2, 4.7)).why == "the classifiers disagree about the size of the effect"


def test_runs_of_which_some_were_scored_by_one_classifier_are_compared_by_that():
    results = better(3.2, 7.0)
    del results[-1]["further_classifiers"]
    assert str(verdict(6, results)) == "supported"


def test_each_classifier_has_its_own_scale_of_damage():
    colour = {"real": 1.0, "mean_image": 11.0}

    def both(marks):
        mnist = [seen(run("vae_mnist", 20, seed=seed, frechet=4.0), 4.0) for seed in range(3)]
        cifar10 = [seen(run("vae_cifar10", 20, seed=seed, frechet=3.0), 3.0, marks=marks) for seed in range(3)]
        for one in cifar10:
            one["references"] = {"frechet": colour}
        return verdict(12, mnist + cifar10).outcomes[0]

    assert both(colour).there == "yes"
    assert both({"real": 1.0, "mean_image": 101.0}).there == "classifiers disagree"
