"""What typed words mean: whose they are, and when they are said."""

from __future__ import annotations

import pytest

from tui.widgets.composer import Utterance, parse

SEATS = ["ELIZA", "PARRY", "PARRY 2"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("hello", Utterance("hello")),
        ("  hello\nyou \n", Utterance("hello\nyou")),
        ("/now stop", Utterance("stop", now=True)),
        ("/NOW\nstop", Utterance("stop", now=True)),
        ("/nowhere", Utterance("/nowhere")),
        ("@PARRY yes", Utterance("yes", "PARRY")),
        ("@parry: yes", Utterance("yes", "PARRY")),
        ("@PARRY 2 yes", Utterance("yes", "PARRY 2")),
        ("@PARRYS yes", Utterance("@PARRYS yes")),
        ("@someone yes", Utterance("@someone yes")),
        ("/now @ELIZA go", Utterance("go", "ELIZA", True)),
        ("@ELIZA /now go", Utterance("go", "ELIZA", True)),
        ("write to @ELIZA", Utterance("write to @ELIZA")),
        ("/bye", Utterance("/bye")),
    ],
)
def test_parse(typed: str, expected: Utterance) -> None:
    assert parse(typed, SEATS) == expected


def test_the_key_cuts_in_too() -> None:
    assert parse("@ELIZA go", SEATS, now=True) == Utterance("go", "ELIZA", True)
