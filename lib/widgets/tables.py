"""Layers and numbers as tables of Markdown, and code as it stands in lib."""

import inspect
from collections.abc import Callable
from textwrap import dedent

from IPython.display import Code, Markdown

from lib import rounding
from lib.series import by_classifier

REFERENCES = ("real", "blurred", "noisy", "mean_image", "class_removed", "pixel_entropy")  # of no single run


def table(head: list[str], rows: list[list], numbers: int = 0) -> str:
    """A table of Markdown; the last `numbers` columns are aligned at their right."""
    texts = len(head) - numbers
    lines = [head, [":---"] * texts + ["---:"] * numbers, *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def source(*functions: Callable) -> Code:
    """The code of functions, one below the other."""
    return Code("\n\n".join(dedent(inspect.getsource(each)).rstrip() for each in functions), language="python")


def layers(facts: dict) -> Markdown:
    """The layer table of each network, from `ImageModel.facts`."""
    parts = []
    for name, rows in facts["layers"].items():
        body = [[row["layer"], row["kind"], row["output"], f"{row['parameters']:,}"] for row in rows]
        total = ["**total**", "", "", f"**{facts['parameters'][name]:,}**"]
        parts.append(f"**{name}**\n\n" + table(["layer", "kind", "output", "parameters"], [*body, total], 1))
    return Markdown("\n\n".join(parts))


def numbers(found: dict) -> Markdown:
    """Every metric beside its references, from `evaluation.evaluate`."""
    return Markdown(scores({"this run": found}))


def scores(found: dict[str, dict]) -> str:
    """The numbers of runs on one dataset side by side, with their references behind them, as a table of Markdown.

    Args:
        found: what `evaluation.evaluate` says, or a result.json, by the words above the run's column.
    """
    every = list(found.values())
    marks = {}
    for one in every:
        for name in (*one["metrics"], *one.get("absent", {})):
            marks.setdefault(name, {}).update(one["references"].get(name, {}))
    wanted = (*REFERENCES, "untrained") if len(every) == 1 else REFERENCES
    shown = [which for which in wanted if any(which in values for values in marks.values())]
    head = ["number", *found, *(which.replace("_", " ") for which in shown), "images"]
    rows = [_score_row(name, every, [values.get(which) for which in shown]) for name, values in marks.items()]
    return "\n\n".join([table(head, rows, len(head) - 1), *_remarks(found)])


def _score_row(name: str, every: list[dict], marks: list) -> list[str]:
    """One number of each run, of the references, and how many images it is of; all share their decimals."""
    values = [*(one["metrics"].get(name) for one in every), *marks]
    texts, shared = rounding.column(values), rounding.decimals([] if each is None else [each] for each in values)
    own = [
        f"**{text}** {_span(one, name, shared)}".strip()
        if one["metrics"].get(name) is not None or name in one.get("absent", {})
        else ""
        for one, text in zip(every, texts, strict=False)
    ]
    others = ["" if mark is None else text for mark, text in zip(marks, texts[len(every) :], strict=True)]
    images = max(one["samples_n"].get(name, 0) for one in every)
    return [f"`{name}`", *own, *others, f"{images:,}" if images else ""]


def _span(one: dict, name: str, shared: int) -> str:
    """Between what a number lies by several classifiers; '' if there is one."""
    return rounding.span(by_classifier(one, name), shared) if name in one["metrics"] else ""


def _remarks(found: dict[str, dict]) -> list[str]:
    """What a reader of `scores` needs to know beside the numbers."""
    lines = ["The columns after the runs are references: the same estimator on other images."]
    card = next(iter(found.values()))["scorecard"]
    if card["classifier_accuracy"]:
        lines[0] += (
            f" The classifier behind the scores recognises {card['classifier_accuracy']:.1%} of "
            f"{card['classifier_test_n']:,} test images correctly; `ndb` counts bins out of {card['bins']}."
        )
        if any(one.get("further_classifiers") for one in found.values()):
            lines[0] += " In brackets: the lowest and the highest by this and by two further classifiers."
    for which, one in found.items():
        if any(name.startswith("emd_") and value < 0 for name, value in one["metrics"].items()):
            lines.append(f"**A negative EMD estimate ({which}): the critic has failed, and it is meaningless.**")
        lines += [f"`{name}` ({which}): none; {reason}." for name, reason in one.get("absent", {}).items()]
    return lines
