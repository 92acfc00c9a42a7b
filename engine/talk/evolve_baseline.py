"""The honest baseline: one run that is not evolved, given the tokens that the lineage has spent, compared with it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from engine.record import events, lineage
from engine.record.events import Kind
from engine.record.lineage import Candidate, Child
from engine.talk import evolve, evolve_judge, series_spec
from engine.talk.evolve_judge import Judging, Pair, Unjudged

if TYPE_CHECKING:
    from engine.talk.series import Series

PAIRS = 8
"""Answers of each side that are compared: the first of one ranking with the first of the other, and so on."""


class Baseline:
    """The baseline of one series."""

    def __init__(self, series: Series, judging: Judging) -> None:
        self._series = series
        self._host = series.host
        self._spec = series.spec
        self._judging = judging

    async def play(self, budget: int) -> None:
        """Play the run and compare it, once for each state of the lineage. Raises Stopped, Abandoned."""
        if not budget:
            return
        found = await self._host.commit(self._find)
        if self._series.parting and (found is None or found.ended):
            return  # one that is under way is ended politely
        child = found or await self._add(budget)
        child = await self._series.children.play(child, parting=self._series.parting)
        done = await self._host.commit(lambda db: lineage.told(db, self._host.run.n, Kind.BASELINE_COMPARED))
        said = next((data for data in reversed(done) if data["child"] == child.run.id), None)
        if said and (not said.get("why") or self._judging.distrust):
            return
        told: dict[str, Any] = {
            "child": child.run.id,
            "tokens": child.run.tokens_in + child.run.tokens_out,
            "budget": budget,
        }
        evolved, plain = await self._host.commit(lambda db: self._sides(db, child))
        try:
            told |= await self._compare(child.generation, evolved, plain)
        except Unjudged as error:
            told["why"] = str(error)

        def write(db: sqlite3.Connection) -> None:
            lineage.judging(db, self._host.run.n, None)
            if told != said:
                events.append(db, self._host.run.n, Kind.BASELINE_COMPARED, f"run/{child.run.id}", told)

        await self._host.commit(write)

    async def _add(self, budget: int) -> Child:
        await self._host.gate.passage()
        spec = series_spec.baseline(self._spec, budget)

        def add(db: sqlite3.Connection) -> Child:
            before = [child for child in lineage.children(db, self._host.run.n) if child.purpose == "baseline"]
            return lineage.add(db, self._host.run, spec, "baseline", len(before) + 1, 1, of=1, seed=self._spec.question)

        return await self._host.commit(add)

    def _find(self, db: sqlite3.Connection) -> Child | None:
        """The baseline of the lineage as it stands: one that was queued before its last child is of an earlier one."""
        found = lineage.children(db, self._host.run.n)
        return found[-1] if found[-1].purpose == "baseline" else None

    def _sides(self, db: sqlite3.Connection, child: Child) -> tuple[list[Candidate], list[Candidate]]:
        """The answers of the last generation and those of the baseline, each in the order of its ranking."""
        run = self._host.run.n
        if not [item for item in lineage.candidates(db, run, "baseline") if item.child == child.run.id]:
            # from as many answers as a generation had to choose from
            last = evolve.answered(db, child, evolve.LAST * self._spec.children)
            evolve.put(db, [(child, turn) for turn in last], None)
        plain = [item for item in lineage.candidates(db, run, "baseline") if item.child == child.run.id]
        evolved = lineage.candidates(db, run)
        return [item for item in evolved if item.generation == evolved[-1].generation], plain

    async def _compare(self, generation: int, evolved: list[Candidate], plain: list[Candidate]) -> dict[str, Any]:
        """The tally of the lineage against the baseline. Raises Unjudged, Stopped."""
        assert self._spec.question
        if self._judging.distrust:
            raise Unjudged(self._judging.distrust)
        pairs = [
            Pair(self._spec.question, one.n, one.text, other.n, other.text)
            for one, other in zip(evolved[:PAIRS], plain[:PAIRS], strict=False)
        ]
        if not pairs:
            raise Unjudged("one of the two has no answers")
        outcomes = await self._judging.compare("baseline", generation, pairs, counted=False)
        return {"pairs": len(pairs), **evolve_judge.figures(outcomes)}
