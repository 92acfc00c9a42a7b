"""What a run says, as it is shown: attached once, then kept current by events. Coming late gives what following gave.

Places in the transcript are event ids, so that what is read later (an older page, a late attachment) falls where a
watcher who was there from the start has it. Totals (tokens, cost) and derived states (crashed) have no event of their
own: `refresh` takes them from the run's row, and `stale` says when to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.record import events as log
from engine.record.asks import Ask, Option
from engine.record.events import Event, Kind
from engine.record.reader import Attachment, Reader
from engine.record.runs import ACTIVE, Run, Status
from engine.record.turns import State, Turn
from tui.state import wording
from tui.state.entries import WAITING, Entry, of_note, of_turn
from tui.state.seats import SeatView, of_spec
from tui.state.timeline import Timeline

PAGE = 200
"""Turns and notes that are read at once."""
_PLACES = frozenset({*wording.KINDS, Kind.TURN_STARTED, Kind.NOTE_GIVEN})
_STATUS: dict[str, Status] = {
    Kind.RUN_QUEUED: Status.QUEUED,
    Kind.RUN_STARTED: Status.RUNNING,
    Kind.RUN_RESUMED: Status.RUNNING,
    Kind.RUN_PAUSED: Status.PAUSED,
    Kind.RUN_WAITING: Status.WAITING,
    Kind.RUN_FINISHED: Status.FINISHED,
    Kind.RUN_STOPPED: Status.STOPPED,
    Kind.RUN_FAILED: Status.FAILED,
    Kind.RUN_CRASHED: Status.CRASHED,
}
_TOTALS = frozenset({Kind.TURN_FINISHED, Kind.TURN_PARTIAL, Kind.TURN_FAILED, Kind.TURN_SKIPPED, Kind.CALL_RETRIED})
_TRIES = frozenset({Kind.CALL_RETRIED, Kind.TURN_PARTIAL, Kind.TURN_FAILED})
"""What may leave the tries of a turn next to each other."""
_SPEC = frozenset({Kind.SPEC_CHANGED, Kind.SEAT_CHANGED, Kind.SEAT_TAKEN, Kind.SEAT_RELEASED})


class Conversation(Timeline):
    """A timeline that knows how its run stands. `asks` are open, oldest first."""

    def __init__(self, found: Attachment, places: Iterator[Event], *, page: int = PAGE) -> None:
        """`places` are the run's events of the kinds that have a place, up to `found.newest`, newest first."""
        super().__init__()
        self.asks: list[Ask] = list(found.asks)
        self.last = found.newest
        self.stale = False
        """Whether something happened that only the run's row tells."""
        self.spec_stale = False
        self._walked = 0
        self._oldest: int | None = None
        self._given: set[int] = set()
        self.has_older = False
        self.refresh(found.run, found.spec)
        self._read(found.turns, places, page)
        self.fold()
        self._still()

    @classmethod
    def attach(cls, reader: Reader, run_id: str, page: int = PAGE) -> Conversation:
        """The run as it stands. Raises RecordError."""
        found = reader.attach(run_id, page)
        return cls(found, log.backwards(reader.db, found.run.n, _PLACES, found.newest), page=page)

    def refresh(self, run: Run, spec: dict[str, Any] | None = None) -> None:
        """Take what the run's row says now, and its spec where that changed."""
        self.run = run
        self.status, self.reason, self.detail = run.status, run.reason, run.detail
        self.turns = run.turns
        self.stale = False
        self._still()
        if spec is not None:
            self.spec = spec
            self.seats: list[SeatView] = of_spec(spec)
            self.spec_stale = False

    def _still(self) -> None:
        """A turn whose host has died stands still until a resume has ended it."""
        live, still = self.live, self.status not in ACTIVE
        if live and live.still != still:
            live.still = still
            live.version += 1

    @property
    def limit(self) -> int | None:
        """Turns after which the duel ends."""
        return (self.spec.get("limits") or {}).get("turns") or None

    @property
    def turn(self) -> int:
        """The number of the turn being spoken, or of the last one."""
        live = self.live
        return live.seq if live else self.turns

    def older(self, reader: Reader, limit: int = PAGE) -> int:
        """Read the page before the oldest loaded turn; returns how many entries came. Raises RecordError."""
        if not self.has_older:
            return 0
        rows = reader.turns(self.run, before=self._oldest, limit=limit)
        before = len(self.entries)
        self._read(rows, log.backwards(reader.db, self.run.n, _PLACES, self._walked), limit)
        came = len(self.entries) - before
        self.moved += came > 0
        self.fold()
        return came

    def apply(self, event: Event) -> None:
        """Take one event of this run; those that are covered already are passed over."""
        if event.run != self.run.id or event.id <= self.last:
            return
        self.last = event.id
        if event.kind in _STATUS:
            self._stand(event)
        if event.kind in _TOTALS:
            self.stale = True
        if event.kind in _SPEC:
            self.spec_stale = True
        if event.kind in _HANDLERS:
            _HANDLERS[event.kind](self, event)
        self.mark(event)
        if event.kind in _TRIES:
            self.fold()

    def _stand(self, event: Event) -> None:
        self.status = _STATUS[event.kind]
        self.reason = event.data.get("reason")
        self.detail = event.data.get("why") if self.status is Status.WAITING else event.data.get("detail")
        self.stale = True
        self._still()

    def _started(self, event: Event) -> None:
        data = event.data
        self.add(
            Entry(
                order=event.id,
                kind="turn",
                text=str(data.get("continues") or ""),
                at=event.at,
                seq=data["seq"],
                seat=data["seat"],
                persona=data.get("persona"),
                model=data.get("model"),
                state=State.LIVE,
            )
        )

    def _delta(self, event: Event) -> None:
        entry = self.spoken(event.data["seq"])
        if entry:
            entry.text += event.data.get("text", "")
            entry.thinking += event.data.get("thinking", "")
            entry.progress = None
            entry.version += 1

    def _progress(self, event: Event) -> None:
        entry = self.spoken(event.data["seq"])
        if entry:
            entry.progress = (event.data.get("done", 0), event.data.get("total", 0))
            entry.version += 1

    def _ended(self, event: Event) -> None:
        """A turn's end, whatever it is: the text that was stored is what was said."""
        entry = self.spoken(event.data["seq"])
        if entry is None:
            return
        entry.text, entry.thinking = event.data.get("text", ""), event.data.get("thinking", "")
        entry.ended, entry.progress = event.at, None
        if event.kind == Kind.TURN_FINISHED:
            usage = event.data.get("usage") or {}
            entry.state, entry.stop = State.FINISHED, event.data.get("stop")
            entry.tokens_in, entry.tokens_out = usage.get("tokens_in"), usage.get("tokens_out")
            entry.cost, entry.first = usage.get("cost"), usage.get("first")
            self.turns = entry.seq
        elif event.kind == Kind.TURN_SKIPPED:
            entry.state, entry.stop = State.SKIPPED, "skip"
            self.turns = entry.seq
        else:
            entry.state, entry.stop = State.PARTIAL, event.data.get("why")
        entry.version += 1

    def _failed(self, event: Event) -> None:
        entry = self.spoken(event.data["seq"])
        if entry:  # nothing had come of it, else it would be a partial by now
            self.entries.remove(entry)
            self.moved += 1

    def _replaced(self, event: Event) -> None:
        entry = self.said(event.data["seq"])
        if entry:
            entry.state = State.REPLACED
            entry.version += 1
        self.turns = event.data["seq"] - 1

    def _queued(self, event: Event) -> None:
        data = event.data
        if "seq" not in data:  # words for a seat that were taken before this was read
            return
        order = WAITING + _row(event)
        self.add(Entry(order, "note", data["text"], event.at, data["seq"], data["seat"], state=State.QUEUED))

    def _note(self, event: Event) -> None:
        self.drop(WAITING + _row(event))
        self._give(event)

    def _give(self, event: Event) -> None:
        data = event.data
        if "as" in data:  # words for a seat come as its turn
            return
        self._given.add(_row(event))
        self.add(Entry(event.id, "note", data["text"], event.at, data["seq"], data["seat"]))

    def _opened(self, event: Event) -> None:
        data = event.data
        self.asks.append(
            Ask(
                n=data["ask"],
                run=event.run,
                kind=data["kind_of_ask"],
                subject=data.get("about"),
                question=data["question"],
                options=tuple(Option(**item) for item in data.get("options") or ()),
                fallback=data.get("fallback"),
                deadline=data.get("deadline"),
                state="open",
                answer=None,
                who=None,
                opened=event.at,
                closed=None,
            )
        )

    def _closed(self, event: Event) -> None:
        self.asks = [ask for ask in self.asks if ask.n != event.data["ask"]]

    def _read(self, rows: list[Turn], places: Iterator[Event], page: int) -> None:
        """Give the rows of a page, and the marks between them, their places."""
        self.has_older = len(rows) >= page
        self._oldest = rows[0].n if rows else self._oldest
        wanted = {(turn.seq, turn.started): turn for turn in rows if turn.role == "turn"}
        self._walked = 0
        for event in places:
            if event.kind == Kind.TURN_STARTED:
                turn = wanted.pop((event.data["seq"], event.at), None)
                if turn is None and self.has_older:
                    self._walked = event.id
                    break
                if turn and turn.state is not State.FAILED:
                    self.add(of_turn(turn, event.id, event.data.get("continues") or ""))
            elif event.kind == Kind.NOTE_GIVEN:
                self._give(event)
            self.mark(event)
        for turn in rows:
            if turn.state is State.QUEUED:
                self.add(of_note(turn, WAITING + turn.n))
            elif turn.role == "note" and turn.n not in self._given and not self._walked:
                self.add(of_note(turn, turn.n - WAITING))
        for turn in wanted.values():  # shared with the run this one was forked from
            if turn.state is not State.FAILED:
                self.add(of_turn(turn, turn.n - WAITING))


def _row(event: Event) -> int:
    return int((event.subject or "note/0").partition("/")[2])


_HANDLERS: dict[str, Callable[[Conversation, Event], None]] = {
    Kind.TURN_STARTED: Conversation._started,
    Kind.TURN_DELTA: Conversation._delta,
    Kind.TURN_PROGRESS: Conversation._progress,
    Kind.TURN_FINISHED: Conversation._ended,
    Kind.TURN_PARTIAL: Conversation._ended,
    Kind.TURN_SKIPPED: Conversation._ended,
    Kind.TURN_FAILED: Conversation._failed,
    Kind.TURN_REPLACED: Conversation._replaced,
    Kind.NOTE_QUEUED: Conversation._queued,
    Kind.NOTE_GIVEN: Conversation._note,
    Kind.ASK_OPENED: Conversation._opened,
    Kind.ASK_ANSWERED: Conversation._closed,
    Kind.ASK_WITHDRAWN: Conversation._closed,
}
