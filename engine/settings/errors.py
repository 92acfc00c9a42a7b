"""The one family of errors that a user's own input causes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """Wrong use: one line that says what is wrong, where, and what to do. The command line exits with 2."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint naming the known word closest to `word`, or all of them when none is close."""
    options = sorted({str(item) for item in known})
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(options)}" if options else "none is known"
