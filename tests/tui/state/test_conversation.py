"""The reducer of a duel: whoever comes late sees what a watcher from the start sees."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.record import asks, calls, events, notes, runs, turns
from engine.record.asks import Option
from engine.record.connection import open_writer, transact
from engine.record.events import Kind
from engine.record.reader import Reader
from engine.record.runs import Status
from engine.record.turns import State
from tui.state.conversation import Conversation

SPEC = {
    "kind": "duel",
    "title": "ELIZA meets PARRY",
    "seats": [
        {"name": "ELIZA", "persona": "eliza", "model": "local/smollm2", "human": False},
        {"name": "PARRY", "persona": "parry", "model": "local/smollm2", "human": False},
    ],
    "limits": {"turns": 40},
}


class Stage:
    """A record in which a duel is played by hand, one transaction a step, on a clock of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = open_writer(path)
        self.now = 1_000_000.0
        self.id = self.do(lambda db: runs.create(db, "duel", "ELIZA meets PARRY", SPEC))
        self.n = runs.find(self.db, self.id).n
        self.live: int | None = None
        self.call = 0
        self.asks: list[int] = []

    def do(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        self.now += 0.5
        return transact(self.db, work)

    @property
    def run(self) -> runs.Run:
        return runs.find(self.db, self.id)

    @property
    def seq(self) -> int:
        return self.run.turns + 1

    def begin(self, continues: str = "") -> None:
        seq, seat = self.seq, SPEC["seats"][self.seq % 2]["name"]  # type: ignore[index]
        self.live = self.do(
            lambda db: turns.open_turn(db, self.n, seq, seat, "eliza", "local/smollm2", continues=continues)
        )
        self.call = self.do(lambda db: calls.begin(db, self.n, self.live, "turn", seat, "local/smollm2", {}, 1))

    def say(self, text: str, thinking: str = "") -> None:
        self.do(lambda db: turns.add_delta(db, self.n, self.live, self.seq, 40, text, thinking))

    def finish(self, usage: tuple[int, int, int, int] | None = (10, 5, 0, 0)) -> None:
        text, thinking = turns.streamed(self.db, self.live or 0)
        first = self.now
        self.do(lambda db: calls.end(db, self.call, tokens=usage, cost=0.001 if usage else None, first=first))
        self.do(lambda db: turns.finish(db, self.n, self.live, self.run.head, text, thinking, "stop"))
        self.live = None


class Clock:
    def __init__(self) -> None:
        self.stage: Stage | None = None

    def time(self) -> float:
        return self.stage.now if self.stage else 1_000_000.0


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "tertulia.db"
    open_writer(path).close()
    return path


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        for module in (turns, notes, events, runs, calls, asks):
            patch.setattr(module, "time", SimpleNamespace(time=clock.time))
        yield clock


def stage(empty: Path, folder: Path, clock: Clock) -> Stage:
    path = folder / "tertulia.db"
    shutil.copy(empty, path)
    found = Stage(path)
    clock.stage = found
    return found


def step(play: Stage, code: int, text: str) -> None:
    """One thing that can happen to a duel, whatever state it is in."""
    db, n = play.do, play.n
    live = play.live
    if code == 0 and live is None:
        play.begin()
    elif code == 1 and live is None:
        play.begin(continues="and so ")
    elif code in (2, 3) and live is not None:
        play.say(text, text if code == 3 else "")
    elif code == 4 and live is not None:
        play.finish()
    elif code == 5 and live is not None:
        play.finish(usage=None)
    elif code == 6 and live is not None:
        db(lambda c: turns.keep_partial(c, n, live, play.run.head, "retry"))
        play.live = None
    elif code == 7 and live is not None:
        db(lambda c: turns.fail(c, n, live, play.run.head, "429"))
        play.live = None
    elif code == 8 and live is not None:
        db(lambda c: turns.skip(c, n, live, play.run.head))
        play.live = None
    elif code == 9 and live is None:
        old = turns.get(play.db, n, play.run.turns)
        if old and old.state is State.FINISHED:
            db(lambda c: turns.replace(c, n, old.n, "retry"))
    elif code == 10:
        db(lambda c: notes.queue(c, n, play.seq, "you", text, "ana"))
    elif code == 11 and live is None:
        head = play.run.head
        db(lambda c: notes.give(c, n, play.seq, head))
    elif code == 12:
        play.asks.append(
            db(lambda c: asks.open_ask(c, n, "choose", text or "what now?", (Option("retry", "retry", "r"),)))
        )
    elif code == 13 and play.asks:
        number = play.asks.pop(0)
        db(lambda c: asks.answer(c, number, "retry", "ana"))
    elif code == 14 and play.asks:
        number = play.asks.pop()
        db(lambda c: asks.withdraw(c, number, "no longer needed"))
    elif code == 15:
        db(lambda c: runs.start(c, n, 4711, resumed=True))
    elif code == 16:
        db(lambda c: runs.set_status(c, n, Status.PAUSED, Kind.RUN_PAUSED, {"why": "command"}))
    elif code == 17:
        db(lambda c: runs.set_status(c, n, Status.WAITING, Kind.RUN_WAITING, {"why": text}, detail=text))
    elif code == 18:
        db(lambda c: runs.end(c, n, Status.FINISHED, "turn_limit", text or None))
    elif code == 19:
        db(
            lambda c: events.append(
                c, n, Kind.CONTEXT_CUT, None, {"seat": "PARRY", "kept": 2, "dropped": 8, "window": 512}
            )
        )
    elif code == 20:
        swapped = {**SPEC, "limits": {"turns": 60}}
        db(lambda c: runs.change_spec(c, n, swapped, {"limits.turns": 60}))
    elif code == 21 and live is not None:
        db(lambda c: events.append(c, n, Kind.TURN_PROGRESS, f"turn/{play.seq}", {"done": 1, "total": 9}, turn=live))
    elif code == 22:
        db(lambda c: notes.queue_words(c, n, play.seq, "PARRY", text, "ana"))
    elif code == 23 and live is None:
        said = db(lambda c: notes.take_words(c, n))
        if said:
            db(lambda c: turns.say(c, n, play.seq, *said, "human"))

    elif code == 24:
        said = {"seat": "ELIZA", "error": "429", "attempt": 2, "wait": 0.5}
        db(lambda c: events.append(c, n, Kind.CALL_RETRIED, f"turn/{play.seq}", said))
    elif code == 25 and live is not None:
        seq, seat = play.seq, SPEC["seats"][play.seq % 2]["name"]  # type: ignore[index]
        said = {"seat": seat, "error": "broken", "attempt": 2, "wait": 0.5}
        db(lambda c: events.append(c, n, Kind.CALL_RETRIED, f"turn/{seq}", said))
        db(lambda c: turns.keep_partial(c, n, live, play.run.head, "error"))
        play.begin()


def catch_up(view: Conversation, reader: Reader) -> None:
    for event in reader.events(view.last, run=view.run.id):
        view.apply(event)


def shown(view: Conversation, reader: Reader) -> tuple[Any, ...]:
    while view.has_older:
        view.older(reader, 2)
    run = reader.find(view.run.id)
    view.refresh(run, reader.spec(run))
    return view.entries, view.asks, view.status, view.detail, view.turns, view.seats, view.limit, view.rate


STEPS = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from(["", "Why? ", "word\x1b[31m ", "two\nlines "]), st.booleans()),
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, joins=st.integers(0, 40), page=st.integers(1, 5))
def test_coming_late_shows_what_following_showed(
    steps: list[tuple[int, str, bool]], joins: int, page: int, empty: Path, clock: Clock, tmp_path_factory: Any
) -> None:
    play = stage(empty, tmp_path_factory.mktemp("duel"), clock)
    reader = Reader(play.path)
    watcher = Conversation.attach(reader, play.id)
    late = None
    for index, (code, text, look) in enumerate(steps):
        if index == joins:
            late = Conversation.attach(reader, play.id, page)
        step(play, code, text)
        if look:  # a watcher that looks seldom finds the deltas gone
            catch_up(watcher, reader)
    late = late or Conversation.attach(reader, play.id, page)
    fresh = Conversation.attach(reader, play.id, page)
    for view in (watcher, late):
        catch_up(view, reader)
    assert shown(late, reader) == shown(watcher, reader)
    assert shown(fresh, reader) == shown(watcher, reader)
    reader.close()
    play.db.close()


def test_an_event_seen_twice_counts_once(empty: Path, clock: Clock, tmp_path: Path) -> None:
    play = stage(empty, tmp_path, clock)
    reader = Reader(play.path)
    view = Conversation.attach(reader, play.id)
    play.begin()
    play.say("Tell me ")
    play.say("more.")
    found = reader.events(view.last, run=play.id)
    for event in [*found, *found]:
        view.apply(event)
    assert [entry.text for entry in view.entries] == ["Tell me more."]
    assert view.live is view.entries[0]


def test_what_a_turn_used_is_known_when_it_has_ended(empty: Path, clock: Clock, tmp_path: Path) -> None:
    play = stage(empty, tmp_path, clock)
    reader = Reader(play.path)
    view = Conversation.attach(reader, play.id)
    play.begin()
    play.say("Tell me more.")
    catch_up(view, reader)
    assert view.rate is None, "nothing is counted yet, so nothing is shown"
    play.finish(usage=(30, 20, 0, 0))
    catch_up(view, reader)
    assert view.stale, "totals are in the run's row"
    view.refresh(reader.find(play.id))
    # first token 1.0 s before the end of the turn on the stage's clock
    assert (view.rate, view.run.tokens_in, view.run.tokens_out, view.run.cost) == (20.0, 30, 20, 0.001)


def test_a_note_waits_at_the_end_and_then_stands_before_its_turn(empty: Path, clock: Clock, tmp_path: Path) -> None:
    play = stage(empty, tmp_path, clock)
    reader = Reader(play.path)
    view = Conversation.attach(reader, play.id)
    play.begin()
    play.do(lambda db: notes.queue(db, play.n, play.seq, "you", "the horses?", "ana"))
    play.say("Who follows you?")
    catch_up(view, reader)
    assert [(entry.kind, entry.state) for entry in view.entries] == [("turn", State.LIVE), ("note", State.QUEUED)]
    play.finish()
    play.do(lambda db: notes.give(db, play.n, play.seq, play.run.head))
    play.begin()
    catch_up(view, reader)
    assert [(entry.kind, entry.state) for entry in view.entries] == [
        ("turn", State.FINISHED),
        ("note", State.FINISHED),
        ("turn", State.LIVE),
    ]


def test_words_for_a_seat_wait_and_then_come_as_its_turn(empty: Path, clock: Clock, tmp_path: Path) -> None:
    play = stage(empty, tmp_path, clock)
    reader = Reader(play.path)
    view = Conversation.attach(reader, play.id)
    play.do(lambda db: notes.queue_words(db, play.n, play.seq, "PARRY", "I am PARRY", "ana"))
    catch_up(view, reader)
    assert [(entry.kind, entry.seat, entry.state) for entry in view.entries] == [("note", "PARRY", State.QUEUED)]
    said = play.do(lambda db: notes.take_words(db, play.n))
    play.do(lambda db: turns.say(db, play.n, play.seq, *said, "human"))
    catch_up(view, reader)
    late = Conversation.attach(reader, play.id)
    for found in (view, late):
        assert [(entry.kind, entry.seat, entry.text) for entry in found.entries] == [("turn", "PARRY", "I am PARRY")]


def test_tries_that_break_off_alike_stand_there_once_with_their_number(
    empty: Path, clock: Clock, tmp_path: Path
) -> None:
    play = stage(empty, tmp_path, clock)
    reader = Reader(play.path)
    view = Conversation.attach(reader, play.id)
    play.begin()
    for text in ("How does", "How does", "How does that", "Why not"):
        play.say(text)
        step(play, 25, "")
        catch_up(view, reader)
    pages = Conversation.attach(reader, play.id, 1)
    while pages.has_older:
        pages.older(reader, 1)
    for found in (view, pages):
        assert [(entry.kind, entry.text, entry.times) for entry in found.entries if entry.kind == "turn"] == [
            ("turn", "How does that", 3),
            ("turn", "Why not", 1),
            ("turn", "", 1),
        ]
        assert [entry.kind for entry in found.entries] == ["turn", "mark", "turn", "mark", "turn"]


def test_a_fork_shows_the_history_it_shares(empty: Path, clock: Clock, tmp_path: Path) -> None:
    play = stage(empty, tmp_path, clock)
    reader = Reader(play.path)
    for text in ("one", "two", "three"):
        play.begin()
        play.say(text)
        play.finish()
    cut = turns.get(play.db, play.n, 2)
    assert cut
    child = play.do(lambda db: runs.create(db, "duel", "fork", SPEC, fork=(play.run, cut.n, cut.message)))
    play.n, play.id = runs.find(play.db, child).n, child
    play.begin()
    play.say("else")
    play.finish()
    for page in (1, 2, 50):
        view = Conversation.attach(reader, child, page)
        while view.has_older:
            view.older(reader, page)
        assert [entry.text for entry in view.entries] == ["one", "two", "else"]
