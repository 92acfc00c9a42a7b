"""One line of a conversation as it is shown: a turn, a human's note, or a mark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from engine.record.turns import State, Turn

WAITING = 1 << 62
"""Order of what has no place in the conversation yet: queued notes come after everything else."""


@dataclass(slots=True)
class Entry:
    """`order` is the id of the event that gave it its place; times are Unix seconds. A mark has only text and `at`."""

    order: int
    kind: Literal["turn", "note", "mark"]
    text: str
    at: float
    seq: int = 0
    seat: str = ""
    persona: str | None = None
    model: str | None = None
    state: State = State.FINISHED
    thinking: str = ""
    ended: float | None = None
    first: float | None = None
    stop: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost: float | None = None
    times: int = 1
    """How many tries broke off like this one."""
    still: bool = field(default=False, compare=False)
    """Whether it breaks off here because the host has died."""
    progress: tuple[int, int] | None = field(default=None, compare=False)
    """(read, all) tokens of the prompt, while it is read."""
    row: int | None = field(default=None, compare=False)
    """The turn's row, where it was read rather than followed."""
    version: int = field(default=0, compare=False)
    """Grows with every change of what is shown."""

    @property
    def live(self) -> bool:
        return self.state is State.LIVE

    @property
    def counts(self) -> bool:
        """Whether it is a turn of the conversation as it stands."""
        return self.kind == "turn" and self.state is State.FINISHED

    @property
    def rate(self) -> float | None:
        """Tokens per second, from the first token to the last, as the provider counted them."""
        if self.state is not State.FINISHED or not self.tokens_out or self.first is None or self.ended is None:
            return None
        return self.tokens_out / (self.ended - self.first) if self.ended > self.first else None


def of_turn(turn: Turn, order: int, continues: str = "") -> Entry:
    """The entry of a recorded turn."""
    said = turn.state in (State.FINISHED, State.REPLACED)
    return Entry(
        order=order,
        kind="turn",
        text=continues + turn.text if turn.state is State.LIVE else turn.text,
        at=turn.started,
        seq=turn.seq,
        seat=turn.seat,
        persona=turn.persona,
        model=turn.model,
        state=turn.state,
        thinking=turn.thinking,
        ended=turn.ended,
        first=turn.first if said else None,
        stop=turn.stop,
        tokens_in=turn.tokens_in if said else None,
        tokens_out=turn.tokens_out if said else None,
        cost=turn.cost if said else None,
        row=turn.n,
    )


def of_note(turn: Turn, order: int) -> Entry:
    """The entry of a recorded note: queued, or given in the run this one was forked from."""
    waits = turn.state is State.QUEUED
    at = turn.started if waits or turn.ended is None else turn.ended
    return Entry(order, "note", turn.text, at, turn.seq, turn.seat, state=turn.state)
