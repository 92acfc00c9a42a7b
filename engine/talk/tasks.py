"""The words that a loop's seat is given: the table's, which are the same for everyone, and its own task at the end."""

from __future__ import annotations

from collections.abc import Sequence

from engine.providers import estimate
from engine.providers.protocol import Message
from engine.talk import rounds, window
from engine.talk.loop_spec import Loop, LoopSeat
from engine.talk.roles import Wording

_CHARACTERS = 3
"""Of a token, on the low side."""
_MARGIN = 300
"""Tokens kept for what a task gains as it goes: what other roles asked, what a fault is to be mended."""


def system(loop: Loop, plain: bool = False) -> str:
    """What everyone at the table is told. `plain`: in the few words that a model with a short memory can follow."""
    if plain:
        return f"A conversation about one question: {loop.question}"
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
    plain: bool = False,
) -> str:
    """What the seat is to do now. `spoke` names the seat of every turn so far."""
    role = seat.part
    said = wording(seat, plain)
    first = seat.name not in spoke
    instruction = said.first if first and said.first and topic is None else said.then
    if topic is not None:
        instruction = said.chained or said.then
    fields = {"question": loop.question, "topic": topic or loop.question, "name": seat.name}
    parts = [extra]
    if said is role:
        parts.append(f"You are {seat.name} now.")
    parts.append(_voice(seat))
    parts.append(instruction.format(**fields))
    after = [text.format(**fields) for slug, text in said.after.items() if _has_spoken(loop, slug, seat, spoke)]
    parts += after
    if seat.format == "plan" and (plan := said.plan):
        parts.append(plan.format(**fields))
    if fault and said is role:  # a plain wording is given again as it stands: the next draw is another one
        parts.append(f"Your last answer was not what was asked: {fault}. Write it again, and right this time.")
    return "\n\n".join(part for part in parts if part)


def wording(seat: LoopSeat, plain: bool) -> Wording:
    """How the seat is told what to do: in its role's plain words where they are wanted and it has them."""
    return seat.part.plain if plain and seat.part.plain else seat.part


def opening(loop: Loop, seat: LoopSeat, spoke: Sequence[str], retries: int) -> str:
    """The words that the seat's next turn begins with, in the plain wording; another try takes the next ones."""
    plain = seat.part.plain
    if plain is None:
        return ""
    begins = plain.begins
    words = begins[(list(spoke).count(seat.name) + retries) % len(begins)] if begins else ""
    for slug, other in plain.begins_after.items():
        if _has_spoken(loop, slug, seat, spoke):
            words = other
            break
    return words.format(question=loop.question, topic=loop.question, name=seat.name)


def room(loop: Loop) -> int:
    """Tokens of the window that no seat gives to the conversation, so that all of them cut it at the same place."""
    most = 0
    for seat in loop.seats:
        answer = int({**seat.wishes, **seat.options}.get("max_tokens") or window.RESERVE)
        role = seat.part
        longest = max((role.then, role.first or "", role.chained or ""), key=len)
        told = "\n".join([longest, role.plan or "", *role.after.values(), _voice(seat)])
        most = max(most, answer + estimate.size([Message("user", told)]))
    return most + _recalled(loop) + _MARGIN


def _voice(seat: LoopSeat) -> str:
    """The persona of the seat, with examples of how it speaks where they are wanted."""
    if seat.guest is None:
        return ""
    shown = seat.guest.examples if seat.examples else []
    spoken = [f"To {said!r} you would say: {answer}" for said, answer in shown]
    return "\n\n".join([seat.guest.prompt, "\n".join(spoken)]).strip()


def _recalled(loop: Loop) -> int:
    """Tokens that recalled passages may take."""
    if not loop.recall.sources:
        return 0
    from engine.memory import settings

    known = settings.load().recall
    return (loop.recall.limit or known.limit) * (loop.recall.snippet or known.snippet) // _CHARACTERS


def _has_spoken(loop: Loop, slug: str, seat: LoopSeat, spoke: Sequence[str]) -> bool:
    """Whether a seat of that role has spoken since the seat last did."""
    names = [other.name for other in loop.seats if other.part.slug == slug]
    return any(rounds.since(spoke, name) < min(rounds.since(spoke, seat.name), len(spoke)) for name in names)
