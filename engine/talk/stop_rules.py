"""Rules of a pipeline that end, pause or ask once a measure has been low or high for some turns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.settings.errors import UsageError, nearest
from engine.talk.health import MEASURES


class StopRule(BaseModel):
    """`{measure: novelty, below: 0.2, turns: 4, then: end}`: each of the last four turns was below."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, str_strip_whitespace=True)
    measure: str
    below: float | None = Field(None, strict=False)
    above: float | None = Field(None, strict=False)
    turns: int = Field(3, ge=1, le=1000)
    then: Literal["end", "pause", "ask"] = "end"

    @field_validator("measure")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in MEASURES:
            raise ValueError(f"no measure is called {name!r}; {nearest(name, MEASURES)}")
        return name

    @model_validator(mode="after")
    def _one_bound(self) -> StopRule:
        if (self.below is None) == (self.above is None):
            raise ValueError("say either below or above, and a number")
        top = MEASURES[self.measure].highest
        reach = f"{self.measure} is from 0 {'up' if top is None else f'to {top:g}'}"
        if self.below is not None and (self.below <= 0 or (top is not None and self.below > top)):
            raise ValueError(f"below {self.below:g} is {'never' if self.below <= 0 else 'always'} so: {reach}")
        if self.above is not None and (self.above < 0 or (top is not None and self.above >= top)):
            raise ValueError(f"above {self.above:g} is {'always' if self.above < 0 else 'never'} so: {reach}")
        return self

    def __str__(self) -> str:
        """As events and questions name it: `novelty < 0.2`."""
        return f"{self.measure} < {self.below:g}" if self.below is not None else f"{self.measure} > {self.above:g}"


def crossed(rule: StopRule, series: Sequence[tuple[int, float]], since: int = 0) -> float | None:
    """Of the last `rule.turns` values the one nearest to the threshold, if all are beyond it; else None.

    `series` is (seq, value) in the order of the turns, as `metrics.of_turns` gives it; values up to turn `since` do not
    count, so that a conversation told to go on is not stopped by the same turns again. A turn without a value (it had
    no words) neither counts nor breaks a row.
    """
    latest = [value for _, value in series[-rule.turns :]]
    if len(latest) < rule.turns or series[-rule.turns][0] <= since:
        return None
    if rule.below is not None:
        nearest_one = max(latest)
        return nearest_one if nearest_one < rule.below else None
    assert rule.above is not None
    nearest_one = min(latest)
    return nearest_one if nearest_one > rule.above else None


def check_measured(rules: Sequence[StopRule], shown: Collection[str]) -> None:
    """Refuse a rule whose measure is not taken in this run. Raises UsageError beginning with the key."""
    for number, rule in enumerate(rules):
        if rule.measure not in shown:
            raise UsageError(f"stop.{number}.measure: {rule.measure} is not measured here: {_why(rule.measure)}")


def _why(name: str) -> str:
    needs = MEASURES[name].needs
    if needs == "embedder":
        return "it needs an embedding model that passes its check; `novelty` and `repetition` need none"
    if needs == "model":
        return f"name a model for it, as in health.{name}.model: PROVIDER/MODEL"
    return "it failed its check on this installation"
