"""A run that waits for memory which other runs hold says so, and for whom it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from engine.runs.host import Host


class Holder(Protocol):
    who: str


class MemoryWait:
    """The wait of one run for memory, begun by the local provider and ended by its first answer."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: asyncio.Task[None] | None = None

    def begin(self, holders: Sequence[Holder]) -> None:
        names = ", ".join(dict.fromkeys(holder.who for holder in holders)) or "other programs"
        self._waiting = self._waiting or asyncio.get_running_loop().create_task(self._wait(names))

    async def end(self) -> None:
        """The model has answered: whatever memory it waited for, it has."""
        if self._waiting:
            waited, self._waiting = self._waiting, None
            waited.cancel()
            await asyncio.wait({waited})

    async def _wait(self, names: str) -> None:
        async with self._host.waiting(f"memory held by {names}"):
            await asyncio.Event().wait()
