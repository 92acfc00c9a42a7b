from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.record.runs import Status
from engine.talk import repetition
from engine.talk.repetition import looping, repeated
from tests.engine.talk.stage import Stage

TALK = [
    "The sea was quiet this morning, and the lamp had burned all night without a flicker.",
    "Then you slept well, I suppose, with nothing to keep you awake but the gulls.",
    "Gulls I can bear. It is the bell on the far buoy that gets into my dreams.",
    "My grandmother had a clock like that bell: late by a minute, and proud of it.",
    "Did anyone ever set it right, or was the whole house a minute late with her?",
    "The whole street was. The baker opened when her window did, and the priest waited.",
    "A whole street by one old clock. I should like to have kept the light there.",
    "You would have been late with every ship, and nobody would have minded at all.",
]
PARAPHRASE = [
    "This morning the sea lay still; all night the lamp burned and did not flicker once.",
    "I suppose that means good sleep for you, with only gulls to disturb it.",
]


def test_a_text_said_before_repeats_it_wholly() -> None:
    assert repeated(TALK[0], TALK[:3]) == 1.0
    assert repeated(TALK[0].upper().replace(",", " -"), TALK[:3]) == 1.0


def test_new_words_and_paraphrases_repeat_little() -> None:
    for number, text in enumerate(TALK):
        assert repeated(text, TALK[:number]) < 0.2
    assert repeated(PARAPHRASE[0], TALK) < 0.4
    assert repeated(PARAPHRASE[1], TALK) < 0.4


def test_only_what_the_seat_itself_said_counts() -> None:
    echoing = [(("Ann", "Bob")[n % 2], TALK[n // 2]) for n in range(8)]
    assert not looping(echoing, 0.8, 3)[0]


def test_what_was_said_long_ago_is_forgotten() -> None:
    assert (
        repeated("an old story of the sea", ["an old story of the sea", *["other words each time"] * repetition.MEMORY])
        == 0
    )


def test_silence_repeats_silence() -> None:
    assert repeated("…", ["", "something"]) == 1.0
    assert repeated("", ["something"]) == 0.0
    assert looping([("Ann", ""), ("Bob", "")] * 4, 0.8, 3) == (True, 1.0)


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.text(max_size=30)), max_size=12), st.floats(0.01, 1), st.integers(1, 4)
)
def test_shares_lie_between_0_and_1(spoken: list[tuple[str, str]], threshold: float, turns: int) -> None:
    found, share = looping(spoken, threshold, turns)
    assert 0 <= share <= 1
    assert found == (share >= threshold) or len(spoken) <= turns
    for who, text in spoken:
        assert 0 <= repeated(text, [said for other, said in spoken if other == who]) <= 1


LOOP: dict[str, Any] = {
    "seats": {"*": ["We should talk about the old clock.", "Yes, I agree with every word you say."]},
    "otherwise": "repeat",
}


@pytest.mark.parametrize("turns", [2, 3])
async def test_a_loop_ends_the_run(stage: Stage, turns: int) -> None:
    played = await stage.play(stage.pipeline(LOOP, repetition={"turns": turns}), ["limits.turns=30"])
    assert (played.outcome.status, played.outcome.reason) == (Status.FINISHED, "repetition")
    assert len(played.said) == 4 + turns
    told = stage.events(played.run, "repetition.found")[0].data
    assert told == {"measure": "trigrams", "value": 1.0, "threshold": 0.8, "turns": turns}


async def test_a_loop_pauses_the_run(stage: Stage) -> None:
    run = stage.create(stage.pipeline(LOOP, repetition={"then": "pause"}), ["limits.turns=12"])
    async with stage.host(run) as live:
        for turns in (7, 10):  # told to go on, it is given as many turns again
            await live.until(lambda db: stage.row(run).status is Status.PAUSED, "the pause")
            assert stage.row(run).turns == turns
            await live.tell("resume")
        assert (await live.ended()).reason == "limit:turns"
    assert [event.data["why"] for event in stage.events(run, "run.paused")] == ["repetition"] * 2


async def test_a_loop_may_be_ignored(stage: Stage) -> None:
    played = await stage.play(stage.pipeline(LOOP, repetition={"then": "ignore"}), ["limits.turns=12"])
    assert (len(played.said), played.outcome.reason) == (12, "limit:turns")


async def test_ordinary_talk_is_no_loop(stage: Stage) -> None:
    script = {"seats": {"Ann": TALK[0::2], "Bob": TALK[1::2]}}
    played = await stage.play(stage.pipeline(script, repetition={"then": "end"}), ["limits.turns=8"])
    assert played.outcome.reason == "limit:turns"


async def test_a_run_that_a_loop_ended_can_go_on(stage: Stage) -> None:
    first = await stage.play(stage.pipeline(LOOP, repetition={}), ["limits.turns=30"])
    second = await stage.go_on(first.run)
    assert len(second.said) == 10
    assert second.outcome.reason == "repetition"
