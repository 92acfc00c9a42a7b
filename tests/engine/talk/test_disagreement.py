from __future__ import annotations

import json
import random
from typing import Any

import pytest

from engine.talk.judge import Ask, UnusableAnswer
from engine.talk.measures import disagreement, planted
from engine.talk.measures.disagreement import Denial

EARLIER = [("Ann", "The bells ring at night."), ("Bob", "They have rung since 1968."), ("Ann", "People count them.")]
NEWEST = ("Bob", "No bell rings at night, and nobody counts.")
TALKS = planted.load()
DENYING = {text: talk for talk in TALKS for _, text in talk.ending("contradicts")}


def saying(denies: bool, turn: int = 0, earlier: str = "", now: str = "") -> str:
    return json.dumps({"denies": denies, "turn": turn, "earlier": earlier, "now": now})


def newest_of(prompt: str) -> str:
    return prompt.rsplit("[newest turn, ", 1)[1].split("]\n", 1)[1].split("\n\nAnswer with", 1)[0]


def flagging(chosen: Any) -> Ask:
    """A model that quotes the first turn shown and the newest one whenever `chosen` says so of the newest."""

    async def ask(prompt: str, schema: dict[str, Any]) -> str:
        newest = newest_of(prompt)
        talk = next(talk for talk in TALKS if talk.talk[0][1] in prompt)
        return saying(True, 1, talk.talk[0][1][:20], newest[:20]) if chosen(newest) else saying(False)

    return ask


async def test_a_denial_quotes_both_turns() -> None:
    async def ask(prompt: str, schema: dict[str, Any]) -> str:
        assert "[turn 1, Ann]\nThe bells ring at night." in prompt and newest_of(prompt) == NEWEST[1]
        assert schema is disagreement.SCHEMA
        return saying(True, 1, "bells ring at night", "no bell rings")

    assert await disagreement.asked(ask, EARLIER, NEWEST) == Denial(3, "bells ring at night", "no bell rings")


async def test_the_first_turn_denies_nothing_and_nobody_is_asked() -> None:
    assert await disagreement.asked(flagging(pytest.fail), [], NEWEST) is None


async def test_only_the_latest_turns_are_shown() -> None:
    long = [("Ann", f"Line {number}.") for number in range(20)]
    prompt = disagreement.prompt(long, NEWEST)
    assert "Line 13." not in prompt and "[turn 1, Ann]\nLine 14." in prompt
    assert disagreement.parse(saying(True, 6, "Line 19", "no bell"), long, NEWEST) == Denial(1, "Line 19", "no bell")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("yes", "not a JSON object"),
        ('{"denies": "yes"}', "not {"),
        (saying(True), "there is no turn 0"),
        (saying(True, 4, "x", "no bell"), "there is no turn 4 among the 3"),
        (saying(True, 2, "bells ring at night", "no bell"), "the earlier words are not in turn 2"),
        (saying(True, 1, "", "no bell"), "the earlier words"),
        (saying(True, 1, "bells ring", "bells are silent"), "not in the newest turn"),
        ('{"denies": true, "turn": true, "earlier": "the", "now": "no"}', "there is no turn True"),
        ('{"denies": true}', "there is no turn None"),
    ],
)
def test_a_denial_without_its_quotes_is_refused(answer: str, fault: str) -> None:
    with pytest.raises(UnusableAnswer, match=fault):
        disagreement.parse(answer, EARLIER, NEWEST)


async def test_a_model_that_tells_contradiction_from_paraphrase_is_trusted() -> None:
    found = await disagreement.trial(flagging(lambda text: text in DENYING))
    assert (found.count, found.contradictions, found.paraphrases, found.unusable) == (15, 15, 0, 0)
    assert found.trusted and found.p < 1e-7
    misses = iter(range(1000))
    most = await disagreement.trial(flagging(lambda text: text in DENYING and next(misses) % 3 > 0))
    assert most.contradictions == 10 and most.trusted


@pytest.mark.parametrize("value", [True, False])
async def test_a_model_that_always_says_the_same_is_not(value: bool) -> None:
    found = await disagreement.trial(flagging(lambda text: value))
    assert found.contradictions == found.paraphrases
    assert not found.trusted


async def test_a_model_that_draws_lots_hardly_ever_is() -> None:
    trusted = 0
    for seed in range(100):
        draw = random.Random(seed)
        trusted += (await disagreement.trial(flagging(lambda text, draw=draw: draw.random() < 0.5), TALKS)).trusted
    assert trusted <= 5


async def test_counting_negations_is_not_trusted() -> None:
    """The cheap way: it was tried, and paraphrases negate as often."""
    negative = {"no", "not", "never", "nothing", "nobody", "hardly"}
    found = await disagreement.trial(flagging(lambda text: bool(negative & set(text.lower().split()))))
    assert not found.trusted


async def test_answers_that_are_none_count_against_the_model() -> None:
    async def ask(prompt: str, schema: dict[str, Any]) -> str:
        return "Hard to say."

    found = await disagreement.trial(ask)
    assert (found.contradictions, found.paraphrases, found.unusable) == (0, 15, 30)
    assert not found.trusted
