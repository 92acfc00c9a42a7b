"""The pipeline of a series, checked: the runs that it plays one after another, or the generations of one question.

Every key here is read somewhere.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.record.allowances import Allowance
from engine.runs import kinds, pipelines
from engine.settings import layers
from engine.settings.errors import UsageError, nearest
from engine.talk.loop_spec import shortened

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, str_strip_whitespace=True)
_OF_EVOLUTION = ("question", "pipeline", "generations", "children", "judge", "baseline")
_OF_LISTS = ("runs", "repeat")
_ANOTHER_CHILD = 1_009
"""Added to the seed of draws from child to child, so that no two say the same."""


class Exhausted(Exception):
    """The lineage has used up a limit: no further child follows."""

    def __init__(self, node: Allowance) -> None:
        super().__init__(node.unit)
        self.node = node


class Parted(Exception):
    """Somebody has ended the series politely: no further child follows."""


class Judge(BaseModel):
    """Who compares two answers, told nothing of where they come from."""

    model_config = _STRICT
    model: str = Field(min_length=1)
    options: dict[str, Any] = {}


class Limits(BaseModel):
    """What all children may use together, one budget; 0 is unlimited."""

    model_config = _STRICT
    turns: int | None = Field(None, ge=0)
    tokens: int | None = Field(None, ge=0)
    cost: float | None = Field(None, ge=0, strict=False)
    minutes: float | None = Field(None, ge=0, strict=False)

    def caps(self) -> dict[str, float | None]:
        """The allowance of each unit, None where there is no limit."""
        return {unit: value or None for unit, value in self.model_dump().items()}


class Series(BaseModel):
    """Runs one after another. Either `runs` are played as they stand, or a `question` evolves."""

    model_config = _STRICT
    kind: Literal["series"]
    title: str = Field("", max_length=160)
    runs: list[str | dict[str, Any]] = []
    """Pipelines, by name, by path or written out; played in this order."""
    repeat: int = Field(1, ge=0)
    """How often the whole list is played; 0: until a limit or somebody ends it."""
    question: str | None = Field(None, min_length=1)
    """What the first generation starts from; the pipeline's own where it is not given."""
    pipeline: str | dict[str, Any] | None = None
    """What each child of a generation plays."""
    generations: int = Field(2, ge=1)
    children: int = Field(2, ge=1)
    """Runs in each generation."""
    judge: Judge | None = None
    """Selects the best answers, if it proves that it can; they are selected by their form without it."""
    baseline: bool = True
    """Whether one run that is not evolved is given what the lineage has spent, and compared with it."""
    limits: Limits = Limits()
    seed: int = Field(0, ge=0)
    """Makes the draws of the planted pairs repeatable."""
    answers: Literal["ask", "default", "fail"] = "ask"
    deadline: float | None = Field(None, gt=0, strict=False)
    """Minutes after which an ask that has a default takes it."""

    @property
    def evolves(self) -> bool:
        return self.pipeline is not None


def validate(pipeline: dict[str, Any], source: str) -> Series:
    """The complete spec of a series, its pipelines resolved. Raises UsageError naming file and key."""
    try:
        series = Series.model_validate(pipeline)
    except ValidationError as error:
        raise UsageError(f"{source}: {_line(error)}") from None
    if bool(series.runs) == series.evolves:
        both = "not both" if series.runs else "one is needed"
        raise UsageError(f"{source}: a series plays `runs: [PIPELINE, ...]`, or a `pipeline` in `generations`: {both}")
    unread = [key for key in (_OF_LISTS if series.evolves else _OF_EVOLUTION) if _is_told(series, key)]
    if unread:
        of = "runs" if series.evolves else "a pipeline that evolves"
        raise UsageError(f"{source}: {unread[0]}: only a series of {of} has it; leave it out")
    series.runs = [_resolved(item, f"{source}: runs.{number}") for number, item in enumerate(series.runs)]
    if series.pipeline is not None:
        series.pipeline = _resolved(series.pipeline, f"{source}: pipeline")
        series.question = series.question or _question(series.pipeline, source)
        series.title = series.title or f"Evolution of: {shortened(series.question, 140)}"
    series.title = series.title or f"{len(series.runs)} runs in series"
    return series


def child(series: Series, number: int, title: str, seed: str | None = None) -> dict[str, Any]:
    """The checked spec of the child `number` (0, 1, ...), its seed set."""
    base = series.pipeline if series.evolves else series.runs[number % len(series.runs)]
    assert isinstance(base, dict)
    kind = kinds.load(base["kind"])
    data = layers.copy(base) | {"title": title, "answers": series.answers}
    if series.deadline is not None:
        data["deadline"] = series.deadline
    if seed is not None:
        data[kind.SEED] = seed
    if data.get("seed") is not None:
        data["seed"] += _ANOTHER_CHILD * number
    if series.limits.cost and not data["limits"].get("cost"):
        data["limits"] = data["limits"] | {"cost": series.limits.cost}  # calls of a run without one reserve no money
    return kind.validate(data, f"series {series.title!r}")


def baseline(series: Series, tokens: int) -> dict[str, Any]:
    """The checked spec of the run that is not evolved: it goes on until it has used so many tokens.

    It stands beside the budget of the lineage, so it has the series' limits of money and time for its own, or a tighter
    one of money that its pipeline has.
    """
    base = series.pipeline
    assert isinstance(base, dict)
    data = layers.merge(base, {"repetition": {"then": "ignore"}})
    caps = [cap for cap in (series.limits.cost, base["limits"].get("cost")) if cap]
    data["limits"] = {
        "turns": 0,
        "tokens": tokens,
        "cost": min(caps, default=None),
        "minutes": series.limits.minutes or None,
    }
    data.pop("stop", None)
    whole = series.model_copy(update={"pipeline": data, "limits": Limits()})
    return child(whole, 0, f"{series.title}: unevolved", series.question)


def _resolved(pipeline: str | dict[str, Any], where: str) -> dict[str, Any]:
    name = pipeline if isinstance(pipeline, str) else pipeline.get("kind")
    try:
        found = pipelines.resolve(pipeline)
    except UsageError as error:
        raise UsageError(f"{where}: {str(error).removeprefix('this run: ')}") from None
    if found["kind"] == "series":
        raise UsageError(f"{where}: {name} is a series itself; name a duel or a loop")
    return found


def _question(pipeline: dict[str, Any], source: str) -> str:
    seed = pipeline.get(kinds.load(pipeline["kind"]).SEED)
    if not seed:
        raise UsageError(f"{source}: question: missing, and the pipeline has none; add question: TEXT, or --seed TEXT")
    return str(seed)


def _is_told(series: Series, key: str) -> bool:
    """Whether a key was given another value than its default, which a stored spec has all of."""
    return bool(getattr(series, key) != Series.model_fields[key].get_default())


def _line(error: ValidationError) -> str:
    """The first fault in one line: the key, what is wrong, what was meant."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        places: dict[str, type[BaseModel]] = {"limits": Limits, "judge": Judge}
        known = places.get(path[0], Series) if len(path) > 1 else Series
        return f"{'.'.join(path)}: unknown key; {nearest(path[-1], known.model_fields)}"
    if first["type"] == "missing":
        return f"{'.'.join(path)}: missing"
    spot = ".".join(part for part in path if part not in ("str", "dict[str,any]"))
    return f"{spot}: {first['msg']}, got {first['input']!r:.80}"
