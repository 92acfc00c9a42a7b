"""JSON lines: everything known of each turn and note, one object a line, nothing lost."""

from __future__ import annotations

import json
from typing import Any

from engine.record import turns
from engine.record.export.source import Source
from engine.record.turns import Turn


def render(source: Source) -> str:
    lines = (line({"run": source.run.id, **turn_object(turn), "pace": turns.pace(turn)}) for turn in source.turns)
    return "".join(f"{text}\n" for text in lines)


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
