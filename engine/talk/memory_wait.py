"""A run that waits for memory which other runs hold says so, and for whom it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Protocol

from engine.runs.host import Host


class Holder(Protocol):
    who: str


class MemoryWait:
    """The wait of one run for memory, begun by the local provider and ended by its first answer."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: asyncio.Task[None] | None = None
        self._names = ""
        self._changed = asyncio.Event()

    def begin(self, holders: Sequence[Holder]) -> None:
        """Say for whom the run waits; called again when others hold the memory."""
        names = ", ".join(dict.fromkeys(holder.who for holder in holders)) or "other programs"
        if names != self._names:
            self._names = names
            self._changed.set()
        self._waiting = self._waiting or asyncio.get_running_loop().create_task(self._wait())

    async def end(self) -> None:
        """The model has answered: whatever memory it waited for, it has."""
        if self._waiting:
            waited, self._waiting = self._waiting, None
            waited.cancel()
            await asyncio.wait({waited})

    async def _wait(self) -> None:
        told = AsyncExitStack()
        try:
            while True:
                self._changed.clear()
                before, told = told, AsyncExitStack()
                await told.enter_async_context(self._host.waiting(f"memory held by {self._names}"))
                await before.aclose()  # only now, so that the run never seems to go on in between
                await self._changed.wait()
        finally:
            await told.aclose()
