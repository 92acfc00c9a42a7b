"""Words of a text, and terms found in it: the same for runs and for what they are compared with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

WORD = re.compile(r"\w+(?:['’-]\w+)*")
_PART = re.compile(r"[.!?…;:](?=\s|$)|\n\s*\n|\n\s*[-*•#>\d]|[|()\[\]{}\"“”]")
_BETWEEN = r"(?:[ -]| ?\n ?)"
LONGEST = 40
"""Characters of a word that can be part of a phrase; a longer one is no word of a language."""


def count(text: str) -> int:
    return sum(1 for _ in WORD.finditer(text))


def sentences(text: str) -> Iterator[list[str]]:
    """The words of each stretch of text that no full stop, bracket or new paragraph interrupts, in lower case."""
    for part in _PART.split(text):
        if words := [word.lower().replace("’", "'") for word in WORD.findall(part) if len(word) <= LONGEST]:
            yield words


@dataclass(frozen=True, slots=True)
class Finder:
    """Looks for any of some terms; `*` is any ending, a space or hyphen in a term matches either."""

    terms: tuple[tuple[str, re.Pattern[str]], ...]
    """(what every hit holds in lower case, pattern)."""

    @classmethod
    def of(cls, terms: Iterable[str]) -> Finder:
        return cls(tuple((re.split(r"[\s*-]", term.lower())[0], _pattern(term)) for term in terms))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where they are, (start, end), none overlapping another."""
        low = text.lower()
        found = [hit.span() for stem, pattern in self.terms if stem in low for hit in pattern.finditer(text)]
        found.sort(key=lambda span: (span[0], -span[1]))
        kept: list[tuple[int, int]] = []
        for span in found:
            if not kept or span[0] >= kept[-1][1]:
                kept.append(span)
        return kept


def _pattern(term: str) -> re.Pattern[str]:
    parts = [re.escape(part).replace(r"\*", r"\w*") for part in re.split(r"[\s-]+", term)]
    return re.compile(rf"(?<!\w){_BETWEEN.join(parts)}(?!\w)", re.IGNORECASE)
