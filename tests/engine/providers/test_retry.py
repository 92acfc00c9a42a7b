from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from engine.providers import rates, registry, scripted
from engine.providers.endpoint import Endpoint, Limits
from engine.providers.protocol import Delta, Fault, Message, ProviderError, Request, Stop, Text
from engine.providers.retry import Policy, Retrying, Waiting, stream_with_retries

QUICK = Policy(attempts=4, first=0.001, longest=0.004)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "tertulia" / "rates"


def failing(*faults: dict[str, Any]) -> Any:
    scripted.register(
        "flaky", {"pace": {"chunk": 4}, "seats": {"A": [{"text": "Hello, dear friend.", "faults": faults}]}}
    )
    return registry.open_adapter("scripted")


def ask(model: str = "flaky") -> Request:
    return Request(model, [Message("user", "hi")], {"max_tokens": 50}, slot="r/A")


async def gather(adapter: Any, policy: Policy = QUICK, endpoint: Endpoint | None = None) -> list[Any]:
    async with asyncio.timeout(30):
        return [item async for item in stream_with_retries(adapter, ask(), policy, endpoint)]


def text(items: list[Any]) -> str:
    return "".join(item.text for item in items if isinstance(item, Text))


async def test_each_new_try_is_announced_after_what_the_broken_one_said() -> None:
    items = await gather(
        failing({"fault": "server", "status": 500}, {"fault": "broken_stream", "attempt": 2, "after": 8})
    )
    first, second = [at for at, item in enumerate(items) if isinstance(item, Retrying)]
    assert (items[first].attempt, items[first].error.fault) == (2, Fault.SERVER)
    assert text(items[:second]) == "Hello, d" and items[second].error.fault is Fault.BROKEN
    assert text(items[second:]) == "Hello, dear friend." and isinstance(items[-1], Stop)


@pytest.mark.parametrize("fault", ["key", "model", "refused"])
async def test_what_no_retry_can_help_is_raised_at_once(fault: str) -> None:
    adapter = failing({"fault": fault, "attempt": "every"})
    with pytest.raises(ProviderError):
        await gather(adapter)
    assert len(adapter.requests) == 1


async def test_it_gives_up_after_so_many_tries_with_the_last_error() -> None:
    adapter = failing({"fault": "timeout", "attempt": "every"})
    with pytest.raises(ProviderError) as caught:
        await gather(adapter)
    assert caught.value.fault is Fault.TIMEOUT and len(adapter.requests) == QUICK.attempts


def test_waits_double_up_to_the_longest_and_honour_retry_after() -> None:
    policy = Policy(attempts=9, first=1, longest=6, jitter=0)
    error = ProviderError(Fault.SERVER, "x")
    assert [policy.wait(n, error) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 6, 6]
    assert policy.wait(9, error) is None
    asked = ProviderError(Fault.RATE, "x", retry_after=30)
    assert policy.wait(1, asked) == 30
    assert Policy(patience=20).wait(1, asked) is None
    drawn = {Policy(first=1, jitter=0.25).wait(1, error) for _ in range(50)}
    assert len(drawn) > 10 and all(wait is not None and 0.75 <= wait <= 1 for wait in drawn)


async def test_cancelling_takes_effect_in_the_wait() -> None:
    adapter = failing({"fault": "rate_limited", "retry_after": 100, "attempt": "every"})
    waiting = asyncio.Event()

    async def run() -> None:
        async for item in stream_with_retries(adapter, ask(), Policy()):
            if isinstance(item, Retrying):
                assert item.wait == 100
                waiting.set()

    task = asyncio.create_task(run())
    async with asyncio.timeout(30):
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class Endless:
    """An adapter whose stream says when it is closed."""

    closed = False

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        try:
            while True:
                yield Text("x")
        finally:
            self.closed = True


async def test_leaving_the_stream_closes_the_adapters() -> None:
    adapter: Any = Endless()
    stream: AsyncGenerator[Any, None] = stream_with_retries(adapter, ask(), QUICK)
    async with aclosing(stream) as items:
        await anext(items)
    assert adapter.closed


def limited(**limits: int) -> Endpoint:
    return Endpoint(name="paced", adapter="scripted", limits=Limits(**limits))


async def test_a_call_within_the_limits_settles_what_it_used() -> None:
    place = limited(tokens_per_minute=60)
    await gather(failing(), endpoint=place)
    ticket = await rates.reserve(place, 60)
    assert 0 < ticket.wait < 30  # 4 words were used of the more than 50 tokens that were reserved


async def test_a_call_beyond_the_limits_says_how_long_it_waits(state: Path) -> None:
    place = limited(requests_per_minute=600)
    await rates.reserve(place, 0)
    (state / "paced.json").write_text(json.dumps({"requests": [-9, time.time()]}))
    items = await gather(failing(), endpoint=place)
    assert isinstance(items[0], Waiting) and 0 < items[0].seconds <= 1
    assert text(items) == "Hello, dear friend."


async def test_who_is_cancelled_in_the_wait_gives_back_what_it_took() -> None:
    place = limited(requests_per_minute=1)
    await rates.reserve(place, 0)
    stream = stream_with_retries(failing(), ask(), QUICK, place)
    assert isinstance(await anext(stream), Waiting)
    await stream.aclose()
    assert 50 < (await rates.reserve(place, 0)).wait <= 60


async def test_failed_calls_do_not_use_up_tokens() -> None:
    place = limited(tokens_per_minute=60)
    adapter = failing({"fault": "server", "attempt": 1}, {"fault": "server", "attempt": 2})
    items = await gather(adapter, endpoint=place)
    assert not any(isinstance(item, Waiting) for item in items)


def test_the_endpoint_says_how_often_and_how_long() -> None:
    place = Endpoint(name="x", adapter="scripted", retries={"attempts": 2, "longest": 0.1, "patience": 1})
    policy = Policy.of(place)
    again = ProviderError(Fault.SERVER, "500")
    assert policy.wait(1, again) is not None and policy.wait(2, again) is None
    assert Policy.of(place).wait(1, ProviderError(Fault.RATE, "429", retry_after=2)) is None
    assert max(policy.wait(1, again) or 9 for _ in range(20)) <= 0.1
