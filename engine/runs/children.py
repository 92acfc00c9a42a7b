"""Runs that a run plays: each has a process of its own; its host starts it, awaits its end, and stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from engine.record import commands, lineage, presence, runs
from engine.record.asks import Option
from engine.record.connection import open_reader
from engine.record.errors import RecordError
from engine.record.lineage import Child
from engine.record.runs import Run, Status
from engine.runs import spawn
from engine.runs.host import Host, outlast

_LOG = logging.getLogger("tertulia.host")
LOOK = 0.02
"""Seconds between looks at how a child stands; a look costs some 10 microseconds where nothing was written."""
_A_WHILE = 0.25
"""Seconds after which a child is looked at though nothing was written."""
_PATIENCE = 10.0
"""Seconds a child has to say that it has stopped."""
_TRIES = 3
"""Hosts that a child may lose without a word from it between them, before someone is asked."""
_AFTER_FAILURE = (
    Option("again", "go on with it", "g"),
    Option("skip", "leave it so", "s"),
    Option("stop", "stop the series", "x"),
)


class Abandoned(Exception):
    """A child could not be played, and whoever was asked stops the series for it: one line that says why."""


class Children:
    """The children of one host's run."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._who = f"series {host.run.id}"
        self._now: Child | None = None
        self._told_before = 0
        """The newest command when a host was last started here: what was said before is nothing to that host."""

    @property
    def now(self) -> Run | None:
        """The child that is being played."""
        return self._now.run if self._now else None

    async def play(self, child: Child, *, parting: bool = False) -> Child:
        """Start the child, or go on with it, and return it once it has ended and the series has taken note.

        `parting`: it is only to end politely, whatever became of an earlier word to that.

        It pauses and goes on with its series. Cancelled, the child is stopped, and goes on with the next host of the
        series. Raises Abandoned, RecordError.
        """
        if child.ended is not None:
            return child
        self._now = child
        try:
            while True:
                with self._reader() as db:
                    run = await self._until_over(db, child.run, parting)
                if run.status is not Status.FAILED or await self._leaves(run):
                    return await self._host.commit(lambda db: lineage.end(db, self._host.run.n, child))
                await self._start(run)
        except asyncio.CancelledError:
            await self._stop(child.run)
            raise
        finally:
            self._now = None

    async def tell(self, verb: str, command: commands.Command) -> None:
        """Hand a command on to the child that is being played, in the transaction in which it is taken."""
        child = self._now

        def write(db: sqlite3.Connection) -> None:
            if commands.take(db, self._host.run.n, command) and child:
                commands.put(db, child.run.n, verb, {}, command.who)

        await self._host.commit(write)

    async def _until_over(self, db: sqlite3.Connection, run: Run, parting: bool) -> Run:
        """Play a run until it has ended by itself, or by somebody else than its series. Raises Abandoned."""
        waits, told, fault = contextlib.AsyncExitStack(), "", ""
        lost, progress = 0, self._progress(db, run)
        try:
            while True:
                # first: a host that is gone has said before how the run ended, if it did
                orphaned = presence.holder(self._host.database, run.id) is None
                run = runs.get(db, run.n)
                if not run.active and not self._is_halted(run):
                    return run
                if orphaned:
                    came, progress = progress, self._progress(db, run)
                    lost = lost + 1 if came == progress else 1
                    if lost > _TRIES:
                        raise Abandoned(fault or f"run {run.id}: its host has died {_TRIES} times at the same turn")
                    await self._host.gate.passage()
                    fault = await self._start(run)
                    continue
                if parting and not self._is_parting(db, run):
                    await self._tell(run, "bye")
                await self._follow_gate(db, run)
                why = self._stands_still(db, run)
                if why != told:
                    await waits.aclose()
                    told = why
                    if why:
                        await waits.enter_async_context(self._host.waiting(why))
                await self._changed(db)
        finally:
            await waits.aclose()

    async def _start(self, run: Run) -> str:
        """A host for the run, unless it has one; returns why it has none, if so.

        A cancellation that comes meanwhile waits: who stops a child must know whether it has begun.
        """
        with self._reader() as db:
            self._told_before = commands.newest(db)
        starting = asyncio.to_thread(spawn.spawn, self._host.database, run.id, _LOG.getEffectiveLevel())
        try:
            await outlast(asyncio.ensure_future(starting))
        except RecordError as error:
            if presence.holder(self._host.database, run.id) is None:
                _LOG.warning("%s", error)
                return str(error)
        return ""

    async def _leaves(self, run: Run) -> bool:
        """Whether a child that has failed is left so, rather than gone on with. Raises Abandoned."""
        why = f"run {run.id} has failed: {run.detail or run.reason}"
        answer = await self._host.ask("choose", why, _AFTER_FAILURE, subject=f"run/{run.id}", fallback="stop")
        if answer == "stop":
            raise Abandoned(why)
        return answer == "skip"

    async def _stop(self, run: Run) -> None:
        """Stop a child as its series is stopped: not the child's own end, so it goes on with the series."""
        with self._reader() as db:
            if not spawn.is_live(self._host.database, runs.get(db, run.n, self._host.database)):
                return
            await self._tell(run, "stop")
            deadline = time.monotonic() + _PATIENCE
            while runs.get(db, run.n, self._host.database).active and time.monotonic() < deadline:
                await self._changed(db)

    def _is_halted(self, run: Run) -> bool:
        """Whether the run was ended from outside and goes on with its series: queued, or stopped with it."""
        stopped = run.reason == "terminated" or run.detail == f"stopped by {self._who}"
        return run.status is Status.STOPPED and stopped

    async def _follow_gate(self, db: sqlite3.Connection, run: Run) -> None:
        """Pause the child with its series, and let it go on with it."""
        ours = self._paused_by_us(db, run)
        if self._host.gate.closed and not ours and run.status is not Status.PAUSED:
            await self._tell(run, "pause")
        elif ours and not self._host.gate.closed:
            await self._tell(run, "resume")

    def _paused_by_us(self, db: sqlite3.Connection, run: Run) -> bool:
        """Whether the newest word to the host that the child has now is our pause."""
        row = db.execute(
            "SELECT verb, who FROM command WHERE run = ?1 AND verb IN ('pause', 'resume', 'step')"
            " AND state IN ('queued', 'taken') AND n > ?2 ORDER BY n DESC LIMIT 1",
            (run.n, self._told_before),
        ).fetchone()
        return row is not None and tuple(row) == ("pause", self._who)

    async def _tell(self, run: Run, verb: str) -> None:
        await self._host.commit(lambda db: commands.put(db, run.n, verb, {}, self._who))

    def _is_parting(self, db: sqlite3.Connection, run: Run) -> bool:
        """Whether the host that the child has now was told of the end, and has not lost the word in taking over."""
        told = db.execute(
            "SELECT 1 FROM command WHERE run = ? AND verb = 'bye' AND state <> 'cancelled' AND n > ?",
            (run.n, self._told_before),
        )
        return told.fetchone() is not None

    def _stands_still(self, db: sqlite3.Connection, run: Run) -> str:
        """What the child waits for, "" while it plays or waits with its series."""
        row = db.execute(
            "SELECT n, question FROM ask WHERE run = ? AND state = 'open' ORDER BY n LIMIT 1", (run.n,)
        ).fetchone()
        if row:
            return f"run {run.id} asks (ask {row[0]}): {row[1]}"
        if run.status is Status.PAUSED and not self._paused_by_us(db, run):
            return f"run {run.id} is paused; `tertulia resume {run.id}` lets it go on"
        return ""

    @staticmethod
    def _progress(db: sqlite3.Connection, run: Run) -> Any:
        return tuple(db.execute("SELECT turns, head FROM run WHERE n = ?", (run.n,)).fetchone())

    async def _changed(self, db: sqlite3.Connection) -> None:
        """Return when the record has changed, the gate has, or a while is over: a host that dies writes nothing."""
        closed = self._host.gate.closed
        version = db.execute("PRAGMA data_version").fetchone()[0]
        until = time.monotonic() + _A_WHILE
        while time.monotonic() < until and closed == self._host.gate.closed:
            await asyncio.sleep(LOOK)
            if db.execute("PRAGMA data_version").fetchone()[0] != version:
                return

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        db = open_reader(self._host.database)
        try:
            yield db
        finally:
            db.close()
