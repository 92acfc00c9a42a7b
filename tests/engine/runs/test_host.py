"""The life of a host's process: one to a run, found dead at once, and nothing lost when the system ends it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.record import presence, runs
from engine.record.connection import write_once
from engine.record.errors import RecordError
from engine.record.presence import Presence
from engine.record.runs import Status
from engine.runs import log, pipelines, spawn
from engine.runs.control import Control
from engine.settings.errors import UsageError
from tests import duels
from tests.watch import Watch, hold_still, wait_for

Follow = Callable[[str], Watch]
Pipeline = Callable[..., dict[str, Any]]


@pytest.fixture
def control(database: Path) -> Control:
    return Control(database, "tester")


@pytest.fixture
def live(control: Control, scripted_pipeline: Pipeline, watch: Follow) -> Watch:
    """A run in the middle of its first turn."""
    follower = watch(control.start(scripted_pipeline({"words": 25}, delay=0.015, turns=3)))
    follower.until("turn.delta")
    return follower


def kill(watcher: Watch) -> None:
    pid = watcher.run.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    wait_for(lambda: presence.holder(watcher.reader.path, watcher.run_id) is None, "the lock to be free")


def queued(database: Path, pipeline: dict[str, Any]) -> str:
    spec = pipelines.resolve(pipeline)
    return write_once(database, lambda db: runs.create(db, spec["kind"], spec["title"], spec))


def host(database: Path, run: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """A host as `spawn` starts it, after `code`."""
    program = f"import sys\nfrom pathlib import Path\n{code}\nfrom engine.runs import process\n"
    program += f"sys.exit(process.main(Path({str(database)!r}), {run!r}))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


def test_a_host_outlives_who_started_it_in_a_session_of_its_own(live: Watch, database: Path) -> None:
    pid = live.run.pid
    assert pid and presence.holder(database, live.run_id) == pid
    assert os.getsid(pid) == pid != os.getsid(0)
    process = psutil.Process(pid)
    assert process.terminal() is None and process.cwd() == "/"
    os.kill(pid, signal.SIGHUP)
    live.until("turn.finished", seq=1)


def test_sigterm_ends_the_run_with_all_that_was_said(live: Watch, control: Control) -> None:
    shown = "".join(event.data["text"] for event in live.events if event.kind == "turn.delta")
    assert live.run.pid
    os.kill(live.run.pid, signal.SIGTERM)
    run = live.until_over()
    assert (run.status, run.reason) == (Status.STOPPED, "terminated")
    ((seq, text, _),) = duels.partials(live.reader.db, live.run_id)
    assert seq == 1 and shown and text.startswith(shown)
    control.resume(live.run_id)
    assert live.until("run.started", resumed=True)
    assert live.until_over().reason == "limit:turns"
    assert [turn[0] for turn in duels.finished(live.reader.db, live.run_id)] == [1, 2, 3]


def test_a_killed_run_is_crashed_at_once_and_says_so_when_it_goes_on(live: Watch, control: Control) -> None:
    stored = live.run.status
    kill(live)
    assert stored is Status.RUNNING and live.run.status is Status.CRASHED
    assert [run.status for run in live.reader.runs()] == [Status.CRASHED]
    with pytest.raises(UsageError, match=f"resume {live.run_id}"):
        control.pause(live.run_id)
    control.resume(live.run_id)
    live.until("run.crashed")
    assert live.until("turn.partial", seq=1).data["why"] == "crash"
    assert live.until("run.started").data["resumed"] is True
    assert live.until_over().status is Status.FINISHED


def test_killed_while_paused(live: Watch, control: Control) -> None:
    control.pause(live.run_id)
    live.until("turn.finished", seq=1)
    kill(live)
    assert live.run.status is Status.CRASHED
    control.resume(live.run_id)
    assert live.until_over().turns == 3
    assert duels.partials(live.reader.db, live.run_id) == []


def test_killed_with_notes_queued_each_is_said_once(live: Watch, control: Control) -> None:
    control.say(live.run_id, "first")
    control.say(live.run_id, "second")
    live.until("note.queued")
    live.until("note.queued")
    kill(live)
    control.resume(live.run_id)
    live.until_over()
    given = [event.data["text"] for event in live.events if event.kind == "note.given"]
    assert given == ["first", "second"]


@pytest.mark.parametrize("answered", ["before", "after", "not"])
def test_killed_while_an_ask_is_open(
    control: Control, scripted_pipeline: Pipeline, watch: Follow, answered: str, database: Path
) -> None:
    human = scripted_pipeline(turns=2)
    human["seats"][0]["human"] = True
    follower = watch(control.start(human))
    ask = follower.until("ask.opened").data["ask"]
    pid = follower.run.pid
    assert pid
    hold_still(pid, database)  # so that the host cannot take what is answered
    if answered == "before":
        control.answer(ask, "My words.")
    kill(follower)
    if answered == "after":
        control.answer(ask, "My words.")
    control.resume(follower.run_id)
    if answered == "not":
        follower.until("ask.withdrawn")
        control.answer(follower.until("ask.opened").data["ask"], "My words.")
    run = follower.until_over()
    assert (run.status, run.reason) == (Status.FINISHED, "limit:turns")
    assert duels.finished(follower.reader.db, run.id)[0][2] == "My words."
    assert follower.kinds.count("ask.opened") == (2 if answered == "not" else 1)


def test_an_answer_taken_once_is_not_taken_again(control: Control, scripted_pipeline: Pipeline, watch: Follow) -> None:
    human = scripted_pipeline(turns=4)
    human["seats"][0]["human"] = True
    follower = watch(control.start(human))
    control.answer(follower.until("ask.opened").data["ask"], "One.")
    second = follower.until("ask.opened").data["ask"]
    kill(follower)
    control.resume(follower.run_id)
    third = follower.until("ask.opened").data["ask"]
    assert third > second
    control.answer(third, "Two.")
    follower.until_over()
    said = [turn[2] for turn in duels.finished(follower.reader.db, follower.run_id) if turn[1] == "A"]
    assert said == ["One.", "Two."]


def test_a_run_that_was_ended_by_words_goes_on_after_a_crash_too(
    control: Control, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    """What ended it before it was asked to go on does not end it again."""
    script = {"seats": {"A": ["Well. /bye", "And so on.", "And on."]}, "words": 25}
    follower = watch(control.start(scripted_pipeline(script, delay=0.015, turns=6)))
    assert follower.until_over().reason == "bye"
    control.resume(follower.run_id, ["limits.turns=5"])
    follower.until("turn.delta", seq=4)
    kill(follower)
    control.resume(follower.run_id)
    run = follower.until_over()
    assert (run.reason, run.turns) == ("limit:turns", 5)


def test_a_broken_turn_may_be_continued_and_its_words_are_not_doubled(
    control: Control, scripted_pipeline: Pipeline, watch: Follow
) -> None:
    whole = watch(control.start(scripted_pipeline({"words": 25}, turns=1)))
    whole.until_over()
    follower = watch(control.start(scripted_pipeline({"words": 25}, delay=0.03, turns=1, partial="continue")))
    follower.until("turn.delta")
    follower.until("turn.delta")
    kill(follower)
    shown = follower.reader.attach(follower.run_id).turns[-1].text
    assert shown
    control.resume(follower.run_id)
    assert follower.until("turn.started", seq=1).data["continues"] == shown.rstrip()
    follower.until_over()
    expected, got = (duels.finished(item.reader.db, item.run_id)[0][2] for item in (whole, follower))
    assert got == expected and got.startswith(shown)


def test_two_hosts_cannot_have_one_run(live: Watch, control: Control, database: Path) -> None:
    control.pause(live.run_id)  # so that the first cannot end before the second has tried
    live.until("run.paused")
    second = host(database, live.run_id)
    assert second.returncode == 1
    assert log.last_line(database, live.run_id) == "another host has this run already"
    with pytest.raises(RecordError, match="another host has it already; `tertulia follow"):
        spawn.spawn(database, live.run_id)
    control.resume(live.run_id)
    assert live.until_over().turns == 3
    assert live.kinds.count("run.started") == 1


def test_two_resumes_at_once_start_one_host(live: Watch, control: Control, database: Path) -> None:
    kill(live)
    problems: list[Exception] = []

    def resume() -> None:
        try:
            Control(database, "tester").resume(live.run_id)
        except (RecordError, UsageError) as error:
            problems.append(error)

    both = [threading.Thread(target=resume) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert all("another host" in str(error) for error in problems) and len(problems) <= 1
    assert live.until_over().turns == 3
    assert live.kinds.count("run.crashed") == 1 and live.kinds.count("turn.finished") == 3


def test_a_queued_run_has_a_while_to_get_its_host(database: Path, scripted_pipeline: Pipeline, watch: Follow) -> None:
    run = queued(database, scripted_pipeline(turns=1))
    follower = watch(run)
    assert follower.run.status is Status.QUEUED
    write_once(database, lambda db: db.execute("UPDATE run SET created = created - 31"))
    assert follower.run.status is Status.CRASHED
    Control(database, "tester").resume(run)
    assert follower.until_over().status is Status.FINISHED


def test_a_host_that_cannot_start_is_told_in_its_own_words(
    database: Path, scripted_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = queued(database, scripted_pipeline())
    log.log_file(database, run).write_text("2026-01-01 10:00:00,000 INFO run x: an older host's last words\n")
    broken = tmp_path / "python"
    broken.write_text(
        "#!/bin/sh\necho 'Traceback (most recent call last):' >&2\necho 'OSError: no such file' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(RecordError, match=r"host did not start: OSError: no such file$"):
        spawn.spawn(database, run)
    broken.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(RecordError, match=rf"host did not start: see .*{run}\.log$"):
        spawn.spawn(database, run)


def test_the_lock_is_seen_without_being_taken(database: Path) -> None:
    lock = Presence(database, "abc")
    assert presence.holder(database, "abc") is None
    assert lock.acquire()
    code = "import pathlib, sys; from engine.record import presence as p\n"
    code += "print(p.holder(pathlib.Path(sys.argv[1]), 'abc'))"
    ask = [sys.executable, "-c", code, str(database)]
    for _ in range(2):
        assert subprocess.run(ask, capture_output=True, timeout=60, text=True).stdout.strip() == str(os.getpid())
    assert presence.holder(database, "abc") == os.getpid(), "looking at one's own lock"
    assert presence.alive(database) == {"abc": os.getpid()}
    assert subprocess.run(ask, capture_output=True, timeout=60, text=True).stdout.strip() == str(os.getpid()), (
        "does not lose it"
    )
    assert not Presence(database, "abc").acquire()
    lock.release()
    assert subprocess.run(ask, capture_output=True, timeout=60, text=True).stdout.strip() == "None"


def test_the_heartbeat_is_the_age_of_the_lock_file(database: Path) -> None:
    assert presence.heartbeat_age(database, "abc") is None
    lock = Presence(database, "abc")
    assert lock.acquire()
    os.utime(presence.lock_file(database, "abc"), (0, 0))
    age = presence.heartbeat_age(database, "abc")
    assert age and age > 1e9
    lock.beat()
    age = presence.heartbeat_age(database, "abc")
    assert age is not None and age < 60
    lock.release()


def test_everything_is_private_whatever_the_umask(database: Path, scripted_pipeline: Pipeline, watch: Follow) -> None:
    before = os.umask(0)
    try:
        inside = database.parent / "new" / "t.db"
        run = Control(inside, "tester").start(scripted_pipeline({"words": 25}, delay=0.01, turns=2))
        wait_for(lambda: Path(f"{inside}-wal").exists(), "the write-ahead log")
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in [inside, *inside.parent.glob("t.db-*"), *inside.parent.glob("t.db.runs/*")]
        }
        assert {f"{run}.lock", f"{run}.log", "t.db", "t.db-wal", "t.db-shm"} <= set(modes)
        assert set(modes.values()) == {0o600}, modes
        for folder in (inside.parent, inside.parent / "t.db.runs"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        Control(inside, "tester").stop(run)
    finally:
        os.umask(before)


def test_the_log_is_rotated_with_all_that_the_process_prints(database: Path, scripted_pipeline: Pipeline) -> None:
    run = queued(database, scripted_pipeline(turns=1))
    chatter = """
import logging, os
from engine.runs import log
os.umask(0)
log.MAX_BYTES = 4000
original = log.open_log
def opened(database, run, level):
    out = os.open(log.log_file(database, run), os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.dup2(out, 1), os.dup2(out, 2)
    logger = original(database, run, level)
    for number in range(400):
        logger.info("line %d \\x1b[31m sk-%s", number, "A" * 40)
    print("printed at last", flush=True)
    return logger
log.open_log = opened
"""
    assert host(database, run, chatter).returncode == 0
    path = log.log_file(database, run)
    files = sorted(path.parent.glob(f"{run}.log*"))
    assert [file.name for file in files] == [f"{run}.log", f"{run}.log.1", f"{run}.log.2"]
    assert all(file.stat().st_size < 5000 and stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    text = path.read_text() + Path(f"{path}.1").read_text()
    assert "printed at last" in text
    assert "\x1b" not in text and "AAAA" not in text and "␛[31m [secret]" in text
    assert log.last_line(database, run) == f"run {run}: finished, limit:turns"


def test_a_host_that_tries_again_says_so_in_its_newest_line(database: Path) -> None:
    path = log.log_file(database, "x")
    path.write_text("2026-01-01 10:00:00,000 WARNING t.db: the disk is full; trying again\n")
    assert log.trouble(database, "x") == "t.db: the disk is full; trying again"
    with path.open("a") as file:
        file.write("2026-01-01 10:00:01,000 WARNING the disk has room again\n")
    assert log.trouble(database, "x") == "" == log.trouble(database, "none")


def test_a_log_line_is_given_whole(database: Path) -> None:
    path = log.log_file(database, "x")
    path.write_text("2026-01-01 10:00:00,000 ERROR the run failed\nTraceback:\nValueError: one two three four five\n")
    assert log.last_line(database, "x") == "ValueError: one two three four five"
    path.write_text("2026-01-01 10:00:00,000 ERROR t.db: the disk is full\n")
    assert log.last_line(database, "x") == "t.db: the disk is full"
    assert log.last_line(database, "x", path.stat().st_size) == "" == log.last_line(database, "none")


def test_the_host_fails_with_a_reason_when_its_own_code_does(database: Path, scripted_pipeline: Pipeline) -> None:
    run = queued(database, scripted_pipeline())
    fault = """
from engine.talk import duel
def broken(*_): raise RuntimeError("the floor gave way")
duel.Duel._over = broken
"""
    assert host(database, run, fault).returncode == 1
    found = write_once(database, lambda db: runs.find(db, run, database))
    assert (found.status, found.reason, found.detail) == (
        Status.FAILED,
        "internal_error",
        "RuntimeError: the floor gave way",
    )


def test_answers_that_nobody_may_give_end_the_run(control: Control, scripted_pipeline: Pipeline, watch: Follow) -> None:
    human = scripted_pipeline(turns=2)
    human["seats"][0]["human"] = True
    follower = watch(control.start(human, answers="fail"))
    run = follower.until_over()
    assert (run.status, run.reason) == (Status.FAILED, "unanswered")
    refused = {"attempt": "every", "fault": "refused", "message": "no"}
    pipeline = scripted_pipeline({"seats": {"A": [{"text": "Hm.", "faults": [refused]}]}}, turns=2)
    follower = watch(control.start(pipeline, answers="default"))
    run = follower.until_over()
    assert (run.status, run.reason, run.detail) == (Status.FAILED, "provider", "no")
    assert follower.until("ask.answered").data["who"] == "default"


def test_waiting_and_paused_are_told_as_they_are(control: Control, scripted_pipeline: Pipeline, watch: Follow) -> None:
    """A follower that adds the events up comes to the same status as one that reads the row."""
    human = scripted_pipeline(turns=2)
    human["seats"][0]["human"] = True
    follower = watch(control.start(human))
    number = follower.until("ask.opened").data["ask"]
    follower.until("run.waiting")
    control.pause(follower.run_id)
    follower.until("run.paused")
    control.resume(follower.run_id)
    assert follower.until("run.waiting").data["why"] == "Your turn as A"
    assert follower.run.status is Status.WAITING
    control.pause(follower.run_id)
    follower.until("run.paused")
    control.answer(number, "Mine.")
    follower.until("turn.finished", seq=1)
    assert follower.run.status is Status.PAUSED
    assert [kind for kind in follower.kinds if kind in ("run.paused", "run.resumed", "run.waiting")][-1] == "run.paused"
    control.resume(follower.run_id)
    assert follower.until_over().status is Status.FINISHED
