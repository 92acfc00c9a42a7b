"""The last few turns of one run, enough for a preview: attached in one read, its live turn then followed by events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.record.asks import Ask
from engine.record.events import Event, Kind
from engine.record.reader import Reader
from engine.record.turns import State, Turn

KEEP = 12
"""Turns kept; more never fit beside the list."""
TAIL = 6000
"""Characters kept of one turn."""
_SHOWN = frozenset({State.LIVE, State.FINISHED, State.QUEUED})
_FOLLOWED = frozenset({Kind.TURN_STARTED, Kind.TURN_DELTA, Kind.TURN_PROGRESS, Kind.CALL_RETRIED})


@dataclass(slots=True)
class Line:
    """What one seat or human said; `live` while it is being said, `key` tells lines apart."""

    key: int
    name: str
    text: str
    live: bool = False
    note: bool = False


@dataclass(slots=True)
class Glance:
    """A run's newest lines, oldest first. `rate` is tokens per second of its last finished turn, None when unknown."""

    run_id: str
    models: list[str]
    seats: list[str]
    lines: list[Line]
    asks: list[Ask]
    newest: int
    rate: float | None
    outdated: bool = False
    """Something happened that only a fresh read shows: a turn ended, an ask, a swap."""

    @classmethod
    def read(cls, reader: Reader, run_id: str) -> Glance:
        """Raises RecordError when the run is gone."""
        found = reader.attach(run_id, page=KEEP)
        seats = [seat for seat in found.spec.get("seats", ()) if isinstance(seat, dict)]
        models = ["you" if seat.get("human") else str(seat.get("model") or "") for seat in seats]
        rates = [rate for rate in map(_rate, reversed(found.turns)) if rate]
        return cls(
            run_id=found.run.id,
            models=[model for model in dict.fromkeys(models) if model],
            seats=[str(seat.get("name") or "") for seat in seats],
            lines=[_line(turn) for turn in found.turns if turn.state in _SHOWN],
            asks=found.asks,
            newest=found.newest,
            rate=rates[0] if rates else None,
        )

    def apply(self, events: Iterable[Event]) -> bool:
        """Follow the run; True when it must be drawn again. Events that the read has covered are passed over."""
        changed = False
        for event in events:
            if event.run != self.run_id or event.id <= self.newest:
                continue
            self.newest = event.id
            if event.kind not in _FOLLOWED:
                self.outdated = True
            elif event.kind == Kind.TURN_STARTED:
                said = str(event.data.get("continues") or "")
                self.lines.append(Line(-event.id, str(event.data.get("seat")), said, live=True))
                changed = True
            elif event.kind == Kind.TURN_DELTA and event.data.get("text"):
                live = next((line for line in reversed(self.lines) if line.live), None)
                if live:
                    live.text = (live.text + event.data["text"])[-TAIL:]
                    changed = True
        del self.lines[:-KEEP]
        return changed or self.outdated


def _line(turn: Turn) -> Line:
    return Line(turn.n, turn.seat, turn.text[-TAIL:], turn.state is State.LIVE, turn.role == "note")


def _rate(turn: Turn) -> float | None:
    if turn.state is not State.FINISHED or turn.first is None or turn.ended is None or not turn.tokens_out:
        return None
    spent = turn.ended - turn.first
    return turn.tokens_out / spent if spent > 0 else None
