"""Who speaks next in a loop: everyone who talks each round in order, then those whose turn it is now and then."""

from __future__ import annotations

from collections.abc import Sequence

from engine.talk.loop_spec import Loop, LoopSeat


def next_seat(loop: Loop, spoke: Sequence[str]) -> LoopSeat:
    """The seat after those that spoke, a name for every turn."""
    talkers, visitors = loop.talkers, loop.visitors
    names = [seat.name for seat in talkers]
    last = spoke[-1] if spoke else names[-1]
    if last in names[:-1]:
        return talkers[names.index(last) + 1]
    if spoke:
        seen = [seat.name for seat in visitors]
        for seat in visitors[seen.index(last) + 1 if last in seen else 0 :]:
            if since(spoke, seat.name) >= (seat.part.every or 0):
                return seat
    return talkers[0]


def is_over(loop: Loop, spoke: Sequence[str]) -> bool:
    """Whether a round has ended and none has begun."""
    return bool(spoke) and next_seat(loop, spoke) is loop.talkers[0]


def since(spoke: Sequence[str], name: str) -> int:
    """Turns since `name` last spoke; all of them where it never has."""
    for back, who in enumerate(reversed(spoke)):
        if who == name:
            return back
    return len(spoke)
