"""The adapters that every adapter's suite (test_conformance.py) runs over. Add yours to `CASES`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.providers import registry, scripted
from engine.providers.endpoint import Endpoint, Timeouts
from engine.providers.protocol import Adapter
from tests.engine.providers.fake_server import Dialect, Reply, serving

PATIENT = Timeouts(connect=5, first_token=20, idle=20)


@dataclass
class Bench:
    """An adapter at work. `model` is there, `unknown` is not. `say` sets the next answer, where that can be set."""

    adapter: Adapter
    model: str
    unknown: str = "nosuch"
    say: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Case:
    """`open` gets a folder of its own, or, where `model`, the folder of the embedded model's weights."""

    name: str
    open: Callable[[Path], AbstractAsyncContextManager[Bench]]
    model: bool = False


def endpoint(dialect: Dialect, url: str, **more: Any) -> Endpoint:
    shipped = registry.endpoint(dialect).model_dump()
    base = f"{url}/v1" if dialect == "openai" else url
    return Endpoint(**{**shipped, "base_url": base, "base_url_env": "", "key": "", "timeouts": PATIENT, **more})


def adapter_at(dialect: Dialect, url: str, **more: Any) -> Any:
    return registry.adapter_for(endpoint(dialect, url, **more))


def _networked(dialect: Dialect) -> Case:
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[Bench]:
        async with serving(dialect) as server:
            adapter = adapter_at(dialect, server.url)
            yield Bench(adapter, "tiny", say=lambda text: server.replies.append(Reply(text)))
            await adapter.close()

    return Case(dialect, opened)


@asynccontextmanager
async def _scripted(folder: Path) -> AsyncIterator[Bench]:
    adapter = registry.open_adapter("scripted")

    def say(text: str) -> None:
        scripted.register("said", {"seats": {"*": [text]}, "otherwise": "repeat"})

    say("Hello there, friend.")
    yield Bench(adapter, "said", say=say)
    await adapter.close()


@asynccontextmanager
async def _local(folder: Path) -> AsyncIterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERTULIA_MODELS", str(folder))
        adapter = registry.open_adapter("local")
        yield Bench(adapter, "smollm2")
        await adapter.close()


CASES = [_networked("openai"), _networked("anthropic"), _networked("ollama"), Case("scripted", _scripted)]
CASES += [Case("local", _local, model=True)]
