"""The measure of disagreement in a loop: tried before it is shown, asked within the run's limits, never twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.record import metrics, runs
from engine.runs import pipelines
from engine.settings.errors import UsageError
from engine.talk import loop as loops
from engine.talk.measures import planted
from engine.talk.measures.disagreement import REACH
from tests.engine.talk.stage import Stage
from tests.engine.talk.test_loop import SAID, loop

WATCHED = {"health": {"disagreement": {"model": "scripted/play"}}, "limits": {"turns": 4}}
NONE = json.dumps({"denies": False, "turn": 0, "earlier": "", "now": ""})


def denies(turn: int, earlier: str, now: str) -> str:
    return json.dumps({"denies": True, "turn": turn, "earlier": earlier, "now": now})


def answers(*, wrong: bool = False) -> list[str]:
    """What a model says in the trial that finds every contradiction; `wrong`: and as many in paraphrases."""
    found = []
    for talk in planted.load():
        earlier = talk.talk[max(len(talk.talk) - REACH, 0)][1][:30]
        pairs = list(zip(talk.ending("contradicts"), talk.ending("rewords"), strict=False))
        found += [denies(1, earlier, text[:30]) for (_, text), _ in pairs]
        found += [denies(1, earlier, text[:30]) if wrong else NONE for _, (_, text) in pairs]
    return found


TRUSTY: dict[str, Any] = {"trial": answers(), "disagreement": {2: NONE, 3: NONE, 4: denies(2, SAID[0], SAID[1])}}


def measured(stage: Stage, run: str) -> list[tuple[int, float]]:
    return stage.read(lambda db: metrics.of_turns(db, stage.n(run))).get("disagreement", [])


async def test_a_model_that_passes_its_trial_measures_every_turn_after_the_first(stage: Stage) -> None:
    played = await stage.play(loop(TRUSTY, **WATCHED))
    (tried,) = stage.events(played.run, "measure.tried")
    assert tried.data | {"p": 0} == {
        "measure": "disagreement",
        "model": "scripted/play",
        "trusted": True,
        "of": 15,
        "hits": 15,
        "wrong": 0,
        "p": 0,
    }
    assert measured(stage, played.run) == [(2, 0.0), (3, 0.0), (4, 1.0)]
    (found,) = stage.events(played.run, "denial.found")
    assert found.data == {"seq": 4, "seat": "Creator", "now": SAID[1], "against": 2, "earlier": SAID[0]}
    assert len(stage.calls(played.run, "trial")) == 30 and len(stage.calls(played.run, "measure")) == 3
    assert stage.spent(played.run)["tokens"] == sum(
        (call.tokens_in or 0) + (call.tokens_out or 0)
        for purpose in ("turn", "trial", "measure")
        for call in stage.calls(played.run, purpose)
    )
    sent = [request for request in played.requests if request.seat == "disagreement"]
    assert sent[0].answer_schema and f"[newest turn, Creator]\n{SAID[0]}" in sent[0].messages[0].content


async def test_one_that_fails_it_is_not_shown_and_the_record_says_why(stage: Stage) -> None:
    played = await stage.play(loop({"trial": answers(wrong=True)}, **WATCHED))
    (tried,) = stage.events(played.run, "measure.tried")
    assert not tried.data["trusted"]
    assert tried.data["why"] == "it found 15 of 15 planted contradictions and let 0 of 15 paraphrases pass"
    assert measured(stage, played.run) == [] and stage.calls(played.run, "measure") == []
    assert len(played.said) == 4, "the talk goes on without it"
    played = await stage.play(loop({"trial": ["Hm."] * 30}, **WATCHED))
    (tried,) = stage.events(played.run, "measure.tried")
    assert tried.data["why"].endswith("let 0 of 15 paraphrases pass; 30 of its answers could not be used")


async def test_without_a_model_named_for_it_nobody_is_asked(stage: Stage) -> None:
    played = await stage.play(loop(TRUSTY))
    assert measured(stage, played.run) == [] and stage.events(played.run, "measure.tried") == []


async def test_a_trial_that_was_killed_goes_on_and_is_not_made_twice(stage: Stage) -> None:
    run = stage.create(loop(TRUSTY, **WATCHED))
    async with stage.host(run, crash=True) as live:
        await live.until(
            lambda db: db.execute("SELECT count(*) FROM call WHERE answer IS NOT NULL").fetchone()[0] >= 10,
            "10 answers",
        )
    await stage.go_on(run)
    assert measured(stage, run) == [(2, 0.0), (3, 0.0), (4, 1.0)]
    answered = [call for call in stage.calls(run, "trial") if call.answer is not None]
    assert len(answered) == 30, "what was answered is not asked again"
    stage.change(run, ["limits.turns=5"])
    await stage.go_on(run)
    assert len(stage.calls(run, "trial")) <= 31 and len(stage.events(run, "measure.tried")) == 1


async def test_a_fork_trusts_what_its_parent_has_tried(stage: Stage) -> None:
    played = await stage.play(loop(TRUSTY, **WATCHED))
    parent, at = stage.row(played.run), stage.turns(played.run)[2]
    spec = stage.read(lambda db: runs.spec(db, parent)) | {"limits": {"turns": 5}}
    fork = stage.write(lambda db: runs.create(db, "loop", "F", spec, fork=(parent, at.n, at.message)))
    again = await stage.go_on(fork)
    assert stage.calls(fork, "trial") == [] and len(again.said) == 5
    assert measured(stage, fork)[:3] == [(2, 0.0), (3, 0.0), (4, 1.0)], "the parent's turns keep their values"


async def test_a_model_that_is_not_there_leaves_the_talk_alone(stage: Stage) -> None:
    fails = [{"text": "x", "faults": [{"attempt": 1, "fault": "refused"}]}]
    played = await stage.play(loop({"trial": fails}, **WATCHED))
    (tried,) = stage.events(played.run, "measure.tried")
    assert "the script makes try 1 fail" in tried.data["why"] and "p" not in tried.data
    assert len(played.said) == 4 and len(stage.calls(played.run, "trial")) == 1
    stage.change(played.run, ["limits.turns=5"])
    await stage.go_on(played.run)
    assert len(stage.events(played.run, "measure.tried")) == 2, "a resumed run tries again"


async def test_an_answer_that_quotes_nothing_leaves_its_turn_without_a_value(stage: Stage) -> None:
    says = {"trial": answers(), "disagreement": {2: denies(1, "nobody said this", "nor this"), 3: NONE, 4: "Hm."}}
    played = await stage.play(loop(says, **WATCHED))
    assert measured(stage, played.run) == [(3, 0.0)]
    faults = [(event.data["seq"], event.data["fault"]) for event in stage.events(played.run, "answer.faulty")]
    assert faults[0] == (2, "the earlier words are not in turn 1") and faults[1][0] == 4


async def test_its_calls_are_the_runs_and_a_stop_rule_may_be_on_it(stage: Stage) -> None:
    short = await stage.play(loop(TRUSTY, **{**WATCHED, "limits": {"turns": 9, "tokens": 2000}}))
    assert short.outcome.reason == "limit:tokens" and short.said == []
    rule = {"measure": "disagreement", "above": 0.5, "turns": 1}
    ended = await stage.play(loop(TRUSTY, stop=[rule], **{**WATCHED, "limits": {"turns": 9}}))
    assert ended.outcome.reason == "measure:disagreement" and len(ended.said) == 4


async def test_a_skip_in_the_trial_leaves_the_measure_out(stage: Stage) -> None:
    slow = [{"text": NONE, "delay": 0.05, "chunk": 1}] * 30
    run = stage.create(loop({"trial": slow}, **WATCHED))
    async with stage.host(run) as live:
        await live.until(lambda db: db.execute("SELECT 1 FROM call").fetchone(), "a call")
        assert (await live.tell("skip"))[0] == "taken"
        await live.alone()
    assert len(stage.said(run)) == 4 and len(stage.calls(run, "trial")) == 1


async def test_a_rule_on_it_or_a_model_that_cannot_be_is_refused_before_anything_is_spent(stage: Stage) -> None:
    rule = {"measure": "disagreement", "above": 0.5}
    with pytest.raises(UsageError, match=r"stop\.0\.measure: .* health\.disagreement\.model"):
        await loops.check(pipelines.resolve(loop(stop=[rule])))
    with pytest.raises(UsageError, match="seat disagreement: "):
        await loops.check(pipelines.resolve(loop(health={"disagreement": {"model": "nowhere/x"}})))
