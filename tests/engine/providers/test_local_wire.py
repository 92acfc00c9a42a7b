"""What the adapter makes of llama.cpp's words when they are not the usual ones: thinking, faults, load failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.providers import local_server
from engine.providers.endpoint import Timeouts
from engine.providers.local_wire import Wire
from engine.providers.protocol import (
    Delta,
    Fault,
    Message,
    ProviderError,
    Request,
    Stop,
    StopReason,
    Text,
    Thinking,
    Usage,
)

PATIENCE = Timeouts(connect=5, first_token=20, idle=20)


@asynccontextmanager
async def serving(*parts: bytes, status: str = "200 OK", hang: bool = False) -> AsyncIterator[Wire]:
    """A wire to a server that answers one request with `parts` and closes, or hangs."""
    end = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nconnection: close\r\n\r\n".encode())
        for part in parts:
            writer.write(part)
            await writer.drain()
        if hang:
            await end.wait()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    patience = Timeouts(connect=5, first_token=20, idle=0.2) if hang else PATIENCE
    wire = Wire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "key", patience)
    try:
        yield wire
    finally:
        end.set()
        await wire.close()
        server.close()
        await server.wait_closed()


def data(chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def said(**delta: Any) -> bytes:
    return data({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


END = data({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + data(
    {
        "choices": [],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}},
    }
)


async def heard(wire: Wire) -> list[Delta]:
    request = Request("m", [Message("user", "hi")])
    return [delta async for delta in wire.stream(request, {}, 0)]


async def test_thinking_is_kept_apart_and_separators_survive() -> None:
    odd = "one\u2028two\x85three\x0bfour"
    async with serving(
        said(role="assistant"), b": ping\n\n", said(reasoning_content="Hm."), said(content=odd), END
    ) as wire:
        deltas = await heard(wire)
    assert deltas == [Thinking("Hm."), Text(odd), Usage(9, 4, cached=3), Stop(StopReason.END)]


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ((said(content="Hel"),), Fault.BROKEN),
        ((said(content="Hel"), b"data: {not json\n\n"), Fault.INVALID),
        ((data({"error": {"code": 500, "message": "boom", "type": "server_error"}}),), Fault.SERVER),
        ((data({"error": {"code": 400, "message": "no \x1b[31m", "type": "invalid_request_error"}}),), Fault.REFUSED),
    ],
    ids=["cut", "no json", "error in the stream", "refusal in the stream"],
)
async def test_a_broken_answer_is_told_in_one_line(parts: tuple[bytes, ...], fault: Fault) -> None:
    async with serving(*parts) as wire:
        with pytest.raises(ProviderError) as caught:
            await heard(wire)
    assert caught.value.fault is fault
    assert str(caught.value).isprintable()


async def test_a_status_that_is_no_json_and_a_silent_server() -> None:
    async with serving(b"<html>", status="503 Busy") as wire:
        with pytest.raises(ProviderError, match="503") as caught:
            await heard(wire)
    assert caught.value.fault is Fault.SERVER
    async with serving(said(content="Hel"), hang=True) as wire:
        with pytest.raises(ProviderError) as caught:
            await heard(wire)
    assert caught.value.fault is Fault.TIMEOUT


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            "0.00.637.280 E ggml_aligned_malloc: insufficient memory (attempted to allocate 43953.75 MB)\n",
            "not enough memory for a context of 4096 tokens",
        ),
        (
            "E llama_init_from_model: failed to initialize the context: std::bad_alloc\n",
            "not enough memory for a context",
        ),
        (
            "0.00.041.185 E llama_model_load: error loading model: tensor 'blk.16.ffn_down.weight' data is not within "
            "the file bounds, model is corrupted or incomplete\n",
            "the file is corrupted or incomplete",
        ),
        ("E llama_model_load: error loading model: unknown model architecture: 'zork'\n", "architecture zork"),
        ("0.00.001.000 E something: \x1b[31mnew\n", "something: �[31mnew"),
        ("", "Failed to init"),
    ],
)
def test_the_reason_of_a_failed_load_is_taken_from_the_log(log: str, says: str) -> None:
    reason = local_server._reason(log, "Failed to init server", {"n_ctx": 4096})
    assert says in reason and reason.isprintable()
