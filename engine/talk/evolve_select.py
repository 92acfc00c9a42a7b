"""Selecting the best answer of a generation: by a judge that has proved itself, otherwise by form, and said so."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Sequence
from typing import Any

from engine.record import events, lineage
from engine.record.events import Kind
from engine.record.lineage import Candidate
from engine.runs.host import Host
from engine.talk import evolve_judge
from engine.talk.evolve_judge import Judging, Pair, Unjudged
from engine.talk.judge import Outcome
from engine.talk.ledger import LimitReached
from engine.talk.series_spec import Series as Spec

FINALISTS = 4
"""Answers that the judge compares, each with each: the best by form of every run, and the next best."""
_MIRRORED: dict[Outcome, Outcome] = {"win": "loss", "tie": "tie", "loss": "win"}


class Selection:
    """Selects for one series."""

    def __init__(self, host: Host, spec: Spec, judging: Judging) -> None:
        self._host = host
        self._spec = spec
        self._judging = judging

    async def select(self, generation: int, candidates: Sequence[Candidate]) -> None:
        """Rank the candidates (in the order of their form) for good, with what that rests on. Raises Stopped."""
        judged: dict[int, list[Outcome]] = {}
        how, why = "judge", ""
        try:
            judged = await self._judge(generation, finalists(candidates))
        except Unjudged as error:
            how, why = "form", str(error)
        except LimitReached as full:
            how, why = "form", f"the budget ({full.allowance.unit}) has no room for the judge"

        ordered = sorted(candidates, key=lambda item: _score(item, judged), reverse=True)
        scores = [_score(item, judged) for item in ordered]
        ranks = {item.n: scores.index(_score(item, judged)) + 1 for item in ordered}
        selected = ordered[0]
        told = {
            "generation": generation,
            "how": how,
            **({"why": why} if why else {}),
            "selected": {"child": selected.child, "seq": selected.seq},
            "ranking": [_entry(item, ranks[item.n], judged.get(item.n)) for item in ordered],
        }

        def write(db: sqlite3.Connection) -> None:
            lineage.select(db, ranks, selected.n)
            lineage.judging(db, self._host.run.n, None)
            events.append(db, self._host.run.n, Kind.CANDIDATES_RANKED, None, told)

        await self._host.commit(write)

    async def _judge(self, generation: int, final: Sequence[Candidate]) -> dict[int, list[Outcome]]:
        """Each with each, blind and in both orders: the outcomes of every finalist."""
        assert self._spec.question
        found: dict[int, list[Outcome]] = {item.n: [] for item in final}
        couples = list(itertools.combinations(final, 2))
        if not couples:
            raise Unjudged("there is only one answer")
        pairs = [Pair(self._spec.question, one.n, one.text, other.n, other.text) for one, other in couples]
        outcomes = await self._judging.compare("selection", generation, pairs, counted=True)
        for (one, other), outcome in zip(couples, outcomes, strict=True):
            found[one.n].append(outcome)
            found[other.n].append(_MIRRORED[outcome])
        return found


def finalists(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Of candidates in the order of their form: the first of every run, then the next ones up to FINALISTS."""
    first = {item.child: item for item in reversed(candidates)}
    rest = [item for item in candidates if first[item.child] is not item]
    chosen = {item.n for item in [*first.values(), *rest[: max(0, FINALISTS - len(first))]]}
    return [item for item in candidates if item.n in chosen]


def _score(item: Candidate, judged: dict[int, list[Outcome]]) -> tuple[float, float]:
    """What an answer is ranked by: the judge first where it was asked, then the form."""
    outcomes = judged.get(item.n)
    return (-1.0 if outcomes is None else outcomes.count("win") + outcomes.count("tie") / 2, item.form)


def _entry(item: Candidate, rank: int, outcomes: list[Outcome] | None) -> dict[str, Any]:
    entry = {
        "rank": rank,
        "child": item.child,
        "seq": item.seq,
        "form": round(item.form, 4),
        "distance": None if item.distance is None else round(item.distance, 4),
        "headings": item.headings,
        "steps": item.steps,
        "bullets": item.bullets,
        "metric_lines": item.metric_lines,
        "number_lines": item.number_lines,
    }
    return entry | (evolve_judge.figures(outcomes) if outcomes else {})
