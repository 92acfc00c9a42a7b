"""Text that lives once: messages chained by their parent's hash, and bodies (specs, prompts) by their own.

A message's id is a hash over its author, its text and its parent, as in `llm`'s message store: a fork is a second
run whose head is an old message, and copies nothing.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from engine.record import redact
from engine.record.errors import RecordError


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation; `n` names it in this record."""

    n: int
    parent: int | None
    author: str
    text: str
    thinking: str


def put_message(db: sqlite3.Connection, parent: int | None, author: str, text: str, thinking: str = "") -> int:
    """Store what `author` said after `parent`; returns its number (the old one where the same was said before)."""
    text, thinking = redact.scrub(text), redact.scrub(thinking)
    above = db.execute("SELECT hash FROM message WHERE n = ?", (parent,)).fetchone()[0] if parent else b""
    digest = _hash(above, author.encode(), text.encode(), thinking.encode())
    fresh = db.execute(
        "INSERT INTO message (hash, parent, author, text, thinking) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (hash) DO NOTHING RETURNING n",
        (digest, parent, author, text, thinking or None),
    ).fetchone()
    return int((fresh or db.execute("SELECT n FROM message WHERE hash = ?", (digest,)).fetchone())[0])


def put_body(db: sqlite3.Connection, body: str) -> int:
    """Store a text by its content; returns its number."""
    return _put_clean(db, redact.scrub(body))


def _put_clean(db: sqlite3.Connection, body: str) -> int:
    digest = _hash(body.encode())
    row = db.execute("SELECT n FROM content WHERE hash = ?", (digest,)).fetchone()
    if row:
        return int(row[0])
    cursor = db.execute("INSERT INTO content (hash, body) VALUES (?, ?)", (digest, body))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def put_json(db: sqlite3.Connection, value: Any) -> int:
    value = redact.scrub_json(value)
    return _put_clean(db, json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")))


def hold(db: sqlite3.Connection, run: int, *numbers: int) -> None:
    """Note that the run (a row) needs these bodies: they stay until the last run that needs them is deleted."""
    db.executemany("INSERT OR IGNORE INTO held (run, content) VALUES (?, ?)", [(run, number) for number in numbers])


def release(db: sqlite3.Connection, run: int) -> None:
    """The run needs no body any more: those that no other run needs are deleted."""
    held = db.execute("DELETE FROM held WHERE run = ? RETURNING content", (run,)).fetchall()
    db.executemany(
        "DELETE FROM content WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM held WHERE content = ?1)",
        [(number,) for (number,) in held],
    )


def drop_messages(db: sqlite3.Connection, numbers: Collection[int]) -> None:
    """Delete those messages that no turn, run, call or later message needs, and those before them that they kept."""
    left = sorted({-number for number in numbers})  # a message is younger than its parent: the youngest go first
    while left:
        number = -heapq.heappop(left)
        gone = db.execute(_DROP, (number,)).fetchone()
        if gone and gone[0]:
            heapq.heappush(left, -gone[0])


_DROP = """
DELETE FROM message WHERE n = ?1
AND NOT EXISTS (SELECT 1 FROM turn WHERE message = ?1) AND NOT EXISTS (SELECT 1 FROM run WHERE head = ?1)
AND NOT EXISTS (SELECT 1 FROM call WHERE answer = ?1) AND NOT EXISTS (SELECT 1 FROM message WHERE parent = ?1)
RETURNING parent
"""


def body(db: sqlite3.Connection, n: int) -> str:
    row = db.execute("SELECT body FROM content WHERE n = ?", (n,)).fetchone()
    if row is None:
        raise RecordError(f"content {n} is gone: the run that it was of has been deleted")
    return str(row[0])


def chain(db: sqlite3.Connection, head: int | None) -> list[Said]:
    """The conversation that ends in `head`, oldest first."""
    rows = db.execute(
        """
        WITH RECURSIVE line(n, parent, author, text, thinking, depth) AS (
            SELECT n, parent, author, text, thinking, 0 FROM message WHERE n = ?
            UNION ALL
            SELECT m.n, m.parent, m.author, m.text, m.thinking, depth + 1
            FROM message m JOIN line ON m.n = line.parent
        )
        SELECT n, parent, author, text, thinking FROM line ORDER BY depth DESC
        """,
        (head,),
    )
    return [Said(row[0], row[1], row[2], row[3], row[4] or "") for row in rows]


def _hash(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()
