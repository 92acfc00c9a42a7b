"""A small HTTP server on loopback that speaks three dialects, keeps what it was asked, and fails on request."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

Dialect = Literal["openai", "anthropic", "ollama"]
WINDOW = 4096


@dataclass
class Reply:
    """One answer to a chat request, or one way to fail at it."""

    text: str = "Hello there, friend."
    pieces: int = 6
    thinking: str = ""
    tool: tuple[str, str] | None = None
    stop: str = ""
    prompt_tokens: int | None = None
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    ending: Literal["proper", "missing", "cut", "silent", "garbage", "error", "dawdling"] = "proper"
    """After half of the answer: end without the end marker, drop the connection, say nothing, send no JSON, report.
    Or after all of it: leave the stream open."""
    pause: float = 0.0
    """Seconds before each byte block."""
    block: int = 0
    """Send in blocks of so many bytes, whatever the lines."""
    raw: bytes = b""
    """Send this instead of the dialect's events."""


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: Any


class FakeServer:
    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.asked: list[Asked] = []
        self.replies: deque[Reply] = deque()
        self.gone = asyncio.Event()
        """A client hung up in the middle of an answer."""
        self.url = ""
        self.connections = 0
        self.open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.loaded_window = WINDOW
        self.tells_version = True

    @property
    def chats(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.endswith(("/chat/completions", "/messages", "/api/chat"))]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self.open[task] = writer
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.gone.set()
        finally:
            del self.open[task]
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection is good for another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        asked = Asked(head[0].split()[1].split("?")[0], headers, json.loads(raw) if raw else None)
        self.asked.append(asked)
        return await self._answer(asked, reader, writer)

    async def _answer(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        simple = self._simple(asked)
        if simple is not None:
            status, value = simple
            await _whole(writer, status, value, {"Server": "boiler/2.1"})
            return True
        reply = self.replies.popleft() if self.replies else Reply()
        if reply.status != 200:
            await _whole(writer, reply.status, reply.body, reply.headers)
            return True
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        events = [reply.raw] if reply.raw else self._events(reply, asked)
        if reply.ending not in ("proper", "dawdling"):
            events = events[: len(events) // 2]
            events += [b'data: {"cho' + b"\n\n"] if reply.ending == "garbage" else []
            events += [self._error()] if reply.ending == "error" else []
        data = b"".join(events)
        blocks = [data[at : at + reply.block] for at in range(0, len(data), reply.block)] if reply.block else events
        for block in blocks:
            if reply.pause:
                await asyncio.sleep(reply.pause)
            writer.write(b"%x\r\n%s\r\n" % (len(block), block))
            await writer.drain()
        if reply.ending in ("silent", "dawdling"):
            await reader.read()  # until the client hangs up
            self.gone.set()
        if reply.ending == "cut":
            return False
        await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _simple(self, asked: Asked) -> tuple[int, Any] | None:
        path, body = asked.path, asked.body or {}
        if path.endswith("/models"):
            return 200, {"data": [{"id": "tiny", "display_name": "Tiny", "max_input_tokens": WINDOW}]}
        if path.endswith("/count_tokens"):
            return 200, {"input_tokens": 42}
        if path.endswith("/embeddings"):
            vectors = [{"index": i, "embedding": [float(i), 1.0]} for i in range(len(body["input"]))]
            return 200, {"data": vectors[::-1], "model": "tiny", "object": "list"}
        if path == "/api/embed":
            return 200, {"embeddings": [[float(i), 1.0] for i in range(len(body["input"]))]}
        if path == "/api/version":
            return (200, {"version": "0.9.1"}) if self.tells_version else (404, {"error": "not found"})
        if path == "/api/tags":
            return 200, {"models": [{"model": "tiny", "size": 123, "digest": "abc123"}]}
        if path == "/api/ps":
            return 200, {"models": [{"model": "tiny", "context_length": self.loaded_window}]}
        if path == "/api/show":
            if body["model"] != "tiny":
                return 404, {"error": f"model '{body['model']}' not found"}
            return 200, {"model_info": {"general.architecture": "llama", "llama.context_length": 8192}}
        return None

    def _error(self) -> bytes:
        if self.dialect == "openai":
            return b'data: {"error": {"message": "boiler burst", "type": "server_error", "code": 500}}\n\n'
        if self.dialect == "anthropic":
            return _sse({"type": "error", "error": {"type": "overloaded_error", "message": "boiler burst"}})
        return b'{"error": "boiler burst"}\n'

    def _events(self, reply: Reply, asked: Asked) -> list[bytes]:
        text = reply.text
        limit = next((asked.body[k] for k in ("max_tokens", "max_completion_tokens") if k in asked.body), None)
        limit = limit or (asked.body.get("options") or {}).get("num_predict")
        cut = bool(limit) and len(text.split()) > limit
        if cut:
            text = " ".join(text.split()[:limit])
        size = max(1, -(-len(text) // reply.pieces))
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        prompt = reply.prompt_tokens if reply.prompt_tokens is not None else 42
        return getattr(self, f"_{self.dialect}")(reply, pieces, prompt, len(text.split()), cut)

    def _openai(self, reply: Reply, pieces: list[str], prompt: int, answer: int, cut: bool) -> list[bytes]:
        def event(delta: Any, finish: str | None = None) -> bytes:
            chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
            return b"data: " + json.dumps(chunk, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"

        events = [b": ping\n\n", event({"role": "assistant", "content": ""})]
        if reply.thinking:
            events.append(event({"reasoning_content": reply.thinking}))
        events += [event({"content": piece}) for piece in pieces]
        if reply.tool:
            name, arguments = reply.tool
            half = len(arguments) // 2
            first = {"index": 0, "id": "c1", "function": {"name": name, "arguments": arguments[:half]}}
            events.append(event({"tool_calls": [first]}))
            events.append(event({"tool_calls": [{"index": 0, "function": {"arguments": arguments[half:]}}]}))
        events.append(event({}, reply.stop or ("tool_calls" if reply.tool else "length" if cut else "stop")))
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": answer,
            "prompt_tokens_details": {"cached_tokens": 7},
            "completion_tokens_details": {"reasoning_tokens": 3},
        }
        events.append(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
        return [*events, b"data: [DONE]\n\n"]

    def _anthropic(self, reply: Reply, pieces: list[str], prompt: int, answer: int, cut: bool) -> list[bytes]:
        def block(index: int, start: Any, deltas: list[Any]) -> list[bytes]:
            return [
                _sse({"type": "content_block_start", "index": index, "content_block": start}),
                *(_sse({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas),
                _sse({"type": "content_block_stop", "index": index}),
            ]

        usage = {"input_tokens": prompt - 7, "cache_read_input_tokens": 7, "output_tokens": 1}
        events = [_sse({"type": "message_start", "message": {"usage": usage}}), _sse({"type": "ping"})]
        if reply.thinking:
            thoughts = [{"type": "thinking_delta", "thinking": reply.thinking}, {"type": "signature_delta"}]
            events += block(0, {"type": "thinking", "thinking": ""}, thoughts)
        texts = [{"type": "text_delta", "text": piece} for piece in pieces]
        events += block(1, {"type": "text", "text": ""}, texts)
        if reply.tool:
            name, arguments = reply.tool
            half = len(arguments) // 2
            parts = [{"type": "input_json_delta", "partial_json": p} for p in (arguments[:half], arguments[half:])]
            events += block(2, {"type": "tool_use", "id": "c1", "name": name, "input": {}}, parts)
        reason = reply.stop or ("tool_use" if reply.tool else "max_tokens" if cut else "end_turn")
        counts = {"output_tokens": answer, "output_tokens_details": {"thinking_tokens": 3}}
        events.append(_sse({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": counts}))
        return [*events, _sse({"type": "message_stop"})]

    def _ollama(self, reply: Reply, pieces: list[str], prompt: int, answer: int, cut: bool) -> list[bytes]:
        def part(message: Any, **more: Any) -> bytes:
            value = {"model": "tiny", "message": {"role": "assistant", **message}, "done": False, **more}
            return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"

        events = [part({"content": "", "thinking": reply.thinking})] if reply.thinking else []
        events += [part({"content": piece}) for piece in pieces]
        if reply.tool:
            name, arguments = reply.tool
            call = {"function": {"name": name, "arguments": json.loads(arguments)}}
            events.append(part({"content": "", "tool_calls": [call]}))
        counts = {"prompt_eval_count": prompt, "eval_count": answer}
        reason = reply.stop or ("length" if cut else "stop")
        return [*events, part({"content": ""}, done=True, done_reason=reason, **counts)]


def _sse(event: dict[str, Any]) -> bytes:
    data = json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), data)


async def _whole(writer: asyncio.StreamWriter, status: int, value: Any, headers: dict[str, str]) -> None:
    body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    await writer.drain()


@asynccontextmanager
async def serving(dialect: Dialect) -> AsyncIterator[FakeServer]:
    fake = FakeServer(dialect)
    server = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fake.url = f"http://127.0.0.1:{port}"
    try:
        yield fake
    finally:
        server.close()
        for writer in fake.open.values():
            writer.transport.abort()
        await asyncio.gather(*fake.open)
