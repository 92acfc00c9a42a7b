"""10,000 dictionary entries read and asked for: how fast, and what fusing words and vectors is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.memory import embedder
from engine.providers import weights
from tests.engine.memory import dictionary, quality

pytestmark = pytest.mark.bench
QUESTIONS = 2000


def test_ten_thousand_documents(tmp_path: Path) -> None:
    weights.path("wordllama") or weights.pull("wordllama")
    chosen = embedder.named("wordllama")
    entries = dictionary.entries(10_000)
    store, outcome = quality.fill(tmp_path / "docs", tmp_path / "t.memory.db", entries, chosen)
    with store:
        rate = len(entries) / outcome.seconds
        size = store.path.stat().st_size / 1e6
        print(f"\ningest: {rate:.0f} documents/s, {outcome.chunks} passages, {size:.0f} MB")
        measured = {
            name: quality.measure(store, chosen, entries[:QUESTIONS], way) for name, way in quality.ways().items()
        }
    for name, one in measured.items():
        half, most = np.percentile(one.ms, [50, 95])
        print(f"{name}: recall@{quality.DEPTH} {one.recall:.3f}, p50 {half:.1f} ms a question, p95 {most:.1f} ms")
    for half in ("words", "vectors"):
        mean, low, high = quality.interval(measured["hybrid"], measured[half])
        print(f"hybrid minus {half}: {mean:+.4f}, 95 % from {low:+.4f} to {high:+.4f}")
        assert low >= -0.01
