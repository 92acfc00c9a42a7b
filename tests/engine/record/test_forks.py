"""A fork shares its parent's history for next to nothing, and the two never change each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.record import content, notes, runs, turns
from engine.record.connection import open_writer
from engine.record.errors import WrongNameError
from engine.record.runs import Run
from engine.record.search import any_of
from engine.runs import edits
from engine.runs.control import Control
from engine.settings.errors import UsageError


class Talk:
    """A run written by hand: every second turn by A."""

    def __init__(self, db: sqlite3.Connection, run: str) -> None:
        self.db, self.id = db, run

    @property
    def run(self) -> Run:
        return runs.find(self.db, self.id)

    def say(self, *texts: str) -> Talk:
        for text in texts:
            seq = self.run.turns + 1
            turns.say(self.db, self.run.n, seq, "BA"[seq % 2], text, "end")
        return self

    def redo(self, text: str, why: str = "retry") -> Talk:
        last = turns.get(self.db, self.run.n, self.run.turns)
        assert last
        turns.replace(self.db, self.run.n, last.n, why)
        return self.say(text)

    def fork(self, at: int) -> Talk:
        return Talk(self.db, Control._branch(self.db, self.run, at, {"kind": "duel"}))

    def texts(self) -> list[str]:
        counted = [turn for turn in turns.listing(self.db, self.run.n) if turn.state == "finished"]
        assert [turn.text for turn in counted] == [said.text for said in content.chain(self.db, self.run.head)]
        got = [turns.get(self.db, self.run.n, seq) for seq in range(1, self.run.turns + 1)]
        assert [turn.text for turn in counted if turn.role == "turn"] == [turn.text for turn in got if turn]
        return [turn.text for turn in counted]


@pytest.fixture
def talk(database: Path) -> Iterator[Talk]:
    with closing(open_writer(database)) as db:
        yield Talk(db, runs.create(db, "duel", "Talk", {"kind": "duel"}))


def stored(db: sqlite3.Connection) -> int:
    """Bytes of all rows of all tables and indexes."""
    return int(db.execute("SELECT sum(payload) FROM dbstat").fetchone()[0])


def test_a_fork_shares_history_and_goes_its_own_way(talk: Talk) -> None:
    talk.say("one", "two", "three", "four")
    child = talk.fork(2)
    assert child.texts() == ["one", "two"] and child.run.forked_at == 2 and child.run.parent == talk.id
    child.say("drei")
    talk.say("five")
    assert child.texts() == ["one", "two", "drei"]
    assert talk.texts() == ["one", "two", "three", "four", "five"]


def test_forks_of_forks(talk: Talk) -> None:
    talk.say("1", "2", "3")
    child = talk.fork(2).say("3b", "4b")
    grandchild = child.fork(3).say("4c")
    early = grandchild.fork(1).say("2d")
    nothing = early.fork(0)
    assert grandchild.texts() == ["1", "2", "3b", "4c"]
    assert early.texts() == ["1", "2d"]
    assert nothing.texts() == [] and nothing.run.forked_at == 0
    assert nothing.say("1e").texts() == ["1e"]
    assert [segment[0] for segment in runs.lineage(talk.db, early.run.n)] == [
        early.run.n,
        grandchild.run.n,
        child.run.n,
        talk.run.n,
    ]


@pytest.mark.parametrize("why", ["retry", "edit"])
def test_what_the_parent_takes_back_later_stays_in_the_child(talk: Talk, why: str) -> None:
    talk.say("one", "two").redo("zwei", why)
    child = talk.fork(2)
    talk.redo("deux", why)
    late = talk.fork(2)
    assert child.texts() == ["one", "zwei"]
    assert late.texts() == ["one", "deux"] == talk.texts()
    child.say("three")
    grandchild = child.fork(3)
    child.redo("drei", why)
    assert grandchild.texts() == ["one", "zwei", "three"] and child.texts() == ["one", "zwei", "drei"]


def test_a_note_belongs_to_those_who_heard_it(talk: Talk) -> None:
    talk.say("one")
    before = talk.fork(1)
    db, n = talk.db, talk.run.n
    notes.queue(db, n, 2, "you", "a note", "me")
    queued = talk.fork(1)
    notes.give(db, n, 2, talk.run.head)
    talk.say("two")
    assert talk.texts() == ["one", "a note", "two"] == talk.fork(2).texts()
    assert before.texts() == ["one"] == queued.texts()


def test_a_fork_costs_less_than_a_kilobyte_however_long_the_history(talk: Talk) -> None:
    talk.say(*(f"{number} " + "word " * 100 for number in range(200)))
    before = stored(talk.db)
    child = talk.fork(150)
    assert stored(talk.db) - before < 1024
    assert len(child.texts()) == 150


def test_a_page_of_turns_reaches_back_into_the_parent(talk: Talk) -> None:
    talk.say(*"abcdef")
    child = talk.fork(4).say("E", "F")
    newest = turns.listing(talk.db, child.run.n, limit=3)
    assert [turn.text for turn in newest] == ["d", "E", "F"]
    older = turns.listing(talk.db, child.run.n, before=newest[0].n, limit=2)
    assert [turn.text for turn in older] == ["b", "c"]


def test_a_parent_cannot_be_deleted_and_a_child_leaves_nothing(talk: Talk) -> None:
    talk.say("one", "two")
    before = stored(talk.db)
    rows = {name: count(talk.db, name) for name in ("message", "content", "turn", "run")}
    child = talk.fork(1).say("only here", "and here")
    with pytest.raises(WrongNameError, match=f"run {talk.id} is the parent of {child.id}; remove those first"):
        runs.delete(talk.db, talk.run)
    runs.delete(talk.db, child.run)
    assert {name: count(talk.db, name) for name in rows} == rows
    assert stored(talk.db) - before < 1500, "the parent's own event of the fork stays"
    assert talk.texts() == ["one", "two"]


def test_deleting_a_long_run_takes_one_pass(talk: Talk) -> None:
    talk.db.execute("BEGIN")
    talk.say(*(str(number) for number in range(3000)))
    talk.db.execute("COMMIT")
    steps = 0

    def counting() -> int:
        nonlocal steps
        steps += 1
        return 0

    talk.db.set_progress_handler(counting, 10_000)
    runs.delete(talk.db, talk.run)
    talk.db.set_progress_handler(None, 0)
    assert count(talk.db, "message") == 0 and steps < 1000, f"{steps} times 10,000 steps"


def test_where_there_is_nothing_to_fork_from(talk: Talk) -> None:
    talk.say("one")
    for at in (-1, 2):
        with pytest.raises(UsageError, match="turns 1 to 1"):
            talk.fork(at)
    row = turns.open_turn(talk.db, talk.run.n, 2, "B", "b", "m")
    turns.skip(talk.db, talk.run.n, row, talk.run.head)
    assert talk.fork(2).run.head == talk.run.head == edits.head_at(talk.db, talk.run, 2)


def count(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_memory_of_the_past_follows_the_conversation_of_a_fork(talk: Talk) -> None:
    talk.say("old harbour", "new harbour")
    fork = talk.fork(2).say("harbour of the fork")
    talk.redo("rebuilt harbour")

    def past(**of: int) -> set[str]:
        return {said.text for said in any_of(talk.db, ["harbour"], **of)}

    assert past(run=fork.run.n) == {"old harbour", "new harbour", "harbour of the fork"}, (
        "its parent's turns are its own"
    )
    assert past(run=fork.run.n, before=2) == {"old harbour"}
    assert past(run=talk.run.n) == {"old harbour", "rebuilt harbour"}, "what was taken back is not recalled"
    assert past(but=fork.run.n) == {"rebuilt harbour"}, "what both have said is no other run's"
    assert past() == {"old harbour", "rebuilt harbour", "harbour of the fork"}
