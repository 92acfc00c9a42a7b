from __future__ import annotations

from typing import Any

import pytest

from engine.providers import scripted
from engine.record.asks import Ask
from engine.record.runs import Status
from engine.record.turns import State
from tests.engine.talk.stage import Live, Stage

TEXT = "I had a lamp once, and it burned blue."
SLOW: dict[str, Any] = {"seats": {}, "otherwise": "echo", "pace": {"chunk": 4, "delay": 0.01}}
ECHO: dict[str, Any] = {"seats": {}, "otherwise": "echo"}


def _faulty(**fault: Any) -> dict[str, Any]:
    return {"seats": {"Ann": [{"text": TEXT, "chunk": 4, "faults": [fault]}, "Good."], "Bob": ["Well.", "Yes."]}}


async def test_a_broken_stream_is_tried_again_and_what_it_had_said_is_kept(stage: Stage, quick: None) -> None:
    played = await stage.play(stage.pipeline(_faulty(fault="broken_stream", attempt=1, after=12)))
    assert [text for _, text in played.said] == [TEXT, "Well.", "Good.", "Yes."]
    partial = stage.turns(played.run, State.PARTIAL)
    assert [(turn.seq, turn.text, turn.stop) for turn in partial] == [(1, TEXT[:12], "error")]
    calls = stage.calls(played.run)
    assert [(call.attempt, call.error is None) for call in calls[:2]] == [(1, False), (2, True)]
    assert calls[0].turn == partial[0].n != calls[1].turn
    assert [event.data["attempt"] for event in stage.events(played.run, "call.retried")] == [2]
    assert played.requests[0].messages == played.requests[1].messages
    assert stage.spent(played.run)["turns"] == 4


async def test_a_refusal_before_any_word_needs_no_second_row(stage: Stage, quick: None) -> None:
    played = await stage.play(stage.pipeline(_faulty(fault="rate_limited", attempt=1, retry_after=0.001)))
    assert stage.turns(played.run, State.PARTIAL, State.FAILED) == []
    assert len(played.said) == 4
    assert len(stage.calls(played.run)) == 5


async def _ask_after(live: Live, stage: Stage) -> Ask:
    ask = await live.asked()
    assert (ask.kind, ask.subject, ask.fallback) == ("choose", "seat/Ann", "stop")
    assert [option.value for option in ask.options] == ["retry", "model", "skip", "stop"]
    await live.until(lambda db: stage.row(live.run).status is Status.WAITING, "the status")
    assert stage.turns(live.run, State.LIVE) == []
    return ask


EVERY = {"fault": "server", "attempt": "every", "status": 503, "after": 8}


async def test_after_the_last_try_the_run_asks_and_a_retry_goes_on(stage: Stage, quick: None) -> None:
    run = stage.create(stage.pipeline(_faulty(**EVERY)))
    async with stage.host(run) as live:
        await _ask_after(live, stage)
        assert len(stage.calls(run)) == 5
        assert [event.data["error"] for event in stage.events(run, "turn.failed")] == [stage.calls(run)[-1].error]
        scripted.register("play", {"seats": {"Ann": [TEXT, "Good."], "Bob": ["Well.", "Yes."]}})
        await live.answer("retry")
        await live.ended()
    assert [text for _, text in stage.said(run)] == [TEXT, "Well.", "Good.", "Yes."]
    assert all(turn.text == TEXT[:8] for turn in stage.turns(run, State.PARTIAL))


@pytest.mark.parametrize("answer", ["s", "skip", "command"])
async def test_after_the_last_try_the_turn_may_be_skipped(stage: Stage, quick: None, answer: str) -> None:
    run = stage.create(stage.pipeline(_faulty(**EVERY)), ["limits.turns=2"])
    async with stage.host(run) as live:
        await _ask_after(live, stage)
        if answer == "command":
            assert await live.tell("skip") == ("taken", None)
        else:
            await live.answer(answer)
        await live.ended()
    assert [turn.seat for turn in stage.turns(run, State.SKIPPED)] == ["Ann"]
    assert stage.said(run) == [("Bob", "Well.")]
    assert stage.spent(run)["turns"] == 2


async def test_after_the_last_try_another_model_may_take_the_seat(stage: Stage, quick: None) -> None:
    scripted.register("spare", {"seats": {"Ann": ["I am the spare.", "Still."]}})
    run = stage.create(stage.pipeline(_faulty(**EVERY)))
    async with stage.host(run) as live:
        await _ask_after(live, stage)
        await live.answer("model=olama/x")
        ask = await live.until(
            lambda db: next((a for a in _open(stage, run) if "olama" in a.question), None), "the ask"
        )
        assert (
            ask.question == "seat Ann: unknown provider 'olama': did you mean ollama? (endpoints are in providers.yml)"
        )
        await live.answer("m")
        await live.until(lambda db: next((a for a in _open(stage, run) if a.kind == "text"), None), "which model")
        await live.answer("scripted/spare")
        await live.ended()
    assert [text for _, text in stage.said(run)] == ["I am the spare.", "Well.", "Still.", "Yes."]
    assert next(turn.model for turn in stage.turns(run)) == "scripted/spare"


def _open(stage: Stage, run: str) -> list[Ask]:
    from engine.record import asks

    return stage.read(lambda db: asks.listing(db, stage.n(run)))


async def test_after_the_last_try_the_run_may_stop(stage: Stage, quick: None) -> None:
    run = stage.create(stage.pipeline(_faulty(**EVERY)))
    async with stage.host(run) as live:
        await _ask_after(live, stage)
        await live.answer("stop")
        outcome = await live.ended()
    assert (outcome.status, outcome.reason) == (Status.FAILED, "provider")
    assert outcome.detail == stage.calls(run)[-1].error


async def test_a_fault_that_no_retry_can_mend_asks_at_once(stage: Stage, quick: None) -> None:
    run = stage.create(stage.pipeline(_faulty(fault="key", attempt="every", message="the key is no longer valid")))
    async with stage.host(run) as live:
        assert (await _ask_after(live, stage)).question == "the key is no longer valid"
        assert len(stage.calls(run)) == 1
        await live.answer("stop")


async def test_a_seat_taken_while_the_run_asks_is_yours_at_once(stage: Stage, quick: None) -> None:
    run = stage.create(stage.pipeline(_faulty(**EVERY)), ["limits.turns=2"])
    async with stage.host(run) as live:
        await _ask_after(live, stage)
        assert await live.tell("take", seat="Ann") == ("taken", None)
        await live.until(lambda db: next((a for a in _open(stage, run) if a.kind == "text"), None), "my turn")
        await live.answer("Then I say it.")
        await live.ended()
    assert stage.said(run)[0] == ("Ann", "Then I say it.")


# -- after a crash


async def _crashed(stage: Stage, seq: int = 1, characters: int = 12, **over: Any) -> tuple[str, str]:
    """A run whose host died in the middle of turn `seq`; and the text that was shown by then."""
    run = stage.create(stage.pipeline(SLOW, **over), ["limits.turns=4"])
    async with stage.host(run, crash=True) as live:
        await live.shown(seq, characters)
    listed = stage.read(lambda db: _live_text(db, stage.n(run)))
    return run, listed


def _live_text(db: Any, n: int) -> str:
    from engine.record import turns

    live = turns.live(db, n)
    assert live is not None
    return live.text


@pytest.mark.parametrize("seq", [1, 2])
@pytest.mark.parametrize("partial", ["redo", "continue"])
async def test_a_broken_turn_is_redone_or_continued_and_never_doubled(stage: Stage, partial: str, seq: int) -> None:
    whole = (await stage.play(stage.pipeline(ECHO))).said
    run, shown = await _crashed(stage, seq, partial=partial)
    assert len(shown) >= 12
    scripted.register("play", ECHO)
    played = await stage.go_on(run)
    assert played.said == whole
    broken = stage.turns(run, State.PARTIAL)
    assert [(turn.seq, turn.text, turn.stop) for turn in broken] == [(seq, shown, "crash")]
    assert played.requests[0].prefill == (shown.rstrip() if partial == "continue" else "")
    started = [event.data for event in stage.events(run, "turn.started") if event.data["seq"] == seq]
    assert started[-1].get("continues", "") == (shown.rstrip() if partial == "continue" else "")
    assert stage.calls(run)[seq].request.get("prefill") is not None or partial == "redo"
    assert stage.spent(run)["turns"] == 4


async def test_a_crash_in_a_redone_turn_keeps_its_seed(stage: Stage) -> None:
    """What another host sends is what the first would have sent, a human's retry counted."""
    run = stage.create(stage.pipeline(SLOW, seed=5))
    async with stage.host(run, crash=True) as live:
        await live.shown(1)
        await live.tell("retry")
        await live.until(lambda db: len(live.requests) == 2, "the turn again")
        sent = live.requests[1]
    scripted.register("play", ECHO)
    played = await stage.go_on(run)
    assert played.requests[0].options == sent.options
    assert played.requests[0].messages == sent.messages


async def test_a_retry_of_a_continued_turn_begins_anew(stage: Stage) -> None:
    run, shown = await _crashed(stage, partial="continue")
    async with stage.host(run) as live:
        await live.shown(1, len(shown) + 4)
        assert live.requests[0].prefill
        await live.tell("retry")
        await live.until(lambda db: len(live.requests) == 2, "the turn again")
        assert live.requests[1].prefill == ""
        scripted.register("play", ECHO)
        await live.ended()


async def test_a_crash_while_asking_asks_again(stage: Stage, quick: None) -> None:
    run = stage.create(stage.pipeline(_faulty(**EVERY)), ["limits.turns=2"])
    async with stage.host(run, crash=True) as live:
        await _ask_after(live, stage)
    async with stage.host(run) as live:
        await live.until(lambda db: len(stage.events(run, "ask.opened")) == 2, "the second ask")
        assert len(_open(stage, run)) == 1
        await live.answer("skip")
        await live.ended()
    assert [event.data["why"] for event in stage.events(run, "ask.withdrawn")] == ["the host died first"]
