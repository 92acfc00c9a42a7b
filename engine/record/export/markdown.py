"""Markdown: the title, the facts, and every turn under the name of who said it."""

from __future__ import annotations

from engine.record.export import facts, rich_text
from engine.record.export.source import Source
from engine.record.turns import State, Turn
from engine.record.visible import one_line, visible

_SPECIAL = str.maketrans({char: f"\\{char}" for char in r"\`*_[]<>#|"})


def render(source: Source) -> str:
    parts = [f"# {_escaped(one_line(source.run.title))}"]
    parts.append("\n".join(f"- {_escaped(name)}: {_escaped(value)}" for name, value in facts.of(source)))
    parts.append("---")
    parts.extend(_turn(turn) for turn in source.turns)
    return "\n\n".join(parts) + "\n"


def _turn(turn: Turn) -> str:
    note = turn.role == "note"
    about = ["note" if note else str(turn.seq), facts.seconds(turn) if not note else "", _escaped(turn.model or "")]
    about.append("" if turn.state is State.FINISHED else facts.STATES[turn.state])
    head = f"**{_escaped(one_line(turn.seat))}** ({', '.join(filter(None, about))})"
    parts = [head]
    if turn.thinking.strip():
        parts.append(f"Thinking:\n\n{_quoted(rich_text.without_html(visible(turn.thinking).strip()))}")
    if turn.text.strip():
        text = rich_text.without_html(visible(turn.text).strip())
        parts.append(text if turn.state is State.FINISHED and not note else _quoted(text))
    return "\n\n".join(parts)


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _escaped(text: str) -> str:
    return one_line(text).translate(_SPECIAL)
