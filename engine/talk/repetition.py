"""When a talk loops on itself: how much of a turn one earlier turn of the same seat already said."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

MEMORY = 20
"""Earlier turns of the seat that a turn is compared with."""


@functools.lru_cache(maxsize=64)
def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """The word trigrams of a text, lower case without punctuation; a shorter text is one gram of all its words."""
    words = re.findall(r"\w+", text.casefold())
    if len(words) < 3:
        return frozenset([tuple(words)]) if words else frozenset()
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def repeated(text: str, earlier: Sequence[str]) -> float:
    """The largest share of the text's trigrams that one of the last MEMORY `earlier` texts had, 0 to 1.

    A text without words repeats another one without.
    """
    own = shingles(text)
    return max((_share(own, shingles(old)) for old in earlier[-MEMORY:]), default=0.0)


def looping(spoken: Sequence[tuple[str, str]], threshold: float, turns: int) -> tuple[bool, float]:
    """Whether each of the last `turns` (seat, text) repeats an earlier turn of its seat, and the smallest share
    (of those looked at: one below the threshold settles it)."""
    if len(spoken) <= turns:
        return False, 0.0
    least = 1.0
    for index in range(len(spoken) - 1, len(spoken) - turns - 1, -1):
        seat, text = spoken[index]
        least = min(least, repeated(text, [said for who, said in spoken[:index] if who == seat]))
        if least < threshold:
            return False, least
    return True, least


def _share(own: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    return len(own & other) / len(own) if own else float(not other)
