"""A run as a document: Markdown, HTML, text, JSON lines, a transcript by rounds, and conversations for fine-tuning.

One file per format, each with `render(source) -> str`; all of them read one `Source`, taken in one transaction, so
that the export of a live run is one moment of it.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from engine.record.export.source import Source, read
from engine.record.runs import Run
from engine.settings.errors import UsageError, nearest

__all__ = ["FORMATS", "Format", "Source", "checked", "export", "read", "render"]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a run. `per_seat`: written to a folder, it is a file for each seat."""

    module: str
    suffix: str
    about: str
    per_seat: bool = False


FORMATS: dict[str, Format] = {
    "md": Format("markdown", "md", "Markdown, to read and to paste"),
    "html": Format("page", "html", "one self-contained page, to read and to send"),
    "txt": Format("plain_text", "txt", "plain text, one per seat", per_seat=True),
    "flow": Format("flow", "txt", "one line a turn: its number, its model, what was said"),
    "jsonl": Format("json_lines", "jsonl", "everything known of each turn, one JSON object a line"),
    "chatml": Format("chatml", "jsonl", "for fine-tuning: role and content, one conversation per seat and line"),
    "sharegpt": Format("sharegpt", "jsonl", "for fine-tuning: from and value, one conversation per seat and line"),
    "master": Format("master", "md", "the transcript by rounds and roles; in a folder, with logs and a manifest"),
    "index": Format("index", "md", "one line for each run: topic and highlight"),
    "errors": Format("errors", "log", "what failed and what is missing, one JSON object a line"),
    "manifest": Format("manifest", "json", "where the run comes from, its seed, models, times and end"),
}


def export(
    db: sqlite3.Connection, run: Run, fmt: str, seat: str | None = None, heard: Callable[[str], str] | None = None
) -> str:
    """The run written as `fmt`, from the view of one seat only where `seat` is given.

    `heard` takes off a text what other seats do not hear of it (control words).
    Raises UsageError: no such format, no such seat, or a seat given to a format that has no views.
    """
    checked(fmt)
    return render(read(db, run, heard, beside=True), fmt, seat)


def render(source: Source, fmt: str, seat: str | None = None) -> str:
    """What `export` returns, of a run that was read already."""
    form = FORMATS[checked(fmt)]
    if seat is not None:
        if form.module not in ("plain_text", "chatml", "sharegpt"):
            raise UsageError(f"{fmt} shows all seats; --seat goes with txt, chatml and sharegpt")
        source = source.only(seat)
    text: str = importlib.import_module(f"engine.record.export.{form.module}").render(source)
    return text


def checked(fmt: str) -> str:
    """`fmt`, if it is one. Raises UsageError."""
    if fmt not in FORMATS:
        raise UsageError(f"unknown format {fmt!r}: {nearest(fmt, FORMATS)}")
    return fmt
