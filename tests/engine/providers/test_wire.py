"""What really goes over the wire, and what comes back out of it, for each networked adapter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from engine.providers import estimate
from engine.providers.protocol import (
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
    ToolCall,
    Truncated,
    Usage,
)
from tests.engine.providers.conformance import adapter_at
from tests.engine.providers.fake_server import Dialect, FakeServer, Reply, serving

DIALECTS: list[Dialect] = ["openai", "anthropic", "ollama"]
LLAMA = {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repeat_penalty", "dry_multiplier": "dry_multiplier"}
VALUES: dict[str, Any] = {
    "temperature": 0.25,
    "top_p": 0.75,
    "top_k": 11,
    "min_p": 0.125,
    "max_tokens": 17,
    "seed": 5,
    "stop": ["END"],
    "presence_penalty": 0.5,
    "frequency_penalty": 0.625,
    "repeat_penalty": 1.125,
    "dry_multiplier": 0.8,
    "num_ctx": 2048,
}


@pytest.fixture(params=DIALECTS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[FakeServer]:
    async with serving(request.param) as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_learned() -> None:
    estimate.forget()


def ask(content: str = "Hello?", **more: Any) -> Request:
    more.setdefault("options", {"max_tokens": 100})
    return Request("tiny", [Message("system", "Be brief."), Message("user", content)], slot="r/s", **more)


async def play(server: FakeServer, request: Request, reply: Reply | None = None, **config: Any) -> list[Delta]:
    adapter = adapter_at(server.dialect, server.url, **config)
    if reply:
        server.replies.append(reply)
    try:
        async with asyncio.timeout(30):
            return [delta async for delta in adapter.stream(request)]
    finally:
        await adapter.close()


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Text))


def thought(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Thinking))


@pytest.mark.parametrize(
    ("dialect", "config", "names"),
    [
        (
            "openai",
            {"extra_options": LLAMA},
            {
                **{name: name for name in VALUES if name != "num_ctx"},
                "max_tokens": "max_completion_tokens",
            },
        ),
        ("openai", {"token_field": "max_tokens"}, {"max_tokens": "max_tokens"}),
        ("anthropic", {}, {"max_tokens": "max_tokens", "stop": "stop_sequences"}),
        (
            "anthropic",
            {"extra_options": {"temperature": "temperature", "top_k": "top_k", "top_p": "top_p"}},
            {"temperature": "temperature", "top_k": "top_k", "top_p": "top_p", "max_tokens": "max_tokens"},
        ),
        ("ollama", {}, {**{n: n for n in VALUES if n != "dry_multiplier"}, "max_tokens": "num_predict"}),
    ],
)
async def test_every_declared_option_arrives_under_its_name(
    dialect: Dialect, config: dict[str, Any], names: dict[str, str]
) -> None:
    async with serving(dialect) as server:
        adapter = adapter_at(dialect, server.url, **config)
        declared = adapter.honours.options - {"think"}
        assert set(names) <= declared
        await play(server, ask(options={name: VALUES[name] for name in declared}), **config)
        body = server.chats[-1].body
        sent = body["options"] if dialect == "ollama" else body
        assert {name: sent[wire] for name, wire in names.items()} == {name: VALUES[name] for name in names}


@pytest.mark.parametrize(
    ("dialect", "think", "sent"),
    [
        ("openai", "low", {"reasoning_effort": "low"}),
        ("anthropic", True, {"thinking": {"type": "adaptive", "display": "summarized"}}),
        ("anthropic", False, {"thinking": {"type": "disabled"}}),
        ("anthropic", 2048, {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"}}),
        ("ollama", True, {"think": True}),
        ("ollama", "high", {"think": "high"}),
    ],
)
async def test_think_is_said_in_the_servers_words(dialect: Dialect, think: Any, sent: dict[str, Any]) -> None:
    async with serving(dialect) as server:
        await play(server, ask(options={"max_tokens": 9, "think": think}))
        assert sent.items() <= server.chats[-1].body.items()


async def test_default_options_are_sent_and_the_request_wins(server: FakeServer) -> None:
    await play(server, ask(options={"max_tokens": 7}), options={"max_tokens": 500, "stop": ["Z"]})
    body = server.chats[-1].body
    sent = body.get("options", body)
    assert 7 in (sent.get("max_tokens"), sent.get("max_completion_tokens"), sent.get("num_predict"))
    assert ["Z"] in (sent.get("stop"), sent.get("stop_sequences"))


async def test_headers_and_key_are_sent(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_API_KEY", "sk-very-secret-9")
    await play(server, ask(), key="SECRET_API_KEY", headers={"X-Team": "blue"})
    headers = server.chats[-1].headers
    assert headers["x-team"] == "blue"
    assert "sk-very-secret-9" in headers.get("authorization", "") + headers.get("x-api-key", "")


async def test_tools_go_out_and_a_call_comes_back_whole(server: FakeServer) -> None:
    schema = {"type": "object", "properties": {"word": {"type": "string"}}}
    history = [
        Message("user", "look"),
        Message("assistant", "", (ToolCall("c0", "find", '{"word": "old"}'),)),
        Message("tool", "found it", tool_call_id="c0"),
    ]
    request = Request("tiny", history, {"max_tokens": 9}, tools=[Tool("find", "finds words", schema)])
    deltas = await play(server, request, Reply("ok", tool=("find", '{"word": "new"}')))
    call = next(delta for delta in deltas if isinstance(delta, ToolCall))
    assert call.name == "find" and call.id and json.loads(call.arguments) == {"word": "new"}
    assert deltas[-1] == Stop(StopReason.TOOL)
    body = json.dumps(server.chats[-1].body)
    assert '"finds words"' in body and '"old"' in body.replace("\\", "") and "found it" in body
    assert ("tool_name" if server.dialect == "ollama" else "c0") in body


async def test_a_schema_goes_out_in_the_servers_form(server: FakeServer) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    await play(server, ask(answer_schema=schema))
    body = server.chats[-1].body
    found = {
        "openai": lambda: body["response_format"]["json_schema"],
        "anthropic": lambda: body["output_config"]["format"],
        "ollama": lambda: {"schema": body["format"]},
    }[server.dialect]()
    assert found["schema"] == schema
    if server.dialect == "openai":
        assert found["strict"] is True
        await play(server, ask(answer_schema={"type": "object", "properties": {"a": {}}}))
        assert server.chats[-1].body["response_format"]["json_schema"]["strict"] is False


async def test_thinking_is_kept_apart(server: FakeServer) -> None:
    deltas = await play(server, ask(), Reply("Yes.", thinking="Hmm, well."))
    assert (thought(deltas), text(deltas)) == ("Hmm, well.", "Yes.")


@pytest.mark.parametrize("dialect", ["openai", "ollama"])
@pytest.mark.parametrize("pieces", [1, 3, 40])
async def test_thinking_inside_the_text_is_kept_apart_however_it_is_cut(dialect: Dialect, pieces: int) -> None:
    async with serving(dialect) as server:
        deltas = await play(server, ask(), Reply("\n<think>\nHmm </thin </think>\n\nYes. <think>", pieces=pieces))
    assert (thought(deltas), text(deltas)) == ("\nHmm </thin ", "Yes. <think>")


async def test_usage_is_what_the_provider_counted(server: FakeServer) -> None:
    deltas = await play(server, ask(), Reply("one two three", prompt_tokens=31))
    usage = next(delta for delta in deltas if isinstance(delta, Usage))
    detailed = Usage(31, 3, thinking=3, cached=7)
    assert usage == (Usage(31, 3) if server.dialect == "ollama" else detailed)


@pytest.mark.parametrize(
    ("dialect", "said", "reason"),
    [
        ("openai", "content_filter", StopReason.FILTER),
        ("openai", "length", StopReason.LENGTH),
        ("anthropic", "stop_sequence", StopReason.STOP),
        ("anthropic", "refusal", StopReason.FILTER),
        ("anthropic", "model_context_window_exceeded", StopReason.LENGTH),
        ("ollama", "length", StopReason.LENGTH),
    ],
)
async def test_stop_reasons(dialect: Dialect, said: str, reason: StopReason) -> None:
    async with serving(dialect) as server:
        assert (await play(server, ask(), Reply(stop=said)))[-1] == Stop(reason)


async def test_a_stop_reason_nobody_knows_is_no_finished_answer(server: FakeServer) -> None:
    with pytest.raises(ProviderError, match="out_of_oil") as caught:
        await play(server, ask(), Reply(stop="out_of_oil"))
    assert caught.value.fault is Fault.BROKEN


async def test_a_prefill_that_ends_in_a_space_continues_without_a_second_one() -> None:
    async with serving("anthropic") as server:
        deltas = await play(server, ask(prefill="Well then, "), Reply(" and so on"), prefill=True)
        assert server.chats[-1].body["messages"][-1] == {"role": "assistant", "content": "Well then,"}
    assert text(deltas) == "and so on"


async def test_calls_one_after_another_share_a_connection(server: FakeServer) -> None:
    adapter = adapter_at(server.dialect, server.url)
    for _ in range(4):
        assert text([delta async for delta in adapter.stream(ask())])
    await adapter.close()
    assert (server.connections, len(server.chats)) == (1, 4)


async def test_a_server_that_never_closes_its_stream_costs_nothing_but_the_connection(server: FakeServer) -> None:
    adapter = adapter_at(server.dialect, server.url)
    server.replies.append(Reply("Done.", ending="dawdling"))
    assert text([delta async for delta in adapter.stream(ask())]) == "Done."
    assert text([delta async for delta in adapter.stream(ask())]) == "Hello there, friend."
    await adapter.close()


async def test_leaving_a_stream_closes_the_connection(server: FakeServer) -> None:
    adapter = adapter_at(server.dialect, server.url)
    server.replies.append(Reply("a " * 500, ending="silent"))
    async with asyncio.timeout(30):
        async with aclosing(adapter.stream(ask())) as deltas:
            async for _ in deltas:
                break
        await server.gone.wait()
    await adapter.close()


async def test_a_prompt_that_ollama_cut_is_reported_and_not_learned_from() -> None:
    long = "The quick brown fox jumps over the lazy dog, again and again. " * 400  # 24,800 bytes: over 4,096 tokens
    async with serving("ollama") as server:
        deltas = await play(server, ask(long), Reply(prompt_tokens=2050))
        found = next(delta for delta in deltas if isinstance(delta, Truncated))
        assert found.counted == 2050 and found.estimated > 4096
        again = await play(server, ask(long), Reply(prompt_tokens=2050))
        assert found in again
        num_ctx = {"max_tokens": 9, "num_ctx": 3000}
        assert found in await play(server, ask(long, options=num_ctx), Reply(prompt_tokens=2050))
        assert server.chats[-1].body["options"]["num_ctx"] == 3000


async def test_a_prompt_that_fits_raises_no_alarm() -> None:
    long = "The quick brown fox jumps over the lazy dog, again and again. " * 400
    async with serving("ollama") as server:
        server.loaded_window = 32768
        for counted in (5600, 12):  # all of it, and what a server says that leaves out what it had cached
            deltas = await play(server, ask(long), Reply(prompt_tokens=counted))
            assert not any(isinstance(delta, Truncated) for delta in deltas)
        assert not any(
            isinstance(delta, Truncated) for delta in await play(server, ask("short"), Reply(prompt_tokens=12))
        )


async def test_ollama_windows() -> None:
    async with serving("ollama") as server:
        adapter = adapter_at("ollama", server.url)
        assert (await adapter.check("tiny")).window == 4096
        server.loaded_window = 0
        unknown = await adapter.check("tiny")
        assert unknown.window == 8192 and "num_ctx" in unknown.note
        await adapter.close()
        fixed = adapter_at("ollama", server.url, options={"num_ctx": 16384})
        assert (await fixed.check("tiny")).window == 8192
        await fixed.close()
