"""What stands beside a conversation: asides, minutes, measures and sources, looked up by turn."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.record import citations, events, metrics, minutes, runs
from engine.record.citations import Source as Cited
from engine.record.events import Kind
from engine.record.minutes import Aside, Item


@dataclass(frozen=True, slots=True)
class Beside:
    """All of it in the order it was entered; `taken` are the asides (by n) that are minutes."""

    asides: tuple[Aside, ...] = ()
    items: tuple[Item, ...] = ()
    taken: frozenset[int] = frozenset()
    measures: Mapping[str, list[tuple[int, float]]] = field(default_factory=dict)
    """name -> [(seq, value)]."""
    sources: tuple[tuple[int, Cited], ...] = ()
    """(seq, source)."""
    served: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Model -> what serves it and which weights it has, as its provider said last."""

    def __bool__(self) -> bool:
        return bool(self.asides or self.items or self.measures or self.sources)

    def of_kind(self, kind: str) -> list[Item]:
        return [item for item in self.items if item.kind == kind]

    @property
    def summaries(self) -> list[Aside]:
        """What keepers of the minutes wrote, oldest first."""
        return [aside for aside in self.asides if aside.n in self.taken and aside.text.strip()]


NOTHING = Beside()


@dataclass(frozen=True, slots=True)
class OfTurn:
    """What belongs to one turn."""

    asides: list[Aside] = field(default_factory=list)
    raised: list[Item] = field(default_factory=list)
    closed: list[Item] = field(default_factory=list)
    sources: list[Cited] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)


def by_turn(beside: Beside) -> Mapping[int, OfTurn]:
    """seq -> what belongs to that turn; empty for a turn that has nothing."""
    found: defaultdict[int, OfTurn] = defaultdict(OfTurn)
    for aside in beside.asides:
        found[aside.seq].asides.append(aside)
    for item in beside.items:
        found[item.seq].raised.append(item)
        if item.closed is not None:
            found[item.closed].closed.append(item)
    for seq, source in beside.sources:
        found[seq].sources.append(source)
    for name, points in beside.measures.items():
        for seq, value in points:
            found[seq].measures[name] = value
    return found


def read(db: sqlite3.Connection, run: int) -> Beside:
    """What the run (a row) has beside its conversation, its parent's part included; of the caller's transaction."""
    asides = tuple(minutes.asides(db, run))
    taken = frozenset(_taken(db, run)) if asides else frozenset()
    items = tuple(minutes.items(db, run)) if taken else ()
    return Beside(asides, items, taken, metrics.of_turns(db, run), tuple(citations.of_run(db, run)), _served(db, run))


def _served(db: sqlite3.Connection, run: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for segment, _ in runs.lineage(db, run):
        for event in events.backwards(db, segment, [Kind.MODEL_FOUND], events.newest(db)):
            told: dict[str, Any] = {key: event.data[key] for key in ("server", "digest", "bytes") if key in event.data}
            found.setdefault(event.data["model"], told)
    return found


def _taken(db: sqlite3.Connection, run: int) -> list[int]:
    found = []
    for segment, _ in runs.lineage(db, run):
        rows = db.execute(
            "SELECT subject FROM event WHERE run = ? AND kind = ?", (segment, Kind.MINUTES_TAKEN.value)
        ).fetchall()
        found += [int(subject.rpartition("/")[2]) for (subject,) in rows]
    return found
