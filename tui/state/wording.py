"""What an event that is not speech says in the transcript: one line, or nothing.

A limit that is reached says nothing: the end of the run, which it comes to, names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.record.events import Event, Kind
from engine.record.visible import one_line
from tui.state import figures

_LONG = 160
_QUOTED = 40
_TAKEN = {
    "label": "a label",
    "thinking": "thinking",
    "other": "words for others",
    "question": "what followed its question",
}
"""Why words of an answer did not become words of its turn."""


def line(event: Event) -> str | None:
    """The line for one event, safe to show; None when it has nothing to say."""
    say = _LINES.get(event.kind)
    text = say(event.data) if say else None
    return one_line(text, _LONG) if text else None


def _ended(how: str) -> Callable[[Mapping[str, Any]], str]:
    def say(data: Mapping[str, Any]) -> str:
        why = str(data.get("detail") or "") or str(data.get("reason") or "").replace("_", " ")
        return f"{how}: {why}" if why else how

    return say


def _changed(data: Mapping[str, Any]) -> str | None:
    changes = {key: value for key, value in (data.get("changes") or {}).items() if not str(key).startswith("seats")}
    return " · ".join(f"{key} is now {value}" for key, value in changes.items()) or None


def _swapped(data: Mapping[str, Any]) -> str | None:
    seat, changes = data.get("seat"), dict(data.get("changes") or {})
    parts = []
    if "model" in changes:
        parts.append(f"runs on {changes.pop('model')}")
    if "persona" in changes:
        parts.append(f"is {changes.pop('persona')}")
    changes.pop("human", None)  # taking and handing back a seat say so themselves
    parts += [f"has {key.removeprefix('options.')} {value}" for key, value in changes.items()]
    return f"{seat} now {', '.join(parts)}" if parts else None


def _cut(data: Mapping[str, Any]) -> str:
    seat, kept, dropped = data.get("seat"), data.get("kept"), data.get("dropped")
    if data.get("strategy") == "memory":
        return f"{seat} is sent only the latest messages from here on"
    how = "summed up" if data.get("strategy") == "summarise" else "left out"
    after = f" after the first {kept}" if kept else ""
    return f"{seat} no longer reads {dropped} messages{after}: {how}, the window holds {_tokens(data.get('window'))}"


def _truncated(data: Mapping[str, Any]) -> str:
    read, sent = _tokens(data.get("counted")), _tokens(data.get("estimated"))
    return f"{data.get('seat')} was sent about {sent}, but its model read only {read}"


def _settled(data: Mapping[str, Any]) -> str:
    amount = data.get("amount")
    unit = data.get("unit")
    shown = figures.count(amount) if isinstance(amount, int | float) and unit != "cost" else str(amount)
    return f"the call that broke off is counted at its estimate: {shown} {unit}"


def _repeats(data: Mapping[str, Any]) -> str:
    value, threshold = data.get("value"), data.get("threshold")
    shown = f" {value:.2f}" if isinstance(value, int | float) else ""
    over = f", over {threshold}" if threshold is not None else ""
    return f"the talk repeats itself ({data.get('measure')}{shown}{over})"


def _crossed(data: Mapping[str, Any]) -> str:
    value, turns = data.get("value"), data.get("turns")
    shown = f", now {value:g}" if isinstance(value, int | float) else ""
    return f"a stop rule holds: {data.get('rule')} for {turns} turn{'s' * (turns != 1)}{shown}"


def _tried(data: Mapping[str, Any]) -> str:
    measure, model = data.get("measure"), data.get("model")
    if not data.get("trusted"):
        return f"{measure} is not measured: {model}: {data.get('why')}"
    found = (
        f"{data.get('hits')} of {data.get('of')} planted contradictions found, {data.get('wrong')} where there was none"
    )
    return f"{measure} is measured by {model} ({found})"


def _denied(data: Mapping[str, Any]) -> str:
    now, earlier = (one_line(str(data.get(key) or ""), _QUOTED) for key in ("now", "earlier"))
    return f"{data.get('seat')} denies turn {data.get('against')}: “{now}” against “{earlier}”"


def _trimmed(data: Mapping[str, Any]) -> str:
    """What was taken off, named by what it was, and its first words."""
    seat, taken = data.get("seat"), one_line(str(data.get("taken") or "").lstrip(" .!,;:"), _QUOTED)
    reasons = [reason.strip() for reason in str(data.get("why") or "").split(",")]
    if "guard" in reasons:
        return f"{seat}'s topic stays as it was, this changed more than its spelling: “{taken}”"
    what = " and ".join(_TAKEN.get(reason, reason) for reason in reasons)
    return f"{seat}'s turn leaves out {what}" + (f": “{taken}”" if taken else "")


def _faulty(data: Mapping[str, Any]) -> str:
    return f"{data.get('seat')}'s answer is not as its role asks: {data.get('fault')}"


def _retried(data: Mapping[str, Any]) -> str:
    wait = data.get("wait")
    pause = f" in {wait:.3g} s" if isinstance(wait, int | float) else ""
    return f"{data.get('seat')}: {data.get('error')}; attempt {data.get('attempt')}{pause}"


def _refused(data: Mapping[str, Any]) -> str:
    return f"{data.get('verb')} refused: {data.get('why')}"


def _tokens(value: Any) -> str:
    return f"{figures.count(value)} tokens" if isinstance(value, int | float) else "unknown"


_LINES: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    Kind.RUN_STARTED: lambda data: "resumed" if data.get("resumed") else None,
    Kind.RUN_CRASHED: lambda data: "the host died here",
    Kind.RUN_WAITING: lambda data: None if "ask" in data else f"waits: {data.get('why')}",
    Kind.RUN_FINISHED: _ended("finished"),
    Kind.RUN_STOPPED: _ended("stopped"),
    Kind.RUN_FAILED: _ended("failed"),
    Kind.RUN_FORKED: lambda data: f"forked at turn {data.get('at_turn')}: {data.get('child')}",
    Kind.SPEC_CHANGED: _changed,
    Kind.SEAT_CHANGED: _swapped,
    Kind.SEAT_TAKEN: lambda data: f"{data.get('who')} speaks for {data.get('seat')} now",
    Kind.SEAT_RELEASED: lambda data: f"{data.get('seat')} speaks for itself again",
    Kind.TURN_FAILED: lambda data: f"{data.get('seat')} could not answer: {data.get('error')}",
    Kind.CONTROL_WORD: lambda data: f"{data.get('seat')} said /{str(data.get('word')).lstrip('/')}",
    Kind.CALL_RETRIED: _retried,
    Kind.RATE_WAITED: lambda data: f"{data.get('seat')}: the provider's rate limit asks for {data.get('wait')} s",
    Kind.MEMORY_LIMITED: lambda data: str(data.get("why")),
    Kind.MEASURE_CROSSED: _crossed,
    Kind.MEASURE_TRIED: _tried,
    Kind.DENIAL_FOUND: _denied,
    Kind.ANSWER_TRIMMED: _trimmed,
    Kind.ANSWER_FAULTY: _faulty,
    Kind.CONTEXT_CUT: _cut,
    Kind.CONTEXT_TRUNCATED: _truncated,
    Kind.LIMIT_SETTLED: _settled,
    Kind.REPETITION_FOUND: _repeats,
    Kind.COMMAND_REFUSED: _refused,
    Kind.COMMAND_CANCELLED: lambda data: f"{data.get('verb')} was not done: the host died first",
}
KINDS = frozenset(_LINES)
"""The kinds that may have a line."""
