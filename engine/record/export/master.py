"""The transcript by rounds: title, configuration, seed, and for each round its blocks by role.

Its headings of the first and second level, its rules and its bold NextPrompt lines are its own: whatever a model
wrote stands below them, so that a program may read the structure line by line.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.record import next_prompt
from engine.record.export import facts, rounds
from engine.record.export.beside import OfTurn, by_turn
from engine.record.export.contained import contained
from engine.record.export.escaping import escaped, quoted
from engine.record.export.rounds import Round
from engine.record.export.source import Source
from engine.record.turns import State, Turn


def render(source: Source) -> str:
    parts = [f"# Transcript: {escaped(source.run.title)}"]
    parts.append("\n".join(f"- {escaped(name)}: {escaped(value)}" for name, value in configuration(source)))
    parts.append(f"**Seed:**\n\n{quoted(contained(facts.topic(source)))}")
    parts.append("---")
    parts += blocks(source)
    return "\n\n".join(parts) + "\n"


def blocks(source: Source) -> list[str]:
    """One text for each round, as it stands in the transcript."""
    beside = by_turn(source.beside)
    return [_round(item, beside) for item in rounds.of(source)]


def configuration(source: Source) -> list[tuple[str, str]]:
    """The facts, and what of the run's description shapes the talk."""
    found = [item for item in facts.of(source) if item[0] != "Question"]
    limits = source.spec.get("limits")
    if isinstance(limits, dict):
        told = [f"{value} {name}" for name, value in limits.items() if value]
        found.append(("Limits", ", ".join(told) or "none"))
    mediator = source.spec.get("mediator")
    if isinstance(mediator, dict):
        found.append(("Mediator", f"every {mediator['every']} turns" if mediator.get("every") else "off"))
    for key in ("chain", "literal"):
        if key in source.spec:
            found.append((key.capitalize(), "on" if source.spec[key] else "off"))
    return found


def _round(item: Round, beside: Mapping[int, OfTurn]) -> str:
    parts = [f"# Turn {item.number}"]
    for turn in item.turns:
        parts.append(_block(turn))
        if turn.role == "turn" and turn.seq in beside:
            parts += [
                f"## {escaped(aside.seat)}\n\n{contained(aside.text) or '(nothing)'}"
                + (f"\n\nScore: {aside.value:g}" if aside.value is not None else "")
                for aside in beside[turn.seq].asides
            ]
    if item.next_prompt:
        parts.append(f"**NextPrompt:** {escaped(item.next_prompt)}")
    parts.append("---")
    return "\n\n".join(parts)


def _block(turn: Turn) -> str:
    head = f"## {escaped(turn.seat)}" + (" (note)" if turn.role == "note" else "")
    text = next_prompt.strip(turn.text) if turn.role == "turn" else turn.text
    body = contained(text) or "(nothing)"
    state = "" if turn.state is State.FINISHED else f"\n\n({facts.STATES[turn.state]})"
    return f"{head}\n\n{body}{state}"
