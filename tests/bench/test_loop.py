"""What three hundred turns of a loop cost: its record, its host's memory, a fork of it, two branches side by side."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.record import minutes, runs, turns
from engine.record.connection import open_reader, open_writer, transact, write_once
from engine.record.minutes import Raised
from engine.record.runs import Status
from engine.runs import pipelines
from engine.runs.control import Control
from tests.bench.test_app import _ATTACH, Screen, _drain, _middle, _times

pytestmark = pytest.mark.bench
TURNS = 300
WORDS = [
    "stone",
    "river",
    "gravel",
    "tide",
    "glacier",
    "boulder",
    "sand",
    "moves",
    "carries",
    "grinds",
    "often",
    "slowly",
]

_HOST = """
import sys
from pathlib import Path
from engine.runs import process
from engine.talk.loop import Loop
genuine = Loop.finished
def finished(self, db):
    genuine(self, db)
    self.seating._adapters["scripted"].requests.clear()  # what the script keeps for tests
    if self.table.seq % 50 == 0:
        print(self.table.seq, int(open("/proc/self/statm").read().split()[1]) * 4096)
Loop.finished = finished
sys.exit(process.main(Path(sys.argv[1]), sys.argv[2]))
"""


def prose(number: int, characters: int, end: str) -> str:
    """Words that no turn before had in this order."""
    said = " ".join(WORDS[(number * 7 + at * (number % 5 + 3)) % len(WORDS)] + str(at % 9) for at in range(characters))
    return f"Of {number}: {said}"[: characters - 1] + end


def pipeline(folder: Path, characters: int) -> dict[str, Any]:
    """Questioner, Creator and Scriber, who raises a claim and a question each round and closes none."""
    asked = [prose(2 * n + 1, characters, "?") for n in range(TURNS // 2)]
    said = [prose(2 * n + 2, characters, ".") for n in range(TURNS // 2)]
    noted = [
        {
            "summary": [f"They spoke of {n}."],
            "raised": [
                {"kind": "claim", "text": f"Stone {n} moves", "quote": said[n][:60]},
                {"kind": "question", "text": f"Does stone {n} move?", "quote": asked[n][:60]},
            ],
            "closed": [],
        }
        for n in range(TURNS // 2)
    ]
    script = folder / f"said-{characters}.yml"
    seats = {"Questioner": asked, "Creator": said, "Scriber": [json.dumps(one) for one in noted]}
    script.write_text(yaml.safe_dump({"seats": seats}))
    free = {"about": "talks", "then": "Talk.", "words": None}
    listed: list[dict[str, Any]] = [
        {"role": {"name": "Questioner", **free}},
        {"role": {"name": "Creator", **free}},
        {"role": "scriber"},
    ]
    model = {"model": f"scripted/{script}", "window": 8192, "options": {"max_tokens": 700}}
    return {
        "kind": "loop",
        "question": "What moves a stone?",
        "seats": [{**seat, **model} for seat in listed],
        "limits": {"turns": TURNS},
        "repetition": {"then": "ignore"},
    }


def play(database: Path, described: dict[str, Any]) -> tuple[str, dict[int, int]]:
    """The run, and the resident bytes of its host at every fiftieth turn."""
    spec = pipelines.resolve(described) | {"answers": "fail"}
    run = write_once(database, lambda db: runs.create(db, spec["kind"], spec["title"], spec))
    command = [sys.executable, "-c", _HOST, str(database), run]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    with closing(open_reader(database)) as db:
        assert done.returncode == 0, f"{done.stderr} {runs.find(db, run).detail}"
    return run, {int(seq): int(size) for seq, size in (line.split() for line in done.stdout.splitlines())}


def used(database: Path) -> int:
    with closing(open_reader(database)) as db:
        pages, free = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        return (int(pages) - int(free)) * 4096


@pytest.mark.parametrize("characters", [200, 2000])
def test_growth_and_memory(database: Path, private_home: Path, characters: int) -> None:
    write_once(database, lambda db: None)
    empty = used(database)
    run, resident = play(database, pipeline(private_home, characters))
    with closing(open_reader(database)) as db:
        n = runs.find(db, run).n
        spoken, by_all = (
            db.execute(f"SELECT sum(length(text)) FROM message {where}").fetchone()[0] / TURNS
            for where in ("WHERE n IN (SELECT message FROM turn)", "")
        )
        entries = len(minutes.items(db, n))
    grown = (used(database) - empty) / TURNS
    more = (resident[TURNS] - resident[100]) / 1e6
    print(
        f"\na loop with a Scriber, {spoken:.0f} characters a turn ({by_all:.0f} with its minutes): {grown:.0f} bytes a"
        f" turn of at most {1024 + 3 * by_all:.0f}; its host has {resident[100] / 1e6:.0f} MB at turn 100 and"
        f" {more:+.1f} MB at turn {TURNS}"
    )
    assert entries == TURNS
    assert grown <= 1024 + 3 * by_all, "what the Scriber writes is text too"
    assert more < 8


def _delete(db: sqlite3.Connection, name: str) -> None:
    runs.delete(db, runs.find(db, name))


def test_a_fork_and_two_branches_side_by_side(database: Path, private_home: Path, monkeypatch: Any) -> None:
    run, _ = play(database, pipeline(private_home, 200))
    control = Control(database, "bench")
    with closing(open_writer(database)) as db:
        before = used(database)
        forks = 40
        spec = transact(db, lambda db: runs.spec(db, runs.find(db, run)))
        for _ in range(forks):
            transact(db, lambda db: control._branch(db, runs.find(db, run), 12, spec))
        size = (used(database) - before) / forks
        for (name,) in db.execute("SELECT id FROM run WHERE parent IS NOT NULL").fetchall():
            transact(db, partial(_delete, name=name))

        def fill(db: Any) -> str:
            child = runs.find(db, control._branch(db, runs.find(db, run), 12, spec))
            for seq in range(13, TURNS + 1):
                turns.say(db, child.n, seq, ("Creator", "Questioner")[seq % 2], prose(1000 + seq, 200, "."), "end")
            last = turns.listing(db, child.n)[-1]
            note = Raised("claim", "Stones move", last.n, last.text[:40])
            minutes.take(db, child.n, last.n, "Scriber", "- They spoke.", [note], [])
            runs.end(db, child.n, Status.FINISHED, "limit:turns")
            return child.id

        transact(db, fill)
    opened = []
    for _ in range(5):
        screen = Screen(_ATTACH, str(database), run)
        screen.until(b"Creator")
        _drain(screen, 1.5)
        screen.mark()
        began = time.perf_counter()
        os.write(screen.master, b"c")
        screen.until(b"equal turns")
        opened.append(time.perf_counter() - began)
        screen.close()
    print(f"\na fork of a loop costs {size:.0f} bytes; two branches of {TURNS} turns side by side: {_times(opened)}")
    assert size < 1024
    assert _middle(opened) < 1
