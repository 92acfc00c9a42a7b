"""The panel beside a conversation: minutes, sources and health, drawn from `tui.state.minutes` row by row."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from engine.record.citations import Source
from engine.record.visible import one_line, visible
from tui.state import minutes
from tui.state.minutes import Minutes, Row
from tui.widgets import sparkline
from tui.widgets.colours import Palette
from tui.widgets.cursor_rows import CursorRows
from tui.widgets.wrapping import wrap

_LONG = 4000
"""Characters of one entry that are shown."""


class MinutesPanel(CursorRows[Row], can_focus=True):
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
        self.drawn = 0
        """How often the rows were worked out since the widget was made."""
        self._upto: int | None = None
        self._seats: tuple[str, ...] = ()

    def show(self, beside: Minutes | None, seats: tuple[str, ...] = ()) -> None:
        """Show what stands beside another conversation, from its top; `seats` are the names that have a colour."""
        self.beside, self._seats = beside, seats
        self.turn = self._upto = None
        self._cursor, self._made = 0, None
        self._from_the_top()
        self.work_out()

    def sync(self, turn: int | None = None, upto: int | None = None) -> None:
        """Draw what has changed: the chosen turn, the turn up to which it is told (None: all), the minutes."""
        if turn != self.turn and self._rows:
            self._from_the_top()
        self.turn, self._upto = turn, upto
        self.work_out()

    def work_out(self) -> None:
        """Work the rows out again where something they depend on is another."""
        if not self.is_attached or not self.size.width:
            return
        beside = self.beside
        made = (beside, beside and beside.version, self.turn, self._upto, self.unfolded, self.size, self.app.theme)
        if made == self._made:
            return
        self._made = made
        self.drawn += 1
        self._put(minutes.rows(beside, turn=self.turn, upto=self._upto, unfolded=self.unfolded) if beside else [])

    def draw(self, row: Row, width: int, palette: Palette) -> list[list[Segment]]:
        return _lines(row, width, palette, self.turn)

    @property
    def coloured(self) -> tuple[str, ...]:
        return self._seats

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

    def on_click(self, event: events.Click) -> None:
        if event.y < len(self._lines):
            self._cursor = self._lines[event.y][0]
            if self.current and self.current.acts:
                self.action_act()
            self.refresh()


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
