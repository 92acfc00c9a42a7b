"""How a run stands in its row, whatever happens to it at the same moment."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from engine.record import asks, commands, runs
from engine.record.connection import write_once
from engine.record.reader import Reader
from engine.record.runs import Status
from engine.record.writer import Writer
from engine.runs import pipelines, process


async def test_a_run_that_is_resumed_while_its_ask_is_answered_reads_as_running(
    database: Path, scripted_pipeline: Callable[..., dict[str, Any]]
) -> None:
    spec = pipelines.resolve(scripted_pipeline())
    run = write_once(database, lambda db: runs.create(db, spec["kind"], spec["title"], spec))
    with closing(Writer(database)) as writer, closing(Reader(database)) as reader:
        host = await process._take_over(database, run, writer)
        asking = asyncio.create_task(host.ask("text", "What now?"))
        await host.pause("command")
        async with asyncio.timeout(30):
            while not (waiting := reader.asks()):
                await asyncio.sleep(0)
        await host.commit(lambda db: asks.answer(db, waiting[0].n, "go on", "me"))
        put = await host.commit(lambda db: commands.put(db, host.run.n, "resume", {}, "me"))

        held = threading.Event()

        def hold(db: sqlite3.Connection) -> None:
            held.wait(30)

        holding = asyncio.create_task(host.commit(hold))  # what follows goes into one transaction
        await asyncio.sleep(0)
        command = commands.waiting(reader.db, host.run.n)[0]
        assert command.n == put
        resuming = asyncio.create_task(host.resume(command))
        await asyncio.sleep(0)
        host.answered(reader.db)
        while host._waits:
            await asyncio.sleep(0)
        held.set()
        assert await asking == "go on"
        await asyncio.gather(holding, resuming)
        stored = reader.db.execute("SELECT status FROM run WHERE id = ?", (run,)).fetchone()[0]
        assert stored == Status.RUNNING
