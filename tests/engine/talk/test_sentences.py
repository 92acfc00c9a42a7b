"""An answer cut by the token limit ends at its last whole sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.talk.sentences import trim_to_sentence

_PIECES = st.lists(
    st.sampled_from(
        [
            "Hello",
            "word",
            "Dr.",
            "e.g.",
            ".",
            "!",
            "?",
            "...",
            "…",
            "。",
            "！",
            '"',
            "”",
            ")",
            "*",
            " ",
            "\n",
            "1.",
            "I.",
            "é",
            "好",
        ]
    ),
    max_size=40,
).map("".join)
_TEXTS = st.one_of(st.text(max_size=200), _PIECES)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("I am glad. It is a story of lo", "I am glad."),
        ("I am glad. It is late!", "I am glad. It is late!"),
        ("I am glad.  \n", "I am glad."),
        ('She said: "Go home." And then', 'She said: "Go home."'),
        ("(He laughs.) *She nods.* And so we", "(He laughs.) *She nods.*"),
        ("It was well... you know. But wh", "It was well... you know."),
        ("I see... when you are right there", "I see..."),
        ("Good evening. Dr. W. Smith came and Mr.", "Good evening."),
        ("It is 3.14 or so. It may be 2.", "It is 3.14 or so. It may be 2."),
        ("Two things matter:\n1. Sea\n2. Clo", "Two things matter:\n1. Sea\n2. Clo"),
        ("no capitals here. just a cut sente", "no capitals here."),
        ("今日は良い天気です。散歩に行き", "今日は良い天気です。"),
        ("「行こう。」と彼は言った。それか", "「行こう。」と彼は言った。"),
        ("यह अच्छा है। और फिर", "यह अच्छा है।"),
        ("هل أنت بخير؟ أنا", "هل أنت بخير؟"),
        ("Er sagte »Nein.« Dann ging", "Er sagte »Nein.«"),
        ("Really?! Yes", "Really?!"),
        ("never ends here and", "never ends here and"),
        ("...", "..."),
        ("", ""),
    ],
)
def test_ends_at_the_last_whole_sentence(text: str, whole: str) -> None:
    assert trim_to_sentence(text) == whole


@given(_TEXTS)
def test_gives_a_prefix_and_cuts_once(text: str) -> None:
    once = trim_to_sentence(text)
    assert text.startswith(once)
    assert bool(once) == bool(text)
    assert trim_to_sentence(once) == once


@given(st.text(alphabet=st.characters(exclude_characters=".!?…‼⁇⁈⁉؟۔।॥։።。！？｡．︒"), max_size=200))
def test_leaves_a_text_without_a_stop_alone(text: str) -> None:
    assert trim_to_sentence(text) == text


@given(_TEXTS, st.text(alphabet="abcdefgh ", max_size=40))
def test_drops_an_unfinished_sentence_behind_a_whole_one(text: str, rest: str) -> None:
    whole = text + "Yes it is."
    assert trim_to_sentence(whole + " And " + rest) == whole


def test_one_megabyte_in_a_line_is_no_trouble() -> None:
    assert trim_to_sentence("a" * 1_000_000 + ". B" + "." * 100_000 + "c") == "a" * 1_000_000 + "."
