"""A replay shows a beginning of what was said, more of it as time goes on, and all of it at the end."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.record.turns import State, Turn
from tui.state.replay import GAP, SPEEDS, Replay, scenes


def turn(seq: int, text: str, pace: list[tuple[int, int, int]] | None = None, **more: Any) -> Turn:
    """A turn that began `seq` minutes into the run and took ten seconds."""
    fields: dict[str, Any] = {
        "n": seq,
        "seq": seq,
        "role": "turn",
        "seat": "ABC"[seq % 3],
        "persona": None,
        "model": "x/y",
        "state": State.FINISHED,
        "text": text,
        "thinking": "",
        "message": seq,
        "started": seq * 60.0,
        "ended": seq * 60.0 + 10,
        "stop": "end",
        "tokens_in": 1,
        "tokens_out": 1,
        "cost": 0.0,
        "first": None,
        "pace": zlib.compress(b"".join(struct.pack("<III", *step) for step in pace)) if pace else None,
    }
    return Turn(**(fields | more))


STEPS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 9), st.integers(0, 9)), max_size=6)
TALKS = st.lists(st.tuples(st.text("ab ", max_size=20), st.text("xy", max_size=20), STEPS), max_size=6)


def talk(found: list[tuple[str, str, list[tuple[int, int, int]]]]) -> list[Turn]:
    return [turn(seq, text, steps, thinking=thought) for seq, (text, thought, steps) in enumerate(found, 1)]


def shown(replay: Replay) -> list[tuple[str, str]]:
    return [(entry.text, entry.thinking) for entry in replay.entries]


def is_prefix(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> bool:
    return len(before) <= len(after) and all(
        later[0].startswith(one[0]) and later[1].startswith(one[1]) for one, later in zip(before, after, strict=False)
    )


@given(TALKS, st.lists(st.floats(0, 3), max_size=12), st.sampled_from(SPEEDS))
def test_what_is_shown_only_grows_and_ends_with_all_of_it(found: Any, passed: list[float], speed: float) -> None:
    turns = talk(found)
    replay, now = Replay(turns, []), 100.0
    replay.speed = speed
    replay.tick(now)
    whole = [(item.text, item.thinking) for item in turns]
    for seconds in passed:
        before = shown(replay)
        now += seconds
        replay.tick(now)
        assert is_prefix(before, shown(replay)) and is_prefix(shown(replay), whole)
    replay.tick(now + replay.length / 1000 / speed + 1)
    assert shown(replay) == whole and replay.over and not replay.playing
    assert all(not entry.live for entry in replay.entries)


@given(TALKS, st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_where_one_seeks_to_does_not_depend_on_where_one_was(found: Any, places: list[float]) -> None:
    turns = talk(found)
    wandering = Replay(turns, [])
    for share in places:
        wandering.seek(round(share * wandering.length))
    direct = Replay(turns, [])
    direct.seek(round(places[-1] * direct.length))
    assert shown(wandering) == shown(direct)
    assert [entry.state for entry in wandering.entries] == [entry.state for entry in direct.entries]


def test_text_comes_at_the_moments_it_came_at_and_pauses_are_short() -> None:
    one, two = turn(1, "Hello there.", [(500, 6, 0), (900, 6, 0)]), turn(2, "Yes.", [(200, 4, 0)])
    replay = Replay([one, two], [])
    replay.tick(0.0)
    assert shown(replay) == [("", "")] and replay.entries[0].live
    replay.tick(0.6)
    assert shown(replay) == [("Hello ", "")]
    replay.tick(0.9)
    assert shown(replay) == [("Hello there.", "")] and not replay.entries[0].live
    assert replay.scenes[1].start == 900 + GAP, "fifty seconds of silence are cut"
    replay.tick(0.9 + GAP / 1000 + 0.1)
    assert shown(replay)[1] == ("", "")
    replay.tick(0.9 + GAP / 1000 + 0.2)
    assert replay.over


def test_speed_counts_in_the_same_seconds() -> None:
    replay = Replay([turn(1, "abcd", [(4000, 2, 0), (8000, 2, 0)])], [])
    replay.faster(2)
    assert replay.speed == 4.0
    replay.tick(0.0)
    replay.tick(1.0)
    assert shown(replay) == [("ab", "")]
    replay.faster(-99)
    assert replay.speed == SPEEDS[0]
    replay.faster(99)
    assert replay.speed == SPEEDS[-1]


def test_pausing_holds_it_and_playing_on_does_not_jump() -> None:
    replay = Replay([turn(1, "abcd", [(1000, 2, 0), (2000, 2, 0)])], [])
    replay.tick(0.0)
    replay.tick(1.0)
    replay.toggle()
    replay.tick(60.0)
    replay.toggle()
    replay.tick(60.5)
    assert shown(replay) == [("ab", "")] and replay.position == 1500
    replay.tick(61.0)
    assert replay.over and not replay.playing
    replay.toggle()
    assert replay.position == 0 and replay.playing, "from the end it begins again"


def test_turns_are_stepped_through_and_what_is_taken_back_is_gone() -> None:
    replay = Replay([turn(seq, "word", [(1000, 4, 0)]) for seq in (1, 2, 3)], [])
    replay.step(1)
    assert (replay.turn, shown(replay)) == (2, [("word", ""), ("", "")])
    replay.step(1)
    replay.step(1)
    assert replay.over and replay.turn == 3
    moved = replay.moved
    replay.step(-1)
    assert replay.turn == 3 and replay.entries[-1].live and replay.moved > moved
    replay.step(-1)
    replay.step(-1)
    replay.step(-1)
    assert replay.turn == 1 and len(replay.entries) == 1


def test_what_came_at_once_stands_there_at_once_and_partials_are_no_part_of_it() -> None:
    found = scenes([turn(1, "Opening."), turn(2, "half a", [(9, 6, 0)], state=State.PARTIAL), turn(2, "whole")])
    assert [(scene.turn.text, scene.start, scene.end) for scene in found] == [("Opening.", 0, 0), ("whole", GAP, GAP)]
    replay = Replay([turn(1, "Opening.")], [])
    assert shown(replay) == [("Opening.", "")] and replay.over


def test_a_clock_that_was_set_back_does_not_turn_the_text_around() -> None:
    one = turn(1, "abcd", [(900, 2, 0), (100, 2, 0)])
    again = turn(2, "ef", [(10, 2, 0)], started=0.0)
    found = scenes([one, again])
    assert found[0].times == (900, 900) and found[1].start == 900


def test_an_empty_talk_is_over_at_once() -> None:
    replay = Replay([], [])
    assert replay.over and replay.turn == replay.turns == 0
    replay.tick(0.0)
    replay.step(1)
    assert replay.entries == []
