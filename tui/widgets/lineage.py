"""The family tree of a series, drawn from `tui.state.lineage_rows` row by row."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from engine.record.visible import one_line
from tui.state import lineage_rows
from tui.state.lineage import Tree
from tui.state.lineage_rows import Row
from tui.widgets import sparkline
from tui.widgets.colours import Palette
from tui.widgets.cursor_rows import CursorRows
from tui.widgets.wrapping import wrap


class Lineage(CursorRows[Row], can_focus=True):
    """Shows a series (`shown`); the cursor is on rows that enter does something with."""

    DEFAULT_CSS = "Lineage { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "act", "open", id="lineage.open", tooltip="Open the run, at this answer where it is one"),
        Binding("o", "fold", "unfold", id="lineage.fold", tooltip="Unfold or fold further answers and principles"),
        Binding("j,down", "move(1)", "Down", show=False, id="lineage.down"),
        Binding("k,up", "move(-1)", "Up", show=False, id="lineage.up"),
        Binding("ctrl+d,pagedown", "scroll(10)", "Page down", show=False, id="lineage.page_down"),
        Binding("ctrl+u,pageup", "scroll(-10)", "Page up", show=False, id="lineage.page_up"),
        Binding("g,home", "first", "First", show=False, id="lineage.first"),
        Binding("G,end", "last", "Last", show=False, id="lineage.last"),
    ]

    class Open(Message):
        """A run is to be opened, at a turn where one is given."""

        def __init__(self, run: str, seq: int | None) -> None:
            super().__init__()
            self.run, self.seq = run, seq

    def __init__(self) -> None:
        super().__init__()
        self.shown: Tree | None = None

    def show(self, tree: Tree | None) -> None:
        """Show another series, from its top."""
        if tree is not self.shown:
            self.shown = tree
            self._cursor, self._made = 0, None
            self._rows = []
            self._from_the_top()
        self.work_out()

    def work_out(self) -> None:
        """Draw it again where something it depends on is another; the cursor stays on its entry."""
        if not self.is_attached or not self.size.width:
            return
        tree = self.shown
        made = (tree, tree and tree.version, self.unfolded, self.size, self.app.theme)
        if made == self._made:
            return
        self._made = made
        key = "i" if self.can_focus else ""
        self._put(lineage_rows.rows(tree, unfolded=self.unfolded, key=key) if tree and tree.run else [])
        self._settle()

    def draw(self, row: Row, width: int, palette: Palette) -> list[list[Segment]]:
        return _lines(row, width, palette)

    def why_off(self, action: str) -> str | None:
        if action == "act" and not (self.current and self.current.acts):
            return "there is nothing to open here"
        if action == "fold" and not any(row.kind == "more" for row in self._rows):
            return "nothing is folded"
        return None

    def action_act(self) -> None:
        row = self.current
        if row and row.run:
            self.post_message(self.Open(row.run, row.seq))
        elif row and row.kind == "more":
            self.action_fold()

    def on_click(self, event: events.Click) -> None:
        if self.can_focus and event.y < len(self._lines) and self._rows[self._lines[event.y][0]].acts:
            self._cursor = self._lines[event.y][0]
            self.refresh()
            self.refresh_bindings()
            if event.chain == 2:
                self.action_act()


def _lines(row: Row, width: int, palette: Palette) -> list[list[Segment]]:
    text = one_line(row.text)
    match row.kind:
        case "blank":
            return [[]]
        case "head":
            about = Segment(f"  {one_line(row.about)}" if row.about else "", palette.chrome)
            return [[Segment(text, palette.you), about]]
        case "measure":
            return [sparkline.parts(text, list(row.series), row.highest, row.about, width, palette, None)]
        case "seed":
            return _hanging(row, "", text, palette.you, width, palette)
        case "child":
            return _with_about(row, text, palette.said, width, palette)
        case "answer" | "picked":
            return _with_about(row, text, palette.said if row.kind == "picked" else palette.about, width, palette)
        case "need":
            return _hanging(row, f"{row.glyph} ", text, palette.you, width, palette)
        case "quote":
            return _hanging(row, "", text, palette.said, width, palette)
        case "note":
            return _hanging(row, f"{row.glyph}  " if row.glyph else "", text, palette.about, width, palette)
        case _:
            return _hanging(row, "", text, palette.about, width, palette)


def _with_about(row: Row, text: str, style: Style, width: int, palette: Palette) -> list[list[Segment]]:
    """A row of the tree, what it came to at the right; where there is no room for both, after it."""
    about = one_line(row.about)
    lead = f"{row.glyph} "
    room = width - cell_len(row.lead) - cell_len(lead) - cell_len(about) - 2
    if cell_len(text) > room:
        return _hanging(row, lead, f"{text} · {about}" if about else text, style, width, palette)
    return [
        [
            Segment(row.lead, palette.chrome),
            Segment(lead, palette.you if row.kind == "picked" else style),
            Segment(set_cell_size(text, room + 2), style),
            Segment(about, palette.about),
        ]
    ]


def _hanging(row: Row, lead: str, text: str, style: Style, width: int, palette: Palette) -> list[list[Segment]]:
    """The text wrapped beside its lines of the tree, later rows under its beginning."""
    found: list[list[Segment]] = []
    indent = " " * cell_len(lead)
    for start, end in wrap(text, max(width - cell_len(row.lead) - cell_len(lead), 8)):
        first = not found
        found.append(
            [
                Segment(row.lead if first else row.rest, palette.chrome),
                Segment(lead if first else indent, palette.you if row.kind in ("picked", "need") else style),
                Segment(text[start:end], style),
            ]
        )
    return found
