"""The pipeline of a duel, checked: two seats, how they begin, what limits them. Every key here is read somewhere."""

from __future__ import annotations

import random
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.settings import layers
from engine.settings.errors import UsageError, nearest
from engine.talk import personas, rules
from engine.talk.personas import Persona
from engine.talk.rules import Rules

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, str_strip_whitespace=True)
_NAME = 32
"""Characters a seat's name may have."""


class Guest(BaseModel):
    """A persona as it was when the run began, so that a run never depends on a file that may change."""

    model_config = _STRICT
    slug: str
    name: str
    description: str
    language: str | None = None
    prompt: str
    """The whole system text, rules included."""
    model: str | None = None
    options: dict[str, Any] = {}
    examples: list[list[str]] = []


class Seat(BaseModel):
    model_config = _STRICT
    name: str = Field("", max_length=_NAME)
    """How the seat is called; the persona's name where it is not given."""
    persona: str = Field(min_length=1)
    model: str | None = None
    """PROVIDER/MODEL; the persona's own where it is not given."""
    options: dict[str, Any] = {}
    """Sampling options, over those of persona, model and provider."""
    human: bool = False
    """A human speaks for this seat."""
    window: int | None = Field(None, ge=256)
    """Context in tokens, where the provider does not say or less is wanted."""
    memory: int | None = Field(None, ge=0)
    """How many of the latest messages are sent, beside all that is new to the seat; 0 is all that fit. The model's own
    measure where it is not given."""
    examples: bool | None = None
    """Whether the persona's examples are sent as earlier turns; only to local models unless it is said."""
    whole_sentences: bool | None = None
    """Whether an answer cut by max_tokens ends at its last whole sentence; only for local models unless it is said."""
    guest: Guest | None = None

    @property
    def is_local(self) -> bool:
        return (self.model or "").startswith("local/")

    @property
    def sends_examples(self) -> bool:
        return self.is_local if self.examples is None else self.examples

    @property
    def ends_whole(self) -> bool:
        return self.is_local if self.whole_sentences is None else self.whole_sentences


class Limits(BaseModel):
    """What ends a run; 0 is unlimited."""

    model_config = _STRICT
    turns: int = Field(20, ge=0)
    tokens: int | None = Field(None, ge=0)
    cost: float | None = Field(None, ge=0, strict=False)
    minutes: float | None = Field(None, ge=0, strict=False)

    def caps(self) -> dict[str, float | None]:
        """The allowance of each unit, None where there is no limit."""
        return {unit: value or None for unit, value in self.model_dump().items()}


class Context(BaseModel):
    model_config = _STRICT
    strategy: Literal["drop-oldest", "summarise", "refuse"] = "drop-oldest"


class Repetition(BaseModel):
    model_config = _STRICT
    threshold: float = Field(0.8, gt=0, le=1, strict=False)
    turns: int = Field(3, ge=1)
    then: Literal["end", "pause", "ignore"] = "end"


class Duel(BaseModel):
    """Two seats and the rules of their talk."""

    model_config = _STRICT
    kind: Literal["duel"]
    title: str = Field("", max_length=200)
    seats: list[Seat] = Field(min_length=2, max_length=2)
    opening: str | None = Field(None, min_length=1)
    """The first words, said by the seat that does not start; the starter answers them."""
    starter: str = "random"
    """The seat that answers first; `random` is drawn with `seed`."""
    start: str = Field("/start", min_length=1)
    rules: Rules = "control"
    limits: Limits = Limits()
    context: Context = Context()
    repetition: Repetition = Repetition()
    partial: Literal["redo", "continue"] = "redo"
    seed: int | None = Field(None, ge=0)
    """Makes the draw of the starter and, where the provider honours it, the sampling repeatable."""
    answers: Literal["ask", "default", "fail"] = "ask"

    def seat(self, name: str) -> Seat:
        """The seat of that name, in any case. Raises UsageError."""
        for seat in self.seats:
            if seat.name.casefold() == name.strip().casefold():
                return seat
        raise UsageError(f"no seat is called {name!r}; {nearest(name, [seat.name for seat in self.seats])}")

    def other(self, name: str) -> Seat:
        return self.seats[1] if self.seats[0].name == name else self.seats[0]


HUMAN = "you"
"""The author of notes, and so no name for a seat."""

_MODELS: dict[str, type[BaseModel]] = {
    "seats": Seat,
    "limits": Limits,
    "context": Context,
    "repetition": Repetition,
    "guest": Guest,
}


def validate(pipeline: dict[str, Any], source: str) -> Duel:
    """The complete spec of a pipeline, personas resolved. Raises UsageError naming file and key."""
    try:
        duel = Duel.model_validate(layers.merge(layers.load("talk"), pipeline))
    except ValidationError as error:
        path = error.errors(include_url=False)[0]["loc"]
        raise UsageError(f"{_blamed(path, pipeline, source)}: {_line(error)}") from None
    for number, seat in enumerate(duel.seats):
        try:
            _complete(duel, seat)
        except UsageError as error:
            raise UsageError(f"{source}: seats.{number}.{error}") from None
    _tell_apart(duel)
    if duel.starter != "random":
        try:
            duel.starter = _named(duel, duel.starter).name
        except UsageError as error:
            raise UsageError(f"{source}: starter: {error}") from None
    if duel.starter == "random":
        duel.starter = random.Random(duel.seed).choice(duel.seats).name
    duel.title = duel.title or f"{duel.seats[0].name} meets {duel.seats[1].name}"
    return duel


def _complete(duel: Duel, seat: Seat) -> None:
    """Fill in what the seat's persona says. Raises UsageError beginning with the key."""
    if seat.guest is None or seat.guest.slug != seat.persona:
        try:
            persona = personas.find(seat.persona)
            prompt = rules.system_prompt(persona, duel.rules)
        except UsageError as error:
            raise UsageError(f"persona: {error}") from None
        seat.guest = _guest(persona, seat.persona, prompt)
    seat.model = seat.model or seat.guest.model
    seat.name = seat.name or seat.guest.name[:_NAME].strip()
    if seat.name.casefold() == HUMAN:
        raise UsageError(f"name: {seat.name!r} is what you are called when you speak to both; choose another")
    if not seat.model and not seat.human:
        raise UsageError(f"model: missing, and the persona {seat.persona} prefers none; add model: PROVIDER/MODEL")
    provider, _, model = (seat.model or "").partition("/")
    if model and provider in ("local", "scripted") and Path(model).is_file():
        seat.model = f"{provider}/{Path(model).absolute()}"  # a host has no working directory of the user's


def _guest(persona: Persona, slug: str, prompt: str) -> Guest:
    return Guest(
        slug=slug,
        name=persona.short_name,
        description=persona.description,
        language=persona.language,
        prompt=prompt,
        model=persona.model,
        options=dict(persona.options),
        examples=[[item.user, item.assistant] for item in persona.examples],
    )


def _tell_apart(duel: Duel) -> None:
    """Two seats of one name get numbers."""
    first, second = duel.seats
    if first.name.casefold() == second.name.casefold():
        name = first.name[: _NAME - 2].strip()
        first.name, second.name = f"{name} 1", f"{name} 2"


def _named(duel: Duel, name: str) -> Seat:
    """The seat by its name or by its persona's."""
    named = [seat for seat in duel.seats if seat.name.casefold() == name.strip().casefold()]
    named += [seat for seat in duel.seats if seat.persona.casefold() == name.strip().casefold()]
    return named[0] if named else duel.seat(name)


def _blamed(path: Sequence[str | int], pipeline: dict[str, Any], source: str) -> str:
    """The pipeline, or talk.yml where the fault lies in what only that says."""
    place: Any = pipeline
    own: Any = layers.load("talk")
    for key in path:
        if isinstance(place, dict) and key not in place and key in own:
            return layers.named("talk")
        if not isinstance(place, dict) or key not in place:
            return source
        place, own = place[key], own[key] if isinstance(own.get(key), dict) else {}
    return source


def _line(error: ValidationError) -> str:
    """The first fault in one line: the key, what is wrong, what was meant."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    spot = ".".join(path)
    if first["type"] == "extra_forbidden":
        parents = [part for part in path[:-1] if not part.isdigit()]
        known = (_MODELS[parents[-1]] if parents else Duel).model_fields
        return f"{spot}: unknown key; {nearest(path[-1], known)}"
    if first["type"] == "missing":
        return f"{spot}: missing"
    if first["type"] in ("too_short", "too_long") and path == ["seats"]:
        return f"seats: a duel has two seats, not {len(first['input'])}"
    if first["type"] == "model_type":
        return f"{spot}: must be `key: value` pairs, not {reprlib.repr(first['input'])}"
    return f"{spot}: {first['msg']}, got {reprlib.repr(first['input'])}"
