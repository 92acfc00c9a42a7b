"""One retry layer over every adapter: back-off, Retry-After, and what was already said is never lost.

An own loop: stamina decides how long to wait only after the caller could have been told, and the caller is told here.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from engine.providers import estimate, rates
from engine.providers.endpoint import Endpoint
from engine.providers.protocol import Adapter, Delta, ProviderError, Request, Text, Thinking, Usage

_LOG = logging.getLogger("tertulia.providers")


@dataclass(frozen=True, slots=True)
class Policy:
    """`attempts` in all. Waits double from `first` seconds up to `longest`, each shortened by a random part of up to
    `jitter`. A provider that asks for more than `patience` seconds is not waited for."""

    attempts: int = 5
    first: float = 0.5
    longest: float = 30.0
    jitter: float = 0.25
    patience: float = 120.0

    @classmethod
    def of(cls, place: Endpoint) -> Policy:
        """As `retries` of the endpoint says."""
        return cls(attempts=place.retries.attempts, longest=place.retries.longest, patience=place.retries.patience)

    def wait(self, attempt: int, error: ProviderError) -> float | None:
        """Seconds to wait after the failed try number `attempt`, None to give up."""
        if not error.retryable or attempt >= self.attempts:
            return None
        own = min(self.longest, self.first * 2 ** (attempt - 1)) * (1 - self.jitter * random.random())
        asked = error.retry_after or 0.0
        return None if asked > self.patience else max(own, asked)


@dataclass(frozen=True, slots=True)
class Retrying:
    """The try before this one failed; try number `attempt` begins in `wait` seconds, from the start of the answer.

    What the failed try had already streamed is a partial, which the consumer keeps apart.
    """

    attempt: int
    wait: float
    error: ProviderError


@dataclass(frozen=True, slots=True)
class Waiting:
    """The endpoint's rate limit, shared by all runs of this machine, holds the call back for `seconds`."""

    seconds: float


async def stream_with_retries(
    adapter: Adapter, request: Request, policy: Policy, endpoint: Endpoint | None = None
) -> AsyncGenerator[Delta | Retrying | Waiting, None]:
    """The adapter's deltas, tried again as `policy` says; raises the last ProviderError when it gives up.

    With `endpoint`, each try keeps to that endpoint's limits. Cancelling takes effect at once, in a wait too.
    """
    attempt = 1
    told = _Told(f"{endpoint.name}/{request.model}" if endpoint else request.model)
    while True:
        told.sent(request, attempt)
        try:
            async with aclosing(_limited(adapter, request, endpoint)) as deltas:
                async for delta in deltas:
                    told.came(delta)
                    yield delta
            told.ended()
            return
        except ProviderError as error:
            wait = policy.wait(attempt, error)
            told.failed(attempt, error, wait)
            if wait is None:
                raise
            attempt += 1
            yield Retrying(attempt, wait, error)
            await asyncio.sleep(wait)


class _Told:
    """What the log hears of one call: its size, its times, its tries; never what is said in it."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._began = 0.0
        self._first: float | None = None
        self._usage: Usage | None = None

    def sent(self, request: Request, attempt: int) -> None:
        self._began, self._first, self._usage = time.monotonic(), None, None
        if _LOG.isEnabledFor(logging.DEBUG):
            size = sum(len(message.content) for message in request.messages)
            options = ", ".join(f"{key}={value!r}" for key, value in sorted(request.options.items()))
            sizes = f"{len(request.messages)} messages, {size} characters"
            _LOG.debug("%s: try %d: %s; %s", self._model, attempt, sizes, options or "no options")

    def came(self, delta: object) -> None:
        if isinstance(delta, Usage):
            self._usage = delta
        elif self._first is None and isinstance(delta, Text | Thinking):
            self._first = time.monotonic()

    def ended(self) -> None:
        if _LOG.isEnabledFor(logging.DEBUG):
            first = f"first token after {self._first - self._began:.2f} s, " if self._first else ""
            counted = f"; {self._usage.prompt} tokens sent, {self._usage.answer} said" if self._usage else ""
            _LOG.debug("%s: %s%.2f s in all%s", self._model, first, time.monotonic() - self._began, counted)

    def failed(self, attempt: int, error: ProviderError, wait: float | None) -> None:
        then = "given up" if wait is None else f"again in {wait:.1f} s"
        _LOG.warning("%s: try %d failed, %s: %s", self._model, attempt, then, error)


async def _limited(
    adapter: Adapter, request: Request, endpoint: Endpoint | None
) -> AsyncGenerator[Delta | Waiting, None]:
    """One try, within the endpoint's limits."""
    ticket = await rates.reserve(endpoint, _expected(endpoint, request)) if endpoint and endpoint.limited else None
    if ticket and ticket.wait > 0:
        called = False
        try:
            yield Waiting(ticket.wait)
            await asyncio.sleep(ticket.wait)
            called = True
        finally:
            if not called:
                await ticket.give_back()
    answered = False
    try:
        # Every adapter's stream is a generator; closing it closes the connection.
        async with aclosing(cast(AsyncGenerator[Delta, None], adapter.stream(request))) as deltas:
            async for delta in deltas:
                answered = True
                if ticket and isinstance(delta, Usage):
                    await ticket.settle(delta.prompt + delta.answer)
                yield delta
    except ProviderError:
        if ticket and not answered:
            await ticket.settle(0)
        raise


def _expected(endpoint: Endpoint, request: Request) -> int:
    """Tokens the call will take at most, as far as that can be said before."""
    prompt = estimate.request_bounds(f"{endpoint.name}/{request.model}", request).likely
    return prompt + int({**endpoint.options, **request.options}.get("max_tokens") or 0)
