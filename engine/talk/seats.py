"""The seats of a live talk: which provider each one uses, with which options, and how large its window is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.providers import prices, registry
from engine.providers.endpoint import Endpoint
from engine.providers.protocol import OPTIONS, Adapter, Model, ProviderError, Usage
from engine.settings.errors import UsageError, nearest
from engine.talk.spec import Seat, Talk

_WHOLE = frozenset({"top_k", "max_tokens", "seed", "num_ctx", "dry_allowed_length"})
PATIENCE = 5.0
"""Seconds for the check of all seats before a run is written down."""


class Seating:
    """The adapters of one run, opened when first needed, one for each endpoint."""

    def __init__(self, who: str = "", on_wait: Callable[[list[Any]], None] | None = None) -> None:
        self._who = who
        self._on_wait = on_wait
        self._adapters: dict[str, Adapter] = {}
        self._places: dict[str, Endpoint] = {}
        self._models: dict[str, Model] = {}
        self._learned: dict[str, Model] = {}

    def adapter(self, seat: Seat) -> tuple[Adapter, str]:
        """The seat's adapter and the model's name there. Raises UsageError."""
        endpoint, model = registry.split(seat.model or "")
        if endpoint not in self._adapters:
            adapter = registry.open_adapter(endpoint)
            if hasattr(adapter, "on_wait"):
                adapter.who, adapter.on_wait = self._who, self._on_wait  # type: ignore[attr-defined]
            self._adapters[endpoint] = adapter
        return self._adapters[endpoint], model

    def place(self, seat: Seat) -> Endpoint:
        """The endpoint of the seat's model. Raises UsageError."""
        name = registry.split(seat.model or "")[0]
        if name not in self._places:
            self._places[name] = registry.endpoint(name)
        return self._places[name]

    def options(self, seat: Seat, wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All options of the seat's requests: provider below the role's wishes, persona and seat on top.

        `wanted` are further wishes. Raises UsageError, ProviderError.
        None takes back what stands below; of an option that the provider lacks, nothing is left.
        """
        adapter, model = self.adapter(seat)
        guest = seat.guest.options if seat.guest else {}
        wished = {**seat.wishes, **(wanted or {})}
        wishes = {key: value for key, value in wished.items() if key in adapter.honours.options}
        merged = {**adapter.defaults(model), **wishes, **guest, **seat.options}
        return {key: value for key, value in merged.items() if value is not None or key in adapter.honours.options}

    def learned(self) -> dict[str, Model]:
        """What providers have said of models since the last look, by PROVIDER/MODEL."""
        found, self._learned = self._learned, {}
        return found

    async def window(self, seat: Seat, options: dict[str, Any]) -> int | None:
        """Tokens of context: the seat's own setting, what the server was told to use, or what the provider says."""
        known = [int(size) for size in (seat.window, options.get("num_ctx")) if size]
        return min(known) if known else (await self._model(seat)).window

    async def memory(self, seat: Seat) -> int | None:
        """How many of the latest messages the seat is sent, None for all that fit."""
        return (await self._model(seat)).memory if seat.memory is None else seat.memory or None

    async def _model(self, seat: Seat) -> Model:
        """What the provider says of the seat's model, asked once."""
        name = seat.model or ""
        if name not in self._models:
            adapter, model = self.adapter(seat)
            try:
                self._models[name] = self._learned[name] = await adapter.check(model)
            except ProviderError:
                return Model(model)  # the call that follows says what is wrong
        return self._models[name]

    async def close(self) -> None:
        await asyncio.gather(*(adapter.close() for adapter in self._adapters.values()))


async def check(talk: Talk, besides: Sequence[Seat] = ()) -> None:
    """Whether every seat's options are understood and its key, server and model are there, those `besides` the table
    included. Raises UsageError."""
    prices.table()  # a fault in prices.yml is told before anything is spent
    seating = Seating()
    try:
        everyone = [*talk.seats, *besides]
        for seat in everyone:
            check_options(seating, seat)
        async with asyncio.timeout(PATIENCE + 1):
            await asyncio.gather(*(_check_model(seating, talk, seat) for seat in everyone))
    except TimeoutError:
        names = ", ".join(dict.fromkeys(seat.model or "" for seat in everyone))
        raise UsageError(f"no answer within {PATIENCE:.0f} s from {names}; is the server up?") from None
    finally:
        await seating.close()


def check_options(seating: Seating, seat: Seat) -> None:
    """Whether the seat's provider honours its options, and each has a value of its kind. Raises UsageError."""
    if not seat.model:
        return
    guest = seat.guest.options if seat.guest else {}
    try:
        adapter, model = seating.adapter(seat)
        known = adapter.honours.options
        place = seating.place(seat)
        for source, options in (("", seat.options), ("the persona's ", guest), (f"{place.name}'s ", place.options)):
            for key, value in options.items():
                if key in OPTIONS and (value is None or (options is guest and seat.options.get(key, "") is None)):
                    continue
                if key not in known:
                    raise UsageError(f"{source}options.{key}: {seat.model} does not honour it; {nearest(key, known)}")
                if value is not None and (kind := _kind(key, value)):
                    raise UsageError(f"{source}options.{key}: must be {kind}, not {value!r}")
        adapter.defaults(model)
    except (ProviderError, UsageError) as error:
        raise UsageError(f"seat {seat.name}: {error}") from None


def _kind(key: str, value: Any) -> str:
    """What an option of that name must be, where `value` is not."""
    if key == "stop":
        right = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
        return "" if right else 'a list of texts, such as ["END"]'
    if key not in OPTIONS or key == "think":
        return ""
    whole = key in _WHOLE
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if number and not (key == "max_tokens" and value < 1):
        return ""
    return "a whole number" + (" from 1 up" if key == "max_tokens" else "") if whole else "a number"


async def _check_model(seating: Seating, talk: Talk, seat: Seat) -> None:
    if seat.human or not seat.model:
        return
    adapter, model = seating.adapter(seat)
    if talk.limits.cost and await prices.cost(*registry.split(seat.model), Usage(1, 1)) is None:
        raise UsageError(
            f"seat {seat.name}: limits.cost needs the price of {seat.model}; add it to prices.yml, or use limits.tokens"
        )
    try:
        await adapter.check(model)
    except ProviderError as error:
        raise UsageError(f"seat {seat.name}: {error}") from None
