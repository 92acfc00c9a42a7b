"""A duel that is being put together: what the form holds, whether it can start, and its pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Seat:
    persona: str = ""
    model: str = ""
    human: bool = False


@dataclass(slots=True)
class Draft:
    """Text as typed; `faults` names what is wrong, by field."""

    seats: tuple[Seat, Seat] = field(default_factory=lambda: (Seat(), Seat()))
    opening: str = ""
    turns: str = "20"
    cost: str = ""
    temperature: str = ""

    def faults(self) -> dict[str, str]:
        found = {}
        for number, seat in enumerate(self.seats):
            if not seat.persona:
                found[f"persona{number}"] = "choose a guest"
            if not seat.human and not seat.model:
                found[f"model{number}"] = "choose a model, or sit here yourself"
            elif not seat.human and not is_model(seat.model):
                found[f"model{number}"] = "write it as PROVIDER/MODEL"
        if whole_number(self.turns) is None:
            found["turns"] = "a whole number, 0 for no limit"
        if self.cost.strip() and not (amount(self.cost) or 0) > 0:
            found["cost"] = "dollars, such as 0.50, or nothing"
        if self.temperature.strip():
            heat = amount(self.temperature)
            if heat is None or not 0 <= heat <= 2:
                found["temperature"] = "0 to 2, or nothing"
        return found

    def pipeline(self) -> dict[str, Any]:
        """The duel as a pipeline; only for a draft without faults.

        Talk between small embedded models runs without control rules: they take them for something to talk about.
        """
        heat = amount(self.temperature) if self.temperature.strip() else None
        seats = [self._seat(seat, heat) for seat in self.seats]
        limits: dict[str, Any] = {"turns": whole_number(self.turns)}
        if self.cost.strip():
            limits["cost"] = amount(self.cost)
        data: dict[str, Any] = {"kind": "duel", "seats": seats, "limits": limits}
        if any(seat.model.startswith("local/") and not seat.human for seat in self.seats):
            data["rules"] = "none"
        if self.opening.strip():
            data["opening"] = self.opening.strip()
        return data

    @staticmethod
    def _seat(seat: Seat, heat: float | None) -> dict[str, Any]:
        data: dict[str, Any] = {"persona": seat.persona}
        if seat.model:
            data["model"] = seat.model
        if seat.human:
            data["human"] = True
        elif heat is not None:
            data["options"] = {"temperature": heat}
        return data


def is_model(text: str) -> bool:
    """Whether this names a model as PROVIDER/MODEL."""
    provider, sign, name = text.partition("/")
    return bool(provider and sign and name) and not any(char.isspace() for char in text)


def whole_number(text: str) -> int | None:
    return int(text) if text.strip().isascii() and text.strip().isdigit() else None


def amount(text: str) -> float | None:
    try:
        value = float(text.strip().lstrip("$"))
    except ValueError:
        return None
    return value if value == value and abs(value) != float("inf") else None
