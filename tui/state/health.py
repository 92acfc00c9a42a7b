"""How healthy a conversation is: the course of each measure over its turns, and the cells that draw it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Series = list[tuple[int, float]]
"""(number of the turn, value), by turn."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: `name` as it is recorded, `label` as it is shown, what it says, in words a reader can check."""

    name: str
    label: str
    about: str


MEASURES = (
    Measure("novelty", "novelty", "share of a turn's word triples that no turn before it had; 0 is a pasted repeat"),
    Measure(
        "novelty_meaning", "new meaning", "distance in meaning to the nearest turn before it; near 0 for a paraphrase"
    ),
    Measure("repetition", "repetition", "how much the newest turns say again what was said before; 1 is all of it"),
    Measure("structure", "structure", "share of a turn's lines that are headings, list items or numbered steps"),
    Measure("drift", "drift", "distance in meaning from the first question; it rises when the talk changes its topic"),
    Measure("disagreement", "disagreement", "how far a turn contradicts the one before it; 1 is a plain contradiction"),
)
_LABELS = {measure.name: measure.label for measure in MEASURES}
_ORDER = {measure.name: place for place, measure in enumerate(MEASURES)}


def label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " "))


def in_order(names: Sequence[str] | Mapping[str, object]) -> list[str]:
    """The names as they are shown: those that are known first, in their own order."""
    return sorted(names, key=lambda name: (_ORDER.get(name, len(_ORDER)), name))


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


def bounds(series: Series) -> tuple[float, float]:
    """The scale of a series: 0 to 1, wider only where its values are."""
    numbers = [number for _, number in series]
    return min(0.0, *numbers, 0.0), max(1.0, *numbers, 1.0)


def bar(number: float | None, low: float, high: float) -> str:
    """One cell: higher for more, empty for nothing."""
    if number is None or number != number:
        return " "
    share = (number - low) / (high - low) if high > low else 0.0
    return BARS[max(0, min(int(share * len(BARS)), len(BARS) - 1))]


def spark(series: Series, width: int) -> str:
    """The course as a row of bars on the scale of `bounds`, at most `width` cells."""
    low, high = bounds(series)
    return "".join(bar(number, low, high) for number, _, _ in cells(series, width))
