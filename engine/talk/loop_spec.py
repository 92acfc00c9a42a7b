"""The pipeline of a loop, checked: a question, the roles around it, when it stops. Every key here is read somewhere."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.settings.errors import UsageError, nearest
from engine.talk import roles
from engine.talk.roles import Role
from engine.talk.spec import Seat, Talk, complete, invite, parse, tell_apart
from engine.talk.stop_rules import StopRule

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, str_strip_whitespace=True)
TITLE = 80
"""Characters of the question that become the title where none is given."""


class LoopSeat(Seat):
    """A seat that has a role; a persona gives it a voice besides."""

    role: Role | str
    """The name of a role, or the role itself."""
    format: Literal["free", "plan"] = "free"
    """`plan`: the role's fixed form is asked for, checked, and asked for once more where it is missed."""

    @property
    def part(self) -> Role:
        assert isinstance(self.role, Role)
        return self.role

    @property
    def wishes(self) -> dict[str, Any]:
        return self.part.options

    @property
    def off(self) -> bool:
        return self.part.every == 0


class Mediator(BaseModel):
    model_config = _STRICT
    every: int | None = Field(None, ge=0)
    """Turns after which the Mediator steps in, at the end of a round; 0 is never."""


class Recall(BaseModel):
    """What the seats are given from memory before they speak."""

    model_config = _STRICT
    sources: list[Literal["documents", "past", "runs"]] = Field([])
    """The user's documents, the turns of this run that no longer fit the window, other runs."""
    limit: int | None = Field(None, ge=1, le=20)
    """Passages at most; this and the next two are memory.yml's where they are not given."""
    gate: float | None = Field(None, gt=0, le=2, strict=False)
    """Cosine distance beyond which a passage that shares no word is left out."""
    snippet: int | None = Field(None, ge=80)
    """Characters of a passage."""
    block: list[str] = []
    """Passages with any of these words are left out."""
    seats: list[str] = []
    """The seats that are given it; those that talk each round where none is named."""


class Watcher(BaseModel):
    """A model that measures."""

    model_config = _STRICT
    model: str = Field(min_length=1)
    """PROVIDER/MODEL."""
    options: dict[str, Any] = {}
    """Sampling options, over those of the provider."""


class Health(BaseModel):
    """Measures that are taken only where they are asked for."""

    model_config = _STRICT
    disagreement: Watcher | None = None
    """The model that is asked whether a turn denies earlier ones; none, and it is not measured."""


class Loop(Talk):
    """A question, and the roles that work on it."""

    kind: Literal["loop"]
    question: str = Field(min_length=1)
    seats: list[LoopSeat] = Field(min_length=2)
    mediator: Mediator = Mediator()
    chain: bool = False
    """A round's `NextPrompt:` line is the topic of the next round."""
    guard: bool = True
    """A chained topic stays as it was where the Questioner's correction changes more than spelling."""
    literal: bool = False
    """The question is put as it stands; the Questioner first speaks in the second round."""
    stop: list[StopRule] = Field([])
    recall: Recall = Recall()
    health: Health = Health()

    @property
    def watcher(self) -> Seat | None:
        """Who is asked whether a turn denies earlier ones: no seat at the table, but called like one."""
        asked = self.health.disagreement
        name = "disagreement"
        return Seat(name=name, persona=name, model=asked.model, options=asked.options) if asked else None

    @property
    def talkers(self) -> list[LoopSeat]:
        """Who speaks each round, in order."""
        return [seat for seat in self.seats if seat.part.place == "talk" and seat.part.every is None]

    @property
    def visitors(self) -> list[LoopSeat]:
        """Who speaks at the end of some rounds."""
        return [seat for seat in self.seats if seat.part.place == "talk" and seat.part.every]

    @property
    def writers(self) -> list[LoopSeat]:
        """Who writes beside the talk."""
        return [seat for seat in self.seats if seat.part.place != "talk" and not seat.off]


def validate(pipeline: dict[str, Any], source: str) -> Loop:
    """The complete spec of a loop, roles and personas resolved. Raises UsageError naming file and key."""
    loop = parse(Loop, _with_roles(pipeline, source), source)
    for number, seat in enumerate(loop.seats):
        try:
            if seat.persona:
                invite(seat, "none")
            complete(seat, seat.part.name)
        except UsageError as error:
            raise UsageError(f"{source}: seats.{number}.{error}") from None
        if seat.part.slug == "mediator" and loop.mediator.every is not None:
            seat.part.every = loop.mediator.every
        if seat.examples and not seat.guest:
            raise UsageError(f"{source}: seats.{number}.examples: they are a persona's; add persona: NAME")
        if seat.format == "plan" and not seat.part.plan:
            raise UsageError(f"{source}: seats.{number}.format: the role {seat.part.name} has no plan; give it one")
        if seat.human and seat.part.place != "talk":
            raise UsageError(f"{source}: seats.{number}.human: {seat.name} writes beside the talk; only a model can")
    tell_apart(loop.seats)
    if not loop.talkers:
        raise UsageError(f"{source}: seats: nobody speaks each round; give a seat a role with place: talk")
    if sum(seat.part.place == "minutes" for seat in loop.seats) > 1:
        raise UsageError(f"{source}: seats: the minutes are kept by one seat")
    if loop.mediator.every and not any(seat.part.slug == "mediator" for seat in loop.seats):
        raise UsageError(f"{source}: mediator.every: no seat has the role mediator")
    for name in loop.recall.seats:
        try:
            loop.seat(name)
        except UsageError as error:
            raise UsageError(f"{source}: recall.seats: {error}") from None
    _check_after(loop, source)
    if (asked := loop.health.disagreement) and (watcher := loop.watcher):
        complete(watcher, watcher.name)
        asked.model = watcher.model or ""
    loop.title = loop.title or shortened(loop.question)
    return loop


def _with_roles(pipeline: dict[str, Any], source: str) -> dict[str, Any]:
    """The pipeline with the roles that it names read in."""
    seats = pipeline.get("seats")
    if not isinstance(seats, list):
        return pipeline
    full = []
    for number, seat in enumerate(seats):
        if isinstance(seat, dict) and isinstance(seat.get("role"), str):
            try:
                seat = {**seat, "role": roles.read(seat["role"])}
            except UsageError as error:
                raise UsageError(f"{source}: seats.{number}.role: {error}") from None
        full.append(seat)
    return {**pipeline, "seats": full}


def _check_after(loop: Loop, source: str) -> None:
    known = set(roles.available()) | {seat.part.slug for seat in loop.seats}
    for number, seat in enumerate(loop.seats):
        plain = seat.part.plain
        for slug in [*seat.part.after, *(plain.after if plain else ()), *(plain.begins_after if plain else ())]:
            if slug not in known:
                where = f"{source}: seats.{number}.role.after"
                raise UsageError(f"{where}: no role is called {slug!r}; {nearest(slug, known)}")


def shortened(question: str, limit: int = TITLE) -> str:
    """The question on one line, cut at a word."""
    line = " ".join(question.split())
    return line if len(line) <= limit else line[: limit - 1].rsplit(" ", 1)[0] + "…"
