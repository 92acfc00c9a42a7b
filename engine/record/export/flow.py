"""The talk as it flowed: one line a turn, `[Turn 01] MODEL: text`, speakers in the order in which they spoke."""

from __future__ import annotations

from engine.record.export import facts
from engine.record.export.source import Source
from engine.record.visible import one_line, visible


def render(source: Source) -> str:
    """Further lines of a text stand in, so that none can pass for another turn. Only what counts is in it."""
    width = max(2, len(str(source.run.turns)))
    lines = [one_line(facts.topic(source)), ""]
    for turn in source.conversation:
        note = turn.role == "note"
        who = one_line(turn.model or turn.seat) if not note else f"{one_line(turn.seat)} (note)"
        text = visible(turn.text).strip().replace("\n", "\n    ")
        lines.append(f"[Turn {turn.seq:0{width}}] {who}: {text}")
    return "\n".join(lines) + "\n"
