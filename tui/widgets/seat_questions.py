"""The app's own questions about seats: which one, and what of it is to change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from engine.record.visible import one_line
from tui.state.seats import SeatView
from tui.widgets.ask_card import Choice, Question
from tui.widgets.models import ModelPicker
from tui.widgets.picker import Choice as Item
from tui.widgets.picker import Picker

if TYPE_CHECKING:
    from tui.widgets.steering import Steering

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def letters(names: Sequence[str]) -> list[str]:
    """A letter for each name: the first of its own that no name before it has."""
    found: list[str] = []
    for name in names:
        own = [letter for letter in name.lower() if letter in _LETTERS]
        found.append(next(letter for letter in [*own, *_LETTERS] if letter not in found))
    return found


def which_seat(seats: Sequence[SeatView], then: Callable[[str], object]) -> Question:
    """Whose seat to take, or to hand back."""
    choices = tuple(
        Choice(letter, seat.name, f"{'hand back' if seat.human else 'speak for'} {one_line(seat.name)}")
        for letter, seat in zip(letters([seat.name for seat in seats]), seats, strict=True)
    )
    return Question("Which seat?  esc leaves it", choices, then=then)


def which_other(seats: Sequence[SeatView], then: Callable[[str], object]) -> Question:
    """Which seat has another model in the fork."""
    return Question("Which seat is on another model in the fork?  esc leaves it", _named(seats), then=then)


def which_change(pane: Steering, seats: Sequence[SeatView], then: Callable[[str, dict[str, Any]], object]) -> None:
    """Ask which seat, then what of it, then for the new value; calls `then(seat, changes)`."""

    def what(name: str) -> None:
        seat = next(item for item in seats if item.name == name)
        choices = (
            Choice("m", "model", f"model ({one_line(seat.model, 24) or 'none'})"),
            Choice("g", "persona", f"guest ({one_line(seat.persona, 16)})"),
            Choice("t", "temperature", f"temperature ({seat.options.get('temperature', 'as the model has it')})"),
        )
        text = f"What of {one_line(name, 24)} changes from its next turn on?"
        pane.card.put(Question(text, choices, then=lambda value: _value(pane, seat, value, then)))

    pane.card.put(Question("Which seat changes?  esc leaves it", _named(seats), then=what))


def _named(seats: Sequence[SeatView]) -> tuple[Choice, ...]:
    found = zip(letters([seat.name for seat in seats]), seats, strict=True)
    return tuple(Choice(letter, seat.name, one_line(seat.name)) for letter, seat in found)


def _value(pane: Steering, seat: SeatView, what: str, then: Callable[[str, dict[str, Any]], object]) -> None:
    def take(value: str | None) -> None:
        if value:
            then(seat.name, {what: value})

    if what == "model":
        pane.app.push_screen(ModelPicker(f"A model for {one_line(seat.name)}", seat.model), take)
    elif what == "persona":
        pane.app.push_screen(Picker(f"Who sits for {one_line(seat.name)}?", _guests, current=seat.persona), take)
    else:
        from tui.widgets.steering import Mode

        def warm(text: str) -> None:
            try:
                degree = float(text.strip().replace(",", "."))
            except ValueError:
                pane.notify(f"{one_line(text, 20)} is no number; 0.7 is one", severity="error", markup=False)
                return
            then(seat.name, {"options.temperature": degree})

        pane.use_composer(Mode(f"temperature of {seat.name}", warm))
        pane.composer.begin(str(seat.options.get("temperature", "")))
        pane.composer.focus()


def _guests() -> list[Item]:
    from engine.runs import catalog

    return [
        Item(guest["slug"], guest["name"] or guest["slug"], guest["description"] or "", off=guest["error"] or "")
        for guest in catalog.personas()
    ]
