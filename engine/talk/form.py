"""The form of a text: what can be counted of how it is written. A count is no quality, and is never called one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.settings import layers
from engine.settings.errors import UsageError
from engine.talk.measures import layout
from engine.talk.repetition import shingles

FORMULA = (
    "form = (0.35 distance + 0.25 structure + 0.20 signal) / 0.80, or without another text to be distant from"
    " (0.25 structure + 0.20 signal) / 0.45; structure is 0.5 for all three headings, 0.3 for four to twelve steps and"
    " 0.2 for three bullets or more; signal is 0.05 for each line with a metric word and each with a number, at most 1"
)
TEXTS = 8
"""Texts that principles are taken from, the latest."""
LINES = 12
"""Lines kept of each."""
_LINE = 300
"""Characters of a line that are kept."""
_MARKUP = re.compile(r"^[ \t]*#{1,6}[ \t]*|[*_:]+|[ \t]#+[ \t]*$")
_STEP = re.compile(r"\d{1,3}[.:)]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")
T = TypeVar("T")
_Text = Annotated[str, Field(min_length=1)]


class Words(BaseModel):
    """What `config/evolution.yml` says."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)
    headings: list[_Text] = Field(min_length=3, max_length=3)
    metric_words: list[_Text] = Field(min_length=1)
    test_words: list[_Text] = Field(min_length=1)
    mutations: dict[str, _Text] = Field(min_length=1)
    rubric: list[_Text] = Field(min_length=3, max_length=3)


@dataclass(frozen=True, slots=True)
class Form:
    """What was counted in a text."""

    distance: float | None
    """1 - Jaccard similarity of the word trigrams to another text, 0 (same) to 1; None without one."""
    headings: int
    """How many of the three headings of the plan format it has."""
    steps: int
    bullets: int
    metric_lines: int
    """Lines with a metric word."""
    number_lines: int
    """Lines with a number, that of a numbered step aside."""

    @property
    def structure(self) -> float:
        return 0.5 * (self.headings == 3) + 0.3 * (4 <= self.steps <= 12) + 0.2 * (self.bullets >= 3)

    @property
    def signal(self) -> float:
        return min(1.0, 0.05 * (self.metric_lines + self.number_lines))

    @property
    def total(self) -> float:
        """By FORMULA, 0 to 1."""
        rest = 0.25 * self.structure + 0.20 * self.signal
        return rest / 0.45 if self.distance is None else (0.35 * self.distance + rest) / 0.80


@dataclass(frozen=True, slots=True)
class Ranked(Generic[T]):
    """A place in a ranking; those of equal score share it, and the next place is that much further down."""

    rank: int
    item: T
    score: float


def form(text: str, other: str | None = None) -> Form:
    """What a text has, counted; `other` is the text that its distance is measured to."""
    words = _words()
    metric = _any_of(words.metric_words)
    wanted = {heading.casefold() for heading in words.headings}
    headings: set[str] = set()
    steps = bullets = metric_lines = number_lines = 0
    for kind, line in layout.lines(text):
        steps += kind == "step"
        bullets += kind == "bullet"
        metric_lines += metric.search(line) is not None
        number_lines += _has_number(kind, line)
        bare = _MARKUP.sub("", line).strip().casefold()
        if bare in wanted:
            headings.add(bare)
    return Form(
        None if other is None else distance(text, other), len(headings), steps, bullets, metric_lines, number_lines
    )


def distance(text: str, other: str) -> float:
    """1 - Jaccard similarity of the two texts' word trigrams; two texts without words are the same."""
    own, theirs = shingles(text), shingles(other)
    together = own | theirs
    return 1 - len(own & theirs) / len(together) if together else 0.0


def principles(texts: Sequence[str]) -> list[str]:
    """The lines worth keeping of the last TEXTS texts: bullets, numbered lines, and those with a test word or a number.

    The first LINES of each text, each once, in their order; without control characters, a long one cut.
    """
    test = _any_of(_words().test_words)
    kept: dict[str, None] = {}
    for text in texts[-TEXTS:]:
        found = [
            line
            for kind, line in layout.lines(text)
            if kind in ("step", "bullet") or test.search(line) or any(character.isdigit() for character in line)
        ]
        for line in found[:LINES]:
            bare = " ".join(_CONTROL.sub(" ", line).split())
            if bare:
                kept[bare if len(bare) <= _LINE else bare[: _LINE - 1] + "…"] = None
    return list(kept)


def ranked(scored: Sequence[tuple[T, float]]) -> list[Ranked[T]]:
    """The items from the highest score to the lowest; those of equal score in the order given, with one rank."""
    ordered = sorted(scored, key=lambda pair: -pair[1])
    scores = [score for _, score in ordered]
    return [Ranked(scores.index(score) + 1, item, score) for item, score in ordered]


def mutated(seed: str) -> dict[str, str]:
    """New seeds by the name of their mutation: the seed, and what it is asked besides.

    What an earlier mutation asked is taken off first, so that a lineage does not pile demands up. Raises UsageError for
    an empty seed.
    """
    demands = {name: " ".join(demand.split()) for name, demand in _words().mutations.items()}
    bare = seed.strip()
    while own := next((demand for demand in demands.values() if bare.endswith(demand)), None):
        bare = bare.removesuffix(own).strip()
    if not bare:
        raise UsageError("the seed is empty; give the question that the next runs start from")
    return {name: f"{bare}\n\n{demand}" for name, demand in demands.items()}


def rubric() -> list[str]:
    """Three questions that an answer is to be read with by a human."""
    return _words().rubric


def _words() -> Words:
    try:
        return Words.model_validate(layers.load("evolution"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        spot = ".".join(map(str, first["loc"]))
        raise UsageError(f"{layers.named('evolution')}: {spot}: {first['msg']}") from None


def _any_of(words: Sequence[str]) -> re.Pattern[str]:
    """A pattern of any of the words, as a whole word or its plural."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})(?:e?s)?\b", re.IGNORECASE)


def _has_number(kind: str, line: str) -> bool:
    return any(character.isdigit() for character in (_STEP.sub("", line, count=1) if kind == "step" else line))
