from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.providers.protocol import Message
from engine.record.content import Said
from engine.record.turns import State
from engine.runs.control import Control
from engine.talk import spec, view
from engine.talk.view import Cut, Dialogue
from tests.engine.talk.stage import Live, Played, Stage

FRAME = Dialogue("Ann", "Bob", "You are Ann.", (("Good evening.", "Is it?"),), "Hello.")
BARE = Dialogue("Ann", "Bob", "", (), "/start")


def _said(*pairs: tuple[str, str], thinking: str = "") -> list[Said]:
    return [Said(n, n - 1 or None, who, text, thinking) for n, (who, text) in enumerate(pairs, 1)]


def test_a_seat_speaks_as_assistant_and_hears_as_user() -> None:
    found = FRAME.messages(_said(("Bob", "Hi."), ("Ann", "Ho."), ("Bob", "Hm?")))
    assert [(message.role, message.content) for message in found] == [
        ("system", "You are Ann."),
        ("user", "Good evening."),
        ("assistant", "Is it?"),
        ("user", "Hi."),
        ("assistant", "Ho."),
        ("user", "Hm?"),
    ]


def test_the_starter_hears_the_start_first() -> None:
    assert [message.content for message in FRAME.messages([])][-1] == "Hello."
    found = BARE.messages(_said(("Ann", "Ho."), ("Bob", "Hi.")))
    assert [message.content for message in found] == ["/start", "Ho.", "Hi."]


def test_a_note_is_marked_as_a_humans() -> None:
    found = FRAME.messages(_said(("Bob", "Hi."), ("you", "Speak of the sea.")))
    assert found[-1] == Message("user", "Hi.\n\n[A human listener says to you both: Speak of the sea.]")


def test_silence_is_never_an_empty_message() -> None:
    found = FRAME.messages(_said(("Bob", ""), ("Ann", "/help"), ("Bob", "/start")))
    assert all(message.content for message in found)


def test_after_a_skipped_answer_the_request_still_ends_with_the_user() -> None:
    found = FRAME.messages(_said(("Bob", "Hi."), ("Ann", "Ho.")))
    assert found[-1].role == "user"


def test_what_was_cut_is_left_out_and_its_summary_stands_there() -> None:
    said = _said(*[("Bob" if n % 2 else "Ann", f"word {n}") for n in range(1, 8)])
    text = [message.content for message in BARE.messages(said, Cut(2, 3, "they counted"))]
    assert text == [
        "word 1",
        "word 2",
        "[Earlier in this conversation: they counted]",
        "word 6",
        "word 7",
    ]


_AUTHORS = st.sampled_from(["Ann", "Bob", "you"])
_TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(["", " ", "/bye", "/help", "x /END", "/start", "[…]"]))


@given(
    st.lists(st.tuples(_AUTHORS, _TEXTS), max_size=14),
    st.integers(0, 4),
    st.integers(0, 12),
    st.sampled_from([FRAME, BARE]),
)
def test_any_history_gives_alternating_roles_that_end_with_the_user(
    pairs: list[tuple[str, str]], keep: int, drop: int, frame: Dialogue
) -> None:
    said = _said(*pairs, thinking="a secret thought")
    found = frame.messages(said, Cut(keep, drop, "sum" if drop else ""))
    talk = [message for message in found if message.role != "system"]
    assert [message.role for message in talk] == ["user", "assistant"] * (len(talk) // 2) + ["user"]
    assert all(message.content.strip() for message in talk)
    assert not any("a secret thought" in message.content for message in found)
    assert [message.role for message in found].count("system") == bool(frame.system)


# -- what the provider was really sent, and what the record makes of it later


def _rebuilt(stage: Stage, live_or_played: Live | Played) -> int:
    """Compare every recorded call with what the adapter was sent, in order; returns how many there were."""
    run = live_or_played.run
    sent = [request for request in live_or_played.requests if not request.slot.endswith("/summary")]
    recorded = stage.calls(run)[-len(sent) :]
    assert len(recorded) == len(sent)
    for call, request in zip(recorded, sent, strict=True):
        assert stage.read(lambda db, call=call: view.rebuild(db, call.request)) == list(request.messages)
        assert stage.read(lambda db, call=call: view.options(db, call.request)) == dict(request.options)
    return len(sent)


async def test_the_whole_history_is_sent_every_time(stage: Stage) -> None:
    played = await stage.play(
        stage.pipeline({"seats": {}, "otherwise": "echo"}, opening="Good evening."), ["limits.turns=7"]
    )
    said = [text for _, text in played.said]
    assert [message.content for message in played.sent("Ann")[-1].messages[1:]] == said[:-2]
    assert [message.content for message in played.sent("Bob")[-1].messages[1:]] == ["Hello.", *said[:-1]]
    assert _rebuilt(stage, played) == 6


async def test_thinking_stays_with_its_seat(stage: Stage) -> None:
    script = {"seats": {"*": [{"text": "Yes.", "thinking": "He must not know."}] * 3}}
    played = await stage.play(stage.pipeline(script))
    assert [turn.thinking for turn in stage.turns(played.run)] == ["He must not know."] * 4
    assert not any("He must not know" in message.content for request in played.requests for message in request.messages)


async def test_examples_come_first_where_they_are_sent(stage: Stage, home: Path) -> None:
    (home / "personas" / "ann.md").write_text(
        "---\nexamples:\n  - {user: 'Who is there?', assistant: Only Ann.}\n---\n# A guest: Ann\n\nYou are Ann.\n",
        "utf-8",
    )
    script: dict[str, Any] = {"seats": {}, "otherwise": "echo"}
    played = await stage.play(stage.pipeline(script, ann={"examples": True}))
    shown = [message.content for message in played.sent("Ann")[0].messages]
    assert shown == ["# A guest: Ann\n\nYou are Ann.", "Who is there?", "Only Ann.", "Hello."]
    played = await stage.play(stage.pipeline(script))
    assert len(played.sent("Ann")[0].messages) == 2


async def test_every_request_can_be_rebuilt_whatever_was_done_to_the_talk(stage: Stage) -> None:
    script = {"seats": {}, "otherwise": "echo", "words": 30, "pace": {"delay": 0.004, "chunk": 8}}
    pipeline = stage.pipeline(script, bob={"window": 256, "options": {"max_tokens": 90}}, limits={"turns": 9}, seed=3)
    run = stage.create(pipeline)
    async with stage.host(run) as live:
        await live.shown(1)
        await live.tell("say", text="Speak of the sea.", now=True)
        await live.shown(2)
        await live.tell("retry")
        await live.tell("say", text="I am Bob, and I say so.", seat="bob", now=False)
        await live.shown(4)
        await live.tell("swap", seat="Ann", changes={"options.temperature": 0.2})
        await live.tell("skip")
        await live.shown(5)
        await live.tell("pause")
        await live.until(lambda db: stage.row(run).turns == 5 and stage.row(run).status == "paused", "turn 5")
        assert (await live.tell("edit", turn=5, text="What Bob should have said."))[0] == "taken"
        await live.tell("resume")
        await live.ended()
        assert _rebuilt(stage, live) >= 8
    assert stage.turns(run, State.LIVE) == []
    assert stage.spent(run)["turns"] == stage.row(run).turns == 9
    child = Control(stage.database, "test")
    found = child._find(run)
    fork = stage.write(lambda db: child._branch(db, found, 4, child._changed(found, ["limits.turns=8"])))
    again = await stage.go_on(fork)
    assert _rebuilt(stage, again) == 4
    assert [turn.text for turn in stage.turns(fork)][:3] == [turn.text for turn in stage.turns(run)][:3]
    assert stage.spent(fork)["turns"] == 8


async def test_both_seats_hear_a_note_once(stage: Stage) -> None:
    run = stage.create(stage.pipeline({"seats": {}, "otherwise": "echo", "pace": {"delay": 0.01, "chunk": 8}}))
    async with stage.host(run) as live:
        await live.shown(1)
        await live.tell("say", text="Speak of the sea.", now=False)
        await live.ended()
        for seat in ("Ann", "Bob"):
            text = "\n".join(
                message.content for message in [r for r in live.requests if r.slot.endswith(seat)][-1].messages
            )
            assert text.count("[A human listener says to you both: Speak of the sea.]") == 1
    assert stage.chain(run)[1] == ("you", "Speak of the sea.")


def test_a_frame_holds_what_stays_the_same(home: Path) -> None:
    pipeline = {"kind": "duel", "seats": [{"persona": name, "model": "scripted/echo"} for name in ("ann", "bob")]}
    duel = spec.validate(pipeline, "p")
    frame = Dialogue.of(duel, duel.seats[0])
    assert (frame.seat, frame.other, frame.start) == ("Ann", "Bob", "/start")
    assert "/bye" in frame.system
