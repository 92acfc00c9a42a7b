"""Whatever is wrong with the file gets one clear line, and what was committed stays."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.record import connection, runs
from engine.record.connection import open_reader, open_writer, write_once
from engine.record.errors import RecordError
from engine.record.reader import Reader
from engine.record.writer import Writer

Opener = Callable[[Path], object]
_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def fault(opener: Opener, path: Path) -> str:
    with pytest.raises(RecordError) as caught:
        opener(path)
    line = str(caught.value)
    assert "\n" not in line and line.startswith(str(path)), line
    return line.removeprefix(f"{path}: ")


def add(path: Path) -> str:
    return write_once(path, lambda db: runs.create(db, "duel", "kept", {}))


@pytest.mark.parametrize("opener", [open_reader, open_writer, Writer, Reader])
def test_what_is_no_database(database: Path, opener: Opener) -> None:
    database.write_bytes(b"To whom it may concern: this is a letter.\n" * 400)
    assert "not a readable record (file is not a database); move it away" in fault(opener, database)
    assert database.read_bytes().startswith(b"To whom")


@pytest.mark.parametrize("opener", [open_reader, open_writer])
def test_another_programs_database_is_not_touched(database: Path, opener: Opener) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.execute("CREATE TABLE bookmark (url TEXT)")
        db.commit()
    before = database.read_bytes()
    assert "not a record of this program; use another --db" in fault(opener, database)
    assert database.read_bytes() == before


def test_a_corrupt_file_is_named_and_the_rest_can_be_read(database: Path) -> None:
    kept = add(database)
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_size").fetchone()[0]
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'event'").fetchone()[0]
    with database.open("r+b") as out:
        out.seek((root - 1) * size)
        out.write(b"\xff" * size)
    reader = Reader(database)
    assert reader.find(kept).title == "kept"
    with pytest.raises(RecordError, match=r"not a readable record \(database disk image is malformed\); move it away"):
        reader.events(0)
    reader.close()
    writer = Writer(database)
    failed = writer.submit(lambda db: runs.create(db, "duel", "lost", {})).exception(10)
    assert isinstance(failed, RecordError) and "malformed" in str(failed)
    again = writer.submit(lambda db: 1).exception(10)
    assert again is failed, "a writer whose file is broken does nothing more"
    writer.close()


def test_a_file_cut_short(database: Path) -> None:
    add(database)
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(database, 5000)
    reader = None
    with pytest.raises(RecordError, match="not a readable record"):
        reader = Reader(database)
        reader.runs()
    if reader:
        reader.close()


def test_a_record_that_another_program_keeps_locked(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = add(database)
    monkeypatch.setattr(connection, "BUSY_MS", 100)
    code = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
    code += "db.execute('PRAGMA locking_mode = EXCLUSIVE'); db.execute('BEGIN EXCLUSIVE');"
    code += "db.execute('CREATE TABLE another (n)'); print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin and holder.stdout and holder.stdout.readline() == "held\n"
    assert "another program keeps the record locked; close it and try again" in fault(add, database)
    holder.stdin.close()
    holder.wait(10)
    with closing(open_reader(database)) as db:
        assert runs.find(db, kept).title == "kept"
    add(database)


def test_no_record_yet_a_folder_and_a_missing_folder(tmp_path: Path) -> None:
    assert "no record here yet; `tertulia run eliza-meets-parry` starts one" in fault(open_reader, tmp_path / "none.db")
    (tmp_path / "folder.db").mkdir()
    for opener in (open_reader, open_writer):
        assert "a folder, not a record" in fault(opener, tmp_path / "folder.db")
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "t.db"
    assert f"cannot be created ({tmp_path / 'file'}: File exists); use another --db" in fault(open_writer, below)
    empty = tmp_path / "empty.db"
    empty.touch()
    assert "an empty file, no record yet" in fault(open_reader, empty)
    open_writer(empty).close()


def test_names_that_mean_something_in_a_uri(tmp_path: Path) -> None:
    path = tmp_path / "what? 100%41 #1.db"
    run = add(path)
    with closing(open_reader(path)) as db:
        assert runs.find(db, run).title == "kept"
    assert [item.name for item in tmp_path.glob("*.db")] == [path.name]


def test_a_read_only_file_and_a_read_only_folder(tmp_path: Path) -> None:
    """By a read-only mount, which stops root too."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    database = folder / "t.db"
    kept = add(database)
    code = f"""
import subprocess, sys
from pathlib import Path
from engine.record import runs
from engine.record.connection import open_reader, write_once
from engine.record.errors import RecordError
path, what = Path({str(database)!r}), sys.argv[1]
subprocess.run(["mount", "--bind", what, what], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", what], check=True)
try:
    write_once(path, lambda db: runs.create(db, "duel", "more", {{}}))
except RecordError as error:
    print(error)
try:
    print(runs.find(open_reader(path), {kept!r}).title)
except RecordError as error:
    print(error)
"""
    if subprocess.run([*_NAMESPACE, "true"], capture_output=True, timeout=60).returncode:
        pytest.skip("this kernel lets no ordinary user have a mount namespace: nothing can be made read-only for root")
    for what in (database, folder):
        done = subprocess.run(
            [*_NAMESPACE, sys.executable, "-c", code, str(what)], capture_output=True, timeout=60, text=True
        )
        wrote, read = done.stdout.splitlines()
        assert wrote.startswith(f"{database}: the record is read-only; make it and its folder writable"), done
        assert read == "kept", "and it can be read all the same"
    add(database)
    with closing(open_reader(database)) as db:
        assert runs.count(db) == 2
