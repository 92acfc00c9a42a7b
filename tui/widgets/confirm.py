"""One question before something that cannot be undone: `y` does it, everything else leaves things as they are."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static


class Confirm(ModalScreen[bool]):
    """Dismisses with True for yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm.yes"),
        Binding("n,escape,q,enter", "answer(False)", "No", id="confirm.no"),
    ]

    def __init__(self, question: str, consequence: str, verb: str, otherwise: str = "keep it") -> None:
        super().__init__()
        self._question, self._consequence, self._verb = question, consequence, verb
        self._otherwise = otherwise

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog confirm"):
            yield Static(self._question, classes="dialog--title", markup=False)
            yield Static(self._consequence, classes="dialog--about", markup=False)
            yield Static(f"y {self._verb}   n {self._otherwise}", classes="dialog--keys", markup=False)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
