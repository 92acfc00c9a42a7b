"""A loop that is being put together: who is at the table on which model, what they work on, what ends it."""

from __future__ import annotations

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
    chain: bool = False
    literal: bool = False
    documents: bool = False
    runs: bool = False

    def offer(self, roles: Sequence[Mapping[str, Any]]) -> None:
        """The roles there are: those that talk or keep the minutes are wanted, what is written aside need not be."""
        self.parts = [
            Part(role["slug"], role["name"], role["about"], role["place"], wanted=role["place"] != "aside")
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
        first = not any(part.taken for part in self.parts)
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
            "seats": [_seat(part) for part in self.parts if part.taken],
            "limits": limits,
        }
        if any(part.taken and part.slug == MEDIATOR for part in self.parts):
            data["mediator"] = {"every": whole_number(self.every)}
        data |= {name: True for name in ("chain", "literal") if getattr(self, name)}
        places = [name for name in ("documents", "runs") if getattr(self, name)]
        if places:
            data["recall"] = {"sources": places}
        return data


_TALKS = {"questioner": 0, "creator": 1, MEDIATOR: 2}
"""The order in which the shipped roles speak."""


def _seat(part: Part) -> dict[str, Any]:
    return {"role": part.slug, "human": True} if part.sits == ME else {"role": part.slug, "model": part.sits}
