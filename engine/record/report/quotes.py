"""Quotes: words of a turn exactly as they stand in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SENTENCE = re.compile(r"[.!?…](?=\s|$)|\n")
AROUND = 60
"""Characters on each side of a hit that are quoted with it."""
FIRST = 200
"""Characters of a first sentence at most."""


@dataclass(frozen=True, slots=True)
class Quote:
    """`text` stands in turn `seq` of the run, said by `seat`."""

    run: str
    seq: int
    seat: str
    text: str


def within(text: str, quote: str) -> str | None:
    """The words of `text` that `quote` means, which may differ in white space and case; None where there are none."""
    words = quote.split()
    if not words:
        return None
    if quote in text:
        return quote
    found = re.search(r"\s+".join(map(re.escape, words)), text, re.IGNORECASE)
    return found[0] if found else None


def around(text: str, start: int, end: int) -> str:
    """The words on both sides of a place, cut between words and at the ends of lines."""
    low = max(start - AROUND, text.rfind("\n", 0, start) + 1)
    line_end = text.find("\n", end)
    high = min(end + AROUND, len(text) if line_end < 0 else line_end)
    if low > 0 and not text[low - 1].isspace() and (gap := text.find(" ", low, start)) >= 0:
        low = gap + 1
    if high < len(text) and not text[high].isspace() and (gap := text.rfind(" ", end, high)) >= 0:
        high = gap
    return text[low:high].strip()


def first_sentence(text: str) -> str:
    """How `text` begins, to the end of its first sentence."""
    text = text.strip()
    found = _SENTENCE.search(text, 1)
    end = found.end() if found else len(text)
    if end > FIRST:
        gap = text.rfind(" ", 0, FIRST)
        end = gap if gap > 0 else FIRST
    return text[:end].strip()
