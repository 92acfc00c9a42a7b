"""The conversation as one seat sees it: its own turns as the assistant's, everyone else's as the user's.

Only what counts is in it: partial, replaced, failed and skipped turns are left out. Neighbours of one role are
merged, and what follows the seat's last turn is cut off, so that every view ends with something to learn.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.record.export.source import Seat, Source

NOTE = "[{name}] {text}"
"""How a human's note is told from what another seat said."""


def messages(source: Source, seat: Seat) -> list[tuple[str, str]]:
    """(role, text) in order: the system prompt, if there was one, then user and assistant in alternation."""
    found = [("system", seat.system)] if seat.system else []
    for role, text in _said(source, seat):
        if found and found[-1][0] == role:
            found[-1] = (role, f"{found[-1][1]}\n\n{text}")
        else:
            found.append((role, text))
    while found and found[-1][0] != "assistant":
        found.pop()
    return found


def _said(source: Source, seat: Seat) -> Iterator[tuple[str, str]]:
    for turn in source.conversation:
        if turn.role == "note":
            yield "user", NOTE.format(name=turn.seat, text=turn.text)
        else:
            yield ("assistant" if turn.seat == seat.name else "user"), turn.text
