"""Models on this machine, against the real embedded model in its real process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from engine.providers import leases
from engine.providers.local import Local
from engine.providers.local_process import ModelProcess
from engine.providers.protocol import (
    Delta,
    Fault,
    Message,
    Progress,
    ProviderError,
    Request,
    Stop,
    StopReason,
    Text,
    Usage,
)

pytestmark = pytest.mark.model
DEADLINE = 60
FRANCE = (Message("system", "You are Mara. Be brief."), Message("user", "What is the capital of France?"))
CALM = {"temperature": 0, "repeat_penalty": 1.0, "presence_penalty": 0, "dry_multiplier": 0}


HOST = """
import asyncio, sys
from engine.providers.local import Local
from engine.providers.protocol import Message, Request, Text
async def main():
    local = Local(who="a host")
    async for delta in local.stream(Request("smollm2", [Message("user", "Tell a story.")], {"max_tokens": 4000})):
        if isinstance(delta, Text):
            (loader,) = local._models.values()
            print(loader._running.process.pid, flush=True)
            await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
async def local(smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Local]:
    monkeypatch.setenv("TERTULIA_MODELS", str(smollm2.parent))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    adapter = Local(who="the test")
    yield adapter
    await adapter.close()
    assert leases.holders() == []


def ask(*messages: Message, slot: str = "a", model: str = "smollm2", **more: Any) -> Request:
    options = {**CALM, "max_tokens": 24, **more.pop("options", {})}
    return Request(model, messages or FRANCE, options, slot=slot, **more)


async def answer(local: Local, request: Request) -> tuple[str, Usage, StopReason, list[Delta]]:
    async with asyncio.timeout(DEADLINE):
        deltas = [delta async for delta in local.stream(request)]
    text = "".join(delta.text for delta in deltas if isinstance(delta, Text))
    usage, stop = deltas[-2:]
    assert isinstance(usage, Usage) and isinstance(stop, Stop)
    return text, usage, stop.reason, deltas


def process(local: Local) -> ModelProcess:
    (loader,) = local._models.values()
    assert loader._running is not None
    return loader._running.process


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not await condition():  # the server and the kernel set no event of ours
            await asyncio.sleep(0.01)


async def working(local: Local) -> bool:
    (loader,) = local._models.values()
    if loader._running is None:
        return False
    slots = await loader._running.wire._http.get("/slots")
    return any(slot["is_processing"] for slot in slots.json())


async def idle(local: Local) -> bool:
    return not await working(local)


async def loading() -> bool:
    return bool(psutil.Process().children())


@contextmanager
def a_host() -> Iterator[subprocess.Popen[str]]:
    """Another run on the same model; its first line is its model's process id."""
    with subprocess.Popen([sys.executable, "-c", HOST], stdout=subprocess.PIPE, text=True) as host:
        try:
            yield host
        finally:
            host.kill()


async def first_line(host: subprocess.Popen[str]) -> str:
    assert host.stdout is not None
    return await asyncio.to_thread(host.stdout.readline)


async def test_an_answer_from_first_to_last(local: Local) -> None:
    text, usage, reason, deltas = await answer(local, ask())
    assert "Paris" in text and reason is StopReason.END
    assert deltas[0] == Progress(0, usage.prompt) and Progress(usage.prompt, usage.prompt) in deltas
    assert usage.cached == 0 and usage.answer == pytest.approx(sum(isinstance(d, Text) for d in deltas), abs=2)
    count = await local.count(ask())
    assert count.exact and count.tokens == usage.prompt

    text, usage, reason, _ = await answer(local, ask(options={"max_tokens": 2}))
    assert reason is StopReason.LENGTH and usage.answer == 2 and usage.cached > 0

    prefilled = ask(prefill="The capital of")
    text, usage, reason, _ = await answer(local, prefilled)
    assert text.startswith(" France") and "The capital of" not in text
    assert (await local.count(prefilled)).tokens == usage.prompt

    text, _, reason, _ = await answer(local, ask(prefill="The capital of", options={"stop": ["Paris"]}))
    assert reason is StopReason.STOP and text.startswith(" France") and "Paris" not in text
    assert (await answer(local, ask(options={"stop": ["Paris"]})))[2] is StopReason.STOP


async def test_options_reach_the_sampler(local: Local) -> None:
    wild = {"temperature": 3.0, "top_k": 0, "top_p": 1, "min_p": 0, "max_tokens": 8}
    first = [(await answer(local, ask(options={**wild, "seed": seed})))[0] for seed in (1, 2, 3)]
    assert len(set(first)) == 3
    # The first call of all has read the whole prompt, the later ones its last token: only these compare exactly.
    assert (await answer(local, ask(options={**wild, "seed": 2 + 2**32 - 1})))[0] == first[1]
    greedy = {**wild, "top_k": 1}
    assert len({(await answer(local, ask(options={**greedy, "seed": seed})))[0] for seed in (4, 5)}) == 1


async def test_an_answer_follows_its_schema(local: Local) -> None:
    schema = {
        "type": "object",
        "properties": {"animal": {"enum": ["zebra", "yak"]}},
        "required": ["animal"],
        "additionalProperties": False,
    }
    for options in ({}, {"stop": ["###"]}):
        text, *_ = await answer(local, ask(answer_schema=schema, options={"max_tokens": 40, **options}))
        assert json.loads(text)["animal"] in ("zebra", "yak")
    with pytest.raises(ProviderError, match="schema") as caught:
        await answer(local, ask(answer_schema={"type": "nonsense"}))
    assert caught.value.fault is Fault.REFUSED


async def test_seats_keep_their_caches_in_one_process(local: Local) -> None:
    def turn(seat: str) -> Request:
        return ask(Message("system", f"You are {seat}. " + "Be kind. " * 40), Message("user", "Hello"), slot=seat)

    fresh = [(await answer(local, turn(seat)))[1] for seat in ("ann", "bob")]
    again = await asyncio.gather(*(answer(local, turn(seat)) for seat in ("ann", "bob")))
    for before, (_, after, _, _) in zip(fresh, again, strict=True):
        assert before.cached < 20 and after.cached == after.prompt - 1
    pid = process(local).pid
    assert [child.pid for child in psutil.Process().children() if "local_server" in " ".join(child.cmdline())] == [pid]
    await answer(local, turn("eve"))
    assert (await answer(local, turn("bob")))[1].cached > 100, "a third seat takes the slot used longest ago"
    assert process(local).pid == pid


async def test_leaving_while_the_prompt_is_read_frees_the_slot(local: Local) -> None:
    long = ask(Message("user", "The sea is big and blue. " * 500), options={"max_tokens": 400})
    async with asyncio.timeout(DEADLINE), aclosing(local.stream(long)) as deltas:
        read = [await anext(deltas) for _ in range(2)]
    assert all(isinstance(delta, Progress) for delta in read)
    await until(partial(idle, local))
    done = read[-1]
    assert isinstance(done, Progress) and done.done < done.total / 2

    task = asyncio.create_task(answer(local, long))
    await until(partial(working, local))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(partial(idle, local))
    assert (await answer(local, ask()))[2] is StopReason.END


async def test_a_killed_process_breaks_the_answer_and_the_next_call_starts_another(local: Local) -> None:
    story = ask(Message("user", "Tell a long story."), options={"max_tokens": 400})
    first = 0
    with pytest.raises(ProviderError, match="SIGKILL") as caught:
        async for delta in local.stream(story):
            if isinstance(delta, Text) and not first:
                first = process(local).pid
                os.kill(first, signal.SIGKILL)
    assert first and caught.value.fault is Fault.BROKEN and caught.value.retryable
    assert (await answer(local, ask()))[2] is StopReason.END
    assert process(local).pid != first
    assert len(leases.holders()) == 1


async def test_a_larger_context_loads_the_model_anew(local: Local) -> None:
    with pytest.raises(ProviderError, match=r"\d+ tokens and the context 256: raise num_ctx") as caught:
        await answer(local, ask(Message("user", "word " * 400), options={"num_ctx": 256}))
    assert caught.value.fault is Fault.REFUSED
    small = process(local).pid
    _, usage, _, _ = await answer(local, ask(Message("user", "word " * 400), options={"num_ctx": 512, "max_tokens": 4}))
    assert usage.prompt > 400 and process(local).pid != small
    with pytest.raises(ProviderError, match="8192"):
        await answer(local, ask(options={"num_ctx": 8193}))


async def test_cancelling_or_closing_a_load_leaves_nothing(local: Local) -> None:
    for end in ("cancel", "close"):
        task = asyncio.create_task(answer(local, ask()))
        async with asyncio.timeout(DEADLINE):
            await until(loading)
            if end == "cancel":
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                await local.close()
                with pytest.raises(ProviderError, match="closed"):
                    await task
        assert psutil.Process().children() == [] and leases.holders() == []


async def test_the_listener_is_on_loopback_and_wants_the_key(local: Local) -> None:
    await answer(local, ask(options={"max_tokens": 1}))
    running = process(local)
    assert {conn.laddr.ip for conn in psutil.Process(running.pid).net_connections() if conn.status == "LISTEN"} == {
        "127.0.0.1"
    }
    async with httpx.AsyncClient(base_url=running.url, trust_env=False) as client:
        for path in ("/v1/models", "/slots", "/props"):
            assert (await client.get(path)).status_code == 401
        assert (await client.post("/completion", json={"prompt": "a"})).status_code == 401
    assert running.key not in " ".join(psutil.Process(running.pid).cmdline())


async def test_it_dies_with_its_host(local: Local) -> None:
    with a_host() as host:
        child = psutil.Process(int(await first_line(host)))
        assert [holder.who for holder in leases.holders()] == ["a host"]
        host.kill()
        gone, alive = await asyncio.to_thread(psutil.wait_procs, [child], timeout=DEADLINE)
        assert gone and not alive


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("temperature", "hot", "a number from 0 to 10"),
        ("temperature", True, "a number"),
        ("temperature", float("nan"), "a number"),
        ("top_p", 7, "from 0 to 1"),
        ("top_k", 1.5, "a whole number"),
        ("max_tokens", 0, "from 1"),
        ("seed", -1, "at least 0"),
        ("stop", "Paris", "a list of strings"),
        ("stop", [""], "a list of strings"),
        ("think", "yes", "true or false"),
        ("mirostat", 2, "no such option"),
    ],
)
async def test_nonsense_is_refused_before_anything_is_loaded(local: Local, option: str, value: Any, says: str) -> None:
    with pytest.raises(ProviderError, match=f"{option}: .*{says}") as caught:
        await answer(local, ask(options={option: value}))
    assert caught.value.fault is Fault.REFUSED
    assert psutil.Process().children() == []


async def test_any_gguf_file_by_path_or_by_name(local: Local, smollm2: Path, tmp_path: Path) -> None:
    link = tmp_path / "mine.gguf"
    link.symlink_to(smollm2)
    found = await local.check(str(link))
    assert found.window == 8192 and found.size and found.size > 98_362_432
    assert (await local.check(smollm2.name)).window == 8192
    assert [model.name for model in await local.models()] == ["smollm2"]
    assert local.defaults(str(link)) == {"num_ctx": 4096}
    assert local.defaults("smollm2")["temperature"] == 0.6
    text, *_ = await answer(local, ask(model=str(link)))
    assert "Paris" in text
    await answer(local, ask(options={"max_tokens": 1}))
    process(local)  # one: the embedded model and the link are the same file


async def test_a_file_that_is_no_whole_model_says_so(local: Local, smollm2: Path, tmp_path: Path) -> None:
    noise, cut = tmp_path / "noise.gguf", tmp_path / "cut.gguf"
    noise.write_bytes(b"<html>not found</html>" * 100)
    with smollm2.open("rb") as whole:
        cut.write_bytes(whole.read(8 << 20))
    for path, says in ((noise, "not a GGUF file"), (cut, "corrupted or incomplete"), (tmp_path / "no.gguf", "no such")):
        with pytest.raises(ProviderError, match=says) as caught:
            await answer(local, ask(model=str(path)))
        assert caught.value.fault is Fault.MODEL and str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert leases.holders() == []


async def test_weights_that_were_not_fetched_say_how(
    local: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERTULIA_MODELS", str(tmp_path))
    with pytest.raises(ProviderError, match="run `tertulia models pull smollm2`") as caught:
        await local.check("smollm2")
    assert caught.value.fault is Fault.MODEL
    assert await local.models() == []
    (tmp_path / "bad.gguf").write_bytes(b"bad")
    (bad,) = await local.models()
    assert bad.name == "bad.gguf" and "not a GGUF file" in bad.note


async def test_a_model_waits_for_memory_and_says_for_whom(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await local.check("smollm2")
    assert found.size is not None
    monkeypatch.setenv("TERTULIA_MODEL_MEMORY", str(found.size + 1))
    with a_host() as host:
        await first_line(host)
        heard: asyncio.Queue[list[leases.Holder]] = asyncio.Queue()
        local.on_wait = heard.put_nowait
        task = asyncio.create_task(answer(local, ask()))
        async with asyncio.timeout(DEADLINE):
            assert [holder.who for holder in await heard.get()] == ["a host"]
        assert not task.done()
        host.kill()
        assert (await task)[2] is StopReason.END
    monkeypatch.setenv("TERTULIA_MODEL_MEMORY", "1000")
    with pytest.raises(ProviderError, match=r"needs 0\.4 GB"):
        await local.check("smollm2")
