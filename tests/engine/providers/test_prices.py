from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.providers import prices
from engine.providers.protocol import Usage
from engine.settings.errors import UsageError

MILLION = Usage(prompt=1_000_000, answer=1_000_000)


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (tmp_path / "tertulia").mkdir()
    _forget()
    yield tmp_path / "tertulia" / "prices.yml"
    _forget()


def _forget() -> None:
    prices.table.cache_clear()
    prices._url.cache_clear()


async def test_models_on_this_machine_cost_nothing() -> None:
    for endpoint in ("local", "ollama", "lmstudio", "scripted"):
        assert await prices.cost(endpoint, "org/any", MILLION) == 0


async def test_an_unknown_price_is_unknown_not_nothing() -> None:
    assert await prices.cost("openai", "gpt-nobody-heard-of", MILLION) is None
    assert await prices.cost("ollama", "gpt-oss:120b-cloud", MILLION) is None


async def test_known_models_come_from_the_bundled_table_with_cheaper_cached_tokens() -> None:
    fresh = await prices.cost("openai", "gpt-4o-mini", MILLION)
    cached = await prices.cost("openai", "gpt-4o-mini", Usage(1_000_000, 1_000_000, cached=1_000_000))
    assert fresh is not None and cached is not None and 0 < cached < fresh


async def test_the_same_model_behind_another_address_has_no_known_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert await prices.cost("openai", "gpt-4o-mini", MILLION) is None


async def test_pricing_call_after_call_reads_no_file_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = await prices.cost("openai", "gpt-4o-mini", MILLION)

    def opened(path: Path) -> bytes:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(Path, "read_bytes", opened)
    assert await prices.cost("openai", "gpt-4o-mini", MILLION) == first
    assert first is not None


async def test_the_users_prices_win_and_the_closest_entry_counts(own: Path) -> None:
    own.write_text(
        "openai/*: {prompt: 1, answer: 2}\n"
        "openai/gpt-4o*: {prompt: 3, answer: 4, cached: 1}\n"
        "openai/gpt-4o-mini: 5\n"
        "local/*: 0.5\n"
    )
    assert await prices.cost("openai", "o9", MILLION) == 3
    assert await prices.cost("openai", "gpt-4o", MILLION) == 7
    assert await prices.cost("openai", "gpt-4o", Usage(1_000_000, 0, cached=500_000)) == 2
    assert await prices.cost("openai", "gpt-4o-mini", MILLION) == 10
    assert await prices.cost("local", "smollm2", MILLION) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("openai/x: {prompt: 1, anser: 2}", "openai/x.anser: unknown key; did you mean answer?"),
        ("openai/x: {prompt: 1}", "openai/x: needs answer"),
        ("openai/x: cheap", "openai/x: USD per million tokens, 0 or more, got 'cheap'"),
        ("openai/x: -1", "got -1"),
        ("gpt: 1", "gpt: write it as ENDPOINT/MODEL"),
    ],
)
async def test_a_broken_file_is_one_line(own: Path, content: str, says: str) -> None:
    own.write_text(content)
    with pytest.raises(UsageError) as caught:
        prices.table()
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_the_price_table_is_not_read_before_it_is_needed() -> None:
    code = (
        "import asyncio, sys\nfrom engine.providers import prices\nfrom engine.providers.protocol import Usage\n"
        "asyncio.run(prices.cost('local', 'x', Usage(1, 1)))\nprint('genai_prices' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
