"""What humans tell a live run: rows that its host takes in the transaction of their effect."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from engine.record import events, redact
from engine.record.events import Kind


@dataclass(frozen=True, slots=True)
class Command:
    n: int
    verb: str
    args: dict[str, Any]
    who: str
    at: float


def put(db: sqlite3.Connection, run: int, verb: str, args: dict[str, Any], who: str) -> int:
    """Queue a command for the run's host."""
    cursor = db.execute(
        "INSERT INTO command (run, verb, args, who, at, state) VALUES (?, ?, ?, ?, ?, 'queued')",
        (run, verb, json.dumps(redact.scrub_json(args), ensure_ascii=False), who, time.time()),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def waiting(db: sqlite3.Connection, run: int) -> list[Command]:
    """Commands not taken yet, oldest first."""
    rows = db.execute(
        "SELECT n, verb, args, who, at FROM command WHERE run = ? AND state = 'queued' ORDER BY n", (run,)
    )
    return [Command(row[0], row[1], json.loads(row[2]), row[3], row[4]) for row in rows]


def take(db: sqlite3.Connection, run: int, command: Command) -> bool:
    """Mark a command taken, with its event; False when it is taken already."""
    if not _settle(db, command.n, "taken", None):
        return False
    data = {"verb": command.verb, "args": command.args, "who": command.who}
    events.append(db, run, Kind.COMMAND_TAKEN, f"command/{command.n}", data)
    return True


def refuse(db: sqlite3.Connection, run: int, command: Command, why: str) -> None:
    if _settle(db, command.n, "refused", why):
        data = {"verb": command.verb, "args": command.args, "who": command.who, "why": why}
        events.append(db, run, Kind.COMMAND_REFUSED, f"command/{command.n}", data)


def cancel_control(db: sqlite3.Connection, run: int) -> None:
    """After a crash: what was said still counts, control verbs left behind do not."""
    for command in waiting(db, run):
        if command.verb != "say" and _settle(db, command.n, "cancelled", "the host died first"):
            events.append(db, run, Kind.COMMAND_CANCELLED, f"command/{command.n}", {"verb": command.verb})


def outcome(db: sqlite3.Connection, n: int) -> tuple[str, str | None]:
    """(queued, taken, refused or cancelled; why)."""
    row = db.execute("SELECT state, note FROM command WHERE n = ?", (n,)).fetchone()
    return row[0], row[1]


def newest(db: sqlite3.Connection) -> int:
    """The number of the newest command of all, 0 where there is none."""
    return int(db.execute("SELECT coalesce(max(n), 0) FROM command").fetchone()[0])


def _settle(db: sqlite3.Connection, n: int, state: str, note: str | None) -> bool:
    cursor = db.execute(
        "UPDATE command SET state = ?, taken = ?, note = ? WHERE n = ? AND state = 'queued'",
        (state, time.time(), note, n),
    )
    return cursor.rowcount == 1
