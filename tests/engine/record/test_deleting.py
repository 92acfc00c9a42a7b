"""Deleting a run takes what only it needs, whoever else needs the rest, and looks at nothing but its own."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.record import calls, citations, content, runs, turns
from engine.record.citations import Source
from engine.record.connection import open_writer
from engine.record.runs import Run

WORDS = ("yes", "no", "perhaps")
"""Few, so that runs say the same as others all the time."""


class Record:
    """Runs that share what they can: texts, histories, prompts, specs, sources."""

    def __init__(self, db: sqlite3.Connection, seed: int) -> None:
        self.db, self.draw = db, random.Random(seed)
        self.left: list[str] = []

    def run(self, name: str) -> Run:
        return runs.find(self.db, name)

    def begin(self) -> None:
        old = [self.run(name) for name in self.left]
        spec = {"kind": "duel", "opening": self.draw.choice(WORDS)}
        if old and self.draw.random() < 0.6:
            parent = self.draw.choice(old)
            self.left.append(self.fork(parent, spec) if parent.turns else runs.create(self.db, "duel", "t", spec))
        else:
            self.left.append(runs.create(self.db, "duel", "t", spec))

    def fork(self, parent: Run, spec: dict[str, str]) -> str:
        turn = turns.get(self.db, parent.n, self.draw.randint(1, parent.turns))
        assert turn
        return runs.create(self.db, "duel", "t", spec, fork=(parent, turn.n, turn.message))

    def speak(self, name: str) -> None:
        run = self.run(name)
        text, kind = self.draw.choice(WORDS), self.draw.random()
        if kind < 0.2 and run.turns:
            last = turns.get(self.db, run.n, run.turns)
            if last and self.db.execute("SELECT run FROM turn WHERE n = ?", (last.n,)).fetchone()[0] == run.n:
                turns.replace(self.db, run.n, last.n, "retry")
                run = self.run(name)
        row = turns.open_turn(self.db, run.n, run.turns + 1, "A", "eliza", "m")
        recipe = {"frame": content.put_body(self.db, self.draw.choice(WORDS)), "head": run.head, "seed": 1}
        call = calls.begin(self.db, run.n, row, "turn", "A", "m", recipe, 1)
        calls.end(self.db, call, answer=turns.finish(self.db, run.n, row, run.head, text, "", "end"))
        if kind > 0.7:
            summed = {"asked": content.put_body(self.db, text * 2)}
            aside = calls.begin(self.db, run.n, None, "summary", "A", "m", summed, 1)
            calls.end(self.db, aside, answer=content.put_message(self.db, None, "A", self.draw.choice(WORDS)))
        if kind > 0.8:
            citations.cite(self.db, run.n, row, [Source(1, "t", "s", "p", self.draw.choice(WORDS), 1.0, "words")])
        if kind > 0.9:
            runs.change_spec(self.db, run.n, {"kind": "duel", "opening": text}, {})

    def delete(self) -> None:
        childless = [name for name in self.left if not self._children(name)]
        name = self.draw.choice(childless)
        runs.delete(self.db, self.run(name))
        self.left.remove(name)

    def _children(self, name: str) -> list[tuple[int]]:
        return self.db.execute("SELECT n FROM run WHERE parent = ?", (self.run(name).n,)).fetchall()

    def said(self) -> dict[str, object]:
        return {
            name: (
                [said.text for said in content.chain(self.db, self.run(name).head)],
                runs.spec(self.db, self.run(name)),
                [content.body(self.db, n) for call in calls.of_run(self.db, self.run(name).n) for n in needs(call)],
                [source.text for _, source in citations.of_run(self.db, self.run(name).n)],
            )
            for name in self.left
        }

    def unneeded(self) -> tuple[int, int]:
        """How many messages and bodies nothing in the whole record leads to."""
        return (
            self.db.execute(
                """
                WITH RECURSIVE kept(n) AS (
                    SELECT message FROM turn WHERE message IS NOT NULL
                    UNION SELECT head FROM run WHERE head IS NOT NULL
                    UNION SELECT answer FROM call WHERE answer IS NOT NULL
                    UNION SELECT parent FROM message JOIN kept USING (n) WHERE parent IS NOT NULL)
                SELECT count(*) FROM message WHERE n NOT IN kept
                """
            ).fetchone()[0],
            self.db.execute("SELECT count(*) FROM content WHERE n NOT IN (SELECT content FROM held)").fetchone()[0],
        )


def needs(call: calls.Call) -> list[int]:
    return [call.request[part] for part in ("frame", "asked") if part in call.request]


@pytest.mark.parametrize("seed", range(12))
def test_others_keep_what_they_share_and_nothing_else_stays(database: Path, seed: int) -> None:
    with closing(open_writer(database)) as db:
        record = Record(db, seed)
        db.execute("BEGIN")
        for _ in range(8):
            record.begin()
            for _ in range(record.draw.randint(0, 6)):
                record.speak(record.draw.choice(record.left))
        while record.left:
            before = record.said()
            record.delete()
            assert record.said() == {name: said for name, said in before.items() if name in record.left}
            assert record.unneeded() == (0, 0)
        rows = [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("message", "content", "held")]
        assert rows == [0, 0, 0]


def steps(database: Path, others: int) -> int:
    """How much SQLite does (in hundreds of its own steps) to delete a short run beside `others` turns."""
    with closing(open_writer(database)) as db:
        db.execute("BEGIN")
        record = Record(db, 1)
        for length in (others, 10):
            name = runs.create(db, "duel", "t", {"kind": "duel"})
            record.left.append(name)
            for number in range(length):
                run = record.run(name)
                row = turns.open_turn(db, run.n, run.turns + 1, "A", "eliza", "m")
                recipe = {"frame": content.put_body(db, "same for all"), "head": run.head}
                call = calls.begin(db, run.n, row, "turn", "A", "m", recipe, 1)
                calls.end(db, call, answer=turns.finish(db, run.n, row, run.head, f"{length} {number}", "", "end"))
        db.execute("COMMIT")
        done = 0

        def counting() -> int:
            nonlocal done
            done += 1
            return 0

        db.set_progress_handler(counting, 100)
        db.execute("BEGIN")
        runs.delete(db, record.run(name))
        db.execute("COMMIT")
        db.set_progress_handler(None, 0)
        assert db.execute("SELECT count(*) FROM message").fetchone()[0] == others
    return done


def test_it_costs_what_the_run_holds_not_what_the_record_does(tmp_path: Path) -> None:
    few, many = steps(tmp_path / "few.db", 100), steps(tmp_path / "many.db", 3000)
    assert many < 1.5 * few, (few, many)
