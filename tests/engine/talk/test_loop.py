"""A loop as its user runs it: roles in rounds, chained topics, minutes, measures, faults, restarts."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest

from engine.memory import embedder
from engine.providers import scripted
from engine.providers.protocol import Fault, ProviderError, Request
from engine.record import metrics, minutes
from engine.record.export import export
from engine.record.minutes import Aside, Item
from engine.record.runs import Status
from engine.record.turns import State
from engine.talk import minutes as taking
from engine.talk import roles, view
from engine.talk.minutes import Words
from tests.engine.talk.stage import Stage

ASKED = [f"Is it the tide that moves stone number {n}?" for n in range(400)]
SAID = [f"I say that stone {n} moves because river {n} carries it to the sea." for n in range(400)]


def loop(script: dict[str, Any] | None = None, **over: Any) -> dict[str, Any]:
    """Questioner, Creator and whoever is named in `roles`, on one script."""
    seats = {"Questioner": ASKED, "Creator": SAID, "Mediator": [f"What limits us, in truth, {n}?" for n in range(99)]}
    scripted.register("play", {"seats": seats | (script or {}), "otherwise": "echo"})
    named = ["questioner", "creator", *over.pop("roles", [])]
    listed = [{"role": role, "model": "scripted/play", **over.pop(f"{role}_seat", {})} for role in named]
    base = {"kind": "loop", "question": "What moves a stone?", "seats": listed, "limits": {"turns": 4}}
    return {**base, "repetition": {"then": "ignore"}, **over}


def items(stage: Stage, run: str) -> list[Item]:
    return stage.read(lambda db: minutes.items(db, stage.n(run)))


def asides(stage: Stage, run: str, seat: str) -> list[Aside]:
    return [aside for aside in stage.read(lambda db: minutes.asides(db, stage.n(run))) if aside.seat == seat]


def measured(stage: Stage, run: str) -> dict[str, list[tuple[int, float]]]:
    return stage.read(lambda db: metrics.of_turns(db, stage.n(run)))


def of(requests: list[Request], seat: str) -> list[str]:
    """What the seat was sent after the system text."""
    return [request.messages[1].content for request in requests if request.seat == seat]


def note(kind: str, text: str, quote: str) -> dict[str, str]:
    return {"kind": kind, "text": text, "quote": quote}


def taken(*raised: dict[str, str], closed: list[dict[str, Any]] | None = None, summary: str = "They spoke.") -> str:
    return json.dumps({"summary": [summary], "raised": list(raised), "closed": closed or []})


async def test_one_question_starts_everything(stage: Stage) -> None:
    played = await stage.play(loop(roles=["mediator", "scriber"], mediator={"every": 4}, limits={"turns": 5}))
    assert played.outcome.reason == "limit:turns"
    assert [seat for seat, _ in played.said] == ["Questioner", "Creator", "Questioner", "Creator", "Mediator"]
    assert [aside.seq for aside in asides(stage, played.run, "Scriber")] == [2, 5]
    assert stage.row(played.run).title == "What moves a stone?"


async def test_every_role_hears_the_whole_talk_and_the_beginning_is_the_same_for_all(stage: Stage) -> None:
    played = await stage.play(loop(roles=["mediator", "scriber"], mediator={"every": 2}, limits={"turns": 12}))
    assert len({request.messages[0].content for request in played.requests}) == 1
    assert {request.slot for request in played.requests} == {played.run}
    sent = [request.messages[1].content for request in played.requests]
    for before, after in itertools.pairwise(sent):
        talk = before[: before.rindex("You are ")]
        assert after.startswith(talk), "what was read once need not be read again"
    for seat, text in played.said[:-1]:
        assert f"{seat}: {text}" in sent[-1]


async def test_the_questioner_is_told_to_sharpen_the_question_and_then_to_follow_up(stage: Stage) -> None:
    played = await stage.play(loop())
    first, then = of(played.requests, "Questioner")
    assert "What moves a stone?" in played.requests[0].messages[0].content
    role = json.loads(json.dumps(stage.read(lambda db: _spec(db, stage, played.run))))["seats"][0]["role"]
    assert role["first"] in first and role["then"] in then and role["first"] not in then


def _spec(db: sqlite3.Connection, stage: Stage, run: str) -> dict[str, Any]:
    from engine.record import runs

    return runs.spec(db, runs.find(db, run))


async def test_literal_puts_the_question_as_it_stands(stage: Stage) -> None:
    played = await stage.play(loop(literal=True))
    assert played.said[0] == ("Questioner", "What moves a stone?")
    assert len(of(played.requests, "Questioner")) == 1


async def test_a_chained_topic_is_the_next_question_and_the_mediator_stays_in_the_loop(stage: Stage) -> None:
    chained = ["It rolls.\nNextPrompt: Whi does it rol so slowly down there?", "It stops.\n**NextPrompt:** And then?"]
    script = {"Creator": chained, "Questioner": ["Is it so?", "Why does it roll so slowly down there?"]}
    played = await stage.play(loop(script, roles=["mediator"], mediator={"every": 2}, chain=True, limits={"turns": 5}))
    second = of(played.requests, "Questioner")[1]
    assert "Whi does it rol so slowly down there?" in second.split("You are Questioner")[1]
    assert "The Mediator has spoken" in second, "a chained question takes up what the Mediator asked"
    assert "NextPrompt" not in second.split("You are")[0], "nobody reads the marker"
    assert "NextPrompt" in dict(played.said)["Creator"], "it stays where it was said"
    assert played.said[3] == ("Questioner", "Why does it roll so slowly down there?")


async def test_without_a_next_prompt_a_chained_round_follows_up(stage: Stage) -> None:
    played = await stage.play(loop(chain=True))
    assert "one follow-up question" in of(played.requests, "Questioner")[1]


async def test_a_correction_that_changes_the_topic_is_guarded_and_the_guard_can_be_off(stage: Stage) -> None:
    script = {
        "Creator": ["It rolls.\nNextPrompt: Why does every river carry gravel away"],
        "Questioner": ["Is it so?", "Do you like tea?"],
    }
    guarded = await stage.play(loop(script, chain=True, limits={"turns": 3}))
    assert guarded.said[2][1] == "Why does every river carry gravel away?"
    (event,) = stage.events(guarded.run, "answer.trimmed")
    assert (event.data["why"], event.data["taken"]) == ("guard", "Do you like tea?")
    free = await stage.play(loop(script, chain=True, guard=False, limits={"turns": 3}))
    assert free.said[2][1] == "Do you like tea?"


async def test_no_labels_or_other_speakers_words_get_into_the_talk(stage: Stage) -> None:
    script = {"Creator": ["Creator: It rolls.\n\nQuestioner: Does it?", "<think>Hm.</think>It stops."]}
    played = await stage.play(loop(script))
    assert [text for seat, text in played.said if seat == "Creator"] == ["It rolls.", "It stops."]


async def test_who_says_nothing_is_asked_once_more_and_then_you_are(stage: Stage) -> None:
    run = stage.create(loop({"Creator": ["Creator:", "  ", "It rolls."]}, limits={"turns": 2}))
    async with stage.host(run) as live:
        asked = await live.asked()
        assert asked.question == "Creator was asked twice: it said nothing"
        assert [option.value for option in asked.options] == ["retry", "model", "skip", "stop"]
        await live.answer("skip")
        await live.ended()
    assert [seat for seat, _ in stage.said(run)] == ["Questioner"], "what it never said is no turn"


async def test_words_that_no_minutes_can_be_had_of_are_given_twice_and_then_passed_over(stage: Stage) -> None:
    played = await stage.play(loop({"Scriber": ["no minutes"] * 99}, roles=["scriber"], limits={"turns": 12}))
    tasks = [request.messages[-1].content for request in played.requests if request.seat == "Scriber"]
    assert "stone 0 " in tasks[0] and "stone 0 " in tasks[2]
    held = [text.partition("The new words:")[2].count("I say that stone") for text in tasks]
    assert max(held) <= 2, held


async def test_a_plan_is_checked_asked_for_once_more_and_then_let_pass(stage: Stage) -> None:
    played = await stage.play(loop(creator_seat={"format": "plan"}, limits={"turns": 2}))
    tries = of(played.requests, "Creator")
    assert len(tries) == 2
    assert "Practical Mechanism" in tries[0] and "the heading 'Conceptual Insight' is missing" in tries[1]
    assert [turn.stop for turn in stage.turns(played.run, State.PARTIAL)] == ["format"], "the first try is kept"
    assert len(stage.events(played.run, "answer.faulty")) == 2
    assert played.said[-1] == ("Creator", SAID[0])
    good = (
        "## Conceptual Insight\nA. B.\n## Practical Mechanism\n1. a\n2. b\n3. c\n4. d\n"
        "## Why This Matters\n- a\n- b\n- c\nNextPrompt: And?"
    )
    played = await stage.play(loop({"Creator": [good]}, creator_seat={"format": "plan"}, limits={"turns": 2}))
    assert len(of(played.requests, "Creator")) == 1


async def test_a_role_that_fails_is_asked_about_and_never_answers_an_old_question(stage: Stage) -> None:
    fails = [{"text": SAID[0]}, {"text": SAID[1], "faults": [{"attempt": 1, "fault": "refused"}]}]
    run = stage.create(loop({"Creator": fails}))
    async with stage.host(run) as live:
        ask = await live.asked()
        assert ask.subject == "seat/Creator"
        await live.answer("retry")
        await live.alone()
        tries = of(live.requests, "Creator")
    assert tries[1] == tries[2], "the same question again"
    assert stage.said(run)[-1] == ("Creator", SAID[1])


async def test_a_skipped_questioner_leaves_the_creator_with_what_was_said(stage: Stage) -> None:
    fails = [{"text": ASKED[0]}, {"text": "x", "faults": [{"attempt": 1, "fault": "refused"}]}]
    run = stage.create(loop({"Questioner": fails}))
    async with stage.host(run) as live:
        await live.asked()
        await live.answer("skip")
        await live.alone()
        assert of(live.requests, "Creator")[1].count(f"Questioner: {ASKED[0]}") == 1
    assert [turn.state for turn in stage.turns(run, State.FINISHED, State.SKIPPED)][2] == State.SKIPPED


async def test_minutes_quote_the_turns_and_an_issue_is_open_until_a_later_turn_answers_it(stage: Stage) -> None:
    asked, said = ASKED[0], SAID[1]
    script = {
        "Scriber": [
            taken(note("question", "Is it the tide?", asked), note("claim", "Made up", "Nobody said this.")),
            taken(closed=[{"item": 1, "quote": said}, {"item": 77, "quote": said}]),
        ]
    }
    played = await stage.play(loop(script, roles=["scriber"]))
    (item,) = items(stage, played.run)
    assert (item.kind, item.seq, item.quote, item.closed, item.closing) == ("question", 1, asked, 4, said)
    first, second = stage.events(played.run, "minutes.taken")
    assert "was not said" in first.data["rejected"][0] and "no such open item" in second.data["rejected"][0]
    assert [aside.text for aside in asides(stage, played.run, "Scriber")] == ["- They spoke."] * 2
    asked_for = [request for request in played.requests if request.seat == "Scriber"]
    assert asked in json.dumps(asked_for[0].answer_schema), "quotes are chosen from what was said"
    assert "1 (question): Is it the tide?" in asked_for[1].messages[1].content


async def test_an_issue_is_not_closed_by_the_turn_that_raised_it(stage: Stage) -> None:
    script = {"Scriber": [taken(note("question", "Q", ASKED[0])), taken(closed=[{"item": 1, "quote": ASKED[0]}])]}
    played = await stage.play(loop(script, roles=["scriber"]))
    assert items(stage, played.run)[0].open


async def test_minutes_that_are_none_are_asked_for_once_more_and_then_reported(stage: Stage) -> None:
    script = {"Scriber": ["I think they spoke well.", taken(note("claim", "Rivers", SAID[0]))]}
    played = await stage.play(loop(script, roles=["scriber"]))
    assert len(of(played.requests, "Scriber")) == 3
    first, second = stage.events(played.run, "minutes.taken")
    assert first.data["rejected"] == ["the answer is not one JSON object"] and second.data["rejected"] == []
    assert items(stage, played.run)[0].seq == 2, "what was missed the first time is taken with the next minutes"


async def test_reviewer_and_judge_write_beside_the_talk(stage: Stage) -> None:
    digest = " ".join(["word"] * 90)
    script = {"Reviewer": [digest, "short"], "Judge": ['{"score": 7, "why": "Sound."}', "seven"]}
    played = await stage.play(loop(script, roles=["reviewer", "judge"]))
    assert [aside.text for aside in asides(stage, played.run, "Reviewer")] == [digest, "short"]
    assert [(aside.value, aside.text) for aside in asides(stage, played.run, "Judge")] == [(7.0, "Sound."), (None, "")]
    assert all(digest not in text for text in of(played.requests, "Creator"))


async def test_a_writer_that_fails_is_asked_about_and_a_skipped_one_catches_up(stage: Stage) -> None:
    fails = [{"text": "x", "faults": [{"attempt": 1, "fault": "refused"}]}, taken(note("claim", "R", SAID[0]))]
    run = stage.create(loop({"Scriber": fails}, roles=["scriber"]))
    async with stage.host(run) as live:
        assert (await live.asked()).subject == "seat/Scriber"
        await live.answer("skip")
        await live.alone()
    assert [aside.text for aside in asides(stage, run, "Scriber")] == ["", "- They spoke."]
    assert items(stage, run)[0].seq == 2


@pytest.mark.parametrize("at", range(1, 60, 3))
async def test_killed_anywhere_it_goes_on_with_the_same_turns_minutes_and_measures(stage: Stage, at: int) -> None:
    script = {"Scriber": [taken(note("claim", f"R{n}", SAID[n])) for n in range(9)]}
    pipeline = loop(script, roles=["mediator", "scriber"], mediator={"every": 2}, limits={"turns": 6})
    whole = await stage.play(pipeline)
    run = stage.create(pipeline)
    async with stage.host(run, crash=True) as live:
        commits, commit = itertools.count(1), live.host.commit

        async def dies(work: Any) -> Any:
            if next(commits) >= at:
                live.playing.cancel()
            return await commit(work)

        live.host.commit = dies  # type: ignore[method-assign]
        await live.until(lambda _: live.playing.done(), "the kill, or the end")
    if stage.row(run).status is not Status.FINISHED:
        await stage.go_on(run)
    assert stage.said(run) == whole.said
    assert [(item.text, item.seq) for item in items(stage, run)] == [
        (item.text, item.seq) for item in items(stage, whole.run)
    ]
    assert measured(stage, run) == measured(stage, whole.run)
    assert len(asides(stage, run, "Scriber")) == len(asides(stage, whole.run, "Scriber"))


async def test_a_stopped_and_resumed_loop_takes_its_minutes_once(stage: Stage) -> None:
    script = {"Scriber": [taken(summary=f"Round {n}") for n in range(9)]}
    played = await stage.play(loop(script, roles=["scriber"]))
    stage.change(played.run, ["limits.turns=8"])
    await stage.go_on(played.run)
    assert [aside.text for aside in asides(stage, played.run, "Scriber")] == [f"- Round {n}" for n in range(4)]


async def test_a_talk_that_ends_within_a_round_has_its_minutes_too(stage: Stage) -> None:
    played = await stage.play(loop(roles=["scriber"], limits={"turns": 3}))
    assert [aside.seq for aside in asides(stage, played.run, "Scriber")] == [2, 3]


async def test_an_edited_turn_takes_its_minutes_and_measures_with_it(stage: Stage) -> None:
    script = {"Scriber": [taken(note("claim", "R", SAID[0]), note("claim", "S", "Cats are liquid."))]}
    run = stage.create(loop(script, roles=["scriber"], limits={"turns": 2}))
    async with stage.host(run) as live:
        await live.alone()
    before = measured(stage, run)
    from engine.runs.control import Control

    assert Control(stage.database, "test").edit(run, 2, "Cats are liquid.") == run
    assert items(stage, run) == [] and len(measured(stage, run)["novelty"]) == 1
    await stage.go_on(run)
    assert measured(stage, run)["novelty"][0] == before["novelty"][0]
    assert [item.text for item in items(stage, run)] == ["S"]


async def test_a_rule_on_a_measure_ends_pauses_or_asks(stage: Stage) -> None:
    same = {"Questioner": ["Is it the tide that moves?"] * 9, "Creator": ["It is the tide that moves."] * 9}
    rule = {"measure": "novelty", "below": 0.2, "turns": 2}
    ended = await stage.play(loop(same, stop=[rule], limits={"turns": 9}))
    assert ended.outcome.reason == "measure:novelty" and 3 <= len(ended.said) < 9
    (event,) = stage.events(ended.run, "measure.crossed")
    assert event.data["rule"] == "novelty < 0.2" and event.data["value"] < 0.2
    run = stage.create(loop(same, stop=[rule | {"then": "ask"}], limits={"turns": 9}))
    async with stage.host(run) as live:
        await live.asked()
        await live.answer("go")
        await live.answer("end")
        outcome = await live.alone()
    assert outcome.reason == "measure:novelty" and len(stage.said(run)) > len(ended.said)
    run = stage.create(loop(same, stop=[rule | {"then": "pause"}], limits={"turns": 5}))
    async with stage.host(run) as live:
        await live.until(lambda db: stage.row(run).status is Status.PAUSED, "the pause")
        while not live.playing.done():
            await live.tell("resume")
            await live.until(lambda db: stage.row(run).status is Status.PAUSED or live.playing.done(), "a pause")


async def test_a_limit_is_told_of_once_though_the_minutes_meet_it_too(stage: Stage) -> None:
    played = await stage.play(loop(roles=["scriber"], limits={"turns": 9, "tokens": 900}))
    assert played.outcome.reason == "limit:tokens" and not asides(stage, played.run, "Scriber")
    assert [event.data["unit"] for event in stage.events(played.run, "limit.reached")] == ["tokens"]


async def test_measures_are_the_same_whoever_takes_them_and_a_pasted_turn_shows(stage: Stage) -> None:
    played = await stage.play(loop({"Creator": [SAID[0], SAID[0]]}))
    repetition = dict(measured(stage, played.run)["repetition"])
    assert repetition[4] == 1.0 and repetition[2] < 0.5


async def test_an_embedding_model_that_fails_stops_nobody(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        name, dim = "gone/model", 8

        def embed(self, texts: Sequence[str]) -> Any:
            raise ProviderError(Fault.UNREACHABLE, "nobody is there")

    found: list[Any] = [None]
    monkeypatch.setattr(embedder, "default", lambda: found[-1])
    run = stage.create(loop())
    found.append(Gone())
    async with stage.host(run) as live:
        assert (await live.alone()).reason == "limit:turns", "it does not ask what is to become of a seat"
    assert [seq for seq, _ in measured(stage, run)["novelty"]] == [1, 2, 3, 4]
    told = [event.data for event in stage.events(run, "measure.tried")]
    assert {(item["measure"], item["trusted"]) for item in told} == {("novelty_meaning", False), ("drift", False)}
    assert len(told) == 2 and "nobody is there" in told[0]["why"]


async def test_humans_can_step_in_take_a_role_and_swap_its_model(stage: Stage) -> None:
    run = stage.create(loop(limits={"turns": 6}))
    async with stage.host(run) as live:
        await live.tell("pause")
        await live.tell("say", text="Think of glaciers.")
        await live.tell("take", seat="Creator")
        await live.tell("swap", seat="Questioner", changes={"options": {"temperature": 0.1}})
        await live.tell("resume")
        await live.until(lambda db: live.playing.done() or (len(stage.said(run)) and _asks(db, stage, run)), "my turn")
        await live.answer("Glaciers move them.")
        await live.tell("release", seat="Creator")
        await live.alone()
        sent = live.requests
    assert ("Creator", "Glaciers move them.") in stage.said(run)
    assert any("[A human listener says: Think of glaciers.]" in text for text in of(sent, "Questioner"))
    assert [request.options.get("temperature") for request in sent if request.seat == "Questioner"][-1] == 0.1


def _asks(db: sqlite3.Connection, stage: Stage, run: str) -> Any:
    from engine.record import asks

    return asks.listing(db, stage.n(run))


async def test_one_who_writes_beside_cannot_be_taken(stage: Stage) -> None:
    run = stage.create(loop(roles=["scriber"]))
    async with stage.host(run) as live:
        await live.tell("pause")
        assert "only a model can" in str((await live.tell("take", seat="Scriber"))[1])
        await live.tell("resume")
        await live.alone()


async def test_past_requests_can_be_rebuilt_to_the_letter(stage: Stage) -> None:
    played = await stage.play(loop(roles=["mediator", "scriber"], mediator={"every": 2}))
    calls = [call for purpose in ("turn", "minutes") for call in stage.calls(played.run, purpose)]
    assert len(calls) == len(played.requests)
    rebuilt = [stage.read(lambda db, call=call: view.rebuild(db, call.request)) for call in calls]
    sent = [list(request.messages) for request in played.requests]
    assert all(messages in sent for messages in rebuilt)


async def test_what_is_exported_for_training_holds_what_the_seats_were_told(stage: Stage) -> None:
    played = await stage.play(loop(roles=["mediator"], mediator={"every": 2}))
    text = stage.read(lambda db: export(db, stage.row(played.run), "chatml", "Creator"))
    system, *talk = json.loads(text)["messages"]
    sent = [request.messages for request in played.requests if request.seat == "Creator"]
    assert system == {"role": "system", "content": sent[0][0].content}
    assert talk[0]["content"].startswith(f"Questioner: {ASKED[0]}")
    for asked, messages in zip(talk[::2], sent, strict=False):
        task = messages[1].content[messages[1].content.index("You are Creator now.") :]
        assert asked["content"].endswith(task)
    assert talk[1] == {"role": "assistant", "content": SAID[0]}


@pytest.mark.parametrize(("window", "characters"), [(2000, 70), (8192, 350)])
async def test_three_hundred_turns_in_a_small_window(stage: Stage, window: int, characters: int) -> None:
    """No request over the window, every cut an event, complete minutes, growth in proportion to what is said."""
    turns, answer = 300, 100
    said = [(f"{SAID[n]} " * 9)[:characters] for n in range(turns)]
    script: dict[str, Any] = {
        "Creator": said,
        "Questioner": [f"{'As to rivers, stones and gravel, ' * (characters // 33)}{asked}" for asked in ASKED],
        "Scriber": [
            taken(
                *(note("claim", f"R{at}", SAID[at][:60]) for at in (n, max(n - 1, 0))),
                *(note("question", f"Is stone {at} moved?", ASKED[at]) for at in (n, max(n - 1, 0))),
            )
            for n in range(turns // 2)
        ],
    }
    pipeline = loop(script, roles=["mediator", "scriber"], mediator={"every": 20}, limits={"turns": turns})
    for seat in pipeline["seats"]:
        seat["window"], seat["options"] = window, {"max_tokens": answer}
        seat["role"] = roles.read(seat["role"]) | {"words": None}
    sizes = [stage.used()]
    run = stage.create(pipeline | {"limits": {"turns": turns // 2}})
    for limit in (turns // 2, turns):
        stage.change(run, [f"limits.turns={limit}"])
        await stage.go_on(run)
        sizes.append(stage.used())
    calls = [call for purpose in ("turn", "minutes") for call in stage.calls(run, purpose)]
    spoken = stage.said(run)
    assert len(spoken) == turns
    assert max((call.tokens_in or 0) + answer for call in calls) <= window
    cuts = {tuple(call.request["cut"]) for call in calls if "cut" in call.request}
    told = {(event.data["kept"], event.data["dropped"]) for event in stage.events(run, "context.cut")}
    assert cuts and cuts <= told
    covered = [aside.seq for aside in asides(stage, run, "Scriber")]
    by_creator = {seq for seq, (seat, _) in enumerate(spoken, 1) if seat == "Creator"}
    by_questioner = {seq for seq, (seat, _) in enumerate(spoken, 1) if seat == "Questioner"}
    found = items(stage, run)
    assert covered[-1] == turns
    assert {item.seq for item in found if item.kind == "claim"} == by_creator
    assert {item.seq for item in found if item.open} == by_questioner, "an issue is open until it is answered"
    written = stage.read(lambda db: db.execute("SELECT sum(length(text)) FROM message").fetchone()[0])
    empty, half, whole = sizes
    assert whole - empty <= 1024 * turns + 3 * written
    assert whole - half <= 1.1 * (half - empty), "linear"


def open_item(n: int, text: str) -> Item:
    return Item(n, "question", text, n, "Creator", text)


def test_of_many_open_items_a_scriber_is_told_of_those_that_the_new_words_may_close() -> None:
    opened = [open_item(n, f"Is stone number {n} moved by gravel?") for n in range(1, 200)]
    opened[2] = open_item(3, "Do glaciers carry boulders uphill?")
    new = [Words(900, 900, "Creator", "Glaciers carry boulders, even uphill.")]
    chosen = [item.n for item in taking.offered(opened, new)]
    assert chosen == [3, *range(200 - taking.OPEN + 1, 200)], "of the others the newest"
    long = [open_item(n, "x" * 160) for n in range(1, 30)]
    assert sum(len(item.text) for item in taking.offered(long, new)) <= taking.OPEN_TEXT
    assert taking.offered(opened[:9], new) == opened[:9], "few are all told of"
