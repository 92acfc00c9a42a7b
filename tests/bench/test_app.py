"""The app against its budgets: start, four runs at once, key presses meanwhile, attaching to a long run.

CPU seconds are those of the app's process (`RUSAGE` by way of /proc), wall times those a user waits; both on a machine
that may be busy with other things, so ratios to a minimal Textual app on the same machine count more than figures.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.record import runs, turns
from engine.record.connection import open_writer, transact, write_once
from engine.record.runs import Status

pytestmark = pytest.mark.bench
_TICKS = os.sysconf("SC_CLK_TCK")
_MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Minimal(App):
    def compose(self):
        yield Static("READY-TO-GO")
Minimal().run()
"""
_APP = "import sys; from tui.main import main; sys.exit(main(['--db', sys.argv[1], *sys.argv[2:]]))"
_ATTACH = "import sys; from tui.main import main; sys.exit(main(['--db', sys.argv[1], 'attach', sys.argv[2]]))"


class Screen:
    """A process in a pseudo-terminal of 120 by 40, everything it draws read at once."""

    def __init__(self, script: str, *words: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment.pop("NO_COLOR", None)
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *words], stdin=slave, stdout=slave, stderr=slave, env=environment
        )
        os.close(slave)
        self.drawn = b""

    def read(self, seconds: float) -> bytes:
        if select.select([self.master], [], [], seconds)[0]:
            data = os.read(self.master, 1 << 20)
            self.drawn += data
            return data
        return b""

    def until(self, words: bytes, seconds: float = 60) -> float:
        """Wall seconds since the start, or since the last `mark`, until these bytes were drawn."""
        deadline = time.perf_counter() + seconds
        while words not in self.drawn:
            assert time.perf_counter() < deadline, self.drawn[-2000:]
            self.read(0.05)
        return time.perf_counter() - self.began

    def mark(self) -> None:
        self.drawn, self.began = b"", time.perf_counter()

    def cpu(self) -> float:
        """CPU seconds of the process so far, all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def close(self) -> None:
        self.process.kill()
        self.process.wait(20)
        os.close(self.master)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    yield tmp_path


def _spec(title: str) -> dict[str, Any]:
    seats = [{"name": name, "persona": name.lower(), "model": "local/smollm2"} for name in ("ELIZA", "PARRY")]
    return {"kind": "duel", "title": title, "seats": seats, "limits": {"turns": 0}}


def test_first_paint_with_ten_thousand_runs(home: Path) -> None:
    database = home / "many.db"

    def fill(db: Any) -> None:
        for number in range(10_000):
            run = runs.create(db, "duel", f"RUN-{number:05}", _spec("many"))
            n = runs.find(db, run).n
            runs.end(db, n, Status.FINISHED, "turns")

    write_once(database, fill)
    wall: dict[str, list[float]] = {"minimal": [], "app": []}
    cpu: dict[str, list[float]] = {"minimal": [], "app": []}
    for _ in range(7):
        for name, script, words, shown in (
            ("minimal", _MINIMAL, (), b"READY-TO-GO"),
            ("app", _APP, (str(database),), b"RUN-09999"),
        ):
            screen = Screen(script, *words)
            wall[name].append(screen.until(shown))
            cpu[name].append(screen.cpu())
            screen.close()
    ratios = {what: _middle(found["app"]) / _middle(found["minimal"]) for what, found in (("wall", wall), ("cpu", cpu))}
    print(
        f"\nfirst paint, 10,000 runs: {_middle(wall['app']) * 1000:.0f} ms"
        f" (minimal app {_middle(wall['minimal']) * 1000:.0f} ms), ratio {ratios['wall']:.2f};"
        f" CPU {_middle(cpu['app']):.2f} s against {_middle(cpu['minimal']):.2f} s, ratio {ratios['cpu']:.2f}"
    )
    assert ratios["wall"] < 2


_FEEDER = """
import sys, time
from pathlib import Path
from engine.record import runs, turns
from engine.record.connection import open_writer, transact
from engine.record.presence import Presence
path, names, seconds = Path(sys.argv[1]), sys.argv[3:], float(sys.argv[2])
held = [Presence(path, name) for name in names]
assert all(lock.acquire() for lock in held)
db = open_writer(path)
words = "patient where know park horses people follow remind think about".split()
live, said, tick, start = {}, 0, 0, time.monotonic()
while time.monotonic() - start < seconds:
    tick += 1
    def work(db):
        for name in names:
            run = runs.find(db, name)
            if name not in live or live[name][2] > 200:
                if name in live:
                    turns.finish(db, run.n, live[name][0], run.head, live[name][3], "", "stop")
                    run = runs.find(db, name)
                seq = run.turns + 1
                row = turns.open_turn(db, run.n, seq, ("ELIZA", "PARRY")[seq % 2], "x", "local/smollm2")
                live[name] = [row, seq, 0, ""]
            text = " ".join(words[(tick + i) % len(words)] for i in range(5)) + " "
            live[name][2] += 5
            live[name][3] += text
            turns.add_delta(db, run.n, live[name][0], live[name][1], tick * 50, text)
    transact(db, work)
    time.sleep(max(0.0, start + tick * 0.05 - time.monotonic()))
"""


@pytest.mark.parametrize("place", ["runs", "duel"])
def test_four_runs_at_a_hundred_tokens_a_second(home: Path, place: str) -> None:
    database, seconds = home / "live.db", 14.0
    names = [write_once(database, partial(_begun, title=f"TALK-{number}")) for number in range(4)]
    feeder = subprocess.Popen([sys.executable, "-c", _FEEDER, str(database), str(seconds + 25), *names])
    screen = Screen(_APP, str(database))
    try:
        screen.until(b"TALK-3")
        if place == "duel":
            screen.mark()
            os.write(screen.master, b"\r")
            screen.until(b"join in")
        _drain(screen, 2)
        cpu, began = screen.cpu(), time.perf_counter()
        drawn = _drain(screen, seconds)
        share = (screen.cpu() - cpu) / (time.perf_counter() - began)
        waits, dialogs = [], []
        for number in range(20):
            if place == "runs":
                waits.append(_wait(screen, b"jk"[number % 2 : number % 2 + 1], "▸".encode()))
            dialogs.append(_wait(screen, b"?", b"Keys in"))
            os.write(screen.master, b"\x1b")
            _drain(screen, 0.4)
    finally:
        screen.close()
        feeder.kill()
        feeder.wait(20)
    print(
        f"\nfour runs at 100 tokens/s, {place} on screen: {share * 100:.1f} % of a core,"
        f" {drawn / seconds / 1000:.0f} kB/s to the terminal;"
        + (f" a key press until the cursor has moved: {_times(waits)};" if waits else "")
        + f" until a dialog is drawn: {_times(dialogs)}"
    )
    assert share < 0.15


def test_attaching_to_a_hundred_thousand_events(home: Path) -> None:
    database = home / "long.db"
    name = write_once(database, lambda db: _begun(db, "LONG-TALK"))
    db = open_writer(database)
    try:

        def fill(db: Any) -> None:
            run = runs.find(db, name)
            head, text = None, "They are patient. They know where I park my car. "
            for seq in range(1, 25_001):
                turn = turns.open_turn(db, run.n, seq, ("ELIZA", "PARRY")[seq % 2], "x", "local/smollm2")
                head = turns.finish(db, run.n, turn, head, f"{text}{seq}", "", "stop")
                runs.set_status(db, run.n, Status.PAUSED, runs.Kind.RUN_PAUSED, {"why": "step"})
                runs.set_status(db, run.n, Status.RUNNING, runs.Kind.RUN_RESUMED)
            turn = turns.open_turn(db, run.n, 25_001, "ELIZA", "x", "local/smollm2")
            turns.add_delta(db, run.n, turn, 25_001, 10, "THE-NEWEST")

        transact(db, fill)
        count = db.execute("SELECT count(*) FROM event").fetchone()[0]
    finally:
        db.close()
    found, least = [], []
    for _ in range(5):
        minimal = Screen(_MINIMAL)
        least.append(minimal.until(b"READY-TO-GO"))
        minimal.close()
        screen = Screen(_ATTACH, str(database), name)
        found.append(screen.until(b"THE-NEWEST"))
        screen.close()
    print(
        f"\nattach to a run of {count:,} events: {_middle(found) * 1000:.0f} ms from the command to its newest words"
        f" (minimal app {_middle(least) * 1000:.0f} ms)"
    )
    assert count >= 100_000 and _middle(found) - _middle(least) < 1


def _begun(db: Any, title: str) -> str:
    name = runs.create(db, "duel", title, _spec(title))
    runs.start(db, runs.find(db, name).n, 1, resumed=False)
    return name


def _drain(screen: Screen, seconds: float) -> int:
    end, total = time.perf_counter() + seconds, 0
    while (left := end - time.perf_counter()) > 0:
        total += len(screen.read(left))
    return total


def _wait(screen: Screen, key: bytes, shown: bytes) -> float:
    _drain(screen, 0.23)
    screen.mark()
    os.write(screen.master, key)
    return screen.until(shown)


def _times(waits: list[float]) -> str:
    return f"median {_middle(waits) * 1000:.0f} ms, slowest {max(waits) * 1000:.0f} ms"


def _middle(values: list[float]) -> float:
    return statistics.median(values)
