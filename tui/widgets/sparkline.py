"""One measure in one row: what it is called, its course in bars, its value."""

from __future__ import annotations

from rich.cells import set_cell_size
from rich.segment import Segment

from tui.state import health
from tui.state.health import Series
from tui.widgets.colours import Palette

_LABEL = 15
_FIGURE = 6


def parts(
    label: str, series: Series, highest: float | None, figure: str, width: int, palette: Palette, turn: int | None
) -> list[Segment]:
    """The row in at most `width` cells; the cell that holds the chosen `turn` stands out."""
    room = max(width - _LABEL - _FIGURE, 0)
    full = health.top(series, highest)
    found = [Segment(set_cell_size(label, _LABEL), palette.about)]
    for number, first, last in health.cells(series, room):
        here = turn is not None and first <= turn <= last
        found.append(Segment(health.bar(number, full), palette.hit_here if here else palette.said))
    used = len(found) - 1
    found.append(Segment(" " * (room - used), palette.said))
    found.append(Segment(figure.rjust(_FIGURE), palette.you))
    return found
