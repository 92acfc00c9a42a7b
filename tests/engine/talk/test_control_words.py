from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.record.runs import Status
from engine.record.turns import State
from engine.talk.control_words import Word, parse
from tests.engine.talk.stage import Stage


@pytest.mark.parametrize(
    ("text", "rest", "words"),
    [
        ("/bye", "", [Word.BYE]),
        ("/BYE Farewell.", "Farewell.", [Word.BYE]),
        ("Farewell. /Bye", "Farewell.", [Word.BYE]),
        ("**/end**", "", [Word.END]),
        ("It was a pleasure.\n\n`/stop`", "It was a pleasure.", [Word.STOP]),
        ("_/quit_", "", [Word.STOP]),
        ("_/quit_ This is over.", "This is over.", [Word.STOP]),
        ("** /bye ** Well.", "** Well.", [Word.BYE]),
        ("I must go. /exit.", "I must go.", [Word.STOP]),
        ('"/help"', "", [Word.HELP]),
        ("/start: good evening", "good evening", [Word.START]),
        ("/help /bye", "", [Word.HELP, Word.BYE]),
        ("/bye So long. /end", "So long.", [Word.BYE, Word.END]),
        ("So long. /bye\n/end\n", "So long.", [Word.BYE, Word.END]),
        ("**So long.** **/bye**", "**So long.**", [Word.BYE]),
        ("So long! (/bye)", "So long!", [Word.BYE]),
        ("  /stop  ", "", [Word.STOP]),
    ],
)
def test_a_control_word_at_either_end_counts_and_is_taken_off(text: str, rest: str, words: list[Word]) -> None:
    parsed = parse(text)
    assert (parsed.text, list(parsed.words)) == (rest, words)


@pytest.mark.parametrize(
    "text",
    [
        "I looked into /usr/bin/end and found nothing",
        "/byebye",
        "/ending is near",
        "/bye-bye",
        "either/stop",
        "say /bye when you are done, please",
        "https://example.org/help",
        "/stop/now",
        "bye",
        "the path ends in /home/end",
        "/endé",
        "",
        "  kept as it is  ",
    ],
)
def test_a_word_inside_a_text_or_another_word_is_text(text: str) -> None:
    parsed = parse(text)
    assert (parsed.text, parsed.words) == (text, ())


@given(st.text(), st.sampled_from(["/bye", "/END", "*/stop*", "/Quit"]))
def test_what_is_left_holds_no_control_word(text: str, word: str) -> None:
    for spoken in (f"{word} {text}", f"{text} {word}"):
        parsed = parse(spoken)
        assert parsed.words
        assert parse(parsed.text).words == ()


def test_a_long_row_of_markdown_is_read_in_linear_time() -> None:
    assert parse("*" * 200_000 + "x").words == ()
    assert parse("x" + " *" * 100_000).words == ()
    assert parse("/bye " * 20_000).words == (Word.BYE,) * 20_000


SLOW = {"seats": {}, "otherwise": "echo", "pace": {"delay": 0.01, "chunk": 8}}


async def test_after_bye_one_last_answer_and_the_end(stage: Stage) -> None:
    played = await stage.play(
        stage.pipeline(
            {"seats": {"Ann": ["Hello.", "I must go. /bye", "never"], "Bob": ["Hm.", "So long."]}}, limits={}
        )
    )
    assert played.said[-2:] == [("Ann", "I must go. /bye"), ("Bob", "So long.")]
    assert (played.outcome.status, played.outcome.reason) == (Status.FINISHED, "bye")
    heard = played.sent("Bob")[-1].messages[-1].content
    assert "I must go." in heard
    assert "/bye" not in heard
    assert "Ann is leaving" in heard


@pytest.mark.parametrize(("said", "reason"), [("/end", "end"), ("Enough. **/STOP**", "stop"), ("/quit", "stop")])
async def test_end_and_stop_end_at_once(stage: Stage, said: str, reason: str) -> None:
    played = await stage.play(stage.pipeline({"seats": {"Ann": [said, "never"], "Bob": ["never"]}}))
    assert played.said == [("Ann", said)]
    assert (played.outcome.status, played.outcome.reason) == (Status.FINISHED, reason)


async def test_no_seat_ever_reads_a_control_word(stage: Stage) -> None:
    script = {
        "seats": {
            "Ann": ["/start Good day.", "/help", "Go on. /help", "/bye"],
            "Bob": ["Yes? /help", "/start", "I am Bob."],
        }
    }
    played = await stage.play(stage.pipeline(script, limits={"turns": 7}))
    assert len(played.requests) == 7
    for request in played.requests:
        assert not any(f"/{word}" in message.content for message in request.messages for word in Word), request


async def test_help_is_asked_for_in_plain_words(stage: Stage) -> None:
    played = await stage.play(stage.pipeline({"seats": {"Ann": ["/help", "x"], "Bob": ["I am Bob.", "y"]}}))
    assert "Who are you?" in played.sent("Bob")[0].messages[-1].content


async def test_a_human_bye_is_told_to_both_and_answered_once(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW))
    async with stage.host(run) as live:
        await live.shown(1)
        assert await live.tell("bye") == ("taken", None)
        outcome = await live.ended()
        requests = live.requests
    assert (outcome.status, outcome.reason) == (Status.FINISHED, "bye")
    assert len(stage.turns(run)) == 2
    assert "The conversation is ending now" in requests[-1].messages[-1].content


@pytest.mark.parametrize(("text", "reason"), [("/stop", "stop"), ("That will do. /end", "end")])
async def test_a_humans_end_lets_no_further_turn_begin(stage: Stage, text: str, reason: str) -> None:
    run = stage.create(stage.pipeline(SLOW))
    async with stage.host(run) as live:
        await live.shown(1)
        await live.tell("say", text=text, now=False)
        outcome = await live.ended()
    assert (outcome.status, outcome.reason) == (Status.FINISHED, reason)
    assert len(stage.turns(run, State.FINISHED, State.PARTIAL)) == 1
    assert stage.turns(run, State.LIVE) == []


async def test_a_run_that_a_control_word_ended_can_go_on(stage: Stage) -> None:
    pipeline = stage.pipeline({"seats": {"Ann": ["/end", "Still here."], "Bob": ["Wait. /stop", "Yes."]}})
    first = await stage.play(pipeline)
    assert len(first.said) == 1
    again = await stage.go_on(first.run)
    assert again.said == [("Ann", "/end"), ("Bob", "Wait. /stop")]
    assert again.outcome.reason == "stop"
    last = await stage.go_on(first.run)
    assert last.outcome.reason == "limit:turns"
    assert [text for _, text in last.said] == ["/end", "Wait. /stop", "Still here.", "Yes."]


async def test_a_run_that_a_human_ended_can_go_on(stage: Stage) -> None:
    run = stage.create(stage.pipeline(SLOW))
    async with stage.host(run) as live:
        await live.shown(1)
        await live.tell("say", text="/end", now=False)
    assert len(stage.turns(run)) <= 1
    again = await stage.go_on(run)
    assert again.outcome.reason == "limit:turns"
    assert len(again.said) == 4


@pytest.mark.parametrize(
    ("rules", "start", "heard"),
    [
        ("control", "/start", "/start"),
        ("none", "/start", "Hello."),
        ("none", "/start Good evening, Ann.", "Good evening, Ann."),
        ("none", "Good evening.", "Good evening."),
    ],
)
async def test_the_starter_is_told_to_begin(stage: Stage, rules: str, start: str, heard: str) -> None:
    played = await stage.play(
        stage.pipeline({"seats": {}, "otherwise": "echo"}, rules=rules, start=start), ["limits.turns=1"]
    )
    assert [message.content for message in played.requests[0].messages[1:]] == [heard]
