"""What settings do to numbers: intervals, spreads and sentences on made-up results, the panels and their figure."""

import math

import pytest
import synthetic

from lib import figures
from lib.report import claims, effects, panels, records, sections
from lib.series import series
from lib.study import plan


def results(numbers, own=True, **shared):
    """Results as `series` takes them: `numbers` by latent_dim, one a seed."""
    return [
        (own, {"metrics": {"loss": value}, "settings": {"latent_dim": z, "seed": seed} | shared, "dataset": DATA})
        for z, values in numbers.items()
        for seed, value in enumerate(values)
    ]


DATA = {"name": "digits", "sha256": "0"}
FALLING = {2: [100.0, 102.0, 98.0], 10: [80.0, 81.0, 79.0], 20: [70.0, 73.4, 66.64]}


def only(found):
    (one,) = series(found, "latent_dim", "loss")
    return one


def test_a_series_has_each_seeds_number_and_an_interval_around_their_mean():
    one = only(results(FALLING))
    assert one.numbers[2] == {0: 100.0, 1: 102.0, 2: 98.0}
    line = one.line("three seeds")
    assert line.numbers[10] == [80.0, 81.0, 79.0]
    assert line.halves[10] == pytest.approx(4.302653 / math.sqrt(3))  # Student's t for two degrees, two-sided 95 %
    assert line.halves[2] == pytest.approx(2 * line.halves[10])
    assert one.spread == pytest.approx(math.sqrt((4 + 1 + 3.38**2) / 3), rel=1e-3)


def test_a_change_is_taken_seed_by_seed_and_compared_with_the_spread():
    one = only(results(FALLING))
    found = effects.change(one, 2, 20)
    sizes = [70 / 100 - 1, 73.4 / 102 - 1, 66.64 / 98 - 1]
    assert found.size == pytest.approx(sum(sizes) / 3)
    assert found.half == pytest.approx(claims.half_interval(sizes, 0.975))
    assert found.means == pytest.approx((100, 70.0133), rel=1e-5)
    assert found.ratio == pytest.approx(29.98667 / one.spread)
    assert found.clear
    said = effects.clause("test loss (nats)", "latent_dim", [found])
    assert said == (
        "the test loss falls from 100.0 to 70.0 nats, by 30.0 % (25.1 to 34.9), 13 times the spread between seeds"
    )


def test_a_change_is_one_only_if_all_classifiers_agree():
    def said(*others):
        found = results(FALLING)
        for _, one in found:
            seen = [{"metrics": {"loss": each[one["settings"]["latent_dim"]]}} for each in others]
            one["further_classifiers"] = seen
        return effects.clause("Fréchet distance", "latent_dim", effects.changes(only(found)))

    falling, rising = {2: 9.0, 10: 8.0, 20: 7.0}, {2: 7.0, 10: 8.0, 20: 9.0}
    assert said(falling, falling) == said()
    changes = "the Fréchet distance changes from 100.0 to 70.0, by −30.0 % (−34.9 to −25.1)"
    assert said(falling, rising) == f"{changes}, but not clearly by every classifier"


def test_seeds_that_do_not_match_are_compared_by_their_means():
    unpaired = [(True, one) for _, one in results({2: [10.0, 12.0]})]
    for _, one in results({10: [20.0, 24.0]}):
        one["settings"]["seed"] += 2
        unpaired.append((True, one))
    found = effects.change(only(unpaired), 2, 10)
    assert found.size == pytest.approx(1.0)
    error, freedom = math.sqrt(1 + 4), 25 / (1 + 16)
    assert found.half == pytest.approx(effects.stdtrit(freedom, 0.975) * error / 11)


def test_a_turning_point_is_said():
    found = effects.changes(only(results({2: [22.0, 22.2], 10: [6.9, 7.1], 20: [8.5, 8.6]})))
    assert [one.ends for one in found] == [(2, 10), (10, 20), (2, 20)]
    said = effects.clause("Fréchet distance", "latent_dim", found, first=False)
    assert said.startswith("the Fréchet distance falls by 68.3 % (")
    assert " to 10 latents, 123 times its spread, then rises by 22.2 % (" in said
    assert said.endswith("); overall −61 %")


def test_of_two_turning_points_the_one_further_from_both_ends_is_said():
    found = effects.changes(only(results({2: [100.0, 101.0], 5: [60.0, 61.0], 10: [50.0, 51.0], 20: [80.0, 81.0]})))
    assert [one.ends for one in found] == [(2, 10), (10, 20), (2, 20)]


@pytest.mark.parametrize(
    "numbers", [{2: [22.0, 22.2], 10: [7.0, 9.1], 20: [8.5, 8.0]}, {2: [9.0], 10: [4.0], 20: [4.1]}]
)
def test_a_way_back_within_the_noise_is_no_turning_point(numbers):
    assert [one.ends for one in effects.changes(only(results(numbers)))] == [(2, 20)]


def test_one_seed_has_no_interval_and_no_spread():
    one = only(results({2: [10.0], 10: [8.0]}))
    (found,) = effects.changes(one)
    assert (found.half, found.ratio, one.line("").halves) == (None, None, {2: None, 10: None})
    assert effects.clause("loss", "latent_dim", [found]) == "the loss falls from 10.00 to 8.00, by 20.0 %"
    (same,) = effects.changes(only(results({2: [1871.0], 10: [1871.5]})))
    assert effects.clause("loss", "latent_dim", [same]) == "the loss hardly changes: 0.03 %"


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (
            {2: [9.0, 11.0], 10: [10.8, 9.2]},
            "does not clearly change: 1.8 % (−229.2 to 232.8), no larger than the spread",
        ),
        ({2: [1000.0, 1001.0], 10: [1001.0, 1001.5]}, "hardly changes: 0.07 % (−0.24 to 0.39), 1.3 times the spread"),
        (
            {2: [10.0, 10.2, 10.4], 10: [9.0, 9.9, 9.0]},
            "may fall from 10.20 to 9.30, by 8.8 % (−4.5 to 22.1), 2.3 times",
        ),
    ],
)
def test_a_change_whose_interval_includes_zero_is_not_called_one(numbers, said):
    found = effects.changes(only(results(numbers)))
    assert not found[0].clear
    assert effects.clause("loss", "latent_dim", found).startswith(f"the loss {said}")


def test_numbers_of_both_signs_change_by_an_absolute_size():
    (found,) = effects.changes(only(results({10: [-0.1], 100: [0.3]})))
    assert not found.relative
    assert effects.clause("JSD, test (nats)", "latent_dim", [found]) == (
        "the test JSD rises from −0.100 to 0.300 nats, by 0.400 nats"
    )


def test_evidence_of_another_length_is_a_series_of_its_own_and_the_one_with_most_seeds_speaks():
    own, other = results({2: [10.0], 10: [8.0]}, epochs=50), results({2: [12.0, 12.1], 10: [9.0, 9.1]}, False, epochs=6)
    found = series(own + other, "latent_dim", "loss")
    assert [(one.shared["epochs"], one.own, one.seeds) for one in found] == [(6, False, 2), (50, True, 1)]
    more = results({2: [11.0, 10.5], 10: [8.0, 8.5]}, False, epochs=50)
    long, _ = series(own + other + more, "latent_dim", "loss")  # as many seeds: the study's own comes first
    assert (long.own, long.shared["epochs"]) == (True, 50)
    assert long.numbers[2] == {0: 10.0, 1: 10.5}  # of a run that both have, the study's own number counts
    assert long.told_seeds == "2 seeds"


def test_the_evidences_distances_by_another_classifier_are_left_out():
    def scored(by, own):
        return [
            (own, one | {"metrics": {"frechet": 9.0}, "scorecard": {"classifier_accuracy": by}})
            for own, one in results({2: [0.0], 10: [0.0]}, own)
        ]

    own, other = scored(0.73, True), scored(0.74, False)
    assert [one.own for one in series(own + other, "latent_dim", "frechet")] == [True]
    assert [one.own for one in series(other, "latent_dim", "frechet")] == [False]
    lost = [(mine, one | {"metrics": {"loss": 9.0}}) for mine, one in own + other]
    assert len(series(lost, "latent_dim", "loss")) == 1  # a loss does not depend on it


@pytest.mark.parametrize(
    "change", [{"metrics": {}}, {"metrics": {"loss": math.nan}}, {"dataset": {**DATA, "sha256": "1"}}]
)
def test_a_value_alone_is_no_series(change):
    first, last = results({2: [10.0], 10: [8.0]})
    last[1].update(change)
    assert series([first, last], "latent_dim", "loss") == []
    assert series([first], "latent_dim", "loss") == []


def test_values_without_order_are_compared_as_they_come():
    two = [
        ({"mlp": 10.0, "conv": 8.0}[one["settings"]["network"]], one) for _, one in results({5: [0.0]}, network="mlp")
    ]
    two += [(8.0, one) for _, one in results({5: [0.0]}, network="conv")]
    for value, one in two:
        one["metrics"]["loss"] = value
    (one,) = series([(True, one) for _, one in two], "network", "loss")
    (found,) = effects.changes(one)
    assert effects.over("network", *found.ends) == "With network conv instead of mlp"
    assert found.size == pytest.approx(-0.2)


# ---- the figure ----------------------------------------------------------------------------------


def drawn(marks, numbers=FALLING):
    return figures.effects({"loss": {"latents": [only(results(numbers)).line("")]}}, {"loss": marks}, "VAE on digits")


def test_the_figure_says_its_numbers():
    said = drawn({"real": 60.0, "mean image": 900.0}).alt
    assert said == (
        "VAE on digits. Means over the seeds. loss over latents: 100.0 at 2, 80.0 at 10, 70.0 at 20; "
        "marks: real 60.0, mean image 900.0"
    )


def test_a_far_mark_is_named_but_does_not_flatten_the_curve():
    near, far = drawn({"real": 60.0}), drawn({"real": 60.0, "mean image": 900.0})
    assert near.axes[0].get_ylim() == far.axes[0].get_ylim()
    assert [text.get_text() for text in far.axes[0].texts] == ["real 60.0", "↑ mean image\n900.0"]
    assert near.axes[0].get_ylim()[0] < 60.0 < 105 < near.axes[0].get_ylim()[1]


def test_each_seed_is_a_dot_and_the_baseline_is_on_the_axis():
    axes = drawn({}).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "10", "20"]
    assert (
        sum(
            len(dots.get_offsets()) for dots in axes.collections if hasattr(dots, "get_sizes") and len(dots.get_sizes())
        )
        == 9
    )
    means = next(line for line in axes.lines if len(line.get_xdata()) == 3)
    assert means.get_ydata() == pytest.approx([100.0, 80.0, 70.0133], rel=1e-5)


# ---- the panels of a study -----------------------------------------------------------------------


@pytest.fixture
def made(tmp_path):
    """A function: the records of a study of these runs, with metrics that are functions of the settings."""

    def study(text, **numbers):
        (tmp_path / "s.yaml").write_text(text)
        found = plan.read(str(tmp_path / "s.yaml"), out=str(tmp_path))
        for run in found.runs:
            synthetic.write(run, **{name: value(run.settings) for name, value in numbers.items()})
        return records.of(str(found.path), str(tmp_path))

    return study


VAE = "notebooks: {vae_mnist: {defaults: {dataset: digits, width: 8}, runs: %s}}"


def test_a_panel_shows_what_varies_with_the_latents_first(made):
    runs = "[{latent_dim: [2, 10], seed: [0, 1, 2]}, {latent_dim: 2, width: [16, 32]}, {epsilon: 0.1, latent_dim: 2}]"
    found = made(VAE % runs, test_loss=lambda s: 100.0 - s.latent_dim - s.width / 1000 + s.seed / 10)
    (panel,) = panels.panels(found)
    assert panel.settings == ["latent_dim", "width", "epsilon"]
    assert list(panel.series) == ["test_loss", "frechet"]
    assert [panel.axis(name) for name in panel.settings] == [
        "latents (width 8, epsilon 1e-07)",
        "width (2 latents, epsilon 1e-07)",
        "epsilon (2 latents, width 8)",
    ]
    lead, text = panel.sentences()[0]
    assert lead == "From 2 to 10 latents (3 seeds)"
    assert text.startswith("the test loss falls from 98.1 to 90.1 nats, by 8.16 % (8.13 to 8.18), 80 times the spread")
    assert panel.sentences()[1][0] == "From width 8 to 32 (1 to 3 seeds, no interval)"


def test_the_summary_groups_models_by_what_a_setting_does(made):
    one = "{defaults: {dataset: digits}, runs: [{latent_dim: [2, 10]}]}"
    text = f"notebooks: {{vae_mnist: {one}, gan_mnist: {one}}}"
    found = made(text, frechet=lambda s: 10.0 + s.latent_dim * (1 if s.notebook == "gan_mnist" else -0.5))
    assert panels.summary(panels.panels(found)) == [
        (
            "More latents",
            "images closer to real ones for the VAE on digits (−44 %); "
            "further from real ones for the GAN on digits (+67 %) (one seed each).",
        )
    ]


def test_the_answer_has_numbers_samples_and_a_link_for_each_model(made):
    found = made(VAE % "[{latent_dim: [2, 10, 20]}]", test_loss=lambda s: 150.0 - s.latent_dim)
    said = sections.answer(found)
    assert "What does latent dimension do?" in said
    assert 'href="#vae-mnist"' in said
    assert "test loss (nats) over latents: 148.0 at 2, 140.0 at 10, 130.0 at 20" in said
    for value in (2, 10, 20):
        assert f'alt="6 images by the VAE on digits, {value} latents"' in said
    assert "the test loss falls from 148.0 to 130.0 nats, by 12.2\u00a0%;" in said


def test_a_study_of_one_setting_shows_samples_and_numbers(made):
    found = made(VAE % "[{seed: [0, 1]}]", test_loss=lambda s: 100.0 + s.seed, sharpness=lambda s: 0.5)
    said = sections.answer(found)
    assert "Samples and numbers" in said
    assert "16 images by the VAE on digits" in said
    assert "test loss (nats) 100.5 ± 0.7 · sharpness (real = 1) 0.500" in said
    assert "closer to real ones" not in said


def test_the_homeworks_baseline_of_two_latents_is_on_the_axis():
    first = panels.panels(records.of("homework"))[0]
    assert "test loss (nats) over latents (width 512): 149.5 at 2, 105.2 at 10, 102.2 at 20" in first.figure().alt
