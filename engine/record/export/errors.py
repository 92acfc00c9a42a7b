"""What went wrong, as JSON lines: `{"turn", "error", "role", "timestamp", "run", "kind"}`, oldest first."""

from __future__ import annotations

from engine.record.export import facts, rounds
from engine.record.export.json_lines import line
from engine.record.export.source import Source


def render(source: Source) -> str:
    found = sorted([*source.failures, *rounds.missing(source)], key=lambda item: item.at)
    return "".join(
        line(
            {
                "turn": item.seq,
                "error": item.error,
                "role": item.seat or None,
                "timestamp": facts.utc(item.at),
                "run": source.run.id,
                "kind": item.kind,
            }
        )
        + "\n"
        for item in found
    )
