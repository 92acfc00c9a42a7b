"""Opening the record: pragmas, versions, permissions, and every way in which that fails."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from engine.record import presence, schema
from engine.record.errors import OlderInUseError, RecordError, explain
from engine.settings import paths

BUSY_MS = 10_000
_FOREIGN = "a database, but not a record of this program; use another --db"
_T = TypeVar("_T")


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection that may write, the schema up to date. Transactions are the caller's own BEGIN IMMEDIATE.

    Raises RecordError: a newer schema, an older one while hosts are alive, or a file that cannot be used.
    """
    try:
        if not path.exists():
            paths.private_dir(path.parent)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise RecordError(f"{path}: cannot be created ({error.filename}: {error.strerror}); use another --db") from None
    db = None
    try:
        db = _connect(f"file:{_quoted(path)}?mode=rw")
        if schema.of(db) != schema.VERSION or not _is_wal(db):
            with presence.guard(path):
                _prepare(db, path)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA journal_size_limit = 16777216")
        db.execute("PRAGMA foreign_keys = OFF")
    except sqlite3.Error as error:
        if db is not None:
            db.close()
        raise explain(error, path) from None
    except BaseException:
        if db is not None:
            db.close()
        raise
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection; the record must exist, and may be of an older schema. Raises RecordError."""
    if not path.exists():
        raise RecordError(f"{path}: no record here yet; `tertulia run eliza-meets-parry` starts one")
    try:
        db = _connect(f"file:{_quoted(path)}?mode=ro")
        version = schema.of(db)
    except sqlite3.Error as error:
        raise explain(error, path) from None
    if version > schema.VERSION:
        db.close()
        raise _too_new(path, version)
    if version == 0:
        empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        db.close()
        what = "an empty file, no record yet; `tertulia run eliza-meets-parry` makes it one" if empty else _FOREIGN
        raise RecordError(f"{path}: {what}")
    schema.stand_in(db, version)
    return db


def write_once(path: Path, work: Callable[[sqlite3.Connection], _T]) -> _T:
    """Run `work` in one write transaction on a connection of its own."""
    db = open_writer(path)
    try:
        return transact(db, work)
    except sqlite3.Error as error:
        raise explain(error, path) from None
    finally:
        db.close()


def transact(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], _T]) -> _T:
    """Run `work` between BEGIN IMMEDIATE and COMMIT; roll back when it raises.

    Raises RecordError where a newer program has changed the schema since the connection was opened.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        if (version := schema.of(db)) > schema.VERSION:
            raise _too_new(Path(db.execute("PRAGMA database_list").fetchone()[2]), version)
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result


def _connect(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    db.row_factory = sqlite3.Row
    return db


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _too_new(path: Path, version: int) -> RecordError:
    return RecordError(
        f"{path}: written by a newer Tertulia (schema {version}, this one knows {schema.VERSION}); update this program"
    )


def _is_wal(db: sqlite3.Connection) -> bool:
    return bool(db.execute("PRAGMA journal_mode").fetchone()[0] == "wal")


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make a new file a record, bring an older one up to date, leave a foreign one as it is: under the guard."""
    version = schema.of(db)
    if version > schema.VERSION:
        raise _too_new(path, version)
    if version == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise RecordError(f"{path}: {_FOREIGN}")
    live = [run for run, pid in presence.alive(path).items() if pid != os.getpid()]
    if version not in (0, schema.VERSION) and live:
        names = ", ".join(sorted(live))
        raise OlderInUseError(
            f"{path}: made by an older Tertulia and still in use by runs {names};"
            " `tertulia stop` them, then start again: reading works meanwhile"
        )
    db.execute("PRAGMA journal_mode = WAL")
    if version != schema.VERSION:
        schema.migrate(db)
