"""A record of every earlier version opens, is brought up to date, and holds what it held."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.record import lineage, metrics, minutes, presence, runs, schema, turns
from engine.record.connection import open_reader, open_writer, transact
from engine.record.errors import RecordError
from engine.record.export import export
from engine.record.presence import Presence
from engine.record.reader import Reader
from engine.record.search import search
from tests.fixtures import write_record


def tables(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    rows = db.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name")
    return [(row[0], row[1], " ".join((row[2] or "").split())) for row in rows]


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_a_record_of_every_version_opens(database: Path, tmp_path: Path, version: int) -> None:
    write_record.load(version, database)
    db = open_writer(database)
    assert db.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    fresh = open_writer(tmp_path / "fresh.db")
    assert tables(db) == tables(fresh)
    fresh.close()
    db.close()
    reader = Reader(database)
    by_title = {run.title: run for run in reader.runs() if run.parent is None}
    found = reader.attach(by_title["ELIZA meets PARRY"].id)
    assert [(turn.seq, turn.role, turn.state, turn.text) for turn in found.turns] == [
        (1, "turn", "finished", "Tell me your problem."),
        (2, "turn", "replaced", "People — 人々 — stare."),
        (2, "note", "finished", "Mention horses."),
        (2, "turn", "partial", "The hor"),
        (2, "turn", "finished", "The horses race."),
    ]
    assert [hit.seq for hit in search(reader.db, "horse")] == [2, 2]
    assert reader.calls(found.turns[0].n)[0].tokens_out == 5
    live = turns.live(reader.db, by_title["Interrupted"].n)
    assert live and live.text == "Half a sen"
    reader.close()


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_a_record_of_an_older_version_reads_as_it_is(database: Path, version: int) -> None:
    write_record.load(version, database)
    before = database.read_bytes()
    reader = Reader(database)
    for run in reader.runs():
        assert reader.attach(run.id).run.id == run.id
        assert minutes.items(reader.db, run.n) == [] or version > 1
        assert lineage.children(reader.db, run.n) == [] or version > 2
        assert run.title in export(reader.db, run, "md")
    reader.close()
    assert database.read_bytes() == before


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_a_reader_sees_what_comes_once_the_record_is_brought_up_to_date(database: Path, version: int) -> None:
    write_record.load(version, database)
    reader = Reader(database)
    run = next(run for run in reader.runs() if run.title == "ELIZA meets PARRY")
    last = reader.attach(run.id).turns[-1]
    reader.changed()
    with closing(open_writer(database)) as db:
        transact(db, lambda db: metrics.put(db, run.n, last.n, {"novelty": 0.125}))
        transact(db, lambda db: minutes.give(db, run.n, last.n, "Judge", "good", 7.0))
    assert reader.changed()
    assert metrics.of_turns(reader.db, run.n)["novelty"][-1] == (last.seq, 0.125)
    assert minutes.asides(reader.db, run.n)[-1].value == 7.0
    reader.close()


def test_a_newer_schema_is_refused_and_left_alone(database: Path) -> None:
    write_record.load(schema.VERSION, database)
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA user_version = 99")
    before = database.read_bytes()
    for opened in (open_reader, open_writer):
        with pytest.raises(RecordError, match=r"written by a newer Tertulia \(schema 99.*update this program"):
            opened(database)
    assert database.read_bytes() == before


def test_an_older_schema_in_use_is_read_and_names_the_runs_to_stop(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_writer(database).close()
    lock = "import sys; from pathlib import Path; from engine.record.presence import Presence;"
    lock += "Presence(Path(sys.argv[1]), 'abcd1234').acquire(); print('held', flush=True); sys.stdin.read()"
    host = subprocess.Popen(
        [sys.executable, "-c", lock, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert host.stdout and host.stdin and host.stdout.readline() == "held\n"
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(RecordError, match="older Tertulia and still in use by runs abcd1234; `tertulia stop` them"):
        open_writer(database)
    open_reader(database).close()
    host.stdin.close()
    host.wait(10)
    migrated = []
    monkeypatch.setattr(schema, "migrate", migrated.append)
    open_writer(database).close()
    assert len(migrated) == 1


def test_a_host_that_upgrades_the_record_keeps_its_own_lock(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_writer(database).close()
    lock = Presence(database, "abcd1234")
    assert lock.acquire()
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setattr(schema, "migrate", lambda db: db.execute(f"PRAGMA user_version = {schema.VERSION}"))
    open_writer(database).close()
    code = "import sys; from pathlib import Path; from engine.record import presence;"
    code += "print(presence.holder(Path(sys.argv[1]), 'abcd1234'))"
    seen = subprocess.run([sys.executable, "-c", code, str(database)], capture_output=True, timeout=60, text=True)
    assert seen.stdout.strip() == str(os.getpid()) == str(presence.holder(database, "abcd1234"))
    lock.release()


HOST = """
import fcntl, sys
from pathlib import Path
from engine.record import presence
from engine.record.connection import open_writer
from engine.record.errors import RecordError
take = fcntl.lockf
def lockf(file, how, *more):
    if how == fcntl.LOCK_EX:
        print("waits", flush=True)
    take(file, how, *more)
fcntl.lockf = lockf
taken = presence.Presence(Path(sys.argv[1]), "abcd1234").acquire()
print("taken", flush=True)
try:
    open_writer(Path(sys.argv[1]))
except RecordError as error:
    print(error, flush=True)
else:
    print("writes", flush=True)
"""
"""A host that begins to play: it says when it asks for the guard, when it has its lock, and what it finds then."""


def test_a_host_of_an_older_program_that_starts_during_an_upgrade_finds_it_done(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_writer(database).close()
    newer = schema.VERSION + 1
    hosts: list[subprocess.Popen[str]] = []

    def migrate(db: sqlite3.Connection) -> None:
        """No host was alive; now one starts, and gets as far as it can before the upgrade is committed."""
        hosts.append(subprocess.Popen([sys.executable, "-c", HOST, str(database)], stdout=subprocess.PIPE, text=True))
        assert hosts[0].stdout and hosts[0].stdout.readline() == "waits\n"
        assert presence.alive(database) == {}
        db.execute(f"PRAGMA user_version = {newer}")

    monkeypatch.setattr(schema, "VERSION", newer)
    monkeypatch.setattr(schema, "migrate", migrate)
    open_writer(database).close()
    out, _ = hosts[0].communicate(timeout=60)
    taken, *_, said = out.splitlines()
    assert taken == "taken" and f"written by a newer Tertulia (schema {newer}" in said


def test_what_was_opened_before_an_upgrade_writes_nothing_after_it(database: Path) -> None:
    db = open_writer(database)
    with closing(sqlite3.connect(database)) as other:
        other.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(RecordError, match=rf"{database}: written by a newer Tertulia"):
        transact(db, lambda db: runs.create(db, "duel", "t", {}))
    assert not db.in_transaction and runs.count(db) == 0
    db.close()


def test_a_first_start_that_dies_half_way_is_begun_again(database: Path) -> None:
    """At every statement of the migration: what is left is a record of no version, or of this one."""
    code = """
import os, signal, sqlite3, sys
from pathlib import Path
from engine.record import connection
made, limit = 0, int(sys.argv[2])
class Counting(sqlite3.Connection):
    def execute(self, *args):
        global made
        made += 1
        if made == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*args)
connect = sqlite3.connect
sqlite3.connect = lambda *args, **more: connect(*args, factory=Counting, **more)
connection.open_writer(Path(sys.argv[1]))
print(made)
"""
    counted = database.with_name("counted.db")
    done = subprocess.run([sys.executable, "-c", code, str(counted), "0"], capture_output=True, timeout=60, text=True)
    statements = int(done.stdout)
    assert statements > 30
    for limit in range(4, statements, max(1, statements // 8)):
        path = database.with_name(f"died-{limit}.db")
        died = subprocess.run(
            [sys.executable, "-c", code, str(path), str(limit)], capture_output=True, timeout=60, text=True
        )
        assert died.returncode == -9, died.stderr
        db = open_writer(path)
        assert runs.count(db) == 0 and search(db, "anything") == []
        db.close()


def test_many_first_starts_at_once_make_one_record(database: Path) -> None:
    code = "import sys; from pathlib import Path; from engine.record import connection, runs;"
    code += "connection.write_once(Path(sys.argv[1]), lambda db: runs.create(db, 'duel', 't', {}))"
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(database)], stderr=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    problems = [process.communicate(timeout=60)[1] for process in started]
    assert problems == [""] * 6
    with closing(open_reader(database)) as db:
        assert runs.count(db) == 6 and db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_threads_that_open_at_once(database: Path) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            open_writer(database).close()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
