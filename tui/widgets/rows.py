"""The rows of a conversation that are on screen, drawn from the view state and repainted only where they differ.

No widget per message and no scroll bar: a place is a message and a row in it (`Viewport`), rows are kept until they
change (`Block`), so that 5,000 messages cost what ten do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from typing import Protocol

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from engine.record.visible import visible
from tui.state.entries import WAITING, Entry
from tui.state.find import Search
from tui.state.seats import SeatView
from tui.widgets import colours
from tui.widgets.blocks import Block
from tui.widgets.look import Look
from tui.widgets.status import spinner
from tui.widgets.viewport import Place, Viewport
from tui.widgets.wrapping import wrap

_INSET = 4
_KEPT = 400
"""Messages whose rows are kept; others are laid out again when they come into view."""


class Talk(Protocol):
    """What can be drawn: a conversation as it stands, or one that is played again."""

    entries: list[Entry]
    """In the order they are read."""
    moved: int
    """Grows whenever entries come or go anywhere but at the end."""
    seats: list[SeatView]

    @property
    def has_older(self) -> bool:
        """Whether there are turns before the first entry."""
        ...

    def said(self, seq: int) -> Entry | None:
        """The turn `seq` that counts, if it is loaded."""
        ...


class Rows(Widget, can_focus=True):
    """Draws `view`, the chosen entry marked and the hits of `search` standing out. Follows the end until scrolled.

    With `sides`, two voices have a side each where there is room; without, everyone speaks in one column.
    """

    def __init__(self, *, sides: bool = True) -> None:
        super().__init__()
        self.view: Talk | None = None
        self.cited: frozenset[int] = frozenset()
        """The numbers that in brackets mean a source."""
        self.empty = ""
        """What is said while there is nothing to show."""
        self._sides = sides
        self.search: Search | None = None
        self.chosen: int | None = None
        """The order of the chosen entry."""
        self.thinking = False
        """Whether thinking is unfolded everywhere."""
        self.drawn = 0
        """Rows repainted since the widget was made."""
        self._look: Look | None = None
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._port = Viewport(self._height, self._count)
        self._moved = 0
        self._seen = 0
        self._spin = " "
        self._top_order: int | None = None
        self._strips: list[Strip] = []
        self._places: list[Place] = []

    def show(self, view: Talk | None) -> None:
        """Show another conversation, from its end."""
        self.view = view
        self.search = self.chosen = None
        self.thinking = False
        self._blocks.clear()
        self._port.end()
        self._moved = view.moved if view else 0
        self._seen = self._newest()
        self.look_again()

    def sync(self, now: float) -> None:
        """Draw what has changed since the last time; `now` moves the spinner."""
        if self.view is not None:
            self._spin = spinner(now)
            self._update()

    def look_again(self) -> None:
        """Draw everything in view anew: width, colours, search or folding changed."""
        self._look = None
        self._update()

    @property
    def following(self) -> bool:
        return self._port.follow

    @property
    def below(self) -> int:
        """Turns that have come since the end was last in view."""
        if self.view is None or self._port.follow:
            return 0
        at = self._index(self._seen + 1)
        return sum(entry.kind == "turn" for entry in self.view.entries[at:] if entry.order < WAITING)

    def on_resize(self) -> None:
        self.look_again()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._look = None
        if self.is_attached:
            self._update()

    def render_line(self, y: int) -> Strip:
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self._look.palette.said if self._look else Style())

    def _count(self) -> int:
        return len(self.view.entries) if self.view else 0

    def _index(self, order: int) -> int:
        assert self.view
        return bisect_left(self.view.entries, order, key=lambda entry: entry.order)

    def _gap(self, index: int) -> int:
        """Blank rows above an entry: one, but none at the very top or between marks."""
        assert self.view
        entries = self.view.entries
        return int(index > 0 and not (entries[index].kind == "mark" == entries[index - 1].kind))

    def _height(self, index: int) -> int:
        return self._gap(index) + self._block(index).height(self._ensure_look())

    def _block(self, index: int) -> Block:
        assert self.view
        entry = self.view.entries[index]
        block = self._blocks.get(entry.order)
        if block is None or block.entry is not entry:
            block = self._blocks[entry.order] = Block(entry)
            if len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(entry.order)
        return block

    def _ensure_look(self) -> Look:
        if self._look is None:
            seats = tuple(seat.name for seat in self.view.seats) if self.view else ()
            background, foreground = colours.ground(self)
            self._look = Look(
                width=max(self.size.width, 20),
                palette=colours.palette(self.app, seats, background, foreground),
                seats=tuple(visible(seat) for seat in seats),
                needle=self.search.needle if self.search else None,
                thinking=self.thinking,
                sides=self._sides,
                cited=self.cited,
            )
        return self._look

    def _anchor(self) -> None:
        """Remember which entry is at the top, so that it stays there when others come above it."""
        index = self._port.top[0]
        self._top_order = self.view.entries[index].order if self.view and index < len(self.view.entries) else None

    def _remap(self) -> None:
        """Keep the place on screen when entries have come or gone above it."""
        if self.view is None or self.view.moved == self._moved:
            return
        self._moved = self.view.moved
        if not self._port.follow and self._top_order is not None:
            old, row = self._port.top
            index = min(self._index(self._top_order), max(self._count() - 1, 0))
            grown = int(old == 0 and index > 0)  # what was first has a blank row above it now
            self._port.top = (index, row + grown)

    def _update(self) -> None:
        """Work out the rows in view and repaint those that differ."""
        if not self.is_attached or not self.size.width:
            return
        self._remap()
        look = self._ensure_look()
        self._port.rows = self.size.height
        self._places = self._port.lines()
        entries = self.view.entries if self.view else []
        self._anchor()
        if entries and (self._port.follow or (self._places and self._places[-1][0] == len(entries) - 1)):
            self._seen = self._newest()
        blank = Strip.blank(look.width, look.palette.said)
        strips = [] if entries else [*self._nothing(look)]
        for index, row in self._places:
            row -= self._gap(index)
            here = entries[index].order == self.chosen
            strips.append(blank if row < 0 else self._block(index).strip(row, look, here, self._spin))
        if self.below and strips:
            strips[-1] = self._more_below(strips[-1], look)
        self._repaint(strips)

    def _nothing(self, look: Look) -> Iterator[Strip]:
        for line in visible(self.empty).splitlines():
            yield from (
                Strip([Segment(" " * _INSET + line[start:end], look.palette.about)]).adjust_cell_length(look.width)
                for start, end in wrap(line, max(look.width - 2 * _INSET, 8))
            )

    def _newest(self) -> int:
        entries = self.view.entries if self.view else []
        return max((entry.order for entry in entries[-8:] if entry.order < WAITING), default=0)

    def _more_below(self, strip: Strip, look: Look) -> Strip:
        label = f" ↓ {self.below} new below, G "
        place = max(look.width - len(label), 0)
        return Strip([*strip.crop(0, place), Segment(label, look.palette.hit)]).adjust_cell_length(
            look.width, look.palette.said
        )

    def _repaint(self, strips: list[Strip]) -> None:
        old, self._strips = self._strips, strips
        if old and abs(len(old) - len(strips)) <= 1:
            longest = max(len(old), len(strips))
            differ = [
                y
                for y in range(longest)
                if y >= len(old) or y >= len(strips) or (old[y] is not strips[y] and old[y] != strips[y])
            ]
        else:
            differ = list(range(self.size.height))
        self.drawn += len(differ)
        if len(differ) * 2 > self.size.height:
            self.refresh()
        elif differ:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in differ))
