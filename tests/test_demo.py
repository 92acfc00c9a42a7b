"""The demo: ELIZA meets PARRY, on the model inside the program, as `make run` plays it without a terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from engine.record import calls, runs, turns
from engine.record.connection import open_reader
from engine.record.runs import Status
from engine.record.turns import State
from engine.settings import shipped


@pytest.mark.model
def test_the_demo_talks_to_its_end_outside_a_terminal(database: Path, smollm2: Path) -> None:
    played = _tertulia("run", "eliza-meets-parry", "--set", "limits.turns=4")
    assert played.returncode == 0, played.stderr
    db = open_reader(database)
    run = runs.find(db, "last")
    assert (run.title, run.status, run.reason) == ("ELIZA meets PARRY", Status.FINISHED, "limit:turns")
    said = [turn for turn in turns.listing(db, run.n) if turn.state is State.FINISHED]
    assert [turn.seat for turn in said] == ["ELIZA", "PARRY", "ELIZA", "PARRY"]
    assert said[0].text == "Good evening. Tell me your problems."
    assert all(turn.text and turn.model == "local/smollm2" for turn in said[1:])
    made = calls.of_run(db, run.n)
    assert [call.seat for call in made] == ["PARRY", "ELIZA", "PARRY"]
    assert all(call.tokens_in and call.tokens_out and call.cost == 0 and call.error is None for call in made)
    db.close()

    assert played.stdout.count("ELIZA:") == played.stdout.count("PARRY:") == 2
    for turn in said:
        assert " ".join(turn.text.split()) in " ".join(played.stdout.split())

    exported = _tertulia("export", "last", "--format", "md")
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.startswith("# ELIZA meets PARRY")
    read = " ".join(_read_as_markdown(exported.stdout).split())
    place = 0
    for turn in said:
        place = read.index(turn.seat, place)
        place = read.index(" ".join(turn.text.split()), place)


def _read_as_markdown(text: str) -> str:
    """What a reader of the rendered document sees."""
    parts = [token for block in MarkdownIt().parse(text) for token in block.children or ()]
    return "".join(" " if token.type.endswith("break") else f"{token.content} " for token in parts)


def _tertulia(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engine", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=shipped.folder("pipelines").parent,
        check=False,
    )
