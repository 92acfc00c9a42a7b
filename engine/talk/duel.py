"""The kind `duel`: two seats take turns until one of them, a limit or a human ends it."""

from __future__ import annotations

from typing import Any

from engine.runs.host import Host
from engine.talk import seats, spec
from engine.talk.conversation import Conversation
from engine.talk.speaker import Order
from engine.talk.spec import Duel as Spec
from engine.talk.spec import Seat
from engine.talk.view import Dialogue

SEED = "opening"
"""The key of a pipeline that `--seed TEXT` sets."""


def validate(pipeline: dict[str, Any], source: str) -> dict[str, Any]:
    return spec.validate(pipeline, source).model_dump(mode="json")


async def check(data: dict[str, Any]) -> None:
    await seats.check(Spec.model_validate(data))


def create(host: Host) -> Duel:
    return Duel(host, Spec.model_validate(host.spec))


class Duel(Conversation):
    """One duel being played."""

    spec: Spec

    def next_seat(self) -> Seat:
        last = self.table.last_seat
        return self.spec.other(last) if last else self.spec.seat(self.spec.starter)

    def opening(self) -> tuple[str, str] | None:
        return (self.spec.other(self.spec.starter).name, self.spec.opening) if self.spec.opening else None

    def validated(self, data: dict[str, Any], source: str) -> Spec:
        return spec.validate(data, source)

    async def order(self, seat: Seat, prefill: str) -> Order:
        frame = Dialogue.of(self.spec, seat)
        slot = f"{self.host.run.id}/{seat.name}"
        return await self.orders.write(self.spec, seat, frame, slot=slot, prefill=prefill)
