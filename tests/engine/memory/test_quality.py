"""Recall on real documents with the real embedding model: both halves together are no worse than either alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.memory import embedder
from engine.providers import weights
from tests.engine.memory import dictionary, quality

WORST = -0.01


@pytest.mark.model
def test_both_halves_together_are_no_worse_than_either(tmp_path: Path) -> None:
    try:
        entries = dictionary.entries(1000)
    except dictionary.MissingError as error:
        pytest.skip(f"dictionaries: {error}")
    weights.path("wordllama") or weights.pull("wordllama")
    chosen = embedder.named("wordllama")
    store, outcome = quality.fill(tmp_path / "docs", tmp_path / "t.memory.db", entries, chosen)
    with store:
        assert outcome.added + outcome.copies == 1000 and outcome.faults == []
        measured = {name: quality.measure(store, chosen, entries, way) for name, way in quality.ways().items()}
        assert min(one.recall for one in measured.values()) > 0.6, "each half finds most of them, chance is 0.01"
        for half in ("words", "vectors"):
            _, low, _ = quality.interval(measured["hybrid"], measured[half])
            assert low >= WORST, half
