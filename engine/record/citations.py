"""What memory gave a turn: each source with its text, so that it opens after the source itself is forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from engine.record import content, events, runs
from engine.record.events import Kind


@dataclass(frozen=True, slots=True)
class Source:
    """A snippet as it was given; `source` is a path or a run, `place` where in it, `how` it was found."""

    number: int
    """What `[3]` in the turn means; counts through the whole conversation."""
    title: str
    source: str
    place: str
    text: str
    score: float
    how: str


def cite(db: sqlite3.Connection, run: int, turn: int, sources: Sequence[Source]) -> None:
    """Enter what the turn (a row) was given, with its event."""
    seq, seat = db.execute("SELECT seq, seat FROM turn WHERE n = ?", (turn,)).fetchone()
    bodies = [content.put_body(db, item.text) for item in sources]
    content.hold(db, run, *bodies)
    db.executemany(
        "INSERT INTO citation (run, turn, number, title, source, place, text, score, how)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                run,
                turn,
                item.number,
                item.title,
                item.source,
                item.place,
                body,
                item.score,
                item.how,
            )
            for item, body in zip(sources, bodies, strict=True)
        ],
    )
    told = [{"number": item.number, "title": item.title, "place": item.place} for item in sources]
    events.append(db, run, Kind.SOURCES_CITED, f"turn/{seq}", {"seq": seq, "seat": seat, "sources": told})


_COUNTS = """
    citation.run = ?1 AND (?2 IS NULL OR turn.n <= ?2)
    AND (turn.state = 'finished' OR turn.state = 'replaced' AND turn.replaced >= ?2)
"""
"""Of a segment of the lineage (run, row of its last turn): what was given to a turn that counts there."""


def of_run(db: sqlite3.Connection, run: int) -> list[tuple[int, Source]]:
    """(seq, source) of every turn that counts, its parent's included, by number."""
    found = []
    for segment, bound in reversed(runs.lineage(db, run)):
        rows = db.execute(
            f"""
            SELECT turn.seq, citation.number, citation.title, citation.source, citation.place, content.body,
                   citation.score, citation.how
            FROM citation JOIN turn ON turn.n = citation.turn JOIN content ON content.n = citation.text
            WHERE {_COUNTS} ORDER BY citation.n
            """,
            (segment, bound),
        )
        found += [(row[0], Source(*row[1:])) for row in rows]
    return found


def last_number(db: sqlite3.Connection, run: int) -> int:
    """The number of the newest source of the conversation, 0 where it has none."""
    newest = 0
    for segment, bound in runs.lineage(db, run):
        row = db.execute(
            "SELECT citation.number FROM citation JOIN turn ON turn.n = citation.turn"
            f" WHERE {_COUNTS} ORDER BY citation.turn DESC, citation.number DESC LIMIT 1",
            (segment, bound),
        ).fetchone()
        newest = max(newest, row[0] if row else 0)
    return newest
