"""One model call beside the turns (a summary, minutes, a score): each attempt a row of the record, with its cost."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from engine.providers import retry
from engine.providers.endpoint import Endpoint
from engine.providers.protocol import Adapter, Request, Text, Usage
from engine.record import allowances, content
from engine.runs.host import Host
from engine.talk.ledger import Ledger, LimitReached, Recipe


async def answer(
    host: Host,
    ledger: Ledger,
    adapter: Adapter,
    place: Endpoint,
    request: Request,
    *,
    purpose: str,
    seat: str,
    recipe: Recipe,
    prompt_tokens: int,
    on_answer: Callable[[], Awaitable[None]] | None = None,
) -> str:
    """The whole answer to `request`, its prefill included. Raises ProviderError once retries have ended, LimitReached
    before a call that no allowance has room for."""
    attempt, text, usage = 1, request.prefill, None
    most = int(request.options.get("max_tokens") or 0)
    began = time.monotonic()

    async def begin() -> int:
        return await ledger.begin(None, purpose, seat, recipe, attempt, prompt_tokens, most)

    async def end(error: str | None) -> None:
        spent, said = await ledger.spent(usage), text.strip()

        def write(db: sqlite3.Connection) -> None:
            if error:
                ledger.end(db, call, spent, error=error)
            else:
                ledger.end(db, call, spent, answer=content.put_message(db, None, seat, said), stop="end")
            if ledger.counted:
                allowances.use(db, host.run.n, "minutes", (time.monotonic() - began) / 60)

        await host.commit(write)

    call = await begin()
    try:
        async with aclosing(retry.stream_with_retries(adapter, request, retry.Policy.of(place), place)) as stream:
            async for delta in stream:
                if on_answer and not isinstance(delta, retry.Waiting):
                    await on_answer()
                match delta:
                    case Text(piece):
                        text += piece
                    case Usage():
                        usage = delta
                    case retry.Retrying(attempt, _, error):
                        await end(str(error))
                        text, usage, began = request.prefill, None, time.monotonic()
                        call = await begin()
    except LimitReached:
        raise
    except BaseException as error:
        await end(str(error) or "stopped")
        raise
    await end(None)
    return text.strip()


def body_recipe(**bodies: Any) -> Recipe:
    """A recipe of numbers and texts; texts are stored by their content."""

    def recipe(db: sqlite3.Connection) -> dict[str, Any]:
        return {key: content.put_body(db, value) if isinstance(value, str) else value for key, value in bodies.items()}

    return recipe
