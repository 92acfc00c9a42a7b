"""One line that says something on the left and something on the right; what does not fit is left out there."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

Part = tuple[str, Style]
_GAP = 2
"""Cells between left and right."""
_LEFT = 3
"""The left has one of so many parts of the line, where it needs it, before the right says all."""


class Heading(Widget):
    """A line of styled parts. `right` keeps its place, `left` is cut with an ellipsis."""

    DEFAULT_CSS = "Heading { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._left: list[Part] = []
        self._right: list[Part] = []
        self._base = Style()
        self._inset = 0

    def say(self, left: Sequence[Part], right: Sequence[Part] = (), base: Style | None = None, inset: int = 0) -> None:
        """Show this from now on, `inset` columns from either side; repaints only when it is something else."""
        new = (list(left), list(right), base or Style(), inset)
        if new != (self._left, self._right, self._base, self._inset):
            self._left, self._right, self._base, self._inset = new
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width - self._inset, self._base
        right = self._right
        kept = max(min(_width(self._left) + 2 + _GAP, width // _LEFT), 12)
        while len(right) > 1 and _width(right) + kept > width:
            right = right[:-1]
        space = max(width - self._inset - 2 - _width(right), 0)
        parts = [Segment(" " * (1 + self._inset), base)]
        room = max(space - _GAP, 0) if right else space
        for text, style in self._left:
            if room <= 0:
                break
            size = cell_len(text)
            if size > room:
                text, size = set_cell_size(text, room - 1) + "…", room
            parts.append(Segment(text, style))
            room -= size
            space -= size
        parts.append(Segment(" " * space, base))
        parts += [Segment(text, style) for text, style in right]
        return Strip(parts).adjust_cell_length(self.size.width, base)


class Ruling(Widget):
    """A thin line across."""

    DEFAULT_CSS = "Ruling { height: 1; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self._style = Style()

    def paint(self, style: Style) -> None:
        if style != self._style:
            self._style = style
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return Strip([Segment("─" * self.size.width, self._style)], self.size.width)


def _width(parts: Sequence[Part]) -> int:
    return sum(cell_len(text) for text, _ in parts)
