"""Full-text search over what was said, best match first (FTS5, BM25)."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from engine.record import runs


@dataclass(frozen=True, slots=True)
class Hit:
    """One turn or note that was found; `snippet` marks the words with \\x02 and \\x03."""

    run: str
    title: str
    turn: int
    seq: int
    seat: str
    at: float
    snippet: str


def search(db: sqlite3.Connection, words: str, *, run: int | None = None, limit: int = 50) -> list[Hit]:
    """Turns that hold every one of `words` (the last one may be the start of a word; "quotes" keep words together)."""
    query = _query(words)
    if not query:
        return []
    # A snippet costs more than the rest of a match: only the best get one, in a second pass over what matches.
    rows = db.execute(
        """
        WITH best AS MATERIALIZED (
            SELECT message_fts.rowid AS message, turn.n AS turn, bm25(message_fts) AS score
            FROM message_fts JOIN turn ON turn.message = message_fts.rowid
            WHERE message_fts MATCH ?1 AND (?2 IS NULL OR turn.run = ?2)
            ORDER BY score, turn.n DESC LIMIT ?3)
        SELECT run.id, run.title, turn.n, turn.seq, turn.seat, coalesce(turn.ended, turn.started),
               snippet(message_fts, 0, char(2), char(3), '…', 16)
        FROM message_fts CROSS JOIN best ON best.message = +message_fts.rowid
        JOIN turn ON turn.n = best.turn JOIN run ON run.n = turn.run
        WHERE message_fts MATCH ?1 ORDER BY best.score, turn.n DESC
        """,
        (query, run, limit),
    )
    return [Hit(*row) for row in rows]


def _query(words: str) -> str:
    """The FTS5 query for what a person typed: every term quoted, so that no character is an operator."""
    words = words.encode("utf-8", "replace").decode().replace("\0", " ")  # no half of a surrogate pair was ever stored
    terms = [quoted or word for quoted, word in re.findall(r'"([^"]+)"|(\S+)', words)]
    terms = [term.replace('"', '""') for term in terms if re.search(r"\w", term)]
    if not terms:
        return ""
    prefix = "" if words.rstrip().endswith('"') else "*"
    return " ".join(f'"{term}"' for term in terms) + prefix


@dataclass(frozen=True, slots=True)
class Said:
    """One turn that was found by any of several words, with all that was said in it."""

    run: str
    title: str
    turn: int
    seq: int
    seat: str
    text: str


def any_of(
    db: sqlite3.Connection,
    terms: Sequence[str],
    *,
    run: int | None = None,
    before: int | None = None,
    but: int | None = None,
    limit: int = 50,
) -> list[Said]:
    """Turns that count and hold any of the terms, best first: of the conversation of `run`, not of that of `but` (one
    of the two at most), with a seq below `before`.

    A fork's conversation has its parent's turns up to where it left. What runs have in common is found once, as its
    earliest turn.
    """
    quoted = ['"' + term.replace('"', '""').replace("\0", " ") + '"' for term in terms if re.search(r"\w", term)]
    if not quoted:
        return []
    one = but if run is None else run
    segments = [] if one is None else runs.lineage(db, one)
    rows = db.execute(
        """
        WITH own(run, bound) AS MATERIALIZED (
            SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?2))
        SELECT run.id, run.title, turn.n, turn.seq, turn.seat, message.text
        FROM (SELECT rowid AS n, bm25(message_fts) AS score FROM message_fts WHERE message_fts MATCH ?1) AS best
        JOIN turn ON turn.n = (
            SELECT min(said.n) FROM turn AS said
            LEFT JOIN own ON own.run = said.run AND (own.bound IS NULL OR said.n <= own.bound)
            WHERE said.message = best.n AND (?3 IS NULL OR (own.run IS NOT NULL) = ?3) AND (?4 IS NULL OR said.seq < ?4)
            AND (said.state = 'finished' OR said.state = 'replaced' AND said.replaced >= own.bound))
        JOIN run ON run.n = turn.run JOIN message ON message.n = best.n
        ORDER BY best.score, turn.n DESC LIMIT ?5
        """,
        (
            " OR ".join(quoted).encode("utf-8", "replace").decode(),
            json.dumps(segments),
            None if one is None else run is not None,
            before,
            limit,
        ),
    )
    return [Said(*row) for row in rows]
