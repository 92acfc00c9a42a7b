"""Rows of several lines each, and a cursor on those that enter does something with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from rich.segment import Segment
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from tui.keymap import Explains
from tui.widgets import colours
from tui.widgets.colours import Palette
from tui.widgets.viewport import Place, Viewport

_WHEEL = 3
_MARK = 1
"""Cells before everything, for the cursor."""


class Entry(Protocol):
    """What a row must say of itself."""

    @property
    def name(self) -> str:
        """By which it is found again once the rows are others; empty for one that nobody looks for."""

    @property
    def acts(self) -> bool:
        """Whether enter does something with it."""


E = TypeVar("E", bound=Entry)


class CursorRows(Explains, Widget, Generic[E]):
    """Draws the rows it is given (`_put`); whoever derives from it binds keys to its actions."""

    def __init__(self) -> None:
        super().__init__()
        self.unfolded = False
        self._rows: list[E] = []
        self._cursor = 0
        self._made: object = None
        """What the rows were worked out from."""
        self._laid: dict[int, list[list[Segment]]] = {}
        self._lines: list[Place] = []
        self._palette: Palette | None = None
        self._port = Viewport(lambda n: len(self._lay_out(n)), lambda: len(self._rows))
        self._port.follow = False

    # -- what differs

    def work_out(self) -> None:
        """Give the rows to `_put` where something that they depend on is another."""
        raise NotImplementedError

    def draw(self, row: E, width: int, palette: Palette) -> list[list[Segment]]:
        """The lines of one row, without the cursor's cell."""
        raise NotImplementedError

    @property
    def coloured(self) -> Sequence[str]:
        """Names that have a colour of their own."""
        return ()

    # -- the rows

    @property
    def current(self) -> E | None:
        """The row under the cursor."""
        return self._rows[self._cursor] if self._cursor < len(self._rows) else None

    def _put(self, rows: list[E]) -> None:
        """Draw other rows; the cursor stays on its entry."""
        kept, self._rows, self._palette = self.current, rows, None
        self._laid.clear()
        if kept:
            same = (n for n, row in enumerate(rows) if row.name and row.name == kept.name)
            self._cursor = next(same, min(self._cursor, max(len(rows) - 1, 0)))
        if self.has_focus:
            self._settle()
        self.refresh()
        self.refresh_bindings()

    def _from_the_top(self) -> None:
        self._port.home()
        self._port.follow = False

    def _settle(self) -> None:
        """Put the cursor on something that can be opened, if there is anything."""
        if not (self.current and self.current.acts):
            self._cursor = next((n for n, row in enumerate(self._rows) if row.acts), 0)

    # -- keys and the mouse

    def action_fold(self) -> None:
        self.unfolded = not self.unfolded
        self.work_out()

    def action_move(self, step: int) -> None:
        """To the next row that does something; where there is none, scroll."""
        at = self._cursor + step
        while 0 <= at < len(self._rows) and not self._rows[at].acts:
            at += step
        if 0 <= at < len(self._rows):
            self._cursor = at
            self._port.show(at)
            self.refresh_bindings()
        else:
            self._port.scroll(step)
        self._port.follow = False
        self.refresh()

    def action_scroll(self, rows: int) -> None:
        self._port.scroll(rows)
        self._port.follow = False
        self.refresh()

    def action_first(self) -> None:
        self._cursor = 0
        self._settle()
        self._from_the_top()
        self.refresh()

    def action_last(self) -> None:
        self._cursor = len(self._rows)
        self.action_move(-1)
        self._port.top = self._port.bottom()
        self.refresh()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll(-_WHEEL)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll(_WHEEL)

    # -- drawing

    def on_focus(self) -> None:
        self._settle()
        self.refresh()
        self.refresh_bindings()

    def on_blur(self) -> None:
        self.refresh()

    def on_resize(self) -> None:
        self._port.rows = max(self.size.height, 1)
        self._made = None
        self.work_out()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._made = None
        if self.is_attached:
            self.work_out()

    def render_line(self, y: int) -> Strip:
        palette = self._ensure_palette()
        if y == 0:
            self._lines = self._port.lines()
        if y >= len(self._lines):
            return Strip.blank(self.size.width, palette.said)
        index, row = self._lines[y]
        here = self.has_focus and index == self._cursor and self._rows[index].acts
        mark = ("▸" if row == 0 else "│") if here else " "
        parts = [Segment(mark, palette.you), *self._lay_out(index)[row]]
        return Strip(parts).crop(0, self.size.width).adjust_cell_length(self.size.width, palette.said)

    def _ensure_palette(self) -> Palette:
        if self._palette is None:
            self._palette = colours.palette(self.app, self.coloured, *colours.ground(self))
        return self._palette

    def _lay_out(self, index: int) -> list[list[Segment]]:
        found = self._laid.get(index)
        if found is None:
            width = max(self.size.width - _MARK - 1, 8)
            found = self._laid[index] = self.draw(self._rows[index], width, self._ensure_palette())
        return found
