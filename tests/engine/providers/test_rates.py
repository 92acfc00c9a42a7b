from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.providers import rates
from engine.providers.endpoint import Endpoint, Limits


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "tertulia" / "rates"


def place(name: str = "box", requests: int | None = None, tokens: int | None = None) -> Endpoint:
    return Endpoint(name=name, adapter="openai", limits=Limits(requests_per_minute=requests, tokens_per_minute=tokens))


async def test_without_limits_nothing_is_written(state: Path) -> None:
    ticket = await rates.reserve(place(), 10**9)
    await ticket.settle(5)
    await ticket.give_back()
    assert ticket.wait == 0 and not state.exists()


async def test_a_minutes_worth_at_once_then_one_after_another() -> None:
    waits = [(await rates.reserve(place(requests=6), 0)).wait for _ in range(9)]
    assert waits[:6] == [0] * 6
    assert [round(wait, -1) for wait in waits[6:]] == [10, 20, 30]


async def test_the_slower_of_both_limits_counts() -> None:
    both = place(requests=600, tokens=6000)
    assert (await rates.reserve(both, 6000)).wait == 0
    assert 29 < (await rates.reserve(both, 3000)).wait <= 30


async def test_settling_gives_back_or_takes_the_difference() -> None:
    box = place(tokens=600)
    ticket = await rates.reserve(box, 600)
    await ticket.settle(300)
    again = await rates.reserve(box, 300)
    assert again.wait == 0
    await again.settle(900)
    assert 59 < (await rates.reserve(box, 0)).wait <= 60


async def test_endpoints_do_not_share_and_names_may_hold_anything(state: Path) -> None:
    await rates.reserve(place("a/../b", requests=1), 0)
    assert (await rates.reserve(place("b", requests=1), 0)).wait == 0
    assert {file.parent for file in state.rglob("*.json")} == {state}
    assert all(file.stat().st_mode & 0o077 == 0 for file in state.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"requests": 3}', b"\xff\x00"])
async def test_a_file_that_is_broken_is_begun_anew(state: Path, content: bytes) -> None:
    state.mkdir(parents=True)
    (state / "box.json").write_bytes(content)
    assert (await rates.reserve(place(requests=1), 0)).wait == 0
    assert (await rates.reserve(place(requests=1), 0)).wait > 0


async def test_a_clock_set_back_frees_nothing_and_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    box = place(requests=2)
    await rates.reserve(box, 0)
    now = time.time()
    monkeypatch.setattr(rates.time, "time", lambda: now - 86400)
    assert (await rates.reserve(box, 0)).wait == 0
    assert (await rates.reserve(box, 0)).wait == pytest.approx(30, abs=1)


WORKER = """
import asyncio, sys
from engine.providers import rates
from engine.providers.endpoint import Endpoint, Limits
box = Endpoint(name="box", adapter="openai", limits=Limits(requests_per_minute=120))
async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(100):
        print((await rates.reserve(box, 0)).wait, flush=True)
asyncio.run(main())
"""


async def test_two_processes_share_one_limit() -> None:
    command = [sys.executable, "-c", WORKER]
    pair = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(2)
    ]
    started = time.time()
    for process in pair:
        assert process.stdout and process.stdout.readline() == "ready\n"
    outs = [process.communicate("go\n", timeout=60)[0] for process in pair]
    waits = sorted(float(line) for out in outs for line in out.split())
    back = (time.time() - started) * 2  # what came back into the bucket meanwhile, two a second
    assert len(waits) == 200
    assert 120 <= sum(wait == 0 for wait in waits) <= 120 + back + 1
    assert waits[-1] == pytest.approx(40, abs=back / 2 + 1)  # 80 beyond the minute's 120, two a second
