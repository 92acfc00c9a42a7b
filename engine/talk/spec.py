"""The pipeline of a conversation, checked: who sits at the table, what limits it. Every key here is read somewhere.

What any conversation has is `Talk`; a duel's own keys are in `Duel`, a loop's in `engine.talk.loop_spec`.
"""

from __future__ import annotations

import random
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.settings import layers
from engine.settings.errors import UsageError, nearest
from engine.talk import personas, rules
from engine.talk.personas import Persona
from engine.talk.rules import Rules

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, str_strip_whitespace=True)
_Talk = TypeVar("_Talk", bound="Talk")
_NAME = 32
"""Characters a seat's name may have."""
_VISITOR = "Visitor"
"""How a human is called who has no persona and no name."""


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
    persona: str = ""
    """Who sits there; a human needs none."""
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
    def wishes(self) -> dict[str, Any]:
        """Sampling options sent where the seat's provider honours them, below all others but the model's own."""
        return {}

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


class Talk(BaseModel):
    """What every conversation has."""

    model_config = _STRICT
    kind: str
    title: str = Field("", max_length=200)
    seats: Sequence[Seat]
    limits: Limits = Limits()
    context: Context = Context()
    repetition: Repetition = Repetition()
    partial: Literal["redo", "continue"] = "redo"
    seed: int | None = Field(None, ge=0)
    """Makes draws and, where the provider honours it, the sampling repeatable."""
    answers: Literal["ask", "default", "fail"] = "ask"
    deadline: float | None = Field(None, gt=0, strict=False)
    """Minutes after which an ask that has a default takes it."""

    def seat(self, name: str) -> Seat:
        """The seat of that name, in any case. Raises UsageError."""
        for seat in self.seats:
            if seat.name.casefold() == name.strip().casefold():
                return seat
        raise UsageError(f"no seat is called {name!r}; {nearest(name, [seat.name for seat in self.seats])}")


class Duel(Talk):
    """Two seats and the rules of their talk."""

    kind: Literal["duel"]
    seats: list[Seat] = Field(min_length=2, max_length=2)
    opening: str | None = Field(None, min_length=1)
    """The first words, said by the seat that does not start; the starter answers them."""
    starter: str = "random"
    """The seat that answers first; `random` is drawn with `seed`."""
    start: str = Field("/start", min_length=1)
    rules: Rules = "control"

    def other(self, name: str) -> Seat:
        return self.seats[1] if self.seats[0].name == name else self.seats[0]


HUMAN = "you"
"""The author of notes, and so no name for a seat."""


def parse(model: type[_Talk], pipeline: dict[str, Any], source: str) -> _Talk:
    """A pipeline over the defaults of talk.yml, as a `model`. Raises UsageError naming file and key."""
    of_duels = Duel.model_fields.keys() - model.model_fields.keys()
    defaults = {key: value for key, value in layers.load("talk").items() if key not in of_duels}
    try:
        return model.model_validate(layers.merge(defaults, pipeline))
    except ValidationError as error:
        path = error.errors(include_url=False)[0]["loc"]
        raise UsageError(f"{_blamed(path, pipeline, source)}: {_line(error, model)}") from None


def validate(pipeline: dict[str, Any], source: str) -> Duel:
    """The complete spec of a duel, personas resolved. Raises UsageError naming file and key."""
    duel = parse(Duel, pipeline, source)
    for number, seat in enumerate(duel.seats):
        try:
            if seat.persona or not seat.human:
                invite(seat, duel.rules)
            complete(seat, seat.guest.name if seat.guest else _VISITOR)
        except UsageError as error:
            raise UsageError(f"{source}: seats.{number}.{error}") from None
    tell_apart(duel.seats)
    if duel.starter != "random":
        try:
            duel.starter = _named(duel, duel.starter).name
        except UsageError as error:
            raise UsageError(f"{source}: starter: {error}") from None
    if duel.starter == "random":
        duel.starter = random.Random(duel.seed).choice(duel.seats).name
    duel.title = duel.title or f"{duel.seats[0].name} meets {duel.seats[1].name}"
    return duel


def invite(seat: Seat, table_rules: str) -> None:
    """Give the seat the persona that it names. Raises UsageError beginning with the key."""
    if not seat.persona:
        raise UsageError("persona: missing")
    if seat.guest is None or seat.guest.slug != seat.persona:
        try:
            persona = personas.find(seat.persona)
            prompt = rules.system_prompt(persona, table_rules)
        except UsageError as error:
            raise UsageError(f"persona: {error}") from None
        seat.guest = _guest(persona, seat.persona, prompt)


def complete(seat: Seat, called: str) -> None:
    """Fill in the seat's name and model. Raises UsageError beginning with the key."""
    seat.model = seat.model or (seat.guest.model if seat.guest else None)
    seat.name = seat.name or called[:_NAME].strip()
    if seat.name.casefold() == HUMAN:
        raise UsageError(f"name: {seat.name!r} is what you are called when you speak to everyone; choose another")
    if not seat.model and not seat.human:
        prefers = f", and the persona {seat.persona} prefers none" if seat.persona else ""
        raise UsageError(f"model: missing{prefers}; add model: PROVIDER/MODEL")
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


def tell_apart(seats: Sequence[Seat]) -> None:
    """Seats of one name get numbers."""
    names = [seat.name.casefold() for seat in seats]
    for seat, name in zip(seats, names, strict=True):
        if names.count(name) > 1:
            taken = [other.name for other in seats]
            stem = seat.name[: _NAME - 3].strip()
            seat.name = next(f"{stem} {number}" for number in range(1, 99) if f"{stem} {number}" not in taken)


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


def _line(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault in one line: the key, what is wrong, what was meant."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    spot = ".".join(path)
    if first["type"] == "extra_forbidden":
        return f"{spot}: unknown key; {nearest(path[-1], _model_at(model, path[:-1]).model_fields)}"
    if first["type"] == "missing":
        return f"{spot}: missing"
    if first["type"] in ("too_short", "too_long") and path == ["seats"]:
        kind = model.model_fields["kind"]
        wanted = "a duel has two seats" if model is Duel else f"a {get_args(kind.annotation)[0]} has more seats"
        return f"seats: {wanted}, not {len(first['input'])}"
    if first["type"] == "model_type":
        return f"{spot}: must be `key: value` pairs, not {reprlib.repr(first['input'])}"
    if first["type"] == "value_error":
        return f"{spot}: {first['msg'].removeprefix('Value error, ')}"
    return f"{spot}: {first['msg']}, got {reprlib.repr(first['input'])}"


def _model_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel]:
    """The model of the mapping that `path` leads to."""
    for key in path:
        field = model.model_fields.get(key)
        inner = [kind for kind in _classes(field.annotation if field else None) if issubclass(kind, BaseModel)]
        model = inner[0] if inner else model
    return model


def _classes(annotation: Any) -> list[type]:
    """The classes that a type is made of: `list[Seat]` and `Seat | None` of Seat."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [found for part in get_args(annotation) for found in _classes(part)]
