"""One writer commits in groups: in order, each piece for itself, and never less than was promised."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.record import runs, turns, writer
from engine.record.connection import open_reader
from engine.record.errors import DiskFullError, RecordError
from engine.record.writer import Writer


@pytest.fixture
def made(database: Path) -> Iterator[Writer]:
    opened = Writer(database)
    opened.submit(lambda db: db.execute("CREATE TABLE said (n INTEGER PRIMARY KEY, what TEXT UNIQUE)")).result(10)
    yield opened
    opened.close()


def say(what: str) -> Callable[[sqlite3.Connection], int | None]:
    return lambda db: db.execute("INSERT INTO said (what) VALUES (?)", (what,)).lastrowid


def said(database: Path) -> list[str]:
    with closing(open_reader(database)) as db:
        return [row[0] for row in db.execute("SELECT what FROM said ORDER BY n")]


class Held:
    """Holds the writer inside a piece of work, so that what follows piles up into one group."""

    def __init__(self, to: Writer) -> None:
        self._inside, self._go = threading.Event(), threading.Event()
        self._done = to.submit(self._work)
        assert self._inside.wait(10)

    def _work(self, db: sqlite3.Connection) -> None:
        self._inside.set()
        assert self._go.wait(10)

    def let_go(self) -> None:
        self._go.set()
        self._done.result(10)


def test_what_piles_up_is_committed_together_and_in_order(
    made: Writer, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    genuine = Writer._transaction

    def counted(self: Writer, pieces: list[Any]) -> Any:
        groups.append(len(pieces))
        return genuine(self, pieces)

    monkeypatch.setattr(Writer, "_transaction", counted)
    held = Held(made)
    waiting = [made.submit(say(str(number))) for number in range(50)]
    assert said(database) == []
    held.let_go()
    assert [future.result(10) for future in waiting] == list(range(1, 51))
    assert said(database) == [str(number) for number in range(50)]
    assert groups == [1, 50]


def test_a_piece_that_fails_undoes_itself_alone(made: Writer, database: Path) -> None:
    def half(db: sqlite3.Connection) -> None:
        say("half")(db)
        raise ValueError("changed my mind")

    held = Held(made)
    before, broken, twice, after = (made.submit(work) for work in (say("a"), half, say("a"), say("b")))
    held.let_go()
    assert before.result(10) and after.result(10)
    assert isinstance(broken.exception(10), ValueError)
    assert isinstance(twice.exception(10), sqlite3.IntegrityError)
    assert said(database) == ["a", "b"]


async def test_a_cancelled_caller_does_not_take_its_commit_back(made: Writer, database: Path) -> None:
    held = Held(made)
    task = asyncio.create_task(made.commit(say("meant")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    future = made.submit(say("too"))
    assert not future.cancel()
    held.let_go()
    await made.commit(lambda db: None)
    assert said(database) == ["meant", "too"]


def test_closing_commits_what_is_queued(database: Path) -> None:
    made = Writer(database)
    made.submit(lambda db: db.execute("CREATE TABLE said (n INTEGER PRIMARY KEY, what TEXT)"))
    for number in range(20):
        made.submit(say(str(number)))
    made.close()
    assert len(said(database)) == 20
    with pytest.raises(RecordError, match="the writer is closed"):
        made.submit(say("late")).result(10)
    made.close()


class Full:
    """Makes transactions fail as on a full disk, `times` times."""

    def __init__(self, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = times
        genuine = Writer._transaction

        def transaction(made: Writer, pieces: list[Any]) -> Any:
            outcome = genuine(made, pieces) if not self.left else None
            if outcome is None:
                self.left -= 1
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL  # type: ignore[misc]
                raise error
            return outcome

        monkeypatch.setattr(Writer, "_transaction", transaction)
        monkeypatch.setattr(writer, "_RETRY_EVERY", 0.001)


def test_a_full_disk_is_waited_for_and_told_once(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[DiskFullError | None] = []
    made = Writer(database, told.append)
    made.submit(lambda db: db.execute("CREATE TABLE said (n INTEGER PRIMARY KEY, what TEXT)")).result(10)
    Full(5, monkeypatch)
    assert made.submit(say("kept")).result(10) == 1
    made.close()
    assert len(told) == 2 and isinstance(told[0], DiskFullError) and told[1] is None
    assert said(database) == ["kept"]


def test_patience_ends_and_everything_after_fails_with_the_same_line(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Writer(database)
    Full(-1, monkeypatch)
    monkeypatch.setattr(writer, "FULL_DISK_PATIENCE", 0.05)
    failed = made.submit(say("lost")).exception(10)
    assert isinstance(failed, DiskFullError) and "free some space" in str(failed)
    assert made.submit(say("later")).exception(10) is failed
    made.close()


def test_several_hosts_write_one_record_at_once(database: Path) -> None:
    code = """
import sys
from pathlib import Path
from engine.record import runs, turns
from engine.record.writer import Writer
made = Writer(Path(sys.argv[1]))
run = made.submit(lambda db: runs.find(db, runs.create(db, "duel", sys.argv[2], {}))).result(30)
head = None
for seq in range(1, 101):
    row = made.submit(lambda db: turns.open_turn(db, run.n, seq, "A", "a", "m")).result(30)
    made.submit(lambda db: turns.add_delta(db, run.n, row, seq, 1, "some words"))
    text = f"{sys.argv[2]} says {seq}"
    head = made.submit(lambda db: turns.finish(db, run.n, row, head, text, "", "end")).result(30)
made.close()
"""
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(database), name], stderr=subprocess.PIPE, text=True)
        for name in ("one", "two", "three")
    ]
    problems = [process.communicate(timeout=120)[1] for process in started]
    assert problems == ["", "", ""]
    with closing(open_reader(database)) as db:
        for run in runs.listing(db):
            texts = [turn.text for turn in turns.listing(db, run.n)]
            assert texts == [f"{run.title} says {seq}" for seq in range(1, 101)]
        assert runs.count(db) == 3 and db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
