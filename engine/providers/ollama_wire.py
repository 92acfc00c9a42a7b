"""Ollama's chat format: a request's messages, and deltas out of the parts of its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.providers import faults
from engine.providers.endpoint import Endpoint
from engine.providers.inline_thinking import ThinkSplitter
from engine.providers.protocol import (
    Delta,
    Fault,
    ProviderError,
    Request,
    Stop,
    StopReason,
    Thinking,
    ToolCall,
    Usage,
)

OPTIONS = {"max_tokens": "num_predict"} | {
    name: name
    for name in (
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "repeat_penalty",
        "num_ctx",
        "think",
    )
}
_REASONS = {"stop": StopReason.END, "length": StopReason.LENGTH}


class Answer:
    """Deltas out of the parts of one answer."""

    def __init__(self, place: Endpoint, request: Request) -> None:
        self._place = place
        self._split = ThinkSplitter(active=not request.prefill)
        self._calls: list[ToolCall] = []
        self._last: Any = None
        self.done = False

    def part(self, part: Any) -> list[Delta]:
        deltas: list[Delta] = []
        message = part.message
        if message.thinking:
            deltas.append(Thinking(message.thinking))
        if message.content:
            deltas += self._split.feed(message.content)
        for call in message.tool_calls or ():
            arguments = json.dumps(dict(call.function.arguments), ensure_ascii=False)
            self._calls.append(ToolCall(f"call-{len(self._calls)}", call.function.name, arguments))
        if part.done:
            self._last, self.done = part, True
        return deltas

    def end(self) -> list[Delta]:
        """The rest, once the stream is over. Raises ProviderError(BROKEN) when the answer was cut."""
        if self._last is None:
            raise ProviderError(Fault.BROKEN, f"{self._place.name} ended the stream in the middle of an answer")
        said = self._last.done_reason or "stop"
        reason = _REASONS.get(said)
        if reason is None:
            raise ProviderError(Fault.BROKEN, f"{self._place.name} gave up the answer: {faults.clean(said)}")
        if self._calls and reason is StopReason.END:
            reason = StopReason.TOOL
        usage: list[Delta] = []
        if self._last.prompt_eval_count and self._last.eval_count is not None:
            usage = [Usage(self._last.prompt_eval_count, self._last.eval_count)]
        return [*self._split.end(), *self._calls, *usage, Stop(reason)]


def messages(request: Request) -> list[dict[str, Any]]:
    """Ollama names the tool of a result where others give the id of its call."""
    named = {call.id: call.name for message in request.messages for call in message.tool_calls}
    found: list[dict[str, Any]] = []
    for message in request.messages:
        entry: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.tool_calls:
            entry["tool_calls"] = [
                {"function": {"name": call.name, "arguments": _arguments(call.arguments)}}
                for call in message.tool_calls
            ]
        if message.role == "tool":
            entry["tool_name"] = named.get(message.tool_call_id, "")
        found.append(entry)
    if request.prefill:
        found.append({"role": "assistant", "content": request.prefill})
    return found


def tools(request: Request) -> list[dict[str, Any]]:
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in request.tools
    ]


def _arguments(text: str) -> dict[str, Any]:
    """Ollama wants an object; what a model wrote instead is passed on under one key."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"arguments": text}


def trained_window(info: Mapping[str, Any]) -> int | None:
    """The context in tokens that the model was trained for, as /api/show names it."""
    found = info.get(f"{info.get('general.architecture')}.context_length")
    return int(found) if isinstance(found, int | float) else None
