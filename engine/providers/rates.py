"""Requests and tokens per minute, shared by all runs of the machine.

One token bucket for each endpoint and unit, in a small file below the state folder that a lock guards. A minute's worth
may be used at once; who takes more than there is leaves a debt that later callers wait for as well, so calls go out in
the order in which they asked. Nothing is read or written for an endpoint without limits.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from engine.providers.endpoint import Endpoint, Limits
from engine.settings import paths

Buckets = dict[str, tuple[float, float]]
"""For each unit: how much is left (below 0: owed), and the wall-clock time when that was so."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to call once `wait` seconds have passed. `settle` it when the call is over."""

    wait: float
    file: Path | None
    limits: Limits
    tokens: int

    async def settle(self, actual: int) -> None:
        """The call used `actual` tokens: what was reserved beyond that is given back, what is missing is taken."""
        if self.file is not None and actual != self.tokens:
            await asyncio.to_thread(_take, self.file, self.limits, 0, actual - self.tokens)

    async def give_back(self) -> None:
        """The call was never made."""
        if self.file is not None:
            await asyncio.to_thread(_take, self.file, self.limits, -1, -self.tokens)


async def reserve(endpoint: Endpoint, tokens: int) -> Ticket:
    """Take one request and `tokens` tokens, and learn how long to wait until they are there."""
    limits = endpoint.limits
    if limits.requests_per_minute is None and limits.tokens_per_minute is None:
        return Ticket(0.0, None, limits, tokens)
    file = paths.private_dir(paths.state_dir() / "rates") / f"{urllib.parse.quote(endpoint.name, safe='')}.json"
    return Ticket(await asyncio.to_thread(_take, file, limits, 1, tokens), file, limits, tokens)


def _take(file: Path, limits: Limits, requests: int, tokens: int) -> float:
    """Take from the buckets under the lock; seconds until the slower one is no longer in debt."""
    wait = 0.0
    with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b", buffering=0) as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        buckets = _parsed(opened.read())
        now = time.time()
        wanted = {
            "requests": (limits.requests_per_minute, requests),
            "tokens": (limits.tokens_per_minute, tokens),
        }
        for unit, (limit, amount) in wanted.items():
            if limit is None:
                continue
            left, then = buckets.get(unit, (float(limit), now))
            # A clock set back must not take away what has already come back.
            left = min(float(limit), left + max(0.0, now - then) * limit / 60) - amount
            buckets[unit] = (min(left, float(limit)), now)
            wait = max(wait, -left * 60 / limit)
        data = json.dumps(buckets).encode()
        opened.seek(0)
        opened.write(data)
        opened.truncate(len(data))
    return wait


def _parsed(data: bytes) -> Buckets:
    """The buckets; full ones where the file is new or no longer readable, which only loosens a limit for a minute."""
    try:
        return {unit: (float(left), float(then)) for unit, (left, then) in json.loads(data).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
