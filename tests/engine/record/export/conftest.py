"""A loop written by hand into a record: seats with roles, turns, minutes, measures and sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.record import calls, citations, content, events, metrics, minutes, notes, runs, turns
from engine.record.citations import Source
from engine.record.connection import open_writer, transact
from engine.record.events import Kind
from engine.record.export import export
from engine.record.minutes import Closed, Raised
from engine.record.runs import Run, Status

QUESTION = "Can small models teach each other?"


def seat(name: str, place: str = "talk", every: int | None = None) -> dict[str, Any]:
    role = {"slug": name.lower(), "name": name, "place": place, "every": every}
    return {"name": name, "role": role, "model": f"local/{name.lower()}"}


SEATS = [seat("Questioner"), seat("Creator"), seat("Mediator", every=4), seat("Scriber", "minutes")]


class Loop:
    """A run of kind loop as a host would leave it."""

    def __init__(self, path: Path, seats: Sequence[dict[str, Any]] = SEATS, **keys: Any) -> None:
        self.db = open_writer(path)
        spec = {"kind": "loop", "title": "Teaching", "question": QUESTION, "seats": list(seats)}
        spec |= {"mediator": {"every": 4}, "limits": {"turns": 30, "tokens": None}, "chain": False, **keys}
        self.id = transact(self.db, lambda db: runs.create(db, "loop", spec["title"], spec))
        self.n = self.run.n
        self.rows: dict[int, int] = {}

    @property
    def run(self) -> Run:
        return runs.find(self.db, self.id)

    def start(self) -> None:
        transact(self.db, lambda db: runs.start(db, self.n, 999_999, resumed=False))

    def end(self, status: Status = Status.FINISHED, reason: str = "limit:turns") -> None:
        transact(self.db, lambda db: runs.end(db, self.n, status, reason))

    def say(self, who: str, text: str) -> int:
        """A finished turn with its call; returns its number."""
        seq = len(self.rows) + 1

        def work(db: Any) -> int:
            model = f"local/{who.lower()}"
            turn = turns.open_turn(db, self.n, seq, who, None, model)
            frame = content.put_json(db, {"seat": who, "system": "You are at a table.", "task": f"Be {who}."})
            call = calls.begin(db, self.n, turn, "turn", who, model, {"frame": frame, "head": self.run.head}, 1)
            head = turns.finish(db, self.n, turn, self.run.head, text, "", "end")
            calls.end(db, call, answer=head, tokens=(10, 5, 0, 0), cost=0.001, stop="end")
            return turn

        self.rows[seq] = transact(self.db, work)
        return seq

    def note(self, text: str) -> None:
        def work(db: Any) -> None:
            notes.queue(db, self.n, len(self.rows) + 1, "you", text, "tester")
            notes.give(db, self.n, len(self.rows) + 1, self.run.head)

        transact(self.db, work)

    def aside(self, who: str, after: int, text: str, value: float | None = None) -> None:
        transact(self.db, lambda db: minutes.give(db, self.n, self.rows[after], who, text, value))

    def minutes(
        self,
        after: int,
        text: str,
        raised: Sequence[tuple[Any, str, int, str]] = (),
        closed: Sequence[tuple[str, int, str]] = (),
        rejected: Sequence[str] = (),
    ) -> None:
        """`raised` are (kind, text, seq, quote), `closed` (text of the item, seq, quote)."""
        numbers = {item.text: item.n for item in minutes.items(self.db, self.n)}
        fresh = [Raised(kind, told, self.rows[seq], quote) for kind, told, seq, quote in raised]
        ends = [Closed(numbers[told], self.rows[seq], quote) for told, seq, quote in closed]
        row = self.rows[after]
        transact(self.db, lambda db: minutes.take(db, self.n, row, "Scriber", text, fresh, ends, rejected))

    def measure(self, seq: int, **values: float) -> None:
        transact(self.db, lambda db: metrics.put(db, self.n, self.rows[seq], values))

    def cite(self, seq: int, *sources: Source) -> None:
        transact(self.db, lambda db: citations.cite(db, self.n, self.rows[seq], sources))

    def retried(self, who: str, error: str) -> None:
        seq = len(self.rows) + 1
        data = {"seat": who, "attempt": 1, "wait": 1.0, "error": error}
        transact(self.db, lambda db: events.append(db, self.n, Kind.CALL_RETRIED, f"turn/{seq}", data))

    def export(self, fmt: str, seat: str | None = None) -> str:
        return export(self.db, self.run, fmt, seat)


def two_rounds(loop: Loop) -> None:
    """Four turns with all that can stand beside them, and the Mediator's after them; a third round begun."""
    loop.start()
    loop.say("Questioner", "What can a small model teach?")
    loop.say("Creator", "It can teach **rules** [1]. We should test it.\nNextPrompt: Which rules?")
    loop.cite(2, Source(1, "Notes <b>", "/notes/rules.md", "line 3", "Rules are taught by example.", 0.03, "words"))
    raised = [
        ("claim", "Models teach rules", 2, "It can teach **rules**"),
        ("todo", "Test it", 2, "We should test it."),
        ("question", "What is taught?", 1, "What can a small model teach?"),
    ]
    loop.minutes(2, "- Rules can be taught.", raised)
    loop.note("Think of chess.")
    loop.say("Questioner", "Which rules?")
    loop.say("Creator", "The rules of chess, for example.")
    loop.minutes(
        4, "- Chess.", [("flag", "Off the point", 4, "of chess")], [("What is taught?", 4, "The rules of chess")]
    )
    loop.say("Mediator", "Is a rule a skill?")
    for seq in range(1, 6):
        loop.measure(seq, novelty=1 / seq, drift=seq / 10)
    loop.say("Questioner", "Is it?")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path / "t.db")
    yield made
    made.db.close()
