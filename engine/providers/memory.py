"""How much memory this process may still take: the machine's, and that of every memory cgroup it is in (v1 and v2)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from engine.providers.protocol import Fault, ProviderError

_UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as almost 2**63


def fixed() -> int | None:
    """The sum that TERTULIA_MODEL_MEMORY grants to local models, None where it is not set. Raises ProviderError."""
    text = os.environ.get("TERTULIA_MODEL_MEMORY", "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise ProviderError(
            Fault.MODEL, f"TERTULIA_MODEL_MEMORY={text!r}: must be a number of bytes, such as 8000000000"
        )
    return int(text)


def capacity() -> int:
    """Bytes that a model could have if nothing else ran."""
    if (granted := fixed()) is not None:
        return granted
    return min([int(psutil.virtual_memory().total), *(limit for limit, _ in _groups())])


def available() -> int:
    """Bytes that can be taken now without swapping and without an out-of-memory kill. Evictable file pages count."""
    return min([int(psutil.virtual_memory().available), *(limit - used for limit, used in _groups())])


def taken(pid: int) -> int:
    """Bytes that process `pid` has in memory of its own (file pages not counted); 0 when it is gone."""
    if pid <= 0:
        return 0
    try:
        info = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return max(0, int(info.rss) - int(getattr(info, "shared", 0)))


def _groups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[tuple[int, int]]:
    """(limit, used) of each limited memory cgroup from our own up to the root; used is without evictable file pages."""
    try:
        lines = own.read_text("ascii", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, inside = line.split(":", 2)
        if controllers == "":
            yield from _limits(root, inside, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            v1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _limits(root / "memory", inside, *v1)


def _limits(root: Path, inside: str, limit: str, usage: str, evictable: str) -> Iterator[tuple[int, int]]:
    # In a container the path may be the host's, unknown here: then its own group is mounted as the root.
    place = root / inside.strip("/")
    for group in (place, *place.parents):
        with suppress(OSError, ValueError):  # a group without a limit has no such file, or says "max"
            most = int((group / limit).read_text("ascii"))
            if most < _UNLIMITED:
                used = int((group / usage).read_text("ascii"))
                stat = dict(row.split() for row in (group / "memory.stat").read_text("ascii").splitlines())
                yield most, max(0, used - int(stat.get(evictable, 0)))
        if group == root:
            return
