"""What a setting does to a number: the finished runs of a study that differ only in it and in the seed, as a chart."""

from collections.abc import Iterable
from pathlib import Path

from IPython.display import Markdown, display

from lib import figures
from lib.finished import Finished
from lib.series import APART, NAMES, SCORECARD, Series, apart, marks, series
from lib.widgets import controls

DRAWN = 4  # lines of one chart
WIDTH = 480  # CSS pixels of a chart
NO_SERIES = "No two of these runs have this number and differ in one setting alone (and in the seed)."
FIRST = ("latent_dim", "width")  # settings that come first where one is chosen


def effects(every: Iterable[Finished], metric: str, chosen: list[str] | None = None):
    """`charts` over a setting to choose; in batch, over the first that varies. Args: chosen: [setting], follows."""
    every, chosen = list(every), chosen or ["latent_dim"]
    options = varied(every, metric)
    if not controls.interactive():
        shown = charts(every, metric, options[0]) if options else [Markdown(NO_SERIES)]
        return display(*shown)
    if not options:
        return controls.words(NO_SERIES)
    first = chosen[0] if chosen[0] in options else options[0]
    over, box = controls.choice("over", options=options, value=first), controls.row()

    def redraw(_=None):
        chosen[0] = over.value
        controls.fill(box, *(controls.drawn(one, WIDTH) for one in charts(every, metric, over.value)))

    controls.redraw_on([over], redraw)
    return controls.column(over, box)


def charts(every: Iterable[Finished], metric: str, setting: str) -> list[figures.Figure]:
    """For each model and dataset: a dot a seed, the means, 95 % intervals, and the marks of other images."""
    every, drawn = list(every), []
    for title, group in _groups(every).items():
        if found := _series(group, metric, setting)[:DRAWN]:
            label = f"{labels(group).get(metric, metric)}: {title}"
            row = {NAMES.get(setting, setting): [one.line(apart(one, found)) for one in found]}
            near = marks([run.result["references"].get(metric, {}) for run in group])
            drawn.append(figures.effects({label: row}, {label: near}))
    return drawn


def labels(every: Iterable[Finished]) -> dict[str, str]:
    """The names of all numbers that some run has and their labels, first of those that all models have."""
    every = list(every)
    known = SCORECARD | {name: words for run in every for name, words in run.description.metrics.items()}
    had = {name for run in every for name in run.result["metrics"]}
    return {name: words for name, words in known.items() if name in had}


def varied(every: Iterable[Finished], metric: str) -> list[str]:
    """The settings in which, and in the seed, some runs alone differ."""
    groups = _groups(every).values()
    names = dict.fromkeys((*FIRST, *(name for group in groups for run in group for name in run.result["settings"])))
    return [name for name in names if name not in APART and any(_series(group, metric, name) for group in groups)]


def _groups(every: Iterable[Finished]) -> dict[str, list[Finished]]:
    """Runs of one notebook on one dataset, by the words for them."""
    found: dict[tuple, list[Finished]] = {}
    for run in every:
        data = run.result["dataset"].get("reencoded") or Path(run.result["dataset"]["name"]).stem
        found.setdefault((f"{run.description.title} on {data}", Path(run.result["notebook"]).stem), []).append(run)
    titles = [title for title, _ in found]
    return {
        title if titles.count(title) == 1 else f"{title}, {notebook}": group
        for (title, notebook), group in found.items()
    }


def _series(group: list[Finished], metric: str, setting: str) -> list[Series]:
    return series([(True, run.result) for run in group], setting, metric)
