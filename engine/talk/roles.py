"""Roles of a loop: what a seat is at the table for, as data (`pipelines/roles/NAME.yml`, the user's own first)."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.settings import paths, shipped, yaml_file
from engine.settings.errors import UsageError, nearest

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, str_strip_whitespace=True)
FIELDS = frozenset({"question", "topic", "name"})
"""What an instruction may name in braces: the loop's question, the topic of a chained round, the seat's own name."""


class Wording(BaseModel):
    """How a seat is told what to do."""

    model_config = _STRICT
    then: str = Field(min_length=1)
    """What it is told to do."""
    first: str | None = None
    """The same for its first turn; `then` where it is not given."""
    chained: str | None = None
    """The same for a round whose topic the round before has named."""
    after: dict[str, str] = {}
    """Role -> what it is told besides, where that role has spoken since its own last turn."""
    plan: str | None = None
    """What it is told besides, with `format: plan`; a plain wording without it is asked for none, and not checked."""
    options: dict[str, Any] = {}
    """Sampling options it wishes for; those that the seat's provider honours are sent."""

    @field_validator("then", "first", "chained", "plan")
    @classmethod
    def _fields(cls, text: str | None) -> str | None:
        return text if text is None else _known_fields(text)

    @field_validator("after")
    @classmethod
    def _after(cls, after: dict[str, str]) -> dict[str, str]:
        return {role: _known_fields(text) for role, text in after.items()}


class Plain(Wording):
    """The wording for a model with a short memory, which is lost among many words."""

    memory: int | None = Field(None, ge=1)
    """Latest messages it is sent; the model's own measure where it is not given."""
    words: list[int] | None = Field(None, min_length=2, max_length=2)
    """The fewest and the most words its turns may have; the role's own where it is not given."""
    begins: list[str] = []
    """Words that its turns begin with, one entry after the other, where the provider continues a text."""
    begins_after: dict[str, str] = {}
    """Role -> the same for the turn after that role has spoken."""

    @field_validator("begins")
    @classmethod
    def _begins(cls, begins: list[str]) -> list[str]:
        return [_known_fields(text) for text in begins]

    @field_validator("begins_after")
    @classmethod
    def _begins_after(cls, begins: dict[str, str]) -> dict[str, str]:
        return {role: _known_fields(text) for role, text in begins.items()}


class Role(Wording):
    """What a seat does, when, and what its words must be."""

    slug: str = Field("", pattern=r"^[\w-]*$")
    name: str = Field(min_length=1, max_length=32)
    about: str = Field(min_length=1)
    """One line that everyone at the table is told."""
    place: Literal["talk", "minutes", "aside"] = "talk"
    """`talk`: everyone hears it. `minutes`: keeps the minutes. `aside`: written beside the talk, heard by nobody."""
    every: int | None = Field(None, ge=0)
    """It speaks at the end of a round, once so many turns were said since it last did; 0 is never, None each round."""
    question: bool = False
    """Its words must end in a question."""
    words: list[int] | None = Field(None, min_length=2, max_length=2)
    """The fewest and the most words it may use."""
    score: bool = False
    """It gives a whole number from 0 to 10 (only with `place: aside`)."""
    parts: list[str] = []
    """Headings that its text must have, with `format: plan`."""
    steps: int | None = Field(None, ge=1)
    """Numbered steps that it must have at least, with `format: plan`."""
    bullets: int | None = Field(None, ge=1)
    """Bullet points that it must have at least, with `format: plan`."""
    plain: Plain | None = None
    """What a model with a short memory is told instead."""

    @model_validator(mode="after")
    def _whole(self) -> Role:
        self.slug = self.slug or re.sub(r"[^\w]+", "-", self.name.casefold()).strip("-")
        if self.score and self.place != "aside":
            raise ValueError("score: only a role with place: aside gives one")
        for words in (self.words, self.plain and self.plain.words):
            if words and words[0] > words[1]:
                raise ValueError(f"words: the fewest, {words[0]}, is more than the most, {words[1]}")
        return self


def _known_fields(text: str) -> str:
    try:
        found = [(name, form, kind) for _, name, form, kind in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise ValueError(f"{error}; a brace that is meant is written twice") from None
    if any(form or kind for _, form, kind in found):
        raise ValueError("a name in braces stands alone, as in {question}: nothing follows it with : or !")
    if unknown := sorted({name for name, _, _ in found} - FIELDS):
        raise ValueError(f"{{{unknown[0]}}} is unknown; an instruction may name {', '.join(sorted(FIELDS))}")
    return text


def folders() -> list[Path]:
    """Where roles are looked up by name, the first winning."""
    return [paths.config_dir() / "pipelines" / "roles", shipped.folder("pipelines") / "roles"]


def available() -> dict[str, Path]:
    """Every role that can be named; a user's own hides the shipped one of that name."""
    found: dict[str, Path] = {}
    for folder in reversed(folders()):
        found.update((path.stem, path) for path in sorted(folder.glob("*.yml")))
    return dict(sorted(found.items()))


def read(name: str) -> dict[str, Any]:
    """The data of the role NAME, unchecked but for its slug. Raises UsageError."""
    known = available()
    if name not in known:
        raise UsageError(f"no role is called {name!r}; {nearest(name, known)}")
    data = yaml_file.load_mapping(known[name])
    if not data:
        raise UsageError(f"{known[name]}: empty; a role says at least its name, what it is about and then")
    return {**data, "slug": name}
