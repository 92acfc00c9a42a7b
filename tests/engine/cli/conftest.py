"""A private home for every test, a way to call the program, and pipelines played by scripts."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.record import calls, content, notes, presence, runs, turns
from engine.record.connection import write_once
from engine.record.runs import Status
from engine.runs.control import Control
from engine.settings.errors import UsageError


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind in ("DATA", "CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    for name in ("TERTULIA_DB", "TERTULIA_MODELS", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def database(home: Path) -> Iterator[Path]:
    """The record that `cli` works on. Runs that a test leaves behind are stopped."""
    path = home / "t.db"
    yield path
    for run in presence.alive(path):
        with contextlib.suppress(UsageError):  # it may end by itself just now
            Control(path, "test").stop(run)
    deadline = time.monotonic() + 10
    while presence.alive(path) and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.fixture
def cli(database: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call the program in this process: `cli("runs", "--json")`."""

    def call(*args: object, db: bool = True) -> Result:
        capsys.readouterr()
        code = main([*(["--db", str(database)] if db else []), *map(str, args)])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture
def pipeline(home: Path) -> Callable[..., Path]:
    """Write a pipeline of two scripted seats A and B, who speaks first fixed; keywords replace its keys."""

    def write(script: dict[str, Any] | None = None, **keys: Any) -> Path:
        played = home / "script.json"
        played.write_text(json.dumps({"otherwise": "echo", **(script or {})}))
        seats = [{"name": name, "persona": "eliza", "model": f"scripted/{played}"} for name in ("A", "B")]
        told = {"kind": "duel", "title": "Test talk", "seats": seats, "starter": "A", "opening": "Hello there."}
        told |= {"limits": {"turns": 4}, "repetition": {"then": "ignore"}, **keys}
        path = home / "talk.yml"
        path.write_text(json.dumps(told))
        return path

    return write


@pytest.fixture
def record(database: Path) -> str:
    """A finished run of two turns and a note, written without a host; returns its id."""

    def write(db: sqlite3.Connection) -> str:
        seats = [{"name": "ELIZA", "persona": "eliza", "model": "x/a"}, {"name": "PARRY", "persona": "parry"}]
        run = runs.create(db, "duel", "ELIZA meets PARRY", {"kind": "duel", "title": "T", "seats": seats})
        n = runs.find(db, run).n
        runs.start(db, n, 1, resumed=False)
        first = turns.open_turn(db, n, 1, "ELIZA", "eliza", "x/a")
        frame = content.put_json(db, {"system": "You are ELIZA.", "start": "Hello."})
        call = calls.begin(db, n, first, "turn", "ELIZA", "x/a", {"frame": frame}, 1)
        head = turns.finish(db, n, first, None, "Please tell me your problem. \x1b[31m\u202e", "thought", "end")
        calls.end(db, call, answer=head, tokens=(12, 5, 0, 0), cost=None, stop="end")
        notes.queue(db, n, 2, "you", "Mention horses.", "test")
        said = notes.give(db, n, 2, head)
        turns.finish(db, n, turns.open_turn(db, n, 2, "PARRY", "parry", None), said, "The horses race.", "", "human")
        runs.end(db, n, Status.FINISHED, "limit:turns", "2 of 2")
        return run

    return write_once(database, write)
