"""Nothing that a model says can steer a terminal or hide words from a reader."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from engine.record.visible import one_line, visible

ANY = st.text(
    alphabet=st.one_of(
        st.characters(), st.characters(max_codepoint=0x2FF), st.sampled_from("\u202e\u2066\u200b\ufeff\x1b\x9b\ud800")
    )
)


@given(ANY)
def test_what_is_shown_has_no_control_no_direction_and_nothing_unseen(text: str) -> None:
    shown = visible(text)
    for char in shown.replace("\n", ""):
        assert unicodedata.category(char) not in ("Cc", "Cs"), hex(ord(char))
        assert unicodedata.bidirectional(char) not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"), (
            hex(ord(char))
        )
        assert char not in "\u200b\u200e\u200f\u061c\u2028\u2029\ufeff\u00ad\u2060"
    shown.encode()


@given(ANY, ANY)
def test_a_stream_is_shown_as_the_whole_is(one: str, other: str) -> None:
    assert visible(one) + visible(other) == visible(one + other)


@given(ANY)
def test_what_is_safe_is_left_as_it_is(text: str) -> None:
    assert visible(visible(text)) == visible(text)


def test_words_of_all_the_world_are_untouched() -> None:
    for text in ("Ünïcode — “quotes” 東京 Ελλάδα עברית عربى हिन्दी 👩\u200d🚀 e\u0301\nnext line", ""):
        assert visible(text) == text


def test_what_an_attack_looks_like() -> None:
    assert visible("\x1b]0;owned\x07\x1b[2J\r\x7f\x9b31m\x85\u202egpj.exe\tend") == (
        "␛]0;owned␇␛[2J␍␡⟨9B⟩31m\n⟨202E⟩gpj.exe    end"
    )


@given(ANY, st.integers(1, 30))
def test_a_title_is_one_line_and_no_longer_than_asked(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert "\n" not in line and len(line) <= limit
    assert one_line(text) == " ".join(visible(text).split())
