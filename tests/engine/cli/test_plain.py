"""A run told in lines: what one deed changes is told once."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cli.plain import Plain
from engine.record.events import Event


def _tell(*happened: tuple[str, dict[str, Any]]) -> None:
    plain = Plain(["ELIZA", "PARRY"])
    for number, (kind, data) in enumerate(happened, 1):
        plain.show(Event(number, "run", 0.0, kind, None, data))


def test_a_swap_is_one_line_that_says_who_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    _tell(
        ("command.taken", {"verb": "swap", "who": "ana"}),
        ("seat.changed", {"seat": "ELIZA", "changes": {"model": "ollama/qwen3"}}),
        ("spec.changed", {"changes": {"seats.0": {"model": "ollama/qwen3"}}}),
    )
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "ana: ELIZA: model=ollama/qwen3" in lines[0]


def test_a_seat_that_changes_by_itself_names_nobody_and_other_changes_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _tell(
        ("command.taken", {"verb": "swap", "who": "ana"}),
        ("seat.changed", {"seat": "ELIZA", "changes": {"model": "a/b"}}),
        ("seat.changed", {"seat": "PARRY", "changes": {"model": "c/d"}}),
        ("spec.changed", {"changes": {"limits.turns": 40}}),
        ("command.taken", {"verb": "pause", "who": "ana"}),
    )
    told = capsys.readouterr().err
    assert told.count("ana") == 2 and "PARRY: model=c/d" in told and "limits.turns=40" in told and "ana: pause" in told


def test_what_is_written_beside_a_loop_is_told_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    item = {"minute": 1, "kind": "claim", "text": "x", "seq": 2, "quote": "x"}
    raised = [item, item, {**item, "kind": "todo"}]
    _tell(
        ("minutes.taken", {"seat": "Scriber", "after": 4, "raised": raised, "closed": [{}], "rejected": ["a", "b"]}),
        ("minutes.taken", {"seat": "Scriber", "after": 6, "raised": [], "closed": [], "rejected": []}),
        ("aside.given", {"seat": "Judge", "after": 4, "text": "\x1b[2Jclear", "value": 7.0}),
        ("sources.cited", {"seq": 5, "seat": "Creator", "sources": [{"number": 1, "title": "a.md", "place": ""}]}),
    )
    first, second, third, fourth = capsys.readouterr().err.splitlines()
    assert first.endswith("Scriber notes after turn 4: 2 claims, 1 to-do, 1 closed, 2 rejected")
    assert second.endswith("Scriber notes after turn 6: nothing")
    assert "Judge on turn 4: 7" in third and "\x1b[2J" not in third
    assert fourth.endswith("Creator is given [1] a.md")


def test_a_seat_that_is_taken_over_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    _tell(
        ("seat.changed", {"seat": "PARRY", "changes": {"human": True}}),
        ("spec.changed", {"changes": {"seats.1": {"human": True}}}),
        ("seat.taken", {"seat": "PARRY", "who": "ana"}),
    )
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "ana speaks for PARRY now" in lines[0]


def test_a_limit_is_told_once_with_what_is_left_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    _tell(
        ("limit.reached", {"unit": "turns", "cap": 4, "spent": 4}),
        ("run.finished", {"reason": "limit:turns", "detail": "the limit of 4 turns is reached"}),
    )
    assert len(capsys.readouterr().err.splitlines()) == 1
    _tell(("limit.reached", {"unit": "tokens", "cap": 900, "spent": 368}))
    assert "368 of 900; what is left is too little" in capsys.readouterr().err
