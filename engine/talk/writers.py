"""What is written beside a loop at the end of a round: the minutes, digests, scores."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.record import events, minutes
from engine.record.events import Kind
from engine.record.minutes import Aside, Item
from engine.talk import answers, sentences, tasks
from engine.talk import minutes as taking
from engine.talk.editing import Editor
from engine.talk.loop_spec import LoopSeat
from engine.talk.minutes import Entry, Matter, Unusable, Words
from engine.talk.view import Script

if TYPE_CHECKING:
    from engine.talk.loop import Loop

_SCORE = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "enum": list(range(11))},
        "why": {"type": "string", "maxLength": 240},
    },
    "required": ["score", "why"],
    "additionalProperties": False,
}


class Writers:
    """Writes for the seats of one loop that have no turns."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._run = loop.host.run.n
        self._turn = 0
        """How often the seat that writes has written before."""

    async def write(self, seat: LoopSeat, given: Sequence[Aside]) -> None:
        """What the seat writes after the last turn. Raises ProviderError, LimitReached, ContextFullError."""
        loop = self._loop
        after, seq = loop.table.rows[-1], loop.table.seq
        told = {"seat": seat.name, "after": seq}
        await loop.host.commit(lambda db: events.append(db, self._run, Kind.ASIDE_STARTED, f"turn/{seq}", told))
        self._turn = sum(aside.seat == seat.name for aside in given)
        if seat.part.place == "minutes":
            await self._minutes(seat, given, after)
        elif seat.part.score:
            await self._score(seat, after)
        else:
            await self._digest(seat, after)

    async def _minutes(self, seat: LoopSeat, given: Sequence[Aside], after: int) -> None:
        loop = self._loop
        own = [aside for aside in given if aside.seat == seat.name]
        # words that no minutes could be had of are given once more, and then passed over
        covered = max([aside.seq for aside in own if aside.text] + [aside.seq for aside in own[:-1]], default=0)
        new = [
            Words(row, seq, who, text)
            for seq, (row, who, text) in enumerate(
                zip(loop.table.rows, loop.table.spoke, loop.table.texts, strict=True), 1
            )
            if seq > covered and text
        ]
        known: list[Item] = await loop.host.commit(lambda db: minutes.items(db, self._run))
        opened = taking.offered([item for item in known if item.open], new)
        _, brief = await loop.manner(seat)
        matter = Matter(tuple(new), tuple(opened), brief)
        entry, fault = Entry(), ""
        for attempt in range(2):
            answer = await self._ask(seat, "minutes", "", fault, attempt, matter.schema(), matter)
            try:
                entry, fault = (taking.read_brief if brief else taking.read)(answer, new, known), ""
                break
            except Unusable as error:
                fault = str(error)
        rejected = [*entry.rejected, fault] if fault else entry.rejected

        def write(db: sqlite3.Connection) -> None:
            minutes.take(db, self._run, after, seat.name, entry.text, entry.raised, entry.closed, rejected)

        await loop.host.commit(write)

    async def _score(self, seat: LoopSeat, after: int) -> None:
        told = 'Answer as JSON: {"score": a whole number from 0 to 10, "why": one sentence}.'
        fault, score, why = "", None, ""
        for attempt in range(2):
            answer = await self._ask(seat, "score", told, fault, attempt, _SCORE)
            score, why = _scored(answer)
            if score is not None:
                break
            fault = "the answer is not such a JSON object"
        text = why if score is not None else ""
        await self._loop.host.commit(
            lambda db: minutes.give(db, self._run, after, seat.name, text, None if score is None else float(score))
        )

    async def _digest(self, seat: LoopSeat, after: int) -> None:
        names = [other.name for other in self._loop.spec.seats]
        _, brief = await self._loop.manner(seat)
        words = seat.part.plain.words if brief and seat.part.plain else None
        text = fault = ""
        for attempt in range(2):
            answer = await self._ask(seat, "aside", "", fault, attempt)
            if brief:  # their room is small, and ends in the middle of a sentence
                answer = sentences.trim_to_sentence(answer)
            edited = Editor(seat.name, names, seat.part, mended=attempt == 1, words=words)(answer)
            text, fault = edited.text, edited.fault
            if not fault:
                break
        await self._loop.host.commit(lambda db: minutes.give(db, self._run, after, seat.name, text))

    async def _ask(
        self,
        seat: LoopSeat,
        purpose: str,
        told: str,
        fault: str,
        attempt: int,
        schema: dict[str, Any] | None = None,
        matter: Matter | None = None,
    ) -> str:
        loop = self._loop
        memory, plain = await loop.manner(seat)
        adapter, _ = loop.seating.adapter(seat)
        schema = schema if adapter.honours.answer_schema else None
        if plain and schema:  # its form is given: told of it, a small model speaks of nothing else
            told = ""
        task = tasks.task(loop.spec, seat, loop.table.spoke, fault=fault, plain=plain)
        begun = ""
        if plain and not schema and not matter and adapter.honours.prefill:
            begun = tasks.opening(loop.spec, seat, loop.table.spoke, self._turn + attempt)
        frame = Script(
            seat.name, tasks.system(loop.spec, plain), "\n\n".join(part for part in (task, told) if part), matter
        )
        order = await loop.orders.write(
            loop.spec,
            seat,
            frame,
            slot=loop.host.run.id,
            turn=self._turn,
            room=tasks.room(loop.spec),
            schema=schema,
            prefill=begun,
            wishes=tasks.wording(seat, plain).options,
            memory=memory,
            again=attempt,
        )
        return await answers.answer(
            loop.host,
            order.ledger,
            order.adapter,
            order.place,
            order.request,
            purpose=purpose,
            seat=seat.name,
            recipe=order.recipe,
            prompt_tokens=order.prompt_tokens,
            on_answer=loop.memory_wait.end,
        )


def _scored(answer: str) -> tuple[int | None, str]:
    """(score from 0 to 10, why), None where the answer holds none."""
    start, end = answer.find("{"), answer.rfind("}")
    try:
        data = json.loads(answer[start : end + 1]) if start >= 0 else {}
    except (ValueError, RecursionError):
        return None, ""
    score, why = (data.get("score"), data.get("why")) if isinstance(data, dict) else (None, None)
    if not isinstance(score, int) or isinstance(score, bool) or not 0 <= score <= 10:
        return None, ""
    return score, " ".join(why.split()) if isinstance(why, str) else ""
