"""Numbers of papers and logs beside ours, with what differs in the setting and a verdict."""

from collections import Counter

from lib.report import literature
from lib.report.pieces import fold, parts, piece, row, table
from lib.report.records import Records
from lib.report.words import listed
from lib.rounding import spread_and_span

HEAD = ("published", "setting", "theirs", "ours", "what differs", "verdict")


@piece
def published(records: Records) -> str:
    """The table of those with which a run of this study can be compared."""
    found = literature.comparisons([one.result for one in records.done])
    rows = [_row(records, one) for one in found if one.values]
    if not rows:
        return parts().notes([f"This study has no run to compare with any of the {len(found)} published numbers."])
    left_out = len(found) - len(rows)
    note = "Our number is the mean over all seeds."
    note += " In brackets: the lowest and the highest over the classifiers." * any(one.further for one in found)
    note += f" {left_out} more published numbers have no comparable run in this study." * bool(left_out)
    words = Counter(one.word for one in found if one.values)
    said = listed(f"{word} ({count})" for word, count in words.most_common())
    return fold(f"{len(rows)} published numbers beside ours: {said}", table(HEAD, rows, "", note))


def _row(records: Records, one: literature.Comparison) -> dict:
    theirs, verdict = one.reported, f"{one.word} ({one.why})" if one.why else one.word
    source = f"{theirs.what} ({theirs.kind}: {theirs.source})"
    value = f"{theirs.value:,} {theirs.unit}"  # with the digits that were published
    ours = f"{spread_and_span([one.values, *one.further])}, {records.short(one.metric)}"
    return row(source, theirs.setting, value, ours, "; ".join(one.differences), verdict, kind="beside")
