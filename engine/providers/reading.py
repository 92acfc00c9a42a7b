"""Reading a stream that may be slow, silent or cut: lines out of bytes, with a limit to the patience."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from engine.providers.endpoint import Timeouts
from engine.providers.protocol import Fault, ProviderError

T = TypeVar("T")

LONGEST_LINE = 16 << 20
"""Bytes. A longer line is no chunk of a chat any more."""

DRAIN_SECONDS = 0.5


class Patience:
    """Waits `first_token` seconds for the first word of an answer, then `idle` seconds for each further one."""

    def __init__(self, place: str, timeouts: Timeouts) -> None:
        self._place = place
        self._timeouts = timeouts
        self._until: float | None = None
        self._heard = False

    def heard(self) -> None:
        """The answer has begun: from now on only silence counts."""
        self._heard = True

    async def wait(self, coming: Awaitable[T]) -> T:
        """What is coming, or ProviderError(TIMEOUT)."""
        loop = asyncio.get_running_loop()
        if self._heard:
            until = loop.time() + self._timeouts.idle
        else:
            if self._until is None:
                self._until = loop.time() + self._timeouts.first_token
            until = self._until
        try:
            async with asyncio.timeout_at(until):
                return await coming
        except TimeoutError:
            raise ProviderError(Fault.TIMEOUT, self._complaint()) from None

    def _complaint(self) -> str:
        if self._heard:
            return f"{self._place} fell silent for {self._timeouts.idle:g} s in the middle of an answer"
        return f"{self._place} did not begin to answer within {self._timeouts.first_token:g} s"


class LineReader:
    """Complete lines of a byte stream, split at line feeds only: the text within may hold any other separator."""

    def __init__(self, chunks: AsyncIterator[bytes], patience: Patience, place: str) -> None:
        self._chunks = chunks
        self._patience = patience
        self._place = place
        self._pending: list[bytes] = []
        self._size = 0

    async def batch(self) -> list[bytes] | None:
        """All lines that the next chunk completes; None at the end. A last line without line feed counts."""
        try:
            chunk = await self._patience.wait(anext(self._chunks))
        except StopAsyncIteration:
            rest, self._pending = b"".join(self._pending), []
            return [rest] if rest else None
        head, found, tail = chunk.rpartition(b"\n")
        if not found:
            self._hold(chunk)
            return []
        self._pending.append(head)
        lines = b"".join(self._pending).split(b"\n")
        self._pending, self._size = [], 0
        self._hold(tail)
        return lines

    async def drain(self) -> None:
        """Read on to the end, briefly: only then is the connection kept for the next call."""
        async with asyncio.timeout(DRAIN_SECONDS):
            while await self.batch() is not None:
                pass

    def _hold(self, part: bytes) -> None:
        if part:
            self._pending.append(part)
            self._size += len(part)
        if self._size > LONGEST_LINE:
            raise ProviderError(Fault.INVALID, f"{self._place} sent a line of more than {LONGEST_LINE} bytes")
