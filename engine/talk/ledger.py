"""The rows of a model's calls and what they cost the run: reserved before a call, settled when its row ends."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.providers import prices, registry
from engine.providers.protocol import Usage
from engine.record import allowances, calls
from engine.record.allowances import Allowance
from engine.runs.host import Host, outlast

Recipe = Callable[[sqlite3.Connection], dict[str, Any]]
"""Records a request's content and gives it as numbers."""


class LimitReached(Exception):
    """A call was not begun: an allowance has no room for it."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(allowance.unit)
        self.allowance = allowance


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call used: (prompt, answer, thinking, cached) tokens as the provider counted them, US dollars."""

    tokens: tuple[int, int, int, int] | None = None
    cost: float | None = None


class Ledger:
    """The calls of one run to one model. `priced`: the run has a limit in money, so that each call reserves some.

    What is not `counted` stands beside the run's limits: it is recorded, and takes nothing of them.
    """

    def __init__(self, host: Host, model: str, priced: bool, counted: bool = True) -> None:
        self._host = host
        self.counted = counted
        self._model = model
        self._priced = priced

    async def begin(
        self, turn: int | None, purpose: str, seat: str, recipe: Recipe, attempt: int, prompt: int, answer: int
    ) -> int:
        """Begin a call that may use so many tokens; returns its row. Raises LimitReached."""
        run = self._host.run.n
        wanted = {"tokens": float(prompt + answer)}
        if self._priced:
            wanted["cost"] = await self._cost(Usage(prompt, answer)) or 0.0

        def write(db: sqlite3.Connection) -> int | Allowance:
            call = calls.begin(db, run, turn, purpose, seat, self._model, recipe(db), attempt)
            full = allowances.reserve(db, run, call, wanted) if self.counted else None
            if full:
                calls.end(db, call, error=f"limit: {full.unit}")
            return full or call

        outcome = await self._host.commit(write)
        if isinstance(outcome, Allowance):
            raise LimitReached(outcome)
        return outcome

    async def spent(self, usage: Usage | None) -> Spent:
        """What a call used, priced.

        A cancellation that comes while the price is looked up is delivered at the caller's next wait: how a call ended
        is recorded, however often its turn is cut.
        """
        if usage is None:
            return Spent()
        cost = await outlast(asyncio.ensure_future(self._cost(usage)))
        return Spent((usage.prompt, usage.answer, usage.thinking, usage.cached), cost)

    def end(
        self,
        db: sqlite3.Connection,
        call: int,
        spent: Spent,
        *,
        answer: int | None = None,
        first: float | None = None,
        stop: str | None = None,
        error: str | None = None,
    ) -> None:
        """End a call's row.

        Where the provider has not said what it used, a call that had begun to answer is settled at what was reserved
        for it: cutting an answer short is no way around a limit.
        """
        calls.end(db, call, answer=answer, tokens=spent.tokens, cost=spent.cost, first=first, stop=stop, error=error)
        if spent.tokens is None and (answer is not None or first is not None):
            allowances.settle_reserved(db, call)
        else:
            tokens = float(sum(spent.tokens[:2])) if spent.tokens else 0.0
            allowances.settle(db, call, {"tokens": tokens, "cost": spent.cost or 0.0})

    async def _cost(self, usage: Usage) -> float | None:
        return await prices.cost(*registry.split(self._model), usage)
