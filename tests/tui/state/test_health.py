"""Measures in cells: never wider than there is room, higher for more, every turn in its place."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.runs import catalog
from tui.state import health
from tui.state.health import BARS, Measures, bar, cells, figure, spark, upto, value

VALUES = st.floats(0, 1) | st.floats(-5, 50)
SERIES = st.dictionaries(st.integers(1, 400), VALUES, max_size=60).map(lambda found: sorted(found.items()))


@given(SERIES, st.integers(1, 80))
def test_cells_cover_every_turn_once_and_never_take_more_room_than_there_is(
    series: list[tuple[int, float]], width: int
) -> None:
    found = cells(series, width)
    assert len(found) <= width and len(spark(series, width)) == len(found)
    if series:
        covered = [seq for _, first, last in found for seq in range(first, last + 1)]
        assert covered == list(range(series[0][0], series[-1][0] + 1))
    for mean, first, last in found:
        here = [number for seq, number in series if first <= seq <= last]
        assert (mean is None) == (not here)
        if mean is not None:
            assert min(here) - 1e-9 <= mean <= max(here) + 1e-9


@given(st.lists(VALUES, min_size=2, max_size=30))
def test_more_is_never_drawn_lower(numbers: list[float]) -> None:
    full = health.top(list(enumerate(numbers)), None)
    drawn = [BARS.index(bar(number, full)) for number in sorted(numbers)]
    assert all(one <= other for one, other in pairwise(drawn))


def test_a_course_is_drawn_on_the_scale_from_nothing_to_one() -> None:
    assert spark([(1, 0.0), (2, 0.5), (3, 1.0)], 10) == "▁▄▇"
    assert spark([(1, 0.2), (2, 0.2)], 10) == "▂▂", "a flat course is not drawn as a full one"
    assert spark([(1, 0.0), (3, 1.0)], 10) == "▁ ▇", "a turn that was not measured keeps its place"
    assert spark([(seq, 1.0) for seq in range(1, 301)], 20) == "▇" * 20
    assert spark([], 10) == "" and spark([(1, 1.0)], 0) == ""


def test_a_turn_has_its_own_value_and_the_last_one_where_none_is_chosen() -> None:
    series = [(1, 0.1), (3, 0.3)]
    assert (value(series, None), value(series, 1), value(series, 2), value([], None)) == (0.3, 0.1, None, None)
    assert upto(series, 2) == [(1, 0.1)] and upto(series, None) == series


def test_figures_have_three_digits_at_most() -> None:
    assert [figure(number) for number in (0.414, 1, 12.34, 140.2, None, float("nan"))] == [
        "0.41", "1.00", "12.3", "140", "–", "–",
    ]  # fmt: skip


def test_a_count_is_drawn_against_the_highest_there_was() -> None:
    assert spark([(1, 0.0), (2, 6.0), (3, 12.0)], 10, None) == "▁▄▇"


def test_every_measure_of_the_engine_has_a_name_and_says_what_it_is() -> None:
    found = Measures(catalog.measures())
    assert found.in_order(["zeal", "drift", "novelty"]) == ["novelty", "drift", "zeal"]
    assert found.label("novelty_meaning") == "new meaning" and found.label("own_measure") == "own measure"
    assert found.highest("structure") is None and found.highest("drift") == 1
    assert all(len(measure.definition) > 40 for measure in found.known)
