"""The panel beside a conversation: minutes, sources and health, drawn from `tui.state.minutes` row by row."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from engine.record.citations import Source
from engine.record.visible import one_line, visible
from tui.keymap import Explains
from tui.state import minutes
from tui.state.minutes import Minutes, Row
from tui.widgets import colours, sparkline
from tui.widgets.colours import Palette
from tui.widgets.viewport import Place, Viewport
from tui.widgets.wrapping import wrap

_LONG = 4000
"""Characters of one entry that are shown."""
_WHEEL = 3
_MARK = 1
"""Cells before everything, for the cursor."""


class MinutesPanel(Explains, Widget, can_focus=True):
    """Shows `beside`; the cursor is on rows that enter does something with."""

    DEFAULT_CSS = "MinutesPanel { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "act", "open", id="minutes.open", tooltip="Go to the turn of this entry, or open the source"),
        Binding("m,escape", "leave", "conversation", id="minutes.leave", tooltip="Back to the conversation"),
        Binding("o", "fold", "closed ones", id="minutes.fold", tooltip="Unfold or fold what is closed"),
        Binding("j,down", "move(1)", "Down", show=False, id="minutes.down"),
        Binding("k,up", "move(-1)", "Up", show=False, id="minutes.up"),
        Binding("ctrl+d,pagedown", "scroll(10)", "Page down", show=False, id="minutes.page_down"),
        Binding("ctrl+u,pageup", "scroll(-10)", "Page up", show=False, id="minutes.page_up"),
        Binding("g,home", "first", "First", show=False, id="minutes.first"),
        Binding("G,end", "last", "Last", show=False, id="minutes.last"),
    ]

    class GoTo(Message):
        """A turn is to be shown."""

        def __init__(self, seq: int) -> None:
            super().__init__()
            self.seq = seq

    class Left(Message):
        """Back to the conversation."""

    class Open(Message):
        """A source is to be opened."""

        def __init__(self, source: Source) -> None:
            super().__init__()
            self.source = source

    def __init__(self) -> None:
        super().__init__()
        self.beside: Minutes | None = None
        self.turn: int | None = None
        self.unfolded = False
        self.drawn = 0
        """How often the rows were worked out since the widget was made."""
        self._upto: int | None = None
        self._rows: list[Row] = []
        self._cursor = 0
        self._made: object = None
        self._laid: dict[int, list[list[Segment]]] = {}
        self._lines: list[Place] = []
        self._palette: Palette | None = None
        self._seats: tuple[str, ...] = ()
        self._port = Viewport(lambda n: len(self._lay_out(n)), lambda: len(self._rows))
        self._port.follow = False

    def show(self, beside: Minutes | None, seats: tuple[str, ...] = ()) -> None:
        """Show what stands beside another conversation, from its top; `seats` are the names that have a colour."""
        self.beside, self._seats = beside, seats
        self.turn = self._upto = None
        self._cursor, self._made = 0, None
        self._port.home()
        self._port.follow = False
        self._update()

    def sync(self, turn: int | None = None, upto: int | None = None) -> None:
        """Draw what has changed: the chosen turn, the turn up to which it is told (None: all), the minutes."""
        if turn != self.turn and self._rows:
            self._port.home()
            self._port.follow = False
        self.turn, self._upto = turn, upto
        self._update()

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self._rows[self._cursor] if self._cursor < len(self._rows) else None

    def why_off(self, action: str) -> str | None:
        if action == "act" and not (self.current and self.current.acts):
            return "there is nothing to open here"
        if action == "fold" and not any(row.kind == "more" for row in self._rows):
            return "nothing is closed yet"
        return None

    def action_act(self) -> None:
        row = self.current
        if row and row.source:
            self.post_message(self.Open(row.source))
        elif row and row.kind == "more":
            self.action_fold()
        elif row and row.seq is not None:
            self.post_message(self.GoTo(row.seq))

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_fold(self) -> None:
        self.unfolded = not self.unfolded
        self._update()

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
        self._port.home()
        self._port.follow = False
        self.refresh()

    def action_last(self) -> None:
        self._cursor = len(self._rows)
        self.action_move(-1)
        self._port.top = self._port.bottom()
        self.refresh()

    def on_focus(self) -> None:
        self._settle()
        self.refresh()
        self.refresh_bindings()

    def on_blur(self) -> None:
        self.refresh()

    def on_resize(self) -> None:
        self._port.rows = max(self.size.height, 1)
        self._made = None
        self._update()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._made = None
        if self.is_attached:
            self._update()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll(-_WHEEL)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll(_WHEEL)

    def on_click(self, event: events.Click) -> None:
        if event.y < len(self._lines):
            self._cursor = self._lines[event.y][0]
            if self.current and self.current.acts:
                self.action_act()
            self.refresh()

    def render_line(self, y: int) -> Strip:
        palette = self._ensure_palette()
        if y == 0:
            self._lines = self._port.lines()
        if y >= len(self._lines):
            return Strip.blank(self.size.width, palette.said)
        index, row = self._lines[y]
        here = self.has_focus and index == self._cursor and self._rows[index].acts
        mark = ("▸" if row == 0 else "│") if here else " "
        return Strip([Segment(mark, palette.you), *self._lay_out(index)[row]]).adjust_cell_length(
            self.size.width, palette.said
        )

    def _update(self) -> None:
        """Work the rows out again where something they depend on is another; the cursor stays on its entry."""
        if not self.is_attached or not self.size.width:
            return
        beside = self.beside
        made = (beside, beside and beside.version, self.turn, self._upto, self.unfolded, self.size, self.app.theme)
        if made == self._made:
            return
        self._made, self._palette = made, None
        self.drawn += 1
        kept = self.current
        self._rows = minutes.rows(beside, turn=self.turn, upto=self._upto, unfolded=self.unfolded) if beside else []
        self._laid.clear()
        if kept:
            same = (n for n, row in enumerate(self._rows) if row.name and row.name == kept.name)
            self._cursor = next(same, min(self._cursor, max(len(self._rows) - 1, 0)))
        if self.has_focus:
            self._settle()
        self.refresh()
        self.refresh_bindings()

    def _settle(self) -> None:
        """Put the cursor on something that can be opened, if there is anything."""
        if not (self.current and self.current.acts):
            self._cursor = next((n for n, row in enumerate(self._rows) if row.acts), 0)

    def _ensure_palette(self) -> Palette:
        if self._palette is None:
            self._palette = colours.palette(self.app, self._seats, *colours.ground(self))
        return self._palette

    def _lay_out(self, index: int) -> list[list[Segment]]:
        """The lines of one row, without the cursor's cell."""
        found = self._laid.get(index)
        if found is None:
            palette = self._ensure_palette()
            found = self._laid[index] = _lines(
                self._rows[index], max(self.size.width - _MARK - 1, 8), palette, self.turn
            )
        return found


def _lines(row: Row, width: int, palette: Palette, turn: int | None) -> list[list[Segment]]:
    text = visible(row.text[:_LONG]).rstrip() if row.kind in ("text", "aside") else one_line(row.text, _LONG)
    match row.kind:
        case "blank":
            return [[]]
        case "head":
            return [
                [
                    Segment(one_line(text, width), palette.you),
                    Segment(f"  {row.about}" if row.about else "", palette.chrome),
                ]
            ]
        case "measure":
            return [sparkline.parts(one_line(text, 14), list(row.series), row.highest, row.about, width, palette, turn)]
        case "item":
            lead = [(row.glyph, palette.you), (str(row.seq).rjust(4) + " ", palette.chrome)]
            return _hanging(lead, text, palette.said, width)
        case "closed":
            lead = [(row.glyph, palette.chrome), (str(row.seq).rjust(4) + " ", palette.chrome)]
            return _hanging(lead, f"{text} · {row.about}", palette.chrome, width)
        case "source":
            place = f" · {one_line(row.about)}" if row.about else ""
            return _hanging([(f"{row.glyph} ", palette.you)], text + place, palette.said, width)
        case "aside":
            name = Segment(one_line(row.glyph, width), palette.accent(row.glyph))
            return [[name], *_hanging([], text, palette.about, width)]
        case "text":
            return _hanging([], text, palette.about, width)
        case _:
            return _hanging([], text, palette.about, width)


def _hanging(lead: list[tuple[str, Style]], text: str, style: Style, width: int) -> list[list[Segment]]:
    """The text wrapped beside its lead, later lines under its beginning."""
    indent = sum(cell_len(part) for part, _ in lead)
    found: list[list[Segment]] = []
    for start, end in wrap(text, max(width - indent, 8)):
        before = [Segment(part, look) for part, look in lead] if not found else [Segment(" " * indent, style)]
        found.append([*before, Segment(text[start:end], style)])
    return found or [[Segment(part, look) for part, look in lead]]
