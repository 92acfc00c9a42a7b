"""Memory that local models hold, promised across all runs of the machine so that two do not drive it into swap.

One file a lease, locked by the process that holds it: its death, however it comes, frees the lease. A guard lock
makes looking and taking one step. How much room there is:

    room = min(available memory, what each memory cgroup leaves)  -  what is promised but not yet taken

where a lease has taken what its model process has in memory of its own (file pages can be evicted, and count as
available). TERTULIA_MODEL_MEMORY, in bytes, replaces all that by a fixed sum of which every lease takes its full size.

A process that holds a lease already never waits for another: two that wait for each other would wait for ever.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from engine.providers import memory
from engine.providers.protocol import Fault, ProviderError
from engine.settings import paths

_POLL = 0.25
_MAX_FILE = 1 << 16


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds how much: `who` names the run, `pid` its host, `process` the model's own (0 while it loads)."""

    who: str
    model: str
    bytes: int
    pid: int
    process: int = 0
    since: float = 0.0


class Lease:
    """Memory promised to this process until `release`. Also an async context manager."""

    def __init__(self, path: Path, file: IO[str], holder: Holder) -> None:
        self._path = path
        self._file = file
        self.holder = holder

    def taken_by(self, process: int) -> None:
        """The model lives in `process` now: what that has in memory is no longer only promised."""
        self.holder = Holder(**{**asdict(self.holder), "process": process})
        with _guard(wait=True):  # whoever read a half-written lease would take its memory for free
            _write(self._file, self.holder)

    def release(self) -> None:
        """Give the memory back; a second time does nothing."""
        if _own.pop(self._path, None) is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()

    async def __aenter__(self) -> Lease:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()


_own: dict[Path, Lease] = {}
# Looked up before a file is opened: closing a second handle of a file drops a process's POSIX lock on it.


async def acquire(model: str, size: int, who: str, on_wait: Callable[[list[Holder]], None] | None = None) -> Lease:
    """A lease of `size` bytes, once there is room. `on_wait` hears of the others that hold memory, at first and
    whenever they change. Raises ProviderError(MODEL) at once when waiting cannot help.
    """
    capacity = memory.capacity()
    if size > capacity:
        raise ProviderError(
            Fault.MODEL,
            f"{model} needs {_gb(size)} of memory, this machine has {_gb(capacity)}: take a smaller model or num_ctx",
        )
    told: list[Holder] | None = None
    while True:
        try:
            with _guard(wait=False) as ours:
                if ours:
                    others = _others()
                    room = _room([*others, *(lease.holder for lease in _own.values())])
                    if size <= room:
                        return _take(model, size, who)
        except OSError as error:
            raise ProviderError(Fault.MODEL, f"{error.filename}: no memory lease: {error.strerror}") from None
        if not ours:
            await asyncio.sleep(_POLL / 10)
            continue
        if _own or not others:
            raise ProviderError(Fault.MODEL, _refusal(model, size, room, others))
        if others != told and on_wait is not None:
            on_wait(others)
        told = others
        await asyncio.sleep(_POLL)


def holders() -> list[Holder]:
    """Every live lease of the machine, oldest first."""
    with _guard(wait=True):
        found = [*_others(), *(lease.holder for lease in _own.values())]
    return sorted(found, key=lambda holder: holder.since)


def folder() -> Path:
    return paths.private_dir(paths.state_dir() / "leases")


@contextmanager
def _guard(wait: bool) -> Iterator[bool]:
    """Hold the guard lock; False where another process has it and `wait` is false. Held for a few milliseconds."""
    with (folder() / "guard").open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except (BlockingIOError, PermissionError):
            yield False
            return
        yield True


def _others() -> list[Holder]:
    """The live leases of other processes; those of the dead are swept away."""
    found: list[Holder] = []
    for path in folder().glob("*.lease"):
        if path in _own:
            continue
        with suppress(FileNotFoundError), path.open("r+", encoding="utf-8") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                if holder := _read(file):
                    found.append(holder)
            else:
                path.unlink(missing_ok=True)
    return sorted(found, key=lambda holder: holder.since)


def _room(leases: list[Holder]) -> int:
    if (fixed := memory.fixed()) is not None:
        return fixed - sum(lease.bytes for lease in leases)
    promised = sum(max(0, lease.bytes - memory.taken(lease.process)) for lease in leases)
    return memory.available() - promised


def _take(model: str, size: int, who: str) -> Lease:
    path = folder() / f"{os.getpid()}-{secrets.token_hex(8)}.lease"
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+", encoding="utf-8")
    fcntl.lockf(file, fcntl.LOCK_EX)
    lease = Lease(path, file, Holder(who, model, size, os.getpid(), since=time.time()))
    _write(file, lease.holder)
    _own[path] = lease
    return lease


def _write(file: IO[str], holder: Holder) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(asdict(holder)))
    file.flush()


def _read(file: IO[str]) -> Holder | None:
    """What a lease file says; None where something else has damaged it."""
    try:
        data = json.loads(file.read(_MAX_FILE))
        return Holder(
            str(data["who"]),
            str(data["model"]),
            int(data["bytes"]),
            int(data["pid"]),
            int(data["process"]),
            float(data["since"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _refusal(model: str, size: int, room: int, others: list[Holder]) -> str:
    line = f"{model} needs {_gb(size)} of memory and {_gb(max(0, room))} is free"
    if others:
        line += ", held by " + ", ".join(f"{holder.who} ({holder.model}, {_gb(holder.bytes)})" for holder in others)
    return line + ": close what takes memory, or take a smaller model or num_ctx"


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
