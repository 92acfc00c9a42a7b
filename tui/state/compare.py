"""Two branches of a conversation side by side: which turns are the same, which differ, and in which words.

Messages are content-addressed with all that came before them, so that branches which share a turn share its message:
one pass over the numbers finds where they part, whatever was said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from engine.record.minutes import Item
from engine.record.turns import State, Turn

Span = tuple[int, int]
LONG = 3000
"""Words of a turn beyond which its words are not compared one by one."""
_ALIKE = 0.3
"""Share of words in common below which two turns are simply different texts."""
_COUNTS = frozenset({State.FINISHED, State.SKIPPED})
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Pair:
    """The same place in both branches: what the one and what the other says there; None where it says nothing."""

    seq: int
    left: Turn | None
    right: Turn | None
    same: bool


@dataclass(frozen=True, slots=True)
class Fold:
    """Pairs that are the same and follow each other."""

    pairs: tuple[Pair, ...]

    @property
    def first(self) -> int:
        return self.pairs[0].seq

    @property
    def last(self) -> int:
        return self.pairs[-1].seq


def align(left: Sequence[Turn], right: Sequence[Turn]) -> list[Pair]:
    """Put what counts of both side by side: turns by their number, notes beside notes before the turn they precede.

    Everything of either side that counts is in the result once, in its order.
    """
    found = []
    ones, others = _places(left), _places(right)
    for place in sorted(ones.keys() | others.keys()):
        one, other = ones.get(place), others.get(place)
        found.append(Pair(place[0], one, other, one is not None and other is not None and _same(one, other)))
    return found


def folded(pairs: Sequence[Pair]) -> list[Pair | Fold]:
    """The pairs, those that are the same taken together; nothing is lost."""
    found: list[Pair | Fold] = []
    for same, group in groupby(pairs, lambda pair: pair.same):
        together = tuple(group)
        found += [Fold(together)] if same else together
    return found


def differing(pairs: Sequence[Pair]) -> int:
    return sum(not pair.same for pair in pairs)


def changes(left: str, right: str) -> tuple[list[Span], list[Span]] | None:
    """The stretches of each text that the other does not have, word by word; None where they have little in common.

    Spans are positions in the texts, in order, none of them empty.
    """
    ones, others = list(_WORD.finditer(left)), list(_WORD.finditer(right))
    if not ones or not others or max(len(ones), len(others)) > LONG:
        return None
    matcher = SequenceMatcher(None, [word.group() for word in ones], [word.group() for word in others], autojunk=False)
    if matcher.quick_ratio() < _ALIKE or matcher.ratio() < _ALIKE:
        return None
    before: list[Span] = []
    after: list[Span] = []
    for tag, low, high, start, end in matcher.get_opcodes():
        if tag != "equal":
            if high > low:
                before.append((ones[low].start(), ones[high - 1].end()))
            if end > start:
                after.append((others[start].start(), others[end - 1].end()))
    return before, after


def minutes_of(left: Sequence[Item], right: Sequence[Item]) -> tuple[list[Item], list[Item], list[Item]]:
    """(in both as they are, only or otherwise in the one, only or otherwise in the other)."""
    ones, others = {item.n: item for item in left}, {item.n: item for item in right}
    both = [item for item in left if others.get(item.n) == item]
    return (
        both,
        [item for item in left if others.get(item.n) != item],
        [item for item in right if ones.get(item.n) != item],
    )


def _places(turns: Sequence[Turn]) -> dict[tuple[int, int, int], Turn]:
    """Where each thing that counts stands: (number of the turn, notes before turns, which note)."""
    found: dict[tuple[int, int, int], Turn] = {}
    for turn in _counting(turns):
        if turn.role == "turn":
            found[turn.seq, 1, 0] = turn
        else:
            notes = sum(1 for key in found if key[:2] == (turn.seq, 0))
            found[turn.seq, 0, notes] = turn
    return found


def _counting(turns: Sequence[Turn]) -> Iterator[Turn]:
    return (turn for turn in turns if turn.state in _COUNTS)


def _same(one: Turn, other: Turn) -> bool:
    if one.n == other.n or (one.message is not None and one.message == other.message):
        return True
    return (one.seat, one.state, one.text) == (other.seat, other.state, other.text)
