"""The log of a host: a private file beside the record, rotated, one line an event of the process."""

from __future__ import annotations

import logging
import logging.handlers
import os
from pathlib import Path

from engine.record.redact import scrub
from engine.record.visible import visible
from engine.settings import paths

MAX_BYTES = 1 << 20
KEPT = 2


class _Clean(logging.Formatter):
    """Nothing secret and nothing that steers a terminal gets into a log."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(scrub(super().format(record)))


def log_file(database: Path, run: str) -> Path:
    return paths.runs_dir(database) / f"{run}.log"


def open_log(database: Path, run: str) -> logging.Logger:
    """The host's logger; what libraries print to stderr goes to the same file."""
    path = log_file(database, run)
    os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
    handler.setFormatter(_Clean("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("tertulia.host")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logger


def last_line(database: Path, run: str) -> str:
    """The newest line of the run's log, without its time stamp; empty when there is none."""
    try:
        lines = log_file(database, run).read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].split(" ", 3)[-1] if lines else ""
