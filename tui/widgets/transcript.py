"""The conversation under one's fingers: scrolling, choosing a message, searching, copying."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from engine.record.visible import visible
from tui.keymap import Explains
from tui.state.entries import WAITING, Entry
from tui.state.find import Search, pattern
from tui.widgets.rows import Rows, Talk

_WHEEL = 3
_PATIENCE = 0.02
"""Seconds that reading older pages may hold up a key."""


class Transcript(Explains, Rows):
    """Follows the end until it is scrolled; then says how much is new below. `[` and `]` choose a message."""

    DEFAULT_CSS = "Transcript { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll(1)", "Down", show=False, id="transcript.down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="transcript.up"),
        Binding("ctrl+d", "pages(0.5)", "Half a page down", show=False, id="transcript.half_down"),
        Binding("ctrl+u", "pages(-0.5)", "Half a page up", show=False, id="transcript.half_up"),
        Binding("pagedown,ctrl+f", "pages(1)", "Page down", show=False, id="transcript.page_down"),
        Binding("pageup", "pages(-1)", "Page up", show=False, id="transcript.page_up"),
        Binding("g,home", "first", "First", show=False, id="transcript.first", tooltip="The beginning of the talk"),
        Binding("G,end", "last", "Last", show=False, id="transcript.last", tooltip="The end, and stay there"),
        Binding("left_square_bracket", "choose(-1)", "message up", show=False, id="transcript.previous",
                tooltip="Choose the message before"),
        Binding("right_square_bracket", "choose(1)", "message down", show=False, id="transcript.next",
                tooltip="Choose the message after"),
        Binding("enter", "detail", "details", show=False, id="transcript.detail",
                tooltip="The chosen message in full: model, options, timing, tokens, cost, thinking"),
        Binding("o", "thinking", "thinking", show=False, id="transcript.thinking",
                tooltip="Unfold or fold the thinking: of the chosen message, or all"),
        Binding("n", "hit(-1)", "older hit", show=False, id="transcript.older_hit",
                tooltip="The hit before, reading older turns where needed"),
        Binding("N", "hit(1)", "newer hit", show=False, id="transcript.newer_hit", tooltip="The hit after"),
    ]  # fmt: skip

    class Detail(Message):
        """A message is to be shown in full."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    class Moved(Message):
        """Another message is chosen, or another hit is found."""

    def __init__(self, load_older: Callable[[], int], *, sides: bool = True) -> None:
        """`load_older` reads one more page into the conversation; returns how many entries came."""
        super().__init__(sides=sides)
        self._load_older = load_older
        self._goal: Callable[[], bool] | None = None

    def show(self, view: Talk | None) -> None:
        self._goal = None
        super().show(view)

    def sync(self, now: float) -> None:
        if self._goal:
            self._pursue(self._goal)
        super().sync(now)

    @property
    def current(self) -> Entry | None:
        """The chosen entry, else the newest turn in view that has ended."""
        if self.view is None:
            return None
        entry = self._chosen_entry()
        if entry:
            return entry
        shown = [self.view.entries[index] for index, _ in self._places if index < len(self.view.entries)]
        return next((item for item in reversed(shown) if item.counts), None)

    @property
    def chosen_entry(self) -> Entry | None:
        """The entry that was chosen, if one is."""
        return self._chosen_entry()

    def find(self, words: str) -> None:
        """Search for words, from the end of what is in view upwards; no words end the search."""
        needle = pattern(words)
        self.search = Search(needle) if needle else None
        self._look = None
        if self.search and self.view:
            last = self._places[-1][0] if self._places else 0
            self._seek(self.view.entries[last].order + 1 if self.view.entries else 0)
        else:
            self._goal = None
        self._update()

    @property
    def searching(self) -> str:
        """What the search has found, in words."""
        if self.search is None or self.view is None:
            return ""
        if self._goal:
            return "looking through older turns"
        number = self.search.number(self.chosen) if self.chosen is not None else 0
        total = len(self.search.hits)
        more = "+" if self.view.has_older else ""
        if not total:
            return "not found"
        return f"{number} of {total}{more}" if number else f"{total}{more} found"

    def go_to(self, seq: int) -> None:
        """Choose a turn by its number, reading older pages until it is there."""

        def found() -> bool:
            entry = self.view.said(seq) if self.view else None
            if entry:
                self._choose(entry.order)
            return entry is not None

        self._pursue(found)

    def unchoose(self) -> bool:
        """Let go of the search, then of the chosen message; False when there was neither."""
        if self.search:
            self.find("")
        elif self.chosen is not None:
            self.chosen = None
        else:
            return False
        self._update()
        self.post_message(self.Moved())
        return True

    def why_off(self, action: str) -> str | None:
        if action == "hit" and self.search is None:
            return "nothing is searched for; / searches"
        if action in ("copy", "detail") and self.current is None:
            return "nothing was said yet"
        return None

    def action_scroll(self, rows: int) -> None:
        self._port.scroll(rows)
        self._after_moving()

    def action_pages(self, pages: float) -> None:
        self.action_scroll(round(pages * max(self.size.height - 1, 1)))

    def action_first(self) -> None:
        def there() -> bool:
            self._port.home()
            return self.view is None or not self.view.has_older

        self._pursue(there)
        self._update()

    def action_last(self) -> None:
        self.chosen = None
        self._port.end()
        self._update()
        self.post_message(self.Moved())

    def action_choose(self, step: int) -> None:
        if self.view is None:
            return
        entries = self.view.entries
        if self.chosen is None:
            shown = [index for index, _ in self._places if index < len(entries)]
            at = len(entries) if not shown else shown[-1] + 1 if step < 0 else shown[0] - 1
        else:
            at = self._index(self.chosen)
        at += step
        while 0 <= at < len(entries) and entries[at].kind == "mark":
            at += step
        if at < 0 and self.view.has_older and self._load_older():
            self._remap()
            self.action_choose(step)
        elif 0 <= at < len(entries):
            self._choose(entries[at].order)

    def action_detail(self) -> None:
        if self.current:
            self.post_message(self.Detail(self.current))

    def action_copy(self) -> None:
        entry = self.current
        if entry:
            self.app.copy_to_clipboard(visible(entry.text))
            what = f"turn {entry.seq} of {entry.seat}" if entry.kind == "turn" else f"the note of {entry.seat}"
            self.notify(f"copied {visible(what)}, {len(entry.text):,} characters", timeout=3, markup=False)

    def action_thinking(self) -> None:
        entry = self._chosen_entry()
        if entry:
            block = self._block(self._index(entry.order))
            block.unfolded = not block.unfolded
        else:
            self.thinking = not self.thinking
            self._look = None
        self._update()

    def action_hit(self, step: int) -> None:
        if self.search is None or self.view is None:
            return
        self.search.update(self.view.entries)
        here = self.chosen if self.chosen is not None else WAITING * 2
        if step > 0:
            found = self.search.after(here)
            if found is not None:
                self._choose(found)
        else:
            self._seek(here)
            self._update()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll(-_WHEEL)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll(_WHEEL)

    def on_click(self, event: events.Click) -> None:
        if self.view and event.y < len(self._places):
            entry = self.view.entries[self._places[event.y][0]]
            if entry.kind != "mark":
                self._choose(entry.order)

    def _seek(self, before: int) -> None:
        """Choose the hit before a place, older pages included."""

        def found() -> bool:
            if self.search is None or self.view is None:
                return True
            self.search.update(self.view.entries)
            order = self.search.before(before)
            if order is not None:
                self._choose(order)
            return order is not None

        self._pursue(found)

    def _pursue(self, reached: Callable[[], bool]) -> None:
        """Read older pages until something is reached or nothing is left; what takes longer goes on in later ticks."""
        deadline = time.monotonic() + _PATIENCE
        self._goal = None
        while not reached():
            if not (self.view and self.view.has_older):
                break
            if time.monotonic() > deadline:
                self._goal = reached
                break
            self._anchor()
            if not self._load_older():
                break
        self.post_message(self.Moved())

    def _choose(self, order: int) -> None:
        self._remap()
        self._places = self._port.lines()  # older pages may have come since they were drawn
        self.chosen = order
        index = self._index(order)
        hit = self._hit_row(index)
        if hit is not None and (index, hit) not in self._places:
            self._port.centre(index, hit)
        elif hit is None:
            self._port.show(index)
        self._after_moving()
        self.post_message(self.Moved())

    def _hit_row(self, index: int) -> int | None:
        """The row of an entry in which the search's first hit begins."""
        if self.search is None:
            return None
        row = self._block(index).row_of(self.search.needle, self._ensure_look())
        return None if row is None else row + self._gap(index)

    def _chosen_entry(self) -> Entry | None:
        if self.view is None or self.chosen is None:
            return None
        at = self._index(self.chosen)
        found = self.view.entries[at] if at < len(self.view.entries) else None
        return found if found and found.order == self.chosen else None

    def _after_moving(self) -> None:
        if self.view and self.view.has_older and self._port.top[0] < 2 and not self._port.follow:
            self._anchor()
            self._load_older()
        self._update()
