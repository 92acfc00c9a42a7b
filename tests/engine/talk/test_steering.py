from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from engine.providers import prices, scripted
from engine.providers.protocol import Usage
from engine.record import asks, turns
from engine.record.runs import Status
from engine.record.turns import State
from engine.runs.control import Control
from engine.talk.view import rebuild
from tests.engine.talk.stage import Stage

ECHO: dict[str, Any] = {"seats": {}, "otherwise": "echo"}
SLOW: dict[str, Any] = {**ECHO, "pace": {"chunk": 4, "delay": 0.01}}


def _hurry() -> None:
    """What is still to be said comes at once."""
    scripted.register("play", ECHO)


async def _whole(stage: Stage, turns: int = 4) -> list[tuple[str, str]]:
    return (await stage.play(stage.pipeline(ECHO), [f"limits.turns={turns}"])).said


# -- a human's seat


async def test_a_humans_turn_is_an_ask_and_its_answer_a_turn(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True, "model": None}), ["limits.turns=4"])
    async with stage.host(run) as live:
        for text in ("I am here.", "  And stay.  "):
            ask = await live.asked()
            assert (ask.kind, ask.subject, ask.question) == ("text", "seat/Ann", "Your turn as Ann")
            await live.until(lambda db: stage.row(run).status is Status.WAITING, "the status")
            await live.answer(text)
            await live.until(lambda db, ask=ask: asks.get(db, ask.n).state == "answered" or None, "the answer")
            await live.until(lambda db, ask=ask: all(a.n != ask.n for a in asks.listing(db)) or None, "its end")
        assert (await live.ended()).reason == "limit:turns"
        assert all(request.slot.endswith("/Bob") for request in live.requests)
        assert live.requests[0].messages[-1].content == "I am here."
    said = stage.said(run)
    assert [seat for seat, _ in said] == ["Ann", "Bob", "Ann", "Bob"]
    assert said[0][1] == "I am here."
    assert stage.row(run).asks == 0


async def test_words_said_as_a_waiting_seat_answer_its_ask(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True}), ["limits.turns=2"])
    async with stage.host(run) as live:
        ask = await live.asked()
        assert await live.tell("say", text="Said so.", seat="ann", now=False) == ("taken", None)
        await live.ended()
    assert stage.said(run)[0] == ("Ann", "Said so.")
    assert stage.read(lambda db: asks.get(db, ask.n)).answer == "Said so."


async def test_a_humans_turn_can_be_skipped(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True}), ["limits.turns=2"])
    async with stage.host(run) as live:
        await live.asked()
        assert await live.tell("skip") == ("taken", None)
        assert (await live.ended()).reason == "limit:turns"
    assert [(turn.seat, turn.state) for turn in stage.turns(run, State.SKIPPED, State.FINISHED)] == [
        ("Ann", State.SKIPPED),
        ("Bob", State.FINISHED),
    ]


async def test_while_a_human_is_asked_a_retry_redoes_the_turn_before(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, bob={"human": True}), ["limits.turns=2"])
    async with stage.host(run) as live:
        await live.asked()
        assert await live.tell("retry") == ("taken", None)
        await live.until(lambda db: (stage.turns(run, State.REPLACED) and stage.turns(run)) or None, "the turn again")
        await live.answer("Better.")
        await live.ended()
    assert [turn.seat for turn in stage.turns(run, State.REPLACED)] == ["Ann"]
    assert [seat for seat, _ in stage.said(run)] == ["Ann", "Bob"]


async def test_a_seat_is_taken_in_the_middle_of_its_turn_and_handed_back(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=4"])
    async with stage.host(run) as live:
        await live.shown(1, 8)
        assert await live.tell("take", seat="ANN") == ("taken", None)
        await live.answer("I take over.")
        await live.shown(2)
        assert (await live.tell("take", seat="Ann"))[0] == "refused"
        await live.until(lambda db: stage.row(run).turns == 2, "Bob's turn")
        _hurry()
        await live.asked()
        assert await live.tell("release", seat="Ann") == ("taken", None)
        await live.ended()
    assert stage.said(run)[0] == ("Ann", "I take over.")
    assert [(turn.seat, turn.stop) for turn in stage.turns(run, State.PARTIAL)] == [("Ann", "take")]
    assert [seat for seat, _ in stage.said(run)] == ["Ann", "Bob", "Ann", "Bob"]
    assert [len(stage.events(run, kind)) for kind in ("seat.taken", "seat.released", "ask.withdrawn")] == [1, 1, 1]
    assert stage.row(run).asks == 0


async def test_a_seat_without_a_model_cannot_be_released(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True, "model": None}))
    async with stage.host(run) as live:
        await live.asked()
        state, why = await live.tell("release", seat="Ann")
        assert (state, why) == ("refused", "Ann has no model; `tertulia swap` gives it one")
        assert (await live.tell("take", seat="Carl"))[0] == "refused"
        assert (await live.tell("swap", seat="Ann", changes={"model": "scripted/play"}))[0] == "taken"
        assert (await live.tell("release", seat="Ann"))[0] == "taken"
        await live.ended()
    assert len(stage.said(run)) == 4


# -- words and notes


async def test_words_for_a_seat_are_its_next_turn(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=4"])
    async with stage.host(run) as live:
        await live.shown(1)
        assert await live.tell("say", text="These are my words.", seat="bob", now=False) == ("taken", None)
        _hurry()
        await live.ended()
    said = stage.said(run)
    assert said[1] == ("Bob", "These are my words.")
    assert [seat for seat, _ in said] == ["Ann", "Bob", "Ann", "Bob"]
    assert stage.turns(run)[1].stop == "you"
    assert (await _words_refused(stage)) == "no seat is called 'Carl'; known: Ann, Bob"


async def _words_refused(stage: Stage) -> str | None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True}))
    async with stage.host(run, crash=True) as live:
        await live.asked()
        state, why = await live.tell("say", text="x", seat="Carl", now=False)
        assert state == "refused"
        return why


async def test_a_note_now_cuts_the_turn_which_is_said_again_knowing_it(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=3"])
    async with stage.host(run) as live:
        await live.shown(2, 8)
        assert await live.tell("say", text="Louder, please.", now=True) == ("taken", None)
        await live.until(lambda db: stage.turns(run, State.PARTIAL), "the cut")
        _hurry()
        await live.ended()
    partial = stage.turns(run, State.PARTIAL)[0]
    assert (partial.seq, partial.stop, partial.text[:6]) == (2, "say", "Bob 0:")
    assert stage.chain(run)[1] == ("you", "Louder, please.")
    call = next(call for call in stage.calls(run) if call.turn == stage.turns(run)[1].n)
    assert "Louder, please." in stage.read(lambda db: rebuild(db, call.request))[-1].content
    assert [turn.seq for turn in stage.turns(run)] == [1, 2, 3]


async def test_a_queued_note_shows_as_queued_and_survives_a_crash(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=3"])
    async with stage.host(run, crash=True) as live:
        await live.shown(1)
        await live.tell("say", text="Remember this.", now=False)
        listed = stage.read(lambda db: turns.listing(db, stage.n(run)))
        assert [(turn.role, turn.state) for turn in listed][-1] == ("note", State.QUEUED)
    _hurry()
    await stage.go_on(run)
    assert [pair for pair in stage.chain(run) if pair[0] == "you"] == [("you", "Remember this.")]


# -- pause, step, skip, retry, edit


async def test_a_step_is_one_turn(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True}), ["limits.turns=6"])
    async with stage.host(run) as live:
        await live.asked()
        await live.tell("pause")
        await live.answer("One.")
        await live.until(lambda db: stage.row(run).turns == 1, "my turn")
        assert stage.row(run).status is Status.PAUSED
        await live.tell("step")
        await live.until(lambda db: stage.row(run).turns == 2, "one more")
        await asyncio.sleep(0)
        assert (stage.row(run).turns, stage.row(run).status) == (2, Status.PAUSED)
        await live.tell("skip")
        assert stage.row(run).turns == 3
        await live.tell("stop")
        assert (await live.ended()).status is Status.STOPPED


async def test_a_skipped_turn_says_nothing(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=4"])
    async with stage.host(run) as live:
        await live.shown(2, 8)
        assert await live.tell("skip") == ("taken", None)
        _hurry()
        await live.ended()
        assert live.requests[-1].messages[-1].role == "user"
    assert [(turn.seq, turn.seat, turn.state) for turn in stage.turns(run, State.FINISHED, State.SKIPPED)] == [
        (1, "Ann", State.FINISHED),
        (2, "Bob", State.SKIPPED),
        (3, "Ann", State.FINISHED),
        (4, "Bob", State.FINISHED),
    ]
    skipped = stage.turns(run, State.SKIPPED)[0]
    assert skipped.text.startswith("Bob 0:")
    assert not any(text == skipped.text for _, text in stage.chain(run))


async def test_a_skip_after_the_last_turn_that_the_limit_allows_is_refused(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=1"])
    async with stage.host(run) as live:
        await live.shown(1, 8)
        assert await live.tell("pause") == ("taken", None)
        _hurry()
        await live.until(lambda db: stage.row(run).turns == 1 and not live.duel.speaking, "the last turn")
        assert await live.tell("skip") == ("refused", "the limit of 1 turn is reached: nobody is left to skip")
        assert await live.tell("resume") == ("taken", None)
        assert (await live.ended()).reason == "limit:turns"
    assert stage.turns(run, State.SKIPPED) == []
    _consistent(stage, run)


async def test_a_retry_in_the_middle_draws_another_seed(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW, seed=5), ["limits.turns=2"])
    async with stage.host(run) as live:
        await live.shown(1, 8)
        assert await live.tell("retry") == ("taken", None)
        await live.until(lambda db: len(stage.calls(run)) > 1, "another call")
        _hurry()
        await live.ended()
        seeds = [request.options["seed"] for request in live.requests]
    assert len(set(seeds)) == 3
    assert [(turn.seq, turn.stop) for turn in stage.turns(run, State.PARTIAL)] == [(1, "retry")]


async def test_a_retry_of_a_finished_turn_keeps_the_old_one_and_draws_another_seed(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, bob={"human": True}, seed=5), ["limits.turns=3"])
    async with stage.host(run) as live:
        for count in (1, 2):
            await live.asked()
            assert await live.tell("retry") == ("taken", None)
            await live.until(lambda db, count=count: len(stage.calls(run)) > count or None, "the turn again")
        await live.until(lambda db: len(stage.turns(run)) == 1, "Ann's turn")
        await live.answer("Enough.")
        await live.ended()
        assert len({request.options["seed"] for request in live.requests[:3]}) == 3
        assert len({tuple(request.messages) for request in live.requests[:3]}) == 1
    assert len(stage.turns(run, State.REPLACED)) == 2
    assert stage.spent(run)["turns"] == 3


async def test_the_opening_is_not_redone(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True}, opening="Good evening."))
    async with stage.host(run, crash=True) as live:
        await live.asked()
        assert (await live.tell("retry"))[0] == "refused"
    assert stage.said(run) == [("Bob", "Good evening.")]


async def test_the_last_turn_is_edited_in_place_and_the_other_hears_the_new_text(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=3"])
    async with stage.host(run) as live:
        await live.shown(2)
        assert await live.tell("edit", turn=1, text="Quite another thing.") == ("taken", None)
        state, why = await live.tell("edit", turn=7, text="x")
        assert (state, why) == ("refused", "turn 7 is no longer the last; edit it again to fork there")
        _hurry()
        await live.ended()
        assert live.requests[-1].messages[-2].content == "Quite another thing."
    assert stage.said(run)[0] == ("Ann", "Quite another thing.")
    assert [turn.seq for turn in stage.turns(run)] == [1, 2, 3]
    assert stage.spent(run)["turns"] == 3


@pytest.mark.parametrize("verb", ["skip", "retry", "say", "take", "edit", "stop"])
async def test_a_command_at_any_moment_leaves_the_record_whole(stage: Stage, verb: str) -> None:
    """Commands rain on a talk that takes no time to speak, so that some fall on the very end of a turn.

    No more than so many: where each of them cuts a turn, a rain without end lets none be finished.
    """
    args: dict[str, Any] = {
        "say": {"text": "x", "now": True},
        "take": {"seat": "Ann"},
        "edit": {"turn": 3, "text": "new"},
    }
    run = stage.create(stage.pipeline({**ECHO, "pace": {"chunk": 50, "delay": 0.001}}), ["limits.turns=40"])
    async with stage.host(run) as live:
        for _ in range(60):
            if stage.row(run).turns >= 30 or live.playing.done():
                break
            call = {"turn": stage.row(run).turns, "text": "new"} if verb == "edit" else args.get(verb, {})
            await live.tell(verb, **call)
            if verb == "take":
                await live.tell("release", seat="Ann")
        await live.ended()
    _consistent(stage, run)


async def test_a_retry_that_comes_too_late_to_cut_redoes_the_finished_turn(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=2"])
    async with stage.host(run) as live:

        async def too_late(why: str) -> None:
            assert live.duel._step is not None
            await asyncio.wait({live.duel._step})

        live.duel.cut_and_wait = too_late  # type: ignore[method-assign]
        await live.shown(1, 8)
        assert await live.tell("retry") == ("taken", None)
        await live.until(lambda db: stage.turns(run, State.REPLACED), "the turn taken back")
        _hurry()
        await live.ended()
    assert [turn.seq for turn in stage.turns(run, State.REPLACED)] == [1]
    _consistent(stage, run)


async def test_an_ask_that_is_cut_while_it_opens_is_withdrawn(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True}))
    async with stage.host(run) as live:
        await live.asked()
        begun, busy = threading.Event(), threading.Event()
        live.writer.submit(lambda db: (begun.set(), busy.wait(20)))
        await asyncio.to_thread(begun.wait, 20)
        opening = asyncio.create_task(live.host.ask("text", "Are you there?"))
        while live.writer._queue.empty():
            await asyncio.sleep(0)
        opening.cancel()
        busy.set()
        await asyncio.wait({opening})
        assert opening.cancelled()
        listed = stage.read(lambda db: asks.listing(db, every=True))
        assert [(ask.question, ask.state) for ask in listed][-1] == ("Are you there?", "withdrawn")
        assert stage.row(run).status is Status.WAITING
        await live.tell("stop")
    assert stage.row(run).status is Status.STOPPED


async def test_cuts_while_a_price_is_looked_up_leave_no_call_open(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two: the one that ends the answer, and one more while what the answer has cost is looked up for its row."""
    run = stage.create(stage.pipeline(ECHO), ["limits.turns=1"])
    asked, told = asyncio.Event(), asyncio.Event()

    async def slow(endpoint: str, model: str, usage: Usage) -> float:
        asked.set()
        await told.wait()
        return 0.25

    monkeypatch.setattr(prices, "cost", slow)
    async with stage.host(run) as live:
        await asyncio.wait_for(asked.wait(), 20)
        for _ in range(2):
            assert live.duel._step is not None
            live.duel._step.cancel()
            for _ in range(20):
                await asyncio.sleep(0)
        told.set()
        await live.ended()
    made = stage.calls(run)
    assert all(call.ended for call in made)
    assert [call.cost for call in made] == [0.25]
    _consistent(stage, run)


def _consistent(stage: Stage, run: str) -> None:
    """Every turn counts once, the chain is what was said, no call or reservation is left open."""
    counted = stage.turns(run, State.FINISHED, State.SKIPPED)
    assert [turn.seq for turn in counted] == list(range(1, len(counted) + 1))
    assert stage.row(run).turns == len(counted) == stage.spent(run)["turns"]
    spoken = [(turn.seat, turn.text) for turn in counted if turn.state is State.FINISHED]
    assert [pair for pair in stage.chain(run) if pair[0] != "you"] == spoken
    assert stage.turns(run, State.LIVE) == []
    assert all(call.ended for call in stage.calls(run))
    assert stage.read(lambda db: db.execute("SELECT count(*) FROM reservation").fetchone()[0]) == 0
    assert stage.read(lambda db: asks.listing(db)) == []


# -- swaps


async def test_a_swap_takes_effect_from_the_seats_next_turn(stage: Stage, home: Any) -> None:
    (home / "personas" / "eve.md").write_text("# A guest: Eve\n\nYou are Eve.\n", "utf-8")
    scripted.register("other", {"seats": {"Ann": {1: "I am another model."}}})
    run = stage.create(stage.pipeline(SLOW), ["limits.turns=4"])
    async with stage.host(run) as live:
        await live.shown(1)
        changes = {"model": "scripted/other", "persona": "eve", "options.temperature": 0.1}
        assert await live.tell("swap", seat="ann", changes=changes) == ("taken", None)
        _hurry()
        await live.ended()
        third = [request for request in live.requests if request.slot.endswith("/Ann")][-1]
        assert third.messages[0].content == "# A guest: Eve\n\nYou are Eve."
        assert (third.model, third.options["temperature"]) == ("other", 0.1)
    assert stage.said(run)[2] == ("Ann", "I am another model.")
    assert [event.data["changes"] for event in stage.events(run, "seat.changed")] == [changes]
    assert [turn.model for turn in stage.turns(run)][::2] == ["scripted/play", "scripted/other"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": "olama/x"}, "unknown provider 'olama': did you mean ollama?"),
        ({"model": "nonsense"}, "write it as PROVIDER/MODEL"),
        ({"persona": "anne"}, "did you mean ann?"),
        ({"options.temprature": 1}, "did you mean temperature?"),
        ({"options.temperature": "hot"}, "must be a number"),
        ({"options": None}, "options"),
        ({"model": "local/none"}, "none"),
        ({"name": "Zoe"}, "a seat has no such key"),
        ({"window": 1}, "256"),
    ],
)
async def test_a_swap_that_cannot_be_is_refused_in_one_line(stage: Stage, changes: dict[str, Any], why: str) -> None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True}))
    async with stage.host(run, crash=True) as live:
        await live.asked()
        before = stage.read(lambda db: db.execute("SELECT spec FROM run").fetchone()[0])
        state, told = await live.tell("swap", seat="Bob", changes=changes)
        assert state == "refused"
        assert told is not None and why in told and "\n" not in told
        assert "seats.1" not in told, "the seat is named, not its place in a file"
        assert stage.read(lambda db: db.execute("SELECT spec FROM run").fetchone()[0]) == before


async def test_options_of_a_seat_reach_its_provider(stage: Stage) -> None:
    options = {
        "temperature": 0.3, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "max_tokens": 99, "seed": 11, "stop": ["END"],
        "presence_penalty": 0.1, "frequency_penalty": 0.2, "repeat_penalty": 1.1,
    }  # fmt: skip
    played = await stage.play(stage.pipeline(ECHO, ann={"options": options}))
    assert [dict(request.options) for request in played.sent("Ann")] == [options, options]
    assert [dict(request.options) for request in played.sent("Bob")] == [{}, {}]


async def test_the_same_seed_asks_for_the_same(stage: Stage) -> None:
    one = await stage.play(stage.pipeline(ECHO, seed=3))
    two = await stage.play(stage.pipeline(ECHO, seed=3))
    other = await stage.play(stage.pipeline(ECHO, seed=4))
    seeds = [[request.options["seed"] for request in played.requests] for played in (one, two, other)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert len(set(seeds[0])) == 4
    assert "seed" not in (await stage.play(stage.pipeline(ECHO))).requests[0].options


# -- answering by policy


async def test_a_run_that_may_not_ask_fails(stage: Stage) -> None:
    run = stage.create(stage.pipeline(ECHO, ann={"human": True}), answers="fail")
    async with stage.host(run, crash=True) as live:
        with pytest.raises(Exception, match="Your turn as Ann"):
            await live.ended()


async def test_a_run_that_takes_defaults_stops_after_a_fault(stage: Stage, quick: None) -> None:
    faulty = {"seats": {"Ann": [{"text": "Hello.", "faults": [{"attempt": "every", "fault": "server"}]}]}}
    played = await stage.play(stage.pipeline(faulty), answers="default")
    assert (played.outcome.status, played.outcome.reason) == (Status.FAILED, "provider")
    assert [event.data["who"] for event in stage.events(played.run, "ask.answered")] == ["default"]


async def test_a_fork_goes_its_own_way(stage: Stage) -> None:
    first = await stage.play(stage.pipeline({"seats": {"Ann": ["One.", "Three."], "Bob": ["Two. /end", "Four."]}}))
    assert len(first.said) == 2
    control = Control(stage.database, "test")
    found = control._find(first.run)
    child = stage.write(lambda db: control._branch(db, found, 2, control._changed(found, [])))
    second = await stage.go_on(child)
    assert [text for _, text in second.said] == ["One.", "Two. /end", "Three.", "Four."]
    assert stage.said(first.run) == first.said
