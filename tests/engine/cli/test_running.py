"""Runs started and followed from the command line, with real hosts: outcomes, asks, interrupts, leaving."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.record import presence
from engine.record.reader import Reader
from engine.record.runs import Run

from .conftest import Cli

Pipeline = Callable[..., Path]
SLOW = {"pace": {"chunk": 2, "delay": 0.05}, "words": 40}


class Terminal:
    """The program in a pseudo-terminal."""

    def __init__(self, *words: object) -> None:
        self.seen = ""
        command = [sys.executable, "-m", "engine", *map(str, words)]
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, command)

    def until(self, pattern: str, seconds: float = 20) -> str:
        """Read until `pattern` has come since the last call; returns what it matched."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self._fd], [], [], left)[0]
            try:
                data = os.read(self._fd, 65536) if ready else b""
            except OSError:
                data = b""
            assert data, f"{pattern!r} has not come: {self.seen!r}"
            self.seen += data.decode()
        self.seen = self.seen[found.end() :]
        return found[0]

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait(self, seconds: float = 30) -> int:
        """The exit code, once the program has ended. One that does not is killed."""
        deadline = time.monotonic() + seconds
        ended = (0, 0)
        while ended[0] == 0:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"the program does not end: {self.seen!r}")
            self._read(0.05)
            ended = os.waitpid(self.pid, os.WNOHANG)
        while self._read(0):
            pass
        os.close(self._fd)
        return os.waitstatus_to_exitcode(ended[1])

    def _read(self, seconds: float) -> bool:
        """Read what comes within so many seconds; False where that is nothing."""
        try:
            data = os.read(self._fd, 65536) if select.select([self._fd], [], [], seconds)[0] else b""
        except OSError:
            data = b""
            time.sleep(seconds)
        self.seen += data.decode()
        return bool(data)


def find(database: Path, run: str = "last") -> Run:
    reader = Reader(database)
    try:
        return reader.find(run)
    finally:
        reader.close()


def ended(database: Path, run: str = "last") -> Run:
    deadline = time.monotonic() + 20
    while (found := find(database, run)).active:
        assert time.monotonic() < deadline, f"still {found.status}"
        time.sleep(0.02)
    return found


def test_a_run_prints_its_conversation_and_nothing_else_on_stdout(cli: Cli, pipeline: Pipeline) -> None:
    script = {"seats": {"A": ["One,\n\ntwo. \x1b[31m", "Three."], "B": ["(the opening)", "  Four.  "]}}
    result = cli("run", pipeline(script), "--plain")
    assert result.code == 0
    assert result.out.splitlines() == ["B: Hello there.", "A: One,", "", "  two. ␛[31m", "B: Four.", "A: Three."]
    assert "finished (limit:turns" in result.err


def test_a_run_prints_its_events_as_json(cli: Cli, pipeline: Pipeline) -> None:
    events = cli("run", pipeline(), "--json", "--set", "limits.turns=2", "--seed", "Speak.").lines
    kinds = [event["kind"] for event in events]
    assert kinds[:2] == ["run.queued", "run.started"] and kinds[-1] == "run.finished"
    assert next(event["text"] for event in events if event["kind"] == "turn.finished") == "Speak."
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})


def test_a_detached_run_goes_on_and_can_be_followed_steered_and_forked(
    cli: Cli, pipeline: Pipeline, database: Path
) -> None:
    started = cli("run", pipeline({**SLOW, "words": 10}, limits={"turns": 100}), "--detach")
    run = started.out.strip()
    assert started.code == 0 and started.out == f"{run}\n"
    assert presence.holder(database, run)
    for words in (
        ["pause", run],
        ["say", run, "Listen!"],
        ["swap", run, "b", "options.temperature=0.5"],
        ["skip", run],
    ):
        assert cli(*words).code == 0, words
    for words in (
        ["swap", run, "c", "options.temperature=0.5"],
        ["swap", run, "b", "colour=red"],
        ["release", run, "b"],
    ):
        refused = cli(*words)
        assert refused.code == 2 and f"run {run} refuses to {words[0]}: " in refused.err, refused
    assert cli("rm", run, "--yes").code == 2
    assert cli("resume", run).code == 0
    assert cli("stop", run[:4]).code == 0
    assert ended(database, run).status == "stopped"
    events = cli("follow", run, "--json").lines
    taken = [event["verb"] for event in events if event["kind"] == "command.taken"]
    assert taken[0] == "pause" and taken[-1] == "stop" and {"say", "resume"} <= set(taken)
    late = cli("pause", run)
    assert late.code == 2 and "nobody is there to pause" in late.err
    child = cli("fork", run, "--at", 1, "--set", "limits.turns=2").out.strip()
    assert cli("follow", child).out.startswith("B: Hello there.\n")
    assert find(database, child).parent == run
    assert cli("fork", run, "--at", 99).code == 2


def test_a_run_that_fails_exits_with_1(cli: Cli, pipeline: Pipeline, database: Path) -> None:
    fault = {"text": "x", "faults": [{"attempt": "every", "fault": "refused", "message": "no"}]}
    result = cli("run", pipeline({"seats": {"A": [fault]}}), "--plain", "--answers", "fail")
    assert result.code == 1 and find(database).status == "failed"
    assert "failed (" in result.err


def test_without_a_terminal_an_ask_is_named_and_left_to_others(cli: Cli, pipeline: Pipeline, database: Path) -> None:
    fault = {"text": "Now.", "faults": [{"attempt": 1, "fault": "refused", "message": "no"}]}
    path = pipeline({"seats": {"A": [fault]}})
    words = [sys.executable, "-m", "engine", "--db", str(database), "run", str(path), "--plain"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, text=True, check=False)
    assert done.returncode == 3
    named = re.search(r"tertulia answer (\d+) (\S+)`", done.stderr)
    assert named and "retry" in named[2]
    assert find(database).status == "waiting" and presence.holder(database, find(database).id)
    assert cli("answer", named[1], "retry").code == 0
    assert ended(database).status == "finished"
    assert "A: Now." in cli("show", "last").out


def test_what_the_default_leaves_open_is_named_too(cli: Cli, pipeline: Pipeline, database: Path) -> None:
    told = json.loads(pipeline(opening="Hi.").read_text())
    told["seats"][0] = {"name": "A", "persona": "parry", "human": True}
    (path := database.with_name("human.yml")).write_text(json.dumps(told))
    words = [sys.executable, "-m", "engine", "--db", str(database), "run", str(path), "--plain", "--answers", "default"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 3 and re.search(r"tertulia answer \d+ TEXT`", done.stderr), done
    assert find(database).status == "waiting"


def test_interrupted_without_a_terminal_the_run_is_stopped(pipeline: Pipeline, database: Path) -> None:
    words = [sys.executable, "-m", "engine", "--db", str(database), "run", str(pipeline(SLOW)), "--json"]
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    for line in process.stdout:
        if json.loads(line)["kind"] == "turn.delta":
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(rest.splitlines()[-1])["kind"] == "run.stopped"
    assert find(database).status == "stopped"


def test_ctrl_c_asks_and_a_detached_run_goes_on(cli: Cli, pipeline: Pipeline, database: Path) -> None:
    terminal = Terminal("--db", database, "run", pipeline(SLOW), "--plain")
    terminal.until("A:.* ")
    terminal.type("\x03")
    terminal.until("d detach.*> ")
    told = json.loads(cli("show", "last", "--json").out)["turns"][-1]["text"]
    deadline = time.monotonic() + 20
    while json.loads(cli("show", "last", "--json").out)["turns"][-1]["text"] == told:
        assert time.monotonic() < deadline
    terminal.type("c\n")
    assert terminal.until("c\\r\\n") == "c\r\n"  # nothing is printed into the question
    terminal.until("\\w+ \\w+ \\w+")
    terminal.type("\x03")
    terminal.until("d detach.*> ")
    terminal.type("d\n")
    terminal.until("goes on")
    assert terminal.wait() == 130
    assert find(database).active and presence.holder(database, find(database).id)


def test_ctrl_c_twice_stops(pipeline: Pipeline, database: Path) -> None:
    terminal = Terminal("--db", database, "run", pipeline(SLOW), "--plain")
    terminal.until("A:.* ")
    terminal.type("\x03")
    terminal.until("d detach.*> ")
    terminal.type("\x03")
    terminal.until("stopped")
    assert terminal.wait() == 130
    assert find(database).status == "stopped"


def test_on_a_terminal_a_human_seat_is_asked_inline(pipeline: Pipeline, database: Path) -> None:
    path = pipeline({"seats": {"B": ["I see."]}}, opening=None)
    told = json.loads(path.read_text())
    told["seats"][0] = {"name": "A", "persona": "parry", "human": True}
    path.write_text(json.dumps({key: value for key, value in told.items() if value is not None}))
    terminal = Terminal("--db", database, "run", path, "--plain", "--set", "limits.turns=3")
    terminal.until("you are A> ")
    terminal.type("It is me.\n")
    terminal.until("B:.* I see\\.")
    terminal.until("you are A> ")
    terminal.type("Good bye.\n")
    assert terminal.wait() == 0
    reader = Reader(database)
    said = [(turn.seat, turn.text) for turn in reader.turns(find(database))]
    reader.close()
    assert said == [("A", "It is me."), ("B", "I see."), ("A", "Good bye.")]


def test_on_a_terminal_each_turn_is_printed_once(pipeline: Pipeline, database: Path) -> None:
    script = {"pace": {"chunk": 5, "delay": 0.06}, "seats": {"A": ["four and five more words of it"]}}
    terminal = Terminal("--db", database, "run", pipeline(script), "--plain", "--set", "limits.turns=2")
    assert terminal.wait() == 0
    assert terminal.seen.count("four") == 1 and "four and five more words of it\r\n" in terminal.seen


def test_an_ask_answered_elsewhere_is_taken_off_the_terminal(cli: Cli, pipeline: Pipeline, database: Path) -> None:
    fault = {"text": "Now.", "faults": [{"attempt": 1, "fault": "refused", "message": "no"}]}
    terminal = Terminal("--db", database, "run", pipeline({"seats": {"A": [fault]}}), "--plain")
    number = re.findall("\\d+", terminal.until("ask \\d+: "))[0]
    terminal.until("answer.*> ")
    assert cli("answer", number, "retry").code == 0
    terminal.until("settled elsewhere")
    assert terminal.wait() == 0 and find(database).status == "finished"


def test_bad_pipelines_start_nothing(cli: Cli, pipeline: Pipeline, database: Path, home: Path) -> None:
    servers = home / "config" / "tertulia" / "providers.yml"
    servers.parent.mkdir(parents=True, exist_ok=True)
    servers.write_text("nobody: {adapter: openai, base_url: 'http://127.0.0.1:9/v1'}\n")
    empty = home / "empty.md"
    empty.touch()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"limits": {"tunrs": 3}}, "turns"),
        ({"kind": "deul"}, "duel"),
        ({"seats": [{"persona": "nobody-here", "model": "scripted/echo"}] * 2, "starter": "random"}, "nobody-here"),
        ({"seats": [{"persona": "eliza", "model": "ollma/x"}] * 2, "starter": "random"}, "ollama"),
        ({"seats": [{"persona": "eliza", "model": "scripted/nowhere.yml"}] * 2, "starter": "random"}, "nowhere.yml"),
        (
            {"seats": [{"persona": "eliza", "model": "openai/gpt-5"}] * 2, "starter": "random"},
            "keys set OPENAI_API_KEY",
        ),
        ({"seats": [{"persona": "eliza", "model": "nobody/m"}] * 2, "starter": "random"}, "127.0.0.1:9"),
        ({"seats": [{"persona": str(empty), "model": "scripted/echo"}] * 2, "starter": "random"}, "empty"),
    ]
    for keys, said in cases:
        result = cli("run", pipeline(None, **keys), "--plain")
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1), result
        assert said in result.err
    broken = home / "broken.yml"
    broken.write_bytes(b"kind: [duel\n")
    assert cli("run", broken).code == 2
    broken.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in cli("run", broken).err
    assert not database.exists()


@pytest.mark.parametrize("words", [["edit", "last", "2", "Changed."], ["retry", "last"]])
def test_a_turn_is_changed_or_redone(words: list[str], cli: Cli, pipeline: Pipeline, database: Path) -> None:
    assert cli("run", pipeline(limits={"turns": 2}), "--plain").code == 0
    result = cli(*words)
    if words[0] == "retry":
        assert result.code == 2 and "resume" in result.err
        return
    assert (result.code, result.out.strip()) == (0, find(database).id)
    shown = cli("show", "last").out
    assert "A: Changed." in shown and "replaced" in shown


def test_show_names_the_live_host_and_its_heartbeat(cli: Cli, pipeline: Pipeline) -> None:
    started = cli("run", pipeline({"otherwise": "echo", "pace": {"chunk": 1, "delay": 0.05}}), "--detach")
    run = started.out.strip()
    assert re.search(r"Host: +process \d+, last heartbeat \d s ago", cli("show", run).out)
    cli("stop", run)
    cli("follow", run)
    assert "heartbeat" not in cli("show", run).out
