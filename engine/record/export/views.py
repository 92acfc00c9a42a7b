"""The conversation as one seat sees it: its own turns as the assistant's, everyone else's as the user's.

Only what counts is in it: partial, replaced, failed and skipped turns are left out. Neighbours of one role are
merged, and what follows the seat's last turn is cut off, so that every view ends with something to learn.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.record.export.source import Seat, Source

NOTE = "[A human listener says to you both: {text}]"
"""How a human's note is told from what another seat said; seats are told it in the same words."""


def messages(source: Source, seat: Seat) -> list[tuple[str, str]]:
    """(role, text) in order: the system prompt, if there was one, then user and assistant in alternation.

    A seat that spoke first answers what its model was really sent then (`Seat.start`), so that a user comes first.
    """
    talk: list[tuple[str, str]] = []
    for role, text in _said(source, seat):
        if not talk and role == "assistant" and seat.start:
            talk.append(("user", seat.start))
        if talk and talk[-1][0] == role:
            talk[-1] = (role, f"{talk[-1][1]}\n\n{text}")
        else:
            talk.append((role, text))
    while talk and talk[-1][0] != "assistant":
        talk.pop()
    return [("system", seat.system), *talk] if talk and seat.system else talk


def _said(source: Source, seat: Seat) -> Iterator[tuple[str, str]]:
    for turn in source.conversation:
        if turn.role != "note" and turn.seat == seat.name:
            yield "assistant", turn.text
            continue
        text = source.heard(turn.text) if source.heard else turn.text
        if text.strip():
            yield "user", NOTE.format(text=text) if turn.role == "note" else text
