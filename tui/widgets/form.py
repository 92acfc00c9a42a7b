"""The parts that forms are made of: a value chosen from a list, a box to tick, a row with its label and its fault."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Static

from engine.record.visible import one_line


class Field(Button):
    """A value that is chosen from a list: enter opens it."""

    def __init__(self, field: str, placeholder: str) -> None:
        super().__init__(placeholder, id=field, classes="field", compact=True)
        self._placeholder = placeholder
        self.value = ""

    def fill(self, value: str, shown: str = "") -> None:
        self.value = value
        self.set_class(bool(value), "-filled")
        self.label = Text(one_line(shown or value) or self._placeholder, no_wrap=True, overflow="ellipsis")


class Tick(Button):
    """A box to tick: enter or space turns it over."""

    class Turned(Message):
        def __init__(self, tick: Tick) -> None:
            super().__init__()
            self.tick = tick

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "press", show=False)]

    def __init__(self, field: str, text: str, *, value: bool = False) -> None:
        super().__init__(_ticked(text, value), id=field, classes="field -filled", compact=True)
        self._text = text
        self.value = value

    def press(self) -> Tick:
        self.value = not self.value
        self.label = _ticked(self._text, self.value)
        self.post_message(self.Turned(self))
        return self


def _ticked(text: str, value: bool) -> Text:
    return Text(f"[{'x' if value else ' '}] {text}")


class Row(Vertical):
    """A row that comes later than the form."""

    DEFAULT_CSS = "Row { height: auto; }"

    def __init__(self, label: str, field: Widget, name: str) -> None:
        super().__init__()
        self._parts = label, field, name

    def compose(self) -> ComposeResult:
        yield from row(*self._parts)


def row(label: str, widget: Widget, name: str) -> ComposeResult:
    """A labelled row, and under it the line `fault-NAME`, hidden until something is wrong."""
    with Horizontal(classes="row"):
        yield Static(label, classes="row--label", markup=False)
        yield widget
    fault = Static("", classes="row--fault", id=f"fault-{name}", markup=False)
    fault.display = False
    yield fault
