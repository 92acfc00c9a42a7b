"""The conversation as one seat sees it: its own turns as the assistant's, everyone else's as the user's.

Only what counts is in it: partial, replaced, failed and skipped turns are left out. Neighbours of one role are
merged, and what follows the seat's last turn is cut off, so that every view ends with something to learn. With more
than two seats at the table, others' turns begin with the name of who said it. The line that names the next round's
topic is only in the view of the seat that wrote it; what a seat was told to do for a turn stands right before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.record import next_prompt
from engine.record.export.source import Seat, Source

NOTE = "[A human listener says to you both: {text}]"
"""How a human's note is told from what another seat said; two seats are told it in the same words."""
NOTE_TO_ALL = "[A human listener says: {text}]"
"""The same for any other number of seats."""


def messages(source: Source, seat: Seat) -> list[tuple[str, str]]:
    """(role, text) in order: the system prompt, if there was one, then user and assistant in alternation.

    A seat that spoke first answers what its model was really sent then (`Seat.start`), so that a user comes first.
    """
    talk: list[tuple[str, str]] = []
    for role, text in _said(source, seat):
        if not talk and role == "assistant" and (before := seat.start or _question(source)):
            talk.append(("user", before))
        if talk and talk[-1][0] == role:
            talk[-1] = (role, f"{talk[-1][1]}\n\n{text}")
        else:
            talk.append((role, text))
    while talk and talk[-1][0] != "assistant":
        talk.pop()
    return [("system", seat.system), *talk] if talk and seat.system else talk


def _question(source: Source) -> str:
    question = source.spec.get("question")
    return question.strip() if isinstance(question, str) else ""


def _said(source: Source, seat: Seat) -> Iterator[tuple[str, str]]:
    two = len(source.table) == 2
    for turn in source.conversation:
        if turn.role != "note" and turn.seat == seat.name:
            if task := source.tasks.get(turn.n):
                yield "user", task
            yield "assistant", turn.text
            continue
        text = next_prompt.strip(source.heard(turn.text) if source.heard else turn.text)
        if not text.strip():
            continue
        if turn.role == "note":
            yield "user", (NOTE if two else NOTE_TO_ALL).format(text=text)
        else:
            yield "user", text if two else f"{turn.seat}: {text}"
