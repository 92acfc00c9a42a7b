"""Limits as a tree: each node has a unit, a cap, what is spent, and what running calls have reserved.

A reservation is taken on a node and all nodes above it before a call and settled after it, so that no number of
concurrent callers can overspend any level.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from engine.record import events
from engine.record.events import Kind


@dataclass(frozen=True, slots=True)
class Allowance:
    """One node. `cap` None is unlimited; `estimated` is the part of `spent` that a crash left unmeasured."""

    n: int
    unit: str
    cap: float | None
    spent: float
    estimated: float
    reserved: float

    @property
    def left(self) -> float | None:
        return None if self.cap is None else self.cap - self.spent - self.reserved


def set_cap(db: sqlite3.Connection, run: int, unit: str, cap: float | None, parent: int | None = None) -> int:
    """Create the run's node for `unit`, or change its cap; returns its row."""
    row = db.execute("SELECT n FROM allowance WHERE run = ? AND unit = ?", (run, unit)).fetchone()
    if row:
        db.execute("UPDATE allowance SET cap = ? WHERE n = ?", (cap, row[0]))
        return int(row[0])
    cursor = db.execute("INSERT INTO allowance (run, parent, unit, cap) VALUES (?, ?, ?, ?)", (run, parent, unit, cap))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def of_run(db: sqlite3.Connection, run: int) -> dict[str, Allowance]:
    """The run's own nodes by unit."""
    return {row[1]: Allowance(*row) for row in db.execute(f"{_SELECT} WHERE run = ?", (run,))}


def numbers(db: sqlite3.Connection, run: int) -> dict[str, int]:
    """The rows of the run's own nodes by unit, for those who need no sums."""
    return dict(db.execute("SELECT unit, n FROM allowance WHERE run = ?", (run,)).fetchall())


def get(db: sqlite3.Connection, n: int) -> Allowance:
    return Allowance(*db.execute(f"{_SELECT} WHERE n = ?", (n,)).fetchone())


def reserve(db: sqlite3.Connection, n: int, call: int, amount: float) -> Allowance | None:
    """Reserve on `n` and everything above it; returns the node that has no room (nothing reserved then), or None."""
    for row in db.execute(f"{_SELECT} WHERE n IN ({_UP}) AND cap IS NOT NULL", (n,)).fetchall():
        node = Allowance(*row)
        if node.left is not None and amount > node.left:
            return node
    db.execute(f"INSERT INTO reservation (allowance, call, amount) SELECT n, ?2, ?3 FROM ({_UP})", (n, call, amount))
    return None


def settle(db: sqlite3.Connection, call: int, spent: dict[str, float]) -> None:
    """Replace a call's reservations by what it really used, by unit; a unit not given used nothing."""
    rows = db.execute(
        "SELECT allowance.n, allowance.unit FROM reservation JOIN allowance ON allowance.n = reservation.allowance"
        " WHERE call = ?",
        (call,),
    ).fetchall()
    used = [(spent.get(unit, 0.0), node) for node, unit in rows]
    db.executemany("UPDATE allowance SET spent = spent + ? WHERE n = ?", used)
    db.execute("DELETE FROM reservation WHERE call = ?", (call,))


def settle_reserved(db: sqlite3.Connection, call: int) -> None:
    """A call whose use the provider did not say is taken to have used all it reserved, marked as an estimate."""
    rows = db.execute("SELECT n, allowance, amount FROM reservation WHERE call = ?", (call,)).fetchall()
    for reservation, node, amount in rows:
        db.execute("DELETE FROM reservation WHERE n = ?", (reservation,))
        db.execute("UPDATE allowance SET spent = spent + ?1, estimated = estimated + ?1 WHERE n = ?2", (amount, node))


def spend(db: sqlite3.Connection, n: int, amount: float) -> None:
    """Spend without a reservation (turns, minutes), on `n` and everything above it."""
    db.execute(f"UPDATE allowance SET spent = spent + ?2 WHERE n IN ({_UP})", (n, amount))


def settle_dead(db: sqlite3.Connection, run: int) -> None:
    """A dead host's reservations are taken as spent in full, and marked as estimates."""
    rows = db.execute(
        "SELECT reservation.n, reservation.allowance, amount, unit, allowance.run FROM reservation"
        " JOIN call ON call.n = reservation.call JOIN allowance ON allowance.n = reservation.allowance"
        " WHERE call.run = ?",
        (run,),
    ).fetchall()
    for reservation, node, amount, unit, owner in rows:
        db.execute("DELETE FROM reservation WHERE n = ?", (reservation,))
        db.execute("UPDATE allowance SET spent = spent + ?1, estimated = estimated + ?1 WHERE n = ?2", (amount, node))
        if owner == run:
            events.append(db, run, Kind.LIMIT_SETTLED, f"limit/{unit}", {"unit": unit, "amount": amount})


_SELECT = """
SELECT n, unit, cap, spent, estimated,
       (SELECT coalesce(sum(amount), 0) FROM reservation WHERE allowance = allowance.n)
FROM allowance
"""
_UP = """
WITH RECURSIVE up(n) AS (
    SELECT ?1 UNION ALL SELECT parent FROM allowance JOIN up ON allowance.n = up.n WHERE parent IS NOT NULL
) SELECT n FROM up
"""
