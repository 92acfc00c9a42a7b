"""A record for one run that leaves nothing behind: in a private folder that is deleted with its owner.

The owner is the process that watches the run. It deletes the folder when the run has ended or is interrupted. If it is
killed, the host of the run notices, ends and deletes the folder; if both are, the next such run does.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.record import presence
from engine.record.presence import FileLock
from engine.settings import paths

_PATIENCE = 5.0
"""Seconds a host has to end by itself."""
_DATABASE = "run.db"
_OWNER = "owner.lock"


class Throwaway:
    """A context: within it `database` may hold one run, after it nothing of that is left."""

    def __init__(self) -> None:
        sweep()
        with _guard(_places()[0]) as place:
            self._folder = Path(tempfile.mkdtemp(prefix="run-", dir=place))
            self._lock = FileLock(self.owner)
            self._lock.acquire()

    @property
    def database(self) -> Path:
        return self._folder / _DATABASE

    @property
    def owner(self) -> Path:
        """The file whose lock says that the owner lives."""
        return self._folder / _OWNER

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        _end_hosts(self.database, signal.SIGTERM)
        _end_hosts(self.database, signal.SIGKILL)
        self._lock.release()
        shutil.rmtree(self._folder, ignore_errors=True)


def is_owned(owner: Path) -> bool:
    return presence.held(owner) is not None


def discard(owner: Path) -> None:
    """Delete the folder of an owner that is gone."""
    if not is_owned(owner):
        shutil.rmtree(owner.parent, ignore_errors=True)


def sweep() -> None:
    """Delete what dead owners left behind, and end the hosts that still write there."""
    for place in _places():
        if place.is_dir():
            with _guard(place):
                for folder in place.glob("run-*"):
                    if not is_owned(folder / _OWNER):
                        _end_hosts(folder / _DATABASE, signal.SIGKILL)
                        shutil.rmtree(folder, ignore_errors=True)


def _places() -> list[Path]:
    """Where such folders are, the first for new ones: in memory where the system has a place for that."""
    kept = paths.state_dir() / "throwaway"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir():
        about = Path(runtime).stat()
        if about.st_uid == os.getuid() and not about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return [Path(runtime) / paths.APP / "throwaway", kept]
    return [kept]


@contextmanager
def _guard(place: Path) -> Iterator[Path]:
    """`place`, ours alone for a moment: a folder without a live owner is a dead one's, not one that is being made."""
    paths.private_dir(place)
    with (place / "guard").open("a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield place


def _end_hosts(database: Path, number: signal.Signals) -> None:
    for pid in presence.alive(database).values():
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + _PATIENCE
    while presence.alive(database) and time.monotonic() < deadline:
        time.sleep(0.01)
