"""Reciprocal rank fusion: several rankings of the same things as one (Cormack, Clarke and Büttcher, 2009)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

K = 60
"""The paper's constant: how little the difference between the first few ranks counts."""
_T = TypeVar("_T", bound=Hashable)


def fuse(rankings: Sequence[tuple[float, Sequence[_T]]]) -> dict[_T, float]:
    """Scores, best first: for each (weight, ranking) that holds a thing, weight / (K + its rank, counted from 1).

    What has the same score stays in the order of the rankings. A thing that a ranking repeats counts once, at its best.
    """
    scores: dict[_T, float] = {}
    for weight, ranking in rankings:
        for rank, thing in enumerate(dict.fromkeys(ranking), 1):
            scores[thing] = scores.get(thing, 0.0) + weight / (K + rank)
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))
