"""The measures of a loop, taken of every turn once it is said, kept in the record, found again after a restart."""

from __future__ import annotations

import asyncio
import sqlite3

from engine.providers.protocol import ProviderError
from engine.record import events, metrics
from engine.record.events import Kind
from engine.runs.host import Host
from engine.talk import health
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
        self._words_alone = False
        """The embedding model has failed: nothing is measured by it until the run is resumed."""

    async def take(self, table: Table) -> bool:
        """Measure what was said since the last look; False where there is nothing new."""
        known = len(self._measured)
        if table.rows[:known] != self._measured or self._health is None:
            known = 0  # a turn was taken back: what was said before the others is another thing now
        if known == len(table.rows) and self._health is not None:
            return False
        try:
            found = await asyncio.to_thread(self._measure, known, table.texts[known:])
        except ProviderError as error:  # no seat is to blame, so none is asked about
            why = str(error)
            self._words_alone, known = True, 0
            await self._host.commit(lambda db: self._tell(db, why))
            found = await asyncio.to_thread(self._measure, known, table.texts)
        new = list(zip(table.rows[known:], table.texts[known:], strict=True))
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

            chosen = None if self._words_alone else embedder.default()
            self._health, self.series = Health(self.spec.question, chosen), {}
        found = [self._health.measure(text) if text is not None else {} for text in texts]
        for seq, measured in enumerate(found, known + 1):
            for name, value in measured.items():
                self.series.setdefault(name, []).append((seq, value))
        return found

    def _tell(self, db: sqlite3.Connection, why: str) -> None:
        """Tell that the measures of meaning are not taken, and why."""
        from engine.memory import settings

        name = settings.load().embedder
        for measure in health.MEASURES.values():
            if measure.needs == "embedder":
                told = {"measure": measure.name, "model": name, "trusted": False, "why": f"{why}; resume to try again"}
                events.append(db, self._host.run.n, Kind.MEASURE_TRIED, None, told)
