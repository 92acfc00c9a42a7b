"""Plain text: what each seat said or wrote beside the talk, one text per seat, the notes of humans in every one."""

from __future__ import annotations

from engine.record.export import facts
from engine.record.export.beside import by_turn
from engine.record.export.source import Seat, Source
from engine.record.minutes import Aside
from engine.record.turns import State, Turn
from engine.record.visible import one_line, visible

_RULE = "=" * 72


def render(source: Source) -> str:
    return "\n".join(_seat(source, seat) for seat in source.views)


def _seat(source: Source, seat: Seat) -> str:
    who = ", ".join(one_line(part) for part in (seat.persona, seat.model) if part)
    head = f"{one_line(seat.name)} ({who})" if who else one_line(seat.name)
    parts = [f"{_RULE}\n{head}\n{one_line(source.run.title)}\n{_RULE}"]
    beside = by_turn(source.beside)
    for turn in source.turns:
        if turn.role == "note" or turn.seat == seat.name:
            parts.append(_turn(turn))
        if turn.role == "turn" and turn.state is State.FINISHED and turn.seq in beside:
            parts += [_aside(aside) for aside in beside[turn.seq].asides if aside.seat == seat.name]
    return "\n\n".join(parts) + "\n"


def _turn(turn: Turn) -> str:
    name = f"note by {one_line(turn.seat)}" if turn.role == "note" else str(turn.seq)
    state = "" if turn.state is State.FINISHED else f" ({facts.STATES[turn.state]})"
    return f"[{name}] {facts.moment(turn.started)}{state}\n{visible(turn.text).strip()}".rstrip()


def _aside(aside: Aside) -> str:
    score = f" (score {aside.value:g})" if aside.value is not None else ""
    return f"[beside {aside.seq}] {facts.moment(aside.at)}{score}\n{visible(aside.text).strip()}".rstrip()
