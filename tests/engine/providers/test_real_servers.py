"""The networked adapters against llama.cpp with a real model, in OpenAI's, Anthropic's and (by a proxy) Ollama's words.

The proxy is known to lie: it ends with `stop` when an answer was cut, guesses prompt counts, lists models it does not
have and shows any that is asked for. What rests on these is not asked of it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from engine.providers import estimate
from engine.providers.protocol import Delta, Message, Request, Stop, StopReason, Text, Usage
from tests.engine.providers import test_conformance as suite
from tests.engine.providers.conformance import Bench, adapter_at
from tests.engine.providers.real_server import ALIAS

pytestmark = [pytest.mark.server, pytest.mark.model]

SCRIPT = Path(__file__).with_name("real_server.py")
DEADLINE = 60
SCHEMA = {
    "type": "object",
    "properties": {"mood": {"enum": ["calm", "rough"]}},
    "required": ["mood"],
    "additionalProperties": False,
}


def first_line(process: subprocess.Popen[str]) -> str:
    watchdog = threading.Timer(DEADLINE, process.kill)
    watchdog.start()
    try:
        assert process.stdout
        return process.stdout.readline().strip()
    finally:
        watchdog.cancel()


@pytest.fixture(scope="module")
def llama(smollm2: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(smollm2)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    address = first_line(process)
    assert address.startswith("http://127.0.0.1:"), address
    yield address
    process.kill()
    process.wait(20)


@pytest.fixture(scope="module")
def proxy(llama: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    folder = tmp_path_factory.mktemp("proxy")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PROVIDERS_LOCAL_API_KEY": "EMPTY",
        "PROVIDERS_LOCAL_BASE_URL": f"{llama}/v1",
        "EXTRA_MODELS": f"local/{ALIAS}",
        "OPENAI_API_KEY": "none",
    }
    program = Path(sys.executable).with_name("ollama-proxy")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)],
            env=environment, cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
        until = time.monotonic() + DEADLINE
        while not answers(f"http://127.0.0.1:{port}/api/version"):
            assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.URLError:
        return False


@pytest.fixture(params=["openai", "anthropic", "ollama"])
def place(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """Dialect, address, model."""
    dialect = request.param
    if dialect == "ollama":
        return dialect, request.getfixturevalue("proxy"), f"local/{ALIAS}"
    return dialect, request.getfixturevalue("llama"), ALIAS


@pytest.fixture(autouse=True)
def nothing_learned() -> None:
    estimate.forget()


def ask(model: str, **more: Any) -> Request:
    more.setdefault("options", {"max_tokens": 30})
    messages = [Message("system", "You are a sailor."), Message("user", "Describe the sea in one sentence.")]
    return Request(model, messages, **more)


async def play(place: tuple[str, str, str], request: Request, **config: Any) -> list[Delta]:
    adapter = adapter_at(place[0], place[1], **config)  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(DEADLINE):
            return [delta async for delta in adapter.stream(request)]
    finally:
        await adapter.close()


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Text))


LIES = {"test_max_tokens_cuts_and_says_so", "test_models_and_check_agree", "test_a_count_is_exact_or_on_the_safe_side"}
RULES = [
    rule
    for name, rule in inspect.getmembers(suite, inspect.iscoroutinefunction)
    if name.startswith("test_") and list(inspect.signature(rule).parameters) == ["bench"] and "embed" not in name
]


@pytest.mark.parametrize("rule", RULES, ids=[rule.__name__.removeprefix("test_") for rule in RULES])
async def test_conformance(place: tuple[str, str, str], rule: Any) -> None:
    dialect, url, model = place
    if dialect == "ollama" and rule.__name__ in LIES:
        return
    adapter = adapter_at(dialect, url, prefill=True)  # type: ignore[arg-type]
    await rule(Bench(adapter, model))
    await adapter.close()


async def test_a_seed_makes_an_answer_repeatable(llama: str) -> None:
    place = ("openai", llama, ALIAS)
    drawn = [
        text(await play(place, ask(ALIAS, options={"max_tokens": 12, "seed": seed, "temperature": 0.9})))
        for seed in (1, 7, 7, 8)  # the first call fills the prompt cache for the others
    ]
    assert drawn[1] == drawn[2] != drawn[3]


async def test_a_schema_is_kept(place: tuple[str, str, str]) -> None:
    if place[0] == "anthropic":
        return  # llama.cpp takes the field and does not act on it
    deltas = await play(place, ask(place[2], answer_schema=SCHEMA, options={"max_tokens": 60}))
    assert json.loads(text(deltas))["mood"] in ("calm", "rough")


async def test_a_stop_string_ends_the_answer(place: tuple[str, str, str]) -> None:
    options = {"max_tokens": 200, "stop": [" the", " a", " and", ".", ","]}
    deltas = await play(place, ask(place[2], options=options))
    assert not any(stop in text(deltas) for stop in options["stop"])  # type: ignore[attr-defined]
    assert deltas[-1] in (Stop(StopReason.END), Stop(StopReason.STOP))


async def test_hanging_up_frees_the_server(llama: str) -> None:
    adapter = adapter_at("openai", f"{llama}")
    request = ask(ALIAS, options={"max_tokens": 900, "temperature": 1.5})
    async with asyncio.timeout(DEADLINE):
        async with aclosing(adapter.stream(request)) as deltas:
            async for delta in deltas:
                if isinstance(delta, Text):
                    break
        while any(slot["is_processing"] for slot in await asyncio.to_thread(slots, llama)):
            await asyncio.sleep(0.02)
    await adapter.close()


def slots(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/slots", timeout=10) as answer:
        return json.load(answer)


async def test_the_estimate_learns_from_a_real_tokenizer(llama: str) -> None:
    long = "The keeper climbs the stairs of the lighthouse and counts the ships that pass in the night. " * 12
    request = Request(ALIAS, [Message("user", long)], {"max_tokens": 1})
    before = estimate.request_bounds(f"openai/{ALIAS}", request)
    deltas = await play(("openai", llama, ALIAS), request)
    counted = next(delta.prompt for delta in deltas if isinstance(delta, Usage))
    after = estimate.request_bounds(f"openai/{ALIAS}", request)
    assert before.low <= after.low <= counted <= after.high <= before.high
    assert after.likely == pytest.approx(counted, rel=0.05)
