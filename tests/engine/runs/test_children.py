"""A series whose host is killed, stopped, paused: no run of it is started twice, none is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.record import commands, events, lineage, presence, runs
from engine.record.asks import Ask
from engine.record.connection import open_reader, write_once
from engine.record.lineage import Child
from engine.record.runs import Run, Status
from engine.record.writer import Writer
from engine.runs import pipelines, spawn
from engine.runs.children import Children
from engine.runs.control import Control
from engine.runs.host import Host
from engine.settings.errors import UsageError
from tests import duels
from tests.nursery import Nursery
from tests.watch import Watch, wait_for

Pipeline = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def nurseries() -> Iterator[list[Nursery]]:
    with Nursery() as one, Nursery() as other:
        yield [one, other]


@pytest.fixture
def control(database: Path) -> Control:
    return Control(database, "tester", patience=5.0)


def series(*played: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"kind": "series", "title": "Test series", "runs": list(played), **keys}


def queue(database: Path, pipeline: dict[str, Any]) -> str:
    """A series that waits for its host."""
    spec = pipelines.resolve(pipeline)
    return write_once(database, lambda db: runs.create(db, spec["kind"], spec["title"], spec))


def children(database: Path, run: str) -> list[Child]:
    with closing(open_reader(database)) as db:
        return lineage.children(db, runs.find(db, run).n, database)


def find(database: Path, run: str) -> Run:
    with closing(open_reader(database)) as db:
        return runs.find(db, run, database)


def kill(database: Path, run: str) -> None:
    """End the run's host without a word."""
    pid = find(database, run).pid
    assert pid
    os.kill(pid, signal.SIGKILL)


def open_asks(database: Path, run: str) -> list[Ask]:
    with closing(open_reader(database)) as db:
        return lineage.open_asks(db, runs.find(db, run).n)


def told(database: Path, run: str, kind: str) -> list[dict[str, Any]]:
    with closing(open_reader(database)) as db:
        found = events.after(db, 0, run=runs.find(db, run).n, limit=100_000)
    return [event.data for event in found if event.kind == kind]


def played_once(database: Path, run: str, said: list[list[Any]]) -> None:
    """Every child was queued once, begun once, and says what it says undisturbed."""
    found = children(database, run)
    assert [child.run.status for child in found] == [Status.FINISHED] * len(said)
    assert len(told(database, run, "child.queued")) == len(told(database, run, "child.ended")) == len(said)
    for child, expected in zip(found, said, strict=True):
        assert child.ended and child.run.parent == run and child.run.forked_at is None
        assert [data["resumed"] for data in told(database, child.run.id, "run.started")].count(False) == 1
        with closing(open_reader(database)) as db:
            assert [turn[:3] for turn in duels.finished(db, child.run.id)] == expected


def test_a_series_survives_its_host_killed_at_any_moment(
    nurseries: list[Nursery], database: Path, scripted_pipeline: Pipeline
) -> None:
    pipeline = series(scripted_pipeline(turns=2), scripted_pipeline({"words": 5}, turns=3, delay=0.01))
    undisturbed = queue(database, pipeline)
    commits = nurseries[0].run(database, undisturbed)["commits"]
    with closing(open_reader(database)) as db:
        said = [[turn[:3] for turn in duels.finished(db, child.run.id)] for child in children(database, undisturbed)]
    assert [len(turns) for turns in said] == [2, 3]
    played_once(database, undisturbed, said)
    # its first commits take the run over, its last one ends it; what is killed never says that it has ended
    ways = [{"before": number} for number in range(2, commits, 2)] + [{"after": number} for number in (1, 3, 5, 7)]

    def killed(number: int) -> None:
        for way in ways[number :: len(nurseries)]:
            run = queue(database, pipeline)
            came = nurseries[number].run(database, run, **way)
            if came.get("code") == 0:  # how many commits a series takes varies a little: it had ended before
                assert came["commits"] < max(way.values())
            else:
                assert came["signal"] == signal.SIGKILL
                assert find(database, run).status is Status.CRASHED
                assert nurseries[number].run(database, run)["code"] == 0
            played_once(database, run, said)

    with ThreadPoolExecutor(len(nurseries)) as pool:
        list(pool.map(killed, range(len(nurseries))))


def test_what_its_host_left_alone_goes_on_and_a_dead_child_is_resumed(
    database: Path, control: Control, watch: Callable[[str], Watch], scripted_pipeline: Pipeline
) -> None:
    run = control.start(series(scripted_pipeline({"words": 30}, turns=8, delay=0.02), scripted_pipeline(turns=1)))
    watcher = watch(run)
    child = watcher.until("child.queued").data["child"]
    inner = watch(child)
    inner.until("turn.finished", seq=1)
    kill(database, run)
    inner.until("turn.finished", seq=2)
    assert find(database, run).status is Status.CRASHED
    control.pause(child)
    inner.until("run.paused")
    control.resume(run)
    assert watcher.until("run.waiting").data["why"].startswith(f"run {child} is paused; ")
    kill(database, child)
    assert watcher.until_over().reason == "runs"
    first, second = children(database, run)
    assert (first.run.id, first.run.turns, second.run.turns) == (child, 8, 1)
    assert [data["resumed"] for data in told(database, child, "run.started")] == [False, True]


@pytest.fixture
def begun(database: Path, scripted_pipeline: Pipeline) -> Iterator[tuple[Host, Child, asyncio.Runner]]:
    """A series whose one run has begun and has lost its host."""
    run = find(database, queue(database, series(scripted_pipeline(turns=1))))
    spec = pipelines.resolve(scripted_pipeline(turns=1))

    def begin(db: sqlite3.Connection) -> Child:
        child = lineage.add(db, run, spec, "play", 1, 1, of=1)
        runs.start(db, child.run.n, 4711, resumed=False)
        return child

    child = write_once(database, begin)
    writer = Writer(database)
    with asyncio.Runner() as runner:
        yield Host(database, run, {}, writer), child, runner
    writer.close()


def test_a_run_that_ends_while_its_host_is_looked_for_is_not_begun_again(
    begun: tuple[Host, Child, asyncio.Runner], database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a look at the row and one at the lock, its host may say that the run has ended, and go."""
    host, child, runner = begun

    def holder(path: Path, run: str) -> None:
        with closing(open_reader(database)) as db:
            active = runs.get(db, child.run.n).active
        if active:
            write_once(database, lambda db: runs.end(db, child.run.n, Status.FINISHED, "limit:turns"))

    monkeypatch.setattr(presence, "holder", holder)
    monkeypatch.setattr(spawn, "spawn", lambda *given: pytest.fail("it has ended"))
    assert runner.run(Children(host).play(child)).run.status is Status.FINISHED


def test_a_series_paused_again_while_its_run_gets_a_host_pauses_that_too(
    begun: tuple[Host, Child, asyncio.Runner], database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the series said to a host that has died is not known to the next one."""
    host, child, runner = begun
    pid: int | None = None

    def pause(db: sqlite3.Connection) -> None:
        commands.put(db, child.run.n, "pause", {}, f"series {host.run.id}")
        [command] = commands.waiting(db, child.run.n)
        commands.take(db, child.run.n, command)

    def begin(*given: object) -> None:
        nonlocal pid
        pid = 4711
        host.gate.close()

    def paused() -> bool:
        with closing(open_reader(database)) as db:
            return [command.verb for command in commands.waiting(db, child.run.n)] == ["pause"]

    async def play() -> None:
        playing = asyncio.create_task(Children(host).play(child))
        async with asyncio.timeout(10):
            while not paused():
                await asyncio.sleep(0.01)
        write_once(database, lambda db: runs.end(db, child.run.n, Status.FINISHED, "limit:turns"))
        await playing

    write_once(database, pause)
    monkeypatch.setattr(presence, "holder", lambda path, run: pid)
    monkeypatch.setattr(spawn, "spawn", begin)
    runner.run(play())


def test_children_pause_stop_and_go_on_with_their_series(
    database: Path, control: Control, watch: Callable[[str], Watch], scripted_pipeline: Pipeline
) -> None:
    run = control.start(series(scripted_pipeline({"words": 30}, turns=6, delay=0.02)))
    watcher = watch(run)
    child = watcher.until("child.queued").data["child"]
    inner = watch(child)
    inner.until("turn.finished", seq=1)
    control.pause(run)
    inner.until("run.paused")
    assert find(database, run).status is Status.PAUSED
    control.resume(run)
    inner.until("run.resumed")
    inner.until("turn.finished")
    with pytest.raises(UsageError, match=f"say its run {child}"):
        control.say(run, "Hello.")
    control.stop(run)
    assert watcher.until_over().status is Status.STOPPED
    assert inner.until_over().detail == f"stopped by series {run}"
    assert not presence.alive(database) or wait_for(lambda: not presence.alive(database))
    assert children(database, run)[0].ended is None
    control.resume(run)
    assert watcher.until_status(Status.FINISHED).reason == "runs"
    assert find(database, child).turns == 6


def test_a_child_that_is_stopped_or_skipped_is_over_and_bye_ends_the_series(
    database: Path, control: Control, watch: Callable[[str], Watch], scripted_pipeline: Pipeline
) -> None:
    slow = scripted_pipeline({"words": 30}, turns=9, delay=0.02)
    run = control.start(series(slow, repeat=0))
    watcher = watch(run)
    for number, end in enumerate((control.stop, control.stop, control.bye), 1):
        child = watcher.until("child.queued", place=1, generation=number).data["child"]
        watch(child).until("turn.started")
        if number == 2:
            control.skip(run)
        else:
            end(run if number == 3 else child)
        assert watcher.until("child.ended").data["child"] == child
    over = watcher.until_over()
    assert (over.status, over.reason) == (Status.FINISHED, "bye")
    assert [child.run.status for child in children(database, run)] == ["stopped", "stopped", "finished"]


def test_after_bye_a_series_that_was_killed_ends_its_run_politely_and_starts_no_other(
    database: Path, control: Control, watch: Callable[[str], Watch], scripted_pipeline: Pipeline
) -> None:
    run = control.start(series(scripted_pipeline({"words": 30}, turns=9, delay=0.02), repeat=0))
    watcher = watch(run)
    child = watcher.until("child.queued").data["child"]
    watch(child).until("turn.started")
    control.bye(run)
    kill(database, run)
    kill(database, child)
    assert wait_for(lambda: presence.holder(database, run) is None and presence.holder(database, child) is None)
    control.resume(run)
    assert watcher.until_status(Status.FINISHED).reason == "bye"
    [only] = children(database, run)
    assert only.run.status is Status.FINISHED and only.run.reason == "bye" and only.run.turns < 9 and only.ended


def test_a_child_that_asks_makes_the_series_say_so(
    database: Path, control: Control, watch: Callable[[str], Watch], scripted_pipeline: Pipeline
) -> None:
    pipeline = scripted_pipeline(turns=2)
    pipeline["seats"][1] = {"name": "B", "persona": "eliza", "human": True}
    run = control.start(series(pipeline))
    watcher = watch(run)
    child = watcher.until("child.queued").data["child"]
    why = watcher.until("run.waiting").data["why"]
    [ask] = open_asks(database, run)
    assert why == f"run {child} asks (ask {ask.n}): Your turn as B"
    assert find(database, run).status is Status.WAITING
    control.answer(ask.n, "My own words.")
    watcher.until("run.resumed")
    assert watcher.until_over().reason == "runs"


def test_a_child_that_fails_is_asked_about(
    database: Path, control: Control, watch: Callable[[str], Watch], scripted_pipeline: Pipeline
) -> None:
    broken = scripted_pipeline({"otherwise": "error"}, turns=2)
    run = control.start(series(broken, scripted_pipeline(turns=1)), answers="default")
    over = watch(run).until_over()
    [child] = children(database, run)
    assert (over.status, over.reason) == (Status.FAILED, "child")
    assert over.detail == f"run {child.run.id} has failed: {child.run.detail}" and "has no answer" in over.detail
    run = control.start(series(broken, scripted_pipeline(turns=1)))
    watcher = watch(run)
    failed = watcher.until("child.queued").data["child"]
    control.answer(wait_for(lambda: open_asks(database, run))[0].n, "stop")
    control.answer(watcher.until("ask.opened").data["ask"], "skip")
    assert watcher.until_over().reason == "runs"
    assert [(child.run.id == failed, child.run.status) for child in children(database, run)] == [
        (True, "failed"),
        (False, "finished"),
    ]


def test_children_never_spend_beyond_what_all_may_use(
    database: Path, control: Control, watch: Callable[[str], Watch], scripted_pipeline: Pipeline
) -> None:
    def spent(run: str) -> float:
        with closing(open_reader(database)) as db:
            return float(
                db.execute("SELECT spent FROM allowance WHERE run = ? AND unit = 'tokens'", (n(run),)).fetchone()[0]
            )

    def n(run: str) -> int:
        return find(database, run).n

    talk = scripted_pipeline(turns=3)
    one = control.start(series(talk))
    watch(one).until_over()
    cost = spent(one)
    run = control.start(series(talk, repeat=9, limits={"tokens": int(cost * 2.5)}))
    over = watch(run).until_over()
    assert (over.status, over.reason) == (Status.FINISHED, "limit:tokens")
    found = children(database, run)
    assert [child.run.reason for child in found] == ["limit:turns", "limit:turns", "limit:tokens"]
    assert spent(run) == sum(child.run.tokens_in + child.run.tokens_out for child in found) <= int(cost * 2.5)
    control.resume(run, ["limits.tokens=0", "limits.turns=9"])  # two turns of the third are said
    over = watch(run).until_status(Status.FINISHED)
    wait_for(lambda: find(database, run).reason == "limit:turns")
    assert sum(child.run.turns for child in children(database, run)) == 9


def test_a_series_is_removed_with_all_that_is_its_own(
    database: Path, control: Control, watch: Callable[[str], Watch], scripted_pipeline: Pipeline
) -> None:
    run = control.start(series(scripted_pipeline(turns=1), scripted_pipeline(turns=1)))
    watch(run).until_over()
    found = children(database, run)
    with pytest.raises(Exception, match=f"part of the series {run}; remove that"):
        control.delete(found[0].run.id)
    wait_for(lambda: not presence.alive(database))
    control.delete(run)
    with closing(open_reader(database)) as db:
        assert runs.count(db) == 0
        for table in ("child", "allowance", "event", "turn"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0
    assert not list(database.with_name(database.name + ".runs").glob(f"{found[0].run.id}*"))
