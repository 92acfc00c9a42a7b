"""What humans do to a live run, as any watcher sees it happen."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.record import commands, content, runs
from engine.record.connection import open_reader, open_writer, write_once
from engine.record.errors import RecordError
from engine.record.events import Event
from engine.record.runs import Status
from engine.runs.control import Control
from engine.runs.host import Outcome
from engine.runs.process import _end
from engine.settings.errors import UsageError
from tests import duels
from tests.watch import Watch, hold_still

Follow = Callable[[str], Watch]
Pipeline = Callable[..., dict[str, Any]]
SLOW = {"pace": {"delay": 0.02, "chunk": 4}, "words": 60}
"""Turns of some 2 s: long enough to be interrupted, whatever else the machine does."""


@pytest.fixture
def control(database: Path) -> Control:
    return Control(database, "tester")


@pytest.fixture
def slow(control: Control, scripted_pipeline: Pipeline, watch: Follow) -> Watch:
    """A run in the middle of its first turn."""
    follower = watch(control.start(scripted_pipeline(SLOW, turns=6)))
    follower.until("turn.delta")
    return follower


def quick(control: Control, pipeline: Pipeline, watch: Follow, **keys: Any) -> Watch:
    """A run that has ended."""
    follower = watch(control.start(pipeline(**keys)))
    follower.until_over()
    return follower


def texts(watcher: Watch) -> list[str]:
    return [turn[2] for turn in duels.finished(watcher.reader.db, watcher.run_id)]


def test_a_command_is_acknowledged_in_mid_stream(control: Control, slow: Watch) -> None:
    """Between the say and its acknowledgement the turn goes on, and only a little of it."""
    for text in ("one", "two", "three"):
        control.say(slow.run_id, text)
        taken = slow.until("command.taken")
        sent = slow.reader.db.execute("SELECT at FROM command ORDER BY n DESC LIMIT 1").fetchone()[0]
        assert taken.at - sent < 0.1 * 10, "ten times what is promised, for a machine that is busy with other things"
    assert slow.run.turns == 0
    assert [event.data["text"] for event in slow.events if event.kind == "note.queued"] == ["one", "two", "three"]


def test_a_pause_lets_the_turn_end_and_nothing_new_begin(control: Control, slow: Watch) -> None:
    control.pause(slow.run_id)
    slow.until("run.paused", why="command")
    slow.until("turn.finished", seq=1)
    assert slow.run.status is Status.PAUSED
    control.step(slow.run_id)
    slow.until("turn.finished", seq=2)
    control.say(slow.run_id, "are you there?")
    slow.until("note.queued")
    assert slow.run.status is Status.PAUSED
    assert "turn.started" not in slow.kinds[slow.kinds.index("note.queued") :]
    control.resume(slow.run_id)
    slow.until("run.resumed")
    slow.until("turn.started", seq=3)
    control.stop(slow.run_id)
    assert slow.until_over().reason == "stop"


def test_step_on_a_running_duel_pauses_after_the_turn(control: Control, slow: Watch) -> None:
    control.step(slow.run_id)
    slow.until("run.paused", why="step")
    slow.until("turn.finished", seq=1)
    control.stop(slow.run_id)
    slow.until_over()
    assert slow.kinds.count("turn.started") == 1


def test_a_skipped_turn_keeps_its_number_and_is_not_heard(control: Control, slow: Watch) -> None:
    control.skip(slow.run_id)
    skipped = slow.until("turn.skipped", seq=1)
    assert skipped.data["text"], "what had come of it is kept"
    second = slow.until("turn.started", seq=2)
    assert second.data["seat"] == "B"
    control.stop(slow.run_id)
    slow.until_over()
    call = slow.reader.calls(slow.reader.attach(slow.run_id).turns[-1].n)[0]
    assert call.request["head"] is None


def test_retry_of_the_turn_in_progress_keeps_what_had_come(control: Control, slow: Watch) -> None:
    control.retry(slow.run_id)
    partial = slow.until("turn.partial", seq=1, why="retry")
    assert partial.data["text"]
    slow.until("turn.started", seq=1)
    control.stop(slow.run_id)
    slow.until_over()


def test_retry_of_the_last_turn_replaces_it(control: Control, slow: Watch) -> None:
    control.pause(slow.run_id)
    finished = slow.until("turn.finished", seq=1)
    control.retry(slow.run_id)
    replaced = slow.until("turn.replaced", seq=1, why="retry")
    assert replaced.data["text"] == finished.data["text"]
    assert slow.run.turns == 0
    control.resume(slow.run_id)
    slow.until("turn.started", seq=1)
    control.stop(slow.run_id)
    slow.until_over()


def test_retry_with_nothing_to_redo_is_refused_with_a_reason(
    control: Control, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    human = scripted_pipeline()
    human["seats"][0]["human"] = True
    follower = watch(control.start(human))
    follower.until("ask.opened")
    control.swap(follower.run_id, "C", {"model": "scripted/echo"})
    assert "no seat is called 'C'" in follower.until("command.refused").data["why"]
    control.swap(follower.run_id, "A", {"modle": "scripted/echo"})
    assert "modle" in follower.until("command.refused").data["why"]
    control.release(follower.run_id, "B")
    follower.until("command.refused")
    control.stop(follower.run_id)
    assert follower.until_over().reason == "stop"
    assert "ask.withdrawn" in follower.kinds


def test_edit_of_the_last_turn_changes_what_the_other_seat_reads(control: Control, slow: Watch) -> None:
    control.pause(slow.run_id)
    slow.until("turn.finished", seq=1)
    assert control.edit(slow.run_id, 1, "The edited words.") == slow.run_id
    slow.until("turn.replaced", seq=1, why="edit")
    assert slow.until("turn.finished", seq=1).data["text"] == "The edited words."
    control.resume(slow.run_id)
    slow.until("turn.started", seq=2)
    slow.until("turn.delta", seq=2)
    control.stop(slow.run_id)
    slow.until_over()
    call = slow.reader.calls(slow.reader.attach(slow.run_id).turns[-1].n)[0]
    assert [said.text for said in content.chain(slow.reader.db, call.request["head"])] == ["The edited words."]


def test_edit_of_an_earlier_turn_makes_a_fork_and_leaves_the_run(
    control: Control, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    parent = quick(control, scripted_pipeline, watch)
    before = texts(parent)
    child = watch(control.edit(parent.run_id, 2, "No, I never said that."))
    assert child.run_id != parent.run_id
    child.until_over()
    said = texts(child)
    assert said[:2] == [before[0], "No, I never said that."] and len(said) == 4
    assert texts(parent) == before
    with pytest.raises(UsageError, match=r"no finished turn 9|turns 1 to 4"):
        control.edit(parent.run_id, 9, "x")


def test_what_a_human_says_reaches_both_seats_before_the_next_turn(control: Control, slow: Watch) -> None:
    control.say(slow.run_id, "Speak of horses.")
    slow.until("note.queued")
    slow.until("turn.finished", seq=1)
    given = slow.until("note.given", seq=2)
    assert given.data["text"] == "Speak of horses." and given.data["seat"] == "you"
    assert slow.until("turn.started").data["seq"] == 2
    control.say(slow.run_id, "Now!", now=True)
    assert slow.until("turn.partial", seq=2).data["why"] == "say"
    slow.until("note.given", seq=2)
    slow.until("turn.started", seq=2)
    control.stop(slow.run_id)
    slow.until_over()
    call = slow.reader.calls(slow.reader.attach(slow.run_id).turns[-1].n)[0]
    said = [(said.author, said.text) for said in content.chain(slow.reader.db, call.request["head"])]
    assert said[1:] == [("you", "Speak of horses."), ("you", "Now!")]


def test_words_said_as_a_seat_are_that_seats_turn(control: Control, slow: Watch) -> None:
    control.say(slow.run_id, "I speak for B.", seat="b")
    slow.until("turn.finished", seq=1)
    mine = slow.until("turn.finished", seq=2)
    assert (mine.data["seat"], mine.data["text"]) == ("B", "I speak for B.")
    assert slow.until("turn.started", seq=3).data["seat"] == "A"
    control.stop(slow.run_id)
    slow.until_over()


def test_a_seat_is_taken_and_handed_back(control: Control, slow: Watch) -> None:
    control.take(slow.run_id, "A")
    slow.until("seat.taken", seat="A")
    asked = slow.until("ask.opened")
    assert slow.until_status(Status.WAITING).asks == 1
    control.answer(asked.data["ask"], "My own words.")
    assert slow.until("turn.finished").data["text"] == "My own words."
    control.release(slow.run_id, "A")
    slow.until("seat.released", seat="A")
    slow.until("turn.finished", seq=2)
    assert slow.until("turn.started", seq=3).data["seat"] == "A"
    assert slow.run.status is Status.RUNNING
    control.stop(slow.run_id)
    slow.until_over()


def test_a_swap_counts_from_the_next_turn_and_is_kept(
    control: Control, slow: Watch, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    other = scripted_pipeline({"seats": {"B": ["From another model."]}})["seats"][0]["model"]
    control.swap(slow.run_id, "B", {"model": other, "options.temperature": 0.3})
    slow.until("seat.changed", seat="B")
    assert slow.until("turn.finished", seq=2).data["text"] == "From another model."
    control.stop(slow.run_id)
    slow.until_over()
    seats = slow.reader.spec(slow.run)["seats"]
    assert seats[1]["model"] == other and seats[1]["options"] == {"temperature": 0.3}


def test_bye_is_a_polite_end(control: Control, slow: Watch) -> None:
    control.bye(slow.run_id)
    slow.until("note.queued")
    run = slow.until_over()
    assert (run.status, run.reason) == (Status.FINISHED, "bye")
    assert run.turns == 2, "the turn in progress, and one last answer"


def test_stop_keeps_what_was_said_so_far(control: Control, slow: Watch) -> None:
    shown = "".join(event.data["text"] for event in slow.events if event.kind == "turn.delta")
    control.stop(slow.run_id)
    run = slow.until_over()
    assert (run.status, run.reason) == (Status.STOPPED, "stop")
    ((seq, text, why),) = duels.partials(slow.reader.db, slow.run_id)
    assert (seq, why) == (1, "stop") and text.startswith(shown) and shown
    assert not [event for event in slow.reader.events(0) if event.kind == "turn.delta"]


def test_slash_stop_said_by_a_human_ends_the_run_before_another_turn(control: Control, slow: Watch) -> None:
    control.say(slow.run_id, "/stop")
    slow.until("note.queued")
    run = slow.until_over()
    assert (run.status, run.reason) == (Status.FINISHED, "stop")
    assert slow.kinds.count("turn.started") == 1


@pytest.mark.parametrize("verb", ["pause", "step", "skip", "retry", "bye", "stop"])
def test_without_a_host_a_command_is_refused_and_not_stored(
    control: Control, scripted_pipeline: Pipeline, watch: Follow, verb: str
) -> None:
    over = quick(control, scripted_pipeline, watch, turns=1)
    with pytest.raises(UsageError, match=f"run {over.run_id} is finished: nobody is there to {verb}"):
        getattr(control, verb)(over.run_id)
    with pytest.raises(UsageError, match="nobody is there to say"):
        control.say(over.run_id, "hello?")
    assert over.reader.db.execute("SELECT count(*) FROM command").fetchone()[0] == 0


def test_wrong_use_is_one_line(control: Control, slow: Watch) -> None:
    for wrong, what in (
        (lambda: control.say(slow.run_id, "  "), "empty"),
        (lambda: control.swap(slow.run_id, "A", {}), "nothing to change"),
        (lambda: control.edit(slow.run_id, 1, " "), "empty"),
        (lambda: control.delete(slow.run_id), "stop"),
        (lambda: control.resume(slow.run_id, ["limits.turns=9"]), "is live"),
        (lambda: control.fork(slow.run_id, 5), "no turn 5 to fork at"),
        (lambda: control.pause("zzzzzzzz"), "no run zzzzzzzz"),
        (lambda: control.answer(99, "x"), "no ask 99"),
    ):
        with pytest.raises(UsageError, match=what) as caught:
            wrong()
        assert "\n" not in str(caught.value)


def test_what_a_crash_left_behind(database: Path, control: Control, slow: Watch) -> None:
    """Control verbs left by a crash are cancelled with an event, a `say` still counts, once."""
    run = slow.run

    assert run.pid
    hold_still(run.pid, database)  # nothing is taken any more, but the lock is held
    control.say(run.id, "I said this before the crash.")
    control.pause(run.id)
    control.skip(run.id)
    os.kill(run.pid, signal.SIGKILL)
    slow.until_status(Status.CRASHED)
    with pytest.raises(UsageError, match="crashed"):
        control.skip(run.id)
    control.resume(run.id)
    assert [slow.until("command.cancelled").data["verb"] for _ in range(2)] == ["pause", "skip"]
    slow.until("note.given")
    slow.until("turn.finished", seq=1)
    control.stop(run.id)
    slow.until_over()
    assert slow.kinds.count("note.given") == 1 and slow.kinds.count("run.crashed") == 1
    states = slow.reader.db.execute("SELECT verb, state FROM command ORDER BY n").fetchall()
    assert [tuple(row) for row in states] == [
        ("say", "taken"), ("pause", "cancelled"), ("skip", "cancelled"), ("stop", "taken")
    ]  # fmt: skip


def test_commands_left_at_the_end_are_refused(database: Path) -> None:
    """A command that comes too late is answered too."""

    def work(db: sqlite3.Connection) -> int:
        run = runs.find(db, runs.create(db, "duel", "t", {}))
        runs.start(db, run.n, 1, resumed=False)
        number = commands.put(db, run.n, "skip", {}, "me")
        _end(db, run.n, Outcome(Status.FINISHED, "limit:turns"))
        return number

    number = write_once(database, work)
    with closing(open_reader(database)) as db:
        assert commands.outcome(db, number) == ("refused", "the run has ended")


def test_two_followers_see_the_same_and_each_say_lands_once(
    database: Path, control: Control, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    one = watch(control.start(scripted_pipeline({"words": 20}, delay=0.01, turns=6)))
    other = watch(one.run_id)
    one.until("turn.delta")
    Control(database, "one").say(one.run_id, "from one")
    Control(database, "other").say(one.run_id, "from the other")
    for follower in (one, other):
        follower.until_over()

    def told(events: list[Event]) -> list[tuple[int, str, str]]:
        kept = [event for event in events if event.kind not in ("turn.delta", "turn.progress")]
        return [(event.id, event.kind, str(event.data)) for event in kept]

    assert told(one.events) == told(other.events)
    assert told(one.events) == told(one.reader.events(0))
    ids = [event.id for event in other.events]
    assert ids == sorted(set(ids))
    for text in ("from one", "from the other"):
        given = [event for event in one.events if event.kind == "note.given" and event.data["text"] == text]
        assert len(given) == 1
    said = content.chain(one.reader.db, one.run.head)
    assert sorted(item.text for item in said if item.author == "you") == ["from one", "from the other"]
    streamed = {
        seq: "".join(e.data["text"] for e in other.events if e.kind == "turn.delta" and e.data["seq"] == seq)
        for seq in range(1, 7)
    }
    for seq, _, text, _ in duels.finished(one.reader.db, one.run_id):
        assert text.startswith(streamed[seq]), "deltas are the turn's own text, in order"


def test_an_ask_is_answered_once(control: Control, scripted_pipeline: Pipeline, watch: Follow) -> None:
    human = scripted_pipeline()
    human["seats"][0]["human"] = True
    follower = watch(control.start(human))
    asked = follower.until("ask.opened")
    with pytest.raises(UsageError, match="empty"):
        control.answer(asked.data["ask"], " ")
    control.answer(asked.data["ask"], "First.")
    with pytest.raises(RecordError, match=r"answered already; tester said .First."):
        control.answer(asked.data["ask"], "Second.")
    assert follower.until("turn.finished").data["text"] == "First."


def test_a_fault_that_stays_asks_what_now(control: Control, scripted_pipeline: Pipeline, watch: Follow) -> None:
    refused = {"attempt": "every", "fault": "refused", "message": "no such luck"}
    follower = watch(control.start(scripted_pipeline({"seats": {"A": [{"text": "Hm.", "faults": [refused]}]}})))
    asked = follower.until("ask.opened")
    assert asked.data["question"] == "no such luck"
    assert [option["value"] for option in asked.data["options"]] == ["retry", "model", "skip", "stop"]
    control.retry(follower.run_id)
    second = follower.until("ask.opened")
    with pytest.raises(UsageError, match="answer one of retry, model, skip, stop"):
        control.answer(second.data["ask"], "perhaps")
    control.answer(second.data["ask"], "model=scripted/echo")
    follower.until("seat.changed", seat="A")
    follower.until("turn.finished", seq=1)
    follower.until_over()


def test_whoever_takes_a_seat_over_need_not_say_what_to_do_about_its_model(
    control: Control, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    refused = {"attempt": "every", "fault": "refused", "message": "no such luck"}
    follower = watch(control.start(scripted_pipeline({"seats": {"A": [{"text": "Hm.", "faults": [refused]}]}})))
    fault = follower.until("ask.opened").data["ask"]
    control.take(follower.run_id, "A")
    mine = follower.until("ask.opened")
    assert mine.data["kind_of_ask"] == "text" and mine.data["ask"] != fault
    control.say(follower.run_id, "Then I speak.", seat="A")
    assert follower.until("turn.finished", seq=1).data["text"] == "Then I speak."
    control.stop(follower.run_id)
    follower.until_over()


def test_the_record_is_free_while_nobody_writes(database: Path, slow: Watch) -> None:
    """A terminal that only looks never holds the host up: its reads are short."""
    slow.reader.attach(slow.run_id)
    assert not slow.reader.db.in_transaction
    db = open_writer(database)
    db.execute("BEGIN IMMEDIATE")
    db.execute("ROLLBACK")
    db.close()
