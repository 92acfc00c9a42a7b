from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.record.runs import Status
from engine.record.turns import State
from tests.engine.talk.stage import Stage

BOB = {"Bob": ["Well.", "Yes."]}


async def _first(stage: Stage, answer: Any, **over: Any) -> str:
    """What becomes of Ann's first answer; Bob must have heard something."""
    played = await stage.play(stage.pipeline({"seats": {"Ann": [answer, "Good."], **BOB}}, **over), ["limits.turns=2"])
    assert played.said[1] == ("Bob", "Well.")
    assert played.sent("Bob")[0].messages[-1].content.strip()
    return played.said[0][1]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", ""),
        ("  \n spaced \n ", "spaced"),
        ("nul \x00 inside", "nul \x00 inside"),
        ("half \ud83d of a pair", "half � of a pair"),
        ("\udc00", "�"),
        ("a whole 😀 one", "a whole 😀 one"),
        ("\x1b[2J\x1b]0;owned\x07 [bold]x[/bold] \u202etxt", "\x1b[2J\x1b]0;owned\x07 [bold]x[/bold] \u202etxt"),
        ("line\r\nline", "line\r\nline"),
    ],
)
async def test_an_answer_is_kept_as_it_came(stage: Stage, said: str, kept: str) -> None:
    assert await _first(stage, {"text": said, "chunk": 5}) == kept


async def test_a_silent_seat_is_heard_as_silence(stage: Stage) -> None:
    played = await stage.play(stage.pipeline({"seats": {"Ann": ["", "Good."], **BOB}}))
    assert played.sent("Bob")[0].messages[-1].content == "…"
    assert played.sent("Ann")[1].messages[-2].content == "…"


async def test_a_megabyte_in_one_line(stage: Stage) -> None:
    text = "x" * 1_000_000 + " end"
    played = await stage.play(stage.pipeline({"seats": {"Ann": [{"text": text, "chunk": 4096}, "Good."], **BOB}}))
    assert played.said[0][1] == text
    assert played.sent("Bob")[0].messages[-1].content == text
    assert len(played.said) == 4


async def test_a_key_in_an_answer_never_reaches_the_record(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "My key is sk-ant-abcdefghijklmnopqrstuvwxyz, keep it."
    assert "abcdefghijkl" not in await _first(stage, {"text": said, "chunk": 3})
    for path in stage.database.parent.glob("*"):
        if path.is_file():
            assert b"sk-ant-abcdefghij" not in path.read_bytes()


CUT = {"text": "I kept the light. It burned all night, and then it", "stop": "length"}


@pytest.mark.parametrize(("whole", "kept"), [(True, "I kept the light."), (False, CUT["text"]), (None, CUT["text"])])
async def test_an_answer_cut_by_its_length_may_end_at_a_sentence(stage: Stage, whole: bool | None, kept: str) -> None:
    assert await _first(stage, CUT, ann={"whole_sentences": whole}) == kept


async def test_an_answer_that_ended_by_itself_is_not_trimmed(stage: Stage) -> None:
    said = "I kept the light. It burned all night, and then it"
    assert await _first(stage, said, ann={"whole_sentences": True}) == said


async def test_max_tokens_cuts_as_the_model_would(stage: Stage) -> None:
    said = "One two three. Four five six seven."
    seat = {"options": {"max_tokens": 5}, "whole_sentences": True}
    assert await _first(stage, said, ann=seat) == "One two three."


async def test_thinking_is_kept_apart(stage: Stage) -> None:
    played = await stage.play(
        stage.pipeline({"seats": {"Ann": [{"text": "Yes.", "thinking": "No. \ud83d"}, "Good."], **BOB}})
    )
    first = stage.turns(played.run)[0]
    assert (first.text, first.thinking) == ("Yes.", "No. �")
    call = stage.calls(played.run)[0]
    assert call.thinking == 2


async def test_the_record_says_who_spoke_with_what(stage: Stage, home: Path) -> None:
    played = await stage.play(stage.pipeline({"seats": {}, "otherwise": "echo"}, title="An evening"))
    row = stage.row(played.run)
    assert (row.title, row.status, row.kind) == ("An evening", Status.FINISHED, "duel")
    turns = stage.turns(played.run)
    assert [(turn.seat, turn.persona, turn.model, turn.stop) for turn in turns[:2]] == [
        ("Ann", "ann", "scripted/play", "end"),
        ("Bob", "bob", "scripted/play", "end"),
    ]
    finished = stage.events(played.run, "turn.finished")
    assert [event.data["text"] for event in finished] == [turn.text for turn in turns]
    assert all(event.data["usage"]["tokens_in"] and event.data["usage"]["tokens_out"] for event in finished)
    assert (row.tokens_in, row.tokens_out) == (
        sum(turn.tokens_in or 0 for turn in turns),
        sum(turn.tokens_out or 0 for turn in turns),
    )
    assert stage.events(played.run, "turn.delta") == []
    assert stage.turns(played.run, State.PARTIAL, State.FAILED, State.LIVE) == []
