"""The rows of runs: how each one stands, where it came from, what it has used."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from engine.record import content, events, presence, redact
from engine.record.errors import WrongNameError
from engine.record.events import Kind


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    CRASHED = "crashed"


ACTIVE = frozenset({Status.QUEUED, Status.RUNNING, Status.PAUSED, Status.WAITING})
_ENDED = {
    Status.FINISHED: Kind.RUN_FINISHED,
    Status.STOPPED: Kind.RUN_STOPPED,
    Status.FAILED: Kind.RUN_FAILED,
}
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_START_GRACE = 30.0
"""Seconds a queued run may have no host before it counts as crashed: its starter died."""


@dataclass(frozen=True, slots=True)
class Run:
    """How one run stands. Times are Unix seconds, `cost` US dollars; `unpriced` calls have no known price."""

    n: int
    id: str
    kind: str
    title: str
    status: Status
    reason: str | None
    detail: str | None
    spec: int
    parent: str | None
    forked_at: int | None
    head: int | None
    pid: int | None
    created: float
    started: float | None
    ended: float | None
    turns: int
    tokens_in: int
    tokens_out: int
    cost: float
    unpriced: int
    asks: int

    @property
    def active(self) -> bool:
        return self.status in ACTIVE


_SELECT = """
SELECT run.*, up.id AS parent_id, coalesce(cut.seq, 0) AS cut_seq,
       (SELECT count(*) FROM ask WHERE ask.run = run.n AND ask.state = 'open') AS asks
FROM run LEFT JOIN run up ON up.n = run.parent LEFT JOIN turn cut ON cut.n = run.fork_turn
"""


def create(
    db: sqlite3.Connection,
    kind: str,
    title: str,
    spec: dict[str, Any],
    *,
    fork: tuple[Run, int, int | None] | None = None,
    series: Run | None = None,
) -> str:
    """Insert a queued run and its `run.queued` event; returns its id.

    `fork` is (parent, row of the last shared turn or 0, head message); a child of `series` shares no history with it.
    """
    run_id, title = _new_id(db), redact.scrub(title)
    parent, turn, head = fork if fork else (series, None, None)
    body = content.put_json(db, spec)
    cursor = db.execute(
        "INSERT INTO run (id, kind, title, status, spec, parent, fork_turn, head, created)"
        " VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
        (run_id, kind, title, body, parent.n if parent else None, turn, head, time.time()),
    )
    n = cursor.lastrowid
    assert n is not None
    content.hold(db, n, body)
    data: dict[str, Any] = {"kind_of_run": kind, "title": title}
    if series:
        data["parent"] = series.id
    elif parent:
        seq = db.execute("SELECT coalesce((SELECT seq FROM turn WHERE n = ?), 0)", (turn,)).fetchone()[0]
        db.execute("UPDATE run SET turns = ? WHERE n = ?", (seq, n))
        data |= {"parent": parent.id, "at_turn": seq}
        events.append(db, parent.n, Kind.RUN_FORKED, f"run/{run_id}", {"child": run_id, "at_turn": seq})
    events.append(db, n, Kind.RUN_QUEUED, f"run/{run_id}", data)
    return run_id


def get(db: sqlite3.Connection, n: int, database: Path | None = None) -> Run:
    row = db.execute(f"{_SELECT} WHERE run.n = ?", (n,)).fetchone()
    return _run(row, database)


def find(db: sqlite3.Connection, name: str, database: Path | None = None) -> Run:
    """The run whose id is, or unambiguously begins with, `name`; or the newest for `last`. Raises RecordError.

    With `database` given, a run that says it is active but has no live host reads as crashed.
    """
    if name == "last":
        rows = db.execute(f"{_SELECT} ORDER BY run.created DESC, run.n DESC LIMIT 1").fetchall()
    else:
        low = name.lower()
        rows = db.execute(f"{_SELECT} WHERE run.id >= ? AND run.id < ? LIMIT 4", (low, low + "\x7f")).fetchall()
        rows = [row for row in rows if row["id"] == low] or rows
    if not rows:
        hint = "no run yet" if name == "last" else f"no run {name}"
        raise WrongNameError(f"{hint}; `tertulia runs` lists them")
    if len(rows) > 1:
        raise WrongNameError(f"{name} begins several runs: {', '.join(row['id'] for row in rows)}; type more of it")
    return _run(rows[0], database)


def listing(
    db: sqlite3.Connection, database: Path | None = None, *, text: str = "", limit: int = 200, offset: int = 0
) -> list[Run]:
    """Runs, newest first; `text` must be part of the title, the kind, the id or the stored status."""
    where, values = "", ()
    if text:
        pattern = f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
        where = (
            "WHERE run.title LIKE ? ESCAPE '!' OR run.kind LIKE ? ESCAPE '!'"
            " OR run.id LIKE ? ESCAPE '!' OR run.status LIKE ? ESCAPE '!'"
        )
        values = (pattern,) * 4  # type: ignore[assignment]
    query = f"{_SELECT} {where} ORDER BY run.created DESC, run.n DESC LIMIT ? OFFSET ?"
    return [_run(row, database) for row in db.execute(query, (*values, limit, offset))]


def count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM run").fetchone()[0])


def spec(db: sqlite3.Connection, run: Run) -> dict[str, Any]:
    """The run's description as it stands, swaps and raised limits included."""
    value: dict[str, Any] = json.loads(content.body(db, run.spec))
    return value


def change_spec(db: sqlite3.Connection, n: int, new: dict[str, Any], changes: dict[str, Any]) -> None:
    body = content.put_json(db, new)
    db.execute("UPDATE run SET spec = ? WHERE n = ?", (body, n))
    content.hold(db, n, body)
    events.append(db, n, Kind.SPEC_CHANGED, None, {"changes": changes})


def set_status(
    db: sqlite3.Connection,
    n: int,
    status: Status,
    kind: Kind,
    data: dict[str, Any] | None = None,
    *,
    detail: str | None = None,
) -> None:
    """An active run's new status and the event that tells it."""
    detail = detail and redact.scrub(detail)
    db.execute("UPDATE run SET status = ?, detail = ? WHERE n = ?", (status, detail, n))
    events.append(db, n, kind, None, data)


def start(db: sqlite3.Connection, n: int, pid: int, *, resumed: bool) -> None:
    now = time.time()
    db.execute(
        "UPDATE run SET status = 'running', reason = NULL, detail = NULL, pid = ?, started = coalesce(started, ?),"
        " ended = NULL WHERE n = ?",
        (pid, now, n),
    )
    events.append(db, n, Kind.RUN_STARTED, None, {"pid": pid, "resumed": resumed}, at=now)


def end(db: sqlite3.Connection, n: int, status: Status, reason: str, detail: str | None = None) -> None:
    """The run's end with its machine-readable reason."""
    detail = detail and redact.scrub(detail)
    now = time.time()
    db.execute(
        "UPDATE run SET status = ?, reason = ?, detail = ?, ended = ?, pid = NULL WHERE n = ?",
        (status, reason, detail, now, n),
    )
    data = {"reason": reason} | ({"detail": detail} if detail else {})
    events.append(db, n, _ENDED[status], None, data, at=now)


def add_usage(db: sqlite3.Connection, n: int, tokens_in: int, tokens_out: int, cost: float | None) -> None:
    db.execute(
        "UPDATE run SET tokens_in = tokens_in + ?, tokens_out = tokens_out + ?, cost = cost + ?,"
        " unpriced = unpriced + ? WHERE n = ?",
        (tokens_in, tokens_out, cost or 0.0, cost is None, n),
    )


def lineage(db: sqlite3.Connection, n: int) -> list[tuple[int, int | None]]:
    """(run, row of the last turn that counts or None for all) from this run up to its oldest ancestor."""
    segments: list[tuple[int, int | None]] = []
    bound: int | None = None
    current: int | None = n
    while current is not None:
        segments.append((current, bound))
        parent, cut = db.execute("SELECT parent, fork_turn FROM run WHERE n = ?", (current,)).fetchone()
        bound = cut if bound is None or cut is None else min(cut, bound)
        current = parent if cut is not None else None
    return segments


_MESSAGES = """
SELECT message FROM turn WHERE run = ?1 AND message IS NOT NULL
UNION SELECT head FROM run WHERE n = ?1 AND head IS NOT NULL
UNION SELECT answer FROM call WHERE run = ?1 AND answer IS NOT NULL
"""


def delete(db: sqlite3.Connection, run: Run) -> None:
    """Remove a run and what only it holds. A run that others were forked from stays: it is part of them."""
    children = [row[0] for row in db.execute("SELECT id FROM run WHERE parent = ?", (run.n,))]
    if children:
        raise WrongNameError(f"run {run.id} is the parent of {', '.join(children)}; remove those first")
    messages = {row[0] for row in db.execute(_MESSAGES, (run.n,))}
    db.execute("DELETE FROM reservation WHERE call IN (SELECT n FROM call WHERE run = ?)", (run.n,))
    asides = "aside IN (SELECT n FROM aside WHERE run = ?)"
    db.execute(f"DELETE FROM closing WHERE {asides}", (run.n,))
    db.execute(f"DELETE FROM minute WHERE {asides}", (run.n,))
    for table in ("allowance", "event", "call", "ask", "command", "aside", "metric", "citation", "turn"):
        db.execute(f"DELETE FROM {table} WHERE run = ?", (run.n,))
    db.execute("DELETE FROM run WHERE n = ?", (run.n,))
    content.drop_messages(db, messages)
    content.release(db, run.n)


def _new_id(db: sqlite3.Connection) -> str:
    while True:
        fresh = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        if not db.execute("SELECT 1 FROM run WHERE id = ?", (fresh,)).fetchone():
            return fresh


def _run(row: sqlite3.Row, database: Path | None) -> Run:
    status = Status(row["status"])
    started = status is not Status.QUEUED or time.time() - row["created"] > _START_GRACE
    if database and status in ACTIVE and started and presence.holder(database, row["id"]) is None:
        status = Status.CRASHED
    return Run(
        n=row["n"],
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        status=status,
        reason=row["reason"],
        detail=row["detail"],
        spec=row["spec"],
        parent=row["parent_id"],
        forked_at=row["cut_seq"] if row["fork_turn"] is not None else None,
        head=row["head"],
        pid=row["pid"],
        created=row["created"],
        started=row["started"],
        ended=row["ended"],
        turns=row["turns"],
        tokens_in=row["tokens_in"],
        tokens_out=row["tokens_out"],
        cost=row["cost"],
        unpriced=row["unpriced"],
        asks=row["asks"],
    )
