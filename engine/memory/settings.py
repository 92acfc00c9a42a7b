"""The settings of `config/memory.yml`, checked."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.settings import layers
from engine.settings.errors import UsageError, nearest


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ingest(_Strict):
    """What is read: sizes in bytes and characters, time in seconds a file, memory in megabytes."""

    max_bytes: int = Field(gt=0)
    max_text: int = Field(gt=0)
    chunk: int = Field(ge=100, le=100_000)
    seconds: float = Field(gt=0, le=3600)
    megabytes: int = Field(ge=128)
    logs: Literal["refuse", "keep"]
    skip: list[str]


class Weights(_Strict):
    words: float = Field(ge=0)
    vectors: float = Field(ge=0)


class Recall(_Strict):
    """What is given back; `gate` is a cosine distance."""

    limit: int = Field(ge=1, le=1000)
    per_item: int = Field(ge=1)
    snippet: int = Field(ge=40)
    gate: float = Field(ge=0, le=2)
    candidates: int = Field(ge=1, le=10_000)
    hops: Literal[0, 1]
    weights: Weights


class MemorySettings(_Strict):
    embedder: str = Field(min_length=1)
    ingest: Ingest
    recall: Recall


def load() -> MemorySettings:
    """memory.yml as shipped with the user's own on top. Raises UsageError naming the key."""
    try:
        return MemorySettings.model_validate(layers.load("memory"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        spot = ".".join([f"{layers.named('memory')}: ", *map(str, first["loc"])]).replace(": .", ": ")
        if first["type"] == "extra_forbidden":
            raise UsageError(
                f"{spot}: unknown key; {nearest(str(first['loc'][-1]), _keys(first['loc'][:-1]))}"
            ) from None
        raise UsageError(f"{spot}: {first['msg']}, got {first['input']!r}") from None


def _keys(path: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = MemorySettings
    for key in path:
        inner = model.model_fields[str(key)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
