"""ChatML: `{"messages": [{"role", "content"}]}`, one line per seat, as trainers and fine-tuning services read it."""

from __future__ import annotations

from engine.record.export import views
from engine.record.export.json_lines import line
from engine.record.export.source import Source


def render(source: Source) -> str:
    lines = []
    for seat in source.views:
        said = [{"role": role, "content": text} for role, text in views.messages(source, seat)]
        if said:
            lines.append(line({"messages": said}) + "\n")
    return "".join(lines)
