"""What the adapters share when they turn a request into their provider's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.providers.endpoint import Endpoint
from engine.providers.protocol import Fault, Honours, ProviderError, Request
from engine.settings.errors import nearest


def options(place: Endpoint, request: Request, names: Mapping[str, str]) -> dict[str, Any]:
    """The endpoint's default options and the request's over them, under the provider's names; None means unset.

    Raises ProviderError(REFUSED) for an option that is not in `names`: nothing is dropped silently.
    """
    found: dict[str, Any] = {}
    for name, value in {**place.options, **request.options}.items():
        if name not in names:
            raise ProviderError(Fault.REFUSED, f"{place.name} does not take the option {name}; {nearest(name, names)}")
        if value is not None:
            found[names[name]] = value
    return found


def refuse(place: Endpoint, request: Request, honours: Honours) -> None:
    """Raises ProviderError(REFUSED) when the request asks for what the adapter does not do."""
    wanted = {"tools": request.tools, "answer_schema": request.answer_schema, "prefill": request.prefill}
    for name, value in wanted.items():
        if value and not getattr(honours, name):
            raise ProviderError(Fault.REFUSED, f"{place.name} does not do {name}; choose another model for this")


def closed(schema: Any) -> bool:
    """Whether every object of a JSON schema lists all its properties as required and allows no others."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "object":
            known = set(schema.get("properties", {}))
            if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != known:
                return False
        return all(closed(value) for value in schema.values())
    return all(closed(value) for value in schema) if isinstance(schema, list) else True
