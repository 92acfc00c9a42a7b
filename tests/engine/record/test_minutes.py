"""Minutes, measures and sources stand as long as the turns they belong to, in forks too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.record import citations, events, metrics, minutes, runs, turns
from engine.record.citations import Source
from engine.record.connection import open_writer
from engine.record.minutes import Closed, Raised


@pytest.fixture
def db(database: Path) -> Iterator[sqlite3.Connection]:
    opened = open_writer(database)
    yield opened
    opened.close()


def talk(db: sqlite3.Connection, *texts: str) -> tuple[int, list[int]]:
    """A run in which these were said; its number and the rows of its turns."""
    n = runs.find(db, runs.create(db, "loop", "T", {"kind": "loop"})).n
    for seq, text in enumerate(texts, 1):
        turns.say(db, n, seq, "Creator", text, "end")
    return n, [turn.n for turn in turns.listing(db, n)]


def branch(db: sqlite3.Connection, parent: int, at: int) -> int:
    run = runs.find(db, db.execute("SELECT id FROM run WHERE n = ?", (parent,)).fetchone()[0])
    turn = turns.get(db, parent, at)
    assert turn
    return runs.find(db, runs.create(db, "loop", "F", {"kind": "loop"}, fork=(run, turn.n, turn.message))).n


def test_an_item_is_open_until_a_later_turn_closes_it(db: sqlite3.Connection) -> None:
    run, rows = talk(db, "Why is it so?", "Because of tides.")
    minutes.take(db, run, rows[0], "Scriber", "- asks", [Raised("question", "Why?", rows[0], "Why is it")], [])
    (item,) = minutes.items(db, run)
    assert (item.kind, item.seq, item.seat, item.open) == ("question", 1, "Creator", True)
    minutes.take(db, run, rows[1], "Scriber", "- answers", [], [Closed(item.n, rows[1], "Because")])
    (item,) = minutes.items(db, run)
    assert (item.open, item.closed, item.closing) == (False, 2, "Because")
    claim = Raised("claim", "Tides do it", rows[1], "of tides")
    minutes.take(db, run, rows[1], "Scriber", "", [claim], [])
    assert not minutes.items(db, run)[1].open, "a claim is never open"


def test_an_event_tells_what_was_entered_though_the_words_are_kept_once(db: sqlite3.Connection) -> None:
    run, rows = talk(db, "Why is it so?", "Because of tides.")
    first, second = (Raised("question", text, rows[0], quote) for text, quote in (("Why?", "Why is"), ("So?", "it so")))
    minutes.take(db, run, rows[0], "Scriber", "- asks", [first, second], [], ["made up"])
    one, two = minutes.items(db, run)
    minutes.take(db, run, rows[1], "Scriber", "- answers", [], [Closed(one.n, rows[1], "Because")])
    minutes.give(db, run, rows[1], "Judge", "Sound.", 7.0)
    minutes.give(db, run, rows[1], "Reviewer", "A digest.")
    taken, closed, judged, digest = (
        event.data for event in events.after(db, 0, run=run) if (event.subject or "").startswith("aside/")
    )
    asked = {"kind": "question", "seq": 1}
    assert taken == {
        "seat": "Scriber",
        "after": 1,
        "text": "- asks",
        "raised": [
            asked | {"minute": one.n, "text": "Why?", "quote": "Why is"},
            asked | {"minute": two.n, "text": "So?", "quote": "it so"},
        ],
        "closed": [],
        "rejected": ["made up"],
    }
    assert closed["closed"] == [{"minute": one.n, "seq": 2, "quote": "Because"}]
    assert (judged["text"], judged["value"]) == ("Sound.", 7.0)
    assert digest == {"seat": "Reviewer", "after": 2, "text": "A digest."}
    assert not db.execute("SELECT 1 FROM event WHERE data LIKE '%asks%' OR data LIKE '%Sound%'").fetchone()


def test_a_replaced_turn_takes_its_items_measures_and_sources_with_it(db: sqlite3.Connection) -> None:
    run, rows = talk(db, "First.", "Second?")
    minutes.take(db, run, rows[1], "Scriber", "s", [Raised("question", "Second", rows[1], "Second?")], [])
    minutes.give(db, run, rows[1], "Judge", "fine", 7.0)
    metrics.put(db, run, rows[0], {"novelty": 1.0})
    metrics.put(db, run, rows[1], {"novelty": 0.5})
    citations.cite(db, run, rows[1], [Source(1, "A", "/a", "line 1", "text", 0.1, "words")])
    forked = branch(db, run, 2)
    turns.replace(db, run, rows[1], "retry")
    assert (citations.last_number(db, run), citations.last_number(db, forked)) == (0, 1)
    assert minutes.items(db, run) == [] and minutes.asides(db, run) == []
    assert metrics.of_turns(db, run) == {"novelty": [(1, 1.0)]}
    assert citations.of_run(db, run) == []
    assert [item.text for item in minutes.items(db, forked)] == ["Second"], "the fork still has the turn"
    assert [aside.value for aside in minutes.asides(db, forked)] == [None, 7.0]
    assert metrics.of_turns(db, forked) == {"novelty": [(1, 1.0), (2, 0.5)]}
    assert citations.of_run(db, forked)[0][1].text == "text"


def test_what_a_fork_wrote_on_a_turn_it_shares_outlives_the_parents_retry(db: sqlite3.Connection) -> None:
    run, rows = talk(db, "Why?", "Hm.")
    minutes.take(db, run, rows[0], "Scriber", "s", [Raised("question", "Why", rows[0], "Why?")], [])
    (item,) = minutes.items(db, run)
    forked = branch(db, run, 2)
    own = [Raised("claim", "Hm", rows[1], "Hm.")]
    minutes.take(db, forked, rows[1], "Scriber", "- hums", own, [Closed(item.n, rows[1], "Hm.")])
    turns.replace(db, run, rows[1], "retry")
    assert [found.text for found in minutes.items(db, forked)] == ["Why", "Hm"]
    assert minutes.items(db, forked)[0].closed == 2
    assert [aside.text for aside in minutes.asides(db, forked)] == ["s", "- hums"]
    assert [found.text for found in minutes.items(db, run)] == ["Why"], "the parent never had it"


def test_branches_close_an_item_each_on_their_own(db: sqlite3.Connection) -> None:
    run, rows = talk(db, "Why?", "Hm.")
    minutes.take(db, run, rows[0], "Scriber", "s", [Raised("question", "Why", rows[0], "Why?")], [])
    forked = branch(db, run, 1)
    (item,) = minutes.items(db, run)
    minutes.take(db, run, rows[1], "Scriber", "s", [], [Closed(item.n, rows[1], "Hm")])
    assert minutes.items(db, run)[0].closed == 2
    assert minutes.items(db, forked)[0].open, "what the parent closed after the fork is open here"


def test_a_removed_run_leaves_nothing_of_it(db: sqlite3.Connection) -> None:
    run, rows = talk(db, "Why?")
    minutes.take(db, run, rows[0], "Scriber", "s", [Raised("question", "Why", rows[0], "Why?")], [])
    (item,) = minutes.items(db, run)
    minutes.take(db, run, rows[0], "Scriber", "s", [], [Closed(item.n, rows[0], "Why")])
    metrics.put(db, run, rows[0], {"novelty": 0.5})
    citations.cite(db, run, rows[0], [Source(1, "A", "/a", "line 1", "text", 0.1, "words")])
    runs.delete(db, next(found for found in runs.listing(db) if found.n == run))
    for table in ("aside", "minute", "closing", "metric", "citation", "content", "message"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table


def test_no_secret_enters_the_minutes(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-" + "a1B2" * 12
    run, rows = talk(db, "Why?")
    minutes.take(db, run, rows[0], "Scriber", secret, [Raised("claim", secret, rows[0], secret)], [], [secret])
    minutes.give(db, run, rows[0], "Judge", secret)
    dump = "\n".join(db.iterdump())
    assert secret not in dump
