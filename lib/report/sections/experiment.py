"""What was run, and how: datasets, settings, and what the write-up leaves open."""

from lib.report.claims import LEFT_OPEN
from lib.report.pieces import parts, piece, referred, row, table
from lib.report.records import Record, Records
from lib.report.words import learning_rate, listed


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
        rows.append(row(one.data, one.genuine, shape, *counts, facts["sha256"][:16] + "…"))
    head = ("dataset", "status", "image", "training", "validation", "test", "sha256")
    note = (
        "The validation images are drawn from the training images with a fixed seed. The test images are used only "
        "once, for the numbers in this report."
    )
    return table(head, rows, "Datasets", note)


@piece
def protocol(records: Records) -> str:
    """How each notebook's runs were trained, according to their settings."""
    rows = [
        row(group[0].settings.notebook_name, len(group), _of(group, "network"), *_how(group), _of(group, "seed"))
        for group in records.by_notebook.values()
    ]
    head = ("notebook", "runs", "network", "epochs", "batch", "optimizer, learning rate", "seeds")
    machines = listed(one.result.get("machine", "unknown") for one in records.done)
    used = [one.result.get("versions", {}) for one in records.done]
    versions = [f"{name} {listed(one[name] for one in used if name in one)}" for name in ("keras", "tensorflow")]
    machine = [f"Machine: {machines}; {', '.join(versions)}."] if records.done else []
    return table(head, rows, "Protocol") + parts().notes(machine)


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
    for group in records.by_notebook.values():
        epochs, batch, rates = _how(group)
        what = f"epochs and optimizer, {group[0].settings.notebook_name}"
        rows.append(row(what, f"{epochs} epochs, batch {batch}, {rates}"))
    return table(("not stated", "assumed here"), rows)
