"""A duel being put together: what is wrong with it, and the pipeline it becomes."""

from __future__ import annotations

import pytest

from engine.runs import pipelines
from tui.state.draft import Draft, Seat


def _draft(**changes: str) -> Draft:
    draft = Draft((Seat("eliza", "ollama/llama3.2"), Seat("parry", "local/smollm2")))
    for name, value in changes.items():
        setattr(draft, name, value)
    return draft


def test_an_empty_draft_names_every_gap() -> None:
    assert set(Draft().faults()) == {"persona0", "persona1", "model0", "model1"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("turns", "many"), ("turns", "-1"), ("turns", ""), ("turns", "²"), ("cost", "free"), ("cost", "0"),
     ("cost", "nan"),
     ("temperature", "hot"), ("temperature", "3"), ("temperature", "inf")],
)  # fmt: skip
def test_wrong_numbers_are_named(field: str, value: str) -> None:
    assert set(_draft(**{field: value}).faults()) == {field}


def test_a_model_needs_its_provider() -> None:
    draft = _draft()
    draft.seats[0].model = "llama3.2"
    assert set(draft.faults()) == {"model0"}
    draft.seats[0].human = True
    assert not draft.faults()


def test_the_pipeline_is_one_that_the_engine_takes() -> None:
    draft = _draft(opening=" Good evening. ", turns="12", cost="$0.50", temperature="0.7")
    draft.seats[1].human = True
    assert not draft.faults()
    spec = pipelines.resolve(draft.pipeline())
    first, second = spec["seats"]
    assert (first["model"], first["options"]["temperature"], second["human"]) == ("ollama/llama3.2", 0.7, True)
    assert (spec["opening"], spec["limits"]["turns"], spec["limits"]["cost"]) == ("Good evening.", 12, 0.5)


def test_small_embedded_models_get_no_control_rules() -> None:
    assert _draft().pipeline()["rules"] == "none"
    draft = _draft()
    draft.seats[1].model = "openai/gpt-5"
    assert "rules" not in draft.pipeline()
