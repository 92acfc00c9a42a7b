"""One measure in one row: what it is called, its value, its course in bars."""

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
    room = max(width - _LABEL - _FIGURE - 1, 0)
    full = health.top(series, highest)
    found = [
        Segment(set_cell_size(label, _LABEL), palette.about),
        Segment(figure.rjust(_FIGURE - 1) + "  ", palette.you),
    ]
    for number, first, last in health.cells(series, room):
        here = turn is not None and first <= turn <= last
        found.append(Segment(health.bar(number, full), palette.hit if here else palette.said))
    return found
