"""The memory in one SQLite file of its own, so that reading documents never holds the lock that live runs commit under.

Words are an FTS5 index (external content), vectors are float16 BLOBs searched exactly with numpy.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from engine.memory.connection import connect
from engine.memory.errors import explain
from engine.memory.store import COPY, DOCUMENT_LINK, READY, Chunk, Document, Item, Link, VectorSet
from engine.settings.errors import UsageError

if TYPE_CHECKING:
    from engine.memory.matrix import Matrix
    from engine.memory.store import Vectors

_ITEM = """SELECT n, path, kind, title, state, error, hash, size, mtime_ns, added,
    (SELECT count(*) FROM chunk WHERE chunk.item = item.n) FROM item"""
_CHUNK = """SELECT chunk.n, item.n, chunk.seq, item.path, item.title, chunk.place, chunk.text
    FROM chunk JOIN item ON item.n = chunk.item"""
_CONTEXT_WEIGHT = 0.5
"""What a word in a title or heading counts beside one in the text."""
_BELOW = "(path = ?1 OR substr(path, 1, length(?1) + 1) = ?1 || '/')"
_MANY = 500


class SqliteStore:
    """`engine.memory.store.Store` over SQLite. May be used from several threads."""

    def __init__(self, path: Path, *, write: bool = True) -> None:
        """Open the memory at `path`; with `write` it is made where there is none. Raises StoreError."""
        self.path = path
        self._db = connect(path, write=write)
        self._lock = threading.RLock()
        self._matrix: Matrix | None = None

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def put(self, documents: Sequence[Document], vectors: Vectors | None = None, model: str = "") -> None:
        if vectors is not None and len(vectors) != sum(len(one.passages) for one in documents):
            raise ValueError("one vector for each passage")
        with self._changing() as db:
            if vectors is not None and len(vectors):
                self._claim(db, model, vectors.shape[1])
            row = 0
            for document in documents:
                item = self._place(db, document.path, document.kind, document.title, READY, "", document)
                for seq, passage in enumerate(document.passages):
                    chunk = db.execute(
                        "INSERT INTO chunk (item, seq, place, context, text) VALUES (?, ?, ?, ?, ?)",
                        (
                            item,
                            seq,
                            _sound(passage.place),
                            _sound(f"{document.title} {passage.place}"),
                            _sound(passage.text),
                        ),
                    ).lastrowid
                    if vectors is not None:
                        db.execute("INSERT INTO vector VALUES (?, ?)", (chunk, _pack(vectors[row])))
                    row += 1
                rows = [(item, target, DOCUMENT_LINK) for target in document.links if target != document.path]
                db.executemany("INSERT OR IGNORE INTO link VALUES (?, ?, ?)", rows)

    def note_failure(
        self, path: str, kind: str, size: int, mtime_ns: int, state: str, error: str, digest: bytes = b""
    ) -> None:
        seen = Document(path, kind, path.rpartition("/")[2], digest, size, mtime_ns, ())
        with self._changing() as db:
            self._place(db, path, kind, seen.title, state, error, seen)

    def touch(self, path: str, mtime_ns: int) -> None:
        with self._changing(vectors=False) as db:
            db.execute("UPDATE item SET mtime_ns = ?, added = ? WHERE path = ?", (mtime_ns, time.time(), path))

    def forget(self, items: Iterable[int]) -> int:
        gone = 0
        with self._changing() as db:
            for n in items:
                found = db.execute("SELECT path, hash FROM item WHERE n = ?", (n,)).fetchone()
                if found is None:
                    continue
                self._empty(db, n)
                db.execute(
                    "DELETE FROM link WHERE source = ? OR (target = ? AND kind <> ?)", (n, found[0], DOCUMENT_LINK)
                )
                db.execute("DELETE FROM item WHERE n = ?", (n,))
                self._wake_copies(db, found[1])
                gone += 1
        return gone

    def item(self, path: str) -> Item | None:
        return next(iter(self._items(f"{_ITEM} WHERE path = ?", path)), None)

    def items(self, *, text: str = "", under: str = "", limit: int = -1) -> list[Item]:
        """As `Store.items` says; upper and lower case are the same in `text`."""
        sql = f"""{_ITEM} WHERE (?1 = '' OR {_BELOW})
            AND (?2 = '' OR instr(lower(path), lower(?2)) OR instr(lower(title), lower(?2))) ORDER BY path LIMIT ?3"""
        return self._items(sql, under.rstrip("/"), text, limit)

    def by_number(self, n: int) -> Item | None:
        return next(iter(self._items(f"{_ITEM} WHERE n = ?", n)), None)

    def holding(self, digest: bytes) -> Item | None:
        return next(iter(self._items(f"{_ITEM} WHERE hash = ? AND state = ? LIMIT 1", digest, READY)), None)

    def chunks(self, numbers: Collection[int]) -> dict[int, Chunk]:
        found: dict[int, Chunk] = {}
        wanted = list(numbers)
        for start in range(0, len(wanted), _MANY):
            part = wanted[start : start + _MANY]
            for row in self._read(f"{_CHUNK} WHERE chunk.n IN ({_marks(part)})", *part):
                found[row[0]] = Chunk(*row)
        return found

    def chunks_of(self, item: int) -> list[Chunk]:
        return [Chunk(*row) for row in self._read(f"{_CHUNK} WHERE chunk.item = ? ORDER BY chunk.seq", item)]

    def counts(self) -> Mapping[str, int]:
        (row,) = self._read(
            """SELECT (SELECT count(*) FROM item WHERE state = 'ready'),
            (SELECT count(*) FROM item WHERE state = 'failed'), (SELECT count(*) FROM item WHERE state = 'copy'),
            (SELECT count(*) FROM chunk), (SELECT count(*) FROM vector)"""
        )
        return dict(zip(("items", "failed", "copies", "chunks", "vectors"), row, strict=True))

    def words(self, terms: Sequence[str], limit: int) -> list[tuple[int, float]]:
        quoted = ['"' + _sound(term).replace('"', '""').replace("\0", " ") + '"' for term in terms if term.strip()]
        if not quoted:
            return []
        sql = """SELECT rowid, -bm25(chunk_fts, 1.0, ?) AS score FROM chunk_fts WHERE chunk_fts MATCH ?
            ORDER BY score DESC, rowid LIMIT ?"""
        return [(row[0], row[1]) for row in self._read(sql, _CONTEXT_WEIGHT, " OR ".join(quoted), limit)]

    def nearest(self, vector: Vectors, limit: int) -> list[tuple[int, float]]:
        return self._vectors().nearest(vector, limit)

    def distances(self, vector: Vectors, chunks: Collection[int]) -> dict[int, float]:
        return self._vectors().distances(vector, chunks)

    def vector_set(self) -> VectorSet | None:
        return next((VectorSet(*row) for row in self._read("SELECT model, dim FROM vector_set")), None)

    def unembedded(self, limit: int) -> list[Chunk]:
        sql = f"{_CHUNK} WHERE chunk.n NOT IN (SELECT chunk FROM vector) ORDER BY chunk.n LIMIT ?"
        return [Chunk(*row) for row in self._read(sql, limit)]

    def embed(self, chunks: Sequence[int], vectors: Vectors, model: str) -> None:
        with self._changing() as db:
            self._claim(db, model, vectors.shape[1])
            for chunk, vector in zip(chunks, vectors, strict=True):
                db.execute(
                    "INSERT OR REPLACE INTO vector SELECT n, ? FROM chunk WHERE n = ?",  # it may be gone meanwhile
                    (_pack(vector), chunk),
                )

    def drop_vectors(self) -> None:
        with self._changing() as db:
            db.execute("DELETE FROM vector")
            db.execute("DELETE FROM vector_set")

    def link(self, source: int, target: str, kind: str) -> None:
        with self._changing(vectors=False) as db:
            db.execute("INSERT OR IGNORE INTO link VALUES (?, ?, ?)", (source, target, kind))

    def links(self, sources: Collection[int]) -> list[Link]:
        rows = self._read(
            f"""SELECT link.source, item.n, link.kind FROM link JOIN item ON item.path = link.target
            WHERE item.state = 'ready' AND link.source IN ({_marks(sources)}) ORDER BY link.source, item.n""",
            *sources,
        )
        return [Link(*row) for row in rows]

    def roots(self) -> list[str]:
        return [row[0] for row in self._read("SELECT path FROM root ORDER BY path")]

    def add_root(self, path: str) -> None:
        with self._changing(vectors=False) as db:
            db.execute("INSERT OR IGNORE INTO root VALUES (?)", (path,))

    def remove_root(self, path: str) -> None:
        with self._changing(vectors=False) as db:
            db.execute(f"DELETE FROM root WHERE {_BELOW}", (path,))

    def describe(self, folder: str, text: str) -> None:
        with self._changing(vectors=False) as db:
            db.execute("DELETE FROM folder WHERE path = ?", (folder,))
            if text:
                db.execute("INSERT INTO folder VALUES (?, ?)", (folder, text))

    def descriptions(self) -> dict[str, str]:
        return dict(self._read("SELECT path, description FROM folder ORDER BY path"))

    def _items(self, sql: str, *values: Any) -> list[Item]:
        return [Item(*row) for row in self._read(sql, *values)]

    def _read(self, sql: str, *values: Any) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self.path) from None

    @contextmanager
    def _changing(self, *, vectors: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction. With `vectors` every process's matrix of vectors is out of date afterwards."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                if vectors:
                    self._db.execute("UPDATE generation SET n = n + 1")
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise explain(error, self.path) from None
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _claim(self, db: sqlite3.Connection, model: str, dim: int) -> None:
        """Refuse vectors of another model than those that are there."""
        found = db.execute("SELECT model, dim FROM vector_set").fetchone()
        if found is None or not db.execute("SELECT 1 FROM vector LIMIT 1").fetchone():
            db.execute("INSERT OR REPLACE INTO vector_set VALUES (1, ?, ?)", (model, dim))
        elif tuple(found) != (model, dim):
            raise UsageError(
                f"the memory's vectors come from {found[0]} ({found[1]} numbers each), not from {model} ({dim});"
                " `tertulia memory rebuild` makes them all anew"
            )

    def _place(
        self, db: sqlite3.Connection, path: str, kind: str, title: str, state: str, error: str, seen: Document
    ) -> int:
        """The row of the item at `path`, emptied where there was one and filled with what was seen."""
        values = (kind, _sound(title), state, _sound(error), seen.hash, seen.size, seen.mtime_ns, time.time())
        old = db.execute("SELECT n, hash FROM item WHERE path = ?", (path,)).fetchone()
        if old is None:
            sql = """INSERT INTO item (path, kind, title, state, error, hash, size, mtime_ns, added)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
            return int(db.execute(sql, (path, *values)).lastrowid or 0)
        self._empty(db, old[0])
        sql = """UPDATE item SET kind = ?, title = ?, state = ?, error = ?, hash = ?, size = ?, mtime_ns = ?, added = ?
            WHERE n = ?"""
        db.execute(sql, (*values, old[0]))
        if old[1] != seen.hash:
            self._wake_copies(db, old[1])
        return int(old[0])

    def _empty(self, db: sqlite3.Connection, item: int) -> None:
        db.execute("DELETE FROM vector WHERE chunk IN (SELECT n FROM chunk WHERE item = ?)", (item,))
        db.execute("DELETE FROM chunk WHERE item = ?", (item,))
        db.execute("DELETE FROM link WHERE source = ? AND kind = ?", (item, DOCUMENT_LINK))

    def _wake_copies(self, db: sqlite3.Connection, digest: bytes) -> None:
        """What was kept elsewhere is kept nowhere now: its copies must be read the next time."""
        db.execute("UPDATE item SET mtime_ns = -1 WHERE hash = ? AND state = ?", (digest, COPY))

    def _vectors(self) -> Matrix:
        """All vectors in memory, read again when anyone changed them."""
        from engine.memory.matrix import Matrix

        with self._lock:
            ((generation,),) = self._read("SELECT n FROM generation")
            if self._matrix is None or self._matrix.generation != generation:
                self._matrix = Matrix(generation, self._read("SELECT chunk, data FROM vector ORDER BY chunk"))
            return self._matrix


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))


def _sound(text: str) -> str:
    """`text` without halves of surrogate pairs, which SQLite cannot store."""
    return text.encode("utf-8", "replace").decode()


def _pack(vector: Any) -> bytes:
    return bytes(vector.astype("float16").tobytes())
