"""The rows of turns: opened, streamed, finished, kept as a partial, replaced; and what is read of turns and notes.

A turn's text while it streams is its `turn.delta` events; the transaction that ends the turn stores the message,
deletes them and keeps their sizes and times packed in `pace`, for replay.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import time
import zlib
from dataclasses import dataclass
from enum import StrEnum

from engine.record import content, events, runs
from engine.record.events import Kind


class State(StrEnum):
    LIVE = "live"
    FINISHED = "finished"
    PARTIAL = "partial"
    """A broken half-turn, kept; not part of the conversation."""
    REPLACED = "replaced"
    """Was part of the conversation until a retry or an edit."""
    FAILED = "failed"
    SKIPPED = "skipped"
    QUEUED = "queued"
    """A note that waits for the next turn."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn (role 'turn') or human note (role 'note', `seq` of the turn it comes before).

    Times are Unix seconds, `first` that of the first token; tokens and cost are those of its last call.
    """

    n: int
    seq: int
    role: str
    seat: str
    persona: str | None
    model: str | None
    state: State
    text: str
    thinking: str
    message: int | None
    started: float
    ended: float | None
    stop: str | None
    tokens_in: int | None
    tokens_out: int | None
    cost: float | None
    first: float | None
    pace: bytes | None


def open_turn(
    db: sqlite3.Connection,
    run: int,
    seq: int,
    seat: str,
    persona: str | None,
    model: str | None,
    *,
    continues: str = "",
) -> int:
    """Insert a live turn and its `turn.started`; returns its row."""
    now = time.time()
    cursor = db.execute(
        "INSERT INTO turn (run, seq, role, seat, persona, model, state, started) VALUES (?, ?, 'turn', ?, ?, ?, ?, ?)",
        (run, seq, seat, persona, model, State.LIVE, now),
    )
    n = cursor.lastrowid
    assert n is not None
    data = {"persona": persona, "model": model} | ({"continues": continues} if continues else {})
    events.append(db, run, Kind.TURN_STARTED, f"turn/{seq}", data, turn=n, at=now)
    return n


def add_delta(db: sqlite3.Connection, run: int, turn: int, seq: int, ms: int, text: str, thinking: str = "") -> None:
    """Commit text as it came; `ms` counts from the turn's start."""
    data: dict[str, object] = {"t": ms}
    if text:
        data["text"] = text
    if thinking:
        data["thinking"] = thinking
    events.append(db, run, Kind.TURN_DELTA, f"turn/{seq}", data, turn=turn)


def streamed(db: sqlite3.Connection, turn: int) -> tuple[str, str]:
    """(text, thinking) that a live turn's deltas hold."""
    rows = db.execute(
        f"SELECT data FROM event WHERE {_STREAMED} AND kind = 'turn.delta' ORDER BY id",
        (db.execute("SELECT run FROM turn WHERE n = ?", (turn,)).fetchone()[0], turn),
    )
    pieces = [_piece(data) for (data,) in rows]
    return "".join(text for _, text, _ in pieces), "".join(thinking for _, _, thinking in pieces)


def finish(
    db: sqlite3.Connection,
    run: int,
    turn: int,
    parent: int | None,
    text: str,
    thinking: str,
    stop: str,
    *,
    last: tuple[int, str, str] | None = None,
) -> int:
    """End a live turn: its message becomes the run's head. Returns the message.

    `last` is the piece (ms, text, thinking) that came after the last delta, for the pace.
    """
    seq, seat = db.execute("SELECT seq, seat FROM turn WHERE n = ?", (turn,)).fetchone()
    message = content.put_message(db, parent, seat, text, thinking)
    _close(db, run, turn, State.FINISHED, message, stop, last)
    db.execute("UPDATE run SET head = ?, turns = ? WHERE n = ?", (message, seq, run))
    events.append(db, run, Kind.TURN_FINISHED, f"turn/{seq}", None, turn=turn)
    return message


def keep_partial(db: sqlite3.Connection, run: int, turn: int, parent: int | None, why: str) -> str:
    """End a live turn as a partial with the text shown so far; returns that text."""
    seq, seat = db.execute("SELECT seq, seat FROM turn WHERE n = ?", (turn,)).fetchone()
    text, thinking = streamed(db, turn)
    message = content.put_message(db, parent, seat, text, thinking) if text or thinking else None
    _close(db, run, turn, State.PARTIAL, message, why)
    events.append(db, run, Kind.TURN_PARTIAL, f"turn/{seq}", {"why": why}, turn=turn)
    return text


def fail(db: sqlite3.Connection, run: int, turn: int, parent: int | None, error: str) -> None:
    """A turn that could not be had; what had come of it is kept."""
    seq = db.execute("SELECT seq FROM turn WHERE n = ?", (turn,)).fetchone()[0]
    if any(streamed(db, turn)):
        keep_partial(db, run, turn, parent, "error")
    else:
        _close(db, run, turn, State.FAILED, None, "error")
    events.append(db, run, Kind.TURN_FAILED, f"turn/{seq}", {"error": error}, turn=turn)


def skip(db: sqlite3.Connection, run: int, turn: int, parent: int | None) -> None:
    """The floor passes on; the turn keeps its number but says nothing."""
    seq, seat = db.execute("SELECT seq, seat FROM turn WHERE n = ?", (turn,)).fetchone()
    text, thinking = streamed(db, turn)
    message = content.put_message(db, parent, seat, text, thinking) if text or thinking else None
    _close(db, run, turn, State.SKIPPED, message, "skip")
    db.execute("UPDATE run SET turns = ? WHERE n = ?", (seq, run))
    events.append(db, run, Kind.TURN_SKIPPED, f"turn/{seq}", None, turn=turn)


def replace(db: sqlite3.Connection, run: int, turn: int, why: str) -> None:
    """Take the last finished turn out of the conversation, its text kept; the head goes back before it."""
    seq, message = db.execute("SELECT seq, message FROM turn WHERE n = ?", (turn,)).fetchone()
    newest = db.execute("SELECT max(n) FROM turn").fetchone()[0]
    db.execute("UPDATE turn SET state = 'replaced', replaced = ? WHERE n = ?", (newest, turn))
    db.execute(
        "UPDATE run SET head = (SELECT parent FROM message WHERE n = ?), turns = ? WHERE n = ?", (message, seq - 1, run)
    )
    events.append(db, run, Kind.TURN_REPLACED, f"turn/{seq}", {"why": why}, turn=turn)


def say(db: sqlite3.Connection, run: int, seq: int, seat: str, text: str, how: str) -> None:
    """A finished turn that no model spoke: an opening, an edit, a human's turn."""
    row = open_turn(db, run, seq, seat, None, None)
    head = db.execute("SELECT head FROM run WHERE n = ?", (run,)).fetchone()[0]
    finish(db, run, row, head, text, "", how)


def listing(db: sqlite3.Connection, run: int, *, before: int | None = None, limit: int | None = None) -> list[Turn]:
    """Turns and notes of a run and of what it was forked from, oldest first.

    `before` (a row) and `limit` give the page of the newest ones before that row.
    """
    found: list[Turn] = []
    left = -1 if limit is None else limit
    for segment, bound in runs.lineage(db, run):
        top = min(
            (value for value in (before, None if bound is None else bound + 1) if value is not None), default=None
        )
        rows = db.execute(
            f"{_SELECT} WHERE turn.run = ? AND (? IS NULL OR turn.n < ?) ORDER BY turn.n DESC LIMIT ?",
            (segment, top, top, left),
        ).fetchall()
        found.extend(_turn(row, bound) for row in rows)
        if limit is not None:
            left = limit - len(found)
            if left <= 0:
                break
    return found[::-1]


def get(db: sqlite3.Connection, run: int, seq: int) -> Turn | None:
    """The turn `seq` that counts, or None."""
    for segment, bound in runs.lineage(db, run):
        # Without a limit the rest of the run is read for a second row before the first one is handed out.
        row = db.execute(
            f"{_SELECT} WHERE turn.run = ?1 AND turn.seq = ?2 AND turn.role = 'turn' AND (?3 IS NULL OR turn.n <= ?3)"
            " AND (turn.state IN ('finished', 'skipped', 'live') OR turn.state = 'replaced' AND turn.replaced >= ?3)"
            " ORDER BY turn.n DESC LIMIT 1",
            (segment, seq, bound),
        ).fetchone()
        if row:
            return _turn(row, bound)
    return None


def live(db: sqlite3.Connection, run: int) -> Turn | None:
    """The turn being spoken, its text so far included, or None."""
    row = db.execute(
        f"{_SELECT} WHERE turn.run = ? AND turn.state = 'live' ORDER BY turn.n DESC LIMIT 1", (run,)
    ).fetchone()
    return _turn(row, None, streamed(db, row["n"])) if row else None


def when_finished(db: sqlite3.Connection, run: int) -> int:
    """The newest row that was there when the run last finished, 0 where it never has."""
    row = db.execute(
        "SELECT max(turn) FROM event WHERE run = ?1"
        " AND id < (SELECT max(id) FROM event WHERE run = ?1 AND kind = 'run.finished')",
        (run,),
    ).fetchone()
    return row[0] or 0


def pace(turn: Turn) -> list[tuple[int, int, int]]:
    """How the text came: (ms since the turn's start, characters of text, characters of thinking) per delta."""
    if not turn.pace:
        return []
    raw = zlib.decompress(turn.pace)
    return list(_PACE.iter_unpack(raw))


_PACE = struct.Struct("<III")
_STREAMED = (
    "run = ?1 AND turn = ?2 AND id > (SELECT id FROM event"
    " WHERE run = ?1 AND turn = ?2 AND kind = 'turn.started' ORDER BY id DESC LIMIT 1)"
)
"""What a live turn has streamed comes after its `turn.started`: nothing older needs to be read for it."""
_SELECT = """
SELECT turn.*, message.text AS text, message.thinking AS thinking,
       call.tokens_in, call.tokens_out, call.cost, call.first
FROM turn LEFT JOIN message ON message.n = turn.message
LEFT JOIN call ON call.n = (SELECT max(n) FROM call WHERE call.run = turn.run AND call.turn = turn.n)
"""


def _close(
    db: sqlite3.Connection,
    run: int,
    turn: int,
    state: State,
    message: int | None,
    stop: str,
    last: tuple[int, str, str] | None = None,
) -> None:
    gone = db.execute(
        f"DELETE FROM event WHERE {_STREAMED} AND kind IN ('turn.delta', 'turn.progress') RETURNING id, kind, data",
        (run, turn),
    ).fetchall()
    pieces = [_piece(data) for _, kind, data in sorted(map(tuple, gone)) if kind == Kind.TURN_DELTA]
    if last and (last[1] or last[2]):
        pieces.append(last)
    packed = b"".join(_PACE.pack(max(ms, 0), len(text), len(thinking)) for ms, text, thinking in pieces)
    db.execute(
        "UPDATE turn SET state = ?, message = ?, ended = ?, stop = ?, pace = ? WHERE n = ?",
        (state, message, time.time(), stop, zlib.compress(packed) if packed else None, turn),
    )


def _piece(data: str) -> tuple[int, str, str]:
    """(ms, text, thinking) of a delta."""
    piece = json.loads(data)
    return piece["t"], piece.get("text", ""), piece.get("thinking", "")


def _turn(row: sqlite3.Row, bound: int | None, so_far: tuple[str, str] | None = None) -> Turn:
    state = State(row["state"])
    if state is State.REPLACED and bound is not None and row["replaced"] >= bound:
        state = State.FINISHED  # a fork that was made before the parent replaced the turn still has it
    text, thinking = so_far or (row["text"] or "", row["thinking"] or "")
    return Turn(
        n=row["n"],
        seq=row["seq"],
        role=row["role"],
        seat=row["seat"],
        persona=row["persona"],
        model=row["model"],
        state=state,
        text=text,
        thinking=thinking,
        message=row["message"],
        started=row["started"],
        ended=row["ended"],
        stop=row["stop"],
        tokens_in=row["tokens_in"],
        tokens_out=row["tokens_out"],
        cost=row["cost"],
        first=row["first"],
        pace=row["pace"],
    )
