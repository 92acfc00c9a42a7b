"""A duel played in the test's own process, over a record of its own, with commands as rows like everyone else's."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from engine.providers import scripted
from engine.providers.protocol import Request
from engine.record import asks, calls, commands, content, events, runs, turns
from engine.record.asks import Ask
from engine.record.calls import Call
from engine.record.connection import open_reader, write_once
from engine.record.errors import RecordError
from engine.record.events import Event
from engine.record.runs import Run
from engine.record.turns import State, Turn
from engine.record.writer import Writer
from engine.runs import kinds, pipelines, process
from engine.runs.host import Host, Outcome
from engine.talk.conversation import Conversation

_T = TypeVar("_T")
PATIENCE = 20.0


@dataclass
class Live:
    """One host at work. `tell` gives it a command and waits for what it says to that."""

    stage: Stage
    run: str
    writer: Writer
    host: Host
    duel: Conversation
    playing: asyncio.Task[Outcome]
    halted: list[Outcome] = field(default_factory=list)

    @property
    def requests(self) -> list[Request]:
        """What the scripted adapter was sent, in order."""
        adapter: Any = self.duel.seating._adapters.get("scripted")
        return list(adapter.requests) if adapter else []

    async def tell(self, verb: str, **args: Any) -> tuple[str, str | None]:
        """(taken or refused, why) once the host has decided."""
        n = self.stage.n(self.run)
        number = self.stage.write(lambda db: commands.put(db, n, verb, args, "test"))
        return await self.until(
            lambda db: found if (found := commands.outcome(db, number))[0] != "queued" else None, verb
        )

    async def until(self, look: Callable[[sqlite3.Connection], _T | None], what: str) -> _T:
        """The first thing `look` finds in the record that is not None (or false)."""
        deadline = time.monotonic() + PATIENCE
        db = open_reader(self.stage.database)
        try:
            while not (found := look(db)):
                assert time.monotonic() < deadline, f"waited in vain: {what}"
                if self.playing.done() and not self.playing.cancelled() and self.playing.exception():
                    await self.playing
                await asyncio.sleep(0.004)
            return found
        finally:
            db.close()

    async def shown(self, seq: int, characters: int = 1) -> None:
        """Wait until turn `seq` is live and has shown so many characters."""
        n = self.stage.n(self.run)

        def look(db: sqlite3.Connection) -> bool:
            live = turns.live(db, n)
            return live is not None and live.seq == seq and len(live.text) >= characters

        await self.until(look, f"text of turn {seq}")

    async def asked(self) -> Ask:
        n = self.stage.n(self.run)
        return (await self.until(lambda db: asks.listing(db, n), "an ask"))[0]

    async def answer(self, value: str) -> None:
        ask = await self.asked()
        self.stage.write(lambda db: asks.answer(db, ask.n, value, "test"))

    async def alone(self) -> Outcome:
        """How the run ended, with nobody there to answer: an ask is a failure."""
        n = self.stage.n(self.run)
        found = await self.until(lambda db: asks.listing(db, n) or self.playing.done(), "the end")
        assert found is True, f"the run asks: {found[0].question}"
        return await self.ended()

    async def ended(self) -> Outcome:
        """How the run ended, once it has."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await asyncio.shield(self.playing)
            except asyncio.CancelledError:
                if self.halted:
                    return self.halted[0]
                raise


@dataclass
class Stage:
    """A record to play in. Scripts and personas are the test's."""

    database: Path

    def pipeline(self, script: dict[str, Any] | None = None, **over: Any) -> dict[str, Any]:
        """Ann and Bob, Ann first, on one script; `ann` and `bob` change their seats, other keys the pipeline."""
        if script is not None:
            scripted.register("play", script)
        seats = [{"persona": name, "model": "scripted/play", **over.pop(name, {})} for name in ("ann", "bob")]
        base = {"kind": "duel", "seats": seats, "starter": "ann", "rules": "none", "limits": {"turns": 4}}
        return {**base, "repetition": {"then": "ignore"}, **over}

    def create(self, pipeline: dict[str, Any], sets: Sequence[str] = (), answers: str = "ask") -> str:
        spec = pipelines.resolve(pipeline, sets) | {"answers": answers}
        return self.write(lambda db: runs.create(db, spec["kind"], spec["title"], spec))

    def change(self, run: str, sets: Sequence[str]) -> None:
        """What `resume --set` writes before a new host starts."""
        from engine.runs.control import Control

        control = Control(self.database, "test")
        found = control._find(run)
        spec = control._changed(found, sets)
        self.write(lambda db: runs.change_spec(db, found.n, spec, {"changed": list(sets)}))

    @contextlib.asynccontextmanager
    async def host(self, run: str, crash: bool = False) -> AsyncIterator[Live]:
        """A host that has taken the run over. Left, it ends the run as a host does, or dies without a word."""
        writer = Writer(self.database)
        taken = await process._take_over(self.database, run, writer)
        play: Any = kinds.load(taken.run.kind).create(taken)
        live = Live(self, run, writer, taken, play, asyncio.create_task(play.play()))

        def halt(outcome: Outcome) -> None:
            live.halted.append(outcome)
            live.playing.cancel()

        listening = asyncio.create_task(process._listen(taken, play, halt))
        try:
            yield live
            if not crash:
                outcome = await live.ended()
                await taken.commit(lambda db: process._end(db, taken.run.n, outcome))
        finally:
            if crash or not live.playing.done():
                taken.commit = _dead  # type: ignore[method-assign]
            for task in (listening, live.playing):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asyncio.gather(listening, live.playing, return_exceptions=True)
            await play.close()
            writer.close()

    async def play(self, pipeline: dict[str, Any], sets: Sequence[str] = (), answers: str = "ask") -> Played:
        """The whole run, with nobody to intervene."""
        run = self.create(pipeline, sets, answers)
        return await self.go_on(run)

    async def go_on(self, run: str) -> Played:
        async with self.host(run) as live:
            outcome = await live.alone()
        return Played(self, run, outcome, live.requests)

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return write_once(self.database, work)

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        db = open_reader(self.database)
        try:
            return work(db)
        finally:
            db.close()

    def used(self) -> int:
        """Bytes of the record that hold something."""

        def pages(db: sqlite3.Connection) -> int:
            count, free, size = (
                int(db.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
            return (count - free) * size

        return self.read(pages)

    def n(self, run: str) -> int:
        return self.read(lambda db: runs.find(db, run)).n

    def row(self, run: str) -> Run:
        return self.read(lambda db: runs.find(db, run))

    def turns(self, run: str, *states: State) -> list[Turn]:
        """Turns of the run in the given states (finished ones), notes aside."""
        wanted = states or (State.FINISHED,)
        listed = self.read(lambda db: turns.listing(db, runs.find(db, run).n))
        return [turn for turn in listed if turn.role == "turn" and turn.state in wanted]

    def said(self, run: str) -> list[tuple[str, str]]:
        return [(turn.seat, turn.text) for turn in self.turns(run)]

    def events(self, run: str, kind: str) -> list[Event]:
        n = self.n(run)
        return [
            event for event in self.read(lambda db: events.after(db, 0, run=n, limit=100_000)) if event.kind == kind
        ]

    def calls(self, run: str, purpose: str = "turn") -> list[Call]:
        n = self.n(run)
        return [call for call in self.read(lambda db: calls.of_run(db, n)) if call.purpose == purpose]

    def spent(self, run: str) -> dict[str, float]:
        n = self.n(run)
        return dict(
            self.read(lambda db: db.execute("SELECT unit, spent FROM allowance WHERE run = ?", (n,)).fetchall())
        )

    def chain(self, run: str) -> list[tuple[str, str]]:
        """(author, text) of the conversation as the run's head has it, notes included."""
        return [(said.author, said.text) for said in self.read(lambda db: content.chain(db, runs.find(db, run).head))]


@dataclass
class Played:
    """A run that has ended: how, and what was sent on the way."""

    stage: Stage
    run: str
    outcome: Outcome
    requests: list[Request]

    @property
    def said(self) -> list[tuple[str, str]]:
        return self.stage.said(self.run)

    def sent(self, seat: str) -> list[Request]:
        return [request for request in self.requests if request.slot.endswith(f"/{seat}")]


async def _dead(work: Any) -> Any:
    raise RecordError("the host was killed")
