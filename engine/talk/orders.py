"""What a seat's next turn is to be: its view of the talk, fitted into its window, as a request."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from engine.providers.protocol import Request
from engine.record import content, events
from engine.record.content import Said
from engine.record.events import Kind
from engine.runs.host import Host
from engine.talk import summary, window
from engine.talk.seats import Seating
from engine.talk.speaker import Order
from engine.talk.spec import Duel, Seat
from engine.talk.table import Table
from engine.talk.view import Cut, Frame, frame_body

_ANOTHER_DRAW = 1_000_003
"""Added to the seed each time a turn is redone: the same seed would only say the same again."""


class Orders:
    """Writes the orders of one run."""

    def __init__(self, host: Host, seating: Seating, table: Table) -> None:
        self._host = host
        self._seating = seating
        self._table = table
        self._dropped: dict[str, int] = {}
        self._summaries: dict[tuple[int, ...], str] = {}

    def forget(self, seat: str) -> None:
        """The seat has another model or persona: what fitted before says nothing now."""
        self._dropped.pop(seat, None)

    async def write(self, duel: Duel, seat: Seat) -> Order:
        """The order of the seat's next turn. Raises ContextFullError, ProviderError, UsageError."""
        table, name = self._table, seat.model or ""
        adapter, model = self._seating.adapter(seat)
        options = self._seating.options(seat)
        seed = None
        if duel.seed is not None and "seed" in adapter.honours.options and "seed" not in options:
            seed = duel.seed + table.seq + 1 + _ANOTHER_DRAW * table.retries
        sent = options if seed is None else {**options, "seed": seed}
        frame, prefill, head = Frame.of(duel, seat), table.broken or "", table.head
        slot = f"{self._host.run.id}/{seat.name}"
        size = await self._seating.window(seat, options)

        async def summarise(dropped: Sequence[Said], before: str) -> str:
            return await self._summary(seat, dropped, before)

        before = self._dropped.get(seat.name, 0)
        fit = await window.fit(
            adapter,
            name,
            Request(model, [], sent, prefill=prefill, slot=slot),
            frame,
            table.said,
            size,
            duel.context.strategy,
            summarise,
            before,
        )
        self._dropped[seat.name] = fit.cut.drop

        def recipe(db: sqlite3.Connection) -> dict[str, Any]:
            found = _recipe(db, frame, head, options, fit.cut, seed, prefill)
            if fit.cut.drop and fit.cut.drop != before:
                events.append(db, self._host.run.n, Kind.CONTEXT_CUT, None, _told(seat, duel, fit, size))
            return found

        return Order(
            seat=seat.name,
            persona=seat.persona,
            model=name,
            seq=table.seq + 1,
            adapter=adapter,
            place=self._seating.place(seat),
            request=Request(model, fit.messages, sent, prefill=prefill, slot=slot),
            recipe=recipe,
            prompt_tokens=fit.tokens,
            head=head,
            whole_sentences=bool(seat.whole_sentences),
            priced=duel.limits.cost is not None,
        )

    async def _summary(self, seat: Seat, dropped: Sequence[Said], before: str) -> str:
        """A summary of dropped messages by the seat's own model; made once, found again after a restart."""
        key = tuple(message.n for message in dropped)
        if key not in self._summaries:
            found = await self._host.commit(lambda db: summary.find(db, self._host.run.n, key))
            if found is None:
                adapter, model = self._seating.adapter(seat)
                options = self._seating.options(seat)
                place = self._seating.place(seat)
                found = await summary.summarise(self._host, adapter, place, model, seat, options, dropped, before)
            self._summaries[key] = found
        return self._summaries[key]


def _recipe(
    db: sqlite3.Connection,
    frame: Frame,
    head: int | None,
    options: dict[str, Any],
    cut: Cut,
    seed: int | None,
    prefill: str,
) -> dict[str, Any]:
    """The request as numbers of recorded content: `engine.talk.view.rebuild` makes it whole again."""
    recipe: dict[str, Any] = {
        "frame": content.put_json(db, frame_body(frame)),
        "head": head,
        "options": content.put_json(db, options),
    }
    if seed is not None:
        recipe["seed"] = seed
    if cut.drop:
        recipe["cut"] = [cut.keep, cut.drop]
    if cut.summary:
        recipe["summary"] = content.put_body(db, cut.summary)
    if prefill:
        recipe["prefill"] = content.put_body(db, prefill)
    return recipe


def _told(seat: Seat, duel: Duel, fit: window.Fit, size: int | None) -> dict[str, Any]:
    return {
        "seat": seat.name,
        "strategy": duel.context.strategy,
        "kept": fit.cut.keep,
        "dropped": fit.cut.drop,
        "tokens": fit.tokens,
        "window": size,
        "exact": fit.exact,
    }
