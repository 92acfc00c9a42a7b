"""What a report counts, as `config/report.yml` says it, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.settings.errors import UsageError, nearest

_KEYS = ("phrases", "hits", "digests", "seats", "families", "tracked", "stop_words")


@dataclass(frozen=True, slots=True)
class Settings:
    """`families` are word families by name, each a list of terms; `seats` whose words phrases are taken from."""

    phrases: int
    hits: int
    digests: int
    seats: tuple[str, ...]
    families: dict[str, tuple[str, ...]]
    tracked: tuple[str, ...]
    stop_words: frozenset[str]


def parse(data: Mapping[str, Any], source: str) -> Settings:
    """The settings in `data`, the merged file `source`. Raises UsageError naming file and key."""
    for key in data:
        if key not in _KEYS:
            raise UsageError(f"{source}: {key}: unknown; {nearest(str(key), _KEYS)}")
    families = data.get("families", {})
    if not isinstance(families, dict):
        raise UsageError(f"{source}: families: write it as name: [term, term]")
    words = data.get("stop_words", "")
    if not isinstance(words, str):
        raise UsageError(f"{source}: stop_words: write them as one text, with spaces between them")
    return Settings(
        _number(data, "phrases", source),
        _number(data, "hits", source),
        _number(data, "digests", source),
        _terms(data.get("seats", []), f"{source}: seats"),
        {str(name): _terms(terms, f"{source}: families.{name}") for name, terms in families.items()},
        _terms(data.get("tracked", []), f"{source}: tracked"),
        frozenset(words.casefold().split()),
    )


def _number(data: Mapping[str, Any], key: str, source: str) -> int:
    value = data.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1000:
        raise UsageError(f"{source}: {key}: must be a whole number from 0 to 1000, not {value!r}")
    return value


def _terms(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(term, str) and term.strip(" *-") for term in value):
        raise UsageError(f"{where}: must be a list of words or phrases")
    return tuple(term.strip() for term in value)
