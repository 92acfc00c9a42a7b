"""What is written beside a conversation: asides of a seat after a turn, and the minutes among them, item by item.

An item stands as long as the turn that it quotes counts: a retried or edited turn takes its items with it. A fork has
its parent's items up to where it left, and closes them on its own.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.record import events, redact, runs
from engine.record.events import Kind

ItemKind = Literal["claim", "question", "todo", "flag"]
KINDS: tuple[ItemKind, ...] = ("claim", "question", "todo", "flag")
CLOSABLE: frozenset[ItemKind] = frozenset({"question", "todo", "flag"})


@dataclass(frozen=True, slots=True)
class Aside:
    """What `seat` wrote after the turn `seq` (row `after`), heard by nobody; `value` where it is a score."""

    n: int
    after: int
    seq: int
    seat: str
    text: str
    value: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the minutes: what was raised in turn `seq`, in whose words, and the turn that closed it, if any."""

    n: int
    kind: ItemKind
    text: str
    seq: int
    seat: str
    quote: str
    closed: int | None = None
    """Number of the turn that answered, did or settled it."""
    closing: str = ""
    """The words that closed it."""

    @property
    def open(self) -> bool:
        return self.kind in CLOSABLE and self.closed is None

    @property
    def verbatim(self) -> bool:
        """Whether the item says no more than its quote, as small models put it."""
        return " ".join(self.text.split()).casefold() == " ".join(self.quote.split()).casefold()


@dataclass(frozen=True, slots=True)
class Raised:
    """An item to be entered; `turn` is the row of the turn that it quotes."""

    kind: ItemKind
    text: str
    turn: int
    quote: str


@dataclass(frozen=True, slots=True)
class Closed:
    """An item to be closed by what the turn (a row) said."""

    minute: int
    turn: int
    quote: str


def give(db: sqlite3.Connection, run: int, after: int, seat: str, text: str, value: float | None = None) -> int:
    """Enter an aside to the turn `after` (a row), with its event; returns its number."""
    n = _enter(db, run, after, seat, text, value)
    events.append(db, run, Kind.ASIDE_GIVEN, f"aside/{n}", {"seat": seat, "after": _seq(db, after)})
    return n


def take(
    db: sqlite3.Connection,
    run: int,
    after: int,
    seat: str,
    text: str,
    raised: Sequence[Raised],
    closed: Sequence[Closed],
    rejected: Sequence[str] = (),
) -> int:
    """Enter the minutes of the turns up to `after`: a summary, items raised and closed; returns the aside."""
    n = _enter(db, run, after, seat, text, None)
    db.executemany(
        "INSERT INTO minute (aside, kind, text, turn, quote) VALUES (?, ?, ?, ?, ?)",
        [(n, item.kind, redact.scrub(item.text), item.turn, redact.scrub(item.quote)) for item in raised],
    )
    db.executemany(
        "INSERT INTO closing (minute, aside, turn, quote) VALUES (?, ?, ?, ?)",
        [(end.minute, n, end.turn, redact.scrub(end.quote)) for end in closed],
    )
    told = {"seat": seat, "after": _seq(db, after), "rejected": list(rejected)}
    events.append(db, run, Kind.MINUTES_TAKEN, f"aside/{n}", told)
    return n


def items(db: sqlite3.Connection, run: int) -> list[Item]:
    """All items that stand, in the order they were entered."""
    found: dict[int, Item] = {}
    closings: dict[int, tuple[int, str]] = {}
    for segment, bound in reversed(runs.lineage(db, run)):
        rows = db.execute(
            f"""
            SELECT minute.n, minute.kind, minute.text, turn.seq, turn.seat, minute.quote
            FROM aside JOIN minute ON minute.aside = aside.n JOIN turn ON turn.n = minute.turn
            WHERE {_STANDS} ORDER BY minute.n
            """,
            (segment, bound),
        )
        found |= {row[0]: Item(*row) for row in rows}
        closings |= {
            minute: (seq, quote)
            for minute, seq, quote in db.execute(
                f"""
                SELECT closing.minute, turn.seq, closing.quote
                FROM aside JOIN closing ON closing.aside = aside.n JOIN turn ON turn.n = closing.turn
                WHERE {_STANDS}
                """,
                (segment, bound),
            )
        }
    return [_with_closing(item, closings.get(item.n)) for item in found.values()]


def item(db: sqlite3.Connection, n: int) -> Item:
    """The item `n` as it was entered, open."""
    row = db.execute(
        "SELECT minute.n, minute.kind, minute.text, turn.seq, turn.seat, minute.quote"
        " FROM minute JOIN turn ON turn.n = minute.turn WHERE minute.n = ?",
        (n,),
    ).fetchone()
    return Item(*row)


def asides(db: sqlite3.Connection, run: int) -> list[Aside]:
    """All asides to turns that still count, oldest first."""
    found = []
    for segment, bound in reversed(runs.lineage(db, run)):
        rows = db.execute(
            f"""
            SELECT aside.n, aside.after, turn.seq, aside.seat, aside.text, aside.value, aside.at
            FROM aside JOIN turn ON turn.n = aside.after WHERE {_STANDS} ORDER BY aside.n
            """,
            (segment, bound),
        )
        found += [Aside(*row) for row in rows]
    return found


_STANDS = """
    aside.run = ?1 AND (?2 IS NULL OR aside.after <= ?2)
    AND (turn.state IN ('finished', 'skipped')
         OR turn.state = 'replaced' AND (turn.replaced >= ?2 OR turn.run <> aside.run))
"""
"""Of a segment of the lineage (run, row of its last turn): what belongs to a turn that counts there. A turn that a fork
has from its parent counts in the fork whatever the parent makes of it later."""


def _enter(db: sqlite3.Connection, run: int, after: int, seat: str, text: str, value: float | None) -> int:
    cursor = db.execute(
        "INSERT INTO aside (run, after, seat, text, value, at) VALUES (?, ?, ?, ?, ?, ?)",
        (run, after, seat, redact.scrub(text), value, time.time()),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _seq(db: sqlite3.Connection, turn: int) -> int:
    return int(db.execute("SELECT seq FROM turn WHERE n = ?", (turn,)).fetchone()[0])


def _with_closing(item: Item, closing: tuple[int, str] | None) -> Item:
    if closing is None:
        return item
    return Item(item.n, item.kind, item.text, item.seq, item.seat, item.quote, *closing)
