"""The one writer of a host: a thread that owns the connection and commits what has piled up in one transaction.

Group commit: everything handed in while a transaction runs goes into the next one, each piece in its own savepoint,
so that one failing piece does not undo the others. On a full disk the whole batch is kept and tried again.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from engine.record.connection import open_writer
from engine.record.errors import DiskFullError, RecordError, explain

_T = TypeVar("_T")
Work = Callable[[sqlite3.Connection], Any]
FULL_DISK_PATIENCE = 30.0
"""Seconds a full disk is waited for before the writer gives up."""
_RETRY_EVERY = 0.5
_OF_THE_FILE = (sqlite3.OperationalError, sqlite3.DatabaseError)
"""What SQLite raises when the file is at fault (full, locked, corrupt). Its other errors are those of one piece."""


class Writer:
    """Commits pieces of work in the order they were handed in. Raises RecordError when the record fails for good.

    `on_trouble(error)` is called from the writer's thread when the disk fills up, and with None when it works again.
    """

    def __init__(self, path: Path, on_trouble: Callable[[DiskFullError | None], None] | None = None) -> None:
        self.path = path
        self._db = open_writer(path)
        self._on_trouble = on_trouble
        self._queue: queue.SimpleQueue[tuple[Work, concurrent.futures.Future[Any]] | None] = queue.SimpleQueue()
        self._failed: RecordError | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="record-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], _T]) -> concurrent.futures.Future[_T]:
        """Hand in work; the future resolves once it is committed."""
        future: concurrent.futures.Future[_T] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()  # from here on nobody can take it back
        if self._failed:
            future.set_exception(self._failed)
        elif self._closing:
            future.set_exception(RecordError(f"{self.path}: the writer is closed"))
        else:
            self._queue.put((work, future))
        return future

    async def commit(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` inside a transaction and return once it is committed.

        Cancelling the caller does not take the work back: a commit that was asked for happens.
        """
        return await asyncio.shield(asyncio.wrap_future(self.submit(work)))

    def close(self) -> None:
        """Commit what is queued and close the connection."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        self._thread.join()

    def _serve(self) -> None:
        last = False
        while not last:
            batch = []
            item = self._queue.get()
            while True:
                if item is None:
                    last = True
                else:
                    batch.append(item)
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._commit_patiently(batch)
        self._db.close()

    def _commit_patiently(self, batch: list[tuple[Work, concurrent.futures.Future[Any]]]) -> None:
        deadline: float | None = None
        while True:
            if self._failed:
                for _, future in batch:
                    future.set_exception(self._failed)
                return
            try:
                outcomes = self._transaction([work for work, _ in batch])
            except sqlite3.Error as error:
                reason = explain(error, self.path)
                now = time.monotonic()
                if isinstance(reason, DiskFullError) and now < (deadline or now + FULL_DISK_PATIENCE):
                    if deadline is None:
                        deadline = now + FULL_DISK_PATIENCE
                        if self._on_trouble:
                            self._on_trouble(reason)
                    time.sleep(_RETRY_EVERY)
                    continue
                self._failed = reason
                continue
            if deadline and self._on_trouble:
                self._on_trouble(None)
            for (_, future), (result, problem) in zip(batch, outcomes, strict=True):
                if problem is not None:
                    future.set_exception(problem)
                else:
                    future.set_result(result)
            return

    def _transaction(self, pieces: list[Work]) -> list[tuple[Any, Exception | None]]:
        db = self._db
        outcomes: list[tuple[Any, Exception | None]] = []
        db.execute("BEGIN IMMEDIATE")
        try:
            if len(pieces) == 1:  # most often; the transaction itself is its savepoint
                try:
                    outcomes.append((pieces[0](db), None))
                except Exception as error:
                    if type(error) in _OF_THE_FILE:
                        raise
                    db.execute("ROLLBACK")
                    return [(None, error)]
                db.execute("COMMIT")
                return outcomes
            for work in pieces:
                db.execute("SAVEPOINT piece")
                try:
                    outcomes.append((work(db), None))
                except Exception as error:
                    if type(error) in _OF_THE_FILE:
                        raise
                    db.execute("ROLLBACK TO piece")
                    outcomes.append((None, error))
                db.execute("RELEASE piece")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return outcomes
