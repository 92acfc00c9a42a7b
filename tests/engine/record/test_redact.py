"""No secret is ever stored, whole or in pieces, and nothing else is lost."""

from __future__ import annotations

import itertools
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.record import asks, calls, commands, content, events, notes, redact, runs, turns
from engine.record.connection import open_writer, transact
from engine.record.events import Kind
from engine.record.redact import MASK, StreamScrubber, scrub
from engine.record.runs import Status
from engine.settings import keys
from tests.conftest import forget_keys

KNOWN = "hunter2-of-the-lake"
SHAPED = ["sk-ant-api03-" + "Ab0_-" * 8, "sk-" + "x" * 20, "sk-proj-" + "9" * 64]


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LAKE_PASSWORD", KNOWN)
    forget_keys()
    return KNOWN


def streamed(pieces: list[str]) -> list[str]:
    scrubber = StreamScrubber()
    return [*(scrubber.feed(piece) for piece in pieces), scrubber.rest()]


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(ends)]


PARTS = ["s", "sk", "sk-", "task-", "bearer", "Bearer ", "b", "hunter", "hunter2-of-", " ", "\n", "é", "x" * 30]
WORDS = st.sampled_from([*PARTS, "\ud83d", "\ude00", KNOWN, *SHAPED])
TEXTS = st.lists(st.one_of(WORDS, st.text(max_size=5)), max_size=12).map("".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(TEXTS, st.lists(st.integers(0, 300), max_size=20))
@example("Bearer task-task-Bearer ", [])
def test_a_stream_is_scrubbed_as_the_whole_text_is(text: str, cuts: list[int]) -> None:
    assert "".join(streamed(pieces_of(text, cuts))) == scrub(text)


@pytest.mark.parametrize("found", [KNOWN, *SHAPED, "Bearer " + "t" * 40])
def test_a_secret_is_never_out_however_it_is_cut(found: str) -> None:
    hidden = found.removeprefix("Bearer ")
    for cut in range(1, len(found)):
        out = streamed(["The key is ", found[:cut], found[cut:], ", keep it."])
        assert "".join(out) == "The key is " + found.replace(hidden, MASK) + ", keep it."
    one_by_one = streamed([*found, "!"])
    assert not any(hidden[:12] in "".join(one_by_one[: n + 1]) for n in range(len(one_by_one)))


def test_a_secret_without_end_is_neither_shown_nor_piled_up() -> None:
    scrubber = StreamScrubber()
    out = [scrubber.feed("sk-" + "A" * 40), *(scrubber.feed("B" * 1000) for _ in range(1000))]
    assert len(scrubber._held) <= 2000
    assert "".join([*out, scrubber.feed("B end"), scrubber.rest()]) == MASK + " end"


def test_numbers_that_look_like_a_secret_stay_numbers(monkeypatch: pytest.MonkeyPatch, database: Path) -> None:
    monkeypatch.setenv("PIN_TOKEN", "16777216")
    forget_keys()
    db = open_writer(database)
    n = transact(db, lambda db: runs.find(db, runs.create(db, "duel", "t", {"size": 16777216, "pin": "16777216"})).n)
    transact(db, lambda db: events.append(db, n, Kind.LIMIT_REACHED, None, {"cap": 16777216, "unit": "16777216"}))
    assert events.after(db, 0)[-1].data == {"cap": 16777216, "unit": MASK}
    assert runs.spec(db, runs.get(db, n)) == {"size": 16777216, "pin": MASK}
    db.close()


def test_no_way_into_the_record_takes_a_secret(database: Path) -> None:
    db = open_writer(database)
    text = f"my key is {KNOWN} and {SHAPED[0]}"

    def everything(db: sqlite3.Connection) -> None:
        n = runs.find(db, runs.create(db, "duel", text, {"opening": text, "seats": [{"name": text}]})).n
        runs.start(db, n, 1, resumed=False)
        runs.set_status(db, n, Status.WAITING, Kind.RUN_WAITING, {"why": text}, detail=text)
        commands.put(db, n, "say", {"text": text, "now": False}, "me")
        commands.take(db, n, commands.waiting(db, n)[0])
        notes.queue(db, n, 1, "you", text, "me")
        notes.queue_words(db, n, 1, "A", text, "me")
        row = turns.open_turn(db, n, 1, "A", "a", "m")
        turns.add_delta(db, n, row, 1, 5, text, text)
        call = calls.begin(db, n, row, "turn", "A", "m", {"frame": content.put_json(db, {"system": text})}, 1)
        turns.finish(db, n, row, None, text, text, "end")
        calls.end(db, call, error=text)
        row = turns.open_turn(db, n, 2, "B", "b", "m")
        turns.fail(db, n, row, None, text)
        number = asks.open_ask(db, n, "text", text, fallback=text)
        asks.answer(db, number, text, "me")
        runs.change_spec(db, n, {"opening": text}, {"opening": text})
        runs.end(db, n, Status.FAILED, "provider", text)

    transact(db, everything)
    dump = "\n".join(db.iterdump())
    db.close()
    assert MASK in dump
    assert KNOWN not in dump and SHAPED[0] not in dump


def test_a_key_of_the_keys_file_is_known(database: Path) -> None:
    keys.put("OPENAI_API_KEY", "no-shape-at-all")
    forget_keys()
    assert scrub("it is no-shape-at-all.") == f"it is {MASK}."
    assert json.loads(json.dumps(redact.scrub_json({"a": ["no-shape-at-all", 1.5, None]}))) == {"a": [MASK, 1.5, None]}
