"""The list of runs, drawn line by line: only what is on screen costs anything, whatever the record holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from engine.record.runs import Run, Status
from engine.record.visible import one_line
from tui.state.figures import age, count
from tui.state.shelf import Shelf, glyph, is_part, word

_WIDE = 2 + 11 + 7 + 8 + 8 + 7
"""Cells of all columns but the title: cursor, state, kind, turns, tokens, age."""
_NARROW = 2 + 11 + 8 + 7
"""The same without kind and tokens, for lists too small to hold a title beside them."""
_PLACE = 12
"""Characters of the place of a run in its series, at most."""
_STATUS_STYLE = {
    Status.QUEUED: "runs--about",
    Status.RUNNING: "runs--live",
    Status.PAUSED: "runs--about",
    Status.WAITING: "runs--need",
    Status.FINISHED: "runs--chrome",
    Status.STOPPED: "runs--chrome",
    Status.FAILED: "runs--bad",
    Status.CRASHED: "runs--bad",
}
_COMPONENTS = {
    "runs--said",
    "runs--about",
    "runs--chrome",
    "runs--live",
    "runs--need",
    "runs--bad",
    "runs--cursor",
    "runs--cursor-blurred",
}


class RunHeads(Widget):
    """The names of the columns, above the list."""

    def render_line(self, y: int) -> Strip:
        width, style = self.size.width, self.rich_style
        narrow = _narrow(width)
        text = "  " + set_cell_size("state", 11) + ("" if narrow else set_cell_size("kind", 7))
        text += set_cell_size("title", max(width - (_NARROW if narrow else _WIDE), 4))
        text += "   turns" + ("" if narrow else "  tokens") + "    age"
        return Strip([Segment(text, style)]).adjust_cell_length(width, style)


class RunList(ScrollView, can_focus=True):
    """One line a run; `limit_of` gives the turns that a run may have, `now` the time that ages are counted to."""

    COMPONENT_CLASSES: ClassVar[set[str]] = _COMPONENTS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "down", "Down", show=False, id="runs.down"),
        Binding("k,up", "up", "Up", show=False, id="runs.up"),
        Binding("g,home", "top", "First", show=False, id="runs.top"),
        Binding("G,end", "bottom", "Last", show=False, id="runs.bottom"),
        Binding("ctrl+d,pagedown", "page(1)", "Page down", show=False, id="runs.page_down"),
        Binding("ctrl+u,pageup", "page(-1)", "Page up", show=False, id="runs.page_up"),
    ]

    class Moved(Message):
        """Another run is under the cursor."""

    class Opened(Message):
        """A run was clicked twice."""

    def __init__(self, shelf: Shelf, limit_of: Callable[[Run], int | None], now: Callable[[], float]) -> None:
        super().__init__()
        self.shelf = shelf
        self._limit_of = limit_of
        self._now = now
        self._current: str | None = None
        self._row = 0
        self.empty: list[tuple[str, str]] = []
        """What to show instead of rows: (component class, line)."""

    @property
    def current(self) -> Run | None:
        """The run under the cursor."""
        shown = self.shelf.shown
        if not shown:
            return None
        if self._row >= len(shown) or shown[self._row] != self._current:
            self._settle()
        return self.shelf.runs.get(self._current or "")

    def update(self) -> None:
        """Take in that the shelf has changed; the cursor stays on its run."""
        before = self._current
        self._settle()
        rows = len(self.shelf.shown) or len(self.empty)
        if self.virtual_size != Size(self.size.width, rows):
            self.virtual_size = Size(self.size.width, rows)
        if self._current != before:
            self._show_row()
            self.post_message(self.Moved())
        self.refresh()

    def select(self, run_id: str) -> None:
        if run_id in self.shelf.runs:
            self._current = run_id
            self._row = -1
            self.update()
            self._show_row()

    def _settle(self) -> None:
        shown = self.shelf.shown
        if not shown:
            self._current, self._row = None, 0
        elif not (0 <= self._row < len(shown) and shown[self._row] == self._current):
            if self._current in self.shelf.runs and self._current in shown:
                self._row = shown.index(self._current)
            else:
                self._row = min(max(self._row, 0), len(shown) - 1)
                self._current = shown[self._row]

    def _move(self, row: int) -> None:
        shown = self.shelf.shown
        if shown:
            self._settle()
            self._row = min(max(row, 0), len(shown) - 1)
            if shown[self._row] != self._current:
                self._current = shown[self._row]
                self.post_message(self.Moved())
            self._show_row()
            self.refresh()

    def _show_row(self) -> None:
        self.scroll_to_region(Region(0, self._row, 1, 1), animate=False, force=True, immediate=True)

    def action_down(self) -> None:
        self._move(self._row + 1)

    def action_up(self) -> None:
        self._move(self._row - 1)

    def action_top(self) -> None:
        self._move(0)

    def action_bottom(self) -> None:
        self._move(len(self.shelf.shown) - 1)

    def action_page(self, direction: int) -> None:
        self._move(self._row + direction * max(self.size.height - 1, 1))

    def on_click(self, event: events.Click) -> None:
        row = event.y + self.scroll_offset.y
        if 0 <= row < len(self.shelf.shown):
            self._move(row)
            if event.chain == 2:
                self.post_message(self.Opened())

    def on_resize(self) -> None:
        self.update()

    def visible_runs(self) -> list[Run]:
        """The runs on screen now."""
        top = self.scroll_offset.y
        return [self.shelf.runs[name] for name in self.shelf.shown[top : top + max(self.size.height, 1)]]

    def render_line(self, y: int) -> Strip:
        width, base = self.scrollable_content_region.width, self.rich_style
        row = y + self.scroll_offset.y
        if not self.shelf.shown:
            if row < len(self.empty):
                name, text = self.empty[row]
                return Strip([Segment("  " + text, self._style(name))]).adjust_cell_length(width, base).crop(0, width)
            return Strip.blank(width, base)
        if row >= len(self.shelf.shown):
            return Strip.blank(width, base)
        here = row == self._row
        return self._draw(self.shelf.runs[self.shelf.shown[row]], here, width, base)

    def _draw(self, run: Run, here: bool, width: int, base: Style) -> Strip:
        ended = not run.active and run.status is not Status.CRASHED
        narrow = _narrow(width)
        state, about = self._style(_STATUS_STYLE[run.status]), self._style("runs--chrome" if ended else "runs--about")
        said = self._style("runs--about" if ended and not here else "runs--said")
        limit = self._limit_of(run)
        turns = f"{run.turns}/{limit}" if limit else f"{run.turns}"
        title_width = max(width - (_NARROW if narrow else _WIDE), 4)
        title = _title(run)
        if cell_len(title) > title_width - 1:
            title = set_cell_size(title, title_width - 2) + "…"
        parts = [
            Segment("▸ " if here else "  ", said),
            Segment(set_cell_size(f"{glyph(run.status)} {word(run.status)}", 11), state),
            *([] if narrow else [Segment(set_cell_size(one_line(run.kind), 7), about)]),
            Segment(set_cell_size(title, title_width), said),
            Segment(f"{turns:>8}", about),
            *([] if narrow else [Segment(f"{count(run.tokens_in + run.tokens_out):>8}", about)]),
            Segment(f"{age(self._now() - run.created):>7}", about),
        ]
        strip = Strip(parts).adjust_cell_length(width, base).crop(0, width)
        if not here:
            return strip
        cursor = self._style("runs--cursor" if self.has_focus else "runs--cursor-blurred")
        over = Style(
            bgcolor=cursor.bgcolor,
            bold=cursor.bold or None,
            reverse=cursor.reverse or None,
            underline=cursor.underline or None,
        )
        return Strip([Segment(part.text, (part.style or base) + over) for part in strip], width)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name)


def _title(run: Run) -> str:
    """A part of a series begins with its place, which would be cut off where it ends with it."""
    title = one_line(run.title) or "untitled"
    if not is_part(run):
        return title
    name, _, place = title.rpartition(": ")
    return f"└ {place}  {name}" if name and len(place) <= _PLACE else f"└ {title}"


def _narrow(width: int) -> bool:
    return width - _WIDE < 18
