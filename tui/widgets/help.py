"""`?`: every key of the focused pane, made from the bindings themselves."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.keymap import Entry, file


class Help(ModalScreen[None]):
    """Lists `entries`: key, what it does, the id to remap it by, and why it is off."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "Back", id="help.back"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="help.down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="help.up"),
    ]

    def __init__(self, place: str, entries: list[Entry]) -> None:
        super().__init__()
        self._place, self._entries = place, entries

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog help"):
            yield Static(f"Keys in {self._place}", classes="dialog--title", markup=False)
            with VerticalScroll():
                yield Static(self._table())
            yield Static("", classes="dialog--about")
            yield Static(f"Your own keys, by the id on the right: {file()}", classes="dialog--about", markup=False)
            yield Static("j k scroll   esc back", classes="dialog--keys", markup=False)

    def _table(self) -> Text:
        keys = max((cell_len(entry.shown_keys) for entry in self._entries), default=0) + 2
        details = max((cell_len(entry.detail) for entry in self._entries), default=0) + 2
        text = Text(no_wrap=True, overflow="ellipsis")
        for group in (0, 1, 2):
            for entry in self._entries:
                if _group(entry) != group:
                    continue
                text.append(set_cell_size(entry.shown_keys, keys), style="bold")
                detail = entry.detail[0].upper() + entry.detail[1:]
                text.append(set_cell_size(detail, details), style="dim" if entry.off else "")
                text.append(f"{entry.id}\n", style="dim")
                if entry.off:
                    text.append(" " * keys + f"  off: {entry.off}\n", style="dim italic")
            text.append("\n" if group < 2 else "")
        text.rstrip()
        return text

    def action_scroll(self, rows: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)


def _group(entry: Entry) -> int:
    """What one does here, moving about, and what works everywhere."""
    return 2 if entry.id.startswith("app.") else 0 if entry.detail != entry.label else 1
