"""A safe copy of a record that is being written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from engine.record.connection import open_reader
from engine.record.errors import RecordError, WrongNameError, explain


def backup(source: Path, target: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Copy the record to the new file `target` (mode 0600); returns its bytes. `progress` gets pages (done, total)."""
    if target.exists():
        raise WrongNameError(f"{target}: exists already; name a new file")
    reader = open_reader(source)
    partial = target.with_name(target.name + ".partial")
    try:
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        copy = sqlite3.connect(partial, isolation_level=None)
        try:
            report = progress or (lambda done, total: None)
            # One snapshot for the whole copy: otherwise it begins again whenever a host commits.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM run").fetchone()
            reader.backup(copy, pages=1024, progress=lambda _, left, total: report(total - left, total))
            copy.execute("PRAGMA journal_mode = DELETE")
        finally:
            copy.close()
        partial.replace(target)
    except OSError as error:
        raise RecordError(f"{target}: cannot be written: {error.strerror}") from None
    except sqlite3.Error as error:
        raise explain(error, target) from None
    finally:
        reader.close()
        partial.unlink(missing_ok=True)
    return target.stat().st_size
