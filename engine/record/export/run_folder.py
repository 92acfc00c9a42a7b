"""A run as a folder: master.md, a log of each round, errors.log and manifest.json, whatever state the run is in."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from engine.record.export import errors, manifest, master
from engine.record.export.source import Source
from engine.record.runs import Run


def name(run: Run) -> str:
    """`2026-11-21_09-04-59_ab12cd34`: when it began, here, and its id."""
    at = datetime.datetime.fromtimestamp(run.started or run.created, datetime.UTC).astimezone()
    return f"{at:%Y-%m-%d_%H-%M-%S}_{run.id}"


def files(source: Source) -> Iterator[tuple[str, str]]:
    """(path below the folder, text) of each file."""
    yield "master.md", master.render(source)
    for number, text in enumerate(master.blocks(source), 1):
        yield f"logs/turn_{number:03d}.log", f"{text}\n"
    yield "errors.log", errors.render(source)
    yield "manifest.json", manifest.render(source)
