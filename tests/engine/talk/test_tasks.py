"""What a loop's seats are told: in full, or in the few words that a model with a short memory can follow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.providers import scripted
from engine.providers.protocol import Request
from engine.record import minutes
from engine.runs import pipelines
from engine.settings.errors import UsageError
from engine.talk import view
from engine.talk.minutes import beginnings
from engine.talk.seats import Seating
from tests.engine.talk.stage import Played, Stage

ASKED = [" a stone fall?", " it float?", " we look?", " it rain?"]
SAID = [f"Stone {n} falls because river {n} carries it. It is so." for n in range(9)]


def role(name: str, plain: dict[str, Any] | None, **over: Any) -> dict[str, Any]:
    base = {"name": name, "about": "is here", "then": f"Do at length what a {name} does.", **over}
    return {**base, "plain": plain} if plain else base


def seat(memory: int | None = 1, **over: Any) -> dict[str, Any]:
    return {"model": "scripted/play", "memory": memory, **over}


async def play(
    stage: Stage,
    asks: dict[str, Any] | None = None,
    says: dict[str, Any] | None = None,
    *,
    memory: int | None = 1,
    script: dict[str, Any] | None = None,
    others: list[dict[str, Any]] | None = None,
    **over: Any,
) -> Played:
    """Asker and Sayer for four turns; `asks` and `says` are their plain wordings."""
    scripted.register("play", {"seats": {"Asker": ASKED, "Sayer": SAID, **(script or {})}, "otherwise": "echo"})
    first = seat(memory, role=role("Asker", asks or {"then": "Ask: {question}"}, question=True))
    second = seat(memory, role=role("Sayer", says or {"then": "Answer."}))
    base = {"kind": "loop", "question": "What moves a stone?", "seats": [first, second, *(others or [])]}
    return await stage.play({**base, "limits": {"turns": 4}, "repetition": {"then": "ignore"}, **over})


def told(requests: list[Request], name: str) -> list[str]:
    return [request.messages[1].content for request in requests if request.seat == name]


async def test_a_seat_with_a_short_memory_hears_the_latest_and_few_words(stage: Stage) -> None:
    played = await play(stage)
    assert told(played.requests, "Sayer")[1] == f"Asker: {played.said[2][1]}\n\nAnswer."
    assert told(played.requests, "Asker")[1] == f"Sayer: {SAID[0]}\n\nAsk: What moves a stone?"
    assert {request.messages[0].content for request in played.requests} == {
        "A conversation about one question: What moves a stone?"
    }


@pytest.mark.parametrize("memory", [None, 0])
async def test_every_other_seat_hears_all_and_is_told_in_full(stage: Stage, memory: int | None) -> None:
    played = await play(stage, {"then": "Ask.", "begins": ["How could"]}, memory=memory)
    last = told(played.requests, "Sayer")[1]
    assert f"Sayer: {SAID[0]}" in last and last.endswith("You are Sayer now.\n\nDo at length what a Sayer does.")
    assert not any(request.prefill for request in played.requests)


async def test_a_role_without_plain_words_is_told_in_its_own(stage: Stage) -> None:
    scribe = seat(role=role("Guest", None))
    played = await play(stage, others=[scribe], limits={"turns": 3})
    assert "Do at length what a Guest does." in told(played.requests, "Guest")[0]


async def test_the_model_says_itself_that_its_memory_is_short(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def short(self: Seating, seat: Any) -> int:
        return 1

    monkeypatch.setattr(Seating, "memory", short)
    played = await play(stage, says={"then": "Answer.", "memory": 2}, memory=None)
    assert told(played.requests, "Asker")[1].count("\n\n") == 1, "its own measure"
    heard = [f"{name}: {text}" for name, text in played.said[1:3]]
    assert told(played.requests, "Sayer")[1] == "\n\n".join([*heard, "Answer."]), "the role knows better"


async def test_the_wishes_of_the_plain_wording_stand_above_the_roles_and_below_the_seats(stage: Stage) -> None:
    asks = {"then": "Ask.", "options": {"max_tokens": 40, "temperature": 0.1}}
    scripted.register("play", {"seats": {"Asker": ASKED, "Sayer": SAID}})
    first = seat(role=role("Asker", asks, options={"max_tokens": 60, "top_p": 0.5}), options={"temperature": 0.9})
    loop = {"kind": "loop", "question": "Why?", "seats": [first, seat(role=role("Sayer", None))]}
    played = await stage.play({**loop, "limits": {"turns": 1}})
    sent = played.requests[0].options
    assert (sent["max_tokens"], sent["top_p"], sent["temperature"]) == (40, 0.5, 0.9)


async def test_turns_are_begun_one_opening_after_the_other(stage: Stage) -> None:
    played = await play(stage, {"then": "Ask.", "begins": ["How could", "Why would"]}, limits={"turns": 5})
    assert [text for name, text in played.said if name == "Asker"] == [
        "How could a stone fall?",
        "Why would it float?",
        "How could we look?",
    ]


async def test_an_opening_may_name_the_question(stage: Stage) -> None:
    asks = {"then": "Ask.", "begins": ["{question} How"], "begins_after": {"sayer": "{name}, on {topic} Why"}}
    played = await play(stage, asks, limits={"turns": 3})
    asked = [text for name, text in played.said if name == "Asker"]
    assert asked[0] == "What moves a stone? How a stone fall?"
    assert asked[1] == "Asker, on What moves a stone? Why it float?"
    wrong = role("Asker", {"then": "Ask.", "begins": ["{quest} How"]})
    with pytest.raises(UsageError, match=r"\{quest\} is unknown"):
        pipelines.resolve({"kind": "loop", "question": "Why?", "seats": [seat(role=wrong)] * 2})


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (" we know that? I do. And you?", "Why? How do we know that?"),
        (" we know\n\nA conversation about one question: Why?", "Why? How do we know?"),
        (" we know it? And do you?", "Why? How do we know it? And do you?"),
    ],
)
async def test_of_a_question_begun_the_given_words_are_kept_and_the_rest_is_one(
    stage: Stage, said: str, kept: str
) -> None:
    words = [2, 7] if "I do" in said else [2, 20]
    asks = {"then": "Ask.", "begins": ["{question} How do"], "words": words}
    scripted.register("play", {"seats": {"Asker": [said], "Sayer": SAID}})
    seats = [seat(role=role("Asker", asks, question=True)), seat(role=role("Sayer", None))]
    played = await stage.play({"kind": "loop", "question": "Why?", "seats": seats, "limits": {"turns": 1}})
    assert [text for _, text in played.said] == [kept]


async def test_words_that_were_given_are_not_cut_with_an_unended_sentence(stage: Stage) -> None:
    asks = {"then": "Ask.", "begins": ["{question} How do"]}
    cut = {"text": " we know that this is the", "stop": "length"}
    scripted.register("play", {"seats": {"Asker": [cut], "Sayer": SAID}})
    seats = [seat(role=role("Asker", asks, question=True)), seat(role=role("Sayer", None))]
    played = await stage.play({"kind": "loop", "question": "Why?", "seats": seats, "limits": {"turns": 1}})
    assert [text for _, text in played.said] == ["Why? How do we know that this is the?"]


async def test_another_try_has_another_opening_and_another_seed(stage: Stage) -> None:
    scripted.register("play", {"seats": {"Asker": [" ", " it?"], "Sayer": SAID}, "otherwise": "echo"})
    asker = role("Asker", {"then": "Ask.", "begins": ["How", "Why"]}, question=True, words=[4, 9])
    loop = {"kind": "loop", "question": "What moves?", "seats": [seat(role=asker), seat(role=role("Sayer", None))]}
    played = await stage.play({**loop, "limits": {"turns": 1}, "seed": 3})
    first, second = (request for request in played.requests if request.seat == "Asker")
    assert (first.prefill, second.prefill) == ("How", "Why")
    assert first.options["seed"] != second.options["seed"]
    assert first.messages == second.messages, "a small model is only confused by what was wrong"


async def test_a_question_begun_is_one_sentence_with_its_mark(stage: Stage) -> None:
    played = await play(
        stage,
        {"then": "Ask.", "begins": ["How could"]},
        script={"Asker": [" it fall. I wonder, and do not know.", " it rise? I think that it must."]},
    )
    assert [text for name, text in played.said if name == "Asker"] == ["How could it fall?", "How could it rise?"]


async def test_who_was_asked_by_another_role_begins_with_its_answer(stage: Stage) -> None:
    visitor = seat(role=role("Mediator", {"then": "Ask about the whole."}, every=2))
    says = {"then": "Answer.", "begins_after": {"mediator": "Mediator Answer:"}, "after": {"mediator": "It asked you."}}
    played = await play(stage, says=says, others=[visitor], limits={"turns": 5})
    turns = [text for name, text in played.said if name == "Sayer"]
    assert [text.startswith("Mediator Answer:") for text in turns] == [False, True]
    assert [text.endswith("It asked you.") for text in told(played.requests, "Sayer")] == [False, True]


async def test_brief_minutes_pick_sentences_by_their_first_words(stage: Stage) -> None:
    picked = {"most": "Stone 0 falls because", "others": ["How could it", "Nobody said this"]}
    script = {"Asker": [" it fall?"] * 4, "Scriber": [json.dumps(picked), "none", "none"]}
    asks = {"then": "Ask.", "begins": ["How could"]}
    played = await play(stage, asks, others=[seat(role="scriber")], script=script)
    request = next(request for request in played.requests if request.seat == "Scriber")
    assert request.answer_schema is not None
    chosen = request.answer_schema["properties"]
    assert chosen["most"]["enum"] == ["Stone 0 falls because", "It is so."], "what asks says least"
    assert chosen["others"]["items"]["enum"] == ["How could it fall?", *chosen["most"]["enum"]]
    items = stage.read(lambda db: minutes.items(db, stage.n(played.run)))
    assert [(item.kind, item.seq, item.text) for item in items] == [
        ("claim", 2, "Stone 0 falls because river 0 carries it."),
        ("question", 1, "How could it fall?"),
    ]
    assert all(item.text == item.quote for item in items)
    taken, second = [event.data for event in stage.events(played.run, "minutes.taken")]
    assert taken["rejected"] == ["'Nobody said this': no sentence begins so"]
    assert taken["text"] == "- Stone 0 falls because river 0 carries it." and not second["text"]
    assert played.said[1][1] not in told(played.requests, "Scriber")[0].split("\n\n"), "nothing is told twice"
    call = stage.calls(played.run, "minutes")[0]
    assert stage.read(lambda db: view.rebuild(db, call.request)) == list(request.messages)


async def test_a_digest_is_begun_and_another_try_is_another_draw(stage: Stage) -> None:
    plain = {"then": "Sum up.", "begins": ["They asked", "It was about"], "words": [4, 9]}
    digest = seat(role=role("Reviewer", plain, place="aside", words=[80, 140]))
    script = {"Reviewer": [" stones.", " whether stones float. And then"]}
    played = await play(stage, others=[digest], script=script, seed=3)
    asked = [request for request in played.requests if request.seat == "Reviewer"]
    assert [request.prefill for request in asked] == ["They asked", "It was about", "It was about"]
    assert asked[0].options["seed"] != asked[1].options["seed"]
    given = stage.read(lambda db: minutes.asides(db, stage.n(played.run)))
    assert [aside.text for aside in given] == ["It was about stones.", "It was about whether stones float."]


@pytest.mark.parametrize("plan", [None, "Answer in two steps."])
async def test_a_plan_is_asked_for_in_plain_words_or_not_at_all(stage: Stage, plan: str | None) -> None:
    plain = {"then": "Answer."} | ({"plan": plan} if plan else {})
    sayer = role("Sayer", plain, plan="Two numbered steps, at length.", steps=2)
    scripted.register("play", {"seats": {"Asker": ASKED, "Sayer": SAID}})
    seats = [seat(role=role("Asker", None, question=True)), seat(role=sayer, format="plan")]
    played = await stage.play({"kind": "loop", "question": "Why?", "seats": seats, "limits": {"turns": 2}})
    heard = told(played.requests, "Sayer")
    assert [text.endswith(f"Answer.\n\n{plan}" if plan else "Answer.") for text in heard] == [True] * len(heard)
    assert len(heard) == (2 if plan else 1), "what is asked for is checked, and asked for once more"


def test_sentences_that_begin_alike_are_told_apart_by_more_of_their_words() -> None:
    said = ["It is a very old stone.", "It is a very old river.", "It is a very old river. And wide.", "So."]
    assert beginnings(said) == {
        "It is a very old stone.": said[0],
        "It is a very old river.": said[1],
        "It is a very old river. And": said[2],
        "So.": said[3],
    }


async def test_the_plain_wording_has_its_own_bounds_and_a_question_is_cut_to_them(stage: Stage) -> None:
    asks = {"then": "Ask.", "begins": ["How"], "words": [3, 6]}
    script = {"Asker": [" do stones fall? And would they all rise again?", " do they rise? Or not?", " now?"]}
    played = await play(stage, asks, script=script, limits={"turns": 5})
    asked = [text for name, text in played.said if name == "Asker"]
    assert asked[:2] == ["How do stones fall?", "How do they rise? Or not?"]
    faults = [event.data["fault"] for event in stage.events(played.run, "answer.faulty")]
    assert faults == ["it has 2 words and must have 3 to 6"] * 2, "asked for once more, then let pass"
    role_of = role("Asker", {"then": "Ask.", "words": [9, 3]})
    with pytest.raises(UsageError, match="the fewest, 9, is more than the most, 3"):
        pipelines.resolve({"kind": "loop", "question": "Why?", "seats": [seat(role=role_of)] * 2})


@pytest.mark.parametrize("key", ["after", "begins_after"])
def test_a_plain_wording_names_only_roles_that_are_there(stage: Stage, key: str) -> None:
    asker = role("Asker", {"then": "Ask.", key: {"mediatr": "x"}})
    loop = {"kind": "loop", "question": "Why?", "seats": [seat(role=asker), seat(role=role("Sayer", None))]}
    with pytest.raises(UsageError, match=r"seats\.0\.role\.after: no role is called 'mediatr'.*mediator"):
        pipelines.resolve(loop)


@pytest.mark.parametrize("name", ["peer-review", "four-roles", "auto-chain"])
def test_the_shipped_loops_are_valid_and_run_on_the_embedded_model(stage: Stage, name: str) -> None:
    spec = pipelines.resolve(name)
    assert {seat["model"] for seat in spec["seats"]} == {"local/smollm2"}
    assert all(seat["role"]["plain"] for seat in spec["seats"]), "the small model needs plain words"


@pytest.mark.parametrize("name", ["peer-review", "four-roles", "auto-chain"])
def test_a_shipped_loop_is_called_what_it_asks(stage: Stage, name: str) -> None:
    assert pipelines.resolve(name, seed="Why do stones fall?")["title"] == "Why do stones fall?"
