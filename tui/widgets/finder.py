"""Search in everything that was ever said: words in, turns out, enter opens the run at that turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.record.reader import Reader
from engine.record.search import Hit, search
from engine.record.visible import one_line
from tui.background import run_in_background
from tui.state.figures import age

_LIMIT = 100
_ROOMY = 80
"""Cells from which on a title has its full length."""


class Finder(ModalScreen[Hit | None]):
    """Dismisses with the chosen turn, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="finder.cancel"),
        Binding("down,ctrl+n", "move(1)", "Down", show=False, id="finder.down", priority=True),
        Binding("up", "move(-1)", "Up", show=False, id="finder.up", priority=True),
    ]

    def __init__(self, database: Path, now: Callable[[], float]) -> None:
        super().__init__()
        self._database, self._now = database, now
        self._hits: list[Hit] = []
        self._asked = 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog finder"):
            yield Static("Search in everything said", classes="dialog--title")
            yield Input(placeholder='words, or "words together"', compact=True, classes="picker--filter")
            yield Static("", classes="dialog--about picker--state", markup=False)
            yield OptionList(compact=True, markup=False)
            yield Static("enter open the run there   esc back", classes="dialog--keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False

    @on(Input.Changed)
    def _search(self, event: Input.Changed) -> None:
        self._asked += 1
        asked, words = self._asked, event.value
        if not words.strip() or not self._database.exists():
            self._show(asked, [], words)
            return
        run_in_background(
            self.app,
            lambda: _hits(self._database, words),
            lambda found: self._show(asked, found, words),
            lambda why: self._say(asked, why),
        )

    def _show(self, asked: int, hits: list[Hit], words: str) -> None:
        if asked != self._asked or not self.is_attached:
            return
        self._hits = hits
        self._list(0)
        more = f"the best {_LIMIT}; more words find fewer" if len(hits) == _LIMIT else ""
        self._say(asked, more if hits else ("nobody said that" if words.strip() else ""))

    def on_resize(self) -> None:
        self.call_after_refresh(lambda: self._list(self.query_one(OptionList).highlighted or 0))

    def _list(self, chosen: int) -> None:
        listing = self.query_one(OptionList)
        width = max(listing.content_region.width - listing.styles.scrollbar_size_vertical - 2, 20)
        listing.clear_options()
        listing.add_options([Option(self._line(hit, width)) for hit in self._hits])
        listing.highlighted = chosen if self._hits else None

    def _say(self, asked: int, text: str) -> None:
        if asked == self._asked and self.is_attached:
            self.query_one(".picker--state", Static).update(text)

    def _line(self, hit: Hit, width: int) -> Text:
        """Who, what, and where to find it, in so many cells: what was said is cut, the words searched for stay."""
        title = one_line(hit.title, 30 if width > _ROOMY else 16)
        where = f"  {title} · turn {hit.seq} · {age(self._now() - hit.at)}"
        text = Text(f"{one_line(hit.seat, 14)}  ", style="bold", no_wrap=True)
        said = Text(style="not bold")
        for n, part in enumerate(hit.snippet.replace("\x03", "\x02").split("\x02")):
            said.append(_keep_edges(part), style="bold underline" if n % 2 else "")
        text.append_text(_window(said, max(width - text.cell_len - cell_len(where), 8)))
        text.append(where, style="not bold dim")
        return text

    @on(Input.Submitted)
    def _take(self) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None and at < len(self._hits):
            self.dismiss(self._hits[at])

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._hits[event.option_index])

    def action_move(self, rows: int) -> None:
        listing = self.query_one(OptionList)
        listing.action_cursor_down() if rows > 0 else listing.action_cursor_up()

    def action_cancel(self) -> None:
        self.dismiss(None)


def _window(said: Text, room: int) -> Text:
    """As much as fits, in which the first words that were found can be seen; always `room` cells wide."""
    first = next((span for span in said.spans if span.style), None)
    if first and cell_len(said.plain[: first.end]) >= room:
        start = max(first.start - room // 4, 0)
        said = Text("…").append_text(said[start:])
    said.truncate(room, overflow="ellipsis", pad=True)
    return said


def _keep_edges(part: str) -> str:
    """One line, with the spaces at its ends, which part the words that were found from those around them."""
    inner = one_line(part)
    if not inner:
        return " " if part else ""
    return (" " if part[0].isspace() else "") + inner + (" " if part[-1].isspace() else "")


def _hits(database: Path, words: str) -> list[Hit]:
    reader = Reader(database)
    try:
        return search(reader.db, words, limit=_LIMIT)
    finally:
        reader.close()
