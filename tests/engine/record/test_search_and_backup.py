"""What was said is found whatever is typed, and a record can be copied while it is written."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.record import runs, turns
from engine.record.backup import backup
from engine.record.connection import open_reader, open_writer, transact
from engine.record.errors import RecordError
from engine.record.search import search
from engine.record.writer import Writer

SAID = [
    "The horses race at dawn.",
    "Naïve café owners — Ünïcode, 東京 and Ελλάδα.",
    'He said "not now" AND then OR never.',
    "well-being is a state-of-the-art word; C++ and a_b",
    "horse",
]


@pytest.fixture
def db(database: Path) -> Iterator[sqlite3.Connection]:
    def fill(db: sqlite3.Connection) -> None:
        n = runs.find(db, runs.create(db, "duel", "Talk", {})).n
        for seq, text in enumerate(SAID, 1):
            turns.say(db, n, seq, "A", text, "end")

    with closing(open_writer(database)) as opened:
        transact(opened, fill)
        yield opened


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("horse", {1, 5}),
        ("hor", {1, 5}),
        ("RACE horses", {1}),
        ('"horses race"', {1}),
        ('"race horses"', set()),
        ('"horse"', {5}),
        ("cafe naive", {2}),
        ("unicode", {2}),
        ("東京", {2}),
        ("ΕΛΛΆΔΑ", {2}),
        ('"not now', {3}),
        ("AND", {2, 3, 4}),
        ("NOT now", {3}),
        ("then OR never", {3}),
        ("NEAR(horses race)", set()),
        ("text:horses", set()),
        ("well-being", {4}),
        ("c++", {2, 4}),
        ("a_b", {4}),
        ("ho*", {1, 5}),
        ("^the", {1, 3, 4}),
        ("", set()),
        ('* - ( ) "" \' ; --', set()),
        ("_", set()),
    ],
)
def test_what_is_typed_is_looked_for_as_it_stands(db: sqlite3.Connection, words: str, found: set[int]) -> None:
    assert {hit.seq for hit in search(db, words)} == found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from('"*^():-+{}\0\ud800AND OR NOT NEAR')), max_size=12))
def test_no_input_is_an_error(db: sqlite3.Connection, words: str) -> None:
    assert isinstance(search(db, words), list)


def test_a_hit_says_where_and_shows_the_words(db: sqlite3.Connection) -> None:
    hits = search(db, "horses")
    assert (hits[0].title, hits[0].seat, hits[0].seq) == ("Talk", "A", 1)
    assert "\x02horses\x03" in hits[0].snippet
    assert len(search(db, "a", limit=1)) == 1
    assert search(db, "horses", run=999) == []


def test_what_a_deleted_run_said_is_not_found_any_more(db: sqlite3.Connection) -> None:
    run = runs.listing(db)[0]
    transact(db, lambda db: runs.delete(db, run))
    assert search(db, "horses") == []
    for table in ("message", "content", "turn", "event", "run"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table


def test_a_live_record_is_copied_at_one_moment_of_it(database: Path, tmp_path: Path) -> None:
    """However fast it is written, the copy ends, and holds one moment: all turns up to one, none after."""
    made = Writer(database)
    run = made.submit(lambda db: runs.find(db, runs.create(db, "duel", "Talk", {}))).result(10)
    speak = lambda seq: lambda db: turns.say(db, run.n, seq, "A", f"{seq} " + "word " * 4000, "end")  # noqa: E731
    for seq in range(1, 401):
        made.submit(speak(seq))
    made.submit(lambda db: None).result(60)
    target = tmp_path / "copy.db"
    steps: list[tuple[int, int]] = []

    def goes_on(done: int, total: int) -> None:
        steps.append((done, total))
        assert len(steps) < 100, "it begins again whenever something is written"
        made.submit(speak(400 + len(steps))).result(10)

    size = backup(database, target, goes_on)
    made.close()
    assert steps[-1][0] == steps[-1][1] > 2048
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600 and target.stat().st_size == size
    with closing(open_reader(target)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        seqs = [turn.seq for turn in turns.listing(db, run.n)]
    assert seqs == list(range(1, len(seqs) + 1)) and len(seqs) == 400
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.db"]
    with closing(open_writer(target)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal", "a copy is a record like any other"


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.write_text("x"), "exists already; name a new file"),
        (lambda path: path.parent.rmdir(), "cannot be written: No such file or directory"),
    ],
)
def test_a_copy_that_cannot_be_made(
    db: sqlite3.Connection, database: Path, tmp_path: Path, make: Callable[[Path], object], what: str
) -> None:
    target = tmp_path / "to" / "copy.db"
    target.parent.mkdir()
    make(target)
    with pytest.raises(RecordError, match=what):
        backup(database, target)
    assert not Path(f"{target}.partial").exists()
