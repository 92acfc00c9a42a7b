"""The plain functions below ingest and recall, on anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.memory import query
from engine.memory.chunks import cut
from engine.memory.decode import NotTextError, decode
from engine.memory.fusion import K, fuse
from engine.memory.loglike import why_log
from engine.memory.snippet import snippet

TEXTS = st.text(st.sampled_from("ab .\n\té\u2028"), max_size=400)


@given(TEXTS, st.integers(2, 60))
def test_cutting_loses_nothing(text: str, size: int) -> None:
    pieces = cut(text, size)
    assert "".join(pieces) == text and all(0 < len(piece) <= size for piece in pieces)


def test_cutting_prefers_paragraphs_then_lines_then_sentences() -> None:
    assert cut("one two.\n\nthree four. five", 18) == ["one two.\n\n", "three four. five"]
    assert cut("one two three\nfour five six", 18) == ["one two three\n", "four five six"]
    assert cut("One two three. Four five six", 18) == ["One two three. ", "Four five six"]
    assert cut("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


@given(st.lists(st.tuples(st.floats(0.1, 5), st.lists(st.integers(0, 20), unique=True)), max_size=4))
def test_fusion_is_what_the_paper_says(rankings: list[tuple[float, list[int]]]) -> None:
    scores = fuse(rankings)
    assert set(scores) == {thing for _, ranking in rankings for thing in ranking}
    for thing, score in scores.items():
        assert score == pytest.approx(sum(w / (K + r.index(thing) + 1) for w, r in rankings if thing in r))
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


@given(TEXTS, st.integers(40, 100), st.lists(st.sampled_from(["ab", "a", "é"]), max_size=3))
def test_a_snippet_is_never_longer(text: str, size: int, terms: list[str]) -> None:
    shown = snippet(text, size, terms)
    assert len(shown) <= size and shown.strip("…").strip() in text


def test_a_snippet_shows_what_was_asked_for() -> None:
    text = "padding words " * 100 + "the treasure lies here " + "more padding " * 100
    shown = snippet(text, 120, ["treasure"])
    assert "treasure lies here" in shown and shown.startswith("…") and shown.endswith("…")


@pytest.mark.parametrize(
    ("question", "left", "block"),
    [
        ("places to visit other than Paris or the Rome, in spring", ["places", "visit", "spring"], ("Paris", "Rome")),
        ("animals that have nothing to do with the sea", ["animals"], ("sea",)),
        ("tell of love but avoid talking about old age. Be brief", ["tell", "love", "brief"], ("old age",)),
        ("Don't mention the war and tell me a joke", ["tell", "joke"], ("war",)),
        ("what has something to do with ships", ["something", "ships"], ()),
        ("who was on the other side of the river", ["other", "side", "river"], ()),
    ],
)
def test_what_a_question_rules_out(question: str, left: list[str], block: tuple[str, ...]) -> None:
    found = query.parse(question)
    assert (query.terms(found.text), found.block) == (left, block)


def test_blocked_words_are_whole_words() -> None:
    blocked = query.blocker(["car", "old age"])
    assert blocked
    assert all(blocked.search(text) for text in ("a Car.", "two cars", "in old\nage"))
    assert not any(blocked.search(text) for text in ("carpet", "scar", "old cabbage"))
    assert query.blocker([" "]) is None


@given(st.text(max_size=200))
def test_any_question_can_be_asked(question: str) -> None:
    query.terms(query.parse(question).text)
    query.blocker(query.parse(question).block)


def test_a_question_of_common_words_alone_still_asks() -> None:
    assert query.terms("who is it") == ["who", "is", "it"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("naïve\r\nline\rend".encode(), "naïve\nline\nend"),
        (b"\xef\xbb\xbfmarked", "marked"),
        ("wide".encode("utf-16"), "wide"),
        ("café".encode("latin-1"), "café"),
        (b'<meta charset="koi8-r">' + "привет".encode("koi8-r"), '<meta charset="koi8-r">привет'),
    ],
)
def test_encodings(data: bytes, text: str) -> None:
    assert decode(data, html=True) == text


@pytest.mark.parametrize("data", [b"\x7fELF\x00\x01", bytes(range(1, 9)) * 30])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(NotTextError):
        decode(data)


def test_logs_are_told_from_prose() -> None:
    log = "\n".join(f"2026-01-0{day} 12:00:00 INFO started" for day in range(1, 8))
    assert why_log(log) == "looks like a log: 7 of 7 lines begin with a time or a level"
    assert why_log("\n".join(["Dear diary,", "12:30:00 was the time", *["and it rained."] * 6])) == ""
    assert why_log("INFO one\nINFO two") == "", "too short to tell"
