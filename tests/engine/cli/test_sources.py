"""`tertulia show` says what `[3]` in a turn means and opens it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from engine.record import citations, runs, turns
from engine.record.citations import Source
from engine.record.connection import write_once
from tests.engine.cli.conftest import Cli

TIDES = Source(1, "Tides", "/docs/tides\x1b[2J.md", "Tides, line 3", "High tide\n\x1b[31mat six.\u202e", 0.5, "both")
DUES = Source(2, "Dues", "/docs/dues.txt", "line 1", "Fourteen crowns.", 0.4, "words")


@pytest.fixture
def cited(database: Path) -> str:
    def write(db: sqlite3.Connection) -> str:
        run = runs.create(db, "loop", "Harbour", {"kind": "loop", "seats": [{"name": "Creator"}]})
        n = runs.find(db, run).n
        turn = turns.open_turn(db, n, 1, "Creator", None, None)
        turns.finish(db, n, turn, None, "At six [1], they say [1; 9] [x].", "", "end")
        citations.cite(db, n, turn, [TIDES, DUES])
        return run

    return write_once(database, write)


def test_below_a_turn_stands_what_it_names(cli: Cli, cited: str) -> None:
    shown = cli("show", cited).out.splitlines()
    at = next(n for n, line in enumerate(shown) if line.startswith("Creator: At six"))
    assert shown[at + 1 :] == ["  [1] Tides, Tides, line 3, /docs/tides␛[2J.md"], "only what it names, once"


def test_a_source_opens_with_its_text(cli: Cli, cited: str) -> None:
    opened = cli("show", cited, "--source", 1)
    assert opened.code == 0 and opened.out.splitlines()[1:] == [
        "given to turn 1",
        "",
        "High tide",
        "␛[31mat six.⟨202E⟩",
    ]
    wrong = cli("show", cited, "--source", 3)
    assert wrong.code == 2 and "--source 3: its sources are 1 to 2" in wrong.err
    assert cli("show", cited, "--source", 1, "--json").code == 2
    told = json.loads(cli("show", cited, "--json").out)["sources"]
    assert [(one["seq"], one["number"], one["text"]) for one in told] == [(1, 1, TIDES.text), (1, 2, DUES.text)]


def test_a_run_without_sources_says_so(cli: Cli, record: str) -> None:
    none = cli("show", record, "--source", 1)
    assert none.code == 2 and "no turn of this run was given any source" in none.err
    assert json.loads(cli("show", record, "--json").out)["sources"] == []
