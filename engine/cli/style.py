"""Colour where a person looks, and columns that line up; nothing of it in files and pipes."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import TextIO

import click

_SEATS = ("cyan", "magenta", "yellow", "green", "blue")
STATUS = {
    "running": "green",
    "queued": "cyan",
    "paused": "yellow",
    "waiting": "yellow",
    "finished": None,
    "stopped": None,
    "failed": "red",
    "crashed": "red",
}


def colours(stream: TextIO) -> bool:
    """Whether `stream` is a terminal whose user has not said NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False, err: bool = False) -> str:
    """`text` in a colour, where stdout (or stderr) shows colours."""
    if not colours(sys.stderr if err else sys.stdout):
        return text
    return click.style(text, fg=colour, bold=bold or None, dim=dim or None)


def seat_colour(place: int) -> str:
    return _SEATS[place % len(_SEATS)]


def cells(text: str) -> int:
    """Columns that `text` takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def fit(text: str, width: int) -> str:
    """`text` cut to `width` columns, with an ellipsis where something is gone."""
    if cells(text) <= width:
        return text
    while text and cells(text) > width - 1:
        text = text[:-1]
    return text + "…"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], colour: Sequence[Sequence[str | None]] = ()) -> None:
    """Print rows below their heads. The last column is cut at the terminal's edge; a head ending in ` >` is numeric."""
    right = [head.endswith(" >") for head in heads]
    names = [head.removesuffix(" >") for head in heads]
    widths = [max(cells(row[place]) for row in [names, *rows]) for place in range(len(names))]
    edge = terminal_width()
    for number, row in enumerate([names, *rows]):
        used = 0
        parts = []
        for place, text in enumerate(row):
            last = place == len(row) - 1
            if last and edge:
                text = fit(text, max(edge - used, 8))
            room = " " * (widths[place] - cells(text)) if not last else ""
            tint = colour[number - 1][place] if number and colour else None
            drawn = paint(text, tint) if number else paint(text, dim=True)
            parts.append(room + drawn if right[place] else drawn + room)
            used += widths[place] + 2
        print("  ".join(parts).rstrip())


def terminal_width() -> int:
    """Columns of the terminal that stdout is, or 0 where it is none."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
