"""All vectors of a store in memory: exact search, since up to 100,000 of them it needs no index."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from engine.memory.store import Vectors


class Matrix:
    """`generation` is the store's counter of changes when the vectors were read."""

    def __init__(self, generation: int, rows: Sequence[tuple[int, bytes]]) -> None:
        """`rows` are chunk numbers, rising, with float16 vectors of one length."""
        self.generation = generation
        self._chunks = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        packed = np.frombuffer(b"".join(row[1] for row in rows), np.float16)
        self._vectors: Vectors = (
            packed.reshape(len(rows), -1).astype(np.float32) if rows else np.empty((0, 0), np.float32)
        )

    def nearest(self, vector: Vectors, limit: int) -> list[tuple[int, float]]:
        """(chunk, cosine distance), nearest first; of equals the older chunk first."""
        if not len(self._chunks) or limit < 1:
            return []
        away = 1.0 - self._vectors @ vector
        best = np.argpartition(away, min(limit, len(away)) - 1)[:limit]
        best = best[np.lexsort((best, away[best]))]
        return [(int(self._chunks[at]), float(away[at])) for at in best]

    def distances(self, vector: Vectors, chunks: Collection[int]) -> dict[int, float]:
        wanted = np.fromiter(chunks, np.int64, len(chunks))
        at = np.searchsorted(self._chunks, wanted)
        inside = at < len(self._chunks)
        found = [int(row) for row, chunk in zip(at[inside], wanted[inside], strict=True) if self._chunks[row] == chunk]
        away: Sequence[float] = (1.0 - self._vectors[found] @ vector).tolist()
        return {int(self._chunks[row]): float(value) for row, value in zip(found, away, strict=True)}
