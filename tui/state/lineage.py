"""A series as it stands: its runs, what was found and ranked in them, what a judge said, what all of it has used.

All of it is read at once, and again only after an event of the series or of one of its runs says that it has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.record import allowances, lineage
from engine.record.allowances import Allowance
from engine.record.asks import Ask
from engine.record.events import Event, Kind
from engine.record.lineage import Candidate, Child
from engine.record.reader import Reader
from engine.record.runs import Run
from tui.state import figures

_QUIET = frozenset({Kind.TURN_DELTA, Kind.TURN_PROGRESS, Kind.TURN_STARTED})
_LOOK = 0.5
"""Seconds between reads while much happens."""


class Tree:
    """What was read of one series. Nothing is read before the first `refresh`."""

    def __init__(self, run_id: str) -> None:
        self.id = run_id
        self.run: Run | None = None
        self.version = 0
        """Grows whenever what is shown may differ."""
        self._stale = True
        self._looked = float("-inf")
        self.spec: dict[str, Any] = {}
        self.children: list[Child] = []
        self.candidates: list[Candidate] = []
        self.principles: dict[int, list[str]] = {}
        self.ranked: dict[int, dict[str, Any]] = {}
        self.tried: dict[str, Any] | None = None
        self.judging: dict[str, Any] | None = None
        self.compared: dict[str, Any] | None = None
        self.totals: tuple[int, int, int, float, int] = (0, 0, 0, 0.0, 0)
        self.budget: dict[str, Allowance] = {}
        self.asks: list[Ask] = []
        self._members: frozenset[str] = frozenset({self.id})

    def apply(self, found: Sequence[Event]) -> None:
        """Note whether these events change anything here."""
        for event in found:
            if event.run in self._members and event.kind not in _QUIET:
                self._stale = True

    def reset(self) -> None:
        """Read everything again: events may have been missed."""
        self._stale = True
        self._looked = float("-inf")

    def refresh(self, reader: Reader, now: float) -> bool:
        """Read again where that is due, `now` in monotonic seconds. True when something is new. Raises RecordError."""
        if not self._stale or now - self._looked < _LOOK:
            return False
        self._stale, self._looked = False, now
        run, db = reader.find(self.id), reader.db
        if self.run is None or run.spec != self.run.spec:
            self.spec = reader.spec(run)
        self.children = lineage.children(db, run.n, reader.path)
        self.candidates = [*lineage.candidates(db, run.n), *lineage.candidates(db, run.n, "baseline")]
        self.principles = lineage.principles(db, run.n)
        self.ranked = {item["generation"]: item for item in lineage.told(db, run.n, Kind.CANDIDATES_RANKED)}
        self.tried = next(reversed(lineage.told(db, run.n, Kind.JUDGE_TRIED)), None)
        self.judging = next(reversed(lineage.told(db, run.n, Kind.JUDGE_PROGRESS)), None)
        self.compared = next(reversed(lineage.told(db, run.n, Kind.BASELINE_COMPARED)), None)
        self.totals = lineage.totals(db, run.n)
        self.budget = allowances.of_run(db, run.n)
        self.asks = lineage.open_asks(db, run.n)
        self._members = frozenset({self.id, *(child.run.id for child in self.children)})
        self.run = run
        self.version += 1
        return True

    @property
    def generation(self) -> int:
        """The newest generation that has a run."""
        return max((child.generation for child in self.children if child.purpose != "baseline"), default=0)

    @property
    def figures(self) -> list[str]:
        """What the series and its runs have come to and used, each with its unit."""
        found = []
        if self.generation and not self.spec.get("runs"):
            found.append(f"generation {self.generation} of {self.spec['generations']}")
        if self.children:
            found.append(many(len(self.children), "run"))
        _, read, said, cost, unpriced = self.totals
        found.append(f"{figures.count(read + said)} tok")
        for unit, node in self.budget.items():
            if node.cap and unit in ("tokens", "cost"):
                spent, cap = (
                    (figures.count(node.spent), figures.count(node.cap))
                    if unit == "tokens"
                    else (figures.money(node.spent), figures.money(node.cap))
                )
                found.append(f"budget {spent} of {cap}")
        found.append(figures.money(cost, unpriced))
        return found


def many(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
