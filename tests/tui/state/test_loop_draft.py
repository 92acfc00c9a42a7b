"""A loop being put together: who is wanted, what is missing, and the pipeline, which the engine takes as it is."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.runs import catalog, kinds
from tui.state.loop_draft import ME, NOBODY, LoopDraft


@cache
def roles() -> tuple[dict[str, Any], ...]:
    """Read once: a hundred examples need them."""
    return tuple(catalog.roles())


def draft(model: str = "local/smollm2") -> LoopDraft:
    found = LoopDraft(question="Can small models teach?")
    found.offer(roles())
    if model:
        found.seat("questioner", model)
    return found


def test_the_first_model_goes_to_all_who_are_wanted() -> None:
    found = draft("")
    assert [part.slug for part in found.parts] == [
        "questioner", "creator", "mediator", "scriber", "judge", "reviewer",
    ]  # fmt: skip
    assert set(found.faults()) == {f"part-{name}" for name in ("questioner", "creator", "mediator", "scriber")}
    assert found.seat("creator", "ollama/llama") == ["creator", "questioner", "mediator", "scriber"]
    assert found.faults() == {} and not found.part("judge").taken
    assert found.seat("questioner", "local/smollm2") == ["questioner"], "the second one is for its own part alone"


def test_a_seat_of_ones_own_does_not_keep_the_first_model_from_the_others() -> None:
    found = draft("")
    found.seat("questioner", ME)
    assert found.seat("creator", "local/smollm2") == ["creator", "mediator", "scriber"]
    assert found.part("questioner").sits == ME


def test_a_part_is_left_out_or_taken_by_oneself() -> None:
    found = draft()
    found.seat("mediator", NOBODY)
    found.seat("creator", ME)
    found.seat("judge", "local/smollm2")
    assert found.faults() == {}
    data = found.pipeline()
    assert [seat["role"] for seat in data["seats"]] == ["questioner", "creator", "scriber", "judge"]
    assert data["seats"][1] == {"role": "creator", "human": True} and "mediator" not in data
    found.seat("questioner", NOBODY)
    found.seat("creator", NOBODY)
    assert "somebody has to speak each round" in found.faults().values()


def test_every_key_is_in_the_pipeline_and_the_engine_takes_it() -> None:
    found = draft()
    found.turns, found.cost, found.minutes, found.every = "12", "$0.50", "30", "4"
    found.stop = "Novelty < .2 for 4 turns, drift > 0.9 then pause, repetition>0.8"
    found.chain = found.free = found.literal = found.plan = found.documents = found.runs = found.past = True
    data = found.pipeline()
    assert data["limits"] == {"turns": 12, "cost": 0.5, "minutes": 30.0} and data["mediator"] == {"every": 4}
    spec = kinds.load("loop").validate(data, "the form")
    assert spec["kind"] == "loop" and spec["chain"] and spec["literal"] and spec["limits"]["turns"] == 12
    assert [seat["format"] for seat in spec["seats"]] == ["free", "plan", "free", "free"], "where the role has a plan"
    assert not spec["guard"] and spec["recall"]["sources"] == ["documents", "past", "runs"]
    assert [(rule["measure"], rule["below"], rule["above"], rule["turns"], rule["then"]) for rule in spec["stop"]] == [
        ("novelty", 0.2, None, 4, "end"),
        ("drift", None, 0.9, 3, "pause"),
        ("repetition", None, 0.8, 3, "end"),
    ]
    assert [seat["name"] for seat in spec["seats"]] == ["Questioner", "Creator", "Mediator", "Scriber"]
    plain = draft().pipeline()
    assert not {"chain", "literal", "recall", "guard", "stop"} & plain.keys()
    assert "format" not in plain["seats"][1]
    kinds.load("loop").validate(plain, "the form")


_RULES = st.text(max_size=12) | st.text("novelty <>.0123456789,forturnsthe", max_size=30)


@given(st.text(max_size=12), st.text(max_size=6), st.text(max_size=6), st.text(max_size=6), st.text(max_size=6), _RULES)
def test_what_has_no_fault_is_taken_whatever_was_typed(
    question: str, turns: str, cost: str, minutes: str, every: str, stop: str
) -> None:
    found = draft()
    found.question, found.turns, found.cost, found.minutes, found.every = question, turns, cost, minutes, every
    found.stop = stop
    if not found.faults():
        data = found.pipeline()
        assert data["question"].strip() and data["limits"]["turns"] >= 0
        assert all(value > 0 for name, value in data["limits"].items() if name != "turns")


def test_wrong_input_is_named_at_its_field() -> None:
    found = draft()
    found.question, found.turns, found.cost, found.minutes, found.every = " ", "many", "-1", "x", "often"
    assert set(found.faults()) == {"question", "turns", "cost", "minutes", "every"}
    found.stop, found.measures = "boredom > 3", ["novelty", "drift"]
    assert found.faults()["stop"] == "measured are novelty, drift"
    for text in ("novelty", "novelty < many", "novelty < 0.2 then sing"):
        found.stop = text
        assert found.faults()["stop"].startswith("such as: novelty < 0.2")
    found.part("creator").sits = "no-slash"
    assert "PROVIDER/MODEL" in found.faults()["part-creator"]
