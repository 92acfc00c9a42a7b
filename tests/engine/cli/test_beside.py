"""`tertulia show` says what was written beside a loop."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from engine.cli.beside import DETAILS
from engine.record import metrics, minutes, runs, turns
from engine.record.connection import write_once
from engine.record.minutes import Closed, Raised
from tests.engine.cli.conftest import Cli


@pytest.fixture
def minuted(database: Path) -> str:
    """Two turns: the first asks and is answered by the second, which claims something."""

    def write(db: sqlite3.Connection) -> str:
        run = runs.create(
            db, "loop", "Harbour", {"kind": "loop", "seats": [{"name": "Questioner"}, {"name": "Creator"}]}
        )
        n, head, rows = runs.find(db, run).n, None, []
        for seq, (seat, text) in enumerate([("Questioner", "When is high tide?"), ("Creator", "At six.\x1b[2J")], 1):
            rows.append(turns.open_turn(db, n, seq, seat, None, None))
            head = turns.finish(db, n, rows[-1], head, text, "", "end")
        asked = Raised("question", "When is it?", rows[0], "When is high tide?")
        minutes.take(db, n, rows[0], "Scriber", "", [asked, Raised("todo", "Look\x1b[31m it up", rows[0], "When")], [])
        number = minutes.items(db, n)[0].n
        claim = Raised("claim", "At six.", rows[1], "At six.")
        minutes.take(db, n, rows[1], "Scriber", "", [claim], [Closed(number, rows[1], "At six.")])
        metrics.put(db, n, rows[1], {"novelty": 0.5})
        return run

    return write_once(database, write)


def test_the_minutes_stand_below_the_talk_by_what_they_are(cli: Cli, minuted: str) -> None:
    shown = cli("show", minuted).out
    assert [line for line in shown.partition("\nClaims:")[2].splitlines() if line] == [
        "  At six. (Creator, turn 2)",
        "Questions:",
        "  When is it? (Questioner, turn 1, closed in turn 2)",
        "To-dos:",
        "  Look␛[31m it up (Questioner, turn 1, open)",
    ]


def test_minutes_and_measures_are_in_the_object(cli: Cli, minuted: str) -> None:
    told = json.loads(cli("show", minuted, "--json").out)
    question = next(item for item in told["minutes"] if item["kind"] == "question")
    assert (question["seq"], question["closed"], question["closing"]) == (1, 2, "At six.")
    assert told["measures"] == {"novelty": [[2, 0.5]]}


def test_a_duel_has_none(cli: Cli, record: str) -> None:
    told = json.loads(cli("show", record, "--json").out)
    assert (told["minutes"], told["measures"]) == ([], {})
    assert "Claims" not in cli("show", record).out


def test_every_reason_to_trim_an_answer_is_in_words() -> None:
    told = DETAILS["answer.trimmed"]({"seat": "Questioner", "why": "label, question", "taken": "Sure:"})
    assert told == "Questioner: taken off: its own name, what is not its question"
