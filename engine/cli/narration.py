"""What is told on stderr beside the data on stdout: how much of it, and into which file besides."""

from __future__ import annotations

import os
import sys
import time
from enum import IntEnum
from pathlib import Path
from typing import TextIO

from engine.cli.style import paint
from engine.settings.errors import UsageError


class Level(IntEnum):
    """How much is told; the numbers are those of the logging module, which hosts use."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


_least = Level.INFO
_file: TextIO | None = None


def begin(least: Level = Level.INFO) -> None:
    """Tell what is at least so weighty, and into no file any more."""
    global _least, _file
    _least = least
    if _file is not None:
        _file.close()
        _file = None


def set_level(least: Level) -> None:
    global _least
    _least = least


def log_to(path: Path) -> None:
    """Append all that is told to `path` too, whatever the level, each line with its time. Raises UsageError."""
    global _file
    if _file is not None:
        _file.close()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise UsageError(f"--log-file {path}: cannot be written: {error.strerror}") from None
    _file = os.fdopen(descriptor, "a", encoding="utf-8", buffering=1)


def narrate(text: str) -> None:
    """One line for the person at the terminal; not told under --quiet."""
    tell(Level.INFO, text)


def warn(text: str) -> None:
    """One line about what went wrong, or waits for a person: always told."""
    tell(Level.WARNING, text)


def tell(level: Level, text: str) -> None:
    """One line on stderr, where it is weighty enough, and in the log file."""
    _note(level, text)
    if is_told(level):
        print(paint(text, dim=level < Level.ERROR, err=True), file=sys.stderr, flush=True)


def is_told(level: Level) -> bool:
    return level >= _least


def is_noted(level: Level) -> bool:
    """Whether anybody, or the log file, hears what is of that level."""
    return _file is not None or is_told(level)


def shows_progress() -> bool:
    """Whether a bar that is drawn over and over has a place."""
    return is_told(Level.INFO) and sys.stderr.isatty()


def _note(level: Level, text: str) -> None:
    if _file is None:
        return
    from engine.record.redact import scrub
    from engine.record.visible import visible

    now = time.strftime("%Y-%m-%d %H:%M:%S")
    _file.write(f"{now} {level.name} {visible(scrub(text))}\n")
