"""Rewriting what was said: the last turn in place, the old one kept."""

from __future__ import annotations

import sqlite3

from engine.record import turns
from engine.record.runs import Run
from engine.record.turns import State, Turn
from engine.settings.errors import UsageError


def rewrite(db: sqlite3.Connection, run: Run, seq: int, text: str) -> None:
    """Replace the run's last turn by `text`, the old one kept, inside the caller's transaction."""
    old = finished_turn(db, run, seq)
    if old.state is State.SKIPPED:
        raise UsageError(
            f"turn {seq} was skipped: there is nothing to edit; `tertulia say {run.id} TEXT` says something"
        )
    turns.replace(db, run.n, old.n, "edit")
    turns.say(db, run.n, seq, old.seat, text, "edit")


def has(run: Run) -> str:
    """Which turns the run has, in words."""
    return f"it has turns 1 to {run.turns}" if run.turns else "it has none yet"


def finished_turn(db: sqlite3.Connection, run: Run, seq: int) -> Turn:
    """The finished or skipped turn `seq`. Raises UsageError."""
    turn = turns.get(db, run.n, seq)
    if turn is None or turn.state not in (State.FINISHED, State.SKIPPED):
        raise UsageError(f"run {run.id} has no finished turn {seq}; {has(run)}")
    return turn


def head_at(db: sqlite3.Connection, run: Run, seq: int) -> int | None:
    """The message the conversation stood at after turn `seq`: skipped turns said nothing."""
    for number in range(seq, 0, -1):
        turn = turns.get(db, run.n, number)
        if turn is not None and turn.state is State.FINISHED:
            return turn.message
    return None
