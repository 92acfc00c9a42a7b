"""What was said before, in this conversation or others, as something that can be recalled."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from engine.record.search import Said, any_of


@dataclass(frozen=True, slots=True)
class Past:
    """The part of a record that counts as memory.

    `db` is a connection to the record. With `run` (its number) only that run's conversation counts, and of it only
    turns with a seq below `before`, those which the window has lost. With `but` every other run counts.
    """

    db: sqlite3.Connection
    run: int | None = None
    before: int | None = None
    but: int | None = None

    def said(self, terms: list[str], limit: int) -> list[Said]:
        """Turns that hold at least half of the terms (one of two, two of three), best first."""
        needed = (len(terms) + 1) // 2
        found = any_of(self.db, terms, run=self.run, before=self.before, but=self.but, limit=limit)
        return [one for one in found if sum(term in one.text.lower() for term in terms) >= needed]
