from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.providers import estimate
from engine.providers.protocol import Count, Honours, Request
from engine.record.content import Said
from engine.record.runs import Status
from engine.record.turns import State
from engine.talk import view
from engine.talk.view import Cut, Dialogue
from engine.talk.window import BLOCK, OPENING, ContextFullError, Fit, fit
from tests.engine.talk.stage import Played, Stage

FRAME = Dialogue("Ann", "Bob", "You are Ann.", (), "Hello.")


class Counter:
    """A provider that counts words, or knows no better than an estimate."""

    def __init__(self, exact: bool = True) -> None:
        self.honours: Any = Honours(options=frozenset(), exact_count=exact)
        self.asked = 0

    async def count(self, request: Request) -> Count:
        self.asked += 1
        if self.honours.exact_count:
            return Count(_words(request), True)
        return Count(estimate.request_bounds("x/y", request).high, False)


def _words(request: Request) -> int:
    return sum(len(message.content.split()) for message in request.messages)


def _said(lengths: Sequence[int], author: str = "Bob") -> list[Said]:
    who = ("Ann", "Bob") if len(lengths) % 2 == 0 else ("Bob", "Ann")
    return [Said(n, n - 1 or None, who[(n - 1) % 2], f"w{n} " * size, "") for n, size in enumerate(lengths, 1)]


def _fit(
    said: list[Said],
    size: int | None,
    *,
    adapter: Counter | None = None,
    strategy: str = "drop-oldest",
    answer: int = 50,
    before: int = 0,
    prefill: str = "",
    summaries: list[tuple[list[int], str]] | None = None,
) -> Fit:
    async def summarise(dropped: Sequence[Said], earlier: str) -> str:
        assert summaries is not None
        summaries.append(([message.n for message in dropped], earlier))
        return f"summary {len(summaries)}"

    counter: Any = adapter or Counter()
    request = Request("y", [], {"max_tokens": answer}, prefill=prefill)
    return asyncio.run(fit(counter, "x/y", request, FRAME, said, size, strategy, summarise, before))


def test_what_fits_is_sent_whole() -> None:
    found = _fit(_said([10] * 6), 10_000)
    assert found.cut == Cut()
    assert len(found.messages) == 8


def test_without_a_known_window_nothing_is_cut() -> None:
    assert _fit(_said([1000] * 30), None).cut == Cut()


def test_the_opening_exchange_and_the_latest_words_stay() -> None:
    said = _said([20] * 40)
    found = _fit(said, 500)
    assert found.cut.keep == OPENING
    assert found.cut.drop % BLOCK == 0
    assert [message.content.split()[0] for message in found.messages[-2:]] == ["w39", "w40"]
    assert "w1 " in found.messages[2].content + " "
    assert found.tokens + 50 <= 500


def test_no_more_blocks_are_dropped_than_needed() -> None:
    said = _said([20] * 40)
    for size in range(200, 800, 50):
        found = _fit(said, size)
        if BLOCK <= found.cut.drop < len(said) - OPENING - 1:
            less = FRAME.messages(said, Cut(OPENING, found.cut.drop - BLOCK))
            assert sum(len(message.content.split()) for message in less) + 50 > size


def test_the_beginning_of_a_request_stays_the_same_for_many_turns() -> None:
    fronts: list[tuple[str, ...]] = []
    before = 0
    for turns in range(20, 60, 2):
        found = _fit(_said([20] * turns), 500, before=before)
        before = found.cut.drop
        fronts.append(tuple(message.content for message in found.messages[:6]))
    changes = sum(one != two for one, two in itertools.pairwise(fronts))
    assert 0 < changes <= len(fronts) * 2 // BLOCK + 1


@given(st.lists(st.integers(1, 120), max_size=40), st.integers(60, 900), st.booleans(), st.text(max_size=30))
@settings(deadline=None)
def test_a_request_never_passes_the_window(lengths: list[int], size: int, exact: bool, prefill: str) -> None:
    adapter = Counter(exact)
    said = _said(lengths)
    try:
        found = _fit(said, size, adapter=adapter, prefill=prefill)
    except ContextFullError as error:
        assert "\n" not in str(error)
        least = FRAME.messages(said, Cut(OPENING, max(len(said) - OPENING - 1, 0)))
        assert size < 50 + 512 or sum(len(message.content) for message in least) > (size - 50)
        return
    request = Request("y", found.messages)
    assert _words(request) + 50 <= size
    assert found.cut.drop == 0 or found.cut.drop + OPENING < len(said)
    if said:
        assert said[-1].text.split()[0] in found.messages[-1].content


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(200, 700))
@settings(deadline=None)
def test_what_is_dropped_depends_on_the_history_alone(lengths: list[int], size: int) -> None:
    """A host that remembers what it dropped and one that has just started send the same."""
    before = 0
    for turns in range(1, len(lengths) + 1):
        try:
            remembered = _fit(_said(lengths)[:turns], size, before=before)
        except ContextFullError:
            with pytest.raises(ContextFullError):
                _fit(_said(lengths)[:turns], size)
            continue
        before = remembered.cut.drop
        assert remembered.messages == _fit(_said(lengths)[:turns], size).messages


def test_a_word_of_one_letter_is_counted_where_the_provider_can() -> None:
    said = [Said(1, None, "Bob", "a " * 3000, "")]
    assert estimate.estimate("x/y", FRAME.messages(said)) < 2950
    with pytest.raises(ContextFullError):
        _fit(said, 3000)


@pytest.mark.parametrize("turns", range(4))
def test_a_very_short_history_that_does_not_fit_is_said_so(turns: int) -> None:
    with pytest.raises(ContextFullError, match="even the last message alone"):
        _fit(_said([500] * turns) or [Said(1, None, "Bob", "w " * 500, "")], 300)


def test_an_answer_larger_than_the_window_is_said_so() -> None:
    with pytest.raises(ContextFullError, match="4096 tokens leaves no room in the 2048"):
        _fit(_said([500] * 4), 2048, answer=4096)


def test_refuse_drops_nothing() -> None:
    with pytest.raises(ContextFullError, match="x/y takes 250 beside its answer"):
        _fit(_said([50] * 10), 300, strategy="refuse")


def test_summaries_are_made_block_by_block() -> None:
    made: list[tuple[list[int], str]] = []
    found = _fit(_said([20] * 40), 500, strategy="summarise", summaries=made)
    blocks = found.cut.drop // BLOCK
    assert found.cut.summary == f"summary {len(made)}"
    assert made[-1] == (
        list(range(OPENING + found.cut.drop - BLOCK + 1, OPENING + found.cut.drop + 1)),
        f"summary {len(made) - 1}",
    )
    assert blocks > 1
    assert any("summary" in message.content for message in found.messages)


# -- in a duel


SCRIPT: dict[str, Any] = {"seats": {}, "otherwise": "echo", "words": 28, "window": 256}
LONG = {"options": {"max_tokens": 60}}


async def _long(
    stage: Stage, strategy: str = "drop-oldest", turns: int = 24, script: dict[str, Any] | None = None
) -> Played:
    pipeline = stage.pipeline(script or SCRIPT, ann=LONG, bob=LONG, context={"strategy": strategy})
    return await stage.play(pipeline, [f"limits.turns={turns}"])


def _total(request: Request) -> int:
    return _words(request) + len(request.prefill.split())


async def test_a_long_talk_stays_in_the_window_and_tells_of_each_cut(stage: Stage) -> None:
    played = await _long(stage)
    assert len(played.said) == 24
    assert max(_total(request) for request in played.requests) + 60 <= 256
    told = [event.data for event in stage.events(played.run, "context.cut")]
    assert {data["seat"] for data in told} == {"Ann", "Bob"}
    for seat in ("Ann", "Bob"):
        cuts = [call.request.get("cut", [0, 0])[1] for call in stage.calls(played.run) if call.seat == seat]
        steps = [new for old, new in zip([0, *cuts], cuts, strict=False) if new != old]
        assert [data["dropped"] for data in told if data["seat"] == seat] == steps
        assert all(data["exact"] and data["window"] == 256 for data in told)


async def test_a_host_that_took_over_sends_what_the_first_would_have_sent(stage: Stage) -> None:
    whole = await _long(stage)
    first = await _long(stage, turns=13)
    stage.change(first.run, ["limits.turns=24"])
    second = await stage.go_on(first.run)
    assert second.said == whole.said
    sent = [list(request.messages) for request in (*first.requests, *second.requests)]
    assert sent == [list(request.messages) for request in whole.requests]


async def test_summaries_are_rows_and_are_not_made_again(stage: Stage) -> None:
    script = {**SCRIPT, "window": 600, "seats": {"summary": ["They spoke of lamps."]}}
    first = await _long(stage, "summarise", 28, script)
    made = stage.calls(first.run, "summary")
    assert made and all(call.error is None and call.tokens_in and call.turn is None for call in made)
    assert "They spoke of lamps." in first.requests[-1].messages[-1].content + first.requests[-1].messages[3].content
    stage.change(first.run, ["limits.turns=29"])
    second = await stage.go_on(first.run)
    assert [call.n for call in stage.calls(first.run, "summary")] == [call.n for call in made]
    for call, request in zip(
        stage.calls(first.run)[-1:], [r for r in second.requests if not r.slot.endswith("summary")], strict=True
    ):
        assert stage.read(lambda db, call=call: view.rebuild(db, call.request)) == list(request.messages)
    asked = [tuple(call.request["dropped"]) for call in made]
    assert len(asked) == len(set(asked))


async def test_summaries_count_against_the_limits(stage: Stage) -> None:
    script = {**SCRIPT, "window": 600, "seats": {"summary": ["They spoke of lamps."]}}
    played = await _long(stage, "summarise", 28, script)
    used = sum(
        (call.tokens_in or 0) + (call.tokens_out or 0)
        for call in stage.calls(played.run) + stage.calls(played.run, "summary")
    )
    assert stage.spent(played.run)["tokens"] == used
    row = stage.row(played.run)
    assert row.tokens_in + row.tokens_out == used


async def test_a_summary_that_fails_is_tried_again_and_each_try_is_a_row(stage: Stage, quick: None) -> None:
    broken = {"text": "They spoke of lamps.", "faults": [{"attempt": 1, "fault": "broken_stream", "after": 4}]}
    played = await _long(stage, "summarise", 28, {**SCRIPT, "window": 600, "seats": {"summary": [broken]}})
    made = stage.calls(played.run, "summary")
    assert [call.error is None for call in made[:2]] == [False, True]
    assert [call.attempt for call in made[:2]] == [1, 2]
    assert len(played.said) == 28


async def test_a_block_too_long_to_summarise_is_summarised_in_parts(stage: Stage) -> None:
    long = [f"word{n} " * 40 for n in range(12)]
    script = {"seats": {"*": long, "summary": ["Short."]}, "window": 400}
    pipeline = stage.pipeline(script, ann=LONG, bob=LONG, context={"strategy": "summarise"})
    played = await stage.play(pipeline, ["limits.turns=18"])
    assert len(played.said) == 18
    assert max(_total(request) for request in played.requests if not request.slot.endswith("summary")) + 60 <= 400
    assert max(_total(request) for request in played.requests if request.slot.endswith("summary")) + 200 <= 400
    assert any(len(call.request["dropped"]) < BLOCK for call in stage.calls(played.run, "summary"))


async def test_a_talk_that_may_not_be_cut_asks(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SCRIPT, ann=LONG, bob=LONG, context={"strategy": "refuse"}), ["limits.turns=24"])
    async with stage.host(run) as live:
        ask = await live.asked()
        assert "choose a model with a larger window" in ask.question
        await live.until(lambda db: stage.row(run).status is Status.WAITING, "the status")
        await live.answer("stop")
        assert (await live.ended()).reason == "provider"
    assert len(stage.turns(run, State.FAILED)) == 1


async def test_a_huge_message_is_an_ask_and_not_an_overflow(stage: Stage) -> None:
    script = {"seats": {"Ann": ["w " * 50_000], "Bob": ["never"]}, "window": 1000}
    run = stage.create(stage.pipeline(script))
    async with stage.host(run) as live:
        assert "even the last message alone" in (await live.asked()).question
        assert all(_total(request) <= 1000 for request in live.requests)
        await live.answer("stop")
    assert len(stage.turns(run)) == 1


async def test_a_seats_own_window_is_the_smaller_one(stage: Stage) -> None:
    script: dict[str, Any] = {"seats": {}, "otherwise": "echo", "words": 40}
    seat = {"window": 4000, "options": {"num_ctx": 300, "max_tokens": 60}}
    played = await stage.play(stage.pipeline(script, ann=seat, bob=seat), ["limits.turns=16"])
    assert max(_total(request) for request in played.requests) + 60 <= 300
