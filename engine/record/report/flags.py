"""Words of some families in a run, each count beside the count in control text of the same length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.record.report import quotes, words
from engine.record.report.control import Control, Expected
from engine.record.report.quotes import Quote
from engine.record.report.words import Finder


@dataclass(frozen=True, slots=True)
class Hit:
    family: str
    quote: Quote


@dataclass(frozen=True, slots=True)
class Flags:
    """`counts` by family over `words` words of `turns` turns; `hits` are the first places of them all."""

    run: str
    turns: int
    words: int
    counts: dict[str, int]
    expected: dict[str, Expected]
    hits: list[Hit]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def control(self) -> float:
        return sum(item.mean for item in self.expected.values())

    @property
    def density(self) -> float:
        """Hits in 1,000 words."""
        return 1000 * self.total / self.words if self.words else 0.0


def count(
    run: str, said: list[tuple[int, str, str]], finders: Mapping[str, Finder], control: Control, limit: int
) -> Flags:
    """`said` are (seq, seat, text) of a run's turns."""
    counts = dict.fromkeys(finders, 0)
    hits: list[Hit] = []
    length = 0
    for seq, seat, text in said:
        length += words.count(text)
        places = []
        for family, finder in finders.items():
            spans = finder.spans(text)
            counts[family] += len(spans)
            places += [(span, family) for span in spans]
        for (start, end), family in sorted(places)[: limit - len(hits)]:
            hits.append(Hit(family, Quote(run, seq, seat, quotes.around(text, start, end))))
    expected = {family: control.expected(family, length) for family in finders}
    return Flags(run, len(said), length, counts, expected, hits)
