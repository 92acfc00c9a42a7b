"""How a transcript lays out its width: two sides where there is room, one column with names where there is not."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size

from tui.widgets.colours import Palette

WIDE = 100
"""Columns from which the two voices have a side each."""
_SIDE = 80
"""Columns of text on one side at most: longer lines are hard to read."""
FULL = _SIDE * 100 // 62 + 15
"""Columns that two sides use at most, in the middle of a wider screen."""
_COLUMN = 100
"""Columns of text in one column at most."""
_NAME = 12
_TIGHT = 56
"""Columns below which names stand above the text instead of before it."""
_NUMBER = 4


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that rows depend on besides their text. A new one makes every row new."""

    width: int
    palette: Palette
    seats: tuple[str, ...] = ()
    needle: re.Pattern[str] | None = None
    """What is searched for, highlighted wherever it is."""
    thinking: bool = False
    """Whether thinking is unfolded everywhere."""
    sides: bool = True
    """Whether two voices may have a side each."""
    cited: frozenset[int] = frozenset()
    """The numbers that in brackets mean a source."""
    names: int = field(init=False)
    side: int = field(init=False)
    inset: int = field(init=False)

    def __post_init__(self) -> None:
        longest = max((cell_len(name) for name in self.seats), default=0)
        object.__setattr__(self, "names", min(longest, _NAME))
        object.__setattr__(self, "side", min(_SIDE, (self.width - 14) * 62 // 100))
        object.__setattr__(self, "inset", inset(self.width) if self.sides else 0)

    @property
    def wide(self) -> bool:
        return self.sides and self.width >= WIDE

    @property
    def stacked(self) -> bool:
        return self.width < _TIGHT

    @property
    def text_width(self) -> int:
        """Cells that a row of a turn's text has."""
        return self.side if self.wide else min(self.width - self.indent - 2, _COLUMN)

    @property
    def indent(self) -> int:
        """Cells before the text in one column."""
        return 2 if self.stacked else 2 + _NUMBER + self.names + 2

    @property
    def note_width(self) -> int:
        return min(_SIDE, self.width - 8)

    def right(self, seat: str) -> bool:
        """Whether a seat speaks on the right-hand side."""
        return self.wide and seat in self.seats and self.seats.index(seat) % 2 == 1

    def margins(self, seat: str, seq: int, first: bool, here: bool) -> tuple[str, str, str]:
        """What stands before and after a row's text: (marker, left of the text, right of the text)."""
        marker = " " * self.inset + ("▸ " if here and first else "│ " if here else "  ")
        number = str(seq) if first else ""
        if self.wide:
            if self.right(seat):
                left = self.width - 2 * self.inset - self.side - 10
                return " " * (2 + self.inset), " " * left, f"  {number:<{_NUMBER}}{marker[-2]}" + " " * self.inset
            return marker, f"{number:>{_NUMBER - 1}}  ", ""
        if self.stacked:
            return marker, "", ""
        name = set_cell_size(seat if first else "", self.names)
        return marker, f"{number:>{_NUMBER - 1}} {name}  ", ""


def inset(width: int) -> int:
    """Columns left free on either side."""
    return max((width - FULL) // 2, 0)
