"""What lib/scores/kept holds is what today's code makes of the two datasets that need no download; and the classifiers
that scored the committed records, so that other machines measure on the same scale.

To renew it, after a change of that code or of the pinned packages: empty the folder, run
`LATENT_REPORT_DATA=new latent-report run demo --out new/demo`, and move the folders classifier*, scorecard* and
fresh-* of new/scores there. With new classifiers of MNIST and CIFAR-10, the committed records must be scored anew.
"""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from lib import data
from lib.data import cache
from lib.scores import classifier, estimates
from lib.scores.card import Scorecard


@pytest.mark.slow
def test_made_anew_it_says_much_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "KEPT", tmp_path / "nothing")
    monkeypatch.setenv("LATENT_REPORT_DATA", str(tmp_path))
    anew, kept = Scorecard(data.load("digits")), cache.ROOT / "lib" / "scores" / "kept"
    (folder,) = kept.glob("scorecard-digits-*")
    before = json.loads((folder / "references.json").read_bytes())
    assert anew.classifier.accuracy > 0.97
    for which in ("blurred", "noisy"):
        assert anew.references["frechet"][which] == pytest.approx(before["frechet"][which], rel=0.25)


@pytest.mark.parametrize("name", ["gan_mnist-latent_dim100-width256-seed0", "gan_cifar10-latent_dim100-width256-seed0"])
def test_the_classifiers_of_the_published_records_are_kept(name, monkeypatch):
    monkeypatch.setattr(cache, "scores_folder", lambda: pytest.fail("not in lib/scores/kept, or of other code"))
    record = json.loads((cache.ROOT / "reports" / "images" / "runs" / name / "result.json").read_bytes())
    dataset = SimpleNamespace(**record["dataset"])
    first = classifier.classifier(dataset)
    assert first.accuracy == record["scorecard"]["classifier_accuracy"]
    for seed, other in zip(classifier.FURTHER, record.get("further_classifiers", [{}, {}]), strict=True):
        assert classifier.further(dataset, first, seed).accuracy == other.get("accuracy", pytest.approx(0.8, abs=0.2))


@pytest.fixture(scope="module", params=["digits", "shapes"])
def card(request, tmp_path_factory):
    """The scorecard of a dataset, in a data folder that is empty: whatever would be made there fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENT_REPORT_DATA", str(tmp_path_factory.mktemp("empty")))
        patch.setattr(cache, "scores_folder", lambda: pytest.fail("not in lib/scores/kept, or of other code"))
        yield Scorecard(data.load(request.param))


def test_the_classifier_is_as_good_as_it_says(card):
    _, probabilities = card.classifier(card.test)
    accuracy = (probabilities.argmax(axis=1) == card.dataset.y_test).mean()
    assert card.classifier.accuracy > 0.97
    assert abs(accuracy - card.classifier.accuracy) <= 1 / len(card.test)  # another processor may round otherwise


def test_the_references_are_what_today_s_estimators_give(card):
    features, _ = card.features(estimates.some(card.test, card.count))
    assert np.allclose(features, card.real["features"], atol=1e-3)
    for name, images in card._references(card.dataset).items():
        for score, value in card.scores(images).items():
            assert value == pytest.approx(card.references[score][name], rel=0.02, abs=0.02), (name, score)


def test_the_further_classifiers_see_real_and_damaged_images_in_the_same_order(card):
    images = card._references(card.dataset)
    found = {name: card.further(images[name]) for name in ("real", "mean_image")}
    for real, mean in zip(found["real"], found["mean_image"], strict=True):
        assert real["accuracy"] > 0.97
        for name, one in (("real", real), ("mean_image", mean)):
            assert one["metrics"]["frechet"] == pytest.approx(one["references"]["frechet"][name], rel=0.02, abs=0.02)
        assert real["metrics"]["frechet"] < mean["metrics"]["frechet"] / 5
    distances = {card.references["frechet"]["real"], *(one["metrics"]["frechet"] for one in found["real"])}
    assert len(distances) == 3
