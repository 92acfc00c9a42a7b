"""No number of callers overspends any level of the tree of limits."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.record import allowances, calls, events, runs
from engine.record.connection import open_writer, transact
from engine.record.writer import Writer

CAPS = st.one_of(st.none(), st.integers(0, 60))


def tree(db: sqlite3.Connection, caps: list[int | None]) -> tuple[list[int], list[int]]:
    """A chain of nodes, each below the one before, each of a run of its own: (runs, nodes)."""
    owners, nodes = [], []
    for cap in caps:
        owners.append(runs.find(db, runs.create(db, "duel", "t", {})).n)
        nodes.append(allowances.set_cap(db, owners[-1], "tokens", cap, nodes[-1] if nodes else None))
    return owners, nodes


class Spending(RuleBasedStateMachine):
    """Callers at every level reserve and settle in any order, and hosts die in between."""

    @initialize(caps=st.lists(CAPS, min_size=1, max_size=4))
    def begin(self, caps: list[int | None]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.db = open_writer(Path(self.folder.name) / "t.db")
        self.owners, self.nodes = tree(self.db, caps)
        self.open: dict[int, tuple[int, int]] = {}
        self.spent = [0.0] * len(caps)
        self.estimated = [0.0] * len(caps)

    @rule(level=st.integers(0, 3), amount=st.integers(0, 30))
    def reserve(self, level: int, amount: int) -> None:
        level = min(level, len(self.nodes) - 1)
        call = calls.begin(self.db, self.owners[level], None, "turn", "A", "m", {}, 1)
        lefts = [allowances.get(self.db, node).left for node in self.nodes[: level + 1]]
        full = allowances.reserve(self.db, self.owners[level], call, {"tokens": amount})
        fits = all(left is None or amount <= left for left in lefts)
        assert (full is None) == fits
        if full:
            assert full.left is not None and full.left < amount
        else:
            self.open[call] = level, amount

    @rule(used=st.floats(0, 1), pick=st.randoms(use_true_random=False))
    def settle(self, used: float, pick: object) -> None:
        if self.open:
            call = sorted(self.open)[0]
            level, amount = self.open.pop(call)
            allowances.settle(self.db, call, {"tokens": amount * used, "cost": 99.0})
            for place in range(level + 1):
                self.spent[place] += amount * used

    @rule(level=st.integers(0, 3))
    def die(self, level: int) -> None:
        level = min(level, len(self.nodes) - 1)
        allowances.settle_dead(self.db, self.owners[level])
        for call in [call for call, (where, _) in self.open.items() if where == level]:
            _, amount = self.open.pop(call)
            for place in range(level + 1):
                self.spent[place] += amount
                self.estimated[place] += amount

    @invariant()
    def no_level_is_overspent(self) -> None:
        for place, node in enumerate(getattr(self, "nodes", [])):
            found = allowances.get(self.db, node)
            assert found.spent == pytest.approx(self.spent[place])
            assert found.estimated == pytest.approx(self.estimated[place])
            assert found.reserved == sum(amount for level, amount in self.open.values() if level >= place)
            assert found.left is None or found.left >= -1e-9

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.db.close()
            self.folder.cleanup()


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


def test_hosts_at_once_never_overspend_what_they_share(database: Path) -> None:
    """Real writers in threads of their own, each with its own connection, on one parent's limit."""
    with closing(open_writer(database)) as db:
        parent = transact(db, lambda db: tree(db, [1000])[1][0])

        def child(db: sqlite3.Connection) -> tuple[int, int]:
            run = runs.find(db, runs.create(db, "duel", "t", {})).n
            return run, allowances.set_cap(db, run, "tokens", None, parent)

        children = [transact(db, child) for _ in range(3)]
    granted: list[float] = []

    def work(run: int, node: int) -> None:
        made = Writer(database)

        def ask(db: sqlite3.Connection) -> int | None:
            call = calls.begin(db, run, None, "turn", "A", "m", {}, 1)
            return None if allowances.reserve(db, run, call, {"tokens": 30.0}) else call

        while (call := made.submit(ask).result(30)) is not None:
            made.submit(partial(allowances.settle, call=call, spent={"tokens": 25.0})).result(30)
            granted.append(25.0)
        made.close()

    threads = [threading.Thread(target=work, args=item) for item in children]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(open_writer(database)) as db:
        whole = allowances.get(db, parent)
        assert whole.spent == sum(granted) and 970 < whole.spent <= 1000 and whole.reserved == 0
        assert sum(allowances.get(db, node).spent for _, node in children) == whole.spent


@given(st.lists(st.tuples(CAPS, CAPS), max_size=4))
@settings(max_examples=20, deadline=None)
def test_a_cap_may_be_changed_and_keeps_what_was_spent(caps: list[tuple[int | None, int | None]]) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(open_writer(Path(folder) / "t.db")) as db:
        run = runs.find(db, runs.create(db, "duel", "t", {})).n
        node = allowances.set_cap(db, run, "tokens", 5)
        allowances.use(db, run, "tokens", 3)
        for cap in [one for pair in caps for one in pair]:
            assert allowances.set_cap(db, run, "tokens", cap) == node
            found = allowances.of_run(db, run)["tokens"]
            assert (found.cap, found.spent) == (cap, 3)
            assert found.left == (None if cap is None else cap - 3)


def test_what_a_dead_host_had_reserved_is_marked_as_an_estimate(database: Path) -> None:
    with closing(open_writer(database)) as db:
        (upper, lower), (above, below) = tree(db, [100, 50])
        call = calls.begin(db, lower, None, "turn", "A", "m", {}, 1)
        assert allowances.reserve(db, lower, call, {"tokens": 40}) is None
        allowances.settle_dead(db, upper)
        assert allowances.get(db, below).reserved == 40, "another run's host is not dead"
        allowances.settle_dead(db, lower)
        for node in (above, below):
            found = allowances.get(db, node)
            assert (found.spent, found.estimated, found.reserved) == (40, 40, 0)
        told = [event.data for event in events.after(db, 0, run=lower) if event.kind == "limit.settled"]
        assert told == [{"unit": "tokens", "amount": 40.0}]
