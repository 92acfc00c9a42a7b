"""Endpoints by name: `ollama/llama3.2` is the model `llama3.2` at the endpoint `ollama` of providers.yml."""

from __future__ import annotations

import importlib
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from engine.providers.endpoint import Endpoint, Limits, Retries, Timeouts
from engine.providers.protocol import Adapter
from engine.settings import layers
from engine.settings.errors import UsageError, nearest

_ADAPTERS = {
    "anthropic": "engine.providers.anthropic:Anthropic",
    "local": "engine.providers.local:Local",
    "ollama": "engine.providers.ollama:Ollama",
    "openai": "engine.providers.openai:OpenAI",
    "scripted": "engine.providers.scripted:Scripted",
}
_PARTS: dict[str, type[BaseModel]] = {"timeouts": Timeouts, "limits": Limits, "retries": Retries}


def split(model: str) -> tuple[str, str]:
    """`ollama/llama3.2` -> (`ollama`, `llama3.2`); the model may hold slashes itself. Raises UsageError."""
    endpoint, slash, name = model.strip().partition("/")
    if not (slash and endpoint and name):
        raise UsageError(f"model {model!r}: write it as PROVIDER/MODEL, such as ollama/llama3.2")
    return endpoint, name


def endpoints() -> dict[str, Endpoint]:
    """Every endpoint of the shipped providers.yml with the user's own file on top. Raises UsageError."""
    return {str(name): _checked(str(name), value) for name, value in layers.load("providers").items()}


def endpoint(name: str) -> Endpoint:
    """The endpoint `name`. Raises UsageError, naming the nearest known one."""
    known = layers.load("providers")
    if name not in known:
        raise UsageError(f"unknown provider {name!r}: {nearest(name, map(str, known))} (endpoints are in {_file()})")
    return _checked(name, known[name])


def open_adapter(endpoint_name: str) -> Adapter:
    """A new adapter for the endpoint. Connects to nothing and imports no SDK yet. Raises UsageError."""
    return adapter_for(endpoint(endpoint_name))


def adapter_for(place: Endpoint) -> Adapter:
    """A new adapter for an endpoint that need not stand in any file."""
    module, _, cls = _ADAPTERS[place.adapter].partition(":")
    return cast(Adapter, getattr(importlib.import_module(module), cls)(place))


def _checked(name: str, value: Any) -> Endpoint:
    where = f"{_file()}: {name}"
    if not isinstance(value, dict):
        raise UsageError(f"{where}: must be `key: value` pairs, such as `adapter: openai`")
    try:
        found = Endpoint(**{**value, "name": name})
    except ValidationError as error:
        raise UsageError(_line(where, error)) from None
    if found.adapter not in _ADAPTERS:
        raise UsageError(f"{where}.adapter: unknown adapter {found.adapter!r}: {nearest(found.adapter, _ADAPTERS)}")
    return found


def _line(where: str, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    spot = ".".join([where, *path])
    if first["type"] == "extra_forbidden":
        part = _PARTS[path[0]] if len(path) > 1 else Endpoint
        return f"{spot}: unknown key; {nearest(path[-1], set(part.model_fields) - {'name'})}"
    if first["type"] == "missing":
        return f"{spot}: missing; it says how to talk to the endpoint, one of {', '.join(_ADAPTERS)}"
    return f"{spot}: {first['msg']}, got {first['input']!r}"


def _file() -> str:
    return layers.named("providers")
