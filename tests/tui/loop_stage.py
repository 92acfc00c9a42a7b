"""A loop on a stage: a record played by hand on a fixed clock, with minutes, measures and sources, and an app."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual import on

from engine.record import calls, citations, metrics, minutes, runs, turns
from engine.record.citations import Source
from engine.record.minutes import Closed, Item, Raised
from tests.tui.duel_stage import DuelApp, Stage
from tui.messages import Open
from tui.panes.talk import TalkPane

QUESTION = "Can small language models teach each other something that none of them knew?"
SEATS = (
    ("Questioner", "asks one short, precise question at a time", "talk"),
    ("Creator", "answers the last question with an idea of its own", "talk"),
    ("Mediator", "steps in now and then with one question", "talk"),
    ("Scriber", "keeps the minutes and says nothing", "minutes"),
)
SAID = (
    (0, "What would it mean for one small model to teach another?"),
    (1, "One model answers aloud, the other repeats it in its own words, and both keep only what survives the"
        " repetition. The mechanism is a filter: what cannot be said twice was never understood [1]. It needs no"
        " larger model, only patience and a shared page.\n\nNextPrompt: What is lost in the repetition?"),
    (0, "What is lost when everything must survive a repetition?"),
    (1, "Rare facts are lost first. Exactly what only one of them knew is what the other cannot repeat, so the filter"
        " favours the common [2][3]. A remedy: each model marks what it alone knows, and those marks are exempt."),
    (2, "Has anyone tested whether the marks survive, or is that an assumption?"),
    (0, "How could the marks be tested without a larger judge?"),
    (1, "Plant ten facts in one model, let them talk for twenty rounds, and count what the other can answer alone. Ten"
        " of ten would be teaching; three of ten is gossip."),
)  # fmt: skip
SOURCES = (
    Source(1, "On repetition and learning", "/home/ana/notes/learning.md", "heading Repetition, line 12",
           "What a pupil can say again in other words has been understood; what cannot be said twice was only heard."
           "\n\nSee the appendix for the trials of 1931.", 0.031, "words and meaning"),
    Source(2, "Rumours and their half-life", "/home/ana/notes/rumours.md", "line 3",
           "A rumour loses its rarest detail first.", 0.027, "words"),
    Source(3, "A table in Trieste", "run 8kq2m1zd", "turn 14", "The rare coin is the one that is not passed on.",
           0.019, "meaning"),
)  # fmt: skip


def spec(question: str = QUESTION, turns: int = 30) -> dict[str, Any]:
    return {
        "kind": "loop",
        "title": "Can small models teach each other?",
        "question": question,
        "seats": [
            {
                "name": name,
                "persona": "",
                "model": "local/smollm2",
                "options": {"temperature": 0.6},
                "human": False,
                "role": {"slug": name.lower(), "name": name, "about": about, "place": place, "then": "Speak."},
            }
            for name, about, place in SEATS
        ],
        "mediator": {"every": 4},
        "limits": {"turns": turns},
    }


class LoopStage(Stage):
    """One loop in a record of its own."""

    def __init__(self, folder: Path, patch: Any) -> None:
        super().__init__(folder, patch)
        self.spec = spec()
        self.do(lambda db: runs.delete(db, self.run))
        self.id = self.do(lambda db: runs.create(db, "loop", self.spec["title"], self.spec))
        self.n = self.run.n
        self.do(lambda db: runs.start(db, self.n, 4711, resumed=False))

    def begin(self, seat: int | None = None) -> None:
        """The next turn starts, spoken by the seat with this number."""
        name = SEATS[(self.seq - 1) % 2 if seat is None else seat][0]
        self.live = self.do(lambda db: turns.open_turn(db, self.n, self.seq, name, None, "local/smollm2"))
        self._call = self.do(
            lambda db: calls.begin(db, self.n, self.live, "turn", name, "local/smollm2", {"system": "s"}, 1)
        )

    def turn(self, text: str, thinking: str = "", seat: int | None = None) -> int:
        """A whole turn; returns its row."""
        self.begin(seat)
        self.say(text, thinking)
        self.finish()
        return self.live

    def take(
        self, after: int, raised: Sequence[tuple[str, str, int, str]], closed: Sequence[Closed] = (), text: str = ""
    ) -> None:
        """Minutes after the turn `after`; `raised` are (kind, text, turn, quote), turns by their numbers."""
        entries: list[Raised] = [Raised(kind, said, self.row(seq), quote) for kind, said, seq, quote in raised]  # type: ignore[arg-type]
        self.do(lambda db: minutes.take(db, self.n, self.row(after), "Scriber", text, entries, closed))

    def row(self, seq: int) -> int:
        found = turns.get(self.db, self.n, seq)
        assert found
        return found.n

    @property
    def items(self) -> list[Item]:
        return minutes.items(self.db, self.n)

    def talk(self) -> None:
        """Seven turns with all that can stand beside them."""
        for seat, text in SAID:
            thinking = "Ten facts is a nice round number. Twenty rounds may be too few." if "ten facts" in text else ""
            row = self.turn(text, thinking, seat)
            seq = self.run.turns
            values = {"novelty": 1.0 - 0.09 * seq, "novelty_meaning": 0.8 - 0.05 * seq, "repetition": 0.05 * seq,
                      "structure": float(seq % 3), "drift": 0.1 + 0.04 * (seq % 5)}  # fmt: skip
            self.do(lambda db, row=row, values=values: metrics.put(db, self.n, row, values))
        self.do(lambda db: citations.cite(db, self.n, self.row(2), SOURCES[:1]))
        self.do(lambda db: citations.cite(db, self.n, self.row(4), SOURCES[1:]))
        self.take(
            2,
            [
                ("claim", "What cannot be said twice was never understood", 2, "what cannot be said twice"),
                ("question", "What is lost in the repetition?", 2, "What is lost"),
                ("todo", "Try it without a larger model", 2, "no larger model"),
            ],
            text="- The Creator proposes repetition as a filter.",
        )
        self.take(
            4,
            [("claim", "Rare facts are lost first", 4, "Rare facts are lost first")],
            [Closed(self.items[1].n, self.row(4), "Rare facts are lost first")],
            "- The filter favours what is common; marks may exempt what is rare.",
        )
        self.take(
            7,
            [
                ("question", "Do the marks survive?", 5, "whether the marks survive"),
                ("flag", "Turn 7 answers a question nobody asked: nothing is said of the marks", 7, "Plant ten facts"),
            ],
            text="- A test is planned: ten planted facts, twenty rounds.\n- Three of ten counts as gossip.",
        )
        self.do(lambda db: minutes.give(db, self.n, self.row(7), "Judge", "A clear test, but of something else.", 6.0))

    def branch(self, at: int) -> LoopStage:
        """A fork of this run after the turn `at`, to be played on like this one."""
        found = turns.get(self.db, self.n, at)
        assert found
        other = object.__new__(LoopStage)
        other.__dict__.update(self.__dict__)
        other.id = self.do(
            lambda db: runs.create(db, "loop", self.spec["title"], self.spec, fork=(self.run, found.n, found.message))
        )
        other.n = other.run.n
        other.do(lambda db: runs.start(db, other.n, 4712, resumed=False))
        return other


class LoopApp(DuelApp):
    """The talk pane and the line of keys under it."""

    def __init__(self, path: Path | None, run: str | None, *args: Any, **more: Any) -> None:
        super().__init__(path, run, *args, **more)
        self.pane = TalkPane(lambda: self.reader, lambda: self.now)  # type: ignore[assignment]
        self.turn: int | None = None

    @on(Open)
    def _opened(self, message: Open) -> None:
        self.turn = message.turn
