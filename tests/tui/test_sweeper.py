"""The collector's work between key presses: nothing while somebody types, everything soon after."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from tui import sweeper
from tui.sweeper import Sweeper


class Knot:
    """Refers to itself: only a collection frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def sweep() -> Iterator[Sweeper]:
    found = Sweeper()
    found.begin()
    yield found
    found.end()


def _old_knot() -> weakref.ref[Knot]:
    knot = Knot()
    gc.collect(1)  # it is of the oldest generation from here on
    return weakref.ref(knot)


def test_garbage_is_collected_once_nobody_types(sweep: Sweeper, monkeypatch: pytest.MonkeyPatch) -> None:
    knot = _old_knot()
    monkeypatch.setattr(sweeper, "_DUE", 0)
    sweep.touched(100.0)
    assert not sweep.beat(100.1) and knot() is not None
    assert sweep.beat(101.0) and knot() is None


def test_nothing_is_collected_that_is_not_due(sweep: Sweeper) -> None:
    gc.collect()
    assert not sweep.beat(100.0)


def test_what_is_loaded_is_never_looked_at_again_and_the_collector_is_given_back_as_it_was() -> None:
    before, kept = gc.get_threshold(), [[]]
    found = Sweeper()
    found.begin()
    try:
        assert not any(item is kept for item in gc.get_objects())
        assert gc.get_threshold()[:2] == before[:2] and gc.get_threshold()[2] > before[2]
    finally:
        found.end()
    assert any(item is kept for item in gc.get_objects()) and gc.get_threshold() == before
