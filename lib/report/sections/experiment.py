"""What was run, and how: datasets, settings, and what the write-up leaves open."""

from lib.report.claims import LEFT_OPEN
from lib.report.pieces import fold, piece, referred, row, table
from lib.report.records import Record, Records
from lib.report.words import counted, learning_rate, listed


@piece
def datasets(records: Records) -> str:
    """What the runs were trained on."""
    seen = {}
    for one in records.done:
        seen.setdefault((one.data, *one.result["dataset"]["counts"].values()), one)
    rows = []
    for one in seen.values():
        facts = one.result["dataset"]
        counts = [facts["counts"].get(part) for part in ("train", "validation", "test")]
        shape = " × ".join(str(side) for side in facts["shape"])
        rows.append(row(one.data, one.genuine, shape, *counts))
    if not rows:
        return ""
    head = ("dataset", "status", "image", "training", "validation", "test")
    note = (
        "The validation images are drawn from the training images with a fixed seed. The test images are used only "
        "once, for the numbers in this report."
    )
    names = listed(f"{one.data} ({one.genuine})" for one in seen.values())
    return fold(f"Data: {names}", table(head, rows, "", note))


@piece
def protocol(records: Records) -> str:
    """How each notebook's runs were trained, according to their settings."""
    rows = [
        row(f"{group[0].title} on {group[0].data}", len(group), _of(group, "network"), *_how(group), _of(group, "seed"))
        for group in records.by_notebook.values()
    ]
    head = ("model", "runs", "network", "epochs", "batch", "optimizer, learning rate", "seeds")
    epochs = listed(sorted({one.settings.epochs for one in records.runs}))
    return fold(f"Training: {counted(records.runs)} of {epochs} epochs", table(head, rows))


def _of(group: list[Record], name: str) -> str:
    return listed(getattr(one.settings, name) for one in group)


def _how(group: list[Record]) -> tuple[str, str, str]:
    return _of(group, "epochs"), _of(group, "batch_size"), listed(map(learning_rate, group))


@piece
def assumptions(records: Records) -> str:
    """What the write-up does not say, with the values that these runs have."""
    rows, figures = [], {one.number: one for one in records.study.figures}
    for one in (one for one in LEFT_OPEN if one["figure"] in figures):
        shown = [records.by_name[name] for panel in figures[one["figure"]].runs for name in panel]
        what = referred(records, f"{one['what']} in [fig:{one['figure']}]", "assumptions")
        rows.append(row({"pieces": what}, _of(shown, one["setting"])))
    found: dict[str, list[str]] = {}
    for one in (one for group in records.by_notebook.values() for one in group):
        for name, value in one.description.assumptions.items():
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        said, remarks = zip(*(value.partition("; ")[::2] for value in values), strict=True)
        rows.append(row(name, "; ".join(filter(None, map(listed, (said, remarks))))))
    rows.append(row("epochs, batch size and optimizer", "see “Training” under “The experiment”"))
    return fold(f"{len(rows)} settings and their values here", table(("not stated", "assumed here"), rows))
