"""The seats of a run, as its spec has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SeatView:
    """One seat: what it is called, who sits there, on which model."""

    name: str
    persona: str
    model: str
    human: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    """The persona, or the role, in a few words."""

    @property
    def speaker(self) -> str:
        return "you" if self.human else self.model or "no model"


def of_spec(spec: dict[str, Any]) -> list[SeatView]:
    """The seats of a stored spec, in their order."""
    found = []
    for seat in spec.get("seats") or ():
        guest = seat.get("guest") or {}
        role = seat.get("role") if isinstance(seat.get("role"), dict) else {}
        found.append(
            SeatView(
                name=str(seat.get("name") or ""),
                persona=str(seat.get("persona") or ""),
                model=str(seat.get("model") or ""),
                human=bool(seat.get("human")),
                options=dict(seat.get("options") or {}),
                about=str(guest.get("description") or seat.get("persona") or (role or {}).get("about") or ""),
            )
        )
    return found
