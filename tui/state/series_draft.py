"""A question that is to evolve: what the form holds, whether it can start, and its pipeline."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tui.state.draft import is_model, whole_number

PIPELINE = "evolve-a-question"
"""What the form begins with; a user's own of that name is taken."""


@dataclass(slots=True)
class SeriesDraft:
    """Text as typed; `faults` names what is wrong, by field. An empty `judge` selects by form."""

    question: str = ""
    model: str = ""
    judge: str = ""
    generations: str = "3"
    children: str = "2"
    turns: str = "12"
    tokens: str = "60000"
    baseline: bool = True

    def faults(self) -> dict[str, str]:
        found = {}
        if not self.question.strip():
            found["question"] = "what is the question?"
        if not self.model:
            found["model"] = "choose a model"
        elif not is_model(self.model):
            found["model"] = "write it as PROVIDER/MODEL"
        if self.judge and not is_model(self.judge):
            found["judge"] = "write it as PROVIDER/MODEL"
        for name, fewest in (("generations", 1), ("children", 1), ("turns", 2), ("tokens", 0)):
            number = whole_number(getattr(self, name))
            if number is None or number < fewest:
                least = "a whole number, 0 for no limit" if name == "tokens" else f"a whole number, {fewest} or more"
                found[name] = least
        return found

    def pipeline(self, base: dict[str, Any]) -> dict[str, Any]:
        """`base` (the content of PIPELINE) with what was chosen; only for a draft without faults."""
        data = deepcopy(base)
        data["question"] = self.question.strip()
        data.pop("title", None)
        child = data["pipeline"]
        for seat in child["seats"]:
            seat["model"] = self.model
        child["limits"] = {**child.get("limits", {}), "turns": whole_number(self.turns)}
        data |= {"generations": whole_number(self.generations), "children": whole_number(self.children)}
        data["judge"] = {"model": self.judge} if self.judge else None
        data["baseline"] = self.baseline
        data["limits"] = {**data.get("limits", {}), "tokens": whole_number(self.tokens)}
        return data
