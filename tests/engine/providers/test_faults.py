"""Every way a server can fail, in every dialect: the right fault, one line, and no key in it."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.providers.endpoint import Timeouts
from engine.providers.protocol import Delta, Fault, Message, ProviderError, Request, Stop, Text
from tests.engine.providers.conformance import adapter_at
from tests.engine.providers.fake_server import Dialect, FakeServer, Reply, serving

KEY = "sk-live-0123456789abcdef"
ASK = Request("tiny", [Message("user", "Hello?")], {"max_tokens": 9})


@pytest.fixture(params=["openai", "anthropic", "ollama"])
async def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeServer]:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    async with serving(request.param) as opened:
        yield opened


async def fails(server: FakeServer, reply: Reply, **config: Any) -> tuple[ProviderError, list[Delta]]:
    adapter = adapter_at(server.dialect, server.url, **config)
    server.replies.append(reply)
    got: list[Delta] = []
    with pytest.raises(ProviderError) as caught:
        async with asyncio.timeout(30):
            async for delta in adapter.stream(ASK):
                got.append(delta)
    await adapter.close()
    assert "\n" not in str(caught.value) and KEY not in str(caught.value) and len(str(caught.value)) < 500
    return caught.value, got


@pytest.mark.parametrize(
    ("status", "message", "fault"),
    [
        (400, "messages: roles must alternate", Fault.REFUSED),
        (401, f"Incorrect API key provided: {KEY}", Fault.KEY),
        (403, "not for you", Fault.KEY),
        (404, "model 'tiny' not found", Fault.MODEL),
        (404, "nothing here", Fault.REFUSED),
        (408, "too slow", Fault.TIMEOUT),
        (413, "too long", Fault.REFUSED),
        (429, "slow down", Fault.RATE),
        (500, f"stack trace\nwith {KEY}\x1b[31m", Fault.SERVER),
        (503, "loading model", Fault.SERVER),
        (529, "overloaded", Fault.SERVER),
    ],
)
async def test_statuses(server: FakeServer, status: int, message: str, fault: Fault) -> None:
    body = {"error": message} if server.dialect == "ollama" else {"error": {"message": message, "type": "x"}}
    error, got = await fails(server, Reply(status=status, body=body), key="SOME_API_KEY")
    assert (error.fault, error.status, got) == (fault, status, [])
    assert "\x1b" not in str(error)


async def test_the_sdk_never_retries_by_itself(server: FakeServer) -> None:
    await fails(server, Reply(status=500, body={"error": "x"}))
    assert len(server.chats) == 1


async def test_retry_after_in_seconds_and_as_a_date(server: FakeServer) -> None:
    error, _ = await fails(server, Reply(status=429, body={"error": "x"}, headers={"Retry-After": "7"}))
    assert error.retry_after == 7 and error.retryable
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    error, _ = await fails(server, Reply(status=503, body={"error": "x"}, headers={"Retry-After": date}))
    assert error.retry_after is not None and 60 < error.retry_after <= 100
    error, _ = await fails(server, Reply(status=503, body="<html>bad gateway", headers={"Retry-After": "soon"}))
    assert error.retry_after is None


async def test_no_credit_left_is_not_worth_a_retry() -> None:
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    async with serving("openai") as server:
        error, _ = await fails(server, Reply(status=429, body=body))
    assert error.fault is Fault.REFUSED and not error.retryable


@pytest.mark.parametrize(
    ("ending", "fault"),
    [
        ("cut", Fault.BROKEN),
        ("missing", Fault.BROKEN),
        ("garbage", Fault.INVALID),
        ("silent", Fault.TIMEOUT),
        ("error", Fault.SERVER),
    ],
)
async def test_a_stream_that_goes_wrong_keeps_what_came(server: FakeServer, ending: Any, fault: Fault) -> None:
    timeouts = Timeouts(connect=5, first_token=20, idle=0.4)
    error, got = await fails(server, Reply("Hello there friend.", 12, ending=ending), timeouts=timeouts)
    assert error.fault is fault and error.retryable
    came = "".join(delta.text for delta in got if isinstance(delta, Text))
    assert came and "Hello there friend.".startswith(came) and not any(isinstance(delta, Stop) for delta in got)


async def test_silence_from_the_start(server: FakeServer) -> None:
    timeouts = Timeouts(connect=5, first_token=0.3, idle=20)
    error, _ = await fails(server, Reply("", 1, ending="silent", raw=b"\n"), timeouts=timeouts)
    assert error.fault is Fault.TIMEOUT and "did not begin to answer within 0.3 s" in str(error)


async def test_a_slow_trickle_is_fine(server: FakeServer) -> None:
    adapter = adapter_at(server.dialect, server.url, timeouts=Timeouts(connect=5, first_token=20, idle=2))
    server.replies.append(Reply("Hello there.", pause=0.03, block=16))
    deltas = [delta async for delta in adapter.stream(ASK)]
    assert "".join(delta.text for delta in deltas if isinstance(delta, Text)) == "Hello there."
    await adapter.close()


@pytest.mark.parametrize(
    "raw", [b"[1, 2]\n", b"null\n", b'{"choices": 7}\n', b'{"message": 3}\n', b"\xff\xfe\n", b"{" * 99999]
)
async def test_nonsense_of_every_shape(server: FakeServer, raw: bytes) -> None:
    prefix = b"" if server.dialect == "ollama" else b"data: "
    error, got = await fails(server, Reply(raw=prefix + raw))
    # An object that is merely foreign to OpenAI's format says nothing, so its stream ends without an answer.
    assert error.fault in (Fault.INVALID, Fault.BROKEN) and got == []


async def test_an_endless_line_is_not_kept_in_memory() -> None:
    async with serving("openai") as server:
        error, _ = await fails(server, Reply(raw=b"data: " + b"x" * (17 << 20), block=1 << 20))
    assert error.fault is Fault.INVALID


@pytest.mark.parametrize(
    ("dialect", "says"),
    [("openai", "check base_url"), ("anthropic", "check base_url"), ("ollama", "is Ollama running? `ollama serve`")],
)
async def test_nobody_there(dialect: Dialect, says: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        adapter = adapter_at(dialect, f"http://127.0.0.1:{unused.getsockname()[1]}")
        for call in (lambda: anext(adapter.stream(ASK)), lambda: adapter.check("tiny"), adapter.models):
            with pytest.raises(ProviderError) as caught:
                await call()
            assert caught.value.fault is Fault.UNREACHABLE and says in str(caught.value)
        await adapter.close()


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "ollama"])
@pytest.mark.parametrize("url", ["ftp://example", "http://[", ""])
async def test_an_address_that_is_none(dialect: Dialect, url: str) -> None:
    if dialect == "ollama" and not url:
        return  # the SDK's own default
    adapter = adapter_at(dialect, "")
    adapter.endpoint = adapter.endpoint.model_copy(update={"base_url": url})
    with pytest.raises(ProviderError) as caught:
        await adapter.check("tiny")
    assert caught.value.fault is Fault.REFUSED and "is no address" in str(caught.value)


async def test_a_missing_key_is_named_before_anything_is_sent(server: FakeServer) -> None:
    adapter = adapter_at(server.dialect, server.url, key="ABSENT_API_KEY")
    with pytest.raises(ProviderError, match="tertulia keys set ABSENT_API_KEY") as caught:
        await adapter.check("tiny")
    assert caught.value.fault is Fault.KEY and server.asked == []


async def test_a_missing_model_says_what_to_do(server: FakeServer) -> None:
    adapter = adapter_at(server.dialect, server.url)
    with pytest.raises(ProviderError) as caught:
        await adapter.check("llama9")
    todo = "`ollama pull llama9`" if server.dialect == "ollama" else "`tertulia models`"
    assert "model llama9 is not on http://127.0.0.1" in str(caught.value) and todo in str(caught.value)
    await adapter.close()


async def test_a_key_that_is_wrong_says_which(server: FakeServer) -> None:
    error, _ = await fails(server, Reply(status=401, body={"error": f"bad {KEY[:12]}"}), key="SOME_API_KEY")
    assert "tertulia keys set SOME_API_KEY" in str(error) and KEY[:12] not in str(error)
