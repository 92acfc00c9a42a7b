"""One model turn: a request goes out, what comes back is committed as it comes, and the row of every call is kept."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from engine.providers import retry
from engine.providers.endpoint import Endpoint
from engine.providers.protocol import (
    Adapter,
    Progress,
    ProviderError,
    Request,
    Stop,
    StopReason,
    Text,
    Thinking,
    Truncated,
    Usage,
)
from engine.record import allowances, calls, events, turns
from engine.record.events import Kind
from engine.record.redact import StreamScrubber
from engine.runs.host import Host
from engine.talk import sentences
from engine.talk.ledger import Ledger, Recipe

FLUSH = 0.05
"""Seconds that streamed text waits for its commit at most."""


@dataclass(frozen=True, slots=True)
class Edited:
    """What becomes of an answer: its words, what was taken off them and why, what is wrong with them."""

    text: str
    taken: str = ""
    why: str = ""
    fault: str = ""
    passed: str = ""
    """A fault that is let pass."""


Editor = Callable[[str], Edited]


def unedited(text: str) -> Edited:
    return Edited(text)


class Malformed(Exception):
    """An answer came that is not what the seat was told to give: the fault, in words that tell a model what to mend."""


@dataclass(slots=True)
class Order:
    """What a turn is to be: who speaks, with which request, and how the request is recorded."""

    seat: str
    persona: str
    model: str
    seq: int
    adapter: Adapter
    place: Endpoint
    request: Request
    recipe: Recipe
    """See engine.talk.view.rebuild."""
    ledger: Ledger
    prompt_tokens: int
    head: int | None
    whole_sentences: bool
    edit: Editor = unedited
    given: str = ""
    """The words that the turn was begun with for its seat: they are not cut with a sentence that was left unended."""


class Speaker:
    """Streams one turn into the record. Its turn row is live while it speaks and can be cut at any moment."""

    def __init__(
        self,
        host: Host,
        order: Order,
        row: int,
        on_answer: Callable[[], Awaitable[None]],
        on_finish: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._host = host
        self._order = order
        self._on_answer = on_answer
        """Awaited when the provider first says anything."""
        self._on_finish = on_finish
        """Called in the transaction that finishes the turn."""
        self.row = row
        self._came = self._began = time.monotonic()
        """When the turn began, and when the attempt in progress did."""
        self._text: list[str] = []
        self._thought: list[str] = []
        self._scrub = (StreamScrubber(), StreamScrubber())
        self._buffer: list[tuple[str, str]] = []
        self._progress: Progress | None = None
        self._wake = asyncio.Event()
        self._call = 0
        self._first: float | None = None
        self._usage: Usage | None = None

    async def speak(self) -> str:
        """Stream the answer and finish the turn; returns its text.

        Raises ProviderError once retries have ended, Malformed where the order's editor finds fault, LimitReached
        before a call that no allowance has room for.
        Cancelled, it leaves the row live with everything received committed: `settle` then closes the call.
        """
        order = self._order
        stop = StopReason.END
        flusher = asyncio.create_task(self._flush_steadily())
        try:
            if order.request.prefill:
                await self._show(order.request.prefill, "")
            async with contextlib.aclosing(self._deltas()) as deltas:
                async for delta in deltas:
                    match delta:
                        case Text(text):
                            await self._show(text, "")
                        case Thinking(text):
                            await self._show("", text)
                        case Progress():
                            self._progress = delta
                            self._wake.set()
                        case Usage():
                            self._usage = delta
                        case Stop(reason):
                            stop = reason
                        case Truncated(estimated, counted):
                            await self._note(
                                Kind.CONTEXT_TRUNCATED, {"estimated": estimated, "counted": counted, "seat": order.seat}
                            )
                        case retry.Waiting(seconds):
                            await self._note(Kind.RATE_WAITED, {"seat": order.seat, "wait": round(seconds, 2)})
                        case retry.Retrying(attempt, wait, error):
                            await self._retried(attempt, wait, error)
        except BaseException:
            await self._stop(flusher)
            self._release()
            await self._flush()
            raise
        await self._stop(flusher)
        return await self._finish(stop)

    async def settle(self, error: str) -> None:
        """Close the call of a turn that was cut or failed, at what is known of its use."""
        spent, row = await self._order.ledger.spent(self._usage), self.row

        def close(db: sqlite3.Connection) -> None:
            for call in calls.of_turn(db, row):
                if call.ended is None:
                    self._order.ledger.end(db, call.n, spent, first=self._first, error=error)
            self._spend_time(db)

        await self._host.commit(close)

    async def _deltas(self) -> AsyncGenerator[Any, None]:
        order = self._order
        await self._begin_call(1)
        stream = retry.stream_with_retries(order.adapter, order.request, retry.Policy.of(order.place), order.place)
        answered = False
        async with contextlib.aclosing(stream):
            async for delta in stream:
                if not answered and not isinstance(delta, retry.Waiting):
                    answered = True
                    await self._on_answer()
                if self._first is None and isinstance(delta, Text | Thinking):
                    self._first = time.time()
                yield delta

    async def _show(self, text: str, thinking: str) -> None:
        """Queue text for the next commit, secrets masked. What is held back stays until it is known to be harmless."""
        text, thinking = self._scrub[0].feed(text), self._scrub[1].feed(thinking)
        if text or thinking:
            self._text.append(text)
            self._thought.append(thinking)
            self._buffer.append((text, thinking))
            self._wake.set()

    async def _flush_steadily(self) -> None:
        """Commit what has come, every FLUSH seconds; half of that passes first, so that a quick answer needs none."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(FLUSH / 2)
            self._wake.clear()
            await self._flush()
            await asyncio.sleep(FLUSH / 2)

    @staticmethod
    async def _stop(flusher: asyncio.Task[None]) -> None:
        flusher.cancel()
        await asyncio.wait({flusher})
        if not flusher.cancelled():
            flusher.exception()  # the record has failed: the commit that follows raises the same

    def _release(self) -> None:
        """Nothing more will come: what the scrubbers held back is harmless."""
        rest = (self._scrub[0].rest(), self._scrub[1].rest())
        if any(rest):
            self._text.append(rest[0])
            self._thought.append(rest[1])
            self._buffer.append(rest)

    def _piece(self) -> tuple[int, str, str]:
        """(ms since the turn began, text, thinking) of what is not committed yet."""
        buffer, self._buffer = self._buffer, []
        ms = int((time.monotonic() - self._began) * 1000)
        return ms, "".join(item[0] for item in buffer), "".join(item[1] for item in buffer)

    async def _flush(self) -> None:
        ms, text, thinking = self._piece()
        progress, self._progress = self._progress, None
        if not text and not thinking and progress is None:
            return
        run, row, seq = self._host.run.n, self.row, self._order.seq

        def write(db: sqlite3.Connection) -> None:
            if text or thinking:
                turns.add_delta(db, run, row, seq, ms, text, thinking)
            elif progress:
                data = {"done": progress.done, "total": progress.total}
                events.append(db, run, Kind.TURN_PROGRESS, f"turn/{seq}", data, turn=row)

        await self._host.commit(write)

    async def _retried(self, attempt: int, wait: float, error: ProviderError) -> None:
        """The attempt failed and another follows: keep what was shown of it, begin the turn anew."""
        self._release()
        await self._flush()
        order, run, row = self._order, self._host.run.n, self.row
        spent = await order.ledger.spent(self._usage)
        call = self._call
        shown = bool("".join(self._text) or "".join(self._thought))

        def write(db: sqlite3.Connection) -> int:
            order.ledger.end(db, call, spent, first=self._first, error=str(error))
            data = {"seat": order.seat, "attempt": attempt, "wait": round(wait, 2), "error": str(error)}
            events.append(db, run, Kind.CALL_RETRIED, f"turn/{order.seq}", data)
            if not shown:
                return row
            turns.keep_partial(db, run, row, order.head, "error")
            return turns.open_turn(db, run, order.seq, order.seat, order.persona, order.model)

        self.row = await self._host.commit(write)
        self._text, self._thought = [], []
        self._scrub = (StreamScrubber(), StreamScrubber())
        self._began, self._first, self._usage = time.monotonic(), None, None
        await self._begin_call(attempt)
        if order.request.prefill:
            await self._show(order.request.prefill, "")

    async def _begin_call(self, attempt: int) -> None:
        order = self._order
        answer = int(order.request.options.get("max_tokens") or 0)
        self._call = await order.ledger.begin(
            self.row, "turn", order.seat, order.recipe, attempt, order.prompt_tokens, answer
        )

    async def _finish(self, stop: StopReason) -> str:
        order, run, row, call = self._order, self._host.run.n, self.row, self._call
        spent = await order.ledger.spent(self._usage)
        self._release()
        text, thinking = "".join(self._text).strip(), "".join(self._thought).strip()
        if stop is StopReason.LENGTH and order.whole_sentences:
            given = len(order.given) if text.startswith(order.given) else 0
            text = text[:given] + sentences.trim_to_sentence(text[given:])
        edited = order.edit(text)
        if edited.fault:
            await self._flush()
            raise Malformed(edited.fault)
        text, last = edited.text, self._piece()

        def write(db: sqlite3.Connection) -> None:
            if edited.taken:
                data = {"seat": order.seat, "why": edited.why, "taken": edited.taken}
                events.append(db, run, Kind.ANSWER_TRIMMED, f"turn/{order.seq}", data)
            if edited.passed:
                told = {"seq": order.seq, "seat": order.seat, "fault": edited.passed}
                events.append(db, run, Kind.ANSWER_FAULTY, f"turn/{order.seq}", told)
            message = turns.finish(db, run, row, order.head, text, thinking, stop, last=last)
            order.ledger.end(db, call, spent, answer=message, first=self._first, stop=stop)
            self._spend_time(db)
            self._on_finish(db)

        await self._host.commit(write)
        return text

    def _spend_time(self, db: sqlite3.Connection) -> None:
        allowances.use(db, self._host.run.n, "minutes", (time.monotonic() - self._came) / 60)

    async def _note(self, kind: Kind, data: dict[str, Any]) -> None:
        run, seq = self._host.run.n, self._order.seq
        await self._host.commit(lambda db: events.append(db, run, kind, f"turn/{seq}", data))
