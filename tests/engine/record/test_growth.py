"""The record grows by what is said, not by how long the talk has been."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from engine.record import allowances, calls, commands, content, events, runs, turns
from engine.record.connection import open_writer, transact
from engine.record.events import Kind


def words(seed: int, characters: int) -> str:
    """Text that no index can fold away: every word is another one."""
    text = " ".join(f"{(seed * 7919 + number) * 2654435761 % 2**32:x}" for number in range(characters // 6))
    return text[:characters]


def grown(path: Path, count: int, characters: int) -> int:
    """Bytes of a record after a duel of so many turns, with all that a host writes about each."""
    with closing(open_writer(path)) as db:
        n = transact(db, lambda db: runs.find(db, runs.create(db, "duel", "t", {"kind": "duel"})).n)
        transact(db, lambda db: allowances.set_cap(db, n, "tokens", None))
        head: int | None = None
        for seq in range(1, count + 1):
            text = words(seq, characters)
            db.execute("BEGIN IMMEDIATE")
            row = turns.open_turn(db, n, seq, "AB"[seq % 2], "eliza", "scripted/echo")
            frame = content.put_json(db, {"seat": "AB"[seq % 2], "system": "You are a guest. " * 40})
            options = content.put_json(db, {"temperature": 0.6, "max_tokens": 300})
            recipe = {"frame": frame, "head": head, "options": options}
            call = calls.begin(db, n, row, "turn", "A", "scripted/echo", recipe, 1)
            allowances.reserve(db, n, call, {"tokens": 500})
            for at in range(0, characters, 40):  # what comes in 50 ms at some 200 tokens/s
                turns.add_delta(db, n, row, seq, at, text[at : at + 40])
                db.execute("COMMIT")
                db.execute("BEGIN IMMEDIATE")
            head = turns.finish(db, n, row, head, text, "", "end")
            calls.end(db, call, answer=head, tokens=(900, 100, 0, 0), cost=0.0012, first=1795000000.25, stop="end")
            allowances.settle(db, call, {"tokens": 1000.0})
            db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        free = db.execute("PRAGMA freelist_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
    return path.stat().st_size - int(free)


@pytest.mark.parametrize("characters", [200, 2000])
def test_a_turn_costs_a_kilobyte_and_three_times_its_text(tmp_path: Path, characters: int) -> None:
    empty = grown(tmp_path / "empty.db", 0, 0)
    short, long = (grown(tmp_path / f"{count}.db", count, characters) - empty for count in (200, 400))
    assert long / 400 <= 1024 + 3 * characters, f"{long / 400:.0f} bytes a turn"
    assert long - short <= short * 1.15, "linear: the second half costs what the first did"


def test_what_is_said_about_a_turn_is_kept_when_its_deltas_go(database: Path) -> None:
    """The pace of the words stays for replay; the delta events and the progress do not."""
    with closing(open_writer(database)) as db:
        n = runs.find(db, runs.create(db, "duel", "t", {})).n
        row = turns.open_turn(db, n, 1, "A", "a", "m")
        events.append(db, n, Kind.TURN_PROGRESS, "turn/1", {"done": 1, "total": 2}, turn=row)
        for ms, text in ((10, "Hello"), (60, ", "), (110, "world")):
            turns.add_delta(db, n, row, 1, ms, text)
        commands.put(db, n, "pause", {}, "me")
        assert turns.streamed(db, row) == ("Hello, world", "")
        turns.finish(db, n, row, None, "Hello, world.", "", "end", last=(150, ".", ""))
        assert [event.kind for event in events.after(db, 0)] == ["run.queued", "turn.started", "turn.finished"]
        found = turns.get(db, n, 1)
        assert found and turns.pace(found) == [(10, 5, 0), (60, 2, 0), (110, 5, 0), (150, 1, 0)]
        newest = events.newest(db)
        turns.add_delta(db, n, turns.open_turn(db, n, 2, "B", "b", "m"), 2, 1, "x")
        assert [event.id > newest for event in events.after(db, newest)] == [True, True], "ids are never used again"


def steps_to_get_the_last_turn(path: Path, count: int) -> int:
    """Hundreds of SQLite's own steps that it takes to find the last turn of a run of so many."""
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    with closing(open_writer(path)) as db:
        n = transact(db, lambda db: runs.find(db, runs.create(db, "duel", "t", {"kind": "duel"})).n)
        transact(db, lambda db: [turns.say(db, n, seq, "AB"[seq % 2], f"{seq}", "end") for seq in range(1, count + 1)])
        db.set_progress_handler(step, 100)
        found = turns.get(db, n, count)
        db.set_progress_handler(None, 100)
    assert found and found.text == str(count)
    return taken


def test_the_last_turn_is_found_at_once_however_long_the_talk(tmp_path: Path) -> None:
    assert steps_to_get_the_last_turn(tmp_path / "long.db", 400) <= steps_to_get_the_last_turn(tmp_path / "a.db", 4) + 1
