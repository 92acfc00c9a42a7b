"""Every run of the record, as the list shows them: loaded page by page, kept current by events and lock probes.

The newest page is there at once and the rest follows, a page a tick, so that a record of 10,000 runs opens as fast
as an empty one. A crash has no event (the host is dead), so active runs are probed about once a second.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace

from engine.record import lineage
from engine.record.errors import RecordError
from engine.record.events import Event, Kind
from engine.record.reader import Reader
from engine.record.runs import Run, Status
from engine.record.visible import one_line

PAGE = 200
"""Runs read in one tick while the list loads."""
_PROBES = 200
_WORDS: dict[Status, tuple[str, str]] = {
    Status.QUEUED: ("·", "queued"),
    Status.RUNNING: ("●", "live"),
    Status.PAUSED: ("‖", "paused"),
    Status.WAITING: ("◐", "waiting"),
    Status.FINISHED: ("✓", "finished"),
    Status.STOPPED: ("■", "stopped"),
    Status.FAILED: ("✗", "failed"),
    Status.CRASHED: ("⌁", "crashed"),
}
_QUIET = frozenset({Kind.TURN_DELTA, Kind.TURN_PROGRESS, Kind.TURN_STARTED})
"""Events that change nothing in a run's row."""


def glyph(status: Status) -> str:
    return _WORDS[status][0]


def word(status: Status) -> str:
    return _WORDS[status][1]


def is_part(run: Run) -> bool:
    """Whether a series has made this run; a fork shares turns with its parent."""
    return run.parent is not None and run.forked_at is None


def _whole(reader: Reader, run: Run) -> Run:
    """A series with what its runs have come to and used; any other run as it is."""
    if run.kind != "series":
        return run
    turns, tokens_in, tokens_out, cost, unpriced = lineage.totals(reader.db, run.n)
    return replace(run, turns=turns, tokens_in=tokens_in, tokens_out=tokens_out, cost=cost, unpriced=unpriced)


class Shelf:
    """`order` holds the run ids newest first, `shown` those that match the filter. Reads nothing by itself."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.order: list[str] = []
        self.shown: list[str] = []
        self.loaded = False
        self.needs_you = 0
        self._filter = ""
        self._stale: dict[str, None] = {}
        self._seen: set[str] = set()
        self._offset = 0
        self._count = 0
        self._limits: dict[int, int | None] = {}

    def load(self, reader: Reader) -> bool:
        """Read the next page, if one is missing; True when something came."""
        if self.loaded:
            return False
        if self._offset == 0:
            self._count = reader.run_count()
            self.needs_you = len(reader.asks())
        page = reader.runs(limit=PAGE, offset=self._offset)
        fresh = [run.id for run in page if run.id not in self.runs]
        for run in page:
            self.runs[run.id] = _whole(reader, run)
            self._seen.add(run.id)
        if fresh:
            in_order = not self.order or self._key(fresh[0]) > self._key(self.order[-1])
            self.order.extend(fresh)
            if not in_order:
                self.order.sort(key=self._key)
        self._offset += len(page)
        if len(page) < PAGE:
            self._finish_sweep()
        self._refilter()
        return True

    def reload(self) -> None:
        """Sweep the record again: something else may have removed runs, which leaves no event."""
        self.loaded = False
        self._offset = 0
        self._seen = set()

    def apply(self, events: Iterable[Event]) -> None:
        """Note which runs these events have changed."""
        for event in events:
            if event.kind not in _QUIET:
                self._stale[event.run] = None
                run = self.runs.get(event.run)
                if run and run.parent and is_part(run):
                    self._stale[run.parent] = None

    def refresh(self, reader: Reader) -> bool:
        """Read again the runs that events have changed; True when something is new to see."""
        if not self._stale:
            return False
        names, self._stale = list(self._stale)[:PAGE], dict.fromkeys(list(self._stale)[PAGE:])
        for name in names:
            self._read(reader, name)
        self.needs_you = len(reader.asks())
        self._refilter()
        return True

    def probe(self, reader: Reader) -> bool:
        """See whether active runs still have a host, and whether runs have vanished."""
        changed = False
        for name in [run.id for run in self.runs.values() if run.active][:_PROBES]:
            before = self.runs[name]
            self._read(reader, name)
            changed = changed or self.runs.get(name) != before
        if self.loaded and reader.run_count() != len(self.runs) and not self._stale:
            self.reload()
        if changed:
            self._refilter()
        return changed

    def learn_limits(self, reader: Reader, seen: Iterable[Run]) -> bool:
        """Read how many turns these runs may have, once per spec; True when something was read."""
        unknown = {run.spec: run for run in seen if run.spec not in self._limits}
        for run in unknown.values():
            try:
                limits = reader.spec(run).get("limits")
            except RecordError:  # deleted by somebody since it was listed
                limits = None
            turns = limits.get("turns") if isinstance(limits, dict) else None
            self._limits[run.spec] = turns if isinstance(turns, int) else None
        return bool(unknown)

    def limit(self, run: Run) -> int | None:
        """The turns that a run may have; None where there is no limit, or it is not read yet."""
        return self._limits.get(run.spec) or None

    def forget(self, name: str) -> None:
        """A run was removed."""
        if self.runs.pop(name, None):
            self.order.remove(name)
            self._refilter()

    @property
    def filter(self) -> str:
        return self._filter

    @filter.setter
    def filter(self, text: str) -> None:
        self._filter = text
        self._refilter()

    @property
    def active(self) -> list[Run]:
        return [run for run in self.runs.values() if run.active]

    def _read(self, reader: Reader, name: str) -> None:
        try:
            run = _whole(reader, reader.find(name))
        except RecordError:
            if self.runs.pop(name, None):
                self.order.remove(name)
            return
        if run.id not in self.runs:
            self.runs[run.id] = run
            self.order.insert(bisect_left(self.order, self._key(run.id), key=self._key), run.id)
            self._count += 1
            self._seen.add(run.id)
        self.runs[run.id] = run

    def _finish_sweep(self) -> None:
        self.loaded = True
        for name in [name for name in self.order if name not in self._seen]:
            del self.runs[name]
        if len(self.order) != len(self.runs):
            self.order = [name for name in self.order if name in self.runs]

    def _key(self, name: str) -> tuple[float, int]:
        run = self.runs[name]
        return (-run.created, -run.n)

    def _refilter(self) -> None:
        words = self._filter.lower().split()
        self.shown = [name for name in self.order if _matches(self.runs[name], words)] if words else self.order


def _matches(run: Run, words: list[str]) -> bool:
    text = f"{one_line(run.title)} {run.kind} {run.id} {word(run.status)} {run.status}".lower()
    return all(item in text for item in words)
