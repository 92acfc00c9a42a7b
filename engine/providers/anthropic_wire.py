"""Anthropic's Messages format: a request's body, and deltas out of its events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.providers import faults
from engine.providers.endpoint import Endpoint
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
    ToolCall,
    Usage,
)

_REASONS = {
    "end_turn": StopReason.END,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.LENGTH,
    "stop_sequence": StopReason.STOP,
    "tool_use": StopReason.TOOL,
    "refusal": StopReason.FILTER,
}
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def conversation(request: Request) -> dict[str, Any]:
    """`system`, `messages`, `tools` and the answer's form. System lines after the first turn go as user turns.

    The API refuses a half answer that ends in white space, so that is held back here and by `EventParser`.
    """
    lead = 0
    while lead < len(request.messages) and request.messages[lead].role == "system":
        lead += 1
    messages = [_message(message) for message in request.messages[lead:]]
    if request.prefill.strip():
        messages.append({"role": "assistant", "content": request.prefill.rstrip()})
    body: dict[str, Any] = {"messages": messages}
    if lead:
        body["system"] = "\n\n".join(message.content for message in request.messages[:lead])
    if request.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
            for tool in request.tools
        ]
    if request.answer_schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": dict(request.answer_schema)}}
    return body


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content}
        return {"role": "user", "content": [result]}
    if message.tool_calls:
        blocks: list[dict[str, Any]] = [{"type": "text", "text": message.content}] if message.content else []
        blocks += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": _arguments(call.arguments)}
            for call in message.tool_calls
        ]
        return {"role": "assistant", "content": blocks}
    return {"role": "assistant" if message.role == "assistant" else "user", "content": message.content}


def _arguments(text: str) -> Any:
    """The API wants an object; what a model wrote instead is passed on under one key."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"arguments": text}


class EventParser:
    """Deltas out of the lines of one event stream."""

    def __init__(self, place: Endpoint, request: Request) -> None:
        self._place = place
        self._model = request.model
        self._skip_space = request.prefill != request.prefill.rstrip()
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self._usage: dict[str, int] = {}
        self._reason = ""
        self.done = False

    def line(self, line: bytes) -> list[Delta]:
        """What one line says. Raises ProviderError for an error event and for anything that is no event."""
        if not line.startswith(b"data:"):
            return []
        try:
            event = json.loads(line[5:])
            return self._event(event["type"], event)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise ProviderError(
                Fault.INVALID, f"{self._place.name} sent an event that is not of Anthropic's format"
            ) from None

    def end(self) -> list[Delta]:
        """The rest, once the stream is over. Raises ProviderError(BROKEN) when the answer was cut."""
        if not self.done:
            raise ProviderError(Fault.BROKEN, f"{self._place.name} ended the stream in the middle of an answer")
        reason = _REASONS.get(self._reason)
        if reason is None:
            raise ProviderError(Fault.BROKEN, f"{self._place.name} gave up the answer: {faults.clean(self._reason)}")
        calls = [ToolCall(id, name, "".join(parts) or "{}") for _, (id, name, parts) in sorted(self._calls.items())]
        return [*calls, *self._counted(), Stop(reason)]

    def _counted(self) -> list[Delta]:
        if "output_tokens" not in self._usage:
            return []
        cached = self._usage.get("cache_read_input_tokens", 0)
        prompt = cached + sum(self._usage.get(name, 0) for name in ("input_tokens", "cache_creation_input_tokens"))
        return [Usage(prompt, self._usage["output_tokens"], self._usage.get("thinking_tokens", 0), cached)]

    def _event(self, kind: str, event: Mapping[str, Any]) -> list[Delta]:
        if kind == "content_block_delta":
            return self._delta(event["index"], event["delta"])
        if kind == "content_block_start":
            block = event["content_block"]
            if block["type"] == "tool_use":
                self._calls[event["index"]] = (str(block["id"]), str(block["name"]), [])
            return self._said(block["text"]) if block["type"] == "text" and block.get("text") else []
        if kind == "message_start":
            self._count(event["message"].get("usage") or {})
        elif kind == "message_delta":
            self._reason = event["delta"].get("stop_reason") or self._reason
            self._count(event.get("usage") or {})
        elif kind == "message_stop":
            self.done = True
        elif kind == "error":
            status = _STATUS.get(str(event["error"].get("type")), 500)
            raise faults.from_status(self._place, status, event, {}, self._model)
        return []

    def _delta(self, index: int, delta: Mapping[str, Any]) -> list[Delta]:
        if delta["type"] == "text_delta":
            return self._said(delta["text"])
        if delta["type"] == "thinking_delta" and delta["thinking"]:
            return [Thinking(str(delta["thinking"]))]
        if delta["type"] == "input_json_delta" and index in self._calls:
            self._calls[index][2].append(str(delta["partial_json"]))
        return []

    def _said(self, text: str) -> list[Delta]:
        if self._skip_space:
            text = text.lstrip()
            self._skip_space = not text
        return [Text(str(text))] if text else []

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Counts grow over the stream: the latest of each holds."""
        self._usage.update({name: value for name, value in usage.items() if isinstance(value, int)})
        details = usage.get("output_tokens_details") or {}
        self._usage.update({name: value for name, value in details.items() if isinstance(value, int)})
