"""Every key of a duel's pipeline and of talk.yml: changing it changes something that can be seen.

The keys are those of the models that check a pipeline, and those that talk.yml has: a new one fails until it has a
case here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from engine.providers import prices, scripted
from engine.record import export
from engine.runs import pipelines
from engine.runs.host import Unanswered
from engine.settings import layers, shipped, yaml_file
from engine.settings.errors import UsageError
from engine.talk.spec import Context, Duel, Guest, Limits, Repetition, Seat
from tests.engine.talk.stage import Live, Stage
from tui.state import seats as seat_views

ECHO: dict[str, Any] = {"otherwise": "echo"}
LONG: dict[str, Any] = {"otherwise": "echo", "words": 30}
TWO = "First sentence here. And then a second one that is longer."
LOOP: dict[str, Any] = {"seats": {"*": ["one two three four five six"] * 12}}
HALF: dict[str, Any] = {
    "seats": {"*": [f"one two three four five six {n} {n}a {n}b {n}c" for n in range(12)]},
}
FAULT: dict[str, Any] = {"seats": {"*": [{"text": "x", "faults": [{"attempt": 1, "fault": "refused"}]}]}}
SLOW: dict[str, Any] = {"otherwise": "echo", "pace": {"chunk": 4, "delay": 0.02}}
SHORT: dict[str, Any] = {"options": {"max_tokens": 60}}
TIGHT = {**SHORT, "window": 256}
GUEST = {"slug": "ann", "name": "Ann", "description": "A guest", "prompt": "You are Ann."}
EXAMPLE = [["How are you?", "Well, thank you."]]


@dataclass
class Changed:
    """A pipeline before and after a change of one key; `how` it is looked at."""

    after: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    script: dict[str, Any] = field(default_factory=lambda: ECHO)
    how: str = "played"


def seat(**after: Any) -> Changed:
    return Changed({"ann": after})


def guest(**after: Any) -> Changed:
    return Changed({"ann": {"guest": {**GUEST, **after}}}, {"ann": {"guest": GUEST}})


BOB_FIRST = [{"persona": name, "model": "scripted/play"} for name in ("bob", "ann")]
NO_MODEL = {"guest": GUEST, "model": None}
SOON = 0.0005
CASES: dict[tuple[type[BaseModel], str], Changed] = {
    (Duel, "kind"): Changed({"kind": "nonsense"}),
    (Duel, "title"): Changed({"title": "Another"}),
    (Duel, "seats"): Changed({"seats": BOB_FIRST, "starter": "bob"}),
    (Duel, "opening"): Changed({"opening": "Good evening."}),
    (Duel, "starter"): Changed({"starter": "bob"}),
    (Duel, "start"): Changed({"start": "Begin at once."}),
    (Duel, "rules"): Changed({"rules": "turing-test"}),
    (Duel, "limits"): Changed({"limits": {"turns": 2}}),
    (Duel, "context"): Changed(
        {"context": {"strategy": "refuse"}}, {"ann": TIGHT, "limits": {"turns": 8}}, LONG, "asked"
    ),
    (Duel, "repetition"): Changed({"repetition": {"then": "end", "turns": 1}}, script=LOOP),
    (Duel, "partial"): Changed({"partial": "continue"}, script=SLOW, how="crashed"),
    (Duel, "seed"): Changed({"seed": 7}),
    (Duel, "answers"): Changed({"answers": "fail"}, {"answers": "default"}, FAULT),
    (Duel, "deadline"): Changed({"deadline": SOON}, script=FAULT, how="asked"),
    (Limits, "turns"): Changed({"limits": {"turns": 2}}),
    (Limits, "tokens"): Changed({"limits": {"turns": 4, "tokens": 60}}),
    (Limits, "cost"): Changed({"limits": {"turns": 4, "cost": 0.06}}),
    (Limits, "minutes"): Changed({"limits": {"turns": 4, "minutes": SOON}}, script=SLOW),
    (Context, "strategy"): Changed(
        {"context": {"strategy": "refuse"}}, {"ann": TIGHT, "limits": {"turns": 8}}, LONG, "asked"
    ),
    (Repetition, "threshold"): Changed(
        {"repetition": {"then": "end", "turns": 1, "threshold": 0.2}}, {"repetition": {"then": "end", "turns": 1}}, HALF
    ),
    (Repetition, "turns"): Changed(
        {"repetition": {"then": "end", "turns": 1}}, {"repetition": {"then": "end", "turns": 9}}, LOOP
    ),
    (Repetition, "then"): Changed({"repetition": {"then": "end", "turns": 1}}, script=LOOP),
    (Seat, "name"): seat(name="Zoe"),
    (Seat, "persona"): Changed({"ann": {"persona": "bob"}}, {"ann": {"name": "Q"}, "starter": "Q"}),
    (Seat, "model"): seat(model="scripted/other"),
    (Seat, "options"): seat(options={"temperature": 0.125}),
    (Seat, "human"): Changed({"ann": {"human": True}}, how="asked"),
    (Seat, "window"): Changed({"ann": TIGHT}, {"ann": SHORT, "limits": {"turns": 8}}, LONG),
    (Seat, "memory"): seat(memory=1),
    (Seat, "examples"): Changed(
        {"ann": {"guest": {**GUEST, "examples": EXAMPLE}, "examples": True}},
        {"ann": {"guest": {**GUEST, "examples": EXAMPLE}}},
    ),
    (Seat, "whole_sentences"): Changed(
        {"ann": {"whole_sentences": True, "options": {"max_tokens": 6}}},
        {"ann": {"options": {"max_tokens": 6}}},
        {"seats": {"*": [TWO] * 4}},
    ),
    (Seat, "guest"): seat(guest={**GUEST, "prompt": "You are someone else."}),
    (Guest, "slug"): guest(slug="another"),
    (Guest, "name"): Changed(
        {"ann": {"guest": {**GUEST, "name": "Anna"}}, "starter": "bob"}, {"ann": {"guest": GUEST}, "starter": "bob"}
    ),
    (Guest, "description"): guest(description="Another guest"),
    (Guest, "language"): guest(language="is"),
    (Guest, "prompt"): guest(prompt="You are someone else."),
    (Guest, "model"): Changed({"ann": {**NO_MODEL, "guest": {**GUEST, "model": "scripted/other"}}}, {"ann": NO_MODEL}),
    (Guest, "options"): guest(options={"temperature": 0.125}),
    (Guest, "examples"): Changed(
        {"ann": {"guest": {**GUEST, "examples": EXAMPLE}, "examples": True}},
        {"ann": {"guest": GUEST, "examples": True}},
    ),
}


def test_every_key_of_a_duel_has_a_case() -> None:
    known = {(model, key) for model in (Duel, Seat, Guest, Limits, Context, Repetition) for key in model.model_fields}
    assert known == set(CASES)


async def look(stage: Stage, case: Changed, over: dict[str, Any]) -> Any:
    """What can be seen of the pipeline: what is said and sent, how it ends, how it is shown."""
    scripted.register("play", case.script)
    pipeline = stage.pipeline(**over)
    pipeline["seats"] = [{key: value for key, value in told.items() if value is not None} for told in pipeline["seats"]]
    try:
        answers = str(pipeline.get("answers", "ask"))
        run = stage.create(pipeline, answers=answers)
    except UsageError as error:
        return str(error)
    if case.how == "crashed":
        async with stage.host(run, crash=True) as live:
            await live.shown(1, 12)
        return [bool(request.prefill) for request in (await stage.go_on(run)).requests[:1]]
    try:
        async with stage.host(run, crash=case.how == "asked") as live:
            if case.how == "asked":
                return await asked(live)
            outcome = await live.alone()
    except Unanswered as error:
        return f"unanswered: {error}"
    source = stage.read(lambda db: export.read(db, stage.row(run)))
    return {
        "ended": (outcome.status, outcome.reason),
        "said": stage.said(run),
        "sent": [
            (item.model, [(said.role, said.content) for said in item.messages], dict(item.options), item.prefill)
            for item in live.requests
        ],
        "title": source.run.title,
        "cuts": [event.data["strategy"] for event in stage.events(run, "context.cut")],
        "languages": [item.language for item in source.seats],
        "about": [item.about for item in seat_views.of_spec(source.spec)],
    }


async def asked(live: Live) -> Any:
    """What the run asks first, and what comes of that without an answer, if anything does."""
    n = live.stage.n(live.run)
    rows = await live.until(
        lambda db: db.execute("SELECT kind, deadline FROM ask WHERE run = ?", (n,)).fetchall() or live.playing.done(),
        "an ask, or the end",
    )
    if rows is True:
        return "never asks"
    (kind, deadline), *_ = rows
    return (kind, "for ever") if deadline is None else (kind, (await live.ended()).reason)


@pytest.mark.parametrize("key", CASES, ids=lambda key: f"{key[0].__name__}.{key[1]}")
async def test_every_key_of_a_duel_changes_what_is_seen(
    key: tuple[type[BaseModel], str], stage: Stage, home: Path
) -> None:
    case = CASES[key]
    scripted.register("other", {"otherwise": "echo", "words": 3})
    (home / "prices.yml").write_text(yaml.safe_dump({"scripted/*": 1000}))
    prices.table.cache_clear()
    before = await look(stage, case, {**case.before})
    assert await look(stage, case, {**case.before}) == before, "the same pipeline shows the same"
    merged = layers.merge(case.before, case.after)
    assert await look(stage, case, merged) != before


# -- talk.yml


def leaves(data: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= leaves(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return found


DEFAULTS = leaves(yaml_file.load_mapping(shipped.folder("config") / "talk.yml"))
OTHERWISE: dict[str, Any] = {
    "rules": "none",
    "limits.turns": 7,
    "start": "Begin.",
    "context.strategy": "refuse",
    "repetition.threshold": 0.5,
    "repetition.turns": 5,
    "repetition.then": "pause",
    "partial": "continue",
}


def test_every_default_has_a_case() -> None:
    assert set(DEFAULTS) == set(OTHERWISE)
    assert all(DEFAULTS[key] != value for key, value in OTHERWISE.items())


@pytest.mark.parametrize("key", OTHERWISE)
def test_every_default_is_the_pipelines_until_it_says_otherwise(key: str, home: Path) -> None:
    scripted.register("play", ECHO)
    seats = [{"persona": name, "model": "scripted/play"} for name in ("ann", "bob")]
    pipeline = {"kind": "duel", "seats": seats, "starter": "ann"}
    plain = pipelines.resolve(pipeline)
    assert leaves({name: value for name, value in plain.items() if name != "seats"})[key] == DEFAULTS[key]
    own = layers.apply({}, [f"{key}={OTHERWISE[key]}"])
    (home / "talk.yml").write_text(yaml.safe_dump(own))
    changed = pipelines.resolve(pipeline)
    assert changed != plain
    assert pipelines.resolve(layers.merge(pipeline, own)) == changed
    (home / "talk.yml").unlink()
    assert pipelines.resolve(layers.merge(pipeline, own)) == changed, "a pipeline that says it is the same"
