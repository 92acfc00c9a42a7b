"""What every format reads: a run, its seats and its turns, taken in one read transaction."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.record import content, lineage, runs, turns
from engine.record.export import beside as beside_it
from engine.record.export import failures as failed
from engine.record.export import generations as of_series
from engine.record.export.beside import NOTHING, Beside
from engine.record.export.failures import Failure
from engine.record.export.generations import Generations
from engine.record.runs import Run
from engine.record.turns import State, Turn
from engine.settings.errors import UsageError, nearest


@dataclass(frozen=True, slots=True)
class Seat:
    """Who sits there.

    `system` and `start` are what its last model call was sent: the system prompt, and the user's words that stand
    before its own where it spoke first. Both are "" where no call was made.
    """

    name: str
    persona: str | None
    model: str | None
    language: str | None
    system: str
    start: str
    role: str | None = None
    place: str = "talk"
    """`talk` has the floor; `minutes` and `aside` are written beside the conversation."""
    every: int | None = None
    """Speaks at the end of a round once so many turns were said since it last spoke (0: never); None: each round."""


@dataclass(frozen=True, slots=True)
class Source:
    """One moment of a run. `views` are the seats whose view is wanted.

    `heard` is what is left of a text once it reaches another seat (control words are taken off); None: all of it.
    """

    run: Run
    spec: dict[str, Any]
    seats: tuple[Seat, ...]
    views: tuple[Seat, ...]
    turns: tuple[Turn, ...]
    heard: Callable[[str], str] | None = None
    beside: Beside = NOTHING
    failures: tuple[Failure, ...] = ()
    tasks: Mapping[int, str] = field(default_factory=dict)
    """Row of a turn -> what its seat was told to do for that turn, where it was told anew each time."""
    generations: Generations | None = None
    """Of a series, its runs and what was found in them."""

    @property
    def table(self) -> list[Seat]:
        """The seats that take turns."""
        return [seat for seat in self.seats if seat.place == "talk"]

    @property
    def conversation(self) -> list[Turn]:
        """The turns and notes that count: not broken, replaced, skipped, unfinished or still waiting."""
        return [turn for turn in self.turns if turn.state is State.FINISHED and turn.text.strip()]

    def only(self, seat: str) -> Source:
        """The same, seen from one seat (any case). Raises UsageError."""
        found = [item for item in self.seats if item.name.casefold() == seat.casefold()]
        if not found:
            raise UsageError(f"run {self.run.id} has no seat {seat!r}: {nearest(seat, [s.name for s in self.seats])}")
        return dataclasses.replace(self, views=tuple(found))

    def place(self, seat: str) -> int:
        """The seat's number at the table, from 0; a name that has none comes after all others."""
        return next((number for number, item in enumerate(self.seats) if item.name == seat), len(self.seats))


def read(
    db: sqlite3.Connection, run: Run, heard: Callable[[str], str] | None = None, *, beside: bool = False
) -> Source:
    """The conversation as of one moment; a turn being spoken has its text so far.

    With `beside`, which every export needs, what stands beside it and what failed too.
    """
    outermost = not db.in_transaction
    if outermost:
        db.execute("BEGIN")
    try:
        spec = runs.spec(db, run)
        found = turns.listing(db, run.n)
        live = turns.live(db, run.n)
        frames = _frames(db, run)
        around = beside_it.read(db, run.n) if beside else NOTHING
        failures = failed.read(db, run) if beside else ()
        tasks = _tasks(db, run) if beside else {}
        generations = of_series.read(db, run) if beside and run.kind == "series" else None
        run = lineage.with_children(db, run)
    finally:
        if outermost:
            db.execute("COMMIT")
    if live:
        found = [live if turn.n == live.n else turn for turn in found]
    seats = _seats(spec, found, frames)
    return Source(run, spec, seats, seats, tuple(found), heard, around, failures, tasks, generations)


def _seats(spec: dict[str, Any], found: list[Turn], frames: dict[str, dict[str, Any]]) -> tuple[Seat, ...]:
    described = {str(item["name"]): item for item in spec.get("seats") or [] if isinstance(item, dict)}
    spoken = dict.fromkeys(turn.seat for turn in found if turn.role == "turn")
    last = {turn.seat: turn for turn in found if turn.role == "turn"}
    seats = []
    for name in dict.fromkeys([*described, *spoken]):
        told, turn = described.get(name, {}), last.get(name)
        persona = told.get("persona") or (turn.persona if turn else None)
        model = told.get("model") or (turn.model if turn else None)
        language = (told.get("guest") or {}).get("language")
        sent = frames.get(name, {})
        role = _mapping(told.get("role")) or {"name": told.get("role")}
        every = role.get("every")
        seats.append(
            Seat(
                name,
                persona,
                model,
                language,
                sent.get("system", ""),
                sent.get("start", ""),
                role.get("name"),
                role.get("place") or "talk",
                every if isinstance(every, int) else None,
            )
        )
    return tuple(seats)


def _frames(db: sqlite3.Connection, run: Run) -> dict[str, dict[str, Any]]:
    """Seat to what framed its newest call, those of the runs it was forked from included."""
    found: dict[str, dict[str, Any]] = {}
    for segment, bound in runs.lineage(db, run.n):
        rows = db.execute(
            "SELECT seat, json_extract(request, '$.frame'), json_extract(request, '$.system') FROM call"
            " WHERE n IN (SELECT max(n) FROM call"
            " WHERE run = ?1 AND (?2 IS NULL OR turn <= ?2) AND seat IS NOT NULL AND purpose = 'turn' GROUP BY seat)",
            (segment, bound),
        )
        for seat, frame, system in rows:
            if seat not in found and isinstance(frame, int):
                found[seat] = json.loads(content.body(db, frame))
            elif seat not in found and isinstance(system, int):
                found[seat] = {"system": content.body(db, system)}
    return found


def _tasks(db: sqlite3.Connection, run: Run) -> dict[int, str]:
    found: dict[int, str] = {}
    for segment, bound in runs.lineage(db, run.n):
        rows = db.execute(
            "SELECT call.turn, content.body FROM call"
            " JOIN content ON content.n = json_extract(call.request, '$.task')"
            " WHERE call.run = ?1 AND call.purpose = 'turn' AND call.turn IS NOT NULL"
            " AND (?2 IS NULL OR call.turn <= ?2)"
            " ORDER BY call.n",
            (segment, bound),
        )
        found |= dict(rows)
    return found


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
