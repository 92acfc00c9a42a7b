"""What the transcript says of events that are not speech."""

from __future__ import annotations

from typing import Any

import pytest

from engine.record.events import Event, Kind
from tui.state import wording


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (Kind.RUN_STARTED, {"pid": 1, "resumed": False}, None),
        (Kind.RUN_STARTED, {"pid": 1, "resumed": True}, "resumed"),
        (Kind.RUN_FINISHED, {"reason": "bye"}, "finished: bye"),
        (
            Kind.RUN_FINISHED,
            {"reason": "limit:turns", "detail": "the limit of 20 turns is reached"},
            "finished: the limit of 20 turns is reached",
        ),
        (Kind.SEAT_CHANGED, {"seat": "ELIZA", "changes": {"model": "x/y"}}, "ELIZA now runs on x/y"),
        (
            Kind.SEAT_CHANGED,
            {"seat": "ELIZA", "changes": {"options.temperature": 0.9}},
            "ELIZA now has temperature 0.9",
        ),
        (Kind.SEAT_CHANGED, {"seat": "ELIZA", "changes": {"human": True}}, None),
        (Kind.SEAT_TAKEN, {"seat": "ELIZA", "who": "ana"}, "ana speaks for ELIZA now"),
        (Kind.SPEC_CHANGED, {"changes": {"seats.0": {"model": "x"}}}, None),
        (Kind.SPEC_CHANGED, {"changes": {"limits.turns": "60"}}, "limits.turns is now 60"),
        (
            Kind.CONTEXT_CUT,
            {"seat": "PARRY", "strategy": "drop-oldest", "kept": 2, "dropped": 3, "window": 2048},
            "PARRY no longer reads 3 messages after the first 2: left out, the window holds 2.0k tokens",
        ),
        (
            Kind.CONTEXT_CUT,
            {"seat": "PARRY", "strategy": "memory", "kept": 0, "dropped": 3, "window": 2048},
            "PARRY is sent only the latest messages from here on",
        ),
        (
            Kind.MEASURE_CROSSED,
            {"measure": "novelty", "value": 0.13, "rule": "novelty < 0.2", "turns": 4},
            "a stop rule holds: novelty < 0.2 for 4 turns, now 0.13",
        ),
        (
            Kind.MEASURE_TRIED,
            {"measure": "disagreement", "model": "a/b", "trusted": True, "of": 15, "hits": 14, "wrong": 1, "p": 0.0},
            "disagreement is measured by a/b (14 of 15 planted contradictions found, 1 where there was none)",
        ),
        (
            Kind.MEASURE_TRIED,
            {"measure": "disagreement", "model": "a/b", "trusted": False, "why": "it found none"},
            "disagreement is not measured: a/b: it found none",
        ),
        (
            Kind.DENIAL_FOUND,
            {"seq": 4, "seat": "Creator", "now": "no bell\nrings", "against": 2, "earlier": "bells ring"},
            "Creator denies turn 2: “no bell rings” against “bells ring”",
        ),
        (
            Kind.ANSWER_TRIMMED,
            {"seat": "Questioner", "why": "label, question", "taken": "Questioner:\n. So\x1b[1m it is"},
            "Questioner's turn leaves out a label and what followed its question: “Questioner: . So␛[1m it is”",
        ),
        (
            Kind.ANSWER_TRIMMED,
            {"seat": "Questioner", "why": "question", "taken": ". "},
            "Questioner's turn leaves out what followed its question",
        ),
        (
            Kind.ANSWER_TRIMMED,
            {"seat": "Questioner", "why": "guard", "taken": "Something else?"},
            "Questioner's topic stays as it was, this changed more than its spelling: “Something else?”",
        ),
        (
            Kind.ANSWER_FAULTY,
            {"seq": 3, "seat": "Creator", "fault": "it has 2 steps and must have 4"},
            "Creator's answer is not as its role asks: it has 2 steps and must have 4",
        ),
        (Kind.LIMIT_REACHED, {"unit": "turns", "cap": 20.0, "spent": 20}, None),  # the run's end says it
        (
            Kind.CALL_RETRIED,
            {"seat": "PARRY", "attempt": 2, "wait": 3.0, "error": "429\n\x1b[31m"},
            "PARRY: 429 ␛[31m; attempt 2 in 3 s",
        ),
        (Kind.COMMAND_REFUSED, {"verb": "swap", "why": "no such seat"}, "swap refused: no such seat"),
        (Kind.TURN_FAILED, {"seat": "PARRY", "error": "429"}, "PARRY could not answer: 429"),
        (Kind.TURN_DELTA, {"text": "x"}, None),
    ],
)
def test_line(kind: Kind, data: dict[str, Any], expected: str | None) -> None:
    assert wording.line(Event(1, "r", 0.0, kind, None, data)) == expected
