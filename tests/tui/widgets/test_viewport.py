"""The viewport against the plain thing: all rows in one list, and a window on it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.viewport import Viewport

HEIGHTS = st.lists(st.integers(1, 6), min_size=1, max_size=12)
MOVES = st.lists(st.one_of(st.integers(-9, 9), st.sampled_from(["home", "end"])), max_size=20)


def port(heights: list[int], rows: int) -> Viewport:
    found = Viewport(heights.__getitem__, lambda: len(heights))
    found.rows = rows
    return found


@given(HEIGHTS, st.integers(1, 10), MOVES)
def test_moving_is_a_window_on_all_rows(heights: list[int], rows: int, moves: list[int | str]) -> None:
    every = [(block, row) for block, height in enumerate(heights) for row in range(height)]
    last = max(0, len(every) - rows)
    window, at = port(heights, rows), last
    for move in moves:
        if isinstance(move, int):
            window.scroll(move)
            at = max(0, min(at + move, last))
        elif move == "home":
            window.home()
            at = 0
        else:
            window.end()
            at = last
        assert window.lines() == every[at : at + rows]
        assert window.follow == (at == last)


@given(HEIGHTS, st.integers(1, 10), MOVES, st.data())
def test_show_brings_a_block_into_view(
    heights: list[int], rows: int, moves: list[int | str], data: st.DataObject
) -> None:
    window = port(heights, rows)
    for move in moves:
        window.scroll(move) if isinstance(move, int) else window.home()
    block = data.draw(st.integers(0, len(heights) - 1))
    window.show(block)
    seen = [place for place in window.lines() if place[0] == block]
    assert len(seen) == min(heights[block], rows) or seen[0] == (block, 0)


def test_following_stays_at_the_end_and_looking_back_stays_where_it_is() -> None:
    heights = [2] * 10
    window = port(heights, 4)
    assert window.lines()[-1] == (9, 1)
    heights.append(3)
    assert window.lines()[-1] == (10, 2)
    window.scroll(-5)
    before = window.lines()
    heights.extend([2, 2])
    assert window.lines() == before


def test_only_what_is_near_is_measured() -> None:
    asked: list[int] = []

    def height(index: int) -> int:
        asked.append(index)
        return 3

    window = Viewport(height, lambda: 5000)
    window.rows = 30
    window.lines()
    window.scroll(-10)
    window.lines()
    window.show(2500)
    window.lines()
    assert len(set(asked)) < 60
