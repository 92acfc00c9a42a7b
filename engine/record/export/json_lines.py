"""JSON lines: everything known of each turn and note, one object a line, nothing lost.

A line is the record of the dialogue; under `knowledge` a turn has what was learned of it: the items of the minutes
that it raised and closed, what was written beside it, its sources and its measures.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from engine.record import turns
from engine.record.export.beside import OfTurn, by_turn
from engine.record.export.source import Source
from engine.record.turns import State, Turn


def render(source: Source) -> str:
    beside = by_turn(source.beside)
    lines = []
    for turn in source.turns:
        told = {"run": source.run.id, **turn_object(turn), "pace": turns.pace(turn)}
        if turn.role == "turn":
            counts = turn.state in (State.FINISHED, State.SKIPPED)
            told["knowledge"] = knowledge(beside.get(turn.seq, OfTurn()) if counts else OfTurn())
        lines.append(line(told) + "\n")
    return "".join(lines)


def knowledge(found: OfTurn) -> dict[str, Any]:
    """What belongs to a turn, in public form; a turn that was taken back has nothing."""
    return {
        "raised": [
            {"minute": item.n, "kind": item.kind, "text": item.text, "quote": item.quote, "closed": item.closed}
            for item in found.raised
        ],
        "closed": [
            {"minute": item.n, "kind": item.kind, "text": item.text, "raised": item.seq, "quote": item.closing}
            for item in found.closed
        ],
        "asides": [{"seat": aside.seat, "text": aside.text, "value": aside.value} for aside in found.asides],
        "sources": [dataclasses.asdict(source) for source in found.sources],
        "measures": found.measures,
    }


def turn_object(turn: Turn) -> dict[str, Any]:
    """The public form of a turn, as `show --json` gives it too; tokens and cost None where unknown."""
    return {
        "seq": turn.seq,
        "role": turn.role,
        "seat": turn.seat,
        "persona": turn.persona,
        "model": turn.model,
        "text": turn.text,
        "thinking": turn.thinking,
        "state": turn.state.value,
        "usage": {"tokens_in": turn.tokens_in, "tokens_out": turn.tokens_out, "cost": turn.cost},
        "stop": turn.stop,
        "started": turn.started,
        "first": turn.first,
        "ended": turn.ended,
    }


def line(value: Any) -> str:
    """`value` as one line of JSON that any terminal may be shown: what could steer it is written as \\uXXXX."""
    return escaped(json.dumps(value, ensure_ascii=False))


def escaped(text: str) -> str:
    """JSON text with every character that is not printable in its \\uXXXX form, which means the same."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
