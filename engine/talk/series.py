"""The kind `series`: runs that are played one after another, each a run of its own.

With generations a question evolves (`engine.talk.evolve`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from engine.record import allowances, events, lineage
from engine.record.commands import Command
from engine.record.events import Kind
from engine.record.lineage import Child, Purpose
from engine.record.runs import Status
from engine.runs import kinds
from engine.runs.children import Abandoned, Children
from engine.runs.host import Host, Outcome, Refused
from engine.talk import evolve_judge, series_spec
from engine.talk.evolve import Evolution
from engine.talk.evolve_judge import Judging
from engine.talk.series_spec import Exhausted, Parted
from engine.talk.series_spec import Series as Spec

SEED = "question"
"""The key of a pipeline that `--seed TEXT` sets."""
_NOTHING = 1e-9
"""What may be left of an allowance that is used up: sums of fractions are not exact."""


def validate(pipeline: dict[str, Any], source: str) -> dict[str, Any]:
    return series_spec.validate(pipeline, source).model_dump(mode="json")


async def check(data: dict[str, Any]) -> None:
    spec = Spec.model_validate(data)
    count = 1 if spec.evolves else len(spec.runs)
    described = [series_spec.child(spec, number, spec.title) for number in range(count)]
    await asyncio.gather(evolve_judge.check(spec), *(kinds.load(child["kind"]).check(child) for child in described))
    if spec.judge:
        evolve_judge.trial()  # a fault in trial.yml is told before anything is spent


def create(host: Host) -> Series:
    return Series(host, Spec.model_validate(host.spec))


class Series:
    """One series being played."""

    def __init__(self, host: Host, spec: Spec) -> None:
        self.host = host
        self.spec = spec
        self.children = Children(host)
        self.parting = False
        """Whether somebody said that no further child is to follow."""
        self._judging = Judging(host, spec, lambda: self.parting)

    async def play(self) -> Outcome:
        await self.host.commit(self._prepare)
        try:
            return await (Evolution(self, self._judging).play() if self.spec.evolves else self._list())
        except Abandoned as error:
            return Outcome(Status.FAILED, "child", str(error))

    async def command(self, command: Command) -> None:
        """`skip` stops the child in progress and goes on; `bye` lets it end politely and starts no other."""
        child = self.children.now
        if command.verb == "skip" and child:
            await self.children.tell("stop", command)
        elif command.verb == "bye":
            self.parting = True
            await self.children.tell("bye", command)
        elif child:
            raise Refused(f"a series has no turns of its own; {command.verb} its run {child.id}")
        else:
            raise Refused("no run of the series is being played now")

    async def close(self) -> None:
        await self._judging.close()

    async def child(
        self,
        purpose: Purpose,
        generation: int,
        place: int,
        *,
        number: int,
        of: int,
        title: str,
        seed: str | None = None,
        mutation: str | None = None,
        origin: int | None = None,
    ) -> Child:
        """Play one child of the lineage to its end; one that was queued before is found by its place.

        Raises Exhausted, before and after it: the lineage has no budget left. Raises Parted before a new one.
        """
        found = await self.host.commit(
            lambda db: next(
                (
                    child
                    for child in lineage.children(db, self.host.run.n)
                    if (child.purpose, child.generation, child.place) == (purpose, generation, place)
                ),
                None,
            )
        )
        if found is None:
            self._part()
            await self.host.gate.passage()
            self._part()
            spec = series_spec.child(self.spec, number, title, seed)

            def add(db: sqlite3.Connection) -> Child:
                self._check_budget(db)
                return lineage.add(
                    db,
                    self.host.run,
                    spec,
                    purpose,
                    generation,
                    place,
                    of=of,
                    seed=seed,
                    mutation=mutation,
                    origin=origin,
                    above=allowances.numbers(db, self.host.run.n),
                )

            found = await self.host.commit(add)
        played = await self.children.play(found, parting=self.parting)

        def check(db: sqlite3.Connection) -> None:
            if full := lineage.exhausted(db, played.run):
                raise Exhausted(full)

        await self.host.commit(check)
        return played

    # -- runs as they stand

    async def _list(self) -> Outcome:
        length, number = len(self.spec.runs), 0
        try:
            while not self.spec.repeat or number < length * self.spec.repeat:
                told = self.spec.runs[number % length]
                assert isinstance(told, dict)
                round_, place = divmod(number, length)
                await self.child("play", round_ + 1, place + 1, number=number, of=length, title=told["title"])
                number += 1
        except (Exhausted, Parted) as end:
            return await self.outcome(end)
        return Outcome(Status.FINISHED, "runs", f"all {number} runs are played")

    # -- the budget of the lineage

    def _prepare(self, db: sqlite3.Connection) -> None:
        for unit, cap in self.spec.limits.caps().items():
            allowances.set_cap(db, self.host.run.n, unit, cap)
        self.parting = lineage.parting(db, self.host.run.n)

    def _check_budget(self, db: sqlite3.Connection) -> None:
        """Raises Exhausted."""
        for node in allowances.of_run(db, self.host.run.n).values():
            if node.left is not None and node.left <= _NOTHING:
                raise Exhausted(node)

    def _part(self) -> None:
        """Raises Parted."""
        if self.parting:
            raise Parted

    async def outcome(self, end: Exhausted | Parted) -> Outcome:
        """How the series ends where no further child may follow; a limit is told of."""
        if isinstance(end, Parted):
            return Outcome(Status.FINISHED, "bye", "a human has ended it")
        node = end.node
        told = {"unit": node.unit, "cap": node.cap, "spent": round(node.spent, 6)}
        await self.host.commit(lambda db: events.append(db, self.host.run.n, Kind.LIMIT_REACHED, None, told))
        return Outcome(Status.FINISHED, f"limit:{node.unit}", f"the limit of {node.cap:g} {node.unit} is reached")
