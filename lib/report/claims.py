"""The write-up's fourteen claims as rules: metric, direction, minimum effect and seeds.

The rules were fixed before any of the homework's runs was made. If one were changed later, the report would have to
say so.

A rule compares, seed by seed, runs that differ only in what it varies. If there are runs of several lengths or
networks, it takes those with the most seeds. With three seeds or more and a one-sided 95 % t-interval around the mean
effect, a gain *holds* when the mean reaches the minimum effect and the interval lies above zero, and *fails* when the
whole interval lies below the minimum effect; otherwise it is open. If all tests of a claim hold, the claim is
supported; if one fails, it is refuted; otherwise it is undecided.

In two cases there is no decision, and the report only says which way the numbers point:
- "no verdict": the runs used other data than the write-up, or fewer than 1,000 images are behind a number. Copies of
  the write-up's images that were stored with loss count as its data, but a verdict that rests on them names them;
- "undecided": there are fewer than three seeds, or the seeds differ too much, or the study lacks runs for some of the
  comparisons (a claim with `partly` needs only one comparison for each of its parts).
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtrit

MIN_SEEDS = 3
MIN_SAMPLES = 1000  # images behind a number; below, no verdict
QUALITY = ("frechet", "frechet_pixels")  # image quality: the first of these that a run has
CONFIDENCE = 0.95
WORDS = ("supported", "refuted", "undecided", "no verdict")


# ---- measures: what is read from a result.json, and how two values are compared ------------------


@dataclass(frozen=True)
class Measure:
    """A number of a run, and the effect between two of them: above zero when the second is better."""

    label: str
    value: Callable[[dict], float]  # KeyError if the run does not have it
    effect: Callable[..., float]
    minimum: float
    size: str  # the minimum effect in words
    better: str  # and its direction
    metrics: tuple[str, ...] = ()  # what it is read from: the first of these that a run has
    shown_by: tuple[str, ...] = ()  # the kinds of figures in which a reader can see it

    def metric(self, result: dict) -> str:
        """The metric that a run's value is read from, whose number of samples counts; '' for none."""
        return _first(self.metrics, result)


def _first(metrics: tuple[str, ...], result: dict) -> str:
    return next((name for name in metrics if name in result["metrics"]), "")


def _metric(name: str):
    return lambda result: result["metrics"][name]


def _frechet(result: dict) -> float:
    return result["metrics"][_first(QUALITY, result)]


def _damage(result: dict) -> float:
    """The Fréchet distance on the dataset's own scale: 0 as real images, 1 as the mean image."""
    marks = result["references"][_first(QUALITY, result)]
    return (_frechet(result) - marks["real"]) / (marks["mean_image"] - marks["real"])


def _against_damage(result: dict) -> float:
    marks = result["references"][_first(QUALITY, result)]
    return _frechet(result) / min(marks["blurred"], marks["noisy"])


def _doubt(result: dict) -> float:
    """By how much the classifier is less confident than on real images, 0 to 1."""
    return result["references"]["confidence"]["real"] - result["metrics"]["confidence"]


def _fall(before: float, after: float) -> float:
    return (before - after) / (abs(before) or 1.0)


def _rise(before: float, after: float) -> float:
    return (after - before) / (abs(before) or 1.0)


def _nearer_one(before: float, after: float) -> float:
    floor = 1e-9  # a constant image has no edges at all
    return abs(math.log(max(before, floor))) - abs(math.log(max(after, floor)))


CURVE, IMAGES, ESTIMATE = ("loss",), ("gallery",), ("jsd",)  # kinds of figures
LOSS = Measure("test loss (nats)", _metric("test_loss"), _fall, 0.01, "1 %", "lower", ("test_loss",), CURVE)
OVER_1000 = Measure(
    "test loss (nats)", _metric("test_loss"), lambda loss: loss / 1000 - 1, 0, "above", "1000", ("test_loss",), CURVE
)
SHARPNESS = Measure(
    "sharpness", _metric("sharpness"), _nearer_one, 0.1, "0.1", "closer to 1 in logarithm", ("sharpness",), IMAGES
)
FRECHET = Measure("Fréchet distance", _frechet, _fall, 0.1, "10 %", "lower", QUALITY, IMAGES)
DAMAGE = Measure("Fréchet distance (real 0, mean image 1)", _damage, _fall, 0.1, "10 %", "lower", QUALITY, IMAGES)
SATISFACTORY = Measure(
    "Fréchet distance / that of damaged images", _against_damage, lambda x: 1 - x, 0, "below", "1", QUALITY, IMAGES
)
DOUBT = Measure(
    "confidence below that on real images", _doubt, lambda x: x, 0.05, "0.05", "or more", ("confidence",), IMAGES
)
JSD, FRESH = (
    Measure(f"JSD, {words} (nats)", _metric(name), lambda a, b: b - a, 0.05, "0.05 nats", "more", (name,), ESTIMATE)
    for name, words in (("jsd_test", "test"), ("jsd_fresh", "fresh discriminator"))
)
SPEED = Measure("images per second", lambda result: result["images_per_second"], _rise, 0.1, "10 %", "more")


# ---- tests and claims ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Test:
    """One comparison. `kind`: "gain" (second better), "no gain", or "same" (neither better nor worse).

    `before` and `after` are settings that select runs; without `after`, the runs are compared with a fixed mark.
    """

    measure: Measure
    before: dict
    after: dict | None = None
    kind: str = "gain"
    match: tuple[str, ...] | None = None  # settings that a pair must share; None: all that are not varied
    rising: str = ""  # a setting of any value, larger on the second side
    part: str = ""  # of a claim that says several things

    @property
    def needed(self) -> str:
        """What must hold, in words."""
        if self.kind == "same":
            return f"changes by less than {self.measure.size}"
        return f"{'not ' * (self.kind == 'no gain')}{self.measure.size} {self.measure.better}"


@dataclass(frozen=True)
class Claim:
    number: int
    text: str
    rule: str
    tests: tuple[Test, ...]
    partly: bool = False  # one comparison for each part is enough; those without runs do not count


@dataclass(frozen=True)
class Outcome:
    """What the numbers say about one test: a value for each seed on both sides, and the effects."""

    test: Test
    before: list[float]
    after: list[float]
    effects: list[float]
    seeds: int
    epochs: tuple[list[int], ...]  # that the runs of each side had, without repeats
    hindrance: str  # why these runs give no verdict; '' if they do
    metric: str  # from which the values were read
    reencoded: str = ""  # the name of the data if they are the write-up's, but stored with loss

    @property
    def points_to(self) -> str:
        return judge(self.effects, self.test.kind, self.test.measure.minimum, width=0.0)

    @property
    def decided(self) -> str:
        return judge(self.effects, self.test.kind, self.test.measure.minimum)


@dataclass(frozen=True)
class Verdict:
    """A claim's `word`: supported, refuted, undecided or no verdict; `why` and `points_to` explain the latter two.

    `reencoded` names the data if some of the runs used a copy of the write-up's images that was stored with loss.
    """

    claim: Claim
    outcomes: tuple[Outcome, ...]
    word: str
    why: str = ""
    points_to: str = ""

    @property
    def reencoded(self) -> str:
        return ", ".join(sorted({one.reencoded for one in self.outcomes if one.reencoded}))

    def __str__(self) -> str:
        notes = [self.why, f"points to: {self.points_to}" if self.points_to else "", self.reencoded]
        notes = "; ".join(note for note in notes if note)
        return f"{self.word} ({notes})" if notes else self.word


def _steps(measure, notebook, name, values, kind="gain", **fixed):
    """One test for each two neighbouring values of a setting."""
    chosen = [{"notebook": notebook, name: value, **fixed} for value in values]
    return tuple(Test(measure, a, b, kind) for a, b in itertools.pairwise(chosen))


def _more(measure, notebook, name, part):
    """Any larger value of a setting against any smaller one."""
    return Test(measure, {"notebook": notebook}, {"notebook": notebook}, rising=name, part=part)


def _widest(measure, notebook, widths, kind="gain", **fixed):
    """The last width against each of the others."""
    *others, last = [{"notebook": notebook, "width": width, **fixed} for width in widths]
    return tuple(Test(measure, other, last, kind) for other in others)


def _four(measure, model, kind):
    """The four comparisons of Figures 10 to 13 (GAN) or 14 to 17 (WGAN)."""
    mnist, cifar10, small = f"{model}_mnist", f"{model}_cifar10", 256 if model == "gan" else 128
    last = 1024 if model == "gan" else 512
    return (
        *_steps(measure, mnist, "latent_dim", (10, 100), kind, width=small),
        *_steps(measure, mnist, "width", (small, 1024), kind, latent_dim=10 if model == "gan" else 100),
        *_steps(measure, cifar10, "latent_dim", (10, 100), kind, width=small),
        *_steps(measure, cifar10, "width", (small, last), kind, latent_dim=100),
    )


def _across(measure, model, latents, width):
    """CIFAR-10 against MNIST, at one setting."""
    cifar10, mnist = ({"notebook": f"{model}_{family}", "width": width} for family in ("cifar10", "mnist"))
    match = ("seed", "latent_dim", "width", "network", "lipschitz")
    return tuple(Test(measure, cifar10 | {"latent_dim": z}, mnist | {"latent_dim": z}, match=match) for z in latents)


def _models(measure):
    settings = (("vae", (2, 10, 20), 512), ("gan", (10, 100), 256), ("wgan", (10, 100), 128))
    return tuple(test for model, latents, width in settings for test in _across(measure, model, latents, width))


LATENTS, WIDTHS = (2, 10, 20), (256, 512, 1024)
NOTEBOOKS = tuple(f"{model}_{family}" for model in ("vae", "gan", "wgan") for family in ("mnist", "cifar10"))
CLAIMS = (
    Claim(
        1,
        "VAE, MNIST: the loss falls as latent_dim goes 2 → 10 → 20.",
        "The test loss is at least 1 % lower at each step, at width 512.",
        _steps(LOSS, "vae_mnist", "latent_dim", LATENTS, width=512),
    ),
    Claim(
        2,
        "VAE, MNIST: the galleries get sharper with latent_dim.",
        "The logarithm of sharpness is at least 0.1 closer to that of real images (0) at each step, at width 512.",
        _steps(SHARPNESS, "vae_mnist", "latent_dim", LATENTS, width=512),
    ),
    Claim(
        3,
        "VAE, MNIST, two latents: width 1024 has the lowest loss of 256, 512 and 1024.",
        "The test loss at width 1024 is at least 1 % below that at either other width.",
        _widest(LOSS, "vae_mnist", WIDTHS, latent_dim=2),
    ),
    Claim(
        4,
        "VAE, MNIST: more width does not make better images; some digits come out wrong.",
        "With two latents, the Fréchet distance at width 1024 is not 10 % below that at either other width; and at "
        "each width the classifier's mean confidence is at least 0.05 below that on real images: it cannot tell which "
        "digit some of the images show.",
        _widest(FRECHET, "vae_mnist", WIDTHS, "no gain", latent_dim=2)
        + tuple(Test(DOUBT, {"notebook": "vae_mnist", "latent_dim": 2, "width": width}) for width in WIDTHS),
    ),
    Claim(
        5,
        "VAE, CIFAR-10: the loss stays above 1000 and falls with latent_dim.",
        "The test loss is above 1000 nats (true by construction: the pixels' own entropy is about 1685) and at least "
        "1 % lower at each step of 2 → 10 → 20, at width 512.",
        tuple(Test(OVER_1000, {"notebook": "vae_cifar10", "latent_dim": z, "width": 512}) for z in LATENTS)
        + _steps(LOSS, "vae_cifar10", "latent_dim", LATENTS, width=512),
    ),
    Claim(
        6,
        "VAE, CIFAR-10: image quality rises with latent_dim.",
        "The Fréchet distance is at least 10 % lower at each step of 2 → 10 → 20, at width 512.",
        _steps(FRECHET, "vae_cifar10", "latent_dim", LATENTS, width=512),
    ),
    Claim(
        7,
        "VAE, CIFAR-10: width matters little (results section), or as much as on MNIST (conclusion).",
        "Between widths 256 and 1024, with two latents, the test loss changes by less than 1 % and the Fréchet "
        "distance by less than 10 %. Supported means that the write-up's results section is right; refuted, that width "
        "matters, as its conclusion says.",
        _steps(LOSS, "vae_cifar10", "width", (256, 1024), "same", latent_dim=2)
        + _steps(FRECHET, "vae_cifar10", "width", (256, 1024), "same", latent_dim=2),
    ),
    Claim(
        8,
        "GAN: latent_dim and width hardly change the JSD.",
        "The JSD estimates on test images, by the run's own discriminator and by a fresh one, change by less than 0.05 "
        "nats in each comparison of Figures 10 to 13.",
        _four(JSD, "gan", "same") + _four(FRESH, "gan", "same"),
    ),
    Claim(
        9,
        "GAN: a larger latent_dim gives sharper images on both datasets.",
        "The logarithm of sharpness is at least 0.1 closer to that of real images (0) at latent_dim 100 than at 10, at "
        "width 256.",
        _steps(SHARPNESS, "gan_mnist", "latent_dim", (10, 100), width=256)
        + _steps(SHARPNESS, "gan_cifar10", "latent_dim", (10, 100), width=256),
    ),
    Claim(
        10,
        "WGAN: the images are satisfactory on both datasets.",
        "At latent_dim 100 and width 128, the Fréchet distance is below that of blurred real images and below that of "
        "real images with 10 % pixel noise.",
        tuple(
            Test(SATISFACTORY, {"notebook": notebook, "latent_dim": 100, "width": 128})
            for notebook in ("wgan_mnist", "wgan_cifar10")
        ),
    ),
    Claim(
        11,
        "WGAN: neither a larger latent_dim nor more width improves the images, though the EMD looks good.",
        "The Fréchet distance is not 10 % lower in any comparison of Figures 14 to 17. The EMD is not part of the "
        "rule: the critic's estimate has a unit of its own, and the exact distance prefers blurred images to real "
        "ones.",
        _four(FRECHET, "wgan", "no gain"),
    ),
    Claim(
        12,
        "MNIST gives better images than CIFAR-10.",
        "The Fréchet distance, on each dataset's own scale (0 for real images, 1 for the mean image), is at least 10 % "
        "lower on MNIST, for all three models at the settings that both datasets share.",
        _models(DAMAGE),
    ),
    Claim(
        13,
        "MNIST trains more efficiently than CIFAR-10.",
        "At least 10 % more images per second of training, for all three models at the settings that both share.",
        _models(SPEED),
    ),
    Claim(
        14,
        "More epochs and deeper networks would help (named as future work).",
        "The Fréchet distance is at least 10 % lower with more epochs, and with deeper networks (conv against mlp, or "
        "more hidden layers), all else being equal, in every such comparison that the runs allow; at least one of each "
        "kind is needed.",
        tuple(_more(FRECHET, notebook, "epochs", "longer") for notebook in NOTEBOOKS)
        + tuple(_more(FRECHET, notebook, "depth", "deeper") for notebook in NOTEBOOKS[:2])
        + tuple(
            Test(FRECHET, {"notebook": one, "network": "mlp"}, {"notebook": one, "network": "conv"}, part="deeper")
            for one in NOTEBOOKS
        ),
        partly=True,
    ),
)


# ---- verdicts ------------------------------------------------------------------------------------


def judge(effects: Sequence[float], kind: str, minimum: float, width: float | None = None) -> str:
    """ "holds", "fails" or "open".

    Args:
        effects: one a seed; above zero when the second side is better.
        kind: "gain", "no gain" or "same".
        width: half the interval's width in standard errors; by default Student's t, one-sided 95 %.
    """
    if not effects or (width is None and len(effects) < MIN_SEEDS):
        return "open"
    mean = fmean(effects)
    width = stdtrit(len(effects) - 1, CONFIDENCE) if width is None else width
    half = width * stdev(effects) / math.sqrt(len(effects)) if len(effects) > 1 else 0.0
    low, high = mean - half, mean + half
    if kind == "same":
        holds, fails = -minimum < low and high < minimum, abs(mean) >= minimum and abs(mean) > half
    else:
        holds, fails = mean >= minimum and low > 0, high < minimum or (minimum == 0 and high <= 0)
    if kind == "no gain":
        holds, fails = fails, holds
    return "holds" if holds else "fails" if fails else "open"


def verdicts(results: Sequence[dict]) -> list[Verdict]:
    """All claims, tested on finished runs.

    Args:
        results: the runs' result.json.
    """
    return [verdict(claim, results) for claim in CLAIMS]


def verdict(claim: Claim, results: Sequence[dict]) -> Verdict:
    """One claim, tested on finished runs' result.json."""
    outcomes = tuple(outcome(test, results) for test in claim.tests)
    found = tuple(one for one in outcomes if one.effects)
    if not found:
        return Verdict(claim, (), "undecided", "no runs to compare")
    points_to = _combined([one.points_to for one in found])
    if hindrance := next((one.hindrance for one in found if one.hindrance), ""):
        return Verdict(claim, found, "no verdict", hindrance, points_to)
    if (seeds := min(one.seeds for one in found)) < MIN_SEEDS:
        return Verdict(claim, found, "undecided", f"{seeds} seed{'s' * (seeds > 1)}", points_to)
    word = _combined([one.decided for one in found])
    if (missing := _missing(claim, found)) and word != "refuted":
        return Verdict(claim, found, "undecided", f"no runs for {missing}", points_to)
    if word == "undecided":
        return Verdict(claim, found, word, "the seeds differ too much", points_to)
    return Verdict(claim, found, word)


def _missing(claim: Claim, found: Sequence[Outcome]) -> str:
    """Which comparisons of a claim have no runs, in words; '' if there are enough."""
    if claim.partly:
        there = {one.test.part for one in found}
        return " and ".join(dict.fromkeys(repr(one.part) for one in claim.tests if one.part not in there))
    missing = len(claim.tests) - len(found)
    return f"{missing} of {len(claim.tests)} comparisons" if missing else ""


def outcome(test: Test, results: Sequence[dict]) -> Outcome:
    """Pairs the runs that a test compares, by seed."""
    before, after = ([] if side is None else _chosen(results, side, test.measure) for side in (test.before, test.after))
    pairs = [(first, second) for first in before for second in after if _paired(test, first, second)]
    pairs = _of_one_kind([(one,) for one in before] if test.after is None else pairs, test.rising)
    by_seed: dict[int, list] = {}
    for pair in pairs:
        by_seed.setdefault(pair[0]["settings"]["seed"], []).append([test.measure.value(run) for run in pair])
    values = [[fmean(side) for side in zip(*rows, strict=True)] for _, rows in sorted(by_seed.items())]
    return Outcome(
        test,
        before=[row[0] for row in values],
        after=[row[-1] for row in values] if test.after else [],
        effects=[test.measure.effect(*row) for row in values],
        seeds=len(values),
        epochs=tuple(sorted({run["settings"].get("epochs", 0) for run in side}) for side in zip(*pairs, strict=True)),
        hindrance=next((why for pair in pairs for run in pair if (why := _hindrance(run, test.measure))), ""),
        metric=test.measure.metric(pairs[0][0]) if pairs else "",
        reencoded=next((name for pair in pairs for run in pair if (name := run["dataset"].get("reencoded"))), ""),
    )


def _of_one_kind(pairs: list[tuple[dict, ...]], rising: str) -> list[tuple[dict, ...]]:
    """If runs have several lengths or networks, those with the most seeds.

    In a tie, the dense ones are preferred, which the write-up is about, and then the longest. If the test is about the
    length itself, or about any values of another setting, all runs count.
    """
    kinds: dict[tuple, list] = {}
    for pair in pairs:
        kinds.setdefault(
            tuple((run["settings"].get("network"), run["settings"].get("epochs", 0)) for run in pair), []
        ).append(pair)
    if rising or not kinds:
        return pairs

    def rank(kind):
        seeds = {pair[0]["settings"]["seed"] for pair in kinds[kind]}
        return len(seeds), kind[0][0] == "mlp", sum(epochs for _, epochs in kind)

    return kinds[max(kinds, key=rank)]


def _paired(test: Test, first: dict, second: dict) -> bool:
    """Whether a test may compare two runs: they have the same metric and differ only in what the test varies."""
    ours, theirs = first["settings"], second["settings"]
    varied = {name for name, value in test.before.items() if test.after[name] != value} | {test.rising}
    sizes = [settings.get(test.rising) for settings in (ours, theirs)]  # an earlier run may not name the setting
    grown = not test.rising or (None not in sizes and sizes[0] < sizes[1])
    same = test.measure.metric(first) == test.measure.metric(second)
    return grown and same and _alike(ours, theirs, varied, test.match)


def _chosen(results, wanted, measure):
    return [
        result
        for result in results
        if all(result["settings"].get(name) == value for name, value in wanted.items()) and _has(result, measure)
    ]


def _has(result, measure):
    try:
        return math.isfinite(measure.value(result))
    except (KeyError, TypeError, ZeroDivisionError):
        return False


def _alike(first, second, varied, match):
    names = match or (first.keys() | second.keys()) - varied
    return all(first.get(name) == second.get(name) for name in names)


def _hindrance(result, measure):
    if not (result["dataset"]["canonical"] or result["dataset"].get("reencoded")):
        return "stand-in data"
    samples = result.get("samples_n", {}).get(measure.metric(result))
    return f"only {samples} images behind the numbers" if samples is not None and samples < MIN_SAMPLES else ""


def _combined(outcomes: Sequence[str]) -> str:
    if "fails" in outcomes:
        return "refuted"
    return "supported" if all(one == "holds" for one in outcomes) else "undecided"
