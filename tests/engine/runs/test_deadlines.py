"""An ask with a deadline is answered by its fallback in time, whoever is host then; others wait for ever."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.record import asks, runs
from engine.record.asks import Ask, Option
from engine.record.connection import open_reader, write_once
from engine.record.errors import RecordError
from engine.record.events import Event, after
from engine.record.writer import Writer
from engine.runs import host as hosts
from engine.runs import process
from engine.runs.host import Host

SOON = 0.05 / 60
"""Minutes: over before a test has ended."""
NEVER = 600.0
CHOICE = (Option("retry", "retry", "r"), Option("stop", "stop", "x"))


def create(database: Path, **spec: Any) -> str:
    return write_once(database, lambda db: runs.create(db, "duel", "t", {"kind": "duel", **spec}))


class Silent:
    """A play that takes no commands."""

    async def command(self, command: object) -> None: ...


@contextlib.asynccontextmanager
async def living(database: Path, run: str) -> AsyncIterator[Host]:
    """A host that has taken the run over and hears what is answered. Left, it dies without a word."""
    writer = Writer(database)
    host = await process._take_over(database, run, writer)
    listening = asyncio.create_task(process._listen(host, Silent(), lambda outcome: None))  # type: ignore[arg-type]
    try:
        yield host
    finally:
        host.commit = _dead  # type: ignore[method-assign]
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        writer.close()


async def _dead(work: object) -> Any:
    raise RecordError("the host was killed")


async def opened(database: Path, run: str) -> Ask:
    """The ask of the run, once it is open."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.closing(open_reader(database)) as db:
                if found := asks.listing(db, runs.find(db, run).n):
                    return found[0]
            await asyncio.sleep(0.005)


def read(database: Path, run: str) -> tuple[list[Ask], list[Event]]:
    with contextlib.closing(open_reader(database)) as db:
        n = runs.find(db, run).n
        return asks.listing(db, n, every=True), after(db, 0, run=n)


async def killed_in(host: Host, database: Path, run: str, **ask: Any) -> Ask:
    """Let the host put a question and die before it is answered."""
    asking = asyncio.create_task(host.ask("choose", "What now?", CHOICE, **ask))
    found = await opened(database, run)
    host.commit = _dead  # type: ignore[method-assign]
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    return found


async def test_the_fallback_is_taken_in_time_and_its_effect_with_it(database: Path) -> None:
    run = create(database, deadline=SOON)
    effects: list[str] = []

    def effect(db: sqlite3.Connection, value: str) -> None:
        effects.append(value)

    async with living(database, run) as host:
        before = time.time()
        async with asyncio.timeout(20):
            answer = await host.ask("choose", "What now?", CHOICE, fallback="stop", effect=effect)
    assert (answer, effects) == ("stop", ["stop"])
    (ask,), events = read(database, run)
    assert (ask.state, ask.answer, ask.who) == ("answered", "stop", "deadline")
    assert ask.deadline == pytest.approx(ask.opened + 0.05) and ask.opened >= before
    assert ask.closed is not None and ask.closed >= ask.deadline
    kinds = [event.kind for event in events if not event.kind.startswith("run.started")]
    assert kinds == ["run.queued", "ask.opened", "run.waiting", "ask.answered", "run.resumed"]
    told = {event.kind: event.data for event in events}
    assert told["ask.opened"]["deadline"] == ask.deadline and told["ask.answered"]["who"] == "deadline"


@pytest.mark.parametrize("spec", [{}, {"deadline": None}, {"deadline": NEVER}])
async def test_an_answer_that_comes_first_counts(database: Path, spec: dict[str, Any]) -> None:
    run = create(database, **spec)
    async with living(database, run) as host:
        asking = asyncio.create_task(host.ask("choose", "What now?", CHOICE, fallback="stop"))
        ask = await opened(database, run)
        assert (ask.deadline is None) == (spec.get("deadline") is None)
        write_once(database, lambda db: asks.answer(db, ask.n, "retry", "someone"))
        async with asyncio.timeout(20):
            assert await asking == "retry"
    ((ask,), _) = read(database, run)
    assert (ask.answer, ask.who) == ("retry", "someone")


async def test_an_answer_of_the_last_moment_is_not_overruled(database: Path) -> None:
    run = create(database, deadline=NEVER)
    async with living(database, run) as host:
        await killed_in(host, database, run, fallback="stop")
    ask = await opened(database, run)
    write_once(database, lambda db: asks.answer(db, ask.n, "retry", "someone"))
    assert write_once(database, lambda db: asks.expire(db, ask.n)) == "retry"
    ((ask,), _) = read(database, run)
    assert (ask.answer, ask.who) == ("retry", "someone")


async def test_an_ask_without_a_fallback_has_no_deadline(database: Path) -> None:
    run = create(database, deadline=SOON)
    async with living(database, run) as host:
        asking = asyncio.create_task(host.ask("text", "Your turn", subject="seat/A"))
        ask = await opened(database, run)
        assert ask.deadline is None
        write_once(database, lambda db: asks.answer(db, ask.n, "Here I am.", "someone"))
        async with asyncio.timeout(20):
            assert await asking == "Here I am."


async def test_time_runs_on_over_the_death_of_a_host(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(database, deadline=10.0)
    async with living(database, run) as host:
        first = await killed_in(host, database, run, subject="seat/A", fallback="stop")
    clock = first.opened + 300
    monkeypatch.setattr(hosts.time, "time", lambda: clock)
    async with living(database, run) as host:
        again = await killed_in(host, database, run, subject="seat/A", fallback="stop")
    assert again.n != first.n
    assert (again.opened, again.deadline) == (first.opened, first.deadline) == (first.opened, first.opened + 600)
    clock = first.opened + 601
    async with living(database, run) as host, asyncio.timeout(20):
        assert await host.ask("choose", "What now?", CHOICE, subject="seat/A", fallback="stop") == "stop"
        clock += 1
        later = await killed_in(host, database, run, subject="seat/A", fallback="stop")
    assert later.opened == clock and later.deadline == clock + 600
    assert [ask.who for ask in read(database, run)[0]] == [None, None, "deadline", None]


async def test_another_question_and_a_run_that_has_come_further_have_a_time_of_their_own(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create(database, deadline=10.0)
    async with living(database, run) as host:
        first = await killed_in(host, database, run, subject="seat/A", fallback="stop")
    clock = first.opened + 300
    monkeypatch.setattr(hosts.time, "time", lambda: clock)
    async with living(database, run) as host:
        assert (await killed_in(host, database, run, subject="seat/B", fallback="stop")).opened == clock
    async with living(database, run) as host:
        n = host.run.n
        await host.commit(lambda db: db.execute("UPDATE run SET turns = turns + 1 WHERE n = ?", (n,)).rowcount)
        assert (await killed_in(host, database, run, subject="seat/B", fallback="stop")).opened == clock
