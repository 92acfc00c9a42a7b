"""Memory that local models hold: nobody takes what another was promised, and death gives it back."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.providers import leases, memory
from engine.providers.leases import Holder
from engine.providers.protocol import Fault, ProviderError

DEADLINE = 30
OTHER = """
import asyncio, sys
from engine.providers import leases
async def main():
    def wait(held):
        print([holder.who for holder in held], flush=True)
    lease = await leases.acquire("big", int(sys.argv[2]), sys.argv[1], wait)
    print("got", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    lease.release()
    print("gave", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TERTULIA_MODEL_MEMORY", "1000")
    yield
    for lease in list(leases._own.values()):
        lease.release()


@contextmanager
def another(who: str, size: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", OTHER, who, str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def nod(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_the_second_waits_for_the_first_and_starts_when_it_is_killed() -> None:
    with another("run one", 600) as first:
        assert line(first) == "got"
        with another("run two", 300) as small, another("run three", 700) as second:
            assert line(small) == "got"
            while (heard := line(second)) != "['run one', 'run two']":
                assert heard == "['run one']"
            first.kill()
            while (heard := line(second)) != "got":
                assert heard == "['run two']"
            assert {holder.who for holder in leases.holders()} == {"run two", "run three"}
    assert leases.holders() == []
    assert list(leases.folder().glob("*.lease")) == []


def test_what_is_given_back_is_free_while_its_holder_lives() -> None:
    with another("run one", 600) as first:
        assert line(first) == "got"
        with another("run two", 600) as second:
            assert line(second) == "['run one']"
            nod(first)
            assert line(first) == "gave" and line(second) == "got"
            (holder,) = leases.holders()
            assert (holder.who, holder.model, holder.bytes, holder.pid) == ("run two", "big", 600, second.pid)


async def test_what_can_never_fit_is_refused_with_the_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERTULIA_MODEL_MEMORY", "2000000000")
    with pytest.raises(ProviderError, match=r"big needs 3\.0 GB of memory, this machine has 2\.0 GB") as caught:
        await leases.acquire("big", 3_000_000_000, "me")
    assert caught.value.fault is Fault.MODEL and not caught.value.retryable
    assert leases.holders() == []


async def test_who_holds_one_never_waits_for_another() -> None:
    with another("run one", 600) as first:
        assert line(first) == "got"
        async with await leases.acquire("small", 300, "me") as mine:
            assert [holder.who for holder in leases.holders()] == ["run one", "me"]
            with pytest.raises(ProviderError, match="held by run one"):
                await leases.acquire("other", 300, "me")
            mine.release()
            mine.release()
            again = await leases.acquire("other", 400, "me")
            again.release()
    with pytest.raises(ProviderError, match="close what takes memory"):
        async with await leases.acquire("small", 600, "me"):
            await leases.acquire("other", 600, "me")


async def test_cancelling_a_wait_takes_nothing() -> None:
    with another("run one", 600) as first:
        assert line(first) == "got"
        waits = asyncio.Event()
        task = asyncio.create_task(leases.acquire("big", 600, "me", lambda held: waits.set()))
        async with asyncio.timeout(DEADLINE):
            await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [holder.who for holder in leases.holders()] == ["run one"]


async def test_memory_that_a_model_has_taken_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERTULIA_MODEL_MEMORY")
    monkeypatch.setattr(memory, "capacity", lambda: 10_000)
    monkeypatch.setattr(memory, "available", lambda: 1_000)
    monkeypatch.setattr(memory, "taken", lambda pid: 700 if pid == 77 else 0)
    first = await leases.acquire("first", 900, "me")
    with pytest.raises(ProviderError, match="needs"):
        await leases.acquire("second", 200, "me")
    first.taken_by(77)
    assert leases.holders()[0].process == 77
    second = await leases.acquire("second", 800, "me")  # 1000 available, less 900 - 700 that is still to come
    second.release()
    first.release()
    with pytest.raises(ProviderError, match="needs"):  # nobody to wait for
        await leases.acquire("third", 2_000, "me")


async def test_rubbish_in_the_folder_holds_nothing() -> None:
    (leases.folder() / "1-dead.lease").write_text("{half")
    (leases.folder() / "2-dead.lease").write_text(json.dumps({"who": "x", "bytes": 999}))
    lease = await leases.acquire("big", 1000, "me")
    assert [holder.pid for holder in leases.holders()] == [os.getpid()]
    lease.release()
    assert list(leases.folder().glob("*.lease")) == []


def test_taken_is_what_a_process_has_of_its_own() -> None:
    assert memory.taken(os.getpid()) > 1 << 20
    assert memory.taken(0) == memory.taken(2**22 + 1) == 0
    with another("run one", 1) as process:
        assert line(process) == "got" and memory.taken(process.pid) > 1 << 20


def test_the_override_must_be_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERTULIA_MODEL_MEMORY", "8GB")
    with pytest.raises(ProviderError, match="TERTULIA_MODEL_MEMORY='8GB': must be a number of bytes"):
        memory.fixed()


def group(place: Path, limit: str, used: int, evictable: int, *, v1: bool = False) -> None:
    place.mkdir(parents=True, exist_ok=True)
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if v1 else ("memory.max", "memory.current")
    (place / names[0]).write_text(f"{limit}\n")
    (place / names[1]).write_text(f"{used}\n")
    key = "total_inactive_file" if v1 else "inactive_file"
    (place / "memory.stat").write_text(f"anon 5\n{key} {evictable}\n")


def test_cgroups_of_both_versions_count_up_to_the_root(tmp_path: Path) -> None:
    own, root = tmp_path / "cgroup", tmp_path / "fs"
    own.write_text("0::/user/run\n")
    group(root / "user" / "run", "max", 1, 0)
    group(root / "user", "5000", 3000, 1000)
    assert list(memory._groups(root, own)) == [(5000, 2000)]
    own.write_text("9:name=systemd:/\n8:cpu,memory:/box\n0::/\n")
    group(root / "memory" / "box", "700", 300, 100, v1=True)
    group(root / "memory", str(2**63 - 4096), 10, 0, v1=True)
    assert list(memory._groups(root, own)) == [(700, 200)]
    own.write_text("8:memory:/docker/of-the-host\n")
    group(root / "memory", "900", 100, 0, v1=True)
    assert list(memory._groups(root, own)) == [(900, 100)], "a path of the host's: the mount's root is our group"


def test_a_lease_names_who_holds_it_and_nobody_else_reads_it() -> None:
    lease = asyncio.run(leases.acquire("big", 1, "me"))
    assert lease.holder == Holder("me", "big", 1, os.getpid(), since=lease.holder.since)
    (path,) = leases.folder().glob("*.lease")
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
