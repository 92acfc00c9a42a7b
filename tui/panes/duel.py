"""Pane 3: one duel, live, two voices that have a side each where there is room."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from engine.record.reader import Reader
from tui.panes.talking import TalkingPane


class DuelPane(TalkingPane):
    """A conversation of two."""

    NAME: ClassVar[str] = "Duel"
    WORD: ClassVar[str] = "duel"
    EMPTY: ClassVar[str] = (
        "No duel is open.\n\n"
        "A duel is two guests talking to each other. Here you watch them, pause\n"
        "them, speak to them, take a seat yourself, or go back to a turn and let\n"
        "it go another way.\n\n"
        "1       choose a duel in Runs, or start one there with n\n"
        "?       all keys"
    )

    def __init__(self, reader: Callable[[], Reader | None], clock: Callable[[], float]) -> None:
        """`clock` is monotonic seconds."""
        super().__init__(reader, clock, id="duel")
