"""A panel for each notebook: which of its settings vary, and what they do to its own number and to image quality."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lib import figures
from lib.report import effects, measures
from lib.report.records import Record, Records
from lib.report.words import finished, listed, shown_settings, values_of
from lib.series import APART, NAMES, Series, apart, at, marks, series

MOST = 3  # settings of one panel
DRAWN = 4  # lines of one chart
DISPUTED = "clearly different by some classifiers only"


@dataclass(frozen=True, eq=False)
class Panel:
    """What the settings do in one notebook's runs.

    Attributes:
        series: by metric and setting, the most telling first; both in the order in which they are shown.
    """

    records: Records
    group: list[Record]
    series: dict[str, dict[str, list[Series]]]

    @property
    def settings(self) -> list[str]:
        return list(next(iter(self.series.values()), {}))

    @cached_property
    def title(self) -> str:
        one = self.group[0]
        title = f"{one.title} on {one.data}"
        same = [each for each in self.records.by_notebook.values() if f"{each[0].title} on {each[0].data}" == title]
        return title if len(same) < 2 else f"{title}, {one.settings.notebook_name}"

    @property
    def short(self) -> str:
        """The title without saying that the data are lossy copies, which the page says above."""
        one = self.group[0]
        return f"{one.title} on {one.family}" if one.reencoded else self.title

    def name(self, one: Series, setting: str) -> str:
        """What sets a series apart from the others of its chart: '60 epochs'."""
        return apart(one, [each for metric in self.series.values() for each in metric[setting]])

    def axis(self, setting: str) -> str:
        """The words below a chart: the setting, and those of the others that all of its series share."""
        shown = [each for metric in self.series.values() for each in metric[setting]]
        others = [name for name in self.settings if name != setting]
        fixed = [at(name, shown[0].shared[name]) for name in others if len({s.shared.get(name) for s in shown}) == 1]
        return NAMES.get(setting, setting) + (f" ({', '.join(fixed)})" if fixed else "")

    def figure(self) -> figures.Figure:
        rows = {
            self.records.label(metric): {
                self.axis(setting): [one.line(self.name(one, setting)) for one in found[:DRAWN]]
                for setting, found in by_setting.items()
            }
            for metric, by_setting in self.series.items()
        }
        return figures.effects(rows, {self.records.label(name): self.marks(name) for name in self.series}, self.title)

    def marks(self, metric: str) -> dict[str, float]:
        """What the same estimator gives for other images, where it is the same for all runs."""
        return marks([one.references.get(metric, {}) for one in self.group])

    def sentences(self) -> list[tuple[str, str]]:
        """For each setting its values, and what they do to the numbers."""
        return [
            self._sentence(name, [(metric, each[name][0]) for metric, each in self.series.items()])
            for name in self.settings
        ]

    def _sentence(self, setting: str, telling: list[tuple[str, Series]]) -> tuple[str, str]:
        found = [effects.changes(one) for _, one in telling]
        runs = [", ".join(filter(None, (self.name(one, setting), one.told_seeds))) for _, one in telling]
        runs = [each + ", no interval" * (of[0].half is None) for each, of in zip(runs, found, strict=True)]
        lead, alike = effects.over(setting, found[0][0].ends[0], found[0][-1].ends[1]), len({*runs}) == 1
        clauses = [
            effects.clause(self.records.label(metric), setting, of, not place) + f" ({each})" * (not alike)
            for place, ((metric, _), of, each) in enumerate(zip(telling, found, runs, strict=True))
        ]
        return f"{lead} ({runs[0]})" if alike else lead, f"{'; '.join(clauses)}."

    def change(self, setting: str, metrics: Sequence[str] = measures.QUALITY) -> effects.Change | None:
        """What a setting does from its first to its last value to the first of some metrics that there is."""
        found = next((self.series[name].get(setting) for name in metrics if name in self.series), None)
        if not found:
            return None
        values = list(found[0].numbers)
        return effects.change(found[0], values[0], values[-1])


def panels(records: Records) -> list[Panel]:
    """A panel for each notebook with finished runs."""
    own = {id(one.result) for one in records.done}
    results = [(id(one) in own, one) for _, found in records.named.values() for one in found]
    made = []
    for group in map(finished, records.by_notebook.values()):
        if group:
            notebook = group[0].settings.notebook
            theirs = [each for each in results if each[1]["settings"].get("notebook") == notebook]
            made.append(Panel(records, group, _series(group, theirs)))
    return made


def _series(group: list[Record], results: Sequence[tuple[bool, dict]]) -> dict[str, dict[str, list[Series]]]:
    """The series of the model's own number and of image quality over the settings that vary within the study."""
    quality = next((name for name in measures.QUALITY if values_of(group, name)), "")
    metrics = dict.fromkeys(name for name in (group[0].description.headline, quality) if values_of(group, name))
    fields = (name for one in group for name in type(one.settings).model_fields)
    names = dict.fromkeys(("latent_dim", "width", *shown_settings(group), *fields))
    varied = [
        name
        for name in names
        if name not in APART and len({repr(getattr(one.settings, name, None)) for one in group}) > 1
    ]
    found = {metric: {name: series(results, name, metric) for name in varied} for metric in metrics}
    found = {metric: each for metric, each in found.items() if any(each.values())}
    # a setting counts if a series of the study itself varies it, and every number has one
    kept = [
        name
        for name in varied
        if all(each[name] for each in found.values()) and any(one.own for each in found.values() for one in each[name])
    ][:MOST]
    return {metric: {name: each[name] for name in kept} for metric, each in found.items()} if kept else {}


# ---- all panels together -------------------------------------------------------------------------

WORDS = {-1: "closer to real ones", 1: "further from real ones", 0: "not clearly different", 2: DISPUTED}


def summary(shown: Sequence[Panel]) -> list[tuple[str, str]]:
    """For each setting, for which models the Fréchet distance falls, rises or does not clearly change."""
    said = []
    for setting in dict.fromkeys(name for one in shown for name in one.settings):
        found = [(one, each) for one in shown if (each := one.change(setting))]
        groups: dict[int, list] = {way: [] for way in WORDS}
        for one, each in found:
            groups[2 if each.disputed else each.clear * (-1 if each.size < 0 else 1)].append((one, each))
        texts = [f"{WORDS[way]} for {_models(group, way in (-1, 1))}" for way, group in groups.items() if group]
        if len(groups[0]) == len(found) > 1:
            texts = [f"{WORDS[0]} for any model"]
        single = sum(each.half is None for _, each in found)
        end = "" if not single else " (one seed each)" if single == len(found) else " (some with one seed)"
        if texts:
            said.append((_more(setting, found), f"images {'; '.join(texts)}{end}."))
    return said


def _models(found: Sequence[tuple[Panel, effects.Change]], sizes: bool) -> str:
    """'the VAE on MNIST (−61 %) and CIFAR-10 (−45 %), the GAN on CIFAR-10 (−25 %)'."""
    data: dict[str, list[str]] = {}
    for one, each in found:
        title, _, name = one.short.partition(" on ")
        data.setdefault(title, []).append(f"{name} ({each.percent})" if sizes else name)
    return listed(f"the {title} on {listed(names)}" for title, names in data.items())


def _more(setting: str, found: Sequence[tuple[Panel, effects.Change]]) -> str:
    ends = {each.ends for _, each in found}
    if not all(effects.counted(value) for pair in ends for value in pair):
        return " or ".join(effects.over(setting, *pair) for pair in ends)
    more = setting in ("latent_dim", "width", "epochs")
    return f"{'More' if more else 'Larger'} {NAMES.get(setting, setting)}"
