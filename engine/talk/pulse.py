"""The measures of a loop, taken of every turn once it is said, kept in the record, found again after a restart."""

from __future__ import annotations

import asyncio
import sqlite3

from engine.record import metrics
from engine.runs.host import Host
from engine.talk.health import Health
from engine.talk.loop_spec import Loop
from engine.talk.table import Table


class Pulse:
    """The measures of one run."""

    def __init__(self, host: Host, spec: Loop) -> None:
        self.spec = spec
        self.series: dict[str, list[tuple[int, float]]] = {}
        """(seq, value) of each measure over the turns that have one, oldest first."""
        self._host = host
        self._health: Health | None = None
        self._measured: list[int] = []
        """The rows of the turns that were measured, in order."""

    async def take(self, table: Table) -> bool:
        """Measure what was said since the last look; False where there is nothing new."""
        known = len(self._measured)
        if table.rows[:known] != self._measured or self._health is None:
            known = 0  # a turn was taken back: what was said before the others is another thing now
        if known == len(table.rows) and self._health is not None:
            return False
        new = list(zip(table.rows[known:], table.texts[known:], strict=True))
        found = await asyncio.to_thread(self._measure, known, [text for _, text in new])
        values = {row: measured for (row, _), measured in zip(new, found, strict=True) if measured}

        def write(db: sqlite3.Connection) -> None:
            for row, measured in values.items():
                if row in table.own:
                    metrics.put(db, self._host.run.n, row, measured)

        await self._host.commit(write)
        self._measured = list(table.rows)
        return bool(new)

    def _measure(self, known: int, texts: list[str | None]) -> list[dict[str, float]]:
        """The values of the turns after the first `known`, those before being measured already."""
        if not known or self._health is None:
            from engine.memory import embedder

            self._health, self.series = Health(self.spec.question, embedder.default()), {}
        found = [self._health.measure(text) if text is not None else {} for text in texts]
        for seq, measured in enumerate(found, known + 1):
            for name, value in measured.items():
                self.series.setdefault(name, []).append((seq, value))
        return found
