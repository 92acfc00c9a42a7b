"""Every key of a loop's pipeline and of a role: changing it changes something that can be seen.

The keys are those of the models that check them: a new one fails until it has a case here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from engine.memory import embedder
from engine.memory.connection import beside
from engine.memory.sqlite_store import SqliteStore
from engine.memory.store import Document, Passage
from engine.providers import scripted
from engine.record import citations, export, minutes
from engine.runs.host import Unanswered
from engine.settings.errors import UsageError
from engine.talk import roles
from engine.talk.loop_spec import Health, Loop, LoopSeat, Mediator, Recall, Watcher
from engine.talk.roles import Plain, Role
from engine.talk.seats import Seating
from engine.talk.spec import Seat
from engine.talk.stop_rules import StopRule
from tests.engine.memory.letters import Letters
from tests.engine.talk.stage import Stage
from tests.engine.talk.test_every_key import EXAMPLE, GUEST, SOON, asked
from tests.engine.talk.test_loop import ASKED, SAID, loop

QUESTIONER, CREATOR, MEDIATOR = (roles.read(name) for name in ("questioner", "creator", "mediator"))
BARE = {"name": "Creator", "about": "answers", "then": "Answer."}
"""A role of the fewest keys, for the Creator's seat."""
PLAN = {**BARE, "plan": "With a heading and a list.", "then": "Plan it."}
CHAINED: dict[str, Any] = {
    "Creator": ["It rolls.\nNextPrompt: Why does every river carry gravel away"] * 4,
    "Questioner": ["Is it so?", "Do you like tea?", "And now?"],
}
SAME: dict[str, Any] = {"Questioner": ["Is it the tide that moves?"] * 9, "Creator": ["It is the tide that moves."] * 9}
HALF: dict[str, Any] = {
    "Questioner": [f"Is it the tide {n} {n}a {n}b?" for n in range(9)],
    "Creator": [f"Is it the tide {n} {n}c {n}d." for n in range(9)],
}
FAULT: dict[str, Any] = {"Creator": [{"text": "x", "faults": [{"attempt": 1, "fault": "refused"}]}]}
SLOW: dict[str, Any] = {"Questioner": [{"text": text, "chunk": 4, "delay": 0.02} for text in ASKED[:4]]}
LONG: dict[str, Any] = {
    "Questioner": [f"{'As to gravel and stones, ' * 8}{text}" for text in ASKED[:9]],
    "Creator": [f"{text} " * 4 for text in SAID[:9]],
}
TWO: dict[str, Any] = {"Creator": ["First sentence here. And then a second one that is longer."] * 4}
TIGHT = {"window": 900, "options": {"max_tokens": 60}}
STOPS = {"measure": "novelty", "below": 0.2, "turns": 2}
DOCUMENTS = {"sources": ["documents"]}


@dataclass
class Changed:
    """A loop before and after a change of one key; `how` it is looked at. `{seat}_seat` and `{seat}_role` are merged
    into what the seat and its role are."""

    after: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    script: dict[str, Any] = field(default_factory=dict)
    how: str = "played"


def seat(before: dict[str, Any] | None = None, script: dict[str, Any] | None = None, **after: Any) -> Changed:
    return Changed({"creator_seat": {**(before or {}), **after}}, {"creator_seat": before or {}}, script or {})


def role(before: dict[str, Any] | None = None, script: dict[str, Any] | None = None, **after: Any) -> Changed:
    """A change of one key of the Creator's role."""
    first = {**BARE, **(before or {})}
    over = {"creator_seat": {"format": "plan"}} if first.get("plan") else {}
    return Changed({**over, "creator_role": {**first, **after}}, {**over, "creator_role": first}, script or {})


def plain(before: dict[str, Any] | None = None, script: dict[str, Any] | None = None, **after: Any) -> Changed:
    """A change of one key of its plain wording, for a model with a short memory."""
    first, over = {"then": "Say.", **(before or {})}, {"creator_seat": {"memory": 1}}
    both = {**BARE, "plan": "A plan.", "plain": first}
    return Changed(
        {**over, "creator_role": {**both, "plain": {**first, **after}}}, {**over, "creator_role": both}, script or {}
    )


def recall(**after: Any) -> Changed:
    return Changed({"recall": {**DOCUMENTS, **after}}, {"recall": DOCUMENTS})


def stops(
    after: dict[str, Any], script: dict[str, Any], before: dict[str, Any] = STOPS, how: str = "played"
) -> Changed:
    base = {"limits": {"turns": 9}}
    return Changed({**base, "stop": [after]}, {**base, "stop": [before]}, script, how)


CASES: dict[tuple[type[BaseModel], str], Changed] = {
    (Loop, "kind"): Changed({"kind": "nonsense"}),
    (Loop, "title"): Changed({"title": "Another"}),
    (Loop, "question"): Changed({"question": "What moves a star?"}),
    (Loop, "seats"): Changed({"roles": ["mediator"]}),
    (Loop, "limits"): Changed({"limits": {"turns": 2}}),
    (Loop, "context"): Changed(
        {"context": {"strategy": "refuse"}},
        {"limits": {"turns": 12}, "questioner_seat": TIGHT, "creator_seat": TIGHT},
        LONG,
        "asked",
    ),
    (Loop, "repetition"): Changed({"repetition": {"then": "end", "turns": 1}}, script=SAME),
    (Loop, "partial"): Changed({"partial": "continue"}, script=SLOW, how="crashed"),
    (Loop, "seed"): Changed({"seed": 7}),
    (Loop, "answers"): Changed({"answers": "fail"}, {"answers": "default"}, FAULT),
    (Loop, "deadline"): Changed({"deadline": SOON}, script=FAULT, how="asked"),
    (Loop, "mediator"): Changed({"mediator": {"every": 0}}, {"roles": ["mediator"]}),
    (Loop, "chain"): Changed({"chain": True}, {}, CHAINED),
    (Loop, "guard"): Changed({"guard": False}, {"chain": True}, CHAINED),
    (Loop, "literal"): Changed({"literal": True}),
    (Loop, "stop"): Changed({"stop": [STOPS]}, {}, SAME),
    (Loop, "recall"): Changed({"recall": DOCUMENTS}),
    (Mediator, "every"): Changed({"mediator": {"every": 4}}, {"roles": ["mediator"]}),
    (LoopSeat, "name"): seat(name="Zoe"),
    (LoopSeat, "persona"): seat(persona="ann"),
    (LoopSeat, "model"): seat(model="scripted/other"),
    (LoopSeat, "options"): seat(options={"temperature": 0.125}),
    (LoopSeat, "human"): Changed({"creator_seat": {"human": True}}, how="asked"),
    (LoopSeat, "window"): Changed(
        {"creator_seat": TIGHT}, {"limits": {"turns": 12}, "creator_seat": {"options": TIGHT["options"]}}, LONG
    ),
    (LoopSeat, "memory"): seat(memory=1),
    (LoopSeat, "examples"): seat({"persona": "ann", "guest": {**GUEST, "examples": EXAMPLE}}, examples=True),
    (LoopSeat, "whole_sentences"): seat({"options": {"max_tokens": 6}}, TWO, whole_sentences=True),
    (LoopSeat, "guest"): seat({"persona": "ann"}, guest={**GUEST, "prompt": "You are someone else."}),
    (LoopSeat, "role"): seat(role=BARE),
    (LoopSeat, "format"): seat(format="plan"),
    (Role, "slug"): Changed(
        {
            "questioner_role": {**QUESTIONER, "after": {"thinker": "A thinker spoke."}},
            "creator_role": {**BARE, "slug": "thinker"},
        },
        {"questioner_role": {**QUESTIONER, "after": {"thinker": "A thinker spoke."}}, "creator_role": BARE},
    ),
    (Role, "name"): role(name="Thinker"),
    (Role, "about"): role(about="thinks"),
    (Role, "then"): role(then="Think."),
    (Role, "first"): role(first="Begin to think."),
    (Role, "chained"): Changed(
        {"questioner_role": {**QUESTIONER, "chained": "Ask: {topic}"}},
        {"chain": True, "questioner_role": QUESTIONER},
        CHAINED,
    ),
    (Role, "after"): role(after={"questioner": "There was a question."}),
    (Role, "plan"): role(PLAN, plan="With nothing but headings."),
    (Role, "options"): role(options={"temperature": 0.125}),
    (Role, "place"): role(place="aside"),
    (Role, "every"): role(every=3),
    (Role, "question"): role(question=True),
    (Role, "words"): role(words=[2, 3]),
    (Role, "score"): role({"place": "aside"}, score=True),
    (Role, "parts"): role(PLAN, parts=["Why"]),
    (Role, "steps"): role(PLAN, steps=2),
    (Role, "bullets"): role(PLAN, bullets=2),
    (Role, "plain"): Changed(
        {"creator_role": {**BARE, "plain": {"then": "Say."}}},
        {"creator_seat": {"memory": 1}, "creator_role": BARE},
    ),
    (Plain, "then"): plain(then="Speak."),
    (Plain, "first"): plain(first="Begin."),
    (Plain, "chained"): Changed(
        {"questioner_role": {**QUESTIONER, "plain": {"then": "Ask.", "chained": "Ask: {topic}"}}},
        {
            "chain": True,
            "questioner_seat": {"memory": 1},
            "questioner_role": {**QUESTIONER, "plain": {"then": "Ask."}},
        },
        CHAINED,
    ),
    (Plain, "after"): plain(after={"questioner": "There was a question."}),
    (Plain, "plan"): Changed(
        {"creator_role": {**PLAN, "plain": {"then": "Say.", "plan": "As a list."}}},
        {"creator_seat": {"memory": 1, "format": "plan"}, "creator_role": {**PLAN, "plain": {"then": "Say."}}},
    ),
    (Plain, "options"): plain(options={"temperature": 0.125}),
    (Plain, "memory"): Changed(
        {"creator_role": {**BARE, "plain": {"then": "Say.", "memory": 2}}},
        {"creator_role": {**BARE, "plain": {"then": "Say."}}},
    ),
    (Plain, "words"): plain(words=[2, 3]),
    (Plain, "begins"): plain(begins=["Well,"]),
    (Plain, "begins_after"): plain(begins_after={"questioner": "Well,"}),
    (Recall, "sources"): recall(sources=["runs"]),
    (Recall, "limit"): recall(limit=1),
    (Recall, "gate"): recall(gate=1.5),
    (Recall, "snippet"): recall(snippet=80),
    (Recall, "block"): recall(block=["glacier"]),
    (Recall, "seats"): recall(seats=["Creator"]),
    (Loop, "health"): Changed({"health": {"disagreement": {"model": "scripted/play"}}}),
    (Health, "disagreement"): Changed({"health": {"disagreement": {"model": "scripted/play"}}}),
    (Watcher, "model"): Changed(
        {"health": {"disagreement": {"model": "scripted/other"}}},
        {"health": {"disagreement": {"model": "scripted/play"}}},
    ),
    (Watcher, "options"): Changed(
        {"health": {"disagreement": {"model": "scripted/play", "options": {"temperature": 0.5}}}},
        {"health": {"disagreement": {"model": "scripted/play"}}},
    ),
    (StopRule, "measure"): stops({**STOPS, "measure": "repetition"}, SAME),
    (StopRule, "below"): stops({**STOPS, "below": 0.9}, HALF),
    (StopRule, "above"): stops(
        {"measure": "repetition", "above": 0.2, "turns": 2}, HALF, {"measure": "repetition", "above": 0.95, "turns": 2}
    ),
    (StopRule, "turns"): stops({**STOPS, "turns": 5}, SAME),
    (StopRule, "then"): stops({**STOPS, "then": "ask"}, SAME, how="asked"),
}


def test_every_key_of_a_loop_has_a_case() -> None:
    models: tuple[type[BaseModel], ...] = (Loop, LoopSeat, Mediator, Health, Watcher, Recall, StopRule, Role, Plain)
    assert {(model, key) for model in models for key in model.model_fields} == set(CASES)


def built(case: dict[str, Any], script: dict[str, Any]) -> dict[str, Any]:
    """The pipeline of a case."""
    over = {key: value for key, value in case.items() if not key.endswith("_role")}
    for name in ("questioner", "creator"):
        if own := case.get(f"{name}_role"):
            over[f"{name}_seat"] = {"role": own, **over.get(f"{name}_seat", {})}
    return loop(script, **over)


def merged(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    found = {**before, **after}
    for key in before.keys() & after.keys():
        if key.endswith("_seat"):
            found[key] = {**before[key], **after[key]}
    return found


def remember(stage: Stage) -> None:
    """Three documents: two that share words with the talk, one that shares none."""
    texts = {
        "/stone": "A stone moves because a river carries it. " + "It rolls and rolls until it is round. " * 9,
        "/ice": "A glacier moves a stone as well.",
        "/else": "Nothing else here.",
    }
    letters = Letters()
    with SqliteStore(beside(stage.database)) as store:
        for path, text in texts.items():
            document = Document(path, "text", path[1:], path.encode(), 1, 1, [Passage("line 1", text)], ())
            store.put([document], letters.embed([text]), letters.name)


async def short(seating: Seating, seat: Seat) -> int:
    """A model that says of itself that more than the last message would confuse it."""
    return 1


async def look(stage: Stage, case: Changed, over: dict[str, Any]) -> Any:
    """What can be seen of the pipeline: what is said, written beside and sent, how it ends, how it is shown."""
    pipeline = built(over, case.script)
    try:
        run = stage.create(pipeline, answers=str(pipeline.get("answers", "ask")))
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
    n = stage.n(run)
    source = stage.read(lambda db: export.read(db, stage.row(run)))
    return {
        "ended": (outcome.status, outcome.reason),
        "said": stage.said(run),
        "sent": [
            (item.model, [(said.role, said.content) for said in item.messages], dict(item.options), item.prefill)
            for item in live.requests
        ],
        "beside": [
            (aside.seat, aside.text, aside.value) for aside in stage.read(lambda db: minutes.asides(db, n))
        ],
        "sources": [(seq, source.title) for seq, source in stage.read(lambda db: citations.of_run(db, n))],
        "title": source.run.title,
        "cuts": [event.data["strategy"] for event in stage.events(run, "context.cut")],
        "taken off": [event.data["taken"] for event in stage.events(run, "answer.trimmed")],
    }  # fmt: skip


@pytest.mark.parametrize("key", CASES, ids=lambda key: f"{key[0].__name__}.{key[1]}")
async def test_every_key_of_a_loop_changes_what_is_seen(
    key: tuple[type[BaseModel], str], stage: Stage, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[key]
    scripted.register("other", {"otherwise": "echo", "words": 3})
    if key[0] is Recall or key[1] == "recall":
        monkeypatch.setattr(embedder, "default", Letters)
        remember(stage)
    if key == (Plain, "memory"):
        monkeypatch.setattr(Seating, "memory", short)
    before = await look(stage, case, case.before)
    assert key == (Recall, "sources") or await look(stage, case, case.before) == before, "the same shows the same"
    assert "beside" in before or case.how != "played" or key[1] == "slug", before
    assert await look(stage, case, merged(case.before, case.after)) != before


def test_examples_without_a_persona_are_refused(stage: Stage) -> None:
    with pytest.raises(UsageError, match=r"seats\.1\.examples: they are a persona's; add persona: NAME"):
        stage.create(loop(creator_seat={"examples": True}))
