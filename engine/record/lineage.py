"""The children of a series: which runs they are, what was found in them, how it was ranked and judged.

A run belongs to a series by its row here; `run.parent` is the series too, with no turn that they share.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine.record import allowances, asks, events, runs
from engine.record.allowances import Allowance
from engine.record.asks import Ask
from engine.record.errors import RecordError
from engine.record.events import Kind
from engine.record.runs import Run

Purpose = Literal["play", "evolve", "baseline"]
"""Of a child: one of a list, one of a generation, or the run that is compared with what evolved."""
_MEMBER = "(SELECT n FROM child WHERE series = ?1)"


@dataclass(frozen=True, slots=True)
class Child:
    """A run that a series plays. `run` is how it stands; generations and places count from 1.

    `origin` is the row of the candidate that its seed was made of, `mutation` what the seed was asked besides; `ended`
    is when the series took note of its end.
    """

    n: int
    run: Run
    purpose: str
    generation: int
    place: int
    seed: str | None
    mutation: str | None
    origin: int | None
    ended: float | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answer of a child as it was counted and ranked: `form` is no measure of quality."""

    n: int
    child: str
    purpose: str
    generation: int
    seq: int
    text: str
    distance: float | None
    headings: int
    steps: int
    bullets: int
    metric_lines: int
    number_lines: int
    form: float
    rank: int
    selected: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What both orders of one pair came to for the text `one`.

    `one` and `other` are rows of candidates; of a planted pair its number, and 0. `forward` and `backward` are which of
    A and B was better with `one` as A and as B, None where the answer could not be used.
    """

    purpose: str
    generation: int
    one: int
    other: int
    forward: str | None
    backward: str | None
    outcome: str
    fault: str | None
    model: str


def add(
    db: sqlite3.Connection,
    series: Run,
    spec: dict[str, Any],
    purpose: Purpose,
    generation: int,
    place: int,
    *,
    of: int,
    seed: str | None = None,
    mutation: str | None = None,
    origin: int | None = None,
    above: dict[str, int] | None = None,
) -> Child:
    """Queue a run as a child, its row and the series' event in one transaction.

    `above` gives by unit the allowances (rows) that the child's own stand below.
    """
    title = str(spec["title"])
    run = runs.find(db, runs.create(db, spec["kind"], title, spec, series=series))
    db.execute(
        "INSERT INTO child (series, run, purpose, generation, place, seed, mutation, origin)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (series.n, run.n, purpose, generation, place, seed, mutation, origin),
    )
    for unit, node in (above or {}).items():
        allowances.set_cap(db, run.n, unit, None, parent=node)
    told = {
        "child": run.id,
        "kind_of_run": run.kind,
        "title": run.title,
        "purpose": purpose,
        "generation": generation,
        "place": place,
        "of": of,
        "seed": seed,
        "mutation": mutation,
        "origin": _named(db, origin) if origin else None,
    }
    events.append(db, series.n, Kind.CHILD_QUEUED, f"run/{run.id}", told)
    found = of_run(db, run.n)
    assert found
    return found


def end(db: sqlite3.Connection, series: int, child: Child) -> Child:
    """The series takes note that the child has ended; returns it as it stands now."""
    run = runs.get(db, child.run.n)
    changed = db.execute("UPDATE child SET ended = ? WHERE n = ? AND ended IS NULL", (time.time(), child.n)).rowcount
    if changed:
        told: dict[str, Any] = {"child": run.id, "status": run.status.value, "reason": run.reason, "detail": run.detail}
        told |= {"turns": run.turns, "tokens": run.tokens_in + run.tokens_out, "cost": run.cost}
        events.append(db, series, Kind.CHILD_ENDED, f"run/{run.id}", told)
    found = of_run(db, run.n)
    assert found
    return found


def exhausted(db: sqlite3.Connection, run: Run) -> Allowance | None:
    """The allowance above the run that ended it, if it was that and it has not been raised since."""
    unit = (run.reason or "").removeprefix("limit:")
    reached = told(db, run.n, Kind.LIMIT_REACHED)
    node = allowances.tightest(db, run.n).get(unit)
    if node is None or not reached or node.n == allowances.numbers(db, run.n)[unit]:
        return None
    return node if node.cap == reached[-1]["cap"] else None


def children(db: sqlite3.Connection, series: int, database: Path | None = None) -> list[Child]:
    """The children of a series (a row) in the order they were queued."""
    rows = db.execute("SELECT * FROM child WHERE series = ? ORDER BY n", (series,)).fetchall()
    return [_child(db, row, database) for row in rows]


def totals(db: sqlite3.Connection, series: int) -> tuple[int, int, int, float, int]:
    """(turns, tokens in, tokens out, US dollars, calls without a known price) of a series (a row) with its children."""
    row = db.execute(
        "SELECT sum(turns), sum(tokens_in), sum(tokens_out), sum(cost), sum(unpriced) FROM run"
        " WHERE n = ?1 OR n IN (SELECT run FROM child WHERE series = ?1)",
        (series,),
    ).fetchone()
    return tuple(row)


def evolution_cost(db: sqlite3.Connection, series: int) -> float:
    """US dollars, as measured, of what the budget of an evolution is for: its runs, and the judge's selections."""
    row = db.execute(
        "SELECT total(cost) FROM call WHERE (run = ?1 AND purpose = 'selection')"
        " OR run IN (SELECT run FROM child WHERE series = ?1 AND purpose = 'evolve')",
        (series,),
    ).fetchone()
    return float(row[0])


def parting(db: sqlite3.Connection, series: int) -> bool:
    """Whether somebody has said bye since the series last ended: a host that dies after it leaves the word behind."""
    rows = db.execute(
        "SELECT kind, data FROM event WHERE run = ? AND kind IN (?, ?, ?, ?) ORDER BY id DESC",
        (series, *(kind.value for kind in (Kind.COMMAND_TAKEN, Kind.RUN_FINISHED, Kind.RUN_STOPPED, Kind.RUN_FAILED))),
    )
    for kind, data in rows:
        found = json.loads(data)
        if kind == Kind.COMMAND_TAKEN:
            if found["verb"] == "bye":
                return True
        elif found["reason"] != "terminated":  # its machine was shut down: not its end
            return False
    return False


def with_children(db: sqlite3.Connection, run: Run) -> Run:
    """A series with what its runs have said and used beside its own calls; any other run as it is."""
    if run.kind != "series":
        return run
    turns, tokens_in, tokens_out, cost, unpriced = totals(db, run.n)
    return replace(run, turns=turns, tokens_in=tokens_in, tokens_out=tokens_out, cost=cost, unpriced=unpriced)


def of_run(db: sqlite3.Connection, run: int) -> Child | None:
    """The run (a row) as a child, None where it belongs to no series."""
    row = db.execute("SELECT * FROM child WHERE run = ?", (run,)).fetchone()
    return _child(db, row, None) if row else None


def open_asks(db: sqlite3.Connection, series: int) -> list[Ask]:
    """What the children of a series ask, oldest first."""
    rows = db.execute("SELECT run FROM child WHERE series = ? AND ended IS NULL ORDER BY n", (series,)).fetchall()
    return [ask for (run,) in rows for ask in asks.listing(db, run)]


def put_candidate(db: sqlite3.Connection, child: int, turn: int, counts: dict[str, float | None], rank: int) -> int:
    """Store a turn (a row) of a child (a row here) as a candidate; returns its row.

    `counts` are distance, headings, steps, bullets, metric_lines, number_lines and form.
    """
    cursor = db.execute(
        "INSERT INTO candidate (child, turn, distance, headings, steps, bullets, metric_lines, number_lines, form,"
        " rank) VALUES (:child, :turn, :distance, :headings, :steps, :bullets, :metric_lines, :number_lines, :form,"
        " :rank)",
        {"child": child, "turn": turn, "rank": rank, **counts},
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def select(db: sqlite3.Connection, ranks: dict[int, int], selected: int) -> None:
    """Give candidates (rows) their final ranks and mark the one that is taken."""
    db.executemany("UPDATE candidate SET rank = ? WHERE n = ?", [(rank, n) for n, rank in ranks.items()])
    db.execute("UPDATE candidate SET selected = 1 WHERE n = ?", (selected,))


def candidates(
    db: sqlite3.Connection, series: int, purpose: Purpose = "evolve", generation: int | None = None
) -> list[Candidate]:
    """The candidates of a series (a row), of one generation or of all, by generation and rank."""
    rows = db.execute(
        "SELECT candidate.*, run.id AS run_id, child.purpose, child.generation, turn.seq, message.text FROM candidate"
        " JOIN child ON child.n = candidate.child JOIN run ON run.n = child.run JOIN turn ON turn.n = candidate.turn"
        " JOIN message ON message.n = turn.message"
        " WHERE child.series = ? AND child.purpose = ? AND (?3 IS NULL OR child.generation = ?3)"
        " ORDER BY child.generation, candidate.rank, candidate.n",
        (series, purpose, generation),
    )
    return [
        Candidate(
            n=row["n"],
            child=row["run_id"],
            purpose=row["purpose"],
            generation=row["generation"],
            seq=row["seq"],
            text=row["text"],
            distance=row["distance"],
            headings=row["headings"],
            steps=row["steps"],
            bullets=row["bullets"],
            metric_lines=row["metric_lines"],
            number_lines=row["number_lines"],
            form=row["form"],
            rank=row["rank"],
            selected=bool(row["selected"]),
        )
        for row in rows
    ]


def forget_generation(db: sqlite3.Connection, series: int, generation: int) -> None:
    """Take back what a generation was counted, judged and distilled to; its runs and the events stay."""
    own = "SELECT n FROM child WHERE series = ?1 AND purpose = 'evolve' AND generation = ?2"
    values = (series, generation)
    db.execute(f"DELETE FROM candidate WHERE child IN ({own})", values)
    db.execute("DELETE FROM principle WHERE series = ?1 AND generation = ?2", values)
    db.execute("DELETE FROM judgement WHERE series = ?1 AND generation = ?2 AND purpose = 'selection'", values)


def keep_principles(db: sqlite3.Connection, series: int, generation: int, lines: Sequence[str]) -> None:
    """Keep what a generation is distilled to, with its event."""
    db.executemany(
        "INSERT INTO principle (series, generation, text) VALUES (?, ?, ?)",
        [(series, generation, line) for line in lines],
    )
    events.append(db, series, Kind.PRINCIPLES_KEPT, None, {"generation": generation, "lines": list(lines)})


def principles(db: sqlite3.Connection, series: int) -> dict[int, list[str]]:
    """Generation -> the lines kept of it, in their order."""
    found: dict[int, list[str]] = {}
    for generation, text in db.execute("SELECT generation, text FROM principle WHERE series = ? ORDER BY n", (series,)):
        found.setdefault(generation, []).append(text)
    return found


def judge(db: sqlite3.Connection, series: int, given: Judgement) -> None:
    """Store what a judge said of one pair."""
    db.execute(
        "INSERT INTO judgement (series, purpose, generation, one, other, forward, backward, outcome, fault, model, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            series,
            given.purpose,
            given.generation,
            given.one,
            given.other,
            given.forward,
            given.backward,
            given.outcome,
            given.fault,
            given.model,
            time.time(),
        ),
    )


def judgements(db: sqlite3.Connection, series: int, purpose: str, generation: int | None = None) -> list[Judgement]:
    """What a judge said, oldest first. Purposes are trial, selection and baseline."""
    rows = db.execute(
        "SELECT purpose, generation, one, other, forward, backward, outcome, fault, model FROM judgement"
        " WHERE series = ?1 AND purpose = ?2 AND (?3 IS NULL OR generation = ?3) ORDER BY n",
        (series, purpose, generation),
    )
    return [Judgement(*row) for row in rows]


def judging(db: sqlite3.Connection, series: int, told: dict[str, Any] | None) -> None:
    """Say how far the judge is, in place of what was said before; None: it is done."""
    db.execute("DELETE FROM event WHERE run = ? AND kind = ?", (series, Kind.JUDGE_PROGRESS.value))
    if told:
        events.append(db, series, Kind.JUDGE_PROGRESS, None, told)


def told(db: sqlite3.Connection, series: int, kind: Kind) -> list[dict[str, Any]]:
    """The data of all events of a kind, oldest first: what a series has said of itself."""
    rows = db.execute("SELECT data FROM event WHERE run = ? AND kind = ? ORDER BY id", (series, kind.value))
    return [json.loads(data or "{}") for (data,) in rows]


def delete(db: sqlite3.Connection, run: Run) -> None:
    """Remove a run; of a series, all that belongs to it. Raises RecordError for a part of a series."""
    member = db.execute("SELECT series FROM child WHERE run = ?", (run.n,)).fetchone()
    if member:
        series = runs.get(db, member[0])
        raise RecordError(f"run {run.id} is part of the series {series.id}; remove that, and all its runs go")
    found = children(db, run.n)
    db.execute(f"DELETE FROM candidate WHERE child IN {_MEMBER}", (run.n,))
    for table in ("child", "principle", "judgement"):
        db.execute(f"DELETE FROM {table} WHERE series = ?", (run.n,))
    for child in found:
        runs.delete(db, child.run)
    runs.delete(db, run)


def _child(db: sqlite3.Connection, row: sqlite3.Row, database: Path | None) -> Child:
    return Child(
        n=row["n"],
        run=runs.get(db, row["run"], database),
        purpose=row["purpose"],
        generation=row["generation"],
        place=row["place"],
        seed=row["seed"],
        mutation=row["mutation"],
        origin=row["origin"],
        ended=row["ended"],
    )


def _named(db: sqlite3.Connection, candidate: int) -> dict[str, Any]:
    """The candidate (a row) by its run and turn."""
    row = db.execute(
        "SELECT run.id, turn.seq FROM candidate JOIN turn ON turn.n = candidate.turn JOIN run ON run.n = turn.run"
        " WHERE candidate.n = ?",
        (candidate,),
    ).fetchone()
    return {"child": row[0], "seq": row[1]}
