"""Who is alive: each host holds a file lock of its own beside the record, and its mtime is the heartbeat.

POSIX record locks (`fcntl.lockf`) vanish with the process, however it dies. They also vanish when the holder closes
*any* descriptor of the file, so a host opens its lock file once and nobody probes by taking the lock: F_GETLK tells.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.settings import paths

# struct flock on Linux and macOS differs in field order; Python has no portable reader for F_GETLK's answer.
_LINUX = "hhqqi4x"
_DARWIN = "qqihh"


_own: dict[Path, int] = {}
"""Lock files that this process holds: it must never open and close one of them again."""
_guarding = threading.Lock()
"""File locks keep out other processes only."""


class FileLock:
    """The lock on a file of its own, held until the process ends or `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False when another process holds it."""
        if self._path in _own:
            return False
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(fd)
            return False
        self._fd = fd
        _own[self._path] = os.getpid()
        return True

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            del _own[self._path]


class Presence(FileLock):
    """The lock of one host on one run."""

    def __init__(self, database: Path, run: str) -> None:
        super().__init__(lock_file(database, run))
        self._database = database

    def acquire(self) -> bool:
        """Take the lock, not while the record is brought up to date; False when another host holds it."""
        with guard(self._database):
            taken = super().acquire()
        self.beat()
        return taken

    def beat(self) -> None:
        """Say that the host still makes progress."""
        if self._fd is not None:
            os.utime(self._fd)


@contextmanager
def guard(database: Path) -> Iterator[None]:
    """Held by one process of all while it brings the record up to date, and while it becomes a host.

    So whoever finds no host alive has the record to itself until it is done, and a host that starts meanwhile looks at
    the record's version only then.
    """
    with _guarding:
        fd = os.open(paths.runs_dir(database) / "migrate.guard", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def lock_file(database: Path, run: str) -> Path:
    return paths.runs_dir(database) / f"{run}.lock"


def holder(database: Path, run: str) -> int | None:
    """The process id of the run's live host, or None."""
    return held(database.with_name(database.name + ".runs") / f"{run}.lock")


def held(path: Path) -> int | None:
    """The process id of whoever holds the lock on the file, or None."""
    if path in _own:
        return _own[path]
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _getlk(fd)
    finally:
        os.close(fd)


def heartbeat_age(database: Path, run: str) -> float | None:
    """Seconds since the host's last heartbeat, or None where there never was one."""
    try:
        return time.time() - lock_file(database, run).stat().st_mtime
    except OSError:
        return None


def alive(database: Path) -> dict[str, int]:
    """Every run of the record that has a live host, with the host's process id."""
    folder = database.with_name(database.name + ".runs")
    found = {}
    for path in folder.glob("*.lock"):
        pid = holder(database, path.stem)
        if pid is not None:
            found[path.stem] = pid
    return found


def _getlk(fd: int) -> int | None:
    if os.uname().sysname == "Darwin":
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(_DARWIN, 0, 0, 0, fcntl.F_WRLCK, 0))
        _, _, pid, kind, _ = struct.unpack(_DARWIN, answer)
    else:
        answer = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(_LINUX, fcntl.F_WRLCK, 0, 0, 0, 0))
        kind, _, _, _, pid = struct.unpack(_LINUX, answer)
    return None if kind == fcntl.F_UNLCK else pid
