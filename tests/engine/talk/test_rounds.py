"""Who speaks next in a loop."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.settings.errors import UsageError
from engine.talk import loop_spec, rounds
from engine.talk.loop_spec import Loop


def loop(*seats: Any, **over: Any) -> Loop:
    """Seats are role names, or (name, every) for a visitor, or a whole role."""
    listed = []
    for seat in seats:
        if isinstance(seat, tuple):
            seat = {"name": seat[0], "about": "visits", "then": "Say something.", "every": seat[1]}
        listed.append({"role": seat, "model": "scripted/echo"})
    return loop_spec.validate({"kind": "loop", "question": "Why?", "seats": listed, **over}, "test")


def order(of: Loop, turns: int) -> list[str]:
    spoke: list[str] = []
    while len(spoke) < turns:
        spoke.append(rounds.next_seat(of, spoke).name)
    return spoke


def test_the_mediator_steps_in_at_the_end_of_a_round() -> None:
    table = loop("questioner", "creator", "mediator", "scriber", mediator={"every": 4})
    assert order(table, 7) == ["Questioner", "Creator", "Questioner", "Creator", "Mediator", "Questioner", "Creator"]
    odd = loop("questioner", "creator", "mediator", mediator={"every": 3})
    assert order(odd, 6)[4] == "Mediator", "never between a question and its answer"


def test_a_mediator_at_0_never_speaks() -> None:
    assert "Mediator" not in order(loop("questioner", "creator", "mediator", mediator={"every": 0}), 50)


def test_who_writes_beside_has_no_turn() -> None:
    assert set(order(loop("questioner", "creator", "scriber", "reviewer", "judge"), 20)) == {"Questioner", "Creator"}


@given(
    st.lists(st.sampled_from(["Ann", "Bob", "Cid"]), min_size=1, max_size=3, unique=True),
    st.lists(st.integers(1, 9), max_size=2),
    st.integers(1, 60),
)
def test_rounds_are_whole_and_visitors_wait_their_time(talkers: list[str], every: list[int], turns: int) -> None:
    roles = [{"name": name, "about": "talks", "then": "Talk."} for name in talkers]
    visitors = [(f"Guest {number}", wait) for number, wait in enumerate(every)]
    if len(roles) + len(visitors) < 2:
        return
    spoke = order(loop(*roles, *visitors), turns)
    for at, name in enumerate(spoke):
        if name in talkers and talkers.index(name) > 0:
            assert spoke[at - 1] == talkers[talkers.index(name) - 1], "nobody steps into a round"
        for guest, wait in visitors:
            if name == guest:
                assert rounds.since(spoke[:at], guest) >= wait
    for guest, wait in visitors:
        silent = max((gap for gap in _gaps(spoke, guest)), default=0)
        assert silent < wait + len(talkers) + len(visitors), "no later than the end of the round"


def _gaps(spoke: list[str], name: str) -> list[int]:
    """Turns that passed before each turn of `name`, and after its last."""
    at = [-1, *(place for place, who in enumerate(spoke) if who == name), len(spoke)]
    return [after - before - 1 for before, after in itertools.pairwise(at)]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"question": ""}, "question"),
        ({"qestion": "x"}, "did you mean question"),
        ({"seats": [{"role": "creator", "model": "scripted/echo"}]}, "more seats, not 1"),
        ({"seats": [{"role": "creatr", "model": "scripted/echo"}] * 2}, "seats.0.role: no role is called 'creatr'"),
        ({"seats": [{"role": "scriber", "model": "scripted/echo"}] * 2}, "nobody speaks each round"),
        ({"mediator": {"every": 2}}, "no seat has the role mediator"),
        ({"mediator": {"evry": 2}}, "did you mean every"),
        ({"stop": [{"measure": "novelti", "below": 0.2}]}, "did you mean novelty"),
        ({"stop": [{"measure": "novelty"}]}, "either below or above"),
        ({"recall": {"sources": ["document"]}}, "recall.sources.0"),
        ({"recall": {"sources": ["runs"], "seats": ["Nobody"]}}, "recall.seats: no seat is called"),
    ],
)
def test_bad_pipelines_get_one_line_that_names_the_key(change: dict[str, Any], part: str) -> None:
    base = {
        "kind": "loop",
        "question": "Why?",
        "seats": [{"role": "questioner", "model": "scripted/echo"}, {"role": "creator", "model": "scripted/echo"}],
    }
    with pytest.raises(UsageError) as refused:
        loop_spec.validate(base | change, "mine.yml")
    assert part in str(refused.value) and "\n" not in str(refused.value)
    assert str(refused.value).startswith("mine.yml")


@pytest.mark.parametrize(
    ("role", "part"),
    [
        ({"then": "Ask."}, "missing"),
        ({"name": "X", "about": "a", "then": "{sead}"}, "{sead} is unknown"),
        ({"name": "X", "about": "a", "then": "{"}, "brace"),
        ({"name": "X", "about": "a", "then": "{question:d}"}, "stands alone"),
        ({"name": "X", "about": "a", "then": "{question!x}"}, "stands alone"),
        ({"name": "X", "about": "a", "then": "Go.", "words": [9, 3]}, "words"),
        ({"name": "X", "about": "a", "then": "Go.", "score": True}, "place: aside"),
        ({"name": "X", "about": "a", "then": "Go.", "after": {"nobody": "Yes."}}, "no role is called 'nobody'"),
        ({"name": "X", "about": "a", "then": "Go.", "colour": "red"}, "unknown key"),
    ],
)
def test_bad_roles_too(role: dict[str, Any], part: str) -> None:
    with pytest.raises(UsageError, match=r"seats\.0") as refused:
        loop(role, "creator")
    assert part in str(refused.value)


def test_a_users_own_role_is_found_by_name(home: Any) -> None:
    folder = home / "pipelines" / "roles"
    folder.mkdir(parents=True)
    (folder / "historian.yml").write_text("name: Historian\nabout: remembers\nthen: Say what this recalls.\n", "utf-8")
    assert loop("questioner", "historian").seats[1].part.about == "remembers"
