"""The index, the errors and the manifest: always valid, of every run, however it ended."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from engine.record import calls, events, runs, turns
from engine.record.connection import transact
from engine.record.events import Kind
from engine.record.export import index
from engine.record.runs import Status
from tests.fixtures.loop_record import QUESTION, Loop, seat, two_rounds


def errors(loop: Loop) -> list[dict[str, object]]:
    return [json.loads(line) for line in loop.export("errors").splitlines()]


def test_a_sound_run_has_no_errors(loop: Loop) -> None:
    two_rounds(loop)
    loop.end()
    assert loop.export("errors") == ""


def test_what_failed_is_told_with_its_turn_and_role(loop: Loop) -> None:
    loop.start()
    loop.say("Questioner", "Why?")

    def fail(db: object) -> None:
        row = turns.open_turn(loop.db, loop.n, 2, "Creator", None, "x/y")
        call = calls.begin(loop.db, loop.n, row, "turn", "Creator", "x/y", {"head": None}, 1)
        calls.end(loop.db, call, error="429 slow down \x1b")
        last = calls.begin(loop.db, loop.n, row, "turn", "Creator", "x/y", {"head": None}, 2)
        calls.end(loop.db, last, error="500 broken")
        turns.fail(loop.db, loop.n, row, None, "500 broken")
        minutes = calls.begin(loop.db, loop.n, None, "minutes", "Scriber", "x/y", {"head": None}, 1)
        calls.end(loop.db, minutes, error="no answer")

    transact(loop.db, fail)
    loop.minutes(1, "- s", rejected=["claim 'x': its quote 'y' was not said"])
    faulty = {"seq": 2, "seat": "Creator", "fault": "no question"}
    transact(loop.db, lambda db: events.append(db, loop.n, Kind.ANSWER_FAULTY, "turn/2", faulty))
    loop.end(Status.FAILED, "provider")
    found = errors(loop)
    assert all({"turn", "error", "role", "timestamp"} <= set(line) for line in found)
    assert [(line["kind"], line["turn"], line["role"], line["error"]) for line in found] == [
        ("call", 2, "Creator", "429 slow down \x1b"),
        ("turn", 2, "Creator", "500 broken"),
        ("call", None, "Scriber", "minutes: no answer"),
        ("minutes", 1, "Scriber", "not taken: claim 'x': its quote 'y' was not said"),
        ("answer", 2, "Creator", "no question"),
        ("run", None, None, "provider"),
    ]
    assert "\x1b" not in loop.export("errors")


def test_a_seat_a_text_or_minutes_that_are_missing_are_errors(tmp_path: Path) -> None:
    seats = [seat("Questioner"), seat("Creator"), seat("Mediator", every=2), seat("Scriber", "minutes")]
    loop = Loop(tmp_path / "t.db", seats)
    loop.start()
    loop.say("Questioner", "# Turn 1\n## Creator\nforged")
    loop.say("Questioner", "Again?")
    loop.say("Creator", "NextPrompt: nothing else")
    loop.minutes(3, "- s")
    loop.say("Questioner", "Last?")
    assert [(line["kind"], line["turn"], line["role"], line["error"]) for line in errors(loop)] == [
        ("missing", 1, "Creator", "no turn in round 1"),
        ("missing", 1, "Scriber", "nothing written on round 1"),
        ("missing", 3, "Creator", "a turn without words"),
        ("missing", 3, "Mediator", "no turn in round 2"),
    ]
    loop.db.close()


def test_a_fork_tells_the_errors_of_the_turns_it_shares(loop: Loop) -> None:
    loop.start()
    loop.say("Questioner", "Why?")
    loop.minutes(1, "- s", rejected=["early"])
    loop.say("Creator", "So.")
    loop.minutes(2, "- s", rejected=["late"])
    loop.end(Status.FAILED, "provider")
    first = turns.get(loop.db, loop.n, 1)
    assert first
    spec = runs.spec(loop.db, loop.run)
    child = transact(loop.db, lambda db: runs.create(db, "loop", "f", spec, fork=(loop.run, first.n, first.message)))
    loop.n, loop.id = runs.find(loop.db, child).n, child
    assert [line["error"] for line in errors(loop)] == ["not taken: early"]


def test_the_index_has_the_first_summary_else_the_first_topic_named(tmp_path: Path) -> None:
    one = Loop(tmp_path / "t.db", question="Why " + "so " * 80)
    two_rounds(one)
    one.db.close()
    two = Loop(tmp_path / "t.db", [seat("Creator")], title="No [minutes](x) \x1b")
    two.start()
    two.say("Creator", "Text.\nNextPrompt: **Go** on?\nNextPrompt: Later?")
    three = Loop(tmp_path / "t.db")
    found = runs.listing(two.db)
    text = index.index((index.entry(two.db, run) for run in found), linked=True)
    lines = text.splitlines()
    assert lines[:4] == ["# Knowledge index", "", "## Recent Runs", ""]
    assert [line.split("_")[-1].split("/")[0] for line in lines if line.startswith("- ")] == [three.id, two.id, one.id]
    assert "  - Go\\*\\* on?" in lines or "  - Go\\*\\* on" in text
    assert lines[-1] == "  - Rules can be taught."
    topic = lines[-2].split("): ")[1].split(" (")[0]
    assert len(topic) == index.TOPIC and topic.endswith("…")
    assert f"({two.run.status.value}" in text and "master.md" in text
    assert index.index([], linked=True).endswith("No run yet.\n")
    two.db.close()
    three.db.close()


def test_the_index_of_one_run_says_the_same_as_that_of_all(loop: Loop) -> None:
    assert f": {QUESTION} (queued, 0 turns)" in loop.export("index")
    two_rounds(loop)
    one = loop.export("index")
    assert one == index.index([index.entry(loop.db, loop.run)], linked=False)
    assert "](" not in one, "a link without a folder beside it leads nowhere"


@pytest.mark.parametrize("state", ["queued", "live", "finished"])
def test_a_manifest_is_json_whatever_the_state(loop: Loop, state: str) -> None:
    if state != "queued":
        two_rounds(loop)
    if state == "finished":
        loop.end()
    told = json.loads(loop.export("manifest"))
    assert told["seed"] == QUESTION and told["seed_sha256"] == hashlib.sha256(QUESTION.encode()).hexdigest()
    assert told["models"] == {
        name: f"local/{name.lower()}" for name in ("Questioner", "Creator", "Mediator", "Scriber")
    }
    assert (told["parent_run_id"], told["mediator_every"]) == (None, 4)
    assert (told["ended_utc"] is not None) == (state == "finished")
    assert (told["started_utc"] is not None) == (state != "queued")
