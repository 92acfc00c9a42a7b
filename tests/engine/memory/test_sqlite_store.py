"""The SQLite store does what every store must, and says what is wrong with a file that is no memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.memory import schema
from engine.memory.connection import beside
from engine.memory.errors import StoreError
from engine.memory.sqlite_store import SqliteStore
from tests.engine.memory.conformance import StoreConformance, document


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Callable[[], SqliteStore]]:
        stores: list[SqliteStore] = []

        def open_() -> SqliteStore:
            stores.append(SqliteStore(tmp_path / "t.memory.db"))
            return stores[-1]

        yield open_
        for store in stores:
            store.close()


def test_it_lies_beside_the_record_and_is_private(tmp_path: Path) -> None:
    assert beside(Path("/x/tertulia.db")) == Path("/x/tertulia.memory.db")
    with SqliteStore(tmp_path / "new" / "t.memory.db") as store:
        assert store.path.stat().st_mode & 0o777 == 0o600
    with SqliteStore(store.path, write=False) as reader:
        assert reader.items() == []


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()


def _newer(path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()


def _torn(path: Path) -> None:
    with SqliteStore(path) as store:
        store.put([document(f"/{number}", "word " * 50) for number in range(200)])
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(b"not a database at all" * 100), "not a readable memory"),
        (_foreign, "a database, but not a memory of this program"),
        (_newer, f"newer Tertulia .memory {schema.VERSION + 1}, this one knows {schema.VERSION}"),
        (lambda path: path.mkdir(), "a folder, not a memory"),
        (_torn, "not a readable memory"),
    ],
)
def test_a_file_that_is_no_memory_is_named_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], object], says: str
) -> None:
    path = tmp_path / "t.memory.db"
    spoil(path)
    with pytest.raises(StoreError, match=says) as caught, SqliteStore(path) as store:
        store.words(["word"], 9)
        store.items()
    assert "\n" not in str(caught.value)


def test_reading_where_there_is_none_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no memory here yet; `tertulia memory add PATH` starts one"):
        SqliteStore(tmp_path / "t.memory.db", write=False)
    assert not (tmp_path / "t.memory.db").exists()


def test_a_reader_sees_and_changes_nothing(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "t.memory.db") as store, SqliteStore(store.path, write=False) as reader:
        store.put([document("/a", "hello")])
        assert len(reader.words(["hello"], 9)) == 1
        with pytest.raises(StoreError, match="read-only"):
            reader.put([document("/b", "no")])
