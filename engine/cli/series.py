"""A series in words: what is told of it as it goes, and its family tree."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.record import lineage
from engine.record.events import Kind
from engine.record.export import facts
from engine.record.lineage import Candidate, Child
from engine.record.runs import Run
from engine.record.verdicts import comparison, interval, progress, selection, trial
from engine.record.visible import one_line

_WORDS = 72
"""Characters of an answer that stand for it."""


def _queued(data: dict[str, Any]) -> str:
    mutation = f", mutation {one_line(str(data['mutation']))}" if data.get("mutation") else ""
    origin = data.get("origin")
    of = f", from turn {origin['seq']} of run {origin['child']}" if origin else ""
    return (
        f"{_place(data['purpose'], data['generation'], data['place'], data['of'])}: run {data['child']}{mutation}{of}"
    )


def _ended(data: dict[str, Any]) -> str:
    why = ", ".join(one_line(str(data[key])) for key in ("reason", "detail") if data.get(key))
    return f"run {data['child']} {data['status']} ({why}): {data['turns']} turns, {data['tokens']:,} tokens"


def _evolved(data: dict[str, Any]) -> str:
    guessed = (data.get("estimated") or {}).get("tokens")
    return (
        f"the evolution has ended ({one_line(data['reason'])}): {data['generations']} generations,"
        f" {data['children']} runs, {data['tokens']:,} tokens" + (f" ({guessed:,.0f} estimated)" if guessed else "")
    )


def _place(purpose: str, generation: int, place: int, of: int | None = None) -> str:
    if purpose == "baseline":
        return "unevolved, with the same budget"
    number = f"{place} of {of}" if of else str(place)
    return f"generation {generation}, child {number}" if purpose == "evolve" else f"round {generation}, run {number}"


NARRATED: dict[str, Callable[[dict[str, Any]], str]] = {
    "child.queued": _queued,
    "child.ended": _ended,
    "judge.tried": trial,
    "principles.kept": lambda data: f"generation {data['generation']}: {len(data['lines'])} principles are kept",
    "candidates.ranked": selection,
    "lineage.ended": _evolved,
    "baseline.compared": comparison,
}


DETAILS: dict[str, Callable[[dict[str, Any]], str]] = {"judge.progress": progress}
"""What is told under --verbose; without it, that the judge begins."""


def objects(db: sqlite3.Connection, run: Run) -> dict[str, Any]:
    """What `show --json` says of a series beside its runs: how each thing was told last, null where it was not."""
    last = {
        "judge": Kind.JUDGE_TRIED,
        "lineage": Kind.LINEAGE_ENDED,
        "comparison": Kind.BASELINE_COMPARED,
    }
    found: dict[str, Any] = {name: next(reversed(lineage.told(db, run.n, kind)), None) for name, kind in last.items()}
    ranked = {data["generation"]: data for data in lineage.told(db, run.n, Kind.CANDIDATES_RANKED)}
    kept = lineage.principles(db, run.n)
    generations = [{**ranked[number], "principles": kept.get(number, [])} for number in sorted(ranked)]
    return {"generations": generations, **found}


def lines(db: sqlite3.Connection, run: Run, database: Path) -> Iterator[str]:
    """The family tree of a series: its runs by generation, each with what it came to and the best of its answers."""
    tried = lineage.told(db, run.n, Kind.JUDGE_TRIED)
    if tried:
        yield trial(tried[-1])
    ranked = {data["generation"]: data for data in lineage.told(db, run.n, Kind.CANDIDATES_RANKED)}
    found = lineage.children(db, run.n, database)
    by_row = {item.n: item for item in lineage.candidates(db, run.n)}
    principles = lineage.principles(db, run.n)
    generation = 0
    for child in found:
        own_generation = child.generation if child.purpose == "evolve" else 0
        if own_generation != generation:
            yield from _generation(generation, ranked, principles)
            generation = own_generation
            if generation:
                yield f"generation {generation}"
        yield from _child(child, by_row)
        own = [item for item in by_row.values() if item.child == child.run.id]
        yield from (_candidate(item, ranked.get(child.generation)) for item in own[:3])
        if len(own) > 3:
            yield f"      and {len(own) - 3} more answers"
    yield from _generation(generation, ranked, principles)
    for data in lineage.told(db, run.n, Kind.BASELINE_COMPARED)[-1:]:
        yield comparison(data)


def _generation(
    number: int, ranked: Mapping[int, dict[str, Any]], principles: Mapping[int, list[str]]
) -> Iterator[str]:
    if number in ranked:
        yield f"  {selection(ranked[number])}"
    kept = principles.get(number, [])
    if kept:
        yield f"  principles kept ({len(kept)}):"
        yield from (f"    {one_line(line, 100)}" for line in kept[:5])
        if len(kept) > 5:
            yield f"    and {len(kept) - 5} more"


def _child(child: Child, by_row: Mapping[int, Candidate]) -> Iterator[str]:
    run = child.run
    origin = by_row.get(child.origin or 0)
    of = f" · from turn {origin.seq} of {origin.child}" if origin else ""
    mutation = f" · {one_line(child.mutation)}" if child.mutation else ""
    title = f" · {one_line(run.title, _WORDS)}" if child.purpose == "play" else ""
    name = {"baseline": "unevolved ", "play": f"{child.generation}.{child.place} "}.get(child.purpose, "")
    yield (
        f"  {name}{run.id}  {facts.state(run)} · {run.turns} turns · {run.tokens_in + run.tokens_out:,} tokens"
        f"{mutation}{of}{title}"
    )


def _candidate(item: Candidate, data: Mapping[str, Any] | None) -> str:
    """One answer with what was counted in it."""
    distance = "" if item.distance is None else f"distance {item.distance:.2f}, "
    counts = (
        f"{distance}{item.headings} headings, {item.steps} steps, {item.bullets} bullets, metric words in"
        f" {item.metric_lines} lines, numbers in {item.number_lines}"
    )
    said: Mapping[str, Any] = next(
        (
            entry
            for entry in (data or {}).get("ranking", [])
            if (entry["child"], entry["seq"]) == (item.child, item.seq)
        ),
        {},
    )
    judged = f"; judge: {interval(said)}" if said.get("wins") is not None else ""
    mark = "*" if item.selected else " "
    return f"    {mark} {item.rank}. turn {item.seq}: {counts}{judged}: {one_line(item.text, _WORDS)}"
