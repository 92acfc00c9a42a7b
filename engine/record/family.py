"""The runs that share an ancestor: a run, what it was forked from, and what was forked from any of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.record import runs
from engine.record.runs import Run


def of_run(db: sqlite3.Connection, run: int, database: Path | None = None, limit: int = 200) -> list[Run]:
    """The runs of the family of `run` (a row), itself included, newest first, at most `limit` of them."""
    found = db.execute(
        """
        WITH RECURSIVE up(n, parent) AS (
            SELECT n, iif(fork_turn IS NULL, NULL, parent) FROM run WHERE n = ?1
            UNION SELECT run.n, iif(fork_turn IS NULL, NULL, run.parent) FROM run JOIN up ON run.n = up.parent),
        down(n) AS (
            SELECT n FROM up WHERE parent IS NULL
            UNION SELECT run.n FROM run JOIN down ON run.parent = down.n AND fork_turn IS NOT NULL)
        SELECT n FROM down ORDER BY n DESC LIMIT ?2
        """,
        (run, limit),
    )
    return [runs.get(db, n, database) for (n,) in found.fetchall()]


def shared(db: sqlite3.Connection, one: int, other: int) -> int:
    """Turns at the beginning that both runs (rows) have from the same ancestor, 0 where they have none in common."""
    bounds = dict(runs.lineage(db, one))
    for segment, bound in runs.lineage(db, other):
        if segment in bounds:
            both = [cut for cut in (bound, bounds[segment]) if cut is not None]
            if not both:
                row = db.execute("SELECT turns FROM run WHERE n = ?", (segment,))
            else:
                row = db.execute("SELECT coalesce((SELECT seq FROM turn WHERE n = ?), 0)", (min(both),))
            return int(row.fetchone()[0])
    return 0
