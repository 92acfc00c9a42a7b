"""How many tokens a prompt has, before the provider says so.

Text is measured in bytes of UTF-8, which follows token counts better than characters do across scripts. Until a model
has reported usage, 2.5 to 6 bytes a token are thought possible and 3.5 likely; every report narrows that to the mean
of what was seen and its spread. Nothing is ever downloaded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from engine.providers.protocol import Message, Request

PER_MESSAGE = 6
"""Tokens that a chat template puts around one message (ChatML: 5, and one for a system line)."""

_LIKELY, _DENSE, _SPARSE = 3.5, 2.5, 6.0
_MEMORY = 0.8
"""How much of the earlier mean a new report leaves standing, once there are a few."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Tokens: surely not fewer, likely, surely not more."""

    low: int
    likely: int
    high: int


@dataclass(slots=True)
class _Seen:
    """Bytes a token: mean, mean deviation, and reports so far."""

    mean: float
    spread: float
    reports: int


_seen: dict[str, _Seen] = {}


def size(messages: Iterable[Message]) -> int:
    """Bytes of text, tool calls included."""
    total = 0
    for message in messages:  # a plain loop: this runs over the whole history at every turn
        text = message.content
        total += len(text) if text.isascii() else _bytes(text)
        for call in message.tool_calls:
            total += _bytes(call.name) + _bytes(call.arguments)
    return total


def request_bounds(model: str, request: Request) -> Bounds:
    """Bounds for a whole request: messages, prefill, tools and schema."""
    extra = [{"name": tool.name, "description": tool.description, **tool.parameters} for tool in request.tools]
    more = len(json.dumps(extra)) if extra else 0
    return bounds(model, size(request.messages) + _bytes(request.prefill) + more, len(request.messages))


def bounds(model: str, text_bytes: int, messages: int = 0) -> Bounds:
    """Bounds for so many bytes in so many messages."""
    seen = _seen.get(model)
    if seen is None:
        dense, likely, sparse = _DENSE, _LIKELY, _SPARSE
    else:
        margin = 0.05 + 0.15 / seen.reports + 2 * seen.spread / seen.mean
        dense, likely, sparse = seen.mean / (1 + margin), seen.mean, seen.mean * (1 + margin)
    around = PER_MESSAGE * messages
    return Bounds(
        low=math.floor(text_bytes / sparse),
        likely=math.ceil(text_bytes / likely) + around,
        high=math.ceil(text_bytes / dense) + around,
    )


def estimate(model: str, messages: Iterable[Message]) -> int:
    """Tokens of the messages, on the high side."""
    known = list(messages)
    return bounds(model, size(known), len(known)).high


def learn(model: str, text_bytes: int, tokens: int, messages: int = 0) -> None:
    """The provider counted `tokens` for a prompt of so many bytes in so many messages."""
    counted = tokens - PER_MESSAGE * messages
    if text_bytes < 200 or counted <= 0:
        return  # the template outweighs so short a text
    ratio = min(max(text_bytes / counted, 0.5), 20.0)
    seen = _seen.get(model)
    if seen is None:
        _seen[model] = _Seen(ratio, 0.0, 1)
        return
    seen.reports += 1
    share = max(1 - _MEMORY, 1 / seen.reports)
    seen.spread += share * (abs(ratio - seen.mean) - seen.spread)
    seen.mean += share * (ratio - seen.mean)


def learn_from(model: str, request: Request, tokens: int) -> None:
    """`learn` from a request without tools or schema, whose wrapping no one knows."""
    if not request.tools and request.answer_schema is None:
        learn(model, size(request.messages) + _bytes(request.prefill), tokens, len(request.messages))


def forget() -> None:
    """Drop what was learned in this process."""
    _seen.clear()


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
