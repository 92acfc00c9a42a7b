"""What went wrong in a run, as the record has it: attempts and turns that failed, minutes not taken, bad ends."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from engine.record import runs
from engine.record.events import Kind
from engine.record.runs import Run, Status

_KINDS = (
    Kind.TURN_FAILED,
    Kind.ANSWER_FAULTY,
    Kind.MINUTES_TAKEN,
    Kind.CONTEXT_TRUNCATED,
    Kind.RUN_FAILED,
    Kind.RUN_CRASHED,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One of them. `seq` is None where no turn is to blame, `seat` "" where no seat is; `at` in Unix seconds."""

    at: float
    kind: str
    """call, turn, answer, minutes, context, run, or missing (something the transcript should have)."""
    seq: int | None
    seat: str
    error: str


def read(db: sqlite3.Connection, run: Run) -> tuple[Failure, ...]:
    """Those of the run and, for a fork, of the turns it shares, oldest first; of the caller's transaction."""
    found: list[Failure] = []
    for segment, bound in runs.lineage(db, run.n):
        found += _events(db, segment, bound) + _calls(db, segment, bound)
    final = {(item.seq, item.error) for item in found if item.kind == "turn"}
    found = [item for item in found if item.kind != "call" or (item.seq, item.error) not in final]
    found.sort(key=lambda item: item.at)
    if run.status is Status.CRASHED:
        found.append(Failure(found[-1].at if found else run.created, "run", None, "", "its process died"))
    return tuple(found)


def _calls(db: sqlite3.Connection, run: int, bound: int | None) -> list[Failure]:
    rows = db.execute(
        "SELECT coalesce(call.ended, call.started), turn.seq, call.seat, call.purpose, call.error"
        " FROM call LEFT JOIN turn ON turn.n = call.turn"
        " WHERE call.run = ?1 AND call.error IS NOT NULL AND (?2 IS NULL OR call.turn <= ?2)",
        (run, bound),
    )
    return [
        Failure(at, "call", seq, seat or "", error if purpose == "turn" else f"{purpose}: {error}")
        for at, seq, seat, purpose, error in rows
    ]


def _events(db: sqlite3.Connection, run: int, bound: int | None) -> list[Failure]:
    marks = ", ".join("?" * len(_KINDS))
    rows = db.execute(
        f"SELECT event.at, event.kind, event.subject, event.data, event.turn, turn.seq, turn.seat FROM event"
        f" LEFT JOIN turn ON turn.n = event.turn WHERE event.run = ? AND event.kind IN ({marks}) ORDER BY event.id",
        (run, *(kind.value for kind in _KINDS)),
    ).fetchall()
    found = []
    for at, kind, subject, data, turn, seq, seat in rows:
        if bound is not None and not _shared(db, kind, subject, turn, bound):
            continue
        told = json.loads(data) if data else {}
        if kind == Kind.MINUTES_TAKEN:
            who, after = told.get("seat", ""), told.get("after")
            found += [Failure(at, "minutes", after, who, f"not taken: {why}") for why in told.get("rejected", [])]
        elif kind == Kind.TURN_FAILED:
            found.append(Failure(at, "turn", seq, seat or "", str(told.get("error", ""))))
        elif kind == Kind.ANSWER_FAULTY:
            found.append(
                Failure(at, "answer", seq or told.get("seq"), told.get("seat") or "", str(told.get("fault", "")))
            )
        elif kind == Kind.CONTEXT_TRUNCATED:
            cut = f"the provider read {told.get('counted')} of about {told.get('estimated')} tokens"
            found.append(Failure(at, "context", seq, told.get("seat") or seat or "", cut))
        else:
            why = ": ".join(str(told[key]) for key in ("reason", "detail") if told.get(key))
            found.append(Failure(at, "run", None, "", why or "its process died"))
    return found


def _shared(db: sqlite3.Connection, kind: str, subject: str | None, turn: int | None, bound: int) -> bool:
    """Whether an event of an ancestor belongs to the turns that a fork has from it."""
    if kind == Kind.MINUTES_TAKEN and subject:
        row = db.execute("SELECT after FROM aside WHERE n = ?", (int(subject.rpartition("/")[2]),)).fetchone()
        turn = row[0] if row else None
    return turn is not None and turn <= bound
