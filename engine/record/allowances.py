"""Limits as a tree: each node has a unit, a cap, what is spent, and what running calls have reserved.

A reservation is taken on a node and all nodes above it before a call and settled after it, so that no number of
concurrent callers can overspend any level.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
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
    parent: int | None

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
    return {row[1]: Allowance(*row) for row in db.execute(_OF_RUN, (run,))}


def numbers(db: sqlite3.Connection, run: int) -> dict[str, int]:
    """The rows of the run's own nodes by unit, for those who need no sums."""
    return dict(db.execute("SELECT unit, n FROM allowance WHERE run = ?", (run,)).fetchall())


def tightest(db: sqlite3.Connection, run: int) -> dict[str, Allowance]:
    """By unit the node with the least left, of the run's own and all above it."""
    found = of_run(db, run)
    for unit, node in found.items():
        while node.parent is not None:
            node = get(db, node.parent)
            if node.left is not None and node.left < (math.inf if (left := found[unit].left) is None else left):
                found[unit] = node
    return found


def get(db: sqlite3.Connection, n: int) -> Allowance:
    return Allowance(*db.execute(_BY_NUMBER, (n,)).fetchone())


def reserve(db: sqlite3.Connection, run: int, call: int, wanted: dict[str, float]) -> Allowance | None:
    """Reserve by unit on the run's nodes and everything above them, all or nothing.

    Returns the node that has no room, or None. A unit without a node has no limit.
    """
    taken = []
    for unit, amount in wanted.items():
        for node in _line(db, run, unit):
            if node.left is not None and amount > node.left:
                return node
            taken.append((node.n, call, amount))
    db.executemany("INSERT INTO reservation (allowance, call, amount) VALUES (?, ?, ?)", taken)
    return None


def settle(db: sqlite3.Connection, call: int, spent: dict[str, float]) -> None:
    """Replace a call's reservations by what it really used, by unit; a unit not given used nothing."""
    rows = db.execute(
        "DELETE FROM reservation WHERE call = ? RETURNING allowance,"
        " (SELECT unit FROM allowance WHERE allowance.n = reservation.allowance)",
        (call,),
    ).fetchall()
    used = [(spent.get(unit, 0.0), node) for node, unit in rows]
    db.executemany("UPDATE allowance SET spent = spent + ? WHERE n = ?", used)


def settle_reserved(db: sqlite3.Connection, call: int) -> None:
    """A call whose use the provider did not say is taken to have used all it reserved, marked as an estimate."""
    rows = db.execute("SELECT n, allowance, amount FROM reservation WHERE call = ?", (call,)).fetchall()
    for reservation, node, amount in rows:
        db.execute("DELETE FROM reservation WHERE n = ?", (reservation,))
        db.execute("UPDATE allowance SET spent = spent + ?1, estimated = estimated + ?1 WHERE n = ?2", (amount, node))


def use(db: sqlite3.Connection, run: int, unit: str, amount: float) -> None:
    """Spend without a reservation (turns, minutes), on the run's node and everything above it."""
    for (above,) in db.execute(
        "UPDATE allowance SET spent = spent + ? WHERE run = ? AND unit = ? RETURNING parent", (amount, run, unit)
    ).fetchall():
        if above is not None:
            spend(db, above, amount)


def spend(db: sqlite3.Connection, n: int, amount: float) -> None:
    """`use`, on the node `n`."""
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
       (SELECT coalesce(sum(amount), 0) FROM reservation WHERE allowance = allowance.n), parent
FROM allowance
"""
_OF_RUN = f"{_SELECT} WHERE run = ?"
_OF_UNIT = f"{_OF_RUN} AND unit = ?"
_BY_NUMBER = f"{_SELECT} WHERE n = ?"
_UP = """
WITH RECURSIVE up(n) AS (
    SELECT ?1 UNION ALL SELECT parent FROM allowance JOIN up ON allowance.n = up.n WHERE parent IS NOT NULL
) SELECT n FROM up
"""


def _line(db: sqlite3.Connection, run: int, unit: str) -> Iterator[Allowance]:
    """The run's node for the unit, if it has one, and everything above it."""
    row = db.execute(_OF_UNIT, (run, unit)).fetchone()
    while row:
        node = Allowance(*row)
        yield node
        row = db.execute(_BY_NUMBER, (node.parent,)).fetchone() if node.parent is not None else None
