"""Two texts side by side, drawn when they come into view: what is the same goes across, what differs stands beside.

A block is measured only near the place on screen, so that branches of 300 turns open as fast as those of three.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from engine.record.visible import visible
from tui.state.compare import Span, changes
from tui.widgets import colours
from tui.widgets.colours import Palette
from tui.widgets.viewport import Place, Viewport
from tui.widgets.wrapping import wrap

LONG = 8000
"""Characters of one text that are shown."""
_GAP = " │ "
_DIFFERS = " ≠ "


@dataclass(frozen=True, slots=True)
class Cell:
    """One side of a block; `name` has its colour in the label."""

    label: str = ""
    name: str = ""
    text: str = ""
    faded: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """`right` is None for what goes across. `differs` puts a sign between the sides.

    With `words`, the words that the other side lacks stand out, where the two have enough in common.
    """

    left: Cell
    right: Cell | None = None
    differs: bool = False
    words: bool = False
    place: int = 0
    """The turn that it belongs to."""
    gap: bool = True
    """Whether a blank row follows."""


Row = list[Segment]


class Columns(Widget, can_focus=True):
    """Draws `blocks`; the one under the cursor has a mark."""

    DEFAULT_CSS = "Columns { height: 1fr; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[Block] = []
        self.cursor = 0
        self.measured = 0
        """Blocks laid out since the widget was made."""
        self._names: tuple[str, ...] = ()
        self._laid: dict[int, list[tuple[Row, Row | None]]] = {}
        self._lines: list[Place] = []
        self._palette: Palette | None = None
        self._port = Viewport(lambda n: len(self._lay_out(n)), lambda: len(self.blocks))
        self._port.follow = False

    def put(self, blocks: list[Block], names: tuple[str, ...], cursor: int = 0) -> None:
        """Show other blocks, the one at `cursor` in view; `names` are those that have a colour."""
        self.blocks, self._names = blocks, names
        self._laid.clear()
        self._palette = None
        self.go_to(cursor)

    def go_to(self, index: int) -> None:
        """Bring a block to the top third of the screen."""
        self.cursor = max(0, min(index, len(self.blocks) - 1))
        if self.size.height and self.blocks:
            self._port.show(self.cursor)
        elif self.blocks:
            self._port.top = (self.cursor, 0)
        self._port.follow = False
        self.refresh()

    def scroll_rows(self, rows: int) -> None:
        """Scroll; the cursor goes along when it would leave the screen."""
        self._port.scroll(rows)
        self._port.follow = False
        seen = [index for index, _ in self._port.lines()]
        if seen and self.cursor not in seen:
            self.cursor = seen[0] if rows > 0 else seen[-1]
        self.refresh()

    def on_resize(self) -> None:
        self._laid.clear()
        self._port.rows = max(self.size.height, 1)
        self.go_to(self.cursor)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette = None
        self._laid.clear()

    def render_line(self, y: int) -> Strip:
        palette = self._ensure_palette()
        if y == 0:
            self._lines = self._port.lines()
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, palette.said)
        index, row = self._lines[y]
        block = self.blocks[index]
        left, right = self._lay_out(index)[row]
        here = index == self.cursor
        parts = [Segment(("▸" if row == 0 else "│") if here else " ", palette.you), *left]
        if right is not None:
            side = self._side(width)
            strip = Strip(parts).adjust_cell_length(side + 1, palette.said)
            sign = _DIFFERS if block.differs and row == 0 else _GAP
            parts = [*strip, Segment(sign, palette.you if sign is _DIFFERS else palette.chrome), *right]
        return Strip(parts).adjust_cell_length(width, palette.said)

    def _ensure_palette(self) -> Palette:
        if self._palette is None:
            self._palette = colours.palette(self.app, self._names, *colours.ground(self))
        return self._palette

    @staticmethod
    def _side(width: int) -> int:
        return max((width - len(_GAP) - 2) // 2, 8)

    def _lay_out(self, index: int) -> list[tuple[Row, Row | None]]:
        """The rows of a block: left, and right where there are sides."""
        found = self._laid.get(index)
        if found is None:
            self.measured += 1
            block, palette, width = self.blocks[index], self._ensure_palette(), self.size.width or 80
            if block.right is None:
                found = [(row, None) for row in _rows(block.left, None, width - 2, palette)]
            else:
                side = self._side(width)
                marks = changes(block.left.text[:LONG], block.right.text[:LONG]) if block.words else None
                ones = _rows(block.left, marks and marks[0], side, palette)
                others = _rows(block.right, marks and marks[1], side, palette)
                longest = max(len(ones), len(others))
                found = [
                    (ones[n] if n < len(ones) else [], others[n] if n < len(others) else []) for n in range(longest)
                ]
            if block.gap:
                found.append(([], None if block.right is None else []))
            self._laid[index] = found
        return found


def _rows(cell: Cell, marks: list[Span] | None, width: int, palette: Palette) -> list[Row]:
    found: list[Row] = []
    if cell.label:
        style = palette.accent(cell.name) if cell.name and not cell.faded else palette.chrome
        found.append([Segment(set_cell_size(visible(cell.label), width), style)])
    text = cell.text[:LONG].rstrip()
    # Characters that `visible` replaces would move the marks: such a text goes without them.
    shown = visible(text)
    marked = marks if len(shown) == len(text) else None
    base = palette.chrome if cell.faded else palette.about if marked is not None else palette.said
    for start, end in wrap(shown, width) if shown else []:
        found.append(_marked(shown, start, end, marked or [], base, palette.hit))
    if len(cell.text) > LONG:
        found.append([Segment(f"… {len(cell.text) - LONG:,} more characters", palette.chrome)])
    return found or [[]]


def _marked(text: str, start: int, end: int, spans: list[Span], base: Style, mark: Style) -> Row:
    found: Row = []
    at = start
    for low, high in spans:
        if high <= at or low >= end:
            continue
        low, high = max(low, at), min(high, end)
        found += [Segment(text[at:low], base), Segment(text[low:high], mark)]
        at = high
    found.append(Segment(text[at:end], base))
    return [part for part in found if part.text]
