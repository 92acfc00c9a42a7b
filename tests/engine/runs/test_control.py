"""Starting, going on with, forking and deleting runs; bad input writes nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.record import presence, runs, schema
from engine.record.connection import open_reader
from engine.record.errors import RecordError, WrongNameError
from engine.record.runs import Status
from engine.runs import kinds, log, pipelines
from engine.runs.control import Control
from engine.settings import paths
from engine.settings.errors import UsageError
from tests import duels
from tests.watch import Watch, wait_for

Follow = Callable[[str], Watch]
Pipeline = Callable[..., dict[str, Any]]


@pytest.fixture
def control(database: Path) -> Control:
    return Control(database, "tester")


def texts(watcher: Watch) -> list[str]:
    return [turn[2] for turn in duels.finished(watcher.reader.db, watcher.run_id)]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"limit": {}}, "this run: limit: unknown key; did you mean limits?"),
        ({"limits": {"turn": 3}}, "this run: limits.turn: unknown key; did you mean turns?"),
        ({"limits": {"turns": -1}}, "this run: limits.turns: Input should be greater than or equal to 0, got -1"),
        ({"kind": "duell"}, "this run: kind: unknown kind 'duell'; did you mean duel?"),
        ({"kind": None}, "this run: kind: missing; known: duel, loop, series"),
        ({"seats": []}, "this run: seats: a duel has two seats, not 0"),
        ({"starter": "C"}, "this run: starter: no seat is called 'C'; known: A, B"),
    ],
)
def test_a_pipeline_that_is_wrong_is_one_line_and_writes_nothing(
    control: Control, scripted_pipeline: Pipeline, change: dict[str, Any], line: str
) -> None:
    with pytest.raises(UsageError) as caught:
        control.start(scripted_pipeline(**change))
    assert str(caught.value) == line
    assert not control.database.exists()


def test_a_seat_whose_model_is_not_there_is_named_before_anything_is_written(
    control: Control, scripted_pipeline: Pipeline
) -> None:
    for model, what in (
        ("scripted/nowhere", r"^seat A: no script nowhere: give the path of a YAML file, or one of"),
        ("ollma/llama3.2", r"unknown provider 'ollma': did you mean ollama\?"),
        ("openai/gpt-5", r"^seat A: .*OPENAI_API_KEY"),
        ("ollama/llama3.2", r"^seat A: .*11434"),
    ):
        pipeline = scripted_pipeline()
        pipeline["seats"][0]["model"] = model
        with pytest.raises(UsageError, match=what):
            control.start(pipeline)
    pipeline = scripted_pipeline()
    pipeline["seats"][1]["options"] = {"temprature": 1}
    with pytest.raises(UsageError, match=r"seat B: options\.temprature: .* did you mean temperature\?"):
        control.start(pipeline)
    assert not control.database.exists()


def test_a_pipeline_is_found_by_path_then_in_the_users_folder_then_among_the_shipped(
    private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = pipelines.find("eliza-meets-parry")
    own = paths.config_dir() / "pipelines" / "eliza-meets-parry.yml"
    own.parent.mkdir(parents=True)
    own.write_text("kind: duel\n")
    assert pipelines.find("eliza-meets-parry") == own != shipped
    assert pipelines.available()["eliza-meets-parry"] == own
    (tmp_path / "eliza-meets-parry").write_text("")
    assert pipelines.find("eliza-meets-parry") == Path("eliza-meets-parry")
    with pytest.raises(UsageError, match=r"eliza-meets-parry: empty; a pipeline says at least its kind and its seats"):
        pipelines.resolve("eliza-meets-parry")
    with pytest.raises(UsageError, match="no pipeline is called 'eliza-meets-parrot'; did you mean eliza-meets-parry"):
        pipelines.find("eliza-meets-parrot")
    with pytest.raises(UsageError, match=r"none\.yml: no such pipeline file"):
        pipelines.find("none.yml")
    with pytest.raises(UsageError, match=r"eliza-meets-parry\.yml: kind: missing|seats: "):
        pipelines.resolve(own)


def test_what_is_set_at_the_start_is_what_is_played(
    control: Control, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    run = control.start(scripted_pipeline(), ["limits.turns=3", "seats.0.options.max_tokens=5"], seed="Good evening.")
    follower = watch(run)
    assert follower.until_over().reason == "limit:turns"
    said = texts(follower)
    assert said[0] == "Good evening." and len(said) == 3 and len(said[1].split()) == 5
    spec = follower.reader.spec(follower.run)
    assert (spec["opening"], spec["limits"]["turns"], spec["answers"]) == ("Good evening.", 3, "ask")


def test_a_finished_run_goes_on_once_its_limit_is_raised(
    control: Control, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    follower = watch(control.start(scripted_pipeline(turns=2)))
    follower.until_over()
    with pytest.raises(UsageError, match=r"has finished \(limit:turns\); raise what ended it, .*limits\.turns=4"):
        control.resume(follower.run_id)
    with pytest.raises(UsageError, match=r"limits\.turn: unknown key"):
        control.resume(follower.run_id, ["limits.turn=4"])
    before = texts(follower)
    control.resume(follower.run_id, ["limits.turns=4"])
    follower.until("spec.changed")
    follower.until("run.started", resumed=True)
    run = follower.until_over()
    assert (run.reason, run.turns) == ("limit:turns", 4) and texts(follower)[:2] == before


def test_a_fork_shares_the_past_and_takes_other_settings(
    control: Control, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    parent = watch(control.start(scripted_pipeline(turns=4)))
    parent.until_over()
    other = scripted_pipeline({"seats": {"*": ["x", "x", "Elsewhere.", "x"]}})["seats"][0]["model"]
    child = watch(control.fork(parent.run_id, 2, [f"seats.0.model={other}", f"seats.1.model={other}"]))
    run = child.until_over()
    assert (run.parent, run.forked_at, run.turns) == (parent.run_id, 2, 4)
    assert texts(child)[:2] == texts(parent)[:2] and texts(child)[2:] != texts(parent)[2:]
    assert parent.until("run.forked").data == {"child": child.run_id, "at_turn": 2}
    with pytest.raises(UsageError, match=r"no turn 5 to fork at; it has turns 1 to 4"):
        control.fork(parent.run_id, 5)
    with pytest.raises(RecordError, match="is the parent of"):
        control.delete(parent.run_id)
    control.delete(child.run_id)
    assert not presence.lock_file(control.database, child.run_id).exists()
    assert not log.log_file(control.database, child.run_id).exists()
    control.delete(parent.run_id)
    assert parent.reader.runs() == []


def test_runs_are_named_by_the_beginning_of_their_id(
    control: Control, database: Path, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    first, second = (control.start(scripted_pipeline(turns=1)) for _ in range(2))
    for run in (first, second):
        watch(run).until_over()
    with closing(open_reader(database)) as db:
        assert runs.find(db, "last").id == second
        assert runs.find(db, first.upper()).id == first
        db_write = sqlite3.connect(database)
        db_write.execute("UPDATE run SET id = 'abc' || substr(id, 4)")
        db_write.commit()
        db_write.close()
        with pytest.raises(WrongNameError, match="abc begins several runs: abc"):
            runs.find(db, "abc")
        with pytest.raises(WrongNameError, match=r"no run zzz; `tertulia runs` lists them"):
            runs.find(db, "zzz")
        assert runs.find(db, "abc" + first[3:]).title == "Test talk"
        assert [run.id for run in runs.listing(db, text="abc", limit=1)] == ["abc" + second[3:]]
        assert runs.listing(db, text="100%") == [] and len(runs.listing(db, text="test TALK")) == 2


def test_a_kind_that_nobody_knows() -> None:
    with pytest.raises(UsageError, match="did you mean duel"):
        kinds.load("dual")
    with pytest.raises(UsageError, match="kind: missing"):
        kinds.load(None)


def test_a_run_starts_only_once_its_host_has_it(control: Control, scripted_pipeline: Pipeline, watch: Follow) -> None:
    run = control.start(scripted_pipeline({"words": 25}, delay=0.02, turns=1))
    follower = watch(run)
    assert follower.run.status is Status.RUNNING and follower.run.started
    age = presence.heartbeat_age(control.database, run)
    assert age is not None and age < 10 and follower.run.created <= time.time()
    follower.until_over()
    wait_for(lambda: presence.holder(control.database, run) is None, "the lock to be free")


def test_a_host_of_an_older_program_is_stopped_without_a_command(
    control: Control, scripted_pipeline: Pipeline, watch: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = watch(control.start(scripted_pipeline({"words": 400}, delay=0.03)))
    live.until("turn.delta")
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    with pytest.raises(RecordError, match="made by an older Tertulia and still in use"):
        control.pause(live.run_id)
    control.stop(live.run_id)
    run = live.until_over()
    assert (run.status, run.reason) == ("stopped", "terminated")
