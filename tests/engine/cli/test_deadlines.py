"""What people are told of an ask that nobody may answer in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cli import prompt
from engine.cli.plain import Plain
from engine.record import asks, runs
from engine.record.asks import Option
from engine.record.connection import open_reader, write_once
from engine.record.events import Event, after

from .conftest import Cli

CHOICE = (Option("retry", "retry", "r"), Option("stop", "stop", "x"))
AT = time.mktime((2031, 5, 4, 14, 5, 10, 0, 0, -1))
TOLD = "stop is taken at 2031-05-04 14:05 unless someone answers"


def ask(database: Path, record: str, fallback: str | None, deadline: float | None) -> int:
    def put(db: object) -> int:
        n = runs.find(db, record).n  # type: ignore[arg-type]
        return asks.open_ask(db, n, "choose", "What now?", CHOICE, fallback=fallback, deadline=deadline)  # type: ignore[arg-type]

    return write_once(database, put)


def told(database: Path, capsys: pytest.CaptureFixture[str]) -> str:
    db = open_reader(database)
    for event in after(db, 0):
        if event.kind.startswith("ask."):
            Plain([]).show(Event(event.id, event.run, event.at, event.kind, event.subject, event.data))
    db.close()
    return capsys.readouterr().err


def test_when_the_fallback_is_taken_is_said_wherever_the_ask_is(
    record: str, database: Path, cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    number = ask(database, record, "stop", AT)
    for words in (["asks"], ["show", record]):
        assert TOLD in cli(*words).out
    assert f"`tertulia answer {number} VALUE`); {TOLD}\n" in told(database, capsys)
    db = open_reader(database)
    prompt.put(asks.get(db, number))
    db.close()
    assert TOLD in capsys.readouterr().err
    write_once(database, lambda db: asks.expire(db, number))
    assert f"ask {number}: nobody has answered in time: stop is taken\n" in told(database, capsys)


@pytest.mark.parametrize(("fallback", "deadline"), [("stop", None), (None, AT), (None, None)])
def test_without_both_nothing_is_said_of_it(
    fallback: str | None,
    deadline: float | None,
    record: str,
    database: Path,
    cli: Cli,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ask(database, record, fallback, deadline)
    assert " is taken " not in cli("asks").out + cli("show", record).out + told(database, capsys)


def test_today_is_a_time_of_day() -> None:
    assert len(prompt.in_time("stop", time.time()).split(" at ")[1].split()[0]) == len("14:05:10")


def test_without_a_terminal_a_run_waits_for_its_deadline_and_not_for_a_person(
    cli: Cli, pipeline: Callable[..., Path]
) -> None:
    fault = {"text": "Now.", "faults": [{"attempt": 1, "fault": "refused", "message": "not today"}]}
    result = cli("run", pipeline({"seats": {"A": [fault]}}, deadline=0.001), "--plain")
    assert result.code == 1
    assert "nobody has answered in time: stop is taken" in result.err and "failed (provider" in result.err
