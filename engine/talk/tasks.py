"""The words that a loop's seat is given: the table's, which are the same for everyone, and its own task at the end."""

from __future__ import annotations

from collections.abc import Sequence

from engine.providers import estimate
from engine.providers.protocol import Message
from engine.talk import rounds, window
from engine.talk.loop_spec import Loop, LoopSeat

_MARGIN = 300
"""Tokens kept for what a task gains as it goes: what other roles asked, what a fault is to be mended."""


def system(loop: Loop) -> str:
    """What everyone at the table is told."""
    table = "\n".join(f"{seat.name} {seat.part.about}." for seat in loop.seats if not seat.off)
    return (
        f"A working conversation about one question.\n\nThe question: {loop.question}\n\nAt the table:\n{table}\n\n"
        "You are given what was said so far, each turn after its speaker's name, and are then told who you are and what"
        " to do. Write only your own words: no name before them, nobody else's words, no remarks about the task."
    )


def task(
    loop: Loop,
    seat: LoopSeat,
    spoke: Sequence[str],
    *,
    topic: str | None = None,
    extra: str = "",
    fault: str = "",
) -> str:
    """What the seat is to do now. `spoke` names the seat of every turn so far."""
    role = seat.part
    first = seat.name not in spoke
    instruction = role.first if first and role.first and topic is None else role.then
    if topic is not None:
        instruction = role.chained or role.then
    fields = {"question": loop.question, "topic": topic or loop.question, "name": seat.name}
    parts = [extra, f"You are {seat.name} now."]
    if seat.guest:
        parts.append(seat.guest.prompt)
    parts.append(instruction.format(**fields))
    parts += [text.format(**fields) for slug, text in role.after.items() if _has_spoken(loop, slug, seat, spoke)]
    if seat.format == "plan" and role.plan:
        parts.append(role.plan.format(**fields))
    if fault:
        parts.append(f"Your last answer was not what was asked: {fault}. Write it again, and right this time.")
    return "\n\n".join(part for part in parts if part)


def room(loop: Loop) -> int:
    """Tokens of the window that no seat gives to the conversation, so that all of them cut it at the same place."""
    most = 0
    for seat in loop.seats:
        answer = int({**seat.wishes, **seat.options}.get("max_tokens") or window.RESERVE)
        role = seat.part
        longest = max((role.then, role.first or "", role.chained or ""), key=len)
        told = "\n".join([longest, role.plan or "", *role.after.values(), seat.guest.prompt if seat.guest else ""])
        most = max(most, answer + estimate.size([Message("user", told)]))
    recalled = loop.recall.most * loop.recall.characters // 3 if loop.recall.sources else 0
    return most + recalled + _MARGIN


def _has_spoken(loop: Loop, slug: str, seat: LoopSeat, spoke: Sequence[str]) -> bool:
    """Whether a seat of that role has spoken since the seat last did."""
    names = [other.name for other in loop.seats if other.part.slug == slug]
    return any(rounds.since(spoke, name) < min(rounds.since(spoke, seat.name), len(spoke)) for name in names)
