"""What forms are made of: the screen itself, a value chosen from a list, a box to tick, a row with label and fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from engine.record.visible import one_line


class Draft(Protocol):
    """What a form fills in."""

    def faults(self) -> dict[str, str]:
        """What is wrong, by field."""
        ...


class Form(ModalScreen[dict[str, Any] | None]):
    """Fills a draft, says what is wrong beside each field, and dismisses with the pipeline to start, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Before letters that are typed after it, which would go to the field that is left.
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
        Binding("enter", "go_on", show=False, priority=True),
    ]
    draft: Draft
    """Has an attribute for each field that is typed into, by its id."""
    EARLY: ClassVar[tuple[str, ...]]
    """What is checked as it is typed; the rest once starting was tried."""

    def __init__(self) -> None:
        super().__init__()
        self._tried = False
        self._waits = False

    @property
    def fields(self) -> Sequence[str]:
        """The fields that are checked."""
        raise NotImplementedError

    def pipeline(self) -> dict[str, Any] | None:
        """What the draft comes to; None while something that it is made of is still being read."""
        raise NotImplementedError

    def say(self, why: str) -> None:
        """One line under the fields."""
        if self.is_attached:
            self.query_one(".dialog--fault", Static).update(why)

    def check(self) -> dict[str, str]:
        """Show what is wrong beside its field."""
        faults = self.draft.faults()
        for name in self.fields:
            fault = faults.get(name, "") if self._tried or name in self.EARLY else ""
            label = self.query_one(f"#fault-{name}", Static)
            label.update(fault)
            label.display = bool(fault)
        if not faults:
            self.say("")
        return faults

    def read(self) -> None:
        """What the pipeline is made of has been read: start, if that was asked for meanwhile."""
        if self._waits and self.is_current:
            self.action_start()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        assert event.input.id
        setattr(self.draft, event.input.id, event.value)
        self.check()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return isinstance(self.focused, Input) if action == "go_on" else super().check_action(action, parameters)

    def action_go_on(self) -> None:
        """Enter leaves a line for the next field; elsewhere it opens or ticks."""
        self.focus_next()

    def action_start(self) -> None:
        self._tried, self._waits = True, False
        faults = self.check()
        if faults:
            self.say("A little is missing: see above." if len(faults) > 1 else next(iter(faults.values())))
            self.query_one(f"#{next(iter(faults))}").focus()
            return
        pipeline = self.pipeline()
        if pipeline is None:
            self._waits = True
        else:
            self.dismiss(pipeline)

    def action_cancel(self) -> None:
        self.dismiss(None)


class Line(Input):
    """A line of text. Keys act in the order they come: one that edits is not overtaken by letters behind it."""

    async def _on_key(self, event: events.Key) -> None:
        own = self._bindings.key_to_bindings.get(event.key)
        if own is None or event.is_printable:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        await self.app.run_action(own[0].action, self)


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
