"""A loop on the model inside the program, by the real command line: killed twice, resumed twice, exported whole."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from markdown_it import MarkdownIt

from engine.record import metrics, minutes, turns
from engine.record.connection import open_reader
from engine.record.export import FORMATS
from engine.record.runs import Status
from engine.record.turns import State
from engine.settings import shipped
from tests.page import Page
from tests.watch import Watch, wait_for

TURNS = ["Questioner", "Creator", "Questioner", "Creator", "Mediator", "Questioner"]
SLOW = 240.0
"""Seconds for what a model does on a busy machine: far more than it takes."""
SHORT = ("limits.turns=6", "mediator.every=4", *(f"seats.{seat}.options.max_tokens=24" for seat in range(3)))


@pytest.mark.model
def test_a_loop_killed_twice_says_every_turn_once_and_is_exported_whole(
    database: Path, smollm2: Path, watch: Callable[[str], Watch], tmp_path: Path
) -> None:
    started = _start("run", "peer-review", *(word for key in SHORT for word in ("--set", key)))
    run = wait_for(lambda: _newest(database), "the run")
    live = watch(run)
    live.until("turn.started", seq=3, deadline=SLOW)
    live.until("turn.delta")
    _kill(live)
    out, err = started.communicate(timeout=30)
    assert started.returncode == 1 and "Traceback" not in err and f"tertulia resume {run}" in err, err
    assert live.run.status is Status.CRASHED
    before = _said(database, run)
    assert [seat for _, seat, _ in before] == TURNS[:2]
    assert all(" ".join(text.split()) in " ".join(out.split()) for _, _, text in before)

    assert _tertulia("resume", run).returncode == 0
    live.until("aside.started", after=5, deadline=SLOW)
    _kill(live)
    assert _tertulia("follow", run).returncode == 1
    again = _said(database, run)
    assert again[:2] == before and [seat for _, seat, _ in again] == TURNS[:5]

    assert _tertulia("resume", run).returncode == 0
    assert _tertulia("follow", run).returncode == 0
    assert (live.run.status, live.run.reason) == (Status.FINISHED, "limit:turns")
    said = _said(database, run)
    assert said[:5] == again and [(seq, seat) for seq, seat, _ in said] == list(enumerate(TURNS, 1))
    assert all(text.strip() for _, _, text in said)

    db = open_reader(database)
    n = live.run.n
    kept = [turn.text for turn in turns.listing(db, n) if turn.state is State.PARTIAL and turn.stop == "crash"]
    assert len(kept) == 1 and kept[0], "what was shown of the third turn when its host was killed"
    taken = [aside for aside in minutes.asides(db, n) if aside.seat == "Scriber"]
    assert [aside.seq for aside in taken] == [2, 5, 6], "once for each round, the last and unfinished one too"
    assert all(aside.text for aside in taken)
    items = minutes.items(db, n)
    assert items and all(item.quote in " ".join(said[item.seq - 1][2].split()) for item in items)
    measured = metrics.of_turns(db, n)
    assert {"novelty", "repetition"} <= set(measured)
    assert all([seq for seq, _ in points] == sorted({seq for seq, _ in points}) for points in measured.values())
    assert [seq for seq, _ in measured["novelty"]] == [seq for seq, _ in measured["repetition"]]
    assert measured["repetition"][-1][0] == 6
    db.close()
    _check_exports(run, said, tmp_path)


def _check_exports(run: str, said: list[tuple[int, str, str]], folder: Path) -> None:
    found = {fmt: _exported(run, fmt) for fmt in FORMATS}
    texts = [" ".join(text.split()) for _, _, text in said]

    for fmt in ("md", "master"):
        read = " ".join(_read_as_markdown(found[fmt]).split())
        place = 0
        for (_, seat, _), text in zip(said, texts, strict=True):
            place = read.index(text, read.index(seat, place))
        assert read.count("Mediator") >= 1
    heads = re.findall(r"^#{1,2} (.*)$", found["master"], re.M)
    rounds = ["Turn 1", *TURNS[:2], "Scriber", "Turn 2", *TURNS[2:5], "Scriber", "Turn 3", "Questioner", "Scriber"]
    assert heads[1:] == rounds
    page = Page(found["html"])
    assert all(text in " ".join(page.words.split()) for text in texts)
    assert all(text in " ".join(found["txt"].split()) for text in texts)

    lines = [json.loads(line) for line in found["jsonl"].splitlines()]
    told = [line for line in lines if line["role"] == "turn" and line["state"] == "finished"]
    assert [(line["seq"], line["seat"], line["text"]) for line in told] == said
    for fmt, inside, key in (("chatml", "messages", "content"), ("sharegpt", "conversations", "value")):
        views = [json.loads(line)[inside] for line in found[fmt].splitlines()]
        assert len(views) == 3 and all(view for view in views)
        assert all(any(text in " ".join(part[key].split()) for view in views for part in view) for text in texts)
    assert json.loads(found["manifest"])["turns"] == 6
    assert "6 turns)" in found["index"]
    failed = [json.loads(line) for line in found["errors"].splitlines()]
    assert [line["error"] for line in failed if line["kind"] == "run"] == ["its process died"] * 2
    assert not [line for line in failed if line["kind"] == "minutes"]

    assert _tertulia("export", run, "--format", "master", "-o", f"{folder}/out/").returncode == 0
    (written,) = (folder / "out").iterdir()
    assert (written / "master.md").read_text() == found["master"]


def _read_as_markdown(text: str) -> str:
    """What a reader of the rendered document sees."""
    parts = [token for block in MarkdownIt().parse(text) for token in block.children or ()]
    return "".join(" " if token.type.endswith("break") else f"{token.content} " for token in parts)


def _exported(run: str, fmt: str) -> str:
    done = _tertulia("export", run, "--format", fmt)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _kill(live: Watch) -> None:
    """kill -9 the host; the process that holds its model ends with it."""
    assert live.run.pid
    host = psutil.Process(live.run.pid)
    beside = host.children(recursive=True)
    assert beside, "the model has a process of its own"
    os.kill(host.pid, signal.SIGKILL)
    _, left = psutil.wait_procs([host, *beside], timeout=15)
    assert not left


def _newest(database: Path) -> str | None:
    done = _tertulia("runs", "--json")
    return str(json.loads(done.stdout.splitlines()[0])["id"]) if done.stdout.strip() else None


def _said(database: Path, run: str) -> list[tuple[int, str, str]]:
    """(seq, seat, text) of the turns that count, as `show` tells them."""
    told = json.loads(_tertulia("show", run, "--json").stdout)
    return [(turn["seq"], turn["seat"], turn["text"]) for turn in told["turns"] if turn["state"] == "finished"]


def _tertulia(*words: str) -> subprocess.CompletedProcess[str]:
    process = _start(*words)
    out, err = process.communicate(timeout=SLOW)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "engine", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=shipped.folder("pipelines").parent,
    )
