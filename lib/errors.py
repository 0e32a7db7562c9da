"""A mistake of the user's, said in one line."""

import difflib
from typing import Any


class UserError(Exception):
    """A mistake of the user's, said in one line: what, where, what was expected. Shown without a traceback."""

    def _render_traceback_(self):  # IPython asks for this name
        return [f"{type(self).__name__}: {self}"]


def nearest(name: Any, names) -> str:
    """' (did you mean X?)', or nothing when no known name is near."""
    found = difflib.get_close_matches(str(name), list(names), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def in_one_line(error: BaseException) -> str:
    """What an error says, or its name where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def short(value: Any) -> str:
    """A value as an error shows it: its representation, at most 80 characters of it."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."
