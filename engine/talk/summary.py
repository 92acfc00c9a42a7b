"""Summaries of what no longer fits a window: one model call for each block, kept as a call row and found again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from engine.providers.endpoint import Endpoint
from engine.providers.protocol import Adapter, Message, Request
from engine.record.content import Said
from engine.runs.host import Host
from engine.talk import answers, control_words
from engine.talk.ledger import Ledger

PURPOSE = "summary"
ANSWER = 200
"""Tokens a summary may have."""
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


def request(model: str, slot: str, options: dict[str, Any], dropped: Sequence[Said], before: str) -> Request:
    """What asks a model for the summary of `before` and the dropped messages."""
    talk = "\n\n".join(f"{message.author}: {control_words.parse(message.text).text}" for message in dropped)
    earlier = f"Notes so far:\n{before}\n\n" if before else ""
    return Request(
        model,
        [Message("system", _INSTRUCTION), Message("user", f"{earlier}The conversation goes on:\n{talk}")],
        {key: value for key, value in options.items() if key != "stop"} | {"max_tokens": ANSWER},
        slot=f"{slot}/{PURPOSE}",
    )


async def summarise(
    host: Host, ledger: Ledger, adapter: Adapter, place: Endpoint, seat: str, asked: Request, dropped: Sequence[int]
) -> str:
    """The answer to `asked`, each attempt a row of the record. Raises ProviderError, LimitReached."""
    recipe = answers.body_recipe(dropped=list(dropped), asked=asked.messages[-1].content)
    tokens = (await adapter.count(asked)).tokens
    return await answers.answer(
        host, ledger, adapter, place, asked, purpose=PURPOSE, seat=seat, recipe=recipe, prompt_tokens=tokens
    )
