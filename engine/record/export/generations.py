"""What an export holds of a series: its runs, and what was counted, judged and kept of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.record import lineage
from engine.record.events import Kind
from engine.record.lineage import Candidate, Child
from engine.record.runs import Run


@dataclass(frozen=True, slots=True)
class Generations:
    """What the record holds of a series beside its runs; `ranked` and the last three are as events told them."""

    children: tuple[Child, ...]
    candidates: tuple[Candidate, ...]
    principles: Mapping[int, Sequence[str]]
    ranked: Mapping[int, dict[str, Any]]
    tried: dict[str, Any] | None
    compared: dict[str, Any] | None


def read(db: sqlite3.Connection, run: Run) -> Generations:
    def last(kind: Kind) -> dict[str, Any] | None:
        return next(reversed(lineage.told(db, run.n, kind)), None)

    return Generations(
        tuple(lineage.children(db, run.n)),
        (*lineage.candidates(db, run.n), *lineage.candidates(db, run.n, "baseline")),
        lineage.principles(db, run.n),
        {data["generation"]: data for data in lineage.told(db, run.n, Kind.CANDIDATES_RANKED)},
        last(Kind.JUDGE_TRIED),
        last(Kind.BASELINE_COMPARED),
    )
