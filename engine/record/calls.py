"""The rows of model calls: who asked what of which model, what came back, what it cost.

A request names content rather than holding it: a system text, the head of a message chain, whose view of it is
taken, and which messages were cut. `engine.talk.view` turns it back into the exact messages that were sent.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from engine.record import content, redact, runs

_NO_CONTENT = ("head", "seed")
"""Numbers of a request that name no content. Of any other number it may be one: what is held in error only stays."""


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt at one model call. Times are Unix seconds, `first` that of the first delta."""

    n: int
    run: int
    turn: int | None
    purpose: str
    seat: str | None
    model: str
    request: dict[str, Any]
    attempt: int
    answer: int | None
    tokens_in: int | None
    tokens_out: int | None
    thinking: int | None
    cached: int | None
    cost: float | None
    started: float
    first: float | None
    ended: float | None
    stop: str | None
    error: str | None


def begin(
    db: sqlite3.Connection,
    run: int,
    turn: int | None,
    purpose: str,
    seat: str | None,
    model: str,
    request: dict[str, Any],
    attempt: int,
) -> int:
    """Insert a call; the run needs the content that its request names."""
    cursor = db.execute(
        "INSERT INTO call (run, turn, purpose, seat, model, request, attempt, started) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (run, turn, purpose, seat, model, json.dumps(request, separators=(",", ":")), attempt, time.time()),
    )
    assert cursor.lastrowid is not None
    content.hold(db, run, *(value for key, value in request.items() if type(value) is int and key not in _NO_CONTENT))
    return cursor.lastrowid


def end(
    db: sqlite3.Connection,
    call: int,
    *,
    answer: int | None = None,
    tokens: tuple[int, int, int, int] | None = None,
    cost: float | None = None,
    first: float | None = None,
    stop: str | None = None,
    error: str | None = None,
) -> None:
    """Close a call. `tokens` are (prompt, answer, thinking, cached) as the provider counted them, None if it did not.

    Usage that is known is added to the run's totals; an answer without a known cost is counted as unpriced.
    """
    prompt, out, thinking, cached = tokens or (None, None, None, None)
    error = error and redact.scrub(error)
    (run,) = db.execute(
        "UPDATE call SET answer = ?, tokens_in = ?, tokens_out = ?, thinking = ?, cached = ?, cost = ?, first = ?,"
        " ended = ?, stop = ?, error = ? WHERE n = ? RETURNING run",
        (answer, prompt, out, thinking or None, cached or None, cost, first, time.time(), stop, error, call),
    ).fetchone()
    if tokens or answer is not None:
        runs.add_usage(db, run, prompt or 0, out or 0, cost)


def of_run(db: sqlite3.Connection, run: int) -> list[Call]:
    return [_call(row) for row in db.execute("SELECT * FROM call WHERE run = ? ORDER BY n", (run,))]


def of_turn(db: sqlite3.Connection, turn: int) -> list[Call]:
    rows = db.execute(
        "SELECT * FROM call WHERE run = (SELECT run FROM turn WHERE n = ?1) AND turn = ?1 ORDER BY n", (turn,)
    )
    return [_call(row) for row in rows]


def _call(row: sqlite3.Row) -> Call:
    values = dict(row)
    values["request"] = json.loads(values["request"])
    return Call(**values)
