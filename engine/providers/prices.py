"""What a call cost, in USD: prices.yml first, then the table inside genai-prices, without network. Unknown is None."""

from __future__ import annotations

import asyncio
import functools
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.providers import registry
from engine.providers.protocol import Usage
from engine.settings import layers
from engine.settings.errors import UsageError, nearest

_FIELDS = ("prompt", "answer", "cached")
_looked_up_once = False


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    prompt: float
    answer: float
    cached: float


async def cost(endpoint: str, model: str, usage: Usage) -> float | None:
    """USD for the usage, None where the price is not known. Raises UsageError for a broken prices.yml."""
    known, price = _listed(table(), f"{endpoint}/{model}")
    if not known:
        if _looked_up_once:
            return _looked_up(endpoint, model, usage)
        return await asyncio.to_thread(_looked_up, endpoint, model, usage)
    if price is None:
        return None
    fresh = usage.prompt - usage.cached
    return (fresh * price.prompt + usage.cached * price.cached + usage.answer * price.answer) / 1e6


@functools.cache
def table() -> Mapping[str, Price | None]:
    """prices.yml, shipped and own, read once. Raises UsageError."""
    return {str(pattern): _price(str(pattern), value) for pattern, value in layers.load("prices").items()}


def _price(pattern: str, value: Any) -> Price | None:
    where = f"{layers.named('prices')}: {pattern}"
    if "/" not in pattern:
        raise UsageError(f"{where}: write it as ENDPOINT/MODEL, such as openai/* ")
    if value is None:
        return None
    if not isinstance(value, Mapping):
        every = _amount(where, value)
        return Price(every, every, every)
    for key in value:
        if key not in _FIELDS:
            raise UsageError(f"{where}.{key}: unknown key; {nearest(str(key), _FIELDS)}")
    for key in ("prompt", "answer"):
        if key not in value:
            raise UsageError(f"{where}: needs {key}, in USD per million tokens")
    prompt = _amount(f"{where}.prompt", value["prompt"])
    cached = _amount(f"{where}.cached", value.get("cached", prompt))
    return Price(prompt, _amount(f"{where}.answer", value["answer"]), cached)


def _amount(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise UsageError(f"{where}: USD per million tokens, 0 or more, got {value!r}")
    return float(value)


def _listed(prices: Mapping[str, Price | None], name: str) -> tuple[bool, Price | None]:
    matching = [pattern for pattern in prices if _pattern(pattern).fullmatch(name)]
    if not matching:
        return False, None
    return True, prices[max(matching, key=lambda pattern: (len(pattern.replace("*", "")), pattern))]


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def _looked_up(endpoint: str, model: str, usage: Usage) -> float | None:
    """From genai-prices. Importing it and its first look-up take 0.9 s of CPU, hence a thread for that one."""
    global _looked_up_once
    package: Any = importlib.import_module("genai_prices")
    counted = package.Usage(input_tokens=usage.prompt, cache_read_tokens=usage.cached, output_tokens=usage.answer)
    try:
        found = package.calc_price(counted, model, provider_api_url=_url(endpoint))
    except LookupError:
        return None
    finally:
        _looked_up_once = True
    return float(found.total_price)


@functools.cache
def _url(endpoint: str) -> str | None:
    """Where the endpoint is; read once, since every call of a run is priced."""
    return registry.endpoint(endpoint).url
