"""How much is told beside the data: --quiet, --verbose, --log-file, and what the host of a run started so logs."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.record.reader import Reader
from engine.runs import log
from engine.settings import paths
from tests.engine.providers.fake_server import Reply, serving

from .conftest import Cli

Pipeline = Callable[..., Path]
FAULT = {"text": "Now.", "faults": [{"attempt": 1, "fault": "broken_stream", "message": "the line broke"}]}
SAID = "B: Hello there.\nA: Now.\n"


def logged(database: Path) -> str:
    reader = Reader(database)
    run = reader.find("last").id
    reader.close()
    return log.log_file(database, run).read_text()


@pytest.fixture
def talk(pipeline: Pipeline) -> Path:
    """One turn, whose first try fails."""
    return pipeline({"seats": {"A": [FAULT]}}, limits={"turns": 2})


def test_by_default_what_happens_is_told(cli: Cli, talk: Path, database: Path) -> None:
    result = cli("run", talk, "--plain")
    assert (result.code, result.out) == (0, SAID)
    told = result.err.splitlines()
    assert told[0].startswith("run ") and told[1] == "started" and told[-1].startswith("finished (limit:turns")
    assert any(line.startswith("A: attempt 2 in") for line in told)
    assert not any("in all" in line for line in told)
    text = logged(database)
    assert " WARNING scripted/" in text and ": started" in text and " DEBUG " not in text


def test_quiet_tells_warnings_alone_and_logs_no_more(cli: Cli, talk: Path, database: Path) -> None:
    result = cli("run", talk, "--plain", "--quiet")
    assert (result.code, result.out) == (0, SAID)
    assert re.fullmatch(r"A: attempt 2 in \d\.\d s: .*the line broke.*\n", result.err)
    levels = {line.split()[2] for line in logged(database).splitlines()}
    assert levels == {"WARNING"}
    assert cli("-q", "show", "nobody").err.startswith("tertulia: no run nobody")
    detached = cli("run", talk, "--detach", "-q")
    assert detached.err == "" and cli("follow", detached.out.strip(), "-q").out == SAID


def test_verbose_tells_sizes_and_times_and_its_host_logs_them(cli: Cli, talk: Path, database: Path) -> None:
    result = cli("run", talk, "--plain", "-v")
    assert (result.code, result.out) == (0, SAID)
    assert re.search(r"^turn 2: A \(scripted/.*\)$", result.err, re.M)
    measured = r"^turn 2: \d+ tokens sent, 1 said, first token after \d\.\d\d s, \d\.\d\d s in all, ended by end$"
    assert re.search(measured, result.err, re.M), result.err
    text = logged(database)
    assert re.search(r" DEBUG scripted/\S+: try 1: \d+ messages, \d+ characters; ", text)
    assert re.search(r" DEBUG scripted/\S+: first token after .* in all; \d+ tokens sent, 1 said", text)
    assert "Hello there" not in text


def test_what_another_terminal_starts_again_has_its_own_level(cli: Cli, talk: Path, database: Path) -> None:
    assert cli("run", talk, "--plain", "-q").code == 0
    run = cli("runs", "--json").lines[0]["id"]
    assert cli("resume", run, "--set", "limits.turns=3", "--verbose").code == 0
    cli("follow", run)
    assert " DEBUG " in logged(database)


def test_a_log_file_has_all_that_is_told_whatever_the_level(cli: Cli, talk: Path, home: Path) -> None:
    file = home / "told.log"
    first = cli("run", talk, "--plain", "-q", "--log-file", file)
    assert first.code == 0 and first.err.count("\n") == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO started$", text, re.M)
    assert re.search(r" WARNING A: attempt 2 in ", text) and re.search(r" DEBUG turn 2: .* in all", text)
    assert "Hello there" not in text
    assert cli("show", "nobody", "--log-file", file).code == 2
    assert file.read_text().startswith(text) and file.read_text().endswith(" lists them\n")
    cli("runs", "nothing like it")
    assert "nothing like it" not in file.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs", "-q", "-v"], "choose one of --quiet and --verbose"),
        (["-v", "runs", "--quiet"], "choose one of --quiet and --verbose"),
        (["runs", "--log-file", ""], "--log-file: the path is empty"),
        (["runs", "--log-file", "/nowhere/x.log"], "--log-file /nowhere/x.log: cannot be written: No such file"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], said: str, cli: Cli) -> None:
    result = cli(*words)
    assert result.code == 2 and result.err.startswith(f"tertulia: {said}") and result.err.count("\n") == 1


def test_the_version_has_a_short_name(cli: Cli) -> None:
    assert cli("-V", db=False).out == cli("--version", db=False).out != ""


@pytest.mark.parametrize(("level", "expected"), [("-v", True), ("--db", False)])
async def test_requests_of_the_http_library_are_logged_when_debugging_alone(
    level: str, expected: bool, database: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving("openai") as fake:
        paths.private_dir(paths.config_dir())
        place = f"{{adapter: openai, base_url: '{fake.url}/v1'}}"
        (paths.config_dir() / "providers.yml").write_text(f"box: {place}\n")
        seats = [{"name": name, "persona": "eliza", "model": "box/tiny"} for name in ("A", "B")]
        told = {"kind": "duel", "seats": seats, "starter": "A", "limits": {"turns": 1}, "rules": "none"}
        (home / "talk.yml").write_text(json.dumps(told))
        fake.replies.append(Reply("Nothing to log."))
        words = ["--db", str(database), *([level] if level == "-v" else []), "run", str(home / "talk.yml"), "--plain"]
        command = [sys.executable, "-m", "engine", *words]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "A: Nothing to log.\n"), done
    assert ("HTTP Request: POST" in logged(database)) is expected
