"""What a seat's next turn is to be: its view of the talk, fitted into its window, as a request."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.providers import estimate
from engine.providers.protocol import Message, Model, Request
from engine.record import content, events
from engine.record.content import Said
from engine.record.events import Kind
from engine.runs.host import Host
from engine.talk import summary, window
from engine.talk.ledger import Ledger
from engine.talk.seats import Seating
from engine.talk.speaker import Order
from engine.talk.spec import Seat, Talk
from engine.talk.table import Table
from engine.talk.view import Cut, Dialogue, Script
from engine.talk.window import ContextFullError

_ANOTHER_DRAW = 1_000_003
"""Added to the seed each time a turn is redone: the same seed would only say the same again."""


class Orders:
    """Writes the orders of one run."""

    def __init__(self, host: Host, seating: Seating, table: Table) -> None:
        self._host = host
        self._seating = seating
        self._table = table
        self._cuts: dict[str, Cut] = {}
        self._summaries: dict[tuple[int, ...], str] = {}

    def forget(self) -> None:
        """A seat or the history is another one: what fitted before says nothing now."""
        self._cuts.clear()

    def cut(self, seat: Seat) -> Cut:
        """What the seat's last order left out."""
        return self._cuts.get(seat.name, Cut())

    async def write(
        self,
        talk: Talk,
        seat: Seat,
        frame: Dialogue | Script,
        *,
        slot: str,
        turn: int | None = None,
        room: int = 0,
        schema: dict[str, Any] | None = None,
        prefill: str = "",
        wishes: Mapping[str, Any] | None = None,
        memory: int | None = None,
        again: int = 0,
    ) -> Order:
        """The order of the seat's next turn, or of what it writes beside the talk.

        `slot` names the prompt cache to use; `room` is how many tokens of the window stay free of the conversation,
        so that seats who share a cache cut at the same place. Of a script, `memory` is how many of the latest messages
        are sent, None for all that fit; `wishes` are options below the seat's own. `again` is how often an answer
        beside the talk was asked for before.

        Raises ContextFullError, ProviderError, UsageError.
        """
        table, name = self._table, seat.model or ""
        adapter, model = self._seating.adapter(seat)
        options = self._seating.options(seat, wishes)
        seed = None
        if talk.seed is not None and "seed" in adapter.honours.options and "seed" not in options:
            seed = talk.seed + table.seq + 1 + _ANOTHER_DRAW * (table.retries + again)
        sent = options if seed is None else {**options, "seed": seed}
        head = table.head
        window_size = size = await self._seating.window(seat, options)
        if size and isinstance(frame, Script):
            own = int(options.get("max_tokens") or window.RESERVE) + estimate.size([Message("user", frame.task)])
            size -= max(0, room - own)

        async def summarise(dropped: Sequence[Said], before: str) -> str:
            return await self._summary(talk, seat, size, dropped, before)

        before = self.cut(seat).drop
        if isinstance(frame, Dialogue):
            forgotten = _forgotten(table.said, seat.name, await self._seating.memory(seat))
        else:
            forgotten = max(0, len(table.said) - memory) if memory else 0
        bare = Request(model, [], sent, answer_schema=schema, prefill=prefill, slot=slot, turn=turn, seat=seat.name)
        fit = await window.fit(
            adapter,
            name,
            bare,
            frame,
            table.said[forgotten:],
            size,
            "refuse" if forgotten else talk.context.strategy,
            summarise,
            0 if forgotten else before,
        )
        cut = Cut(0, forgotten) if forgotten else fit.cut
        self._cuts[seat.name] = cut
        news = cut.drop and (not before if forgotten else cut.drop != before)

        def recipe(db: sqlite3.Connection) -> dict[str, Any]:
            for used, known in self._seating.learned().items():
                _tell_of(db, self._host.run.n, used, known)
            if news:
                told = {
                    "seat": seat.name,
                    "strategy": "memory" if forgotten else talk.context.strategy,
                    "kept": cut.keep,
                    "dropped": cut.drop,
                    "tokens": fit.tokens,
                    "window": window_size,
                    "exact": fit.exact,
                }
                events.append(db, self._host.run.n, Kind.CONTEXT_CUT, None, told)
            return _recipe(db, frame, head, options, cut, seed, prefill, schema)

        return Order(
            seat=seat.name,
            persona=seat.persona,
            model=name,
            seq=table.seq + 1,
            adapter=adapter,
            place=self._seating.place(seat),
            request=replace(bare, messages=fit.messages),
            recipe=recipe,
            ledger=Ledger(self._host, name, bool(talk.limits.cost)),
            prompt_tokens=fit.tokens,
            head=head,
            whole_sentences=seat.ends_whole,
        )

    async def _summary(self, talk: Talk, seat: Seat, size: int | None, dropped: Sequence[Said], before: str) -> str:
        """A summary of dropped messages by the seat's own model; made once, found again after a restart."""
        key = tuple(message.n for message in dropped)
        if key not in self._summaries:
            found = await self._host.commit(lambda db: summary.find(db, self._host.run.n, key))
            self._summaries[key] = found or await self._summarise(talk, seat, size, dropped, before)
        return self._summaries[key]

    async def _summarise(self, talk: Talk, seat: Seat, size: int | None, dropped: Sequence[Said], before: str) -> str:
        """One call, or one for each half where a call for all would not fit the model's window either."""
        adapter, model = self._seating.adapter(seat)
        asked = summary.request(model, self._host.run.id, self._seating.options(seat), dropped, before)
        if size and (await adapter.count(asked)).tokens > size - summary.ANSWER:
            half = len(dropped) // 2
            if not half:
                raise ContextFullError(
                    f"a message of {len(dropped[0].text)} characters is too long for {seat.model} to summarise;"
                    " choose a model with a larger window, or context.strategy: drop-oldest"
                )
            before = await self._summary(talk, seat, size, dropped[:half], before)
            return await self._summary(talk, seat, size, dropped[half:], before)
        ledger = Ledger(self._host, seat.model or "", bool(talk.limits.cost))
        numbers = [message.n for message in dropped]
        return await summary.summarise(
            self._host, ledger, adapter, self._seating.place(seat), seat.name, asked, numbers
        )


def _tell_of(db: sqlite3.Connection, run: int, name: str, model: Model) -> None:
    """Keep what serves a model and which weights it has, where that is known and not what it was before."""
    said = {"server": model.server, "digest": model.digest, "bytes": model.file_bytes}
    told = {"model": name, **{key: value for key, value in said.items() if value}}
    before = events.backwards(db, run, [Kind.MODEL_FOUND], events.newest(db))
    if len(told) > 1 and told != next((event.data for event in before if event.data["model"] == name), None):
        events.append(db, run, Kind.MODEL_FOUND, None, told)


def _recipe(
    db: sqlite3.Connection,
    frame: Dialogue | Script,
    head: int | None,
    options: dict[str, Any],
    cut: Cut,
    seed: int | None,
    prefill: str,
    schema: dict[str, Any] | None,
) -> dict[str, Any]:
    """The request as numbers of recorded content: `engine.talk.view.rebuild` makes it whole again."""
    recipe: dict[str, Any] = {**frame.recipe(db), "head": head, "options": content.put_json(db, options)}
    if seed is not None:
        recipe["seed"] = seed
    if cut.drop:
        recipe["cut"] = [cut.keep, cut.drop]
    if cut.summary:
        recipe["summary"] = content.put_body(db, cut.summary)
    if schema and isinstance(frame, Script) and frame.minutes:
        recipe["fits"] = "minutes"
    elif schema:
        recipe["schema"] = content.put_json(db, schema)
    if prefill:
        recipe["prefill"] = content.put_body(db, prefill)
    return recipe


def _forgotten(said: Sequence[Said], seat: str, memory: int | None) -> int:
    """How many of the oldest messages a seat with so short a memory is not sent: never what it has not answered yet."""
    if memory is None:
        return 0
    answered = max((place + 1 for place, message in enumerate(said) if message.author == seat), default=0)
    return max(0, min(len(said) - memory, answered))
