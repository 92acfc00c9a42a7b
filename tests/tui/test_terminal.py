"""The app in a real pseudo-terminal: keys typed, words read, and the terminal lost in every way there is."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest

from engine.record import commands
from engine.record.reader import Reader
from engine.record.runs import Status
from engine.runs.control import Control
from tests.tui.conftest import Book

PATIENCE = 30.0
_WAIT_FOR_EXIT = 15.0


class Terminal:
    """A program in a pseudo-terminal of 100 by 30; what it draws is kept as a picture of the screen."""

    def __init__(self, *words: str, own_session: bool = True, before: str = "") -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.attributes = termios.tcgetattr(slave)
        self.slave = slave
        script = f"{before}\nimport sys; from tui.main import main; sys.exit(main({list(words)!r}))"
        if own_session:
            script = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n" + script
        environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment.pop("SSH_CONNECTION", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        self.screen = pyte.Screen(100, 30)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def read(self, seconds: float) -> None:
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.raw += data
            self.stream.feed(data)

    def see(self, words: str, gone: bool = False) -> None:
        """Wait until the screen shows these words, or shows them no more."""
        deadline = time.monotonic() + PATIENCE
        while (words in self.text) == gone:
            assert time.monotonic() < deadline, f"{words!r} is {'still' if gone else 'not'} in:\n{self.text}"
            assert self.process.poll() is None, f"it has ended:\n{self.text}"
            self.read(0.1)

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def ended(self) -> int:
        """The exit code, once the program has ended; what it still draws is read meanwhile."""
        deadline = time.monotonic() + _WAIT_FOR_EXIT
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it goes on and on"
            if self.master >= 0:
                self.read(0.05)
            else:
                time.sleep(0.05)
        while self.master >= 0 and select.select([self.master], [], [], 0)[0]:
            self.read(0)
        return self.process.returncode

    def hang_up(self) -> None:
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*words: str, **options: Any) -> Terminal:
        opened.append(Terminal(*words, **options))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


@pytest.fixture
def record(book: Book, hosts: Callable[..., Any]) -> Path:
    """A record with a finished run and a live one, made now."""
    book.now = time.clock_gettime(time.CLOCK_REALTIME)
    book.run("A talk that is over", age=600)
    hosts(book.path, book.run("A talk that goes on", Status.RUNNING, live="Why do you"))
    return book.path


def test_keys_are_typed_and_words_are_seen_and_q_says_what_goes_on(
    terminals: Callable[..., Terminal], record: Path
) -> None:
    terminal = terminals("--db", str(record))
    terminal.see("A talk that goes on")
    terminal.type("/over")
    terminal.see("▸ ✓ finished")
    terminal.type("\x1b")
    terminal.see("● live")
    terminal.type("?")
    terminal.see("Keys in Runs")
    terminal.type("\x1b")
    terminal.see("Keys in Runs", gone=True)
    terminal.type("\r")
    terminal.see("to join in")
    terminal.type("\x1b")
    terminal.see("to join in", gone=True)
    terminal.type("q")
    assert terminal.ended() == 0
    assert "1 run goes on; `tertulia` brings you back" in terminal.text
    assert termios.tcgetattr(terminal.slave) == terminal.attributes
    assert b"\x1b[?1049l" in terminal.raw


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("own_session", [True, False])
def test_a_terminal_that_goes_away_ends_the_app_and_no_run(
    terminals: Callable[..., Terminal], record: Path, ignored: bool, own_session: bool
) -> None:
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)" if ignored else ""
    terminal = terminals("--db", str(record), own_session=own_session, before=before)
    terminal.see("A talk that goes on")
    terminal.hang_up()
    terminal.ended()
    reader = Reader(record)
    try:
        assert [run.status for run in reader.runs()] == [Status.RUNNING, Status.FINISHED]
    finally:
        reader.close()


def test_sigterm_ends_the_app_and_restores_the_terminal(terminals: Callable[..., Terminal], record: Path) -> None:
    terminal = terminals("--db", str(record))
    terminal.see("A talk that goes on")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.ended() == 128 + signal.SIGTERM
    assert termios.tcgetattr(terminal.slave) == terminal.attributes
    assert b"\x1b[?1049l" in terminal.raw and b"\x1b[?25h" in terminal.raw


def test_ctrl_c_says_how_to_leave_and_a_second_one_leaves(terminals: Callable[..., Terminal], record: Path) -> None:
    terminal = terminals("--db", str(record))
    terminal.see("A talk that goes on")
    terminal.type("\x03")
    terminal.see("q leaves")
    terminal.type("\x03")
    assert terminal.ended() == 130
    assert termios.tcgetattr(terminal.slave) == terminal.attributes


def test_a_mistake_in_the_keys_file_is_said_before_anything_is_drawn(
    terminals: Callable[..., Terminal], record: Path
) -> None:
    from tui import keymap

    keymap.file().parent.mkdir(parents=True, exist_ok=True)
    keymap.file().write_text("runs.nwe: F\n")
    terminal = terminals("--db", str(record))
    assert terminal.ended() == 2
    assert "did you mean runs.new?" in " ".join(terminal.text.split())
    assert b"\x1b[?1049h" not in terminal.raw


def test_the_key_to_speak_and_what_is_said_may_come_in_one_burst(
    terminals: Callable[..., Terminal], record: Path
) -> None:
    terminal = terminals("--db", str(record))
    terminal.see("A talk that goes on")
    terminal.type("\r")
    terminal.see("to join in")
    terminal.type("iask him about it\rand if so, why\r")
    assert _said(terminal, record, 2) == ["ask him about it", "and if so, why"]


def test_what_is_typed_in_one_burst_is_said_whole_and_in_order(
    terminals: Callable[..., Terminal], record: Path
) -> None:
    terminal = terminals("--db", str(record))
    terminal.see("A talk that goes on")
    terminal.type("\r")
    terminal.see("to join in")
    terminal.type("i")
    terminal.see("esc leave")
    terminal.type("ask him about it\rand then about the horses\rwhat I still")
    terminal.see("> what I still")
    terminal.type(" write")
    terminal.see("> what I still write")
    assert _said(terminal, record, 2) == ["ask him about it", "and then about the horses"]


def test_two_apps_and_a_follower_see_the_same_and_what_each_says_lands_once(
    database: Path, scripted_pipeline: Callable[..., dict[str, Any]], terminals: Callable[..., Terminal]
) -> None:
    """What a model says is hostile to terminals: both apps show it as text."""
    hostile = "\x1b]0;owned\x07 \x9b31m [bold red]alpha[/] \u202eevil"
    script = {"seats": {"A": [hostile, "charlie"], "B": ["bravo", "delta"]}}
    control = Control(database, "test")
    run = control.start(scripted_pipeline(script, turns=4, delay=0.05))
    control.pause(run)
    follow = [sys.executable, "-m", "engine", "--db", str(database), "follow", run, "--json"]
    follower = subprocess.Popen(follow, stdout=subprocess.PIPE, text=True)
    try:
        apps = [terminals("--db", str(database), "attach", run) for _ in range(2)]
        for number, app in enumerate(apps):
            app.see("to join in")
            app.type("i")
            app.see("esc leave")
            app.type(f"words of app {number}\r")
            for other in apps:
                other.see(f"words of app {number}")
        control.resume(run)
        out, _ = follower.communicate(timeout=PATIENCE)
    finally:
        follower.kill()
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1]["kind"] == "run.finished"
    given = [event["text"] for event in events if event["kind"] == "note.given"]
    assert given == ["words of app 0", "words of app 1"]
    finished = [event["text"] for event in events if event["kind"] == "turn.finished"]
    assert finished[1:] == ["bravo", "charlie", "delta"]
    for app in apps:
        app.see("delta")
        app.see("finished")
        places = [app.text.index(words) for words in (*given, "alpha", "bravo", "charlie", "delta")]
        assert places == sorted(places), app.text
        assert all(app.text.count(words) == 1 for words in given), app.text
        assert "[bold red]alpha[/]" in app.text
        assert b"owned\x07" not in app.raw and not {"\u202e", "\x9b"} & set(app.raw.decode("utf-8", "replace"))


def _said(terminal: Terminal, record: Path, count: int) -> list[str]:
    """The words that wait for the run that is live, once there are so many."""
    reader = Reader(record)
    try:
        run = next(run for run in reader.runs() if run.status is Status.RUNNING)
        deadline = time.monotonic() + PATIENCE
        while len(said := commands.waiting(reader.db, run.n)) < count:
            assert time.monotonic() < deadline, (said, terminal.text)
            terminal.read(0.05)
        return [command.args["text"] for command in said]
    finally:
        reader.close()
