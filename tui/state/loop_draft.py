"""A loop that is being put together: who is at the table on which model, what they work on, what ends it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tui.state.draft import amount, is_model, whole_number

ME, NOBODY = "me", "nobody"
"""What a part is given besides a model: the one who sits at the screen, or none."""
MEDIATOR = "mediator"


@dataclass(slots=True)
class Part:
    """One role and who has it; `sits` is a model, ME, or nothing yet where `wanted` says that somebody should."""

    slug: str
    name: str
    about: str
    place: str
    plan: bool = False
    """Whether the role has a fixed form that can be asked for."""
    sits: str = ""
    wanted: bool = True

    @property
    def taken(self) -> bool:
        return bool(self.sits)


@dataclass(slots=True)
class LoopDraft:
    """Text as typed; `faults` names what is wrong, by field. Fields of parts are `part-SLUG`."""

    parts: list[Part] = field(default_factory=list)
    question: str = ""
    turns: str = "30"
    cost: str = ""
    minutes: str = ""
    every: str = "6"
    stop: str = ""
    """Rules as the form has them: `novelty < 0.2 for 3 turns, drift > 0.8 then pause`."""
    chain: bool = False
    free: bool = False
    """A chained topic may be changed by more than its spelling."""
    literal: bool = False
    plan: bool = False
    documents: bool = False
    runs: bool = False
    past: bool = False
    measures: list[str] = field(default_factory=list)
    """The names that a stop rule may have; any, while they are not known."""

    def offer(self, roles: Sequence[Mapping[str, Any]]) -> None:
        """The roles there are: those that talk or keep the minutes are wanted, what is written aside need not be."""
        self.parts = [
            Part(
                role["slug"],
                role["name"],
                role["about"],
                role["place"],
                bool(role.get("plan")),
                wanted=role["place"] != "aside",
            )
            for role in roles
        ]
        order = {"talk": 0, "minutes": 1, "aside": 2}
        self.parts.sort(key=lambda part: (order.get(part.place, 3), _TALKS.get(part.slug, len(_TALKS)), part.name))

    def part(self, slug: str) -> Part:
        return next(part for part in self.parts if part.slug == slug)

    def seat(self, slug: str, who: str) -> list[str]:
        """Give a part to a model, to ME or to NOBODY; returns the parts that changed.

        The first model that is chosen goes to all who are wanted and have none.
        """
        chosen = self.part(slug)
        first = all(part.sits in ("", ME) for part in self.parts)
        chosen.sits, chosen.wanted = ("", False) if who == NOBODY else (who, True)
        changed = [slug]
        if first and who not in (ME, NOBODY):
            for part in self.parts:
                if part.wanted and not part.taken:
                    part.sits = who
                    changed.append(part.slug)
        return changed

    def faults(self) -> dict[str, str]:
        found = {}
        if not self.question.strip():
            found["question"] = "what shall they work on?"
        for part in self.parts:
            if part.wanted and not part.sits:
                found[f"part-{part.slug}"] = "choose a model, or delete to leave it out"
            elif part.sits and part.sits != ME and not is_model(part.sits):
                found[f"part-{part.slug}"] = "write it as PROVIDER/MODEL"
        if self.parts and not any(
            part.wanted and part.place == "talk" and part.slug != MEDIATOR for part in self.parts
        ):
            talker = next((part for part in self.parts if part.place == "talk"), self.parts[0])
            found[f"part-{talker.slug}"] = "somebody has to speak each round"
        if whole_number(self.turns) is None:
            found["turns"] = "a whole number, 0 for no limit"
        if self.cost.strip() and not (amount(self.cost) or 0) > 0:
            found["cost"] = "dollars, such as 0.50, or nothing"
        if self.minutes.strip() and not (amount(self.minutes) or 0) > 0:
            found["minutes"] = "minutes, such as 60, or nothing"
        if whole_number(self.every) is None:
            found["every"] = "a whole number, 0 for never"
        try:
            rules(self.stop, self.measures)
        except ValueError as error:
            found["stop"] = str(error)
        return found

    def pipeline(self) -> dict[str, Any]:
        """The loop as a pipeline; only for a draft without faults."""
        limits: dict[str, Any] = {"turns": whole_number(self.turns)}
        for name, text in (("cost", self.cost), ("minutes", self.minutes)):
            if text.strip():
                limits[name] = amount(text)
        data: dict[str, Any] = {
            "kind": "loop",
            "question": self.question.strip(),
            "seats": [_seat(part, self.plan) for part in self.parts if part.taken],
            "limits": limits,
        }
        if any(part.taken and part.slug == MEDIATOR for part in self.parts):
            data["mediator"] = {"every": whole_number(self.every)}
        data |= {name: True for name in ("chain", "literal") if getattr(self, name)}
        if self.chain and self.free:
            data["guard"] = False
        places = [name for name in ("documents", "past", "runs") if getattr(self, name)]
        if places:
            data["recall"] = {"sources": places}
        stop = rules(self.stop, self.measures)
        if stop:
            data["stop"] = stop
        return data


_TALKS = {"questioner": 0, "creator": 1, MEDIATOR: 2}
"""The order in which the shipped roles speak."""


_RULE = re.compile(
    r"(?P<measure>[a-z_]+)\s*(?P<sign>[<>])\s*(?P<value>\d*\.?\d+)"
    r"(?:\s+for\s+(?P<turns>\d{1,3})(?:\s+turns?)?)?(?:\s+then\s+(?P<then>end|pause|ask))?"
)


def rules(text: str, measures: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The stop rules of a line, as a pipeline has them. Raises ValueError with what is wrong in a few words."""
    found = []
    for part in filter(None, (piece.strip() for piece in text.lower().split(","))):
        match = _RULE.fullmatch(part)
        if match is None:
            raise ValueError("such as: novelty < 0.2 for 3 turns, drift > 0.9 then pause")
        if measures and match["measure"] not in measures:
            raise ValueError(f"measured are {', '.join(measures)}")
        rule: dict[str, Any] = {"measure": match["measure"], _SIDES[match["sign"]]: float(match["value"])}
        if match["turns"]:
            rule["turns"] = int(match["turns"])
        if match["then"]:
            rule["then"] = match["then"]
        found.append(rule)
    return found


_SIDES = {"<": "below", ">": "above"}


def _seat(part: Part, plan: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"role": part.slug}
    data |= {"human": True} if part.sits == ME else {"model": part.sits}
    if plan and part.plan and part.sits != ME:
        data["format"] = "plan"
    return data
