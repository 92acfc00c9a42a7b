"""Transcripts in which something was planted, and the check that a measure moves on it and on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.settings import shipped, yaml_file
from engine.settings.errors import UsageError

Said = tuple[str, str]
"""(seat, text)."""

_Turn = Annotated[list[str], Field(min_length=2, max_length=2)]


class Planted(BaseModel):
    """One talk, and the ways in which it could go on; a number in an ending is a turn of the talk, said again."""

    model_config = ConfigDict(extra="forbid", strict=True)
    title: str
    question: str
    talk: list[_Turn] = Field(min_length=1)
    endings: dict[str, list[Annotated[int, Field(ge=1)] | _Turn]]

    def ending(self, name: str) -> list[Said]:
        """The turns of an ending."""
        turns = [self.talk[item - 1] if isinstance(item, int) else item for item in self.endings[name]]
        return [(seat, text) for seat, text in turns]


@dataclass(frozen=True, slots=True)
class Check:
    """What a measure must tell apart: in every talk, each of `moves` from each of `stays`, by at least `by`.

    An ending's value is the mean over its turns, or the last one's for a measure that looks back over some turns.
    """

    moves: tuple[str, ...]
    stays: tuple[str, ...]
    rises: bool
    by: float
    last: bool = False

    def value(self, values: list[float]) -> float:
        return values[-1] if self.last else fmean(values)


CHECKS: dict[str, Check] = {
    "novelty": Check(("repeats",), ("goes_on", "rewords", "switches"), rises=False, by=0.5),
    "novelty_meaning": Check(("repeats", "rewords"), ("goes_on", "switches"), rises=False, by=0.07),
    "repetition": Check(("repeats",), ("goes_on", "rewords", "switches"), rises=True, by=0.5),
    "structure": Check(("plan",), ("prose",), rises=True, by=3),
    "drift": Check(("switches",), ("goes_on", "rewords", "repeats", "contradicts"), rises=True, by=0.07, last=True),
}
"""`by` is at most half of the smallest gap on talks that are not shipped: 1 for words, 6.7 for lines, and 0.14 for both
measures of meaning, the drift with static vectors (WordLlama's) and the novelty with MiniLM's."""


class Tracker(Protocol):
    """What measures one turn after the other."""

    def measure(self, text: str) -> Mapping[str, float]: ...


def load(folder: Path | None = None) -> list[Planted]:
    """The planted talks, in the order of their files; those shipped unless told otherwise. Raises UsageError."""
    found = []
    for path in sorted((folder or shipped.folder("config") / "planted").glob("*.yml")):
        try:
            one = Planted.model_validate(yaml_file.load_mapping(path))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        for name, items in one.endings.items():
            if beyond := [item for item in items if isinstance(item, int) and item > len(one.talk)]:
                raise UsageError(f"{path}: endings.{name}: there is no turn {beyond[0]}; the talk has {len(one.talk)}")
        found.append(one)
    return found


def passing(make: Callable[[str], Tracker], names: Iterable[str], talks: list[Planted]) -> set[str]:
    """The measures of `names` that pass their check on every talk that has its endings.

    `make` gives a fresh tracker for a question. A measure that a turn has no value of fails.
    """
    wanted = {name: CHECKS[name] for name in names}
    passed = {name for name, check in wanted.items() if any(_has(talk, check) for talk in talks)}
    for talk in talks:
        needed = {ending for name in passed for ending in (*wanted[name].moves, *wanted[name].stays)}
        measured = {ending: _measured(make, talk, ending) for ending in needed & talk.endings.keys()}
        passed = {name for name in passed if not _has(talk, wanted[name]) or _holds(name, wanted[name], measured)}
    return passed


def _has(talk: Planted, check: Check) -> bool:
    return talk.endings.keys() >= {*check.moves, *check.stays}


def _measured(make: Callable[[str], Tracker], talk: Planted, ending: str) -> list[Mapping[str, float]]:
    tracker = make(talk.question)
    for _, text in talk.talk:
        tracker.measure(text)
    return [tracker.measure(text) for _, text in talk.ending(ending)]


def _holds(name: str, check: Check, measured: Mapping[str, list[Mapping[str, float]]]) -> bool:
    values: dict[str, float] = {}
    for ending in (*check.moves, *check.stays):
        found = [turn[name] for turn in measured[ending] if name in turn]
        if len(found) < len(measured[ending]):
            return False
        values[ending] = check.value(found) if check.rises else -check.value(found)
    return min(values[ending] for ending in check.moves) - max(values[ending] for ending in check.stays) >= check.by
