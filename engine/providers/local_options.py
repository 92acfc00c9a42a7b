"""The options a local model takes: checked here, because llama.cpp takes nonsense in silence or dies of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.providers.protocol import Fault, ProviderError

_INF = float("inf")
_NUMBERS: dict[str, tuple[type, float, float]] = {
    "temperature": (float, 0, 10),
    "top_p": (float, 0, 1),
    "top_k": (int, 0, 1_000_000),
    "min_p": (float, 0, 1),
    "max_tokens": (int, 1, 1_000_000),
    "seed": (int, 0, _INF),
    "presence_penalty": (float, -10, 10),
    "frequency_penalty": (float, -10, 10),
    "repeat_penalty": (float, 0, 10),
    "repeat_last_n": (int, -1, 1_000_000),
    "dry_multiplier": (float, 0, 100),
    "dry_base": (float, 1, 100),
    "dry_allowed_length": (int, 1, 1_000_000),
    "dry_penalty_last_n": (int, -1, 1_000_000),
    "num_ctx": (int, 64, 100_000_000),
}
KNOWN = frozenset({*_NUMBERS, "stop", "think"})

_SEEDS = 2**32 - 1  # llama.cpp's seeds are 32 bits, and all ones means "draw one"


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are set, seed folded into 32 bits. Raises ProviderError(REFUSED), naming the key."""
    result: dict[str, Any] = {}
    for key, value in options.items():
        if value is None:
            continue
        if key in _NUMBERS:
            result[key] = _number(key, value)
        elif key == "stop":
            if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
                raise ProviderError(Fault.REFUSED, f"stop: must be a list of strings, not {value!r}")
            result[key] = list(value)
        elif key == "think":
            if not isinstance(value, bool):
                raise ProviderError(Fault.REFUSED, f"think: must be true or false, not {value!r}")
            result[key] = value
        else:
            raise ProviderError(Fault.REFUSED, f"{key}: local models have no such option")
    if "seed" in result:
        result["seed"] %= _SEEDS
    return result


def _number(key: str, value: Any) -> float | int:
    kind, low, high = _NUMBERS[key]
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    right = isinstance(value, int | float) and not isinstance(value, bool) and (kind is float or whole)
    if not right or not low <= value <= high:
        what = "a number" if kind is float else "a whole number"
        span = f"of at least {low:g}" if high == _INF else f"from {low:g} to {high:g}"
        raise ProviderError(Fault.REFUSED, f"{key}: must be {what} {span}, not {value!r}")
    return kind(value)  # type: ignore[no-any-return]
