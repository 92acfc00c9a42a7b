"""What happens beside a conversation, in lines: minutes, scores, sources, measures, answers that missed their form."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from engine.cli.style import paint
from engine.record.minutes import KINDS, Item
from engine.record.visible import one_line

if TYPE_CHECKING:
    from engine.record.export.beside import Beside

_LONG = 160
"""Characters of an aside at most; the record has the rest."""
_PLURALS = {"claim": "claims", "question": "questions", "todo": "to-dos", "flag": "flags"}
_SINGULARS = {"todo": "to-do"}
_TRIMMED = {
    "label": "its own name",
    "thinking": "thinking",
    "other": "words in another's name",
    "question": "what is not its question",
    "guard": "a correction that changed the topic",
}


def objects(beside: Beside) -> dict[str, Any]:
    """What `show --json` says of the minutes and the measures of a run."""
    return {"minutes": [dataclasses.asdict(item) for item in beside.items], "measures": dict(beside.measures)}


def lines(beside: Beside) -> Iterator[str]:
    """The minutes, by what they are, for `show`."""
    for kind in KINDS:
        items = beside.of_kind(kind)
        if items:
            yield f"\n{paint(_PLURALS[kind].capitalize() + ':', bold=True)}"
            yield from map(_item, items)


def _item(item: Item) -> str:
    end = f", closed in turn {item.closed}" if item.closed is not None else ", open" if item.open else ""
    return f"  {one_line(item.text)} {paint(f'({one_line(item.seat)}, turn {item.seq}{end})', dim=True)}"


def _minutes(data: dict[str, Any]) -> str:
    kinds = [item["kind"] for item in data["raised"]]
    parts = [
        f"{count} {many if count > 1 else _SINGULARS.get(kind, kind)}"
        for kind, many in _PLURALS.items()
        if (count := kinds.count(kind))
    ]
    parts += [f"{len(data['closed'])} closed"] if data["closed"] else []
    parts += [f"{len(data['rejected'])} rejected"] if data["rejected"] else []
    return f"{one_line(data['seat'])} notes after turn {data['after']}: {', '.join(parts) or 'nothing'}"


def _aside(data: dict[str, Any]) -> str:
    score = "" if data.get("value") is None else f" {data['value']:g}"
    text = f" {one_line(data['text'], _LONG)}" if data.get("text") else ""
    return f"{one_line(data['seat'])} on turn {data['after']}:{score}{text}"


def _sources(data: dict[str, Any]) -> str:
    told = ", ".join(f"[{item['number']}] {one_line(item['title'], 40)}" for item in data["sources"])
    return f"{one_line(data['seat'])} is given {told}"


def _crossed(data: dict[str, Any]) -> str:
    return f"a stop rule holds: {data['rule']} for {data['turns']} turn{'s' * (data['turns'] != 1)}"


def _tried(data: dict[str, Any]) -> str:
    model = one_line(data["model"])
    if not data["trusted"]:
        return f"{data['measure']} is not measured: {model}: {one_line(data['why'])}"
    found = f"it found {data['hits']} of {data['of']} planted contradictions, and {data['wrong']} where there were none"
    return f"{data['measure']} is measured by {model}: {found}"


def _denial(data: dict[str, Any]) -> str:
    now, earlier = one_line(data["now"], 60), one_line(data["earlier"], 60)
    return f"{one_line(data['seat'])} denies turn {data['against']}: {now!r} against {earlier!r}"


def _trimmed(data: dict[str, Any]) -> str:
    what = ", ".join(_TRIMMED.get(why, one_line(why)) for why in data["why"].split(", "))
    return f"{one_line(data['seat'])}: taken off: {what}"


NARRATED: dict[str, Callable[[dict[str, Any]], str]] = {
    "minutes.taken": _minutes,
    "aside.given": _aside,
    "sources.cited": _sources,
    "answer.faulty": lambda data: f"{one_line(data['seat'])}: {one_line(data['fault'])}",
    "memory.limited": lambda data: one_line(data["why"]),
    "measure.crossed": _crossed,
    "measure.tried": _tried,
    "denial.found": _denial,
}
DETAILS: dict[str, Callable[[dict[str, Any]], str]] = {
    "answer.trimmed": _trimmed,
}
"""What is told under --verbose alone."""
