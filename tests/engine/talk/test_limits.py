from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.providers import prices, scripted
from engine.providers.protocol import Delta, Request, Usage
from engine.record import allowances
from engine.record.runs import Status
from engine.record.turns import State
from engine.runs.control import Control
from engine.settings.errors import UsageError
from tests.engine.talk.stage import Stage
from tests.watch import Watch

ECHO: dict[str, Any] = {"seats": {}, "otherwise": "echo"}
SLOW: dict[str, Any] = {**ECHO, "pace": {"chunk": 4, "delay": 0.02}}


@pytest.mark.parametrize("turns", [1, 2, 5])
async def test_the_limit_of_turns(stage: Stage, turns: int) -> None:
    played = await stage.play(stage.pipeline(ECHO), [f"limits.turns={turns}"])
    assert len(played.said) == turns
    assert (played.outcome.status, played.outcome.reason) == (Status.FINISHED, "limit:turns")
    assert [event.data["unit"] for event in stage.events(played.run, "limit.reached")] == ["turns"]
    row = stage.row(played.run)
    assert (row.status, row.reason) == (Status.FINISHED, "limit:turns")
    assert stage.spent(played.run)["minutes"] > 0


async def test_the_opening_is_a_turn(stage: Stage) -> None:
    played = await stage.play(stage.pipeline(ECHO, opening="Good evening."), ["limits.turns=3"])
    assert [seat for seat, _ in played.said] == ["Bob", "Ann", "Bob"]
    assert len(played.requests) == 2


async def test_without_a_limit_a_talk_goes_on_until_someone_ends_it(stage: Stage) -> None:
    script = {
        "seats": {
            "Ann": {n: f"Point {n}." for n in range(30)} | {30: "/end"},
            "Bob": [f"Reply {n}." for n in range(30)],
        }
    }
    played = await stage.play(stage.pipeline(script), ["limits.turns=0"])
    assert (len(played.said), played.outcome.reason) == (61, "end")


async def test_the_limit_of_tokens_is_never_passed(stage: Stage) -> None:
    seat = {"options": {"max_tokens": 20}}
    played = await stage.play(stage.pipeline(ECHO, ann=seat, bob=seat), ["limits.tokens=400", "limits.turns=0"])
    assert (played.outcome.status, played.outcome.reason) == (Status.FINISHED, "limit:tokens")
    calls = [call for call in stage.calls(played.run) if call.error is None]
    used = sum((call.tokens_in or 0) + (call.tokens_out or 0) for call in calls)
    assert stage.spent(played.run)["tokens"] == used <= 400
    assert len(calls) > 2
    assert stage.turns(played.run, State.LIVE) == []
    refused = [call for call in stage.calls(played.run) if call.error]
    assert [call.error for call in refused] == ["limit: tokens"]


async def test_what_a_call_may_use_is_reserved_while_it_runs(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW, ann={"options": {"max_tokens": 20}}), ["limits.tokens=1000"])
    async with stage.host(run) as live:
        await live.shown(1)
        node = stage.read(lambda db: allowances.of_run(db, stage.n(run)))["tokens"]
        assert node.spent == 0
        assert node.reserved >= 20
        assert node.left == 1000 - node.reserved
        await live.tell("stop")
    node = stage.read(lambda db: allowances.of_run(db, stage.n(run)))["tokens"]
    assert node.reserved == 0


async def test_what_a_dead_host_had_reserved_is_settled_and_said_so(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW, ann={"options": {"max_tokens": 20}}), ["limits.tokens=1000"])
    async with stage.host(run, crash=True) as live:
        await live.shown(1)
    reserved = stage.read(lambda db: allowances.of_run(db, stage.n(run)))["tokens"].reserved
    assert reserved >= 20
    scripted.register("play", ECHO)
    await stage.go_on(run)
    node = stage.read(lambda db: allowances.of_run(db, stage.n(run)))["tokens"]
    assert (node.reserved, node.estimated) == (0, reserved)
    assert [event.data["amount"] for event in stage.events(run, "limit.settled") if event.data["unit"] == "tokens"] == [
        reserved
    ]


@pytest.fixture
def priced(home: Path) -> None:
    (home / "prices.yml").write_text("scripted/play: {prompt: 1000, answer: 2000}\n", "utf-8")
    prices.table.cache_clear()


async def test_the_limit_of_cost(stage: Stage, priced: None) -> None:
    seat = {"options": {"max_tokens": 20}}
    played = await stage.play(stage.pipeline(ECHO, ann=seat, bob=seat), ["limits.cost=0.5", "limits.turns=0"])
    assert (played.outcome.status, played.outcome.reason) == (Status.FINISHED, "limit:cost")
    row = stage.row(played.run)
    paid = sum((call.tokens_in or 0) * 1e-3 + (call.tokens_out or 0) * 2e-3 for call in stage.calls(played.run))
    assert row.cost == pytest.approx(paid)
    assert row.cost == pytest.approx(stage.spent(played.run)["cost"])
    assert 0.2 < row.cost <= 0.5
    assert row.unpriced == 0


async def test_calls_without_a_price_are_counted(stage: Stage, home: Path) -> None:
    (home / "prices.yml").write_text("scripted/*: null\n", "utf-8")
    prices.table.cache_clear()
    played = await stage.play(stage.pipeline(ECHO))
    row = stage.row(played.run)
    assert (row.unpriced, row.cost) == (4, 0.0)
    assert [call.cost for call in stage.calls(played.run)] == [None] * 4


async def test_the_limit_of_minutes_cuts_the_turn_and_keeps_its_text(stage: Stage) -> None:
    played = await stage.play(stage.pipeline(SLOW), ["limits.minutes=0.005"])
    assert (played.outcome.status, played.outcome.reason) == (Status.FINISHED, "limit:minutes")
    broken = stage.turns(played.run, State.PARTIAL)
    assert [turn.stop for turn in broken] == ["limit:minutes"]
    assert broken[0].text.startswith(("Ann 0", "Bob 0"))
    assert stage.spent(played.run)["minutes"] >= 0.005 - 1e-9
    assert all(call.ended for call in stage.calls(played.run))


async def test_the_time_of_a_turn_that_was_cut_counts(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW))
    async with stage.host(run) as live:
        await live.shown(1, 12)
        await live.tell("stop")
    assert stage.spent(run)["minutes"] > 0


async def test_a_raised_limit_goes_on_where_the_talk_ended(stage: Stage) -> None:
    first = await stage.play(stage.pipeline(ECHO), ["limits.turns=3"])
    stage.change(first.run, ["limits.turns=6"])
    second = await stage.go_on(first.run)
    assert second.outcome.reason == "limit:turns"
    assert [turn.seq for turn in stage.turns(first.run)] == [1, 2, 3, 4, 5, 6]
    assert len(second.requests) == 3
    whole = await stage.play(stage.pipeline(ECHO), ["limits.turns=6"])
    assert whole.said == second.said


async def test_a_retried_turn_counts_once(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=3"])
    async with stage.host(run) as live:
        await live.shown(1)
        await live.tell("step")
        await live.until(lambda db: stage.row(run).turns == 1, "turn 1")
        assert (await live.tell("retry"))[0] == "taken"
        scripted.register("play", ECHO)
        await live.tell("resume")
        await live.ended()
    assert [turn.seq for turn in stage.turns(run)] == [1, 2, 3]
    assert stage.spent(run)["turns"] == 3


async def test_an_answer_of_unknown_use_is_settled_at_what_was_reserved(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = scripted.Scripted.stream

    async def silent(self: scripted.Scripted, request: Request) -> AsyncIterator[Delta]:
        async for delta in told(self, request):
            if not isinstance(delta, Usage):
                yield delta

    monkeypatch.setattr(scripted.Scripted, "stream", silent)
    seat = {"options": {"max_tokens": 20}}
    played = await stage.play(stage.pipeline(ECHO, ann=seat, bob=seat), ["limits.tokens=500", "limits.turns=0"])
    assert played.outcome.reason == "limit:tokens"
    row = stage.row(played.run)
    assert (row.tokens_in, row.tokens_out) == (0, 0)
    assert row.unpriced == row.turns > 1
    node = stage.read(lambda db: allowances.of_run(db, row.n))["tokens"]
    assert node.spent == node.estimated > 0


def test_resume_with_a_raised_limit_starts_a_host_that_goes_on(stage: Stage, watch: Callable[[str], Watch]) -> None:
    control = Control(stage.database, "test")
    seats = [{"persona": name, "model": "scripted/echo"} for name in ("ann", "bob")]
    run = control.start({"kind": "duel", "seats": seats, "starter": "ann"}, ["limits.turns=2"])
    following = watch(run)
    following.until("run.finished")
    first = stage.said(run)
    with pytest.raises(UsageError, match=f"run {run} has finished .limit:turns.; raise what ended it"):
        control.resume(run)
    with pytest.raises(UsageError, match=r"limits\.turn: unknown key; did you mean turns"):
        control.resume(run, ["limits.turn=4"])
    assert stage.row(run).status is Status.FINISHED
    control.resume(run, ["limits.turns=4"])
    following.until("run.finished")
    assert stage.said(run)[:2] == first
    assert [turn.seq for turn in stage.turns(run)] == [1, 2, 3, 4]
    assert stage.row(run).reason == "limit:turns"
