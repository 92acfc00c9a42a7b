"""The tables of the SQLite memory, as numbered migrations; `PRAGMA user_version` is the number of the newest."""

from __future__ import annotations

import sqlite3

APPLICATION = 0x5445524D
"""`PRAGMA application_id`, so that no other program's database, nor the record, is taken for a memory."""

_V1 = """
CREATE TABLE item (
    n INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT NOT NULL,
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    added REAL NOT NULL
);
CREATE INDEX item_hash ON item(hash);
CREATE TABLE chunk (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    item INTEGER NOT NULL REFERENCES item(n),
    seq INTEGER NOT NULL,
    place TEXT NOT NULL,
    context TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX chunk_item ON chunk(item, seq);
CREATE VIRTUAL TABLE chunk_fts USING fts5(
    text, context, content='chunk', content_rowid='n', tokenize='porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER chunk_in AFTER INSERT ON chunk BEGIN
    INSERT INTO chunk_fts(rowid, text, context) VALUES (new.n, new.text, new.context);
END;
CREATE TRIGGER chunk_out AFTER DELETE ON chunk BEGIN
    INSERT INTO chunk_fts(chunk_fts, rowid, text, context) VALUES ('delete', old.n, old.text, old.context);
END;
CREATE TABLE vector (chunk INTEGER PRIMARY KEY REFERENCES chunk(n), data BLOB NOT NULL);
CREATE TABLE vector_set (one INTEGER PRIMARY KEY CHECK (one = 1), model TEXT NOT NULL, dim INTEGER NOT NULL);
CREATE TABLE link (
    source INTEGER NOT NULL REFERENCES item(n),
    target TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (source, target, kind)
) WITHOUT ROWID;
CREATE INDEX link_target ON link(target);
CREATE TABLE root (path TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE folder (path TEXT PRIMARY KEY, description TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE generation (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL);
INSERT INTO generation VALUES (1, 0);
"""

MIGRATIONS = (_V1,)
VERSION = len(MIGRATIONS)


def migrate(db: sqlite3.Connection) -> None:
    """Bring `db` (autocommit, no transaction open) up to VERSION; nothing happens where another process just did."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for number in range(db.execute("PRAGMA user_version").fetchone()[0], VERSION):
            for statement in _statements(MIGRATIONS[number]):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number + 1}")
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """The statements of a script one by one, since `executescript` would commit on its own; a trigger is one."""
    found, pending = [], ""
    for part in script.split(";"):
        pending += part + ";"
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return found
