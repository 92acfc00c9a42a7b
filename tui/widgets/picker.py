"""Choose one of many: type to filter, arrows to move, enter to take. The choices may still be on their way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.record.visible import one_line
from tui.background import run_in_background

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass(frozen=True, slots=True)
class Choice:
    """`value` is what is chosen; `off` says why it cannot be."""

    value: str
    label: str
    about: str = ""
    off: str = ""


class Picker(ModalScreen[str | None]):
    """Dismisses with the chosen value, or None.

    `choices` is a list, or a function that gets one and may be slow: it runs in the background behind a spinner.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="picker.cancel"),
        Binding("down,ctrl+n", "move(1)", "Down", show=False, id="picker.down", priority=True),
        Binding("up", "move(-1)", "Up", show=False, id="picker.up", priority=True),
        Binding("pagedown", "move(8)", "Page down", show=False, id="picker.page_down", priority=True),
        Binding("pageup", "move(-8)", "Page up", show=False, id="picker.page_up", priority=True),
    ]

    def __init__(
        self,
        title: str,
        choices: Sequence[Choice] | Callable[[], Sequence[Choice]],
        *,
        current: str | None = None,
        free: str = "",
        waiting: str = "looking",
    ) -> None:
        super().__init__()
        self._title, self._source, self._current, self._free = title, choices, current, free
        self._waiting = waiting
        self._choices: Sequence[Choice] | None = None
        self._spin = 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog picker"):
            yield Static(self._title, classes="dialog--title", markup=False)
            yield Input(placeholder="type to filter", compact=True, classes="picker--filter")
            yield Static("", classes="dialog--about picker--state", markup=False)
            yield OptionList(compact=True, markup=False)
            yield Static(
                "enter take   esc back" + (f"   {self._free}" if self._free else ""),
                classes="dialog--keys",
                markup=False,
            )

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False
        if callable(self._source):
            self._say(f"{_SPINNER[0]} {self._waiting}")
            self._timer = self.set_interval(0.1, self._turn)
            run_in_background(self.app, self._source, self._arrived, self._failed)
        else:
            self._arrived(self._source)

    def fault(self, typed: str) -> str:
        """What is wrong with a value that was typed instead of chosen; nothing where it can be taken."""
        return ""

    def _turn(self) -> None:
        if self._choices is None:
            self._spin += 1
            self._say(f"{_SPINNER[self._spin % len(_SPINNER)]} {self._waiting}")

    def _arrived(self, choices: Sequence[Choice]) -> None:
        if not self.is_attached:
            return
        if callable(self._source):
            self._timer.stop()
        self._choices = choices
        self._fill()

    def _failed(self, why: str) -> None:
        if self.is_attached:
            if callable(self._source):
                self._timer.stop()
            self._choices = []
            self._say(why)

    def _say(self, text: str) -> None:
        state = self.query_one(".picker--state", Static)
        state.display = bool(text)
        state.update(text, layout=False)

    def _fill(self) -> None:
        words = self.query_one(Input).value.lower().split()
        choices = [choice for choice in self._choices or () if _matches(choice, words)]
        listing = self.query_one(OptionList)
        listing.clear_options()
        listing.add_options([self._option(choice, str(n)) for n, choice in enumerate(choices)])
        self._found = choices
        usable = [n for n, choice in enumerate(choices) if not choice.off]
        here = next((n for n in usable if choices[n].value == self._current), None)
        listing.highlighted = here if here is not None else (usable[0] if usable else None)
        free = self.query_one(Input).value.strip() if self._free else ""
        nothing = "nothing matches; backspace widens the search"
        if free:
            nothing = self.fault(free) or f"enter takes “{one_line(free)}” as written"
        self._say("" if choices or self._choices is None else nothing)

    def _option(self, choice: Choice, name: str) -> Option:
        dim = "dim"
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(one_line(choice.label), style=dim if choice.off else "")
        about = choice.off or choice.about
        if about:
            text.append("  " + one_line(about), style=dim)
        return Option(text, id=name, disabled=bool(choice.off))

    @on(Input.Changed)
    def _filter(self) -> None:
        if self._choices is not None:
            self._fill()

    @on(Input.Submitted)
    def _take(self) -> None:
        at = self.query_one(OptionList).highlighted
        typed = self.query_one(Input).value.strip()
        if self._choices is not None and at is not None:
            self.dismiss(self._found[at].value)
        elif self._free and typed:
            fault = self.fault(typed)
            if fault:
                self._say(fault)
            else:
                self.dismiss(typed)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._found[event.option_index].value)

    def action_move(self, rows: int) -> None:
        listing = self.query_one(OptionList)
        for _ in range(abs(rows)):
            listing.action_cursor_down() if rows > 0 else listing.action_cursor_up()

    def action_cancel(self) -> None:
        self.dismiss(None)


def _matches(choice: Choice, words: list[str]) -> bool:
    text = f"{choice.value} {choice.label} {choice.about}".lower()
    return all(word in text for word in words)
