"""The name of an exported file: when, and who with which model, in characters that every file system takes."""

from __future__ import annotations

import datetime

from engine.record.export.source import Seat, Source

_LONGEST = 32
"""Characters of one name."""
_BYTES = 200
"""Of the whole name; file systems take 255, and a suffix is still to come."""


def file_name(source: Source, suffix: str, seat: Seat | None = None) -> str:
    """`transcript_2026-11-21T09-04-59_ELIZA_local~smollm2---PARRY_ollama~llama3.2.html`; of one seat, only that one."""
    at = datetime.datetime.fromtimestamp(source.run.started or source.run.created, datetime.UTC).astimezone()
    seats = [seat] if seat else source.seats
    names = "---".join(_seat(item) for item in seats) or _clean(source.run.title) or source.run.id
    stem = f"transcript_{at:%Y-%m-%dT%H-%M-%S}_{names}"
    while len(stem.encode()) > _BYTES:
        stem = stem[:-1]
    return f"{stem}.{suffix}"


def _seat(seat: Seat) -> str:
    tag = f"({_clean(seat.language)})" if seat.language else ""
    return f"{_clean(seat.name)}{tag}" + (f"_{_clean(seat.model)}" if seat.model else "")


def _clean(text: str) -> str:
    kept = "".join(char if char.isalnum() or char in "-_.+" else "~" for char in text[:_LONGEST])
    return kept.lstrip(".")
