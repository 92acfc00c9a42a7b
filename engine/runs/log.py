"""The log of a host: a private file beside the record, rotated, one line an event of the process."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
from pathlib import Path

from engine.record.redact import scrub
from engine.record.visible import visible
from engine.settings import paths

MAX_BYTES = 1 << 20
KEPT = 2
TRYING = "; trying again"
"""How a line ends whose fault the host hopes to outlast."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ [A-Z]+ ")


class _Clean(logging.Formatter):
    """Nothing secret and nothing that steers a terminal gets into a log."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(scrub(super().format(record)))


class _Rotating(logging.handlers.RotatingFileHandler):
    """Takes what the process prints to the new file with it: the old one is deleted one day."""

    def doRollover(self) -> None:
        printed = [number for number in (1, 2) if _is_file(number, self.baseFilename)]
        super().doRollover()
        for number in printed:
            fresh = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.dup2(fresh, number)
            os.close(fresh)


def _is_file(number: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(number), Path(path).stat())
    except OSError:
        return False


def log_file(database: Path, run: str) -> Path:
    return paths.runs_dir(database) / f"{run}.log"


def open_log(database: Path, run: str, level: int = logging.INFO) -> logging.Logger:
    """The host's logger; what libraries print to stderr goes to the same file.

    Libraries log their warnings, and their requests too (httpx: one line each) where `level` is DEBUG.
    """
    path = log_file(database, run)
    os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    handler = _Rotating(path, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
    handler.setFormatter(_Clean("%(asctime)s %(levelname)s %(message)s"))
    ours = logging.getLogger("tertulia")
    ours.handlers = [handler]
    ours.setLevel(level)
    ours.propagate = False
    others = logging.getLogger()
    for old in [item for item in others.handlers if isinstance(item, _Rotating)]:
        others.removeHandler(old)
    others.addHandler(handler)
    others.setLevel(logging.INFO if level <= logging.DEBUG else logging.WARNING)
    return ours.getChild("host")


def size(database: Path, run: str) -> int:
    """Bytes of the run's log as it is now."""
    try:
        return log_file(database, run).stat().st_size
    except OSError:
        return 0


def last_line(database: Path, run: str, since: int = 0) -> str:
    """The newest line of the run's log after byte `since`, without its time stamp; empty when there is none."""
    lines = _lines(database, run, since)
    return _STAMP.sub("", lines[-1]) if lines else ""


def trouble(database: Path, run: str, since: int = 0) -> str:
    """What the host says to try again, where that is the newest line of its log after byte `since`; else empty."""
    line = last_line(database, run, since)
    return line if line.endswith(TRYING) else ""


def _lines(database: Path, run: str, since: int) -> list[str]:
    try:
        return log_file(database, run).read_bytes()[since:].decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return []
