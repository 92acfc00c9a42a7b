"""Points of named measures: one value a step. For a conversation the step is the row of the turn measured."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from engine.record import runs


def put(db: sqlite3.Connection, run: int, step: int, values: Mapping[str, float]) -> None:
    """Store the values of a step; a value that is there already is replaced."""
    db.executemany(
        "INSERT INTO metric (run, name, step, value) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (run, name, step) DO UPDATE SET value = excluded.value",
        [(run, name, step, value) for name, value in values.items()],
    )


def of_turns(db: sqlite3.Connection, run: int) -> dict[str, list[tuple[int, float]]]:
    """name -> [(seq, value)] over the turns of a conversation that count, its parent's included."""
    found: dict[str, list[tuple[int, float]]] = {}
    for segment, bound in reversed(runs.lineage(db, run)):
        rows = db.execute(
            """
            SELECT metric.name, turn.seq, metric.value FROM metric JOIN turn ON turn.n = metric.step
            WHERE metric.run = ?1 AND (?2 IS NULL OR turn.n <= ?2)
            AND (turn.state = 'finished' OR turn.state = 'replaced' AND turn.replaced >= ?2)
            ORDER BY metric.name, metric.step
            """,
            (segment, bound),
        )
        for name, seq, value in rows:
            found.setdefault(name, []).append((seq, value))
    return found
