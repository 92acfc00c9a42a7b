"""The process of one run: holds its lock, plays its kind, takes commands, and says how it ended.

Everything it does to the record goes through one writer. It dies at any moment without harm: what was committed is
there, and the next host of the run goes on from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine.record import allowances, asks, commands, runs, turns
from engine.record.asks import AskKind, Option
from engine.record.commands import Command
from engine.record.errors import DiskFullError, RecordError
from engine.record.events import Kind
from engine.record.presence import Presence
from engine.record.reader import Reader
from engine.record.runs import Run, Status
from engine.record.writer import Writer
from engine.runs import kinds, log
from engine.settings.errors import UsageError

_T = TypeVar("_T")
BEAT = 2.0
"""Seconds between heartbeats."""
POLL = 0.02
"""Seconds between looks for new commands and answers; a look costs some 10 microseconds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: `reason` is machine-readable, `detail` for people."""

    status: Status
    reason: str
    detail: str | None = None


class Refused(Exception):
    """A command that cannot be done now: one line that says why."""


class Unanswered(Exception):
    """An ask that the run's policy forbids (`--answers fail`)."""


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
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._waits: list[dict[str, Any]] = []
        self._paused = ""

    async def commit(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` in the next transaction; returns once it is on disk.

        A cancellation that comes meanwhile is delivered at the caller's next wait, so that whoever asked for a commit
        always learns what it did.
        """
        future = asyncio.wrap_future(self._writer.submit(work))
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

    async def pause(self, why: str, command: Command | None = None) -> None:
        """Let nothing new begin until someone resumes."""
        self._paused = why
        self.gate.close()

        def paused(db: sqlite3.Connection) -> None:
            if command is None or commands.take(db, self.run.n, command):
                runs.set_status(db, self.run.n, Status.PAUSED, Kind.RUN_PAUSED, {"why": why})

        await self.commit(paused)

    async def resume(self, command: Command) -> None:
        def resumed(db: sqlite3.Connection) -> None:
            if commands.take(db, self.run.n, command):
                self._stand(db, paused=False)

        await self.commit(resumed)
        self.gate.open()

    @contextlib.asynccontextmanager
    async def waiting(self, why: str, ask: int | None = None) -> Any:
        """The run stands still for a reason outside it (an `ask`, or something else), and says so."""
        wait = {"why": why} | ({"ask": ask} if ask is not None else {})
        self._waits.append(wait)
        try:
            await self.commit(lambda db: self._stand(db, self.gate.closed))
            yield
        finally:
            self._waits.remove(wait)
            await self.commit(lambda db: self._stand(db, self.gate.closed))

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
        takes `fallback` (and asks where there is none), `fail` raises `Unanswered`.
        """
        policy = self.spec.get("answers", "ask")
        if policy == "fail":
            raise Unanswered(question)

        def take(db: sqlite3.Connection, number: int, answer: str) -> None:
            asks.take(db, number)
            if effect:
                effect(db, answer)

        def begin(db: sqlite3.Connection) -> tuple[int, str | None]:
            ask = asks.untaken(db, self.run.n, kind, subject)
            if ask is None:
                number = asks.open_ask(db, self.run.n, kind, question, options, subject=subject, fallback=fallback)
                if policy != "default" or fallback is None:
                    return number, None
                ask = asks.answer(db, number, fallback, "default")
            take(db, ask.n, ask.answer or "")
            return ask.n, ask.answer

        number, answer = await self.commit(begin)
        if answer is not None:
            return answer
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        try:
            async with self.waiting(question, number):
                answer = await future
            await self.commit(lambda db: take(db, number, answer))
            return answer
        finally:
            del self._answers[number]
            if not future.done() or future.cancelled():
                await self.commit(lambda db: asks.withdraw(db, number, "no longer needed"))

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

    def _stand(self, db: sqlite3.Connection, paused: bool) -> None:
        """Say how the run stands now: in its row and by the event of the same meaning."""
        if self._waits:
            wait = self._waits[-1]
            runs.set_status(db, self.run.n, Status.WAITING, Kind.RUN_WAITING, wait, detail=wait["why"])
        elif paused:
            runs.set_status(db, self.run.n, Status.PAUSED, Kind.RUN_PAUSED, {"why": self._paused})
        else:
            runs.set_status(db, self.run.n, Status.RUNNING, Kind.RUN_RESUMED)


def main(database: Path, run_id: str) -> int:
    """Play a run to its end in this process; returns the exit code."""
    os.umask(0o077)
    logger = log.open_log(database, run_id)
    presence = Presence(database, run_id)
    if not presence.acquire():
        logger.error("another host has this run already")
        return 1

    def trouble(error: DiskFullError | None) -> None:
        logger.warning("%s; trying again", error) if error else logger.warning("the disk has room again")

    try:
        writer = Writer(database, trouble)
    except RecordError as error:
        logger.error("%s", error)
        return 1
    try:
        return asyncio.run(_serve(database, run_id, writer, presence, logger))
    except RecordError as error:
        logger.error("%s", error)
        return 1
    except Exception:
        logger.exception("the host failed")
        return 1
    finally:
        writer.close()
        presence.release()


async def _serve(database: Path, run_id: str, writer: Writer, presence: Presence, logger: logging.Logger) -> int:
    host = await _take_over(database, run_id, writer)
    logger.info("run %s: %s", run_id, "resumed" if host.resumed else "started")
    play = kinds.load(host.run.kind).create(host)
    playing = asyncio.create_task(play.play(), name="play")
    stop: list[Outcome] = []

    def halt(outcome: Outcome) -> None:
        if not stop:
            stop.append(outcome)
            playing.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, halt, Outcome(Status.STOPPED, "terminated", "the system ended the process"))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    beating = asyncio.create_task(_beat(presence))
    listening = asyncio.create_task(_listen(host, play, halt), name="commands")
    try:
        done, _ = await asyncio.wait({playing, listening}, return_when=asyncio.FIRST_COMPLETED)
        if listening in done:
            playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing
            await listening  # it never ends by itself: this raises what ended it
        outcome = await _outcome(playing, stop, logger)
    finally:
        for task in (beating, listening):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await play.close()
    await host.commit(lambda db: _end(db, host.run.n, outcome))
    logger.info("run %s: %s, %s", run_id, outcome.status, outcome.reason)
    return 0 if outcome.status in (Status.FINISHED, Status.STOPPED) else 1


async def _outcome(playing: asyncio.Task[Outcome], stop: list[Outcome], logger: logging.Logger) -> Outcome:
    try:
        return await playing
    except asyncio.CancelledError:
        if stop:
            return stop[0]
        raise
    except (UsageError, Unanswered) as error:
        reason = "unanswered" if isinstance(error, Unanswered) else "wrong_use"
        return Outcome(Status.FAILED, reason, str(error))
    except RecordError:
        raise
    except Exception as error:
        logger.exception("the run failed")
        return Outcome(Status.FAILED, "internal_error", f"{type(error).__name__}: {error}")


async def _take_over(database: Path, run_id: str, writer: Writer) -> Host:
    """The run as its last host left it, its loose ends tied: a broken half-turn kept, reservations settled."""

    def take(db: sqlite3.Connection) -> tuple[Run, dict[str, Any], bool, int]:
        run = runs.find(db, run_id)
        crashed = run.active and run.status is not Status.QUEUED
        began = run.started is not None
        if crashed:
            runs.set_status(db, run.n, Status.CRASHED, Kind.RUN_CRASHED)
        live = turns.live(db, run.n)
        if live:
            turns.keep_partial(db, run.n, live.n, run.head, "crash")
        for ask in asks.listing(db, run.n):
            asks.withdraw(db, ask.n, "the host died first")
        allowances.settle_dead(db, run.n)
        commands.cancel_control(db, run.n)
        runs.start(db, run.n, os.getpid(), resumed=began)
        return runs.get(db, run.n), runs.spec(db, run), began, turns.when_finished(db, run.n)

    run, spec, resumed, continued = await writer.commit(take)
    host = Host(database, run, spec, writer)
    host.resumed, host.continued = resumed, continued
    return host


def _end(db: sqlite3.Connection, n: int, outcome: Outcome) -> None:
    for command in commands.waiting(db, n):
        commands.refuse(db, n, command, "the run has ended")
    for ask in asks.listing(db, n):
        asks.withdraw(db, ask.n, "the run has ended")
    runs.end(db, n, outcome.status, outcome.reason, outcome.detail)


async def _beat(presence: Presence) -> None:
    while True:
        presence.beat()
        await asyncio.sleep(BEAT)


async def _listen(host: Host, play: kinds.Play, halt: Callable[[Outcome], None]) -> None:
    reader = Reader(host.database)
    taken: set[int] = set()
    try:
        while True:
            if reader.changed():
                host.answered(reader.db)
                for command in commands.waiting(reader.db, host.run.n):
                    if command.n not in taken:
                        taken.add(command.n)
                        await _obey(host, play, halt, command)
            await asyncio.sleep(POLL)
    finally:
        reader.close()


async def _obey(host: Host, play: kinds.Play, halt: Callable[[Outcome], None], command: Command) -> None:
    try:
        match command.verb:
            case "pause":
                await host.pause("command", command)
            case "resume":
                await host.resume(command)
            case "stop":
                await host.commit(lambda db: commands.take(db, host.run.n, command))
                halt(Outcome(Status.STOPPED, "stop", f"stopped by {command.who}"))
            case _:
                await play.command(command)
    except (Refused, UsageError) as error:
        why = str(error)
        await host.commit(lambda db: commands.refuse(db, host.run.n, command, why))
