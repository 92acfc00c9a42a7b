"""The entries of a conversation in the order they are read, wherever and whenever they come from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from engine.record.events import Event, Kind
from engine.record.turns import State
from tui.state import wording
from tui.state.entries import Entry

_RECENT = 30


class Timeline:
    """`entries` are in the order they are read; queued notes come last."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.moved = 0
        """Grows whenever entries come or go anywhere but at the end."""

    @property
    def live(self) -> Entry | None:
        """The turn being spoken."""
        for entry in reversed(self.entries):
            if entry.live:
                return entry
            if entry.kind == "turn" and entry.state is State.FINISHED:
                return None
        return None

    @property
    def rate(self) -> float | None:
        """Tokens per second of the last finished turn whose provider counted them, if it was not long ago."""
        return next((entry.rate for entry in reversed(self.entries[-_RECENT:]) if entry.rate is not None), None)

    def said(self, seq: int) -> Entry | None:
        """The turn `seq` that counts, if it is loaded."""
        return next((entry for entry in reversed(self.entries) if entry.counts and entry.seq == seq), None)

    def spoken(self, seq: int) -> Entry | None:
        """The turn `seq` while it is being spoken."""
        return next((entry for entry in reversed(self.entries) if entry.live and entry.seq == seq), None)

    def add(self, entry: Entry) -> None:
        at = bisect_right(self.entries, entry.order, key=_order)
        if at < len(self.entries):
            self.moved += 1
        self.entries.insert(at, entry)

    def drop(self, order: int) -> None:
        """Remove the entry with this place, if it is there."""
        at = bisect_left(self.entries, order, key=_order)
        if at < len(self.entries) and self.entries[at].order == order:
            del self.entries[at]
            self.moved += 1

    def mark(self, event: Event) -> None:
        """The line that an event has beside what is said, if it has one."""
        text = wording.line(event)
        if text:
            retried = "retried" if event.kind == Kind.CALL_RETRIED else None
            seat = str(event.data.get("seat") or "") if retried else ""
            self.add(Entry(event.id, "mark", text, event.at, seat=seat, stop=retried))

    def fold(self) -> None:
        """Tries of one turn that broke off at the same words, or at none, stand there once: the last one, counted."""
        kept: list[Entry] = []
        for entry in self.entries:
            last = kept[-1] if kept else None
            if last and last.stop == "retried" and last.kind == "mark" and entry.seat == last.seat:
                if entry.kind == "mark" and entry.stop == "retried":
                    kept.pop()
                elif len(kept) > 1 and _same_try(kept[-2], entry):
                    kept.pop()
                    entry.times += kept.pop().times
                    entry.version += 1
            kept.append(entry)
        if len(kept) < len(self.entries):
            self.entries = kept
            self.moved += 1


def _same_try(before: Entry, entry: Entry) -> bool:
    """Whether both are broken tries of one turn, and the later one says all that the earlier one said."""
    partial = before.state is entry.state is State.PARTIAL and before.kind == entry.kind == "turn"
    return partial and (before.seq, before.stop) == (entry.seq, entry.stop) and entry.text.startswith(before.text)


def _order(entry: Entry) -> int:
    return entry.order
