"""What a loop's seats are given from memory before they speak: passages of the user's documents, and what was said
before, in this conversation's cut turns or in other runs."""

from __future__ import annotations

import asyncio
import sqlite3
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
    from engine.memory.recall import Recalled
    from engine.memory.settings import Recall as Settings


class Recalling:
    """The memory of one run."""

    def __init__(self, database: Path, run: int) -> None:
        self._database = database
        self._run = run

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

        known = settings.load().recall
        changes = {"limit": wanted.limit, "gate": wanted.gate, "snippet": wanted.snippet}
        known = known.model_copy(update={key: value for key, value in changes.items() if value is not None})
        record = open_reader(self._database)
        try:
            found: list[Recalled] = []
            if "documents" in wanted.sources:
                found += self._documents(wanted, question, known)
            found += self._past(wanted, question, known, record, before)
            start = max((source.number for _, source in citations.of_run(record, self._run)), default=0) + 1
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

    def _documents(self, wanted: Recall, question: str, known: Settings) -> list[Recalled]:
        from engine.memory import connection, embedder, recall
        from engine.memory.sqlite_store import SqliteStore

        path = connection.beside(self._database)
        if not path.exists():
            raise UsageError("recall.sources: no documents yet; `tertulia memory add PATH` reads some, then retry")
        with SqliteStore(path, write=False) as store:
            usable, _ = recall.usable(store, embedder.default())
            return recall.recall(store, usable, question, known, block=wanted.block)

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
