"""Runs listed, shown, found, exported and copied."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.record import asks, runs
from engine.record.asks import Option
from engine.record.connection import write_once
from engine.record.events import Kind
from engine.record.reader import Reader
from engine.record.runs import Status

from .conftest import Cli
from .test_running import Terminal

PUBLIC = {
    "id",
    "kind",
    "title",
    "status",
    "pid",
    "parent",
    "created",
    "ended",
    "spec",
    "usage",
    "cost",
    "turns",
    "asks",
}


def test_a_fresh_machine_has_no_runs_and_says_how_to_get_one(cli: Cli) -> None:
    for words in (["runs"], ["runs", "--json"], ["asks"]):
        result = cli(*words)
        assert (result.code, result.out) == (0, "")
    assert "eliza-meets-parry" in cli("runs").err


def test_runs_are_listed(cli: Cli, record: str) -> None:
    out = cli("runs").out.splitlines()
    assert out[0].split() == ["id", "state", "kind", "turns", "tokens", "cost", "age", "title"]
    assert out[1].split()[:6] == [record, "finished", "duel", "2", "17", "?"]
    assert cli("runs", "parry").out and not cli("runs", "nobody").out
    told = cli("runs", "--json").lines[0]
    assert (told["id"], told["status"], told["reason"]) == (record, "finished", "limit:turns")
    assert told["cost"] is None and told["unpriced_calls"] == 1
    assert told["usage"] == {"tokens_in": 12, "tokens_out": 5}


def test_a_run_whose_host_died_reads_as_crashed(cli: Cli, record: str, database: Path) -> None:
    write_once(database, lambda db: runs.start(db, 1, 999_999, resumed=True))
    assert cli("runs", "--json").lines[0]["status"] == "crashed"
    result = cli("follow", record)
    assert result.code == 1 and f"tertulia resume {record}" in result.err


def test_a_run_is_shown_as_text_and_as_one_object(cli: Cli, record: str) -> None:
    out = cli("show", record[:3]).out
    assert "ELIZA: Please tell me your problem. ␛[31m⟨202E⟩" in out
    assert "you (note): Mention horses." in out and "Tokens:       12 in, 5 out" in out
    result = cli("show", "last", "--json")
    assert result.out.count("\n") == 1 and "\x1b" not in result.out and "\u202e" not in result.out
    told = json.loads(result.out)
    assert set(told) >= PUBLIC
    assert [(turn["seq"], turn["role"], turn["seat"], turn["state"]) for turn in told["turns"]] == [
        (1, "turn", "ELIZA", "finished"),
        (2, "note", "you", "finished"),
        (2, "turn", "PARRY", "finished"),
    ]
    assert told["turns"][0]["text"].endswith("\x1b[31m\u202e") and told["turns"][0]["thinking"] == "thought"
    assert told["spec"]["seats"][0]["name"] == "ELIZA"


def test_following_an_ended_run_tells_it_all_and_ends(cli: Cli, record: str) -> None:
    result = cli("follow", "last")
    assert result.code == 0
    assert result.out.splitlines() == [
        "ELIZA: Please tell me your problem. ␛[31m⟨202E⟩",
        "you (note): Mention horses.",
        "PARRY: The horses race.",
    ]
    assert "finished (limit:turns: 2 of 2)" in result.err
    events = cli("follow", "last", "--json").lines
    assert [event["kind"] for event in events][:3] == ["run.queued", "run.started", "turn.started"]
    assert all({"id", "run", "at", "kind", "subject"} <= set(event) for event in events)
    third = events[2]["id"]
    assert cli("follow", "last", "--json", "--from", third).lines == events[2:]


def test_words_are_found(cli: Cli, record: str) -> None:
    assert cli("search", "hors").out.count("\n") == 2
    assert [hit["seat"] for hit in cli("search", "races", "--json").lines] == []
    hit = cli("search", '"the horses"', "race", "--json").lines[0]
    assert (hit["run"], hit["seq"], hit["seat"], hit["text"]) == (record, 2, "PARRY", "The horses race.")
    assert cli("search", "horses", "--run", record).out and "nothing found" in cli("search", "zebra").err
    assert "\x1b" not in cli("search", "problem").out


def test_exports_go_to_stdout_a_file_or_a_folder_and_never_overwrite_unasked(
    cli: Cli, record: str, tmp_path: Path
) -> None:
    assert cli("export", "last").out.startswith("# ELIZA meets PARRY")
    page = tmp_path / "deep" / "talk.html"
    assert cli("export", "last", "--format", "html", "-o", page).out == f"{page}\n"
    assert page.read_text().startswith("<!DOCTYPE html>")
    before = page.read_text()
    refused = cli("export", "last", "--format", "md", "-o", page)
    assert refused.code == 2 and "--force" in refused.err and page.read_text() == before
    assert cli("export", "last", "--format", "md", "-o", page, "--force").code == 0
    assert page.read_text().startswith("# ELIZA")
    folder = tmp_path / "texts"
    made = cli("export", "last", "--format", "txt", "-o", f"{folder}/").out.splitlines()
    assert len(made) == 2 and "Please tell me" in Path(made[0]).read_text()
    assert "Please tell me" not in Path(made[1]).read_text()
    assert [path.name for path in sorted(folder.iterdir())] == sorted(Path(name).name for name in made)
    view = cli("export", "last", "--format", "chatml", "--seat", "eliza").lines
    assert [item["role"] for item in view[0]["messages"]] == ["system", "user", "assistant"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_export_that_cannot_be_written_leaves_nothing(cli: Cli, record: str, tmp_path: Path) -> None:
    tmp_path.joinpath("shut").mkdir(mode=0o500)
    result = cli("export", "last", "-o", tmp_path / "shut" / "x.md")
    assert result.code == 1 and "cannot be written" in result.err


def test_an_export_into_something_that_is_no_folder_fails_in_one_line(cli: Cli, record: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = cli("export", "last", "-o", tmp_path / "file" / "x.md")
    assert (result.code, result.err.count("\n")) == (1, 1) and "cannot be written" in result.err


def test_a_backup_is_a_record_of_its_own(cli: Cli, record: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert cli("backup", copy).code == 0
    assert cli("show", record, "--db", copy, db=False).out == cli("show", record).out
    assert copy.stat().st_mode & 0o777 == 0o600
    assert cli("backup", copy).code == 2, "a file that is there is never written over"


def test_a_backup_that_cannot_be_written_says_where_and_why(cli: Cli, record: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = cli("backup", tmp_path / "file" / "copy.db")
    assert result.code == 1 and result.out == ""
    assert str(tmp_path / "file") in result.err and "[Errno" not in result.err and result.err.count("\n") == 1


def test_a_run_is_deleted_only_when_that_was_meant(cli: Cli, record: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    assert cli("rm", record).code == 2 and cli("runs", "--json").lines
    assert cli("rm", record, "--yes").code == 0 and not cli("runs", "--json").lines


def test_asks_are_listed_and_answered_once(cli: Cli, record: str, database: Path) -> None:
    def ask(db: sqlite3.Connection) -> int:
        runs.set_status(db, 1, Status.WAITING, Kind.RUN_WAITING, {"why": "ask"})
        options = (Option("retry", "Try again", "r"), Option("stop", "Stop", "s"))
        return asks.open_ask(db, 1, "choose", "The model is gone.\x1b[2J What now?", options, fallback="stop")

    number = write_once(database, ask)
    out = cli("asks").out
    assert f"{number}  run {record}  The model is gone.␛[2J What now?" in out and "stop: Stop (default)" in out
    assert cli("asks", record, "--json").lines[0]["options"][0]["value"] == "retry"
    wrong = cli("answer", number, "maybe")
    assert wrong.code == 2 and "answer one of retry, stop" in wrong.err
    assert cli("answer", number, "r").code == 0
    again = cli("answer", number, "stop")
    assert again.code == 1 and "answered already" in again.err
    reader = Reader(database)
    assert [(ask.answer, ask.state) for ask in reader.asks(every=True)] == [("retry", "answered")]
    reader.close()


@pytest.mark.parametrize(("typed", "code"), [("n\n", 0), ("\n", 0), ("y\n", 0), ("\x03", 130)])
def test_rm_asks_and_takes_no_for_an_answer(typed: str, code: int, cli: Cli, record: str, database: Path) -> None:
    terminal = Terminal("--db", database, "rm", record)
    terminal.until(r"Delete run \w+ .*\[y/N\]: ")
    terminal.type(typed)
    assert terminal.wait() == code
    left = [run["id"] for run in cli("runs", "--json").lines]
    assert left == ([] if typed == "y\n" else [record])
    assert ("stays" in terminal.seen) is (typed in ("n\n", "\n"))


def test_rm_asks_again_where_the_answer_is_neither(cli: Cli, record: str, database: Path) -> None:
    terminal = Terminal("--db", database, "rm", record)
    terminal.until(r"\[y/N\]: ")
    terminal.type("perhaps\n")
    terminal.until(r"y or n\s+Delete run \w+ .*\[y/N\]: ")
    terminal.type("\x04")
    assert terminal.wait() == 0 and "stays" in terminal.seen
    assert [run["id"] for run in cli("runs", "--json").lines] == [record]


def test_an_empty_file_is_no_record_yet(cli: Cli, database: Path) -> None:
    database.touch()
    for words in (["runs"], ["show", "last"], ["asks"]):
        result = cli(*words)
        assert result.code == 1 and "an empty file, no record yet; `tertulia run" in result.err
    (found,) = [item for item in cli("doctor", "--json").lines if item["what"] == "record"]
    assert found["level"] == "good" and "the first run makes it" in found["text"]


@pytest.mark.parametrize("words", [["show", "last"], ["show", "last", "--json"], ["export", "last"]])
def test_a_record_that_is_broken_in_the_middle_is_named_in_one_line(
    words: list[str], cli: Cli, record: str, database: Path
) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_size").fetchone()[0]
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message'").fetchone()[0]
    with database.open("r+b") as out:
        out.seek((root - 1) * size)
        out.write(b"\xff" * size)
    result = cli(*words)
    assert result.code == 1 and result.err.count("\n") == 1
    assert f"{database}: not a readable record (database disk image is malformed); move it away" in result.err
