"""What a kind is given to play its run: commits, asks, pauses, and the words in which it all ends."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.record import asks, commands, runs
from engine.record.asks import AskKind, Option
from engine.record.commands import Command
from engine.record.events import Kind
from engine.record.runs import Run, Status
from engine.record.writer import Writer

_T = TypeVar("_T")
_CLOCK = 1.0
"""Seconds between looks at the clock while a deadline runs: it goes on while the machine sleeps, timers do not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: `reason` is machine-readable, `detail` for people."""

    status: Status
    reason: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """An ask that its host did not live to see answered: when it was first opened, and how many turns there were."""

    opened: float
    turns: int


class Refused(Exception):
    """A command that cannot be done now: one line that says why."""


class Unanswered(Exception):
    """An ask that the run's policy forbids (`--answers fail`)."""


async def outlast(future: asyncio.Future[_T]) -> _T:
    """What `future` gives. A cancellation that comes meanwhile is delivered at the caller's next wait."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            cancelled = True
    task = asyncio.current_task()
    if cancelled and task:
        task.uncancel()
        task.cancel()
    return future.result()


class Gate:
    """Lets steps of a run pass one by one, all, or none."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._steps = 0

    @property
    def closed(self) -> bool:
        return not self._open.is_set()

    def close(self) -> None:
        self._steps = 0
        self._open.clear()

    def open(self) -> None:
        self._steps = 0
        self._open.set()

    def step(self) -> None:
        """Let one step pass, then none."""
        self._steps = 1
        self._open.set()

    async def passage(self) -> None:
        """Wait until a step may begin."""
        await self._open.wait()
        if self._steps:
            self._steps = 0
            self._open.clear()


class Host:
    """What a kind is given to play its run."""

    def __init__(self, database: Path, run: Run, spec: dict[str, Any], writer: Writer) -> None:
        self.database = database
        self.run = run
        self.spec = spec
        self.gate = Gate()
        self.resumed = False
        """Whether this host goes on with a run that another one began."""
        self.continued = 0
        """The last row of the run's turns when it last finished and was asked to go on; 0 where it never was."""
        self._writer = writer
        self.left: dict[tuple[str, str | None], Left] = {}
        """What a dead host asked and nobody answered, by kind and subject: asked again, its time still runs."""
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._waits: list[dict[str, Any]] = []
        self._paused = ""
        """Why the run is paused; empty while it is not."""

    async def commit(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` in the next transaction; returns once it is on disk.

        A cancellation that comes meanwhile is delivered at the caller's next wait, so that whoever asked for a commit
        always learns what it did.
        """
        return await outlast(asyncio.wrap_future(self._writer.submit(work)))

    async def pause(self, why: str, command: Command | None = None) -> None:
        """Let nothing new begin until someone resumes."""
        self._paused = why
        self.gate.close()

        def paused(db: sqlite3.Connection) -> None:
            if command is None or commands.take(db, self.run.n, command):
                runs.set_status(db, self.run.n, Status.PAUSED, Kind.RUN_PAUSED, {"why": why})

        await self.commit(paused)

    async def resume(self, command: Command) -> None:
        self._paused = ""
        stand = self._standing()

        def resumed(db: sqlite3.Connection) -> None:
            if commands.take(db, self.run.n, command):
                stand(db)

        await self.commit(resumed)
        self.gate.open()

    @contextlib.asynccontextmanager
    async def waiting(self, why: str, ask: int | None = None) -> Any:
        """The run stands still for a reason outside it (an `ask`, or something else), and says so."""
        wait = {"why": why} | ({"ask": ask} if ask is not None else {})
        self._waits.append(wait)
        try:
            await self.commit(self._standing())
            yield
        finally:
            self._waits.remove(wait)
            await self.commit(self._standing())

    async def ask(
        self,
        kind: AskKind,
        question: str,
        options: tuple[Option, ...] = (),
        *,
        subject: str | None = None,
        fallback: str | None = None,
        effect: Callable[[sqlite3.Connection, str], object] | None = None,
    ) -> str:
        """Ask whoever is attached and wait for the answer; cancelling withdraws the ask.

        `effect` is what the answer writes: it happens together with the answer being taken, or neither does. An answer
        that an earlier host of the run did not live to take counts now. The run's policy may answer instead: `default`
        takes `fallback` (and asks where there is none), `fail` raises `Unanswered`. Where there is a `fallback`, it is
        taken `deadline` minutes (a key of the spec) after the ask was first opened, by whichever host of the run.
        """
        policy = self.spec.get("answers", "ask")
        minutes = self.spec.get("deadline") if fallback is not None else None
        if policy == "fail":
            raise Unanswered(question)

        def take(db: sqlite3.Connection, number: int, answer: str) -> None:
            asks.take(db, number)
            if effect:
                effect(db, answer)

        def begin(db: sqlite3.Connection) -> tuple[int, str | None, float | None]:
            ask = asks.untaken(db, self.run.n, kind, subject)
            if ask is None:
                opened = self._first_opened(db, kind, subject)
                deadline = opened + minutes * 60 if minutes else None
                number = asks.open_ask(
                    db,
                    self.run.n,
                    kind,
                    question,
                    options,
                    subject=subject,
                    fallback=fallback,
                    deadline=deadline,
                    opened=opened,
                )
                if policy != "default" or fallback is None:
                    return number, None, deadline
                ask = asks.answer(db, number, fallback, asks.DEFAULT)
            take(db, ask.n, ask.answer or "")
            return ask.n, ask.answer, None

        number, answer, deadline = await self.commit(begin)
        if answer is not None:
            return answer
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        try:
            async with self.waiting(question, number):
                answer = await self._in_time(number, future, deadline)
            await self.commit(lambda db: take(db, number, answer))
            return answer
        finally:
            del self._answers[number]
            if not future.done() or future.cancelled():
                await self.commit(lambda db: asks.withdraw(db, number, "no longer needed"))

    def _first_opened(self, db: sqlite3.Connection, kind: str, subject: str | None) -> float:
        """When the question was first put: it is the same one as long as the run has come no further."""
        left = self.left.pop((kind, subject), None)
        return left.opened if left and left.turns == runs.get(db, self.run.n).turns else time.time()

    async def _in_time(self, number: int, future: asyncio.Future[str], deadline: float | None) -> str:
        """The answer to an ask, or its fallback once the deadline (Unix time) is over."""
        while deadline is not None and not future.done():
            left = deadline - time.time()
            if left <= 0:
                return await self.commit(lambda db: asks.expire(db, number))
            await asyncio.wait({future}, timeout=min(left, _CLOCK))
        return await future

    def answered(self, db: sqlite3.Connection) -> None:
        """Hand the answers that have come to whoever waits for them."""
        for number, future in list(self._answers.items()):
            ask = asks.get(db, number)
            if ask.state == "answered" and not future.done():
                future.set_result(ask.answer or "")

    async def change_spec(self, new: dict[str, Any], changes: dict[str, Any], also: Callable[[Any], None]) -> None:
        """Store a changed spec together with what `also` writes."""

        def change(db: sqlite3.Connection) -> None:
            runs.change_spec(db, self.run.n, new, changes)
            also(db)

        await self.commit(change)
        self.spec = new

    def _standing(self) -> Callable[[sqlite3.Connection], None]:
        """What says how the run stands now, in its row and by the event of the same meaning.

        It is settled here and not in the writer's thread, where a later change could overtake it.
        """
        status, kind, data = Status.RUNNING, Kind.RUN_RESUMED, None
        if self._waits:
            status, kind, data = Status.WAITING, Kind.RUN_WAITING, self._waits[-1]
        elif self._paused:
            status, kind, data = Status.PAUSED, Kind.RUN_PAUSED, {"why": self._paused}
        detail = data["why"] if data and self._waits else None
        return lambda db: runs.set_status(db, self.run.n, status, kind, data, detail=detail)
