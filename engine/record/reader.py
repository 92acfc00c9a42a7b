"""Reading the record while it is written: attach to a run once, then follow the events.

Every read is one short read-only transaction. `changed` costs about ten microseconds, so a follower polls it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.record import asks, calls, events, runs, schema, turns
from engine.record.asks import Ask
from engine.record.calls import Call
from engine.record.connection import open_reader
from engine.record.errors import explain
from engine.record.events import Event
from engine.record.runs import Run
from engine.record.turns import Turn

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A run as it stood at event `newest`: following from there misses nothing and repeats nothing."""

    run: Run
    spec: dict[str, Any]
    turns: list[Turn]
    """The newest page, oldest first; a live turn carries its text so far."""
    asks: list[Ask]
    newest: int


class Reader:
    """One follower's connection. Not shared between threads at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = open_reader(path)
        self._version = -1
        self._schema = schema.of(self._db)

    def changed(self) -> bool:
        """Whether any other connection has committed since the last call."""
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        changed = bool(version != self._version)
        self._version = version
        if changed and self._schema < schema.VERSION == schema.of(self._db):
            schema.stand_down(self._db, self._schema)
            self._schema = schema.VERSION
        return changed

    def newest(self) -> int:
        return events.newest(self._db)

    def events(self, last: int, *, run: str | None = None, limit: int = 1000) -> list[Event]:
        """Events with an id above `last`, of one run or of all."""
        n = runs.find(self._db, run).n if run else None
        return self._read(lambda: events.after(self._db, last, run=n, limit=limit))

    def runs(self, text: str = "", limit: int = 200, offset: int = 0) -> list[Run]:
        return self._read(lambda: runs.listing(self._db, self.path, text=text, limit=limit, offset=offset))

    def run_count(self) -> int:
        return runs.count(self._db)

    def find(self, name: str) -> Run:
        return runs.find(self._db, name, self.path)

    def spec(self, run: Run) -> dict[str, Any]:
        return runs.spec(self._db, run)

    def attach(self, name: str, page: int = 200) -> Attachment:
        """The run, its newest `page` of turns and open asks, all of one moment. Raises RecordError."""

        def read() -> Attachment:
            run = runs.find(self._db, name, self.path)
            found = turns.listing(self._db, run.n, limit=page)
            live = turns.live(self._db, run.n)
            if live:
                while found and found[0].n > live.n:  # more notes are queued behind it than a page holds
                    found = turns.listing(self._db, run.n, before=found[0].n, limit=page) + found
                found = [live if turn.n == live.n else turn for turn in found]
            return Attachment(
                run, runs.spec(self._db, run), found, asks.listing(self._db, run.n), events.newest(self._db)
            )

        return self._read(read)

    def turns(self, run: Run, *, before: int | None = None, limit: int | None = None) -> list[Turn]:
        """Turns and notes, oldest first: all, or the page of `limit` before the row `before`."""
        return self._read(lambda: turns.listing(self._db, run.n, before=before, limit=limit))

    def calls(self, turn: int) -> list[Call]:
        return self._read(lambda: calls.of_turn(self._db, turn))

    def asks(self, run: Run | None = None, *, every: bool = False) -> list[Ask]:
        return self._read(lambda: asks.listing(self._db, run.n if run else None, every=every))

    @property
    def db(self) -> sqlite3.Connection:
        """The read-only connection, for the modules of the record that read more."""
        return self._db

    def close(self) -> None:
        self._db.close()

    def _read(self, work: Callable[[], _T]) -> _T:
        try:
            self._db.execute("BEGIN")
            try:
                return work()
            finally:
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise explain(error, self.path) from None
