"""Searching in a conversation: which entries hold the words, and which one comes next."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from tui.state.entries import Entry


def pattern(words: str) -> re.Pattern[str] | None:
    """What to look for: the words as they were typed, in any case, any white space between them."""
    parts = words.split()
    return re.compile(r"\s+".join(map(re.escape, parts)), re.IGNORECASE) if parts else None


class Search:
    """The hits of one search, kept up to date as entries come."""

    def __init__(self, needle: re.Pattern[str]) -> None:
        self.needle = needle
        self.hits: list[int] = []
        """Orders of the entries that hold the words, in the order they are read."""
        self._known: dict[int, tuple[int, bool]] = {}

    def update(self, entries: Sequence[Entry]) -> None:
        """Look through what is new or has changed since the last time."""
        hits = []
        for entry in entries:
            version, hit = self._known.get(entry.order, (-1, False))
            if version != entry.version:
                hit = entry.kind != "mark" and self.needle.search(entry.text) is not None
                self._known[entry.order] = (entry.version, hit)
            if hit:
                hits.append(entry.order)
        self.hits = hits

    def before(self, order: int) -> int | None:
        """The hit before a place in the conversation, or None."""
        at = bisect_left(self.hits, order)
        return self.hits[at - 1] if at else None

    def after(self, order: int) -> int | None:
        at = bisect_right(self.hits, order)
        return self.hits[at] if at < len(self.hits) else None

    def number(self, order: int) -> int:
        """Which hit stands at a place, counted from 1; 0 when none does."""
        at = bisect_left(self.hits, order)
        return at + 1 if at < len(self.hits) and self.hits[at] == order else 0
