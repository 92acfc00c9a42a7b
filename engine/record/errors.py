"""Faults of the record, each as one line that says what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.settings.errors import UsageError


class RecordError(Exception):
    """The record cannot be used. What was committed stays."""


class WrongNameError(RecordError, UsageError):
    """What the user named is not in the record, or not possible there: wrong use, nothing is broken."""


class OlderInUseError(RecordError):
    """An older version's record whose hosts are alive: it is read, and nothing is written to it."""


class DiskFullError(RecordError):
    """No room to commit; worth retrying once there is some."""


def explain(error: sqlite3.Error, path: Path) -> RecordError:
    """The one-line form of what SQLite said about the file at `path`."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    primary = code & 0xFF
    if path.is_dir():
        return RecordError(f"{path}: a folder, not a record; name a file in it with --db")
    if primary == sqlite3.SQLITE_FULL or code in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE):
        return DiskFullError(f"{path}: the disk is full; free some space, then `tertulia resume`")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return RecordError(
            f"{path}: not a readable record ({error}); move it away and restore a backup, or use another --db"
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RecordError(f"{path}: another program keeps the record locked; close it and try again")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return RecordError(f"{path}: the record is read-only; make it and its folder writable, or use another --db")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return RecordError(f"{path}: cannot be opened; check that its folder exists and is yours, or use another --db")
    return RecordError(f"{path}: {error}")
