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
from pathlib import Path
from typing import Any

from engine.record import allowances, asks, commands, runs, turns
from engine.record.commands import Command
from engine.record.errors import DiskFullError, RecordError
from engine.record.events import Kind
from engine.record.presence import Presence
from engine.record.reader import Reader
from engine.record.runs import Run, Status
from engine.record.writer import Writer
from engine.runs import kinds, log, throwaway
from engine.runs.host import Host, Left, Outcome, Refused, Unanswered
from engine.settings import keys
from engine.settings.errors import UsageError

_LOG = logging.getLogger("tertulia.host")
BEAT = 2.0
"""Seconds between heartbeats."""
OWNER_POLL = 0.25
"""Seconds between looks whether the owner of a run that is not kept still lives."""
POLL = 0.02
"""Seconds between looks for new commands and answers; a look costs some 10 microseconds."""


def main(database: Path, run_id: str, level: int = logging.INFO, owner: Path | None = None) -> int:
    """Play a run to its end in this process, its log at `level`; returns the exit code.

    With `owner`, the run does not outlive whoever holds that lock, and nothing of it does.
    """
    os.umask(0o077)
    keys.leave_folder()
    if owner is None:
        return _host(database, run_id, level, None)
    if not throwaway.is_owned(owner):
        return 1
    try:
        return _host(database, run_id, level, owner)
    finally:
        throwaway.discard(owner)


def _host(database: Path, run_id: str, level: int, owner: Path | None) -> int:
    logger = log.open_log(database, run_id, level)
    presence = Presence(database, run_id)
    if not presence.acquire():
        logger.error("another host has this run already")
        return 1

    def trouble(error: DiskFullError | None) -> None:
        logger.warning("%s%s", error, log.TRYING) if error else logger.warning("the disk has room again")

    try:
        writer = Writer(database, trouble)
    except RecordError as error:
        logger.error("%s", error)
        return 1
    try:
        return asyncio.run(_serve(database, run_id, writer, presence, logger, owner))
    except RecordError as error:
        logger.error("%s", error)
        return 1
    except Exception:
        logger.exception("the host failed")
        return 1
    finally:
        writer.close()
        presence.release()


async def _serve(
    database: Path, run_id: str, writer: Writer, presence: Presence, logger: logging.Logger, owner: Path | None
) -> int:
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
    tasks = [asyncio.create_task(_beat(presence))]
    if owner:
        tasks.append(asyncio.create_task(_outlive_nobody(owner, halt)))
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
        for task in (*tasks, listening):
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

    left: dict[tuple[str, str | None], Left] = {}

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
            left[ask.kind, ask.subject] = Left(ask.opened, run.turns)
            asks.withdraw(db, ask.n, "the host died first")
        allowances.settle_dead(db, run.n)
        commands.cancel_control(db, run.n)
        runs.start(db, run.n, os.getpid(), resumed=began)
        return runs.get(db, run.n), runs.spec(db, run), began, turns.when_finished(db, run.n)

    run, spec, resumed, continued = await writer.commit(take)
    host = Host(database, run, spec, writer)
    host.resumed, host.continued, host.left = resumed, continued, left
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


async def _outlive_nobody(owner: Path, halt: Callable[[Outcome], None]) -> None:
    """End the run once its owner is gone."""
    while True:
        await asyncio.sleep(OWNER_POLL)
        if not throwaway.is_owned(owner):
            halt(Outcome(Status.STOPPED, "terminated", "the terminal that it belonged to is gone"))


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
    _LOG.debug("%s: %s", command.who, command.verb)
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
        _LOG.warning("%s of %s is refused: %s", command.verb, command.who, why)
        await host.commit(lambda db: commands.refuse(db, host.run.n, command, why))
