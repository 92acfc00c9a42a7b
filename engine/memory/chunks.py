"""Cutting a text into passages that lose nothing: joined together they are the text."""

from __future__ import annotations

import re

_BREAKS = (
    re.compile(r"\n[ \t]*\n+"),  # a paragraph
    re.compile(r"\n+"),
    re.compile(r"[.!?…][\"')\]]*\s+"),
    re.compile(r"\s+"),
)


def cut(text: str, size: int) -> list[str]:
    """Pieces of at most `size` characters, each as long as a good place to cut allows: after a paragraph, else a line,
    a sentence, a word, and in the middle of what has none of them. `"".join(cut(text, size)) == text`."""
    pieces = []
    start = 0
    while len(text) - start > size:
        end = _end(text, start, size)
        pieces.append(text[start:end])
        start = end
    if start < len(text):
        pieces.append(text[start:])
    return pieces


def _end(text: str, start: int, size: int) -> int:
    """The last good place to cut in the second half of what fits."""
    low, high = start + size // 2, start + size
    for pattern in _BREAKS:
        best = 0
        for found in pattern.finditer(text, low, high):
            best = found.end()
        if best > start:
            return best
    return high
