"""Markdown: the title, the facts, every turn under the name of who said it, and what was written beside the talk."""

from __future__ import annotations

import re

from engine.record.export import chart, facts, leaderboard
from engine.record.export.beside import Beside, OfTurn, by_turn
from engine.record.export.contained import contained
from engine.record.export.escaping import escaped, quoted
from engine.record.export.source import Source
from engine.record.minutes import Aside, Item
from engine.record.turns import State, Turn
from engine.record.visible import one_line

_HEAD = re.compile(r"^( {0,3})(\*\*|__)(?=[^\n]*?\2[ \t]*\((?:\d|note\b))", re.MULTILINE)
"""A line of a model's that could pass for the head of a turn: **NAME** (2, ...)."""


def render(source: Source) -> str:
    parts = [f"# {escaped(one_line(source.run.title))}"]
    parts.append("\n".join(f"- {escaped(name)}: {escaped(value)}" for name, value in facts.of(source)))
    parts.append("---")
    beside = by_turn(source.beside)
    for turn in source.turns:
        parts.append(_turn(turn))
        if turn.role == "turn" and turn.state is State.FINISHED:
            parts += [_aside(aside) for aside in beside.get(turn.seq, OfTurn()).asides]
    if source.generations:
        parts += leaderboard.sections(source.generations)
    parts += annex(source.beside)
    return "\n\n".join(parts) + "\n"


def _turn(turn: Turn) -> str:
    note = turn.role == "note"
    about = ["note" if note else str(turn.seq), facts.seconds(turn) if not note else "", escaped(turn.model or "")]
    about.append("" if turn.state is State.FINISHED else facts.STATES[turn.state])
    head = f"**{escaped(one_line(turn.seat))}** ({', '.join(filter(None, about))})"
    parts = [head]
    if turn.thinking.strip():
        parts.append(f"Thinking:\n\n{quoted(contained(turn.thinking))}")
    if turn.text.strip():
        text = contained(turn.text)
        parts.append(_HEAD.sub(_literal, text) if turn.state is State.FINISHED and not note else quoted(text))
    return "\n\n".join(parts)


def _literal(marks: re.Match[str]) -> str:
    return marks[1] + "".join(f"\\{mark}" for mark in marks[2])


def _aside(aside: Aside) -> str:
    head = f"**{escaped(aside.seat)}** (beside turn {aside.seq})"
    score = f"Score: {aside.value:g}" if aside.value is not None else ""
    return "\n\n".join(filter(None, [head, quoted(contained(aside.text)) if aside.text.strip() else "", score]))


SECTIONS = (
    ("claim", "Claims"),
    ("question", "Questions"),
    ("todo", "To do"),
    ("flag", "Flags"),
)
"""Kinds of items, and what each is called above a list of them."""


def annex(beside: Beside) -> list[str]:
    """Minutes, sources and measures as sections, those that there are."""
    parts = []
    if beside.items:
        parts.append("## Minutes")
        for kind, title in SECTIONS:
            if items := beside.of_kind(kind):
                parts += [f"### {title}", "\n".join(item_line(item) for item in items)]
    if beside.sources:
        parts.append("## Sources")
        for seq, source in beside.sources:
            where = ", ".join(filter(None, [escaped(source.title), escaped(source.source), escaped(source.place)]))
            parts.append(f"\\[{source.number}\\] {where} (given to turn {seq})\n\n{quoted(contained(source.text))}")
    if beside.measures:
        parts += ["## Measures", measures_table(beside)]
    return parts


def item_line(item: Item) -> str:
    """An item as an entry of a list: its text, unless its quote says it, the turn it rests on, and how it ended."""
    text = "" if item.verbatim else f"{escaped(item.text)}: "
    told = f"- {text}“{escaped(item.quote)}” ({escaped(item.seat)}, turn {item.seq})"
    if item.closed is not None:
        return f"{told}; closed in turn {item.closed}: “{escaped(item.closing)}”"
    return f"{told}; open" if item.open else told


def measures_table(beside: Beside) -> str:
    rows = ["| measure | turns | first | last | least | most | mean | course |", "|---|--:|--:|--:|--:|--:|--:|---|"]
    for name, points in beside.measures.items():
        values = [value for _, value in points]
        told = (values[0], values[-1], min(values), max(values), sum(values) / len(values))
        numbers = " | ".join(f"{value:.3f}" for value in told)
        rows.append(f"| {escaped(name)} | {len(values)} | {numbers} | {chart.sparkline(values)} |")
    return "\n".join(rows)
