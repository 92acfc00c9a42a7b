"""What every provider speaks: one request, one stream of deltas, one family of errors.

A request is plain data; an adapter turns it into its provider's wire format and the answer into `Delta` values.
Each adapter declares in `Honours` what it can do, and an option outside that declaration is refused when a
pipeline is loaded, never ignored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]

OPTIONS = frozenset(
    [
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "max_tokens",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "repeat_penalty",
        "dry_multiplier",
        "dry_allowed_length",
        "num_ctx",
        "think",
    ]
)
"""The vocabulary of `Request.options`, the same for all providers."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one tool, arguments as the model wrote them (JSON text, unchecked)."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function offered to the model; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One model call. System text is the first message, if there is any.

    `options` uses one vocabulary for all providers, `OPTIONS`; stop is a list of strings.
    `prefill` is text the answer already begins with; only the continuation is streamed back.
    """

    model: str
    messages: Sequence[Message]
    options: Mapping[str, Any] = field(default_factory=dict)
    tools: Sequence[Tool] = ()
    answer_schema: Mapping[str, Any] | None = None
    prefill: str = ""
    slot: str = ""
    """Which prompt cache to use, where an adapter has several: the same for requests that begin alike. RUN/SEAT, or RUN
    where all seats of a run share one."""
    turn: int | None = None
    """Which turn of its seat this is, from 0, where the messages do not show it; a script answers by it."""
    seat: str = ""
    """Who asks, where the slot does not end in it."""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """Reasoning the provider marks as such; kept apart from the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; `cached` of `prompt` were not computed again, `thinking` of `answer` were
    reasoning."""

    prompt: int
    answer: int
    thinking: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """The prompt is being read: `done` of `total` tokens."""

    done: int
    total: int


class StopReason(StrEnum):
    END = "end"
    """The model ended its answer."""
    LENGTH = "length"
    """Cut by max_tokens."""
    STOP = "stop_string"
    """One of the stop strings came up."""
    TOOL = "tool_call"
    FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Stop:
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Truncated:
    """The server silently dropped the front of the prompt: it read `counted` tokens of about `estimated`."""

    estimated: int
    counted: int


Delta = Text | Thinking | ToolCall | Usage | Progress | Truncated | Stop


@dataclass(frozen=True, slots=True)
class Count:
    """Prompt tokens of a request. Not exact: an estimate on the safe (high) side."""

    tokens: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Model:
    """A model on offer. `window` is the context in tokens and `size` its bytes in memory, None where unknown.

    `memory` is how many of the latest messages a conversation with it does best with, None for all that fit.
    `server` is what serves it and its version, `digest` tells these weights from others, `file_bytes` is their size;
    "" and None where the provider does not say.
    """

    name: str
    window: int | None = None
    size: int | None = None
    note: str = ""
    memory: int | None = None
    server: str = ""
    digest: str = ""
    file_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Honours:
    """What an adapter does with a request; everything not named here is refused before a run starts."""

    options: frozenset[str]
    tools: bool = False
    answer_schema: bool = False
    prefill: bool = False
    thinking: bool = False
    exact_count: bool = False
    embed: bool = False


class Fault(StrEnum):
    """Why a call failed, as far as it changes what to do next."""

    UNREACHABLE = "unreachable"
    KEY = "key"
    MODEL = "model"
    RATE = "rate_limited"
    SERVER = "server"
    BROKEN = "broken_stream"
    TIMEOUT = "timeout"
    INVALID = "invalid_answer"
    REFUSED = "refused"
    """The provider rejects the request itself (400): a retry cannot help."""


RETRYABLE = frozenset({Fault.UNREACHABLE, Fault.RATE, Fault.SERVER, Fault.BROKEN, Fault.TIMEOUT, Fault.INVALID})


class ProviderError(Exception):
    """A failed call: one line that says what is wrong and what to do. Never holds a key.

    `retry_after` is in seconds, as the provider asked; `status` the HTTP status where there was one.
    """

    def __init__(
        self, fault: Fault, message: str, *, retry_after: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after = retry_after
        self.status = status

    @property
    def retryable(self) -> bool:
        return self.fault in RETRYABLE


class Adapter(Protocol):
    """One endpoint of one provider. Every method may raise `ProviderError` and nothing else.

    Cancelling the task that iterates `stream` closes the connection, so that the provider stops working too.
    """

    honours: Honours

    def stream(self, request: Request) -> AsyncIterator[Delta]:
        """Deltas as they come; exactly one `Stop` and at most one `Usage`, both after all text."""
        ...

    def defaults(self, model: str) -> dict[str, Any]:
        """The options sent below the request's own. No I/O beyond local files."""
        ...

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]: ...

    async def count(self, request: Request) -> Count: ...

    async def models(self) -> list[Model]: ...

    async def check(self, model: str) -> Model:
        """The model, once it is known that key, server and model are there. At most 5 s."""
        ...

    async def close(self) -> None: ...
