"""Faults of the memory's store, each as one line that says what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.record.errors import RecordError


class StoreError(RecordError):
    """The memory cannot be used. What was committed stays."""


def explain(error: sqlite3.Error, path: Path) -> StoreError:
    """The one-line form of what SQLite said about the memory at `path`."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    primary = code & 0xFF
    if path.is_dir():
        return StoreError(f"{path}: a folder, not a memory; move it away")
    if primary == sqlite3.SQLITE_FULL or code in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE):
        return StoreError(f"{path}: the disk is full; free some space, then run the same command again: it goes on")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(
            f"{path}: not a readable memory ({error}); move it away, then `tertulia memory add` your documents again"
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{path}: another program keeps the memory locked; close it and try again")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return StoreError(f"{path}: the memory is read-only; make it and its folder writable")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StoreError(f"{path}: cannot be opened; check that its folder exists and is yours")
    return StoreError(f"{path}: {error}")
