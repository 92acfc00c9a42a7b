"""How far a turn's meaning is from all that was said, and from the question, by the vectors of an embedding model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.memory.embedder import Embedder

RECENT = 3
"""Turns that are taken together for the drift: one round of talk; a single short turn is far from everything."""
_PIECE = 800
"""Characters embedded at once: what small embedding models read before they cut."""
_PIECES = 16


class Meaning:
    """The vectors of everything said so far. A turn costs its embedding and one product with those of the others."""

    def __init__(self, question: str, embedder: Embedder) -> None:
        self._embedder = embedder
        self._rows = np.zeros((64, embedder.dim), dtype=np.float32)
        self._used = 0
        self._question = vector(question, embedder)
        if self._question is not None:
            self._add(self._question)
        self._first_turn = self._used

    def measure(self, text: str) -> tuple[float | None, float | None]:
        """(novelty_meaning, drift) of the next turn, which is then remembered; both 0 to 1.

        None where there is nothing to measure: a turn without words, or nothing to compare it with. Raises what the
        embedder does (ProviderError); the turn is then not remembered.
        """
        own = vector(text, self._embedder)
        if own is None:
            return None, None
        near = float((self._rows[: self._used] @ own).max()) if self._used else None
        self._add(own)
        if self._question is None:
            return _distance(near), None
        latest = self._rows[max(self._first_turn, self._used - RECENT) : self._used]
        together = _unit(latest.sum(axis=0))
        return _distance(near), _distance(None if together is None else float(together @ self._question))

    def _add(self, row: NDArray[np.float32]) -> None:
        if self._used == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[self._used] = row
        self._used += 1


def vector(text: str, embedder: Embedder) -> NDArray[np.float32] | None:
    """The direction of a text: the mean of its pieces' vectors; None for a text without words.

    Of a text longer than 12,800 characters the first so many count. Pieces are embedded one by one: a quantised model
    answers a text differently in company, and the same transcript must give the same numbers again.
    """
    total = np.zeros(embedder.dim, dtype=np.float32)
    for piece in _pieces(text):
        total += np.asarray(embedder.embed([piece]), dtype=np.float32).reshape(embedder.dim)
    return _unit(total)


def _pieces(text: str) -> list[str]:
    """The text in pieces that end between words where they can."""
    if not any(character.isalnum() for character in text):
        return []
    rest = text[: _PIECE * _PIECES].strip()
    found = []
    while len(rest) > _PIECE:
        end = rest.rfind(" ", 1, _PIECE + 1)
        end = end if end > 0 else _PIECE
        found.append(rest[:end])
        rest = rest[end:].strip()
    return [*found, rest] if rest else found


def _unit(row: NDArray[np.float32]) -> NDArray[np.float32] | None:
    length = float(np.linalg.norm(row))
    return (row / np.float32(length)).astype(np.float32) if np.isfinite(length) and length > 1e-6 else None


def _distance(cosine: float | None) -> float | None:
    """1 - cosine, where opposite counts as unrelated."""
    return None if cosine is None else min(1.0, max(0.0, 1.0 - cosine))
