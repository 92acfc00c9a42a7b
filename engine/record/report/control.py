"""Control text: what a count would be in words that have nothing to do with the runs.

A word family is found in any text; only beside such a count does the count in a run say something.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.record.report.words import WORD, Finder

ABOUT = "State of the Union addresses of 1962, 1975, 1985 and 1999, in the public domain"


@dataclass(frozen=True, slots=True)
class Expected:
    """Hits in control text of one length: the mean of so many stretches, and the fewest and most of any.

    Where the run is longer than the control text, its one count is scaled up and there is no range.
    """

    mean: float
    least: int
    most: int
    stretches: int


class Control:
    """A text of `words` words and where the terms of each family stand in it."""

    def __init__(self, text: str, about: str, finders: Mapping[str, Finder]) -> None:
        starts = [word.start() for word in WORD.finditer(text)]
        self.about = about
        self.words = len(starts)
        self._places = {
            family: [bisect.bisect_right(starts, start) - 1 for start, _ in finder.spans(text)]
            for family, finder in finders.items()
        }

    def expected(self, family: str, words: int) -> Expected:
        """What a text of so many words would have of the family by this control."""
        places = self._places[family]
        if not words or not self.words:
            return Expected(0.0, 0, 0, 0)
        stretches = self.words // words
        if not stretches:
            return Expected(len(places) * words / self.words, 0, 0, 0)
        counts = [
            bisect.bisect_left(places, (number + 1) * words) - bisect.bisect_left(places, number * words)
            for number in range(stretches)
        ]
        return Expected(sum(counts) / stretches, min(counts), max(counts), stretches)


@functools.cache
def bundled() -> str:
    """The control text that comes with the program."""
    return Path(__file__).with_name("control.txt").read_text(encoding="utf-8")
