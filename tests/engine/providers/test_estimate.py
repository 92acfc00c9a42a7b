from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.providers import estimate
from engine.providers.protocol import Message, Request, Tool

TEXTS = st.lists(st.text(max_size=200), max_size=8)
REPORTS = st.lists(st.tuples(st.integers(0, 100_000), st.integers(-5, 60_000), st.integers(0, 50)), max_size=12)


@pytest.fixture(autouse=True)
def fresh() -> None:
    estimate.forget()


def taught(reports: list[tuple[int, int, int]]) -> None:
    estimate.forget()
    for text_bytes, tokens, messages in reports:
        estimate.learn("m", text_bytes, tokens, messages)


def said(texts: list[str]) -> list[Message]:
    return [Message("user", text) for text in texts]


@settings(max_examples=60, deadline=None)
@given(REPORTS, TEXTS, st.text(max_size=50))
def test_more_text_is_never_fewer_tokens_whatever_was_reported(
    reports: list[tuple[int, int, int]], texts: list[str], more: str
) -> None:
    taught(reports)
    before, after = estimate.estimate("m", said(texts)), estimate.estimate("m", said([*texts, more]))
    assert 0 <= before <= after
    longer = estimate.estimate("m", said([*texts[:-1], (texts or [""])[-1] + more]))
    assert longer >= (before if texts else 0)


@settings(max_examples=60, deadline=None)
@given(REPORTS, st.integers(0, 10**7), st.integers(0, 1000))
def test_bounds_stay_in_order(reports: list[tuple[int, int, int]], text_bytes: int, messages: int) -> None:
    taught(reports)
    bounds = estimate.bounds("m", text_bytes, messages)
    assert 0 <= bounds.low <= bounds.likely <= bounds.high


@settings(max_examples=40, deadline=None)
@given(st.floats(1, 8), st.integers(5, 40))
def test_what_the_provider_reports_is_learned(bytes_a_token: float, messages: int) -> None:
    estimate.forget()
    for size in (4000, 9000, 20_000, 50_000):
        estimate.learn("m", size, round(size / bytes_a_token) + estimate.PER_MESSAGE * messages, messages)
    true = 30_000 / bytes_a_token + estimate.PER_MESSAGE * messages
    bounds = estimate.bounds("m", 30_000, messages)
    assert bounds.low <= true <= bounds.high
    assert bounds.likely == pytest.approx(true, rel=0.02)
    assert bounds.high < true * 1.15


def test_models_are_learned_apart_and_short_prompts_teach_nothing() -> None:
    before = estimate.bounds("a", 10_000)
    estimate.learn("b", 10_000, 5000)
    estimate.learn("a", 20, 90)
    assert estimate.bounds("a", 10_000) == before != estimate.bounds("b", 10_000)


def test_scripts_with_many_bytes_a_character_count_for_more() -> None:
    assert estimate.estimate("m", said(["日本語" * 100])) > 2 * estimate.estimate("m", said(["abc" * 100]))
    assert estimate.estimate("m", said(["\ud800 lone surrogate"])) > 0


def test_tools_and_prefill_count() -> None:
    bare = Request("m", said(["hello"]))
    full = Request("m", said(["hello"]), tools=[Tool("find", "finds " * 50, {"type": "object"})], prefill="Well, " * 50)
    assert estimate.request_bounds("m", full).low > estimate.request_bounds("m", bare).low + 50
