"""The transcript measured: a key press among 5,000 messages against one among ten, and a live stream in a real pty."""

from __future__ import annotations

import json
import os
import pty
import statistics
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from engine.record import runs, turns
from engine.record.connection import open_writer, transact
from engine.record.presence import Presence
from tests.tui.duel_stage import DuelApp, Stage, spec

pytestmark = pytest.mark.bench
KEYS = ("k", "k", "j", "pageup", "left_square_bracket", "right_square_bracket", "pagedown", "j")
ROUNDS = 12
SECONDS = 10.0
WORDS = "They are patient and they know where I park my car, and now you do too. "


def fill(stage: Stage, count: int) -> None:
    def work(db: Any) -> None:
        head = None
        for seq in range(1, count + 1):
            seat = ("ELIZA", "PARRY")[(seq + 1) % 2]
            row = turns.open_turn(db, stage.n, seq, seat, seat.lower(), "local/smollm2")
            stage.now += 0.001
            head = turns.finish(db, stage.n, row, head, WORDS * 3, "", "stop")

    stage.do(work)


async def rounds(path: Path, run: str) -> tuple[float, float]:
    """(CPU ms a key, CPU ms from the pane being asked for the run to its first rows)."""
    app = DuelApp(path, run)
    costs = []
    async with app.run_test(size=(120, 40)) as pilot:
        view = app.pane.view
        assert view and app.reader
        while view.older(app.reader):
            pass
        began = time.process_time()
        app.pane.show(run)
        first = (time.process_time() - began) * 1000
        view = app.pane.view
        assert view
        while view.older(app.reader):
            pass
        app.tick()
        await pilot.pause()
        for _ in range(ROUNDS):
            began = time.process_time()
            for key in KEYS:
                await pilot.press(key)
            costs.append((time.process_time() - began) * 1000 / len(KEYS))
        assert len(view.entries) in (10, 5000)
    return min(costs), first  # the least disturbed round: other work on the machine only adds


async def test_a_key_among_5000_messages_costs_what_it_costs_among_10(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> None:
    found: dict[int, list[tuple[float, float]]] = {10: [], 5000: []}
    stages = {}
    for count in found:
        folder = tmp_path / str(count)
        folder.mkdir()
        stages[count] = Stage(folder, monkeypatch)
        fill(stages[count], count)
    for _ in range(3):
        for count, costs in found.items():
            costs.append(await rounds(stages[count].path, stages[count].id))
    key = {count: statistics.median(cost for cost, _ in costs) for count, costs in found.items()}
    first = {count: statistics.median(cost for _, cost in costs) for count, costs in found.items()}
    ratio = key[5000] / key[10]
    print(f"\nkey press: {key[10]:.2f} ms CPU with 10 messages, {key[5000]:.2f} ms with 5,000, ratio {ratio:.2f}")
    print(f"attach to the first rows: {first[10]:.1f} ms CPU with 10 messages, {first[5000]:.1f} ms with 5,000")
    record_property("key_ratio", ratio)
    assert ratio < 1.3


CHILD = """
import asyncio, json, os, sys, time
from pathlib import Path
import tui.app
from tui.app import TertuliaApp

class Measured(TertuliaApp):
    CSS_PATH = str(Path(tui.app.__file__).with_name("app.tcss"))

    def on_mount(self):
        super().on_mount()
        self.set_timer(3.0, self.begin)

    def begin(self):
        self.began, self.worst, self.last = (time.process_time(), time.monotonic()), 0.0, None
        self.set_timer(float(sys.argv[3]), self.report)
        self.probe = asyncio.create_task(self.look())

    async def look(self):
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.005)
            self.worst = max(self.worst, time.thread_time() - before)

    def report(self):
        cpu, wall = time.process_time() - self.began[0], time.monotonic() - self.began[1]
        seen = self.panes.pane(3).view.live
        Path(sys.argv[4]).write_text(json.dumps({"share": cpu / wall, "burst": self.worst,
            "shown": len(seen.text) if seen else 0, "following": self.panes.pane(3).transcript.following}))
        self.exit()

Measured(Path(sys.argv[1]), sys.argv[2]).run()
"""


def test_a_live_stream_of_100_tokens_a_second(tmp_path: Path, record_property: Any) -> None:
    path, answer = tmp_path / "tertulia.db", tmp_path / "answer.json"
    db = open_writer(path)
    run_id = transact(db, lambda db: runs.create(db, "duel", "ELIZA meets PARRY", spec()))
    presence = Presence(path, run_id)
    assert presence.acquire()
    n = runs.find(db, run_id).n
    transact(db, lambda db: runs.start(db, n, os.getpid(), resumed=False))
    row = transact(db, lambda db: turns.open_turn(db, n, 1, "ELIZA", "eliza", "local/smollm2"))
    main, side = pty.openpty()
    termios.tcsetwinsize(side, (40, 120))
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-c", CHILD, str(path), run_id, str(SECONDS), str(answer)]
    child = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=environment, start_new_session=True)
    os.close(side)
    drained = [0]
    last = [b""]

    def drain() -> None:
        try:
            while chunk := os.read(main, 65536):
                drained[0] += len(chunk)
                last[0] = (last[0] + chunk)[-3000:]
        except OSError:  # the other side is gone: this is how a pty ends
            pass

    threading.Thread(target=drain, daemon=True).start()
    words = WORDS.split(" ")
    began, sent = time.monotonic(), 0
    while child.poll() is None and time.monotonic() - began < 60:
        due = int((time.monotonic() - began) * 100)
        text = " ".join(words[index % len(words)] for index in range(sent, due)) + " "
        if due > sent:
            transact(db, lambda db, text=text: turns.add_delta(db, n, row, 1, 0, text))
            sent = due
        time.sleep(0.05)
    assert child.wait(10) == 0, last[0].decode(errors="replace")
    found = json.loads(answer.read_text())
    print(
        f"\none stream of 100 words/s at 120x40: {found['share'] * 100:.1f} % of a core, longest burst"
        f" {found['burst'] * 1000:.0f} ms CPU, {drained[0] / (SECONDS + 3) / 1000:.0f} kB/s to the terminal"
    )
    record_property("stream_share", found["share"])
    presence.release()
    db.close()
    assert found["shown"] > 3000 and found["following"]
    assert found["share"] < 0.15
