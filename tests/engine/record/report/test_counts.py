"""Phrases, flags and quotes are counts of what was said: each against a slow count by hand."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.record.report import flags, quotes
from engine.record.report.control import Control, bundled
from engine.record.report.phrases import Phrases
from engine.record.report.settings import parse
from engine.record.report.words import Finder, count, sentences
from engine.settings import layers
from engine.settings.errors import UsageError

STOP = frozenset({"the", "of", "a"})


def frequent(texts: list[str], limit: int) -> dict[str, int]:
    phrases = Phrases(STOP, [])
    for text in texts:
        phrases.add("r", 0, text)
    return {item.phrase: item.count for item in phrases.frequent(limit)}


def by_hand(texts: list[str], limit: int) -> dict[str, int]:
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        for line in sentences(text):
            for length in (1, 2, 3):
                for start in range(len(line) - length + 1):
                    phrase = tuple(line[start : start + length])
                    if not {phrase[0], phrase[-1]} & STOP and len(phrase[0]) > 1 and len(phrase[-1]) > 1:
                        counts[phrase] += 1

    def inside(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
        return len(short) < len(long) and f" {' '.join(short)} " in f" {' '.join(long)} "

    kept = [
        phrase
        for phrase, times in counts.items()
        if times > 1 and not any(inside(phrase, other) and counts[other] == times for other in counts)
    ]
    scores = sorted((counts[phrase] * len(phrase) for phrase in kept), reverse=True)[:limit]
    floor = scores[-1] if scores else 0
    return {" ".join(phrase): counts[phrase] for phrase in kept if counts[phrase] * len(phrase) >= floor}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["the", "of", "ab", "cd", "ef", "gh", "."]), max_size=20).map(" ".join), max_size=4
    ),
    st.integers(1, 4),
)
def test_the_frequent_phrases_are_those_that_a_full_count_finds(texts: list[str], limit: int) -> None:
    found, expected = frequent(texts, limit), by_hand(texts, limit)
    assert found.items() <= expected.items()
    assert len(found) == min(limit, len(expected)), "what ties with the last place may be left out"


def test_pairs_that_cannot_be_among_the_first_are_not_counted_but_none_that_can_is_lost() -> None:
    noise = [f"word{number} word{number + 1}." for number in range(300) for _ in range(2)]
    texts = [*noise, *["deep blue sea." for _ in range(9)], *["sea" for _ in range(4)]]
    assert list(frequent(texts, 2).items()) == [("deep blue sea", 9), ("sea", 13)]


def test_a_course_is_the_count_over_equal_stretches() -> None:
    phrases = Phrases(STOP, ["trade-off", "never said"])
    for unit in range(24):
        phrases.add(f"run{unit % 2}", unit, "A trade off. Blue sea. " * (2 if unit > 21 else 1))
    (tracked,) = phrases.tracked()
    assert (tracked.phrase, tracked.count, tracked.runs) == ("trade-off", 26, 2)
    assert tracked.course == [2] * 11 + [4] and tracked.texts == 24
    sea = next(item for item in phrases.frequent(5) if item.phrase == "blue sea")
    assert (sea.count, sea.course) == (26, [2] * 11 + [4])


def test_no_phrase_reaches_over_the_end_of_a_sentence_or_a_line_of_a_list() -> None:
    assert list(sentences("Blue sea. Green (dark) tree\n- one\n- two’s self-made!")) == [
        ["blue", "sea"],
        ["green"],
        ["dark"],
        ["tree"],
        ["one"],
        ["two's", "self-made"],
    ]
    assert list(sentences("x" * 41 + " ok")) == [["ok"]]


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("world model*", "A World-Model, world  models world\nmodelling", ["World-Model", "world\nmodelling"]),
        ("plan", "plan planet Plan. plans a-plan", ["plan", "Plan", "plan"]),
        ("self-improv*", "self improving self-improvement himself-improv", ["self improving", "self-improvement"]),
    ],
)
def test_a_term_is_found_as_words_not_as_a_part_of_one(term: str, text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in Finder.of([term]).spans(text)] == found


def test_a_place_counts_once_in_a_family() -> None:
    assert Finder.of(["plan", "plan ahead", "ahead"]).spans("plan ahead") == [(0, 10)]


def test_control_counts_are_of_stretches_as_long_as_the_run() -> None:
    text = "plan b c d e f plan plan i j k l m n o plan"
    control = Control(text, "x", {"p": Finder.of(["plan"])})
    assert control.words == 16
    expected = control.expected("p", 4)
    assert (expected.mean, expected.least, expected.most, expected.stretches) == (1.0, 0, 2, 4)
    scaled = control.expected("p", 32)
    assert (scaled.mean, scaled.stretches) == (8.0, 0)
    assert control.expected("p", 0).mean == 0.0


def test_the_bundled_control_text_is_prose_in_which_common_words_of_a_family_are_found() -> None:
    settings = parse(layers.load("report"), "report.yml")
    finders = {family: Finder.of(terms) for family, terms in settings.families.items()}
    control = Control(bundled(), "x", finders)
    assert control.words == count(bundled()) > 20_000
    assert control.expected("planning", 1000).mean > 0.5, "a bare count of such words says nothing"
    assert control.expected("self-improvement", 1000).mean < 0.1


def test_hits_are_quoted_in_order_up_to_the_limit_and_all_are_counted() -> None:
    said = [(1, "A", "x " * 60 + "a plan and agency " + "y " * 60), (2, "B", "plan " * 50)]
    finders = {"planning": Finder.of(["plan"]), "agency": Finder.of(["agency"])}
    control = Control("nothing here", "x", finders)
    found = flags.count("r", said, finders, control, 30)
    assert (found.counts, found.total, found.words, found.turns) == ({"planning": 51, "agency": 1}, 52, 174, 2)
    assert len(found.hits) == 30 and [hit.family for hit in found.hits[:3]] == ["planning", "agency", "planning"]
    texts = {seq: text for seq, _, text in said}
    assert all(hit.quote.text in texts[hit.quote.seq] and len(hit.quote.text) < 130 for hit in found.hits)
    assert found.density == pytest.approx(1000 * 52 / 174)


def test_quotes_stand_in_their_text_word_for_word() -> None:
    text = "The  rules\nof chess. And more."
    assert quotes.within(text, "the rules of chess") == "The  rules\nof chess"
    assert quotes.within(text, "never said") is None and quotes.within(text, " ") is None
    assert quotes.first_sentence(text) == "The  rules"
    assert quotes.first_sentence("word " * 100) in "word " * 100
    assert len(quotes.first_sentence("x" * 1_000_000)) == quotes.FIRST


@given(st.text(max_size=200), st.integers(0, 200), st.integers(1, 20))
def test_the_words_around_a_place_are_a_part_of_the_text(text: str, start: int, length: int) -> None:
    start = min(start, len(text))
    assert quotes.around(text, start, min(start + length, len(text))) in text


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"phrase": 3}, "report.yml: phrase: unknown; did you mean phrases?"),
        ({"hits": -1}, "report.yml: hits: must be a whole number from 0 to 1000, not -1"),
        ({"families": ["x"]}, "report.yml: families: write it as"),
        ({"families": {"x": "plan"}}, "report.yml: families.x: must be a list"),
        ({"tracked": [1]}, "report.yml: tracked: must be a list"),
        ({"stop_words": ["a"]}, "report.yml: stop_words: write them as one text"),
    ],
)
def test_settings_that_make_no_sense_are_named(change: dict[str, object], error: str) -> None:
    with pytest.raises(UsageError, match="^" + error.replace("?", r"\?")):
        parse({**layers.load("report"), **change}, "report.yml")
