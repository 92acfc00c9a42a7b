"""A host that is killed at any moment: nothing finished is lost or said twice, and nothing shown is lost."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from engine.record import runs, turns
from engine.record.connection import open_reader, write_once
from engine.record.runs import Status
from engine.runs import pipelines
from tests import duels
from tests.nursery import Nursery

Pipeline = Callable[..., dict[str, Any]]
RANDOM_MOMENTS = 30
HASTE = {"flush": 0.006}
"""Deltas are committed more often than they need be, so that a short turn has several of them to be killed at."""


@pytest.fixture(scope="module")
def nurseries() -> Iterator[list[Nursery]]:
    with Nursery() as one, Nursery() as other:
        yield [one, other]


def queue(database: Path, pipeline: dict[str, Any]) -> str:
    """A run that waits for its host."""
    spec = pipelines.resolve(pipeline)
    return write_once(database, lambda db: runs.create(db, spec["kind"], spec["title"], spec))


def shown(db: sqlite3.Connection, run: str) -> tuple[int, str] | None:
    """(seq, text) of the turn in progress as any watcher saw it, None where there is none."""
    live = turns.live(db, runs.find(db, run).n)
    return (live.seq, live.text) if live else None


class Trial:
    """Runs that are killed and go on, compared with the same run left alone."""

    def __init__(self, nurseries: list[Nursery], database: Path, pipeline: dict[str, Any]) -> None:
        self.database, self.pipeline = database, pipeline
        self._free: SimpleQueue[Nursery] = SimpleQueue()
        for nursery in nurseries:
            self._free.put(nursery)
        lasted = []
        for _ in range(2):  # the first one reads what later ones find read
            undisturbed = queue(database, pipeline)
            began = time.monotonic()
            self.commits = nurseries[0].run(database, undisturbed, **HASTE)["commits"]
            lasted.append(time.monotonic() - began)
        self.lasts = min(lasted)
        with closing(open_reader(database)) as db:
            assert runs.find(db, undisturbed).status is Status.FINISHED
            self.expected = duels.finished(db, undisturbed)

    def all(self, ways: Sequence[dict[str, Any]]) -> list[str]:
        """Kill a run in each of these ways, as many at a time as there are nurseries."""
        with ThreadPoolExecutor(self._free.qsize()) as pool:
            return list(pool.map(self._one, ways))

    def _one(self, way: dict[str, Any]) -> str:
        nursery = self._free.get()
        try:
            return self.killed(nursery, queue(self.database, self.pipeline), way)
        finally:
            self._free.put(nursery)

    def killed(self, nursery: Nursery, run: str, *ways: dict[str, Any]) -> str:
        """Have a run killed in these ways, one after the other, then let it go on to its end.

        Returns what had been shown of the turn that was broken last.
        """
        kept: list[tuple[int, str]] = []
        broken: tuple[int, str] | None = None
        with closing(open_reader(self.database)) as db:
            for way in ways:
                died = nursery.run(self.database, run, **HASTE, **way)
                assert died.get("signal") == signal.SIGKILL or died["code"] == 0
                found = runs.find(db, run, self.database)
                assert found.status in (Status.QUEUED, Status.CRASHED, Status.FINISHED)
                broken = shown(db, run)
                kept += [broken] if broken else []
                before = duels.finished(db, run)
                assert before == self.expected[: len(before)]
            if found.active or found.status is Status.CRASHED:
                assert nursery.run(self.database, run)["code"] == 0
            assert runs.find(db, run).status is Status.FINISHED
            assert duels.finished(db, run) == self.expected
            assert shown(db, run) is None
            assert [(seq, text) for seq, text, why in duels.partials(db, run) if why == "crash"] == kept
        return broken[1] if broken else ""


@pytest.fixture
def trial(nurseries: list[Nursery], database: Path, scripted_pipeline: Pipeline) -> Trial:
    made = Trial(nurseries, database, scripted_pipeline({"words": 16}, delay=0.003))
    assert [turn[0] for turn in made.expected] == [1, 2, 3, 4]
    return made


def test_killed_before_and_after_every_commit(trial: Trial) -> None:
    assert trial.commits > 16
    cut = trial.all([{side: n} for n in range(1, trial.commits + 1) for side in ("before", "after")])
    assert sum(map(bool, cut)) > 8, "the kills are meant to hit turns in mid-sentence too"


def test_killed_at_random_moments(trial: Trial) -> None:
    moments = random.Random(20)
    cut = trial.all([{"at": moments.uniform(0, trial.lasts)} for _ in range(RANDOM_MOMENTS)])
    assert sum(map(bool, cut)) > RANDOM_MOMENTS // 6, "some of them fall into a turn"


def test_killed_again_and_again(trial: Trial, nurseries: list[Nursery]) -> None:
    ways = [{side: n} for n in (3, 4, 5, 6, 7) for side in ("before", "after")]
    trial.killed(nurseries[0], queue(trial.database, trial.pipeline), *ways)
