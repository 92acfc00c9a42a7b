"""`?`: every key of the focused pane, made from the bindings themselves, and what its words mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keymap import Entry, file
from tui.widgets.wrapping import wrap


class Help(ModalScreen[None]):
    """Lists `entries`: key, what it does, the id to remap it by, and why it is off; then `words` and their meaning."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "Back", id="help.back"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="help.down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="help.up"),
    ]

    def __init__(self, place: str, entries: list[Entry], words: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._place, self._entries, self._words = place, entries, words

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog help"):
            yield Static(f"Keys in {self._place}", classes="dialog--title", markup=False)
            with VerticalScroll():
                yield Table(self._entries)
                if self._words:
                    yield Meanings(self._words)
            yield Static("", classes="dialog--about")
            yield Static(f"Your own keys, by the id on the right: {file()}", classes="dialog--about", markup=False)
            yield Static("j k scroll   esc back", classes="dialog--keys", markup=False)

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)


class Meanings(Static):
    """A word and what it means, folded beside it."""

    def __init__(self, words: Sequence[tuple[str, str]]) -> None:
        super().__init__(markup=False)
        self._words = words

    def on_resize(self, event: events.Resize) -> None:
        column = max(cell_len(word) for word, _ in self._words) + 2
        text = Text("\n", no_wrap=True)
        for word, meaning in self._words:
            for row, (start, end) in enumerate(wrap(meaning, max(event.size.width - column, 10))):
                text.append(set_cell_size("" if row else word, column), style="bold")
                text.append(meaning[start:end] + "\n")
        text.rstrip()
        self.update(text)


class Table(Static):
    """Three columns; what a key does is folded into the middle one."""

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__(markup=False)
        self._entries = sorted(entries, key=_group)
        self._keys = max((cell_len(entry.shown_keys) for entry in entries), default=0) + 2
        self._ids = max((cell_len(entry.id) for entry in entries), default=0)

    def on_resize(self, event: events.Resize) -> None:
        self.update(self._text(event.size.width))

    def _text(self, width: int) -> Text:
        room = max(width - self._keys - self._ids - 2, 10)
        text = Text(no_wrap=True)
        group = None
        for entry in self._entries:
            if group is not None and group // 10 != _group(entry) // 10:
                text.append("\n")
            group = _group(entry)
            detail = entry.detail[0].upper() + entry.detail[1:]
            said = [(detail[start:end], "dim" if entry.off else "") for start, end in wrap(detail, room)]
            if entry.off:
                off = f"off: {entry.off}"
                said += [(f"  {off[start:end]}", "dim italic") for start, end in wrap(off, room - 2)]
            for row, (words, style) in enumerate(said):
                text.append(set_cell_size("" if row else entry.shown_keys, self._keys), style="bold")
                text.append(set_cell_size(words, room), style=style)
                text.append("" if row else f"  {entry.id}", style="dim")
                text.append("\n")
        text.rstrip()
        return text


def _group(entry: Entry) -> int:
    """What one does here, the keys of the footer first; moving about; what works everywhere."""
    if entry.id.startswith("app."):
        return 20
    return 10 if entry.detail == entry.label else 0 if entry.show else 1
