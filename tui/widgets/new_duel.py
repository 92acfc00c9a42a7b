"""The form for a new duel: who sits on either side, on which model, how they begin, and what ends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from tui.background import run_in_background
from tui.state.draft import Draft
from tui.widgets.form import Field, Form, Line, Tick, row
from tui.widgets.models import ModelPicker
from tui.widgets.picker import Choice, Picker

_SIDES = ("First seat", "Second seat")


class NewDuel(Form):
    """Dismisses with the pipeline of the duel, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f5", "start", "Start the duel", id="new.start"),
        Binding("escape", "cancel", "Back", id="new.cancel"),
        Binding("down", "app.focus_next", "Next field", show=False, priority=True, id="new.next"),
        Binding("up", "app.focus_previous", "Previous field", show=False, priority=True, id="new.previous"),
    ]

    draft: Draft
    EARLY: ClassVar[tuple[str, ...]] = ("turns", "cost", "temperature")

    def __init__(self) -> None:
        super().__init__()
        self.draft = Draft()
        self._guests: list[dict[str, Any]] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog new-duel"):
            yield Static("New duel", classes="dialog--title")
            with VerticalScroll(can_focus=False):
                with Horizontal(classes="sides"):
                    for number, side in enumerate(_SIDES):
                        with Vertical(classes="side"):
                            yield Static(side, classes="side--title")
                            yield from row("guest", Field(f"persona{number}", "choose a guest"), f"persona{number}")
                            yield from row("model", Field(f"model{number}", "choose a model"), f"model{number}")
                            yield from row("", Tick(f"human{number}", "I sit here myself"), f"human{number}")
                with Vertical(classes="side"):
                    words = Line(placeholder="the first words, if you like", compact=True, id="opening")
                    yield from row("opening", words, "opening")
                with Horizontal(classes="sides"):
                    with Vertical(classes="side"):
                        yield from row("turns", Line("20", compact=True, id="turns"), "turns")
                        yield from row("cost", Line(placeholder="no limit, $", compact=True, id="cost"), "cost")
                    with Vertical(classes="side"):
                        yield from row(
                            "temperature",
                            Line(placeholder="the model's own", compact=True, id="temperature"),
                            "temperature",
                        )
            yield Static("", classes="dialog--fault", markup=False)
            yield Static("enter choose   tab next   ctrl+s start   esc back", classes="dialog--keys", markup=False)

    def on_mount(self) -> None:
        self.query_one("#persona0").focus()
        run_in_background(self.app, _personas, self._arrived, self.say)

    def _arrived(self, guests: list[dict[str, Any]]) -> None:
        self._guests = guests

    @on(Button.Pressed)
    def _choose(self, event: Button.Pressed) -> None:
        field = event.button
        assert isinstance(field, Field) and field.id
        number = int(field.id[-1])
        seat = self.draft.seats[number]

        def took(value: str | None) -> None:
            if value is None:
                return
            if field.id and field.id.startswith("model"):
                self._fill_model(number, value)
            else:
                guest = self._guest(value)
                seat.persona = value
                field.fill(value, f"{guest['name']} · {guest['description']}" if guest else value)
                if guest and guest["model"] and not seat.model:
                    self._fill_model(number, guest["model"])
            self.check()

        if field.id.startswith("model"):
            self.app.push_screen(ModelPicker(f"{_SIDES[number]}: which model?", seat.model or None), took)
        else:
            guests: Any = self._choices() if self._guests else self._read_guests
            self.app.push_screen(Picker(f"{_SIDES[number]}: who?", guests, current=seat.persona), took)

    def _fill_model(self, number: int, value: str) -> None:
        """The model of a seat; an untouched other seat gets the same one."""
        self.draft.seats[number].model = value
        self.query_one(f"#model{number}", Field).fill(value)
        other = self.draft.seats[1 - number]
        if not other.model:
            other.model = value
            self.query_one(f"#model{1 - number}", Field).fill(value)

    def _choices(self) -> Sequence[Choice]:
        return [
            Choice(guest["slug"], guest["name"] or guest["slug"], _about(guest), off=guest["error"] or "")
            for guest in self._guests
        ]

    def _read_guests(self) -> Sequence[Choice]:
        self._guests = _personas()
        return self._choices()

    def _guest(self, slug: str) -> dict[str, Any] | None:
        return next((guest for guest in self._guests if guest["slug"] == slug), None)

    @on(Tick.Turned)
    def _sit(self, event: Tick.Turned) -> None:
        assert event.tick.id
        number = int(event.tick.id[-1])
        self.draft.seats[number].human = event.tick.value
        self.query_one(f"#model{number}", Field).disabled = event.tick.value
        self.check()

    @property
    def fields(self) -> Sequence[str]:
        return (*(f"{kind}{number}" for kind in ("persona", "model") for number in (0, 1)), *self.EARLY)

    def pipeline(self) -> dict[str, Any]:
        return self.draft.pipeline()


def _about(guest: dict[str, Any]) -> str:
    parts = [guest["description"], guest["language"] if guest["language"] != "en" else None]
    return " · ".join(str(part) for part in parts if part)


def _personas() -> list[dict[str, Any]]:
    from engine.runs import catalog

    return catalog.personas()
