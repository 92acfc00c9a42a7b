"""Waiting for what a run does by following its record, as any terminal does."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from engine.record.events import Event
from engine.record.reader import Reader
from engine.record.runs import Run, Status

DEADLINE = 30.0
"""Seconds: far more than anything waited for takes, so that only what never comes fails."""
_LOOK = 0.002


def wait_for(condition: Callable[[], Any], what: str = "", deadline: float = DEADLINE) -> Any:
    """The first true value of `condition`, asked again and again."""
    until = time.monotonic() + deadline
    while not (found := condition()):
        assert time.monotonic() < until, f"{what or condition} did not come about in {deadline:g} s"
        time.sleep(_LOOK)
    return found


def hold_still(pid: int, database: Path) -> None:
    """Stop a host (SIGSTOP) between two transactions: stopped within one it would keep the record locked."""

    def still() -> bool:
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "the host stopped")
        with contextlib.closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
            except sqlite3.OperationalError:
                os.kill(pid, signal.SIGCONT)
                return False
        return True

    wait_for(still, "the host between two transactions")


class Watch:
    """One follower of one run. `events` is everything seen so far, in the order it was read."""

    def __init__(self, database: Path, run: str) -> None:
        self.run_id = run
        self.reader = Reader(database)
        self.events: list[Event] = []
        self._seen = 0

    def look(self) -> list[Event]:
        """Take in what is new."""
        if not self.reader.changed():
            return []
        new = self.reader.events(self.events[-1].id if self.events else 0, run=self.run_id)
        self.events += new
        return new

    def until(self, kind: str, *, deadline: float = DEADLINE, **data: Any) -> Event:
        """The next event of that kind (and data) after the last one that was waited for."""

        def found() -> Event | None:
            if self._seen == len(self.events) and not self.look():
                return None
            for position in range(self._seen, len(self.events)):
                event = self.events[position]
                if event.kind == kind and all(event.data.get(key) == value for key, value in data.items()):
                    self._seen = position + 1
                    return event
            self._seen = len(self.events)
            return None

        try:
            event: Event = wait_for(found, f"{kind} {data or ''}", deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}; seen: {[(event.kind, event.data) for event in self.events]}") from None
        return event

    def until_over(self, *, deadline: float = DEADLINE) -> Run:
        """The run once it has ended."""
        return self.until_status(Status.FINISHED, Status.STOPPED, Status.FAILED, deadline=deadline)

    def until_status(self, *statuses: Status, deadline: float = DEADLINE) -> Run:
        def stands() -> Run | None:
            run = self.run
            return run if run.status in statuses else None

        try:
            run: Run = wait_for(stands, f"status {statuses}", deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.run}") from None
        self.look()
        return run

    @property
    def run(self) -> Run:
        return self.reader.find(self.run_id)

    @property
    def kinds(self) -> list[str]:
        """The kinds of all events so far but the deltas."""
        self.look()
        return [event.kind for event in self.events if event.kind not in ("turn.delta", "turn.progress")]

    def close(self) -> None:
        self.reader.close()
