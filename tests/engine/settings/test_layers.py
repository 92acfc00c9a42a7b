"""Layers of settings, and what a user may say with `--set`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.settings import layers, paths
from engine.settings.errors import UsageError

DATA = {"seats": [{"name": "A"}, {"name": "B", "options": None}], "limits": {"turns": 20}, "title": "T"}
TREES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
)


def test_assignments_are_yaml_and_the_last_one_wins() -> None:
    changed = layers.apply(
        DATA,
        [
            "limits.turns=3",
            "limits.turns=4",
            "seats.1.options.temperature=0.5",
            "seats.0.model=ollama/llama3.2",
            "seats.0.options.stop=['a b', \"c\"]",
            "title='a=b'",
            "opening=",
            "human=true",
        ],
    )
    assert changed["limits"] == {"turns": 4}
    assert changed["seats"][1]["options"] == {"temperature": 0.5}
    assert changed["seats"][0] == {"name": "A", "model": "ollama/llama3.2", "options": {"stop": ["a b", "c"]}}
    assert (changed["title"], changed["opening"], changed["human"]) == ("a=b", None, True)
    assert DATA["limits"] == {"turns": 20} and DATA["seats"][1] == {"name": "B", "options": None}, (
        "the original is not changed"
    )


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("turns", "--set turns: write it as key=value, such as limits.turns=10"),
        ("=4", "--set =4: write it as key=value, such as limits.turns=10"),
        ("seats.2.name=C", "--set seats.2.name=C: 2 is no place in a list of 2"),
        ("seats.first.name=C", "--set seats.first.name=C: first is no place in a list of 2"),
        ("seats.-1.name=C", "--set seats.-1.name=C: -1 is no place in a list of 2"),
        ("seats.².name=C", "--set seats.².name=C: ² is no place in a list of 2"),
        ("title.x=1", "--set title.x=1: title is a single value, it has no x"),
        ("limits.turns.x=1", "--set limits.turns.x=1: limits.turns is a single value, it has no x"),
        ("title=[1", "--set title:1: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("title=*x", "--set title:1: not valid YAML: aliases are not supported"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(assignment: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        layers.apply(DATA, [assignment])
    assert str(caught.value) == line


@given(st.dictionaries(st.text("abc", max_size=2), TREES), st.dictionaries(st.text("abc", max_size=2), TREES))
def test_merging_changes_what_is_named_and_nothing_else(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = layers.copy(base), layers.copy(over)
    merged = layers.merge(base, over)
    assert set(merged) == set(base) | set(over)
    for key, value in merged.items():
        below, above = base.get(key), over.get(key)
        if key not in over:
            assert value == below
        elif isinstance(below, dict) and isinstance(above, dict):
            assert value == layers.merge(below, above)
        else:
            assert value == above
    assert layers.merge(merged, over) == merged and (base, over) == before


@given(TREES)
def test_a_copy_shares_nothing(value: Any) -> None:
    copied = layers.copy(value)
    assert copied == value
    if isinstance(value, dict | list):
        assert copied is not value


def test_the_users_file_lies_over_the_shipped_one(private_home: Path) -> None:
    shipped = layers.load("talk")
    own = paths.config_dir() / "talk.yml"
    own.parent.mkdir(parents=True)
    own.write_text("limits: {turns: 7}\nrules: none\n")
    merged = layers.load("talk")
    assert merged["limits"]["turns"] == 7 and merged["rules"] == "none"
    assert merged["repetition"] == shipped["repetition"]
    own.write_text("")
    assert layers.load("talk") == shipped
    own.write_text("- a list\n")
    with pytest.raises(UsageError, match=rf"{own}: the top level must be `key: value` pairs, not a list"):
        layers.load("talk")
