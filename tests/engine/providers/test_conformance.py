"""What every adapter owes its callers, run over all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from engine.providers.protocol import (
    OPTIONS,
    Delta,
    Fault,
    Message,
    ProviderError,
    Request,
    Stop,
    StopReason,
    Text,
    Thinking,
    Tool,
    Usage,
)
from tests.engine.providers.conformance import CASES, Bench, Case

DEADLINE = 60


@pytest.fixture(
    params=[pytest.param(case, id=case.name, marks=[pytest.mark.model] if case.model else []) for case in CASES]
)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    case: Case = request.param
    folder = request.getfixturevalue("smollm2").parent if case.model else tmp_path
    async with case.open(folder) as opened:
        yield opened


def ask(bench: Bench, **more: Any) -> Request:
    messages = [Message("system", "You are brief."), Message("user", "Say hello to your friend, please.")]
    more.setdefault("options", {"max_tokens": 24})
    return Request(bench.model, messages, slot="run/seat", **more)


async def answer(bench: Bench, request: Request) -> list[Delta]:
    async with asyncio.timeout(DEADLINE):
        return [delta async for delta in bench.adapter.stream(request)]


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Text))


async def test_text_comes_first_then_usage_then_one_stop(bench: Bench) -> None:
    deltas = await answer(bench, ask(bench))
    assert text(deltas).strip()
    assert isinstance(deltas[-1], Stop) and sum(isinstance(delta, Stop) for delta in deltas) == 1
    usages = [at for at, delta in enumerate(deltas) if isinstance(delta, Usage)]
    assert len(usages) == 1
    assert not any(isinstance(delta, Text | Thinking) for delta in deltas[usages[0] :])
    usage = deltas[usages[0]]
    assert isinstance(usage, Usage) and usage.prompt > 0 and usage.answer > 0 and usage.cached <= usage.prompt


async def test_max_tokens_cuts_and_says_so(bench: Bench) -> None:
    deltas = await answer(bench, ask(bench, options={"max_tokens": 2}))
    assert deltas[-1] == Stop(StopReason.LENGTH)


async def test_an_option_that_is_not_declared_is_refused(bench: Bench) -> None:
    for option in sorted((OPTIONS | {"temprature"}) - bench.adapter.honours.options):
        with pytest.raises(ProviderError, match=option) as caught:
            await answer(bench, ask(bench, options={"max_tokens": 4, option: 1}))
        assert caught.value.fault is Fault.REFUSED


async def test_what_it_does_not_do_is_refused(bench: Bench) -> None:
    honours = bench.adapter.honours
    asked = {
        "tools": {"tools": [Tool("look", "looks", {"type": "object", "properties": {}})]},
        "answer_schema": {"answer_schema": {"type": "object", "properties": {}}},
        "prefill": {"prefill": "Well, "},
    }
    for name, extra in asked.items():
        if not getattr(honours, name):
            with pytest.raises(ProviderError, match=name) as caught:
                await answer(bench, ask(bench, **extra))
            assert caught.value.fault is Fault.REFUSED
    if not honours.embed:
        with pytest.raises(ProviderError) as caught:
            await bench.adapter.embed(bench.model, ["a"])
        assert caught.value.fault is Fault.REFUSED


async def test_a_prefill_is_never_doubled(bench: Bench) -> None:
    if not bench.adapter.honours.prefill:
        return
    deltas = await answer(bench, ask(bench, prefill="Hello there,"))
    assert not text(deltas).lstrip().startswith("Hello there,")


async def test_an_answer_that_is_left_or_cancelled_leaves_the_adapter_usable(bench: Bench) -> None:
    async with asyncio.timeout(DEADLINE):
        async with aclosing(bench.adapter.stream(ask(bench))) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                if isinstance(delta, Text):
                    break
        begun = asyncio.Event()

        async def listen() -> None:
            async for delta in bench.adapter.stream(ask(bench)):
                if isinstance(delta, Text):
                    begun.set()
                    await asyncio.Event().wait()

        task = asyncio.create_task(listen())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert text(await answer(bench, ask(bench))).strip()


async def test_two_answers_at_once_do_not_mix(bench: Bench) -> None:
    both = await asyncio.gather(answer(bench, ask(bench)), answer(bench, ask(bench)))
    for deltas in both:
        assert isinstance(deltas[-1], Stop) and text(deltas).strip()


async def test_a_count_is_exact_or_on_the_safe_side(bench: Bench) -> None:
    request = ask(bench)
    count = await bench.adapter.count(request)
    usage = next(delta for delta in await answer(bench, request) if isinstance(delta, Usage))
    assert count.exact is bench.adapter.honours.exact_count
    assert count.tokens == usage.prompt if count.exact else count.tokens >= usage.prompt * 0.5


async def test_models_and_check_agree(bench: Bench) -> None:
    async with asyncio.timeout(DEADLINE):
        assert bench.model in [model.name for model in await bench.adapter.models()]
        assert (await bench.adapter.check(bench.model)).name == bench.model
        with pytest.raises(ProviderError, match=bench.unknown) as caught:
            await bench.adapter.check(bench.unknown)
    assert caught.value.fault is Fault.MODEL and not caught.value.retryable
    assert "\n" not in str(caught.value)


async def test_embeddings_come_in_order(bench: Bench) -> None:
    if bench.adapter.honours.embed:
        vectors = await bench.adapter.embed(bench.model, ["a", "b", "c"])
        assert len(vectors) == 3 and len({len(vector) for vector in vectors}) == 1


NASTY = [
    "line\u2028para\u2029nel\x85 end\x0b\x0c\x1c\x1e.",
    "\x1b[31mred\x1b]0;title\x07 [bold]markup[/bold] \u202eright to left\u202c \x00 nul",
    "👩‍👩‍👧 नमस्ते 日本語 \U0010ffff",
    "<think",
    "a <think>not at the start</think>",
    "x" * 300_000,
]


@pytest.mark.parametrize("said", NASTY, ids=["separators", "escapes", "scripts", "half a tag", "late tag", "long line"])
async def test_any_text_arrives_as_it_was_sent(bench: Bench, said: str) -> None:
    if bench.say is None:
        return
    bench.say(said)
    assert text(await answer(bench, ask(bench, options={"max_tokens": 1000}))) == said
