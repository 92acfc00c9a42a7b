"""A series on a stage: a record of two generations written by hand on a fixed clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.record import allowances, events, lineage, runs, turns
from engine.record.events import Kind
from engine.record.lineage import Child
from engine.record.runs import Run, Status
from tests.tui.conftest import Book

QUESTION = "Can small language models teach each other something that none of them knew?"
INTERVAL = {"wins": 4, "ties": 1, "losses": 1, "rate": 0.75, "low": 0.35, "high": 0.97, "p": 0.19}
ANSWERS = (
    "One model answers aloud, the other repeats it.",
    "Rare facts are lost first.\n1. Plant ten facts.\n2. Count what is left.",
    "Marks are exempt from the filter.",
    "A third model reads only the marks and says what is missing.",
)


class SeriesStage:
    """Plays a series a step at a time; `book` writes it."""

    def __init__(self, book: Book, **keys: Any) -> None:
        self.book = book
        child = {"kind": "loop", "question": "set by the series", "seats": [], "limits": {"turns": 4}}
        self.spec = {
            "kind": "series",
            "title": "Can small models teach?",
            "question": QUESTION,
            "pipeline": child,
            "generations": 2,
            "children": 2,
            "judge": {"model": "local/smollm2"},
            "baseline": True,
            "limits": {"tokens": 60000},
            **keys,
        }

        def begin(db: Any) -> str:
            name = runs.create(db, "series", str(self.spec["title"]), self.spec)
            run = runs.find(db, name)
            runs.start(db, run.n, 4711, resumed=False)
            allowances.set_cap(db, run.n, "tokens", 60000)
            return name

        self.id: str = book.do(begin)

    @property
    def path(self) -> Path:
        return self.book.path

    def run(self, db: Any) -> Run:
        return runs.find(db, self.id)

    def tell(self, kind: Kind, **data: Any) -> None:
        self.book.do(lambda db: events.append(db, self.run(db).n, kind, None, data))

    def child(self, generation: int, place: int, **more: Any) -> Child:
        """A run of the series is queued and begins."""
        more = {"purpose": "evolve", "of": 2, "seed": QUESTION} | more
        purpose = more.pop("purpose")
        seats = [{"name": name, "model": "local/smollm2", "human": False} for name in ("Questioner", "Creator")]
        spec = {"kind": "loop", "title": f"Can small models teach?: {generation}.{place}", "question": QUESTION,
                "seats": seats, "limits": {"turns": 4}}  # fmt: skip

        def write(db: Any) -> Child:
            found = lineage.add(db, self.run(db), spec, purpose, generation, place, **more)
            runs.start(db, found.run.n, 4712, resumed=False)
            return found

        self.book.now += 30
        return self.book.do(write)  # type: ignore[no-any-return]

    def say(self, child: Child, *said: str) -> list[int]:
        """Turns of a child; returns their rows."""

        def write(db: Any) -> list[int]:
            rows = []
            for text in said:
                run = runs.get(db, child.run.n)
                seat = ("Questioner", "Creator")[run.turns % 2]
                row = turns.open_turn(db, run.n, run.turns + 1, seat, None, "local/smollm2")
                turns.finish(db, run.n, row, run.head, text, "", "stop")
                runs.add_usage(db, run.n, 200, 40, 0.0)
                rows.append(row)
            return rows

        return self.book.do(write)  # type: ignore[no-any-return]

    def end(self, child: Child) -> None:
        def write(db: Any) -> None:
            runs.end(db, child.run.n, Status.FINISHED, "limit:turns", "the limit of 4 turns is reached")
            lineage.end(db, self.run(db).n, child)

        self.book.do(write)

    def rank(self, generation: int, found: list[tuple[Child, int, float]], how: str = "form", why: str = "") -> int:
        """Candidates of a generation, the best first, as (child, turn row, form); returns the row of the best."""
        ranking: list[dict[str, Any]] = []

        def write(db: Any) -> int:
            rows = []
            for rank, (child, row, form) in enumerate(found, 1):
                counts = {"distance": None if generation == 1 else 0.42, "headings": rank - 1, "steps": 2, "bullets": 1,
                          "metric_lines": 1, "number_lines": 3, "form": form}  # fmt: skip
                rows.append(lineage.put_candidate(db, child.n, row, counts, rank))
                ranking.append({"rank": rank, "child": child.run.id, "seq": 2 * rank, "form": form})
            lineage.select(db, {row: rank for rank, row in enumerate(rows, 1)}, rows[0])
            if how == "judge":
                ranking[0] |= INTERVAL
            data = {"generation": generation, "how": how, "why": why or None, "ranking": ranking,
                    "selected": {"child": ranking[0]["child"], "seq": ranking[0]["seq"]}}  # fmt: skip
            events.append(db, self.run(db).n, Kind.CANDIDATES_RANKED, None, data)
            return rows[0]

        return self.book.do(write)  # type: ignore[no-any-return]

    def first(self, trusted: bool = False) -> int:
        """The judge's trial and the first generation, to its selected answer."""
        self.tell(Kind.JUDGE_TRIED, model="local/smollm2", trusted=trusted, pairs=22, **INTERVAL)
        one, two = self.child(1, 1), self.child(1, 2)
        rows = [self.say(child, "What is teaching?", ANSWERS[n], "And then?", ANSWERS[n + 1])
                for n, child in enumerate((one, two))]  # fmt: skip
        self.end(one)
        self.end(two)
        return self.rank(1, [(two, rows[1][1], 0.61), (one, rows[0][1], 0.4), (one, rows[0][3], 0.33),
                             (two, rows[1][3], 0.2)], why="the judge is not trusted")  # fmt: skip

    def second(self, how: str = "form") -> None:
        """A second generation, sown with what was selected, and what it is compared with."""
        origin = self.first(how == "judge")
        book = self.book
        book.do(lambda db: lineage.keep_principles(db, self.run(db).n, 1, ["Plant ten facts.", "Count what is left."]))
        one = self.child(2, 1, origin=origin, mutation="falsify")
        two = self.child(2, 2, origin=origin, mutation="measure")
        rows = self.say(one, "What would show it false?", ANSWERS[3])
        self.end(one)
        self.say(two, "How is it measured?", ANSWERS[2])
        self.end(two)
        self.rank(2, [(one, rows[1], 0.7)], how)
        base = self.child(1, 1, purpose="baseline", of=1)
        self.say(base, "What is teaching?", ANSWERS[0])
        self.end(base)
        self.tell(Kind.BASELINE_COMPARED, child=base.run.id, tokens=1100, budget=2300, **INTERVAL)

    def over(self) -> None:
        self.book.do(lambda db: runs.end(db, self.run(db).n, Status.FINISHED, "generations", "2 generations"))
