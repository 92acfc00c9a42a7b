"""What panes ask the app for: a run opened, a new one, a search, an export, something done to a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual.message import Message

from engine.record.runs import Run

if TYPE_CHECKING:
    from engine.runs.control import Control


class Open(Message):
    """Show a run in the pane of its kind, at a turn where one is given."""

    def __init__(self, run_id: str, turn: int | None = None) -> None:
        super().__init__()
        self.run_id, self.turn = run_id, turn


class New(Message):
    """Offer the form of a new run."""


class Search(Message):
    """Offer a search in everything that was ever said."""


class Export(Message):
    """Offer to write a run as a document."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


class Evolve(Message):
    """Offer to have the question of a run evolve from generation to generation."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


class Command(Message):
    """Something for the controls, done in the background after all that was asked of `run`; `said` is shown."""

    def __init__(
        self,
        run: str,
        work: Callable[[Control], Any],
        done: Callable[[Any], object] | None = None,
        said: str = "",
    ) -> None:
        super().__init__()
        self.run, self.work, self.done, self.said = run, work, done, said
