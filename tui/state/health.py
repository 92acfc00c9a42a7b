"""How healthy a conversation is: the course of each measure over its turns, and the cells that draw it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Series = list[tuple[int, float]]
"""(number of the turn, value), by turn."""
BARS = "▁▂▃▄▅▆▇"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: `name` as it is recorded, `label` as it is shown, what it counts in words a reader can check.

    `highest` is its largest value, None for a count; the smallest is 0.
    """

    name: str
    label: str
    definition: str
    highest: float | None


class Measures:
    """The measures that are known, in the order in which they are shown; one that is not goes by its name."""

    def __init__(self, known: Sequence[Mapping[str, Any]] = ()) -> None:
        """`known` as the catalogue has them: name, label, definition, highest."""
        self.known = [Measure(**{key: item[key] for key in _FIELDS}) for item in known]
        self._named = {measure.name: measure for measure in self.known}
        self._order = {measure.name: place for place, measure in enumerate(self.known)}

    def label(self, name: str) -> str:
        return self._named[name].label if name in self._named else name.replace("_", " ")

    def highest(self, name: str) -> float | None:
        return self._named[name].highest if name in self._named else None

    def in_order(self, names: Iterable[str]) -> list[str]:
        """The names as they are shown: those that are known first, in their own order."""
        return sorted(names, key=lambda name: (self._order.get(name, len(self._order)), name))


_FIELDS = ("name", "label", "definition", "highest")


def upto(series: Series, seq: int | None) -> Series:
    """The part of a series up to a turn; all of it for None."""
    return series if seq is None else series[: bisect_right(series, seq, key=lambda point: point[0])]


def value(series: Series, seq: int | None) -> float | None:
    """The value of a turn, or the last one for None; None where the turn was not measured."""
    if seq is None:
        return series[-1][1] if series else None
    at = bisect_right(series, seq, key=lambda point: point[0])
    return series[at - 1][1] if at and series[at - 1][0] == seq else None


def figure(number: float | None) -> str:
    """At most three digits: 0.41, 1.00, 12.5, 140; `–` where there is none."""
    if number is None or number != number:
        return "–"
    size = abs(number)
    return f"{number:.2f}" if size < 9.995 else f"{number:.1f}" if size < 99.95 else f"{number:.0f}"


def cells(series: Series, width: int) -> list[tuple[float | None, int, int]]:
    """The course in at most `width` cells of equally many turns: (mean or None, first turn, last turn) of each.

    Turns that were not measured leave their cell empty, so that a place in the row is a place in the conversation.
    """
    if not series or width < 1:
        return []
    first, last = series[0][0], series[-1][0]
    turns = last - first + 1
    count = min(turns, width)
    sums: list[list[float]] = [[] for _ in range(count)]
    for seq, number in series:
        sums[(seq - first) * count // turns].append(number)
    # Cell k holds the turns with (seq - first) * count // turns == k.
    starts = [first + -(-k * turns // count) for k in range(count + 1)]
    return [(sum(found) / len(found) if found else None, starts[k], starts[k + 1] - 1) for k, found in enumerate(sums)]


def top(series: Series, highest: float | None) -> float:
    """The value that fills a cell: the highest there can be, else the highest there was, 1 at least."""
    return highest if highest else max((1.0, *(number for _, number in series if number == number)))


def bar(number: float | None, full: float) -> str:
    """One cell: higher for more, up to `full`; empty for nothing."""
    if number is None or number != number:
        return " "
    return BARS[max(0, min(int(number / full * len(BARS)), len(BARS) - 1))]


def spark(series: Series, width: int, highest: float | None = 1.0) -> str:
    """The course as a row of at most `width` bars, each between 0 and `top`."""
    full = top(series, highest)
    return "".join(bar(number, full) for number, _, _ in cells(series, width))
