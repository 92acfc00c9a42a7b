"""Opening the memory's file: pragmas, versions, permissions, and every way in which that fails."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from engine.memory import schema
from engine.memory.errors import StoreError, explain
from engine.settings import paths

BUSY_MS = 10_000


def beside(record: Path) -> Path:
    """The memory that belongs to a record: `x.memory.db` beside `x.db`."""
    return record.with_name(f"{record.stem}.memory{record.suffix or '.db'}")


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """A connection in autocommit mode, the schema up to date. With `write` the file is made where there is none.

    Raises StoreError: no memory there, a newer one, another program's file, or one that cannot be used.
    """
    try:
        if write and not path.exists():
            paths.private_dir(path.parent)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if not path.exists():
            raise StoreError(f"{path}: no memory here yet; `tertulia memory add PATH` starts one")
    except OSError as error:
        raise StoreError(f"{path}: cannot be created ({error.strerror}); make its folder writable") from None
    db = None
    try:
        quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        db = sqlite3.connect(
            f"file:{quoted}?mode={'rw' if write else 'ro'}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_MS / 1000,
        )
        _check(db, path, write)
        if write:
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA journal_size_limit = 16777216")
    except sqlite3.Error as error:
        if db is not None:
            db.close()
        raise explain(error, path) from None
    except BaseException:
        if db is not None:
            db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path, write: bool) -> None:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if application != schema.APPLICATION and not empty:
        raise StoreError(f"{path}: a database, but not a memory of this program; move it away or use another --db")
    if version > schema.VERSION:
        raise StoreError(
            f"{path}: written by a newer Tertulia (memory {version}, this one knows {schema.VERSION});"
            " update this program"
        )
    if not write:
        if version < schema.VERSION:
            what = "an empty memory" if empty else "made by an older Tertulia"
            raise StoreError(f"{path}: {what}; `tertulia memory refresh` first")
        return
    if db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        db.execute("PRAGMA journal_mode = WAL")
    if version < schema.VERSION:
        schema.migrate(db)
