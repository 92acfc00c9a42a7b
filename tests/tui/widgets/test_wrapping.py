"""Wrapping: never too wide, nothing lost, and growing gives what wrapping at once gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.widgets.wrapping import grow, wrap

TEXT = st.text(st.sampled_from("ab  \n你好é́e\u0301👩\u200d👩❤\ufe0fz"), max_size=60)


def rows(text: str, width: int) -> list[str]:
    return [text[start:end] for start, end in wrap(text, width)]


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("", 10, [""]),
        ("tell me more", 8, ["tell me", "more"]),
        ("tell me  more", 7, ["tell me", "more"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("one\n\ntwo", 10, ["one", "", "two"]),
        ("trailing   ", 8, ["trailing"]),
        ("你好世界", 4, ["你好", "世界"]),
        ("say 你好世界", 7, ["say 你", "好世界"]),
        ("ab 👩‍👩‍👧 cd", 5, ["ab 👩‍👩‍👧", "cd"]),
        ("e\u0301e\u0301e\u0301", 2, ["e\u0301e\u0301", "e\u0301"]),
    ],
)
def test_rows(text: str, width: int, expected: list[str]) -> None:
    assert rows(text, width) == expected


@given(TEXT, st.integers(2, 20))
def test_no_row_is_too_wide_and_only_spaces_are_dropped(text: str, width: int) -> None:
    found = wrap(text, width)
    assert all(cell_len(text[start:end].rstrip(" ")) <= width for start, end in found)
    kept, last = "", 0
    for start, end in found:
        assert not text[last:start].strip(" \n"), "only spaces and line ends lie between rows"
        kept, last = kept + text[start:end], end
    assert not text[last:].strip(" \n")


@given(st.lists(TEXT, max_size=6), st.integers(2, 20))
def test_growing_text_ends_up_as_if_wrapped_at_once(pieces: list[str], width: int) -> None:
    text, found = "", wrap("", width)
    for piece in pieces:
        text += piece
        grow(text, width, found)
    assert found == wrap(text, width)
