"""Two branches beside each other: nothing lost, nothing twice, equal turns known as equal, differences by the word."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.record import family, minutes, runs, turns
from engine.record.connection import open_writer
from engine.record.minutes import Closed, Item, Raised
from engine.record.turns import State, Turn
from tests.tui.state.test_replay import turn
from tui.state.compare import Fold, Pair, align, changes, differing, folded, minutes_of

WORDS = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=12)
SIDES = st.lists(
    st.tuples(st.sampled_from(["turn", "note"]), st.integers(1, 5), st.sampled_from("xyz"), st.sampled_from(State)),
    max_size=10,
)


def side(found: list[Any], first: int) -> list[Turn]:
    """Turns in order, one of a number at most that counts."""
    kept, seen = [], set()
    for n, (role, seq, text, state) in enumerate(sorted(found, key=lambda item: (item[1], item[0] != "note")), first):
        counts = state in (State.FINISHED, State.SKIPPED)
        if role == "turn" and counts and seq in seen:
            continue
        seen |= {seq} if role == "turn" and counts else set()
        kept.append(turn(seq, text, n=n, role=role, state=state, message=None))
    return kept


@given(SIDES, SIDES)
def test_everything_that_counts_is_there_once_and_in_order(left: Any, right: Any) -> None:
    ones, others = side(left, 1), side(right, 1000)
    pairs = align(ones, others)
    counting = [[item for item in found if item.state in (State.FINISHED, State.SKIPPED)] for found in (ones, others)]
    assert [pair.left for pair in pairs if pair.left] == counting[0]
    assert [pair.right for pair in pairs if pair.right] == counting[1]
    assert all(pair.left or pair.right for pair in pairs)
    assert all(not pair.same or (pair.left and pair.right and pair.left.text == pair.right.text) for pair in pairs)
    mirrored = [Pair(pair.seq, pair.right, pair.left, pair.same) for pair in align(others, ones)]
    assert mirrored == pairs


@given(SIDES, SIDES)
def test_folding_loses_nothing(left: Any, right: Any) -> None:
    pairs = align(side(left, 1), side(right, 1000))
    opened: list[Pair] = []
    blocks = folded(pairs)
    for block in blocks:
        opened += block.pairs if isinstance(block, Fold) else (block,)
    assert opened == pairs
    assert all(not block.same for block in blocks if isinstance(block, Pair))
    assert not any(isinstance(a, Fold) and isinstance(b, Fold) for a, b in pairwise(blocks))
    assert differing(pairs) == sum(isinstance(block, Pair) for block in blocks)


@given(WORDS, WORDS)
def test_what_is_left_without_the_changes_is_the_same(left: list[str], right: list[str]) -> None:
    one, other = " ".join(left), "  ".join(right)
    found = changes(one, other)
    if found is None:
        return
    kept = []
    for text, spans in zip((one, other), found, strict=True):
        assert all(low < high for low, high in spans) and spans == sorted(spans)
        for low, high in reversed(spans):
            text = text[:low] + " " + text[high:]
        kept.append(text.split())
    assert kept[0] == kept[1]
    if one.split() == other.split():
        assert found == ([], [])


def test_a_changed_word_is_marked_on_both_sides() -> None:
    assert changes("the cat sat", "the dog sat down") == ([(4, 7)], [(4, 7), (12, 16)])
    assert changes("wholly another thing", "nothing in common here") is None
    assert changes("", "something") is None


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_writer(tmp_path / "tertulia.db")
    yield opened
    opened.close()


def said(db: sqlite3.Connection, run: int, first: int, *texts: str) -> None:
    for seq, text in enumerate(texts, first):
        turns.say(db, run, seq, "AB"[seq % 2], text, "end")


def branch(db: sqlite3.Connection, parent: int, at: int) -> int:
    found = turns.get(db, parent, at)
    assert found
    fork = (runs.get(db, parent), found.n, found.message)
    return runs.find(db, runs.create(db, "loop", "Branch", {"kind": "loop"}, fork=fork)).n


def test_a_fork_shares_its_turns_and_a_turn_said_again_word_for_word_is_the_same(db: sqlite3.Connection) -> None:
    run = runs.find(db, runs.create(db, "loop", "Trunk", {"kind": "loop"})).n
    said(db, run, 1, "One.", "Two.", "Three.", "Four.")
    fork = branch(db, run, 2)
    said(db, fork, 3, "Another three.", "Four.", "Five.")
    blocks = folded(align(turns.listing(db, run), turns.listing(db, fork)))
    assert [(block.first, block.last) if isinstance(block, Fold) else block.seq for block in blocks] == [
        (1, 2),
        3,
        (4, 4),
        5,
    ]
    last = blocks[-1]
    assert isinstance(last, Pair) and last.left is None and last.right and last.right.text == "Five."
    assert family.shared(db, run, fork) == family.shared(db, fork, run) == 2


def test_the_family_of_a_run_is_all_that_share_an_ancestor(db: sqlite3.Connection) -> None:
    root = runs.find(db, runs.create(db, "loop", "Trunk", {"kind": "loop"})).n
    said(db, root, 1, "One.", "Two.", "Three.")
    alone = runs.find(db, runs.create(db, "loop", "Alone", {"kind": "loop"})).n
    first, second = branch(db, root, 2), branch(db, root, 1)
    said(db, first, 3, "Other.")
    third = branch(db, first, 3)
    for member in (root, first, second, third):
        assert [run.n for run in family.of_run(db, member)] == [third, second, first, root]
    assert [run.n for run in family.of_run(db, alone)] == [alone]
    assert (family.shared(db, second, third), family.shared(db, third, root), family.shared(db, alone, root)) == (
        1,
        2,
        0,
    )


def test_minutes_that_both_have_are_told_from_those_of_one_branch(db: sqlite3.Connection) -> None:
    run = runs.find(db, runs.create(db, "loop", "Trunk", {"kind": "loop"})).n
    said(db, run, 1, "Why? And how?", "Because.")
    rows = [item.n for item in turns.listing(db, run)]
    raised = [Raised("question", "Why", rows[0], "Why?"), Raised("question", "How", rows[0], "how?")]
    minutes.take(db, run, rows[0], "Scriber", "s", raised, [])
    fork = branch(db, run, 1)
    why = minutes.items(db, run)[0]
    minutes.take(db, run, rows[1], "Scriber", "s", [], [Closed(why.n, rows[1], "Because")])
    both, left, right = minutes_of(minutes.items(db, run), minutes.items(db, fork))
    assert [item.text for item in both] == ["How"]
    assert [(item.text, item.closed) for item in left + right] == [("Why", 2), ("Why", None)]


def test_an_item_of_one_branch_alone_is_only_there() -> None:
    mine = Item(1, "claim", "It is so", 3, "A", "so")
    assert minutes_of([mine], []) == ([], [mine], [])
