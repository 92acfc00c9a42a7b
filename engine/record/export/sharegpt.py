"""ShareGPT: `{"id", "conversations": [{"from", "value"}]}`, one line per seat."""

from __future__ import annotations

from engine.record.export import views
from engine.record.export.json_lines import line
from engine.record.export.source import Source

_FROM = {"system": "system", "user": "human", "assistant": "gpt"}


def render(source: Source) -> str:
    lines = []
    for seat in source.views:
        said = [{"from": _FROM[role], "value": text} for role, text in views.messages(source, seat)]
        if said:
            lines.append(line({"id": f"{source.run.id}-{seat.name}", "conversations": said}) + "\n")
    return "".join(lines)
