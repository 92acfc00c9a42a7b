"""OpenAI's chat format, which half the world speaks: messages out, chunks in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.providers import faults, translate
from engine.providers.endpoint import Endpoint
from engine.providers.inline_thinking import ThinkSplitter
from engine.providers.protocol import (
    Delta,
    Fault,
    Message,
    Progress,
    ProviderError,
    Request,
    Stop,
    StopReason,
    Thinking,
    ToolCall,
    Usage,
)

_REASONS = {
    "stop": StopReason.END,
    "eos": StopReason.END,
    "length": StopReason.LENGTH,
    "tool_calls": StopReason.TOOL,
    "function_call": StopReason.TOOL,
    "content_filter": StopReason.FILTER,
}


def chat_body(request: Request) -> dict[str, Any]:
    """The fields of a chat request besides its options."""
    messages = [_message(message) for message in request.messages]
    if request.prefill:
        messages.append({"role": "assistant", "content": request.prefill})
    body: dict[str, Any] = {"messages": messages, "stream_options": {"include_usage": True}}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
            }
            for tool in request.tools
        ]
    if request.answer_schema is not None:
        # Strict is refused for schemas that leave anything open; without it they are followed as well as it goes.
        shape = {
            "name": "answer",
            "schema": request.answer_schema,
            "strict": translate.closed(request.answer_schema),
        }
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    return body


def _message(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        found["tool_call_id"] = message.tool_call_id
    return found


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


class ChatParser:
    """Deltas out of the lines of one event stream."""

    def __init__(self, place: Endpoint, request: Request) -> None:
        self._place = place
        self._model = request.model
        self._split = ThinkSplitter(active=not request.prefill)
        self._calls: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self._reason: str | None = None
        self.done = False

    def line(self, line: bytes) -> list[Delta]:
        """What one line says. Raises ProviderError for an error event and for anything that is no chunk."""
        if not line.startswith((b"data:", b"error:")):
            return []
        data = line.partition(b":")[2].strip()
        if data == b"[DONE]":
            self.done = True
            return []
        try:
            chunk = json.loads(data)
            if "error" in chunk or line.startswith(b"error:"):
                raise self._error(chunk)
            return self._chunk(chunk)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
            raise ProviderError(
                Fault.INVALID, f"{self._place.name} sent a chunk that is not of OpenAI's chat format"
            ) from None

    def end(self) -> list[Delta]:
        """The rest, once the stream is over. Raises ProviderError(BROKEN) when the answer was cut."""
        if self._reason is None:
            raise ProviderError(Fault.BROKEN, f"{self._place.name} ended the stream in the middle of an answer")
        reason = _REASONS.get(self._reason)
        if reason is None:
            raise ProviderError(Fault.BROKEN, f"{self._place.name} gave up the answer: {faults.clean(self._reason)}")
        rest = self._split.end()
        calls = [
            ToolCall(call.id or f"call-{index}", call.name, call.arguments)
            for index, call in sorted(self._calls.items())
        ]
        if calls and reason is StopReason.END:
            reason = StopReason.TOOL
        return [*rest, *calls, *([self._usage] if self._usage else []), Stop(reason)]

    def _chunk(self, chunk: Mapping[str, Any]) -> list[Delta]:
        deltas: list[Delta] = []
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            thought = delta.get("reasoning_content") or delta.get("reasoning")
            if thought:
                deltas.append(Thinking(_text(thought)))
            if content := delta.get("content"):
                deltas += self._split.feed(_text(content))
            for piece in delta.get("tool_calls") or ():
                self._piece(piece)
            self._reason = choice.get("finish_reason") or self._reason
        if usage := chunk.get("usage"):
            self._usage = _usage(usage)
        if progress := chunk.get("prompt_progress"):
            deltas.append(Progress(int(progress["processed"]), int(progress["total"])))
        return deltas

    def _piece(self, piece: Mapping[str, Any]) -> None:
        call = self._calls.setdefault(int(piece.get("index") or 0), _Call())
        function = piece.get("function") or {}
        call.id = call.id or str(piece.get("id") or "")
        call.name = call.name or str(function.get("name") or "")
        call.arguments += function.get("arguments") or ""

    def _error(self, chunk: Mapping[str, Any]) -> ProviderError:
        inner = chunk.get("error", chunk)
        code = inner.get("code") if isinstance(inner, Mapping) else None
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
        return faults.from_status(self._place, status, chunk, {}, self._model)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _usage(usage: Mapping[str, Any]) -> Usage:
    return Usage(
        prompt=int(usage["prompt_tokens"]),
        answer=int(usage["completion_tokens"]),
        thinking=int((usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0),
        cached=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
    )
