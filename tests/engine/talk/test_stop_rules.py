from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.settings.errors import UsageError
from engine.talk.health import MEASURES
from engine.talk.stop_rules import StopRule, check_measured, crossed

VALUES = st.lists(st.floats(0, 1), max_size=12)


def numbered(values: list[float]) -> list[tuple[int, float]]:
    return list(enumerate(values, 1))


def rule(**changes: Any) -> StopRule:
    return StopRule.model_validate({"measure": "novelty", "below": 0.2, "turns": 3, **changes})


def test_all_of_the_last_turns_must_be_below() -> None:
    assert crossed(rule(), numbered([0.9, 0.1, 0.15, 0.05])) == 0.15
    assert crossed(rule(), numbered([0.1, 0.1, 0.9, 0.1])) is None
    assert crossed(rule(), numbered([0.1, 0.1])) is None
    assert crossed(rule(), numbered([0.1, 0.1, 0.2])) is None  # below is not at


def test_above_is_the_same_the_other_way_round() -> None:
    high = rule(measure="drift", below=None, above=0.8, turns=2)
    assert crossed(high, numbered([0.1, 0.9, 0.85])) == 0.85
    assert crossed(high, numbered([0.9, 0.8])) is None


@given(VALUES, st.integers(1, 5), st.floats(0.01, 1))
def test_below_is_crossed_exactly_when_each_of_the_last_is(values: list[float], turns: int, bound: float) -> None:
    found = crossed(rule(below=bound, turns=turns), numbered(values))
    last = values[-turns:]
    assert (found is not None) == (len(values) >= turns and all(value < bound for value in last))
    assert found is None or found == max(last)


@given(VALUES, st.integers(1, 5), st.floats(0, 0.99), st.integers(0, 12))
def test_turns_up_to_the_one_where_it_was_told_to_go_on_do_not_count(
    values: list[float], turns: int, bound: float, since: int
) -> None:
    high = rule(measure="repetition", below=None, above=bound, turns=turns)
    series = numbered(values)
    assert crossed(high, series, since) == crossed(high, [point for point in series if point[0] > since])


def test_a_turn_without_a_value_does_not_break_the_row() -> None:
    assert crossed(rule(), [(1, 0.1), (4, 0.1), (5, 0.1)]) == 0.1


def test_a_rule_names_itself_as_events_do() -> None:
    assert str(rule()) == "novelty < 0.2"
    assert str(rule(measure="structure", below=None, above=12)) == "structure > 12"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"measure": "noveltie"}, "no measure is called 'noveltie'; did you mean novelty?"),
        ({"measure": "mood"}, "no measure is called 'mood'; known: disagreement, drift"),
        ({"above": 0.5}, "say either below or above"),
        ({"below": None}, "say either below or above"),
        ({"below": 0}, "below 0 is never so: novelty is from 0 to 1"),
        ({"below": 2}, "below 2 is always so"),
        ({"below": None, "above": 1}, "above 1 is never so"),
        ({"below": None, "above": -1}, "above -1 is always so"),
        ({"measure": "structure", "below": -1}, "never so: structure is from 0 up"),
        ({"below": float("nan")}, "finite"),
        ({"below": "0.2x"}, "valid number"),
        ({"turns": 0}, "greater than or equal to 1"),
        ({"turns": 2.5}, "integer"),
        ({"then": "explode"}, "'end', 'pause' or 'ask'"),
        ({"treshold": 1}, "Extra inputs"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault.replace("?", r"\?")):
        rule(**changes)


@given(st.sampled_from(sorted(MEASURES)), st.floats(0.01, 0.99), st.booleans())
def test_every_measure_can_have_a_rule_that_fires_and_that_does_not(name: str, bound: float, low: bool) -> None:
    made = rule(measure=name, below=bound if low else None, above=None if low else bound, turns=1)
    assert (crossed(made, [(1, 0.0)]) is not None) == low
    assert (crossed(made, [(1, 1.0)]) is not None) == (not low)


def test_a_rule_on_what_is_not_measured_is_refused() -> None:
    check_measured([rule()], {"novelty"})
    with pytest.raises(UsageError, match=r"stop\.1\.measure: drift is not measured here: it needs an embedding model"):
        check_measured([rule(), rule(measure="drift")], {"novelty"})
    with pytest.raises(UsageError, match="disagreement is not measured here: name a model for it"):
        check_measured([rule(measure="disagreement")], {"novelty"})
