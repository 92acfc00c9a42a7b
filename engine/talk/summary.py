"""Summaries of what no longer fits a window: one model call for each block, kept as a call row and found again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import aclosing

from engine.providers import prices, registry, retry
from engine.providers.endpoint import Endpoint
from engine.providers.protocol import Adapter, Message, Request, Text, Usage
from engine.record import calls, content
from engine.record.content import Said
from engine.runs.host import Host
from engine.talk import control_words
from engine.talk.spec import Seat

PURPOSE = "summary"
_INSTRUCTION = (
    "You keep the notes of a conversation. Write one paragraph of at most 120 words that says what was talked about,"
    " what each speaker claimed and what is still open. Write only the paragraph."
)


def find(db: sqlite3.Connection, run: int, dropped: Sequence[int]) -> str | None:
    """The summary that an earlier call of the run made of these messages, or None."""
    rows = db.execute(
        "SELECT call.request, message.text FROM call JOIN message ON message.n = call.answer"
        " WHERE call.run = ? AND call.purpose = ? AND call.error IS NULL",
        (run, PURPOSE),
    )
    for request, text in rows:
        if json.loads(request)["dropped"] == list(dropped):
            return str(text)
    return None


async def summarise(
    host: Host,
    adapter: Adapter,
    place: Endpoint,
    model: str,
    seat: Seat,
    options: dict[str, object],
    dropped: Sequence[Said],
    before: str,
) -> str:
    """The summary of `before` and the dropped messages. Raises ProviderError."""
    talk = "\n\n".join(f"{message.author}: {control_words.parse(message.text).text}" for message in dropped)
    earlier = f"Notes so far:\n{before}\n\n" if before else ""
    request = Request(
        model,
        [Message("system", _INSTRUCTION), Message("user", f"{earlier}The conversation goes on:\n{talk}")],
        {**options, "max_tokens": 200},
        slot=f"{host.run.id}/{PURPOSE}",
    )
    name = seat.model or ""

    def begin(db: sqlite3.Connection) -> int:
        recipe = {"dropped": [message.n for message in dropped], "before": content.put_body(db, before)}
        return calls.begin(db, host.run.n, None, PURPOSE, seat.name, name, recipe, 1)

    call = await host.commit(begin)
    text, usage = "", None
    try:
        stream = retry.stream_with_retries(adapter, request, retry.Policy(), place)
        async with aclosing(stream):
            async for delta in stream:
                match delta:
                    case Text(piece):
                        text += piece
                    case retry.Retrying():
                        text, usage = "", None
                    case Usage():
                        usage = delta
    except BaseException as error:
        reason = str(error) or "stopped"
        await host.commit(lambda db: calls.end(db, call, error=reason))
        raise
    cost = await prices.cost(*registry.split(name), usage) if usage else None
    tokens = (usage.prompt, usage.answer, usage.thinking, usage.cached) if usage else None

    def end(db: sqlite3.Connection) -> None:
        answer = content.put_message(db, None, PURPOSE, text.strip())
        calls.end(db, call, answer=answer, tokens=tokens, cost=cost, stop="end")

    await host.commit(end)
    return text.strip()
