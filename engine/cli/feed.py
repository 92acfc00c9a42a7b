"""The events of one run as they are committed, until it has ended and everything is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from engine.record.events import Event
from engine.record.reader import Reader
from engine.record.runs import Run

POLL = 0.016
"""Seconds between looks at the record; a look costs some 10 microseconds."""
_LOOK_AT_HOST = 0.5
"""Seconds between looks whether the run's host still lives."""
_PAGE = 1000
_ENDS = ("run.finished", "run.stopped", "run.failed")


class Feed:
    """Follows one run. `run` is how it stood when last looked at."""

    def __init__(self, database: Path, name: str) -> None:
        self.reader = Reader(database)
        self.run: Run = self.reader.find(name)

    def seats(self) -> list[str]:
        """The names at the table, in order."""
        return [str(seat["name"]) for seat in self.reader.spec(self.run).get("seats") or []]

    def events(self, last: int = 0) -> Iterator[list[Event]]:
        """Batches of the events after `last`, oldest first; an empty batch each time that nothing new came.

        Ends when the run is over (finished, stopped, failed, or its host died) and all its events were given.
        """
        look = 0.0
        self.reader.changed()
        while True:
            now = time.monotonic()
            over = False
            if now >= look:
                self.run = self.reader.find(self.run.id)
                over = not self.run.active
                look = now + _LOOK_AT_HOST
            batch = self.reader.events(last, run=self.run.id, limit=_PAGE)
            if batch:
                last = batch[-1].id
                if any(event.kind in _ENDS for event in batch):
                    look = 0.0
                yield batch
                continue
            if over:
                return
            yield []
            while not self.reader.changed() and time.monotonic() < min(look, now + 0.1):
                time.sleep(POLL)

    def close(self) -> None:
        self.reader.close()
