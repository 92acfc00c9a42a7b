"""One look at the record for all panes: what is new since the last tick, or why nothing can be read.

Reads are bounded, so that a tick never holds up a key press: at most LIMIT events at once, and a reader that has
fallen far behind (a laptop that slept, a stopped process) starts over instead of catching up event by event.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from engine.record.errors import RecordError
from engine.record.events import Event
from engine.record.reader import Reader

LIMIT = 1000
"""Events read in one tick."""
BEHIND = 20_000
"""Events behind which following gives way to reading afresh."""
LOOK = 0.5
"""Seconds between looks at the file itself: is it there, is it still the same one?"""


@dataclass(slots=True)
class Batch:
    """What one poll found. After `reset` everything read before is void and must be read again."""

    events: list[Event] = field(default_factory=list)
    reset: bool = False


class Feed:
    """Follows one record, whether it exists yet or not. `trouble` is the one line to show while it cannot be read."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.reader: Reader | None = None
        self.trouble: str | None = None
        self.last = 0
        self._identity: tuple[int, int] | None = None
        self._looked = float("-inf")
        self._failures = 0
        self._had = False
        self._more = False

    def poll(self, now: float) -> Batch:
        """New events, oldest first; `now` is monotonic seconds."""
        reset = False
        if now - self._looked >= LOOK:
            self._looked = now
            reset = self._look()
        if self.reader is None:
            return Batch(reset=reset)
        try:
            changed = self.reader.changed()
            if not (changed or self._more or reset):
                return Batch()
            if reset or self.reader.newest() - self.last > BEHIND:
                self.last = self.reader.newest()
                self._more = False
                return Batch(reset=True)
            found = self.reader.events(self.last, limit=LIMIT)
            self._more = len(found) == LIMIT
            if found:
                self.last = found[-1].id
            self.trouble = None
            return Batch(found)
        except (RecordError, OSError) as error:
            return self._lost(str(error))
        except sqlite3.Error as error:  # `changed` runs outside the reader's own translation
            return self._lost(f"{self.database}: {error}")

    def look_now(self) -> None:
        """Have the next poll look at the file, whenever the last look was."""
        self._looked = float("-inf")

    def close(self) -> None:
        if self.reader:
            self.reader.close()
            self.reader = None

    def _look(self) -> bool:
        """Open the record, or open it again when another file has taken its place; True when it is new."""
        try:
            found = self.database.stat()
        except FileNotFoundError:
            gone = self.reader is not None
            self.close()
            self._identity = None
            self.trouble = (
                f"{self.database}: the record is gone; a new one begins with the next run" if self._had else None
            )
            return gone
        except OSError as error:
            self.close()
            self.trouble = f"{self.database}: {error.strerror}"
            return False
        identity = (found.st_dev, found.st_ino)
        if self.reader and identity == self._identity:
            return False
        self.close()
        try:
            self.reader = Reader(self.database)
        except RecordError as error:
            self._failures += 1
            # A record that is just being made has no schema for an instant.
            if self._failures > 1:
                self.trouble = str(error)
            return False
        self._identity = identity
        self._failures, self._had, self.trouble = 0, True, None
        return True

    def _lost(self, why: str) -> Batch:
        self.trouble = why
        self.close()
        return Batch()
