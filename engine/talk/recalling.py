"""What a loop's seats are given from memory before they speak: passages of the user's documents, and what was said
before, in this conversation's cut turns or in other runs."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.record import citations
from engine.record.citations import Source
from engine.record.connection import open_reader
from engine.record.errors import RecordError
from engine.settings.errors import UsageError
from engine.talk.loop_spec import Recall

if TYPE_CHECKING:
    from engine.memory.embedder import Embedder
    from engine.memory.recall import Recalled
    from engine.memory.settings import MemorySettings
    from engine.memory.settings import Recall as Settings
    from engine.memory.sqlite_store import SqliteStore


class Recalling:
    """The memory of one run. The store stays open, with the vectors that it has read, until its file is another."""

    def __init__(self, database: Path, run: int) -> None:
        self._database = database
        self._run = run
        self._lock = threading.Lock()
        self._store: SqliteStore | None = None
        self._file = (0, 0)
        """Device and inode of the store that is open."""
        self._embedder: Embedder | None = None
        self._note = self._told = ""

    def news(self) -> str:
        """One line on why recall was by words only the last time; "" where it was not, or this was said before."""
        if self._note == self._told:
            return ""
        self._told = self._note
        return self._note

    def close(self) -> None:
        with self._lock:
            if self._store:
                self._store.close()
            self._store = None

    async def find(self, wanted: Recall, question: str, before: int | None) -> tuple[str, list[Source]]:
        """(what the prompt is given, its sources) on a question; `before` is the first turn that the seat still sees.

        Raises UsageError: nothing to recall from, or the memory cannot be read.
        """
        if not wanted.sources or not question.strip():
            return "", []
        try:
            return await asyncio.to_thread(self._find, wanted, question, before)
        except RecordError as error:
            raise UsageError(f"recall: {error}") from None

    def _find(self, wanted: Recall, question: str, before: int | None) -> tuple[str, list[Source]]:
        from engine.memory import cite, settings

        loaded = settings.load()
        known = loaded.recall
        changes = {"limit": wanted.limit, "gate": wanted.gate, "snippet": wanted.snippet}
        known = known.model_copy(update={key: value for key, value in changes.items() if value is not None})
        record = open_reader(self._database)
        try:
            found: list[Recalled] = []
            if "documents" in wanted.sources:
                found += self._documents(wanted, question, known, loaded)
            found += self._past(wanted, question, known, record, before)
            start = citations.last_number(record, self._run) + 1
        finally:
            record.close()
        best = _interleaved(found, known.limit)
        quoted = cite.quote(best, start=start)
        scores = dict(enumerate(best, start))
        return quoted.text, [
            Source(
                item.number,
                item.title,
                f"run/{item.run}" if item.run else item.path,
                item.place,
                item.text,
                scores[item.number].score,
                item.how,
            )
            for item in quoted.sources
        ]

    def _documents(self, wanted: Recall, question: str, known: Settings, loaded: MemorySettings) -> list[Recalled]:
        from engine.memory import recall
        from engine.providers.protocol import ProviderError

        with self._lock:  # a turn that was cut may still be looking
            store = self._opened()
            try:
                usable, self._note = recall.usable(store, self._chosen(loaded.embedder))
                return recall.recall(store, usable, question, known, block=wanted.block)
            except ProviderError as error:
                self._note = f"recall is by words only while {loaded.embedder} makes no vectors: {error}"
                return recall.recall(store, None, question, known, block=wanted.block)

    def _opened(self) -> SqliteStore:
        from engine.memory import connection
        from engine.memory.sqlite_store import SqliteStore

        path = connection.beside(self._database)
        try:
            found = path.stat()
        except FileNotFoundError:
            raise UsageError(
                "recall.sources: no documents yet; `tertulia memory add PATH` reads some, then retry"
            ) from None
        if self._store and self._file != (found.st_dev, found.st_ino):
            self._store.close()
            self._store = None
        if self._store is None:
            self._store = SqliteStore(path, write=False)
            self._file = (found.st_dev, found.st_ino)
        return self._store

    def _chosen(self, name: str) -> Embedder | None:
        """The embedder of that name, which a provider is asked for once."""
        from engine.memory import embedder

        if self._embedder is None or self._embedder.name != name:
            self._embedder = embedder.default()
        return self._embedder

    def _past(
        self, wanted: Recall, question: str, known: Settings, record: sqlite3.Connection, before: int | None
    ) -> list[Recalled]:
        from engine.memory import recall
        from engine.memory.past import Past

        places = []
        if "past" in wanted.sources and before is not None:
            places.append(Past(record, run=self._run, before=before))
        if "runs" in wanted.sources:
            places.append(Past(record, but=self._run))
        return [
            one
            for place in places
            for one in recall.recall(None, None, question, known, block=wanted.block, past=place)
        ]


def _interleaved(found: Sequence[Recalled], limit: int) -> list[Recalled]:
    """The best of each source in turn: scores of different searches say nothing of each other."""
    groups: dict[bool, list[Recalled]] = {}
    for one in found:
        groups.setdefault(one.run is not None, []).append(one)
    queues = list(groups.values())
    best: list[Recalled] = []
    while len(best) < limit and any(queues):
        for queue in queues:
            if queue and len(best) < limit:
                best.append(queue.pop(0))
    return best
