"""What is said about a run above its conversation, the same in every format."""

from __future__ import annotations

import datetime

from engine.record.export.source import Source
from engine.record.runs import Run
from engine.record.turns import State, Turn
from engine.record.visible import one_line

STATES = {
    State.LIVE: "being spoken",
    State.PARTIAL: "broken off, not part of the conversation",
    State.REPLACED: "replaced, not part of the conversation",
    State.FAILED: "could not be had",
    State.SKIPPED: "skipped",
    State.QUEUED: "waits for the next turn",
}
"""What is said of a turn that is not simply finished."""


def of(source: Source) -> list[tuple[str, str]]:
    """(name, value) pairs, safe to show, in reading order."""
    run = source.run
    found = [("Run", f"{run.id} ({run.kind})"), ("State", state(run)), ("Started", moment(run.started or run.created))]
    if run.ended:
        found.append(("Ended", moment(run.ended)))
    if run.parent:
        forked = ("Forked from", f"{run.parent} at turn {run.forked_at}")
        found.append(("Part of", f"series {run.parent}") if run.forked_at is None else forked)
    if question := source.spec.get("question"):
        found.append(("Question", one_line(str(question))))
    for seat in source.seats:
        role = seat.role if seat.role and seat.role.casefold() != seat.name.casefold() else None
        who = ", ".join(one_line(part) for part in (role, seat.persona, seat.model) if part)
        found.append((one_line(seat.name), who or "a human"))
    found += [("Turns", str(run.turns)), ("Tokens", f"{run.tokens_in} in, {run.tokens_out} out"), ("Cost", cost(run))]
    return found


def state(run: Run) -> str:
    """The status, and why it ended so."""
    why = [one_line(part) for part in (run.reason, run.detail) if part]
    return f"{run.status.value} ({', '.join(why)})" if why else run.status.value


def cost(run: Run) -> str:
    """US dollars; calls whose price is unknown are named, never counted as free."""
    if not run.unpriced:
        return f"${run.cost:.4f}"
    unknown = f"price unknown for {run.unpriced} call{'s' if run.unpriced > 1 else ''}"
    return f"${run.cost:.4f} and {unknown}" if run.cost else unknown


def moment(at: float) -> str:
    """Local time with its offset, to the second."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).astimezone().isoformat(" ", "seconds")


def utc(at: float) -> str:
    """UTC to the second, as ISO 8601."""
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def topic(source: Source) -> str:
    """What the run is about: its seed question, else its opening, else its title."""
    for value in (source.spec.get("question"), source.spec.get("opening")):
        if isinstance(value, str) and value.strip():
            return value
    return source.run.title


def seconds(turn: Turn) -> str:
    """How long the turn took, or ""."""
    return f"{turn.ended - turn.started:.1f} s" if turn.ended is not None else ""
