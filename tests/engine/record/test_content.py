"""Text lives once: a message is what was said after what, a fork is an old message with a new run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.record import content
from engine.record.connection import open_writer

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
LINES = st.lists(st.tuples(st.sampled_from("AB"), st.text(max_size=8), st.text(max_size=3)), max_size=8)


@pytest.fixture
def db(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(database)) as opened:
        yield opened


def put(db: sqlite3.Connection, lines: list[tuple[str, str, str]], head: int | None = None) -> int | None:
    for author, text, thinking in lines:
        head = content.put_message(db, head, author, text, thinking)
    return head


def count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM message").fetchone()[0])


@SHARED
@given(LINES)
def test_a_chain_reads_back_as_it_was_said(db: sqlite3.Connection, lines: list[tuple[str, str, str]]) -> None:
    head = put(db, lines)
    assert [(said.author, said.text, said.thinking) for said in content.chain(db, head)] == lines
    before = count(db)
    assert put(db, lines) == head and count(db) == before, "the same said again after the same is the same message"


@SHARED
@given(LINES, LINES, LINES)
def test_a_fork_adds_only_what_is_new(
    db: sqlite3.Connection,
    shared: list[tuple[str, str, str]],
    one: list[tuple[str, str, str]],
    two: list[tuple[str, str, str]],
) -> None:
    db.execute("DELETE FROM message")
    fork = put(db, shared)
    first, second = put(db, one, fork), put(db, two, fork)
    for head, own in ((first, one), (second, two)):
        assert [(said.author, said.text, said.thinking) for said in content.chain(db, head)] == shared + own
    common = 0
    while common < min(len(one), len(two)) and one[common] == two[common]:
        common += 1
    assert count(db) == len(shared) + len(one) + len(two) - common


@SHARED
@given(
    st.lists(
        st.tuples(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4)), min_size=2, max_size=6, unique=True
    )
)
def test_no_two_messages_are_taken_for_one(db: sqlite3.Connection, lines: list[tuple[str, str, str]]) -> None:
    """The parts of a hash cannot run into each other."""
    assert len({content.put_message(db, None, *line) for line in lines}) == len(lines)


@SHARED
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    )
)
def test_a_body_is_found_by_what_it_says(db: sqlite3.Connection, value: object) -> None:
    import json

    n = content.put_json(db, value)
    assert json.loads(content.body(db, n)) == value
    assert content.put_json(db, json.loads(json.dumps(value))) == n


def test_half_a_character_is_stored_as_a_replacement(db: sqlite3.Connection) -> None:
    head = content.put_message(db, None, "A", "half \ud83d of it", "\udcff")
    (said,) = content.chain(db, head)
    assert (said.text, said.thinking) == ("half \ufffd of it", "\ufffd")
