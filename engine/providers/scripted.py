"""Answers from a script, for tests and for replay.

The answer depends on who asks and on which of its own turns this is, never on how often was asked: a turn that is
redone after a crash gets the same answer. The seat is `Request.seat`, or what follows the last slash of the slot; the
turn number `seq`, from 0, is `Request.turn`, or the number of assistant messages (so that examples and cut history
shift it). An echo that is asked for JSON gives the least that fits the schema, its texts being the echo.

The model is `echo` (generated sentences), a name given to `register`, or the path of a YAML or JSON file (relative to
the working directory):

    pace: {chunk: 8, delay: 0.02}   # characters a chunk, seconds before each; every answer may set its own
    window: 8192                    # reported as the model's context
    otherwise: echo                 # for turns not listed: error (default), echo, repeat (the seat's latest answer)
    words: 14                       # length of an echo
    seats:
      ELIZA:                        # `*` stands for every seat that is not named
        - How do you feel?
        - text: And how does that make you feel?
          thinking: He dodges.
          chunk: 4
          delay: 0.05
          stop: length              # end, length, stop_string, tool_call, content_filter
          tools: [{name: lookup, arguments: '{"word": "feel"}'}]
          faults:                   # any of protocol.Fault, on try number `attempt` (or `every`), after so many
            - {attempt: 1, fault: rate_limited, status: 429, retry_after: 2}      # characters of the answer
            - {attempt: 2, fault: broken_stream, after: 12}
      PARRY:
        0: I went to the races.     # a mapping gives turn numbers

Tries are counted in this process, for each slot and turn. Every option is accepted and kept in `requests`; max_tokens
(in words) and stop cut the answer as a model's would be, the others have nothing to act on. Tokens are words.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.providers import script, translate
from engine.providers.endpoint import Endpoint
from engine.providers.protocol import (
    OPTIONS,
    Count,
    Delta,
    Fault,
    Honours,
    Model,
    ProviderError,
    Request,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from engine.settings import yaml_file
from engine.settings.errors import UsageError

_registered: dict[str, script.Script] = {"echo": script.Script(seats={}, otherwise="echo")}


def register(name: str, data: Mapping[str, Any]) -> None:
    """Make a script known as `scripted/NAME` in this process. Raises UsageError."""
    _registered[name] = script.parse(data, name)


class Scripted:
    honours = Honours(
        options=OPTIONS, tools=True, answer_schema=True, prefill=True, thinking=True, exact_count=True, embed=False
    )

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.requests: deque[Request] = deque(maxlen=1000)
        self._tries: Counter[tuple[str, int]] = Counter()
        self._files: dict[Path, tuple[int, script.Script]] = {}

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        translate.options(self.endpoint, request, {name: name for name in OPTIONS})
        self.requests.append(request)
        seat = request.seat or request.slot.rpartition("/")[2]
        seq = request.turn
        if seq is None:
            seq = sum(message.role == "assistant" for message in request.messages)
        answer = (await self._script(request.model)).answer(seat, seq)
        if answer is None:
            raise ProviderError(
                Fault.REFUSED, f"the script {request.model} has no answer for seat {seat or '(none)'}, turn {seq}"
            )
        key = f"{request.slot}/{request.seat}"
        self._tries[key, seq] += 1
        attempt = self._tries[key, seq]
        trip = next((trip for trip in answer.faults if trip.attempt in (0, attempt)), None)
        said = answer.text
        if request.answer_schema is not None and not answer.written:
            said = json.dumps(script.filled(request.answer_schema, said))
        text, reason = _cut(said, answer.stop, request)
        for part in _chunks(answer.thinking, answer.chunk):
            await asyncio.sleep(answer.delay)
            yield Thinking(part)
        for part in _chunks(text if trip is None else text[: trip.after], answer.chunk):
            await asyncio.sleep(answer.delay)
            yield Text(part)
        if trip is not None:
            raise ProviderError(
                trip.fault,
                trip.message or f"the script makes try {attempt} fail: {trip.fault}",
                retry_after=trip.retry_after,
                status=trip.status,
            )
        for number, (name, arguments) in enumerate(answer.tools):
            yield ToolCall(f"call-{seq}-{number}", name, arguments)
        thinking = len(answer.thinking.split())
        yield Usage(prompt=_words(request), answer=len(text.split()) + thinking, thinking=thinking)
        yield Stop(StopReason.TOOL if answer.tools and reason is StopReason.END else reason)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        raise ProviderError(Fault.REFUSED, "scripted has no embeddings; name another model for them")

    async def count(self, request: Request) -> Count:
        return Count(_words(request), exact=True)

    def defaults(self, model: str) -> dict[str, Any]:
        return dict(self.endpoint.options)

    async def models(self) -> list[Model]:
        return [Model(name, known.window) for name, known in _registered.items()]

    async def check(self, model: str) -> Model:
        return Model(model, (await self._script(model)).window)

    async def close(self) -> None:
        """Nothing is held open."""

    async def _script(self, model: str) -> script.Script:
        if model in _registered:
            return _registered[model]
        return await asyncio.to_thread(self._read, Path(model))

    def _read(self, path: Path) -> script.Script:
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            known = ", ".join(_registered)
            raise ProviderError(
                Fault.MODEL, f"no script {path}: give the path of a YAML file, or one of {known}"
            ) from None
        if (found := self._files.get(path)) is None or found[0] != changed:
            try:
                found = self._files[path] = changed, script.parse(yaml_file.load(path), str(path))
            except UsageError as error:
                raise ProviderError(Fault.MODEL, str(error)) from None
        return found[1]


def _cut(text: str, reason: StopReason, request: Request) -> tuple[str, StopReason]:
    """The part of the answer that is still to come, ended where max_tokens or a stop string ends it."""
    text = text.removeprefix(request.prefill)
    stops = [at for stop in request.options.get("stop") or () if stop and (at := text.find(stop)) >= 0]
    if stops:
        text, reason = text[: min(stops)], StopReason.STOP
    limit = request.options.get("max_tokens")
    if limit is not None and len(text.split()) > limit:
        *_, last = itertools.islice(re.finditer(r"\S+", text), limit)
        text, reason = text[: last.end()], StopReason.LENGTH
    return text, reason


def _chunks(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _words(request: Request) -> int:
    return sum(len(message.content.split()) for message in request.messages) + len(request.prefill.split())
