"""What a loop's order of words saves on the embedded model: the transcript first and the task last, against the task
first. The requests of one recorded loop are read by the model in both orders; its answers are one token long."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from engine.providers.local import Local
from engine.providers.protocol import Message, Request, Usage
from engine.record import calls, content, runs
from engine.record.connection import open_reader
from engine.talk import view

pytestmark = [pytest.mark.bench, pytest.mark.model]
TURNS = 10
WORDS = (
    "stone",
    "river",
    "lamp",
    "clock",
    "bridge",
    "door",
    "salt",
    "wind",
    "paper",
    "boat",
    "morning",
    "rain",
    "ladder",
)


def test_tokens_read_and_processor_time(database: Path, smollm2: Path) -> None:
    sent = _requests(database)
    figures = asyncio.run(_both(sent))
    print(f"\n{TURNS} turns, {len(sent)} calls of all roles, each told the whole talk")
    for name, (prompt, computed, seconds) in figures.items():
        print(
            f"{name}: {prompt} prompt tokens sent, {computed} computed ({computed / prompt:.2f}), {seconds:.1f} CPU s"
        )
    last, first = figures["task last"], figures["task first"]
    assert last[1] < 0.7 * first[1] and last[2] < 0.75 * first[2]


Prompts = list[tuple[list[Message], list[Message]]]


async def _both(sent: Prompts) -> dict[str, tuple[int, int, float]]:
    local = Local()
    try:
        await _read(local, [[Message("user", "Hello.")]], "warm")
        return {
            "task last": await _read(local, [after for _, after in sent], "last"),
            "task first": await _read(local, [before for before, _ in sent], "first"),
        }
    finally:
        await local.close()


async def _read(local: Local, prompts: Sequence[Sequence[Message]], slot: str) -> tuple[int, int, float]:
    """(tokens sent, tokens computed, CPU seconds of the model's process)"""
    sent = computed = 0
    began = _seconds()
    for prompt in prompts:
        async for delta in local.stream(Request("smollm2", list(prompt), {"max_tokens": 1, "seed": 1}, slot=slot)):
            if isinstance(delta, Usage):
                sent += delta.prompt
                computed += delta.prompt - (delta.cached or 0)
    return sent, computed, _seconds() - began


def _seconds() -> float:
    return sum(sum(child.cpu_times()[:2]) for child in psutil.Process().children(recursive=True))


def _requests(database: Path) -> Prompts:
    """The requests of a loop that a script plays, (with the task first, as they were sent)."""
    script = database.parent / "script.json"
    lines = {
        "Questioner": [f"What would the {_word(n)} {_word(n + 5)} do to a {_word(n + 3)}?" for n in range(TURNS)],
        "Creator": [" ".join(_sentence(n)) for n in range(TURNS)],
        "Mediator": [f"Who has seen the {_word(n)}, and who only heard of the {_word(n + 1)}?" for n in range(TURNS)],
        "Scriber": [json.dumps({"summary": [f"On {_word(n)}."], "raised": [], "closed": []}) for n in range(TURNS)],
    }
    script.write_text(json.dumps({"seats": lines}))
    played = [f"seats.{n}.model=scripted/{script}" for n in range(4)]
    wanted = [*played, *(f"seats.{n}.memory=0" for n in range(4))]
    sets = [*wanted, f"limits.turns={TURNS}", "repetition.then=ignore"]
    words = [word for key in sets for word in ("--set", key)]
    subprocess.run(
        [sys.executable, "-m", "engine", "run", "peer-review", "-q", *words],
        check=True,
        timeout=60,
        stdout=subprocess.DEVNULL,
    )
    db = open_reader(database)
    try:
        found = []
        for call in calls.of_run(db, runs.find(db, "last").n):
            system, told = view.rebuild(db, call.request)
            at = told.content.rindex(content.body(db, call.request["task"]))
            first = Message("system", f"{system.content}\n\n{told.content[at:]}")
            found.append(([first, Message("user", told.content[:at].strip() or view.SILENCE)], [system, told]))
        return found
    finally:
        db.close()


def _sentence(turn: int) -> Iterator[str]:
    for n in range(4):
        yield f"The {_word(turn + n)} of {_word(turn * 3 + n)} {n} keeps its {_word(turn * 7 + n)}."


def _word(n: int) -> str:
    return WORDS[n % len(WORDS)]
