"""The scripts that the `scripted` adapter plays: reading, checking, and the generated answers."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from engine.providers.protocol import Fault, StopReason
from engine.settings.errors import UsageError, nearest

Otherwise = Literal["error", "echo", "repeat"]

_ECHO = (
    "the lamp and a quiet river speak of morning while seven clocks listen for rain under old bridges where salt "
    "wind carries paper boats toward doors that nobody closes because every answer keeps one small question warm"
)


@dataclass(frozen=True, slots=True)
class Trip:
    """A fault: raised on try number `attempt` (0: every try) after `after` characters of the answer."""

    fault: Fault
    attempt: int = 1
    after: int = 0
    status: int | None = None
    retry_after: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    thinking: str = ""
    chunk: int = 8
    delay: float = 0.0
    stop: StopReason = StopReason.END
    tools: tuple[tuple[str, str], ...] = ()
    faults: tuple[Trip, ...] = ()
    written: bool = True
    """It stands in the script; an echo does not."""


@dataclass(frozen=True, slots=True)
class Script:
    seats: Mapping[str, Mapping[int, Answer]]
    pace: Answer = field(default_factory=lambda: Answer(""))
    otherwise: Otherwise = "error"
    words: int = 14
    window: int | None = None

    def answer(self, seat: str, seq: int) -> Answer | None:
        """What the seat says at its turn `seq`; None where the script has nothing and generates nothing."""
        own = self.seats.get(seat, self.seats.get("*", {}))
        if seq in own:
            return own[seq]
        if self.otherwise == "echo":
            return replace(self.pace, text=echo(seat, seq, self.words), written=False)
        if self.otherwise == "repeat" and own:
            return own[max((known for known in own if known < seq), default=min(own))]
        return None


def echo(seat: str, seq: int, words: int = 14) -> str:
    """A sentence of `words` words that only (seat, seq) decide, the same in every process."""
    known = _ECHO.split()
    drawn = random.Random(f"{seat}/{seq}").sample(known * (1 + words // len(known)), words)
    return f"{seat} {seq}: {' '.join(drawn)}."


def filled(schema: Mapping[str, Any], text: str) -> Any:
    """A value that fits a JSON schema of objects, arrays, enums and texts: lists have one entry, texts are `text`."""
    if "anyOf" in schema:
        return filled(schema["anyOf"][0], text)
    if "enum" in schema:
        return schema["enum"][-1]
    match schema["type"]:
        case "object":
            return {key: filled(part, text) for key, part in schema["properties"].items()}
        case "array":
            return [filled(schema["items"], text)]
        case "string":
            return text[: schema.get("maxLength", len(text))]
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case _:
            return None


def parse(data: Any, source: str) -> Script:
    """A script from YAML or JSON data. `source` names it in errors. Raises UsageError."""
    top = _mapping(data, source, {"seats", "pace", "otherwise", "words", "window"})
    pace = _answer(
        {"text": "", **_mapping(top.get("pace", {}), f"{source}: pace", {"chunk", "delay"})}, Answer(""), source
    )
    seats = top.get("seats", {})
    if not isinstance(seats, Mapping):
        raise UsageError(f"{source}: seats: must be `NAME: answers` pairs")
    otherwise = top.get("otherwise", "error")
    if otherwise not in get_args(Otherwise):
        raise UsageError(f"{source}: otherwise: {otherwise!r}; {nearest(str(otherwise), get_args(Otherwise))}")
    return Script(
        seats={str(seat): _answers(found, pace, f"{source}: seats.{seat}") for seat, found in seats.items()},
        pace=pace,
        otherwise=otherwise,
        words=_number(top, "words", source, 14),
        window=_number(top, "window", source, 0) or None,
    )


def _answers(data: Any, pace: Answer, where: str) -> dict[int, Answer]:
    if isinstance(data, Mapping):
        if not all(isinstance(seq, int) for seq in data):
            raise UsageError(f"{where}: the keys are turn numbers, counted from 0")
        return {seq: _answer(found, pace, f"{where}.{seq}") for seq, found in data.items()}
    if isinstance(data, list):
        return {seq: _answer(found, pace, f"{where}.{seq}") for seq, found in enumerate(data)}
    raise UsageError(f"{where}: must be a list of answers, or `turn number: answer` pairs")


def _answer(data: Any, pace: Answer, where: str) -> Answer:
    if isinstance(data, str):
        return replace(pace, text=data)
    found = _mapping(data, where, {"text", "thinking", "chunk", "delay", "stop", "tools", "faults"})
    stop = found.get("stop", "end")
    if stop not in set(StopReason):
        raise UsageError(f"{where}.stop: {stop!r}; {nearest(str(stop), [str(reason) for reason in StopReason])}")
    delay = found.get("delay", pace.delay)
    if not isinstance(delay, int | float) or delay < 0:
        raise UsageError(f"{where}.delay: seconds before each chunk, got {delay!r}")
    tools = [_mapping(tool, f"{where}.tools", {"name", "arguments"}) for tool in found.get("tools", [])]
    return Answer(
        text=str(found.get("text", "")),
        thinking=str(found.get("thinking", "")),
        chunk=max(1, _number(found, "chunk", where, pace.chunk)),
        delay=float(delay),
        stop=StopReason(stop),
        tools=tuple((str(tool.get("name", "")), str(tool.get("arguments", "{}"))) for tool in tools),
        faults=tuple(_trip(trip, f"{where}.faults") for trip in found.get("faults", [])),
    )


def _trip(data: Any, where: str) -> Trip:
    found = _mapping(data, where, {"fault", "attempt", "after", "status", "retry_after", "message"})
    fault = found.get("fault")
    if fault not in set(Fault):
        raise UsageError(f"{where}: fault {fault!r}; {nearest(str(fault), [str(known) for known in Fault])}")
    attempt = found.get("attempt", 1)
    return Trip(
        fault=Fault(fault),
        attempt=0 if attempt == "every" else _number(found, "attempt", where, 1),
        after=_number(found, "after", where, 0),
        status=_number(found, "status", where, 0) or None,
        retry_after=float(found["retry_after"]) if "retry_after" in found else None,
        message=str(found.get("message", "")),
    )


def _mapping(data: Any, where: str, keys: set[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise UsageError(f"{where}: must be `key: value` pairs")
    for key in data:
        if key not in keys:
            raise UsageError(f"{where}: unknown key {key!r}; {nearest(str(key), keys)}")
    return data


def _number(data: Mapping[str, Any], key: str, where: str, default: int) -> int:
    value = data.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UsageError(f"{where}.{key}: a whole number from 0 up, got {value!r}")
    return value
