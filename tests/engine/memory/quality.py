"""Recall@10 on the dictionary, and how sure a difference of two of them is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.memory import ingest, settings
from engine.memory.embedder import Embedder
from engine.memory.ingest import Outcome
from engine.memory.recall import recall
from engine.memory.settings import Recall, Weights
from engine.memory.sqlite_store import SqliteStore
from tests.engine.memory.dictionary import Entry

DEPTH = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """For each question whether its document was among the first ten, and how many milliseconds it took."""

    hits: NDArray[np.float64]
    ms: NDArray[np.float64]

    @property
    def recall(self) -> float:
        return float(self.hits.mean())


def fill(
    folder: Path, database: Path, entries: Sequence[Entry], embedder: Embedder | None
) -> tuple[SqliteStore, Outcome]:
    """A store of the entries, each a file whose name says nothing."""
    folder.mkdir()
    for number, entry in enumerate(entries):
        (folder / f"{number:05}.txt").write_text(entry.document)
    store = SqliteStore(database)
    return store, ingest.add(store, embedder, [str(folder)], settings.load().ingest)


def ways() -> dict[str, Recall]:
    """The shipped recall, and each half of it alone: one passage a document, so that ten are ten documents."""
    shipped = settings.load().recall.model_copy(update={"limit": DEPTH, "per_item": 1})
    words = shipped.model_copy(update={"weights": Weights(words=1, vectors=0)})
    vectors = shipped.model_copy(update={"weights": Weights(words=0, vectors=1), "gate": 2.0})
    return {"hybrid": shipped, "words": words, "vectors": vectors}


def measure(store: SqliteStore, embedder: Embedder | None, entries: Sequence[Entry], chosen: Recall) -> Measured:
    hits, took = np.zeros(len(entries)), np.zeros(len(entries))
    recall(store, embedder, "warm up", chosen)
    for number, entry in enumerate(entries):
        began = time.perf_counter()
        found = recall(store, embedder, entry.question, chosen)
        took[number] = (time.perf_counter() - began) * 1000
        hits[number] = any(Path(one.path).stem == f"{number:05}" for one in found)
    return Measured(hits, took)


def interval(better: Measured, than: Measured, rounds: int = 10_000) -> tuple[float, float, float]:
    """The mean difference and its 95 % interval by paired bootstrap over the questions, the same every time."""
    difference = better.hits - than.hits
    rng = np.random.default_rng(20261121)
    picks = rng.integers(0, len(difference), (rounds, len(difference)), dtype=np.int32)
    low, high = np.percentile(difference[picks].mean(1), [2.5, 97.5])
    return float(difference.mean()), float(low), float(high)
