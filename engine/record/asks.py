"""What a run asks of a human: rows that whoever is attached may answer, once."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any, Literal

from engine.record import events, redact
from engine.record.errors import RecordError, WrongNameError
from engine.record.events import Kind

AskKind = Literal["approve", "choose", "text", "edit"]
DEFAULT, DEADLINE = "default", "deadline"
"""Who answers where nobody does: the run's policy, or the time that was set."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way to answer: `value` is stored, `label` shown, `key` the letter that picks it on a card."""

    value: str
    label: str
    key: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of a run; `deadline` is Unix time, when `fallback` is taken."""

    n: int
    run: str
    kind: str
    subject: str | None
    question: str
    options: tuple[Option, ...]
    fallback: str | None
    deadline: float | None
    state: str
    answer: str | None
    who: str | None
    opened: float
    closed: float | None


def open_ask(
    db: sqlite3.Connection,
    run: int,
    kind: AskKind,
    question: str,
    options: tuple[Option, ...] = (),
    *,
    subject: str | None = None,
    fallback: str | None = None,
    deadline: float | None = None,
    opened: float | None = None,
) -> int:
    """Put a question; returns its number. `opened` is when it was first put, where a host died before it was answered.

    A `deadline` needs a `fallback`: a host that lives then takes it.
    """
    question, fallback = redact.scrub(question), fallback and redact.scrub(fallback)
    listed = [{"value": item.value, "label": item.label, "key": item.key} for item in options]
    cursor = db.execute(
        "INSERT INTO ask (run, kind, subject, question, options, fallback, deadline, state, opened)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?)",
        (
            run,
            kind,
            subject,
            question,
            json.dumps(listed, ensure_ascii=False),
            fallback,
            deadline,
            opened or time.time(),
        ),
    )
    n = cursor.lastrowid
    assert n is not None
    data: dict[str, Any] = {"ask": n, "kind_of_ask": kind, "about": subject, "question": question, "options": listed}
    data |= {"fallback": fallback, "deadline": deadline}
    events.append(db, run, Kind.ASK_OPENED, f"ask/{n}", data)
    return n


def answer(db: sqlite3.Connection, n: int, value: str, who: str) -> Ask:
    """Answer an open ask, once. Raises RecordError: no such ask, already closed, or no such option."""
    ask = get(db, n)
    if ask.state != "open":
        given = f"; {ask.who} said {ask.answer!r}" if ask.state == "answered" else ""
        raise RecordError(f"ask {n} is {ask.state} already{given}")
    if ask.options and not any(value == item.value for item in ask.options):
        picked = next((item.value for item in ask.options if item.key == value), None)
        free = ask.kind == "choose" and value.startswith("model=")
        if picked is None and not free:
            raise WrongNameError(f"ask {n}: answer one of {', '.join(item.value for item in ask.options)}")
        value = picked or value
    if ask.kind in ("text", "edit") and not value.strip():
        raise WrongNameError(f"ask {n}: the answer is empty")
    value = redact.scrub(value)
    _close(db, n, "answered", value, who)
    events.append(db, _run(db, n), Kind.ASK_ANSWERED, f"ask/{n}", {"ask": n, "answer": value, "who": who})
    return get(db, n)


def expire(db: sqlite3.Connection, n: int) -> str:
    """Take the fallback of an ask whose deadline is over, unless an answer came first; returns what counts."""
    ask = get(db, n)
    if ask.state == "open" and ask.fallback is not None:
        ask = answer(db, n, ask.fallback, DEADLINE)
    return ask.answer or ""


def untaken(db: sqlite3.Connection, run: int, kind: AskKind, subject: str | None) -> Ask | None:
    """The answer to such a question that came, but that no host lived to act on."""
    row = db.execute(
        f"{_SELECT} WHERE ask.run = ? AND ask.state = 'answered' AND ask.taken IS NULL AND ask.kind = ?"
        " AND ask.subject IS ? ORDER BY ask.n DESC LIMIT 1",
        (run, kind, subject),
    ).fetchone()
    return _ask(row) if row else None


def take(db: sqlite3.Connection, n: int) -> None:
    """Mark an answer as acted on, in the transaction of its effect."""
    db.execute("UPDATE ask SET taken = ? WHERE n = ?", (time.time(), n))


def withdraw(db: sqlite3.Connection, n: int, why: str) -> None:
    """Close an open ask that no longer needs an answer."""
    if get(db, n).state == "open":
        _close(db, n, "withdrawn", None, None)
        events.append(db, _run(db, n), Kind.ASK_WITHDRAWN, f"ask/{n}", {"ask": n, "why": why})


def get(db: sqlite3.Connection, n: int) -> Ask:
    row = db.execute(f"{_SELECT} WHERE ask.n = ?", (n,)).fetchone()
    if not row:
        raise WrongNameError(f"no ask {n}; `tertulia asks` lists the open ones")
    return _ask(row)


def listing(db: sqlite3.Connection, run: int | None = None, *, every: bool = False) -> list[Ask]:
    """Open asks (or `every` one), oldest first, of one run or of all."""
    where = " AND ".join(filter(None, ["1", "" if every else "ask.state = 'open'", "ask.run = ?" if run else ""]))
    values = (run,) if run else ()
    return [_ask(row) for row in db.execute(f"{_SELECT} WHERE {where} ORDER BY ask.n", values)]


_SELECT = "SELECT ask.*, run.id AS run_id FROM ask JOIN run ON run.n = ask.run"


def _run(db: sqlite3.Connection, n: int) -> int:
    return int(db.execute("SELECT run FROM ask WHERE n = ?", (n,)).fetchone()[0])


def _close(db: sqlite3.Connection, n: int, state: str, value: str | None, who: str | None) -> None:
    db.execute(
        "UPDATE ask SET state = ?, answer = ?, who = ?, closed = ? WHERE n = ?", (state, value, who, time.time(), n)
    )


def _ask(row: sqlite3.Row) -> Ask:
    return Ask(
        n=row["n"],
        run=row["run_id"],
        kind=row["kind"],
        subject=row["subject"],
        question=row["question"],
        options=tuple(Option(**item) for item in json.loads(row["options"])),
        fallback=row["fallback"],
        deadline=row["deadline"],
        state=row["state"],
        answer=row["answer"],
        who=row["who"],
        opened=row["opened"],
        closed=row["closed"],
    )
