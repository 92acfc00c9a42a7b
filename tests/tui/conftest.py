"""Records with fixed times and names, hosts that only hold their lock, and apps to drive."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from textual.pilot import Pilot

from engine.record import asks, runs, turns
from engine.record.asks import Option
from engine.record.connection import write_once
from engine.record.events import Kind
from engine.record.runs import Status

settings.register_profile("tui", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("tui")
NOW = 1_795_248_120.0
"""Saturday 21 November 2026, 08:02 UTC."""
SAID = (
    "They are patient. They know where I park my car, and now you do too.",
    "Why do you think I know where you park your car?",
    "You asked. People who ask want to know.",
    "What does the man in the long coat remind you of?",
    "He reminds me of you.",
    "Tell me more about the people who follow you.",
)


class Book:
    """Writes runs into a record through the record's own functions, at times that the test chooses."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.now = NOW
        self._names = (f"run{number:05}" for number in itertools.count(1))
        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(runs, "_new_id", lambda db: next(self._names))

    def do(self, work: Callable[[Any], Any]) -> Any:
        return write_once(self.path, work)

    def run(
        self,
        title: str,
        status: Status = Status.FINISHED,
        *,
        age: float = 60,
        said: int = 4,
        seats: tuple[str, str] = ("ELIZA", "PARRY"),
        live: str | None = None,
        kind: str = "duel",
        limit: int = 20,
    ) -> str:
        """A run that was made `age` seconds ago; `live` is the text of a turn in progress."""
        return str(self.do(lambda db: self._run(db, title, status, age, said, seats, live, kind, limit)))

    def many(self, count: int) -> None:
        """Many short finished runs, each an hour older than the one before."""

        def work(db: Any) -> None:
            for number in range(count, 0, -1):
                self._run(db, f"Duel {number}", Status.FINISHED, number * 3600.0, 0, ("A", "B"), None, "duel", 20)

        self.do(work)

    def begin(self, run_id: str, seat: str) -> None:
        """The next turn starts."""

        def work(db: Any) -> None:
            run = runs.find(db, run_id)
            turns.open_turn(db, run.n, run.turns + 1, seat, seat.lower(), "local/smollm2")

        self.do(work)

    def speak(self, run_id: str, text: str) -> None:
        """More text of the turn in progress."""

        def work(db: Any) -> None:
            turn = turns.live(db, runs.find(db, run_id).n)
            assert turn
            turns.add_delta(db, runs.find(db, run_id).n, turn.n, turn.seq, 100, text)

        self.do(work)

    def finish(self, run_id: str) -> None:
        """The turn in progress ends with what was said."""

        def work(db: Any) -> None:
            run = runs.find(db, run_id)
            turn = turns.live(db, run.n)
            assert turn
            turns.finish(db, run.n, turn.n, run.head, turn.text, "", "stop")

        self.do(work)

    def end(self, run_id: str, status: Status = Status.FINISHED, reason: str = "turns", detail: str = "") -> None:
        self.do(lambda db: runs.end(db, runs.find(db, run_id).n, status, reason, detail or None))

    def eight(self) -> dict[Status, str]:
        """One run of each status; those that live need a host to be shown so (see `hosts`)."""
        plan = [
            (Status.FAILED, "The e-mail loop", 50_000, 3, ("Marchetti", "Kolar")),
            (Status.FINISHED, "Noise that learns", 90_000, 12, ("Galileo", "Hypatia")),
            (Status.CRASHED, "Kant and the thermostat", 10_800, 6, ("Kant", "Thermostat")),
            (Status.STOPPED, "Dinner with the Baron", 8_000, 9, ("Baron", "Ada")),
            (Status.PAUSED, "Can small models teach?", 3_600, 9, ("Ada", "Otto")),
            (Status.WAITING, "A table in Trieste", 660, 11, ("Mara", "Otto")),
            (Status.RUNNING, "ELIZA meets PARRY", 130, 5, ("ELIZA", "PARRY")),
            (Status.QUEUED, "Told to be quiet", 2, 0, ("Sei", "Juana")),
        ]
        plan.sort(key=lambda item: -item[2])
        return {
            status: self.run(title, status, age=age, said=said, seats=seats) for status, title, age, said, seats in plan
        }

    def _run(
        self,
        db: Any,
        title: str,
        status: Status,
        age: float,
        said: int,
        seats: tuple[str, str],
        live: str | None,
        kind: str,
        limit: int,
    ) -> str:
        kept, self.now = self.now, self.now - age
        try:
            table = [
                {"name": seat, "persona": seat.lower(), "model": "local/smollm2", "options": {}, "human": False}
                for seat in seats
            ]
            spec = {"kind": kind, "title": title, "seats": table, "limits": {"turns": limit}}
            run_id = runs.create(db, kind, title, spec)
            n = runs.find(db, run_id).n
            if status is Status.QUEUED:
                return run_id
            runs.start(db, n, 1, resumed=False)
            head = None
            for seq in range(1, said + 1):
                self.now += 3
                turn = turns.open_turn(db, n, seq, seats[seq % 2], seats[seq % 2].lower(), "local/smollm2")
                head = turns.finish(db, n, turn, head, SAID[(seq - 1) % len(SAID)], "", "stop")
                runs.add_usage(db, n, 180 + seq * 20, 24, 0.0)
            if live is not None:
                turn = turns.open_turn(db, n, said + 1, seats[(said + 1) % 2], "x", "local/smollm2")
                turns.add_delta(db, n, turn, said + 1, 100, live)
            if status is Status.PAUSED:
                runs.set_status(db, n, status, Kind.RUN_PAUSED, {"why": "command"})
            elif status is Status.WAITING:
                runs.set_status(db, n, status, Kind.RUN_WAITING, {"why": "ask", "ask": 1})
                options = (Option("retry", "retry", "r"), Option("stop", "stop", "x"))
                asks.open_ask(db, n, "choose", "openai said 429 three times. What now?", options)
            elif status is Status.FAILED:
                runs.end(db, n, status, "provider", "ollama: no model llama3.2; `ollama pull llama3.2` gets it")
            elif status in (Status.FINISHED, Status.STOPPED):
                runs.end(db, n, status, "turns" if status is Status.FINISHED else "command")
            return run_id
        finally:
            self.now = kept


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders of the test's own, no colours or keys from the machine, and UTC."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("NO_COLOR", "SSH_CONNECTION", "TERTULIA_DB", "TERTULIA_THEME", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, folder in (
        ("HOME", ""),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_STATE_HOME", "state"),
    ):
        monkeypatch.setenv(name, str(home / folder))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield home
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    return Book(tmp_path / "tertulia.db", monkeypatch)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a process that holds the locks of runs as their hosts would; kill it and they have crashed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(database: Path, *names: str) -> subprocess.Popen[bytes]:
        script = (
            "import sys; from pathlib import Path; from engine.record.presence import Presence\n"
            "held = [Presence(Path(sys.argv[1]), name) for name in sys.argv[2:]]\n"
            "assert all(lock.acquire() for lock in held)\n"
            "print('held', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", script, str(database), *names]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline() == b"held\n"
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(20)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


async def until(pilot: Pilot[Any], condition: Callable[[], object], seconds: float = 30) -> None:
    """Let the app run until `condition()` holds; the deadline is for machines that do much else."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await pilot.pause(0.02)


def screen_text(app: Any) -> str:
    """What is on the screen."""
    return "\n".join("".join(part.text for part in line).rstrip() for line in app.screen._compositor.render_strips())


__all__ = ["NOW", "SAID", "Book", "screen_text", "until"]
