"""What humans say: notes to all, and words for a seat, queued as they come and given before a turn."""

from __future__ import annotations

import sqlite3
import time

from engine.record import content, events
from engine.record.events import Kind


def queue(db: sqlite3.Connection, run: int, seq: int, author: str, text: str, who: str) -> int:
    """A human's words, to be given before turn `seq`; shown as queued until then."""
    message = content.put_message(db, None, author, text)
    cursor = db.execute(
        "INSERT INTO turn (run, seq, role, seat, state, message, started) VALUES (?, ?, 'note', ?, 'queued', ?, ?)",
        (run, seq, author, message, time.time()),
    )
    assert cursor.lastrowid is not None
    events.append(db, run, Kind.NOTE_QUEUED, f"note/{cursor.lastrowid}", {"who": who}, turn=cursor.lastrowid)
    return cursor.lastrowid


def queue_words(db: sqlite3.Connection, run: int, seq: int, seat: str, text: str, who: str) -> int:
    """A human's words for a seat, to become its turn at the next chance."""
    message = content.put_message(db, None, seat, text)
    cursor = db.execute(
        "INSERT INTO turn (run, seq, role, seat, state, message, started) VALUES (?, ?, 'words', ?, 'queued', ?, ?)",
        (run, seq, seat, message, time.time()),
    )
    assert cursor.lastrowid is not None
    events.append(
        db, run, Kind.NOTE_QUEUED, f"note/{cursor.lastrowid}", {"who": who, "as": seat}, turn=cursor.lastrowid
    )
    return cursor.lastrowid


def take_words(db: sqlite3.Connection, run: int) -> tuple[str, str] | None:
    """Remove the oldest words that wait for a seat's turn; returns (seat, text), or None."""
    row = db.execute(
        "SELECT turn.n, turn.seat, message.text, message.n FROM turn JOIN message ON message.n = turn.message"
        " WHERE turn.run = ? AND turn.role = 'words' AND turn.state = 'queued' ORDER BY turn.n LIMIT 1",
        (run,),
    ).fetchone()
    if not row:
        return None
    n, seat, text, loose = row
    db.execute("DELETE FROM turn WHERE n = ?", (n,))
    _drop_loose(db, loose)
    events.append(db, run, Kind.NOTE_GIVEN, f"note/{n}", {"as": seat})
    return seat, text


def give(db: sqlite3.Connection, run: int, seq: int, head: int | None) -> int | None:
    """Put every queued note into the conversation after `head`, in the order they came; returns the new head."""
    rows = db.execute(
        "SELECT turn.n, turn.seat, message.text, message.n FROM turn JOIN message ON message.n = turn.message"
        " WHERE turn.run = ? AND turn.role = 'note' AND turn.state = 'queued' ORDER BY turn.n",
        (run,),
    ).fetchall()
    for n, author, text, loose in rows:
        head = content.put_message(db, head, author, text)
        db.execute(
            "UPDATE turn SET state = 'finished', seq = ?, message = ?, ended = ? WHERE n = ?",
            (seq, head, time.time(), n),
        )
        _drop_loose(db, loose)
        db.execute("UPDATE run SET head = ? WHERE n = ?", (head, run))
        events.append(db, run, Kind.NOTE_GIVEN, f"note/{n}", None, turn=n)
    return head


def _drop_loose(db: sqlite3.Connection, message: int) -> None:
    """Delete a queued message that nothing holds any more: its text lives on at its place in the conversation."""
    db.execute("DELETE FROM message WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM turn WHERE message = ?1)", (message,))
