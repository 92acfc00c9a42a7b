"""A question that evolves: generations of runs, the best answer of each the seed of the next, on one budget.

Everything is found again in the record, so that a series that was killed goes on where it stood.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.record import allowances, events, lineage, runs, turns
from engine.record.events import Kind
from engine.record.lineage import Candidate, Child
from engine.record.runs import Status
from engine.record.turns import State, Turn
from engine.runs.host import Outcome
from engine.talk import form, next_experiment
from engine.talk.evolve_baseline import Baseline
from engine.talk.evolve_judge import Judging, Stopped
from engine.talk.evolve_select import Selection
from engine.talk.series_spec import Exhausted, Parted

if TYPE_CHECKING:
    from engine.talk.series import Series

LAST = 8
"""Answers of a run that are candidates, the latest."""


class Evolution:
    """The generations of one series."""

    def __init__(self, series: Series, judging: Judging) -> None:
        self._series = series
        self._host = series.host
        self._spec = series.spec
        self._judging = judging
        self._selection = Selection(series.host, series.spec, judging)

    async def play(self) -> Outcome:
        spec, run = self._spec, self._host.run.n
        outcome = Outcome(Status.FINISHED, "generations", f"{_many(spec.generations, 'generation')} played")
        try:
            with contextlib.suppress(Parted):  # what was played before is ranked all the same
                await self._judging.try_out()
            # what another generation has grown from is settled, whatever was changed since
            newest = await self._host.commit(lambda db: max(map(_generation_of, lineage.children(db, run)), default=1))
            for generation in range(newest, spec.generations + 1):
                try:
                    await self._generation(generation)
                except (Exhausted, Parted) as end:
                    outcome = await self._series.outcome(end)
                await self._rank(generation)
                if outcome.reason == "generations" and self._series.parting:
                    outcome = await self._series.outcome(Parted())
                if outcome.reason != "generations":
                    break
            budget = await self._host.commit(lambda db: self._conclude(db, outcome.reason))
            if spec.baseline:
                await Baseline(self._series, self._judging).play(budget)
        except Stopped as error:
            return Outcome(Status.FAILED, "judge", str(error))
        return outcome

    async def _generation(self, number: int) -> None:
        """Play the children of one generation. Raises Exhausted, Parted, Abandoned."""
        assert self._spec.question
        before = await self._host.commit(lambda db: best(db, self._host.run.n, number - 1))
        for place in range(1, self._spec.children + 1):
            seed, mutation, origin = self._spec.question, None, None
            if before:
                mutation, seed = self._mutated(before.text, number, place)
                origin = before.n
            await self._series.child(
                "evolve",
                number,
                place,
                number=(number - 1) * self._spec.children + place - 1,
                of=self._spec.children,
                title=f"{self._spec.title}: {number}.{place}",
                seed=seed,
                mutation=mutation,
                origin=origin,
            )

    def _mutated(self, answer: str, generation: int, place: int) -> tuple[str, str]:
        """(mutation, seed) of a child: the question, the best answer to it, and what is asked besides."""
        seeds = next_experiment.seeds(self._spec.question or "", answer)
        names = list(seeds)
        # with fewer children than mutations each generation begins with another one
        name = names[((generation - 2) * self._spec.children + place - 1) % len(names)]
        return name, seeds[name]

    async def _rank(self, generation: int) -> None:
        """Count, rank and select what the children of a generation answered, and keep its principles."""
        run = self._host.run.n

        def count(db: sqlite3.Connection) -> list[Candidate]:
            played = [child for child in lineage.children(db, run) if _is_of(child, generation)]
            answers = [(child, turn) for child in played for turn in answered(db, child)]
            found = lineage.candidates(db, run, generation=generation)
            if {item.child for item in found} != {child.run.id for child, _ in answers}:
                # of a generation that a limit had cut short, more was played since that was raised
                lineage.forget_generation(db, run, generation)
                before = lineage.candidates(db, run, generation=generation - 1)
                put(db, answers, "\n\n".join(item.text for item in before) or None)
                lines = form.principles([turn.text for _, turn in answers])
                lineage.keep_principles(db, run, generation, lines)
            return lineage.candidates(db, run, generation=generation)

        found = await self._host.commit(count)
        if found and not any(item.selected for item in found):
            await self._selection.select(generation, found)

    def _conclude(self, db: sqlite3.Connection, reason: str) -> int:
        """Say once what its runs and the judge's selections came to; returns the tokens that they have spent.

        What nobody has measured (a host was killed, a provider is silent) counts as reserved, and is told as estimated.
        """
        run = self._host.run.n
        played = [child for child in lineage.children(db, run) if child.purpose == "evolve"]
        nodes = allowances.of_run(db, run)
        spent, unmeasured = nodes["tokens"].spent, nodes["cost"].estimated
        estimated = {unit: nodes[unit].estimated for unit in ("tokens", "cost") if nodes[unit].estimated}
        told: dict[str, Any] = {
            "reason": reason,
            "generations": max((child.generation for child in played), default=0),
            "children": len(played),
            "tokens": int(spent),
            "cost": lineage.evolution_cost(db, run) + unmeasured,
            **({"estimated": estimated} if estimated else {}),
        }
        said = lineage.told(db, run, Kind.LINEAGE_ENDED)
        if not said or said[-1] != told:
            events.append(db, run, Kind.LINEAGE_ENDED, None, told)
        return int(spent)


def best(db: sqlite3.Connection, series: int, generation: int) -> Candidate | None:
    """What was selected up to a generation, latest first."""
    found = [item for item in lineage.candidates(db, series) if item.selected and item.generation <= generation]
    return found[-1] if found else None


def answered(db: sqlite3.Connection, child: Child, last: int = LAST) -> list[Turn]:
    """The latest turns of a run's Creator, or of whoever answers there."""
    seats = answering(runs.spec(db, child.run))
    said = [
        turn
        for turn in turns.listing(db, child.run.n)
        if turn.role == "turn" and turn.state is State.FINISHED and turn.seat in seats and turn.text.strip()
    ]
    return said[-last:]


def answering(spec: dict[str, Any]) -> set[str]:
    """The seats whose turns are answers: Creators, else who speaks last in a round, else (in a duel) everyone."""
    roles = {seat["name"]: seat.get("role") or {} for seat in spec["seats"]}
    creators = {name for name, role in roles.items() if role.get("slug") == "creator"}
    talkers = [name for name, role in roles.items() if role and role["place"] == "talk" and role.get("every") is None]
    return creators or set(talkers[-1:]) or set(roles)


def put(db: sqlite3.Connection, answers: Sequence[tuple[Child, Turn]], other: str | None) -> None:
    """Store answers as candidates, ranked by their form; `other` is the text that their distance is measured to."""
    counted = [(child, turn, form.form(turn.text, other)) for child, turn in answers]
    for place in form.ranked([(item, item[2].total) for item in counted]):
        child, turn, found = place.item
        counts: dict[str, float | None] = {
            "distance": found.distance,
            "headings": found.headings,
            "steps": found.steps,
            "bullets": found.bullets,
            "metric_lines": found.metric_lines,
            "number_lines": found.number_lines,
            "form": found.total,
        }
        lineage.put_candidate(db, child.n, turn.n, counts, place.rank)


def _generation_of(child: Child) -> int:
    """The generation of a child that evolves, 1 of any other."""
    return child.generation if child.purpose == "evolve" else 1


def _is_of(child: Child, generation: int) -> bool:
    return child.purpose == "evolve" and child.generation == generation


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
