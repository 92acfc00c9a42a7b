"""Where you speak: enter sends, ctrl+j begins a new line, ctrl+n or `/now` cuts in, `@SEAT` speaks for a seat."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

_ROWS = 5
_KEPT = 100
"""Sent texts that `up` recalls."""
_NOW = re.compile(r"/now(?:\s+|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was typed: the words, the seat they are said for, and whether they cut the turn in progress."""

    text: str
    seat: str | None = None
    now: bool = False


def parse(typed: str, seats: Sequence[str], *, now: bool = False) -> Utterance:
    """Take `/now` and `@SEAT` off the beginning. An `@` that names no seat is part of the text."""
    text, seat = typed.strip(), None
    if match := _NOW.match(text):
        text, now = text[match.end() :], True
    for name in sorted(seats, key=len, reverse=True):
        lead = f"@{name}"
        rest = text[len(lead) :]
        if text[: len(lead)].casefold() == lead.casefold() and (not rest or rest[0] in " \t\n:,"):
            text, seat = rest.lstrip(" \t\n:,"), name
            break
    if match := None if now else _NOW.match(text):
        text, now = text[match.end() :], True
    return Utterance(text, seat, now)


class Composer(TextArea):
    """Grows to five rows. What it holds survives everything but esc, and `up` brings back what esc cleared."""

    DEFAULT_CSS = """
    Composer { height: auto; max-height: 5; border: none; padding: 0; width: 1fr; background: transparent; }
    Composer:focus { border: none; background: transparent; }
    Composer .text-area--cursor-line { background: transparent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "send", id="composer.send", tooltip="Say it before the next turn"),
        Binding("ctrl+n", "send(True)", "say now", id="composer.now", tooltip="Cut the turn in progress and say it"),
        Binding("ctrl+j", "newline", "new line", id="composer.newline"),
        Binding("escape", "clear", "clear", id="composer.clear", tooltip="Clear the text; up brings it back"),
        Binding("escape", "leave", "leave", id="composer.leave", tooltip="Give the keys back"),
        Binding("up", "recall(-1)", "Up", show=False, id="composer.up"),
        Binding("down", "recall(1)", "Down", show=False, id="composer.down"),
    ]

    class Sent(Message):
        def __init__(self, text: str, now: bool) -> None:
            super().__init__()
            self.text, self.now = text, now

    class Left(Message):
        """The composer is done with."""

    def __init__(self, now: Callable[[], float], take: Callable[[events.Key], bool]) -> None:
        """`take(key)` may use a key before it is typed; `now` is a monotonic clock."""
        super().__init__(soft_wrap=True, show_line_numbers=False, tab_behavior="focus", compact=True)
        self._now, self._take = now, take
        self.typed = float("-inf")
        """When a key was last typed."""
        self._history: list[str] = []
        self._at = 0
        self._draft = ""
        self._begun = ""
        self._could_clear = False
        self.cursor_blink = False
        self.highlight_cursor_line = False

    @property
    def empty(self) -> bool:
        return not self.text

    def begin(self, text: str) -> None:
        """Put a text there to be changed; what was being written is kept for `up`. As long as it is there as it was
        put, esc leaves at once."""
        self._remember(self.text)
        self._put(text)
        self._begun = text
        self._relabel()

    async def _on_key(self, event: events.Key) -> None:
        if self._take(event):
            event.stop()
            event.prevent_default()
            return
        if event.is_printable or event.key in ("backspace", "delete"):
            self.typed = self._now()
        # Obeyed here, in the order of typing: as priority bindings they would overtake letters that are still queued.
        active = None if event.is_printable else self.screen.active_bindings.get(event.key)
        if active and active.enabled and active.node is self:
            event.stop()
            event.prevent_default()
            await self.run_action(active.binding.action)
            return
        await super()._on_key(event)

    def action_send(self, now: bool = False) -> None:
        """Hand the text over and clear it at once: what is typed from now on is the next text."""
        if self.text.strip():
            self.post_message(self.Sent(self.text, now))
            self._remember(self.text)
            self._put("")

    def action_newline(self) -> None:
        self.insert("\n")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("clear", "leave"):
            return self._to_clear == (action == "clear")
        return super().check_action(action, parameters)

    @property
    def _to_clear(self) -> bool:
        return not self.empty and self.text != self._begun

    def action_clear(self) -> None:
        self._remember(self.text)
        self._put("")
        self.post_message(self.Changed(self))

    def action_leave(self) -> None:
        self._put("")
        self.post_message(self.Left())

    @on(TextArea.Changed)
    def _relabel(self) -> None:
        """Have the line at the bottom say what esc does."""
        if self._to_clear != self._could_clear:
            self._could_clear = self._to_clear
            self.refresh_bindings()

    def action_recall(self, step: int) -> None:
        """Move in the text, and beyond its first or last row through what was sent before."""
        row = self.cursor_location[0]
        if (step < 0 and row > 0) or (step > 0 and row < self.document.line_count - 1):
            self.action_cursor_up() if step < 0 else self.action_cursor_down()
            return
        at = self._at + step
        if not 0 <= at <= len(self._history):
            return
        if self._at == len(self._history):
            self._draft = self.text
        self._at = at
        self._show(self._history[at] if at < len(self._history) else self._draft)

    def _remember(self, text: str) -> None:
        if text.strip() and (not self._history or self._history[-1] != text):
            self._history = [*self._history, text][-_KEPT:]

    def _put(self, text: str) -> None:
        self._begun = ""
        self._at = len(self._history)
        self._draft = ""
        self._show(text)

    def _show(self, text: str) -> None:
        self.load_text(text)
        self.move_cursor(self.document.end)
        self._relabel()
