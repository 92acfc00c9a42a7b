"""The kind `loop`: a question set in motion. Roles speak in rounds, others write beside the talk; it is measured as it
goes."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from engine.memory import embedder
from engine.record import citations, minutes, next_prompt
from engine.record.citations import Source
from engine.record.events import Kind
from engine.record.minutes import Aside
from engine.runs.host import Host
from engine.talk import dissent, health, loop_spec, rounds, seats, stop_rules, tasks
from engine.talk.conversation import Conversation, Finding
from engine.talk.dissent import Dissent
from engine.talk.editing import Editor
from engine.talk.loop_spec import Loop as Spec
from engine.talk.loop_spec import LoopSeat
from engine.talk.pulse import Pulse
from engine.talk.recalling import Recalling
from engine.talk.speaker import Order
from engine.talk.spec import Seat
from engine.talk.view import Script
from engine.talk.writers import Writers

SEED = "question"
"""The key of a pipeline that `--seed TEXT` sets."""


def validate(pipeline: dict[str, Any], source: str) -> dict[str, Any]:
    return loop_spec.validate(pipeline, source).model_dump(mode="json")


async def check(data: dict[str, Any]) -> None:
    loop = Spec.model_validate(data)
    watcher = loop.watcher
    if loop.stop:
        asked = {dissent.MEASURE} if watcher else set()
        stop_rules.check_measured(loop.stop, health.trusted(embedder.default()) | asked)
    await seats.check(loop, [watcher] if watcher else [])


def create(host: Host) -> Loop:
    return Loop(host, Spec.model_validate(host.spec))


class Loop(Conversation):
    """One loop being played."""

    spec: Spec

    def __init__(self, host: Host, spec: Spec) -> None:
        super().__init__(host, spec)
        self._writers = Writers(self)
        self._pulse = Pulse(host, spec)
        self._dissent = Dissent(self)
        self._recalling = Recalling(host.database, host.run.n)
        self._sources: list[Source] = []
        """What the turn that comes was given from memory."""

    def next_seat(self) -> LoopSeat:
        return rounds.next_seat(self.spec, self.table.spoke)

    def opening(self) -> tuple[str, str] | None:
        return (self.spec.talkers[0].name, self.spec.question) if self.spec.literal else None

    def validated(self, data: dict[str, Any], source: str) -> Spec:
        return loop_spec.validate(data, source)

    def changed(self, new: Any = None) -> None:
        super().changed(new)
        self._pulse.spec = self.spec

    async def order(self, seat: Seat, prefill: str) -> Order:
        assert isinstance(seat, LoopSeat)
        topic = self._topic() if seat.name == self.spec.talkers[0].name else None
        recalled, self._sources = await self._recall(seat)
        memory, plain = await self.manner(seat)
        task = tasks.task(self.spec, seat, self.table.spoke, topic=topic, extra=recalled, fault=self.fault, plain=plain)
        begun = ""
        if plain and topic is None and self.seating.adapter(seat)[0].honours.prefill:
            begun = tasks.opening(self.spec, seat, self.table.spoke, self.table.retries)
        frame = Script(seat.name, tasks.system(self.spec, plain), task)
        order = await self.orders.write(
            self.spec,
            seat,
            frame,
            slot=self.host.run.id,
            turn=self.table.spoke.count(seat.name),
            room=tasks.room(self.spec),
            prefill=prefill or begun,
            wishes=tasks.wording(seat, plain).options,
            memory=memory,
        )
        order.given = begun
        order.edit = Editor(
            seat.name,
            [other.name for other in self.spec.seats],
            seat.part,
            plan=seat.format == "plan" and bool(tasks.wording(seat, plain).plan),
            topic=topic or "" if self.spec.guard else "",
            mended=bool(self.fault),
            begun=begun,
            words=said.words if plain and (said := seat.part.plain) else None,
        )
        return order

    async def manner(self, seat: LoopSeat) -> tuple[int | None, bool]:
        """How many of the latest messages the seat is sent, None for all that fit, and whether in plain words: those
        are for models that more would only confuse."""
        memory = await self.seating.memory(seat)
        if memory is None:
            return None, False
        said = seat.part.plain
        return (said.memory if said and said.memory and seat.memory is None else memory), True

    async def close(self) -> None:
        await asyncio.to_thread(self._recalling.close)
        await super().close()

    def finished(self, db: sqlite3.Connection) -> None:
        super().finished(db)
        if self._sources:
            citations.cite(db, self.host.run.n, self.table.rows[-1], self._sources)
            self._sources = []

    def _speak_for(self, db: sqlite3.Connection, seat: str, text: str) -> None:
        self._sources = []  # a human has not seen what the model whose turn was cut here was given
        super()._speak_for(db, seat, text)

    async def beside(self, last: bool = False) -> bool:
        """Measure the last turn; at the end of a round let those write who write beside the talk."""
        if await self._pulse.take(self.table) or await self._dissent.take():
            return True
        if not self.table.rows or not (last or rounds.is_over(self.spec, self.table.spoke)):
            return False
        given = await self.host.commit(lambda db: minutes.asides(db, self.host.run.n))
        for seat in self.spec.writers:
            if self._is_due(seat, [aside for aside in given if aside.seat == seat.name]):
                self.writing = seat
                await self._writers.write(seat, given)
                self.writing = None
                return True
        return False

    def skip_writing(self, db: sqlite3.Connection) -> None:
        if not isinstance(self.writing, LoopSeat):
            self._dissent.skip()
        else:
            minutes.give(db, self.host.run.n, self.table.rows[-1], self.writing.name, "")
        super().skip_writing(db)

    def crossed(self) -> Finding | None:
        for rule in self.spec.stop:
            watched = rule.measure == dissent.MEASURE
            series = self._dissent.series if watched else self._pulse.series.get(rule.measure, [])
            value = stop_rules.crossed(rule, series, self.heeded)
            if value is not None:
                told = {"measure": rule.measure, "value": round(value, 3), "rule": str(rule), "turns": rule.turns}
                detail = f"{rule} for {rule.turns} turn{'s' * (rule.turns != 1)}"
                return Finding(Kind.MEASURE_CROSSED, told, rule.then, f"measure:{rule.measure}", detail)
        return None

    async def _recall(self, seat: LoopSeat) -> tuple[str, list[Source]]:
        """What memory gives the seat on what was said last."""
        wanted = self.spec.recall
        named = [self.spec.seat(name).name for name in wanted.seats] or [each.name for each in self.spec.talkers]
        if seat.name not in named:
            return "", []
        cut = self.orders.cut(seat)
        before = self.table.seq_at(cut.keep + cut.drop) if cut.drop else None
        question = self.table.said[-1].text if self.table.said else self.spec.question
        found = await self._recalling.find(wanted, question, before)
        if why := self._recalling.news():
            await self._tell(Kind.MEMORY_LIMITED, {"why": why})
        return found

    def _is_due(self, seat: LoopSeat, given: list[Aside]) -> bool:
        """Whether the seat has something to write after the last turn."""
        if given and given[-1].after == self.table.rows[-1]:
            return False
        since = self.table.seq - (given[-1].seq if given else 0)
        return since >= (seat.part.every or 1)

    def _topic(self) -> str | None:
        """What the round before has named as the next topic, where rounds are chained."""
        if not self.spec.chain:
            return None
        first = self.spec.talkers[0].name
        begins = max((n for n, who in enumerate(self.table.spoke) if who == first), default=0)
        said = self.table.texts[begins:]
        return next((topic for text in reversed(said) if (topic := next_prompt.find(text or ""))), None)
