"""The program as a whole: what it loads, how it fails, what its help says."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest

from engine.cli import session as sessions
from engine.cli.lazy import Entry
from engine.cli.main import _COMMANDS, _program, main

from .conftest import Cli

HEAVY = [
    "openai",
    "anthropic",
    "ollama",
    "xllamacpp",
    "sqlite_utils",
    "textual",
    "rich",
    "pydantic",
    "httpx",
    "torch",
    "asyncio",
]


def test_reading_commands_load_nothing_heavy(record: str, database: Path) -> None:
    program = f"""
import sys
from engine.cli.main import main
export = ["export", "last", "--format", "jsonl"]
for words in (["--help"], ["runs"], ["show", "last"], ["search", "horses"], ["asks"], ["follow", "last"], export):
    assert main(["--db", {str(database)!r}, *words]) == 0, words
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert not loaded, (words, loaded)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_record_may_be_named_before_or_after_the_command(record: str, cli: Cli, database: Path) -> None:
    before = cli("runs", "--json")
    after = cli("runs", "--json", "--db", database, db=False)
    assert before.out == after.out and record in after.out
    assert cli("keys", "list", "--db", database, db=False).code == 0
    assert cli("--db", "nowhere.db", "runs", "--json", "--db", database, db=False).out == after.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["rnus"], 2, "unknown command 'rnus': did you mean runs?"),
        (["xyzzy"], 2, "unknown command 'xyzzy': `tertulia --help`"),
        (["runs", "--jsno"], 2, "No such option '--jsno'"),
        (["show"], 2, "Missing argument"),
        (["show", "zzzz"], 2, "no run zzzz; `tertulia runs` lists them"),
        (["follow", "zzzz"], 2, "no run zzzz"),
        (["pause", "zzzz"], 2, "no run zzzz"),
        (["answer", "99", "x"], 2, "no ask 99"),
        (["answer", "x", "x"], 2, "not a valid integer"),
        (["export", "last", "--format", "pdf"], 2, "unknown format 'pdf'"),
        (["run", "elisa-meets-parry"], 2, "did you mean eliza-meets-parry?"),
        (["run", "/nowhere/x.yml"], 2, "/nowhere/x.yml: no such pipeline file"),
        (["run", "x", "--plain", "--json"], 2, "choose one of"),
        (["personas", "show", "elisa"], 2, "eliza"),
        (["keys", "set", "lower"], 2, "no key"),
        (["models", "pull", "smollm3"], 2, "smollm2"),
        (["attach", "last"], 2, "without the app"),
        ([], 2, "without the app"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    words: list[str], code: int, said: str, record: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: PTH123, SIM115
    result = cli(*words)
    assert result.code == code
    assert said in result.err and result.err.startswith("tertulia: ") and result.err.count("\n") == 1
    assert result.out == ""


def test_a_record_that_cannot_be_used_is_one_line_and_exit_code_1(cli: Cli, database: Path) -> None:
    result = cli("show", "last")
    assert (result.code, result.err.count("\n")) == (1, 1) and "no record here yet" in result.err
    database.write_bytes(b"something else entirely, and long enough to be read as a page\n" * 20)
    result = cli("runs")
    assert (result.code, result.err.count("\n")) == (1, 1) and "not a readable record" in result.err
    database.unlink()
    sqlite3.connect(database).execute("CREATE TABLE t (x)")
    assert "not a record of this program" in cli("runs").err


def test_every_command_listed_loads_and_its_help_is_true() -> None:
    program = _program(True, {})
    for name in _COMMANDS:
        command = program.get_command(click.Context(program), name)
        assert command is not None and command.name == name
        if command.hidden:
            continue
        every = [command, *getattr(command, "commands", {}).values()]
        for one in every:
            example = re.search(r"Example:  (.*)", one.help or "")
            assert example, f"{name} {one.name} has no example"
            assert f"tertulia {name}" in example[1]


def test_help_lists_only_what_works_here(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    assert "attach" not in cli("--help").out
    assert main(["--help"], opener=lambda database, run: 0) == 0
    assert "attach" in capsys.readouterr().out
    keys = Entry("engine.cli.keys:keys", "Another name.", "Set up")
    assert main(["locks", "--help"], more={"locks": keys}) == 0
    assert "tertulia keys set" in capsys.readouterr().out
    assert "host" not in re.findall(r"^  (\w+)", cli("--help").out, re.M)


def test_the_app_is_opened_where_there_is_one(
    record: str, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[tuple[Path, str | None]] = []

    def opener(path: Path, run: str | None) -> int:
        opened.append((path, run))
        return 7

    assert main(["--db", str(database)], opener) == 2
    assert "needs a terminal" in capsys.readouterr().err and not opened
    monkeypatch.setattr(sessions, "on_terminal", lambda: True)
    assert main(["--db", str(database)], opener) == 7
    assert main(["attach", "last", "--db", str(database)], opener) == 7
    assert opened == [(database, None), (database, record)]


def test_run_on_a_terminal_opens_the_app_on_the_new_run(
    cli: Cli, pipeline: object, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(pipeline)
    opened: list[str | None] = []
    monkeypatch.setattr("engine.cli.run.on_terminal", lambda: True)
    monkeypatch.setattr(sessions, "on_terminal", lambda: True)
    path = pipeline()
    assert main(["run", str(path), "--db", str(database)], lambda _, run: opened.append(run) or 0) == 0
    assert opened == [cli("runs", "--json").lines[0]["id"]]


def test_a_fault_of_the_program_itself_is_reported_not_thrown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opener(_: Path, __: str | None) -> int:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(sessions, "on_terminal", lambda: True)
    assert main([], opener) == 1
    assert "internal error: ZeroDivisionError: oops" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        main(["--debug"], opener)


def test_a_reader_that_has_seen_enough_is_no_error(record: str, database: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "engine", "show", "last", "--db", str(database)]
    done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_colour_where_nobody_looks(record: str, cli: Cli) -> None:
    for words in (["runs"], ["show", "last"], ["search", "horses"], ["follow", "last"], ["personas"]):
        result = cli(*words)
        assert "\x1b" not in result.out + result.err


def test_the_shell_completes_commands_and_runs(record: str, database: Path) -> None:
    for words, point, expected in (
        ("tertulia ru", 1, "runs"),
        (f"tertulia --db {database} show {record[:3]}", 4, record),
    ):
        environment = {
            **os.environ,
            "_TERTULIA_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(point),
        }
        done = subprocess.run(
            [sys.executable, "-m", "engine"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert f"plain,{expected}" in done.stdout, done
