"""Fitting a conversation into a model's context, exactly where the provider can count, conservatively elsewhere.

History is dropped in blocks, so that the beginning of a request stays the same for many turns and a provider's prompt
cache keeps working. How much is dropped depends on the history alone: a resumed run sends what it would have sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from engine.providers import estimate
from engine.providers.protocol import Adapter, Message, Request
from engine.record.content import Said
from engine.talk.view import Cut, Frame

BLOCK = 8
"""Messages dropped at a time."""
OPENING = 2
"""Messages at the beginning that are always kept: the opening exchange."""
RESERVE = 512
"""Tokens left for the answer where the request sets no max_tokens."""


class ContextFullError(Exception):
    """The request cannot be made to fit: one line that says by how much and what to do."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A request that fits: its messages, what was cut, and its prompt tokens (on the high side unless `exact`)."""

    messages: list[Message]
    cut: Cut
    tokens: int
    exact: bool


Summarise = Callable[[Sequence[Said], str], Awaitable[str]]
"""(dropped messages, summary of those before them) -> summary of both."""


async def fit(
    adapter: Adapter,
    name: str,
    request: Request,
    frame: Frame,
    said: Sequence[Said],
    window: int | None,
    strategy: str,
    summarise: Summarise,
    before: int = 0,
) -> Fit:
    """The longest part of `said` that fits `window` tokens together with the answer. Raises ContextFullError.

    `name` is PROVIDER/MODEL; `request` gives the adapter's model name, options and prefill. `window` None means that
    nothing is known and nothing is cut. `before` is what the seat's last fit dropped: a history that has only grown
    needs no less.
    """
    whole = frame.messages(said)
    tokens = estimate.estimate(name, whole)
    answer = int(request.options.get("max_tokens") or RESERVE)
    budget = (window or 0) - answer - estimate.size([Message("assistant", request.prefill)])
    surely = _at_most(whole) if adapter.honours.exact_count else tokens
    if window is None or surely <= budget:
        return Fit(whole, Cut(), tokens, False)
    if budget <= 0:
        raise ContextFullError(
            f"an answer of {answer} tokens leaves no room in the {window} that {name} takes;"
            " lower options.max_tokens, or choose a model with a larger window"
        )

    async def attempt(drop: int) -> Fit | int:
        summary = ""
        if strategy == "summarise":
            for start in range(0, drop, BLOCK):
                summary = await summarise(said[OPENING + start : OPENING + min(start + BLOCK, drop)], summary)
        cut = Cut(OPENING, drop, summary) if drop else Cut()
        candidate = frame.messages(said, cut)
        count = await adapter.count(
            Request(request.model, candidate, request.options, prefill=request.prefill, slot=request.slot)
        )
        return Fit(candidate, cut, count.tokens, count.exact) if count.tokens <= budget else count.tokens

    most = max(len(said) - OPENING - 1, 0)
    before = min(before - before % BLOCK, most)
    first = await attempt(before)
    if isinstance(first, Fit):
        return first
    if strategy == "refuse":
        raise ContextFullError(
            f"the conversation has {first} tokens, {name} takes {budget} beside its answer;"
            " choose a model with a larger window, or context.strategy: drop-oldest"
        )
    steps = [*range((before // BLOCK + 1) * BLOCK, most, BLOCK), most]
    best: Fit | None = None
    low, high = 0, len(steps) - 1
    while low <= high:
        middle = low if strategy == "summarise" else (low + high) // 2
        found = await attempt(steps[middle])
        if isinstance(found, Fit):
            best, high = found, middle - 1
        else:
            first, low = found, middle + 1
    if best is None:
        raise ContextFullError(
            f"even the last message alone makes {first} tokens, {name} takes {budget} beside its answer;"
            " choose a model with a larger window or a shorter persona"
        )
    return best


def _at_most(whole: Sequence[Message]) -> int:
    """Tokens that the messages have at most: no token is shorter than a byte."""
    return estimate.size(whole) + estimate.PER_MESSAGE * len(whole)
