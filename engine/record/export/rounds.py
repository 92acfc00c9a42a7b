"""A conversation by rounds: one pass through the seats that talk, and what each round should have but has not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.record import next_prompt
from engine.record.export.failures import Failure
from engine.record.export.source import Seat, Source
from engine.record.turns import State, Turn

_SHOWN = frozenset({State.FINISHED, State.LIVE, State.PARTIAL, State.FAILED, State.SKIPPED})


@dataclass(frozen=True, slots=True)
class Round:
    """Turns and notes of one round, oldest first: at most one turn for each number of a turn."""

    number: int
    turns: list[Turn] = field(default_factory=list)

    @property
    def seats(self) -> set[str]:
        return {turn.seat for turn in self.turns if turn.role == "turn"}

    @property
    def seqs(self) -> set[int]:
        return {turn.seq for turn in self.turns if turn.role == "turn"}

    @property
    def next_prompt(self) -> str | None:
        """The topic that the round names for the next one."""
        found = [next_prompt.find(turn.text) for turn in self.turns if turn.role == "turn"]
        return next((topic for topic in reversed(found) if topic), None)


def of(source: Source) -> list[Round]:
    """The rounds so far. A round ends where a seat that has spoken in it, or the first seat, has the floor again."""
    first = next((seat.name for seat in source.seats if seat.place == "talk"), None)
    rounds: list[Round] = []
    waiting: list[Turn] = []
    for turn in _shown(source.turns):
        if turn.role != "turn":
            waiting.append(turn)
            continue
        if not rounds or turn.seat in rounds[-1].seats or turn.seat == first:
            rounds.append(Round(len(rounds) + 1))
        rounds[-1].turns.extend([*waiting, turn])
        waiting = []
    if waiting:
        if not rounds:
            rounds.append(Round(1))
        rounds[-1].turns.extend(waiting)
    return rounds


def missing(source: Source) -> list[Failure]:
    """What a round should have and has not: a seat that never had the floor, a turn without words, no minutes.

    The last round may always be cut by a limit or a stop, so nothing is expected of it.
    """
    written = {(aside.seat, aside.seq) for aside in source.beside.asides if aside.text or aside.value is not None}
    since = {seat.name: 0 for seat in source.table}
    found: list[Failure] = []
    for item in of(source)[:-1]:
        spoken = [turn for turn in item.turns if turn.role == "turn"]
        for turn in spoken:
            since = {name: 0 if name == turn.seat else count + 1 for name, count in since.items()}
            if turn.state is State.FINISHED and not next_prompt.strip(turn.text).strip():
                found.append(
                    Failure(turn.ended or turn.started, "missing", turn.seq, turn.seat, "a turn without words")
                )
        last = spoken[-1]
        for seat in source.seats:
            if seat.place != "talk":
                there = seat.every is not None or any((seat.name, seq) in written for seq in item.seqs)
                what = "nothing written on"
            else:
                there = seat.name in item.seats or not _due(source, seat, item, since)
                what = "no turn in"
            if not there:
                error = f"{what} round {item.number}"
                found.append(Failure(last.ended or last.started, "missing", last.seq, seat.name, error))
    return found


def _due(source: Source, seat: Seat, item: Round, since: dict[str, int]) -> bool:
    """Whether a seat that has not spoken in the round should have."""
    if seat.every is None:
        return not (source.spec.get("literal") and item.number == 1)
    visits = sum(other.every is not None and other.name in item.seats for other in source.table)
    return 0 < seat.every <= since[seat.name] - visits


def _shown(turns: Sequence[Turn]) -> list[Turn]:
    """Of each turn the state that counts; what was replaced, and tries before the one that succeeded, left out."""
    chosen: dict[Any, Turn] = {}
    for turn in turns:
        if turn.state in _SHOWN:
            chosen[(turn.seq if turn.role == "turn" else f"note {turn.n}")] = turn
    return sorted(chosen.values(), key=lambda turn: turn.n)
