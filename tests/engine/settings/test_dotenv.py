"""Keys from a `.env` in the working folder: what is read of it, what wins, and what is said of bad lines."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.record import redact
from engine.settings import dotenv, keys, paths
from engine.settings.errors import UsageError
from tests.conftest import forget_keys
from tests.engine.providers.fake_server import Reply, serving

FILE = r"""
# keys of this project
OPENAI_API_KEY=sk-bare-0123456789   # mine

export ANTHROPIC_API_KEY = 'sk-single#0123'
TWICE=first
TWICE="sec\"ond\n"
EMPTY=
HASH=a#b c #comment
BARE
SPANS="one
two"
AFTER=3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder / ".env"


def test_a_file_is_read_as_other_programs_read_it(here: Path) -> None:
    here.write_bytes(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode())
    assert dotenv.read(here) == {
        "OPENAI_API_KEY": ("sk-bare-0123456789", 3),
        "ANTHROPIC_API_KEY": ("sk-single#0123", 5),
        "TWICE": ('sec"ond\n', 7),
        "EMPTY": ("", 8),
        "HASH": ("a#b c", 9),
        "SPANS": ("one\ntwo", 11),
        "AFTER": ("3", 13),
    }


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\n\nOPENAI_API_KEY sk-secret\n", ":3: not understood; write KEY=VALUE"),
        (b"A=1\nOPENAI_API_KEY: sk-secret\n", ":2: not understood"),
        (b'OPENAI_API_KEY="sk-secret\n', ":1: OPENAI_API_KEY: the value has a quote that is not closed"),
        (b"OPENAI_API_KEY='sk-secret' more\n", ":1: OPENAI_API_KEY: the value has a quote that is not closed, or text"),
        (b"\xff\xfe", ": not UTF-8"),
        (b"#\nOPENAI_API_KEY=${secret}\n", ":2: OPENAI_API_KEY: write the key itself"),
        (b"OPENAI_API_KEY=sk secret\n", ":1: OPENAI_API_KEY: write the key itself"),
    ],
)
def test_a_bad_line_is_named_and_not_shown(here: Path, content: bytes, line: str) -> None:
    here.write_bytes(content)
    for read in (lambda: keys.get("OPENAI_API_KEY"), keys.secrets, keys.of_folder):
        with pytest.raises(UsageError) as caught:
            read()
        assert str(caught.value).startswith(f"{here}{line}") and "secret" not in str(caught.value).split("${")[0]


def test_the_environment_wins_then_the_folder_then_the_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "OPENAI_API_KEY"
    assert (keys.get(name), keys.source(name)) == (None, None)
    keys.put(name, "from-the-file")
    assert (keys.get(name), keys.source(name)) == ("from-the-file", str(keys.file()))
    here.write_text(f"{name}=from-the-folder\n")
    assert (keys.get(name), keys.source(name)) == ("from-the-folder", str(here))
    here.write_text(f"{name}=\n")
    assert keys.get(name) == "from-the-file"
    monkeypatch.setenv(name, "from-outside")
    assert (keys.get(name), keys.source(name)) == ("from-outside", "environment")


def test_only_keys_that_an_endpoint_wants_are_taken(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths.private_dir(paths.config_dir())
    (paths.config_dir() / "providers.yml").write_text("box: {adapter: openai, base_url: http://127.0.0.1, key: BOX}\n")
    here.write_text(
        "BOX=box-0123456789\nPATH=/nowhere\nDATABASE_PASSWORD=of another program\nOPENAI_BASE_URL=http://x\n"
    )
    before = dict(os.environ)
    assert keys.of_folder() == {"BOX": "box-0123456789"}
    assert dict(os.environ) == before
    assert "box-0123456789" in keys.secrets()
    forget_keys()
    assert redact.scrub("it is box-0123456789.") == "it is [secret]."
    here.unlink()
    monkeypatch.setenv("BOX", "outside-0123456789")
    assert "outside-0123456789" in keys.secrets()


def test_a_folder_of_that_name_is_no_file_of_keys(here: Path) -> None:
    here.mkdir()
    assert keys.get("OPENAI_API_KEY") is None and keys.of_folder() == {}


def program(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine", *map(str, words)]
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


async def test_a_run_takes_its_key_along_and_a_resume_elsewhere_says_what_is_missing(here: Path) -> None:
    secret = "box-key-0123456789"
    async with serving("openai") as fake:
        paths.private_dir(paths.config_dir())
        place = f"{{adapter: openai, base_url: '{fake.url}/v1', key: BOX_KEY}}"
        (paths.config_dir() / "providers.yml").write_text(f"box: {place}\n")
        seats = [{"name": name, "persona": "eliza", "model": "box/tiny"} for name in ("A", "B")]
        told = {"kind": "duel", "seats": seats, "starter": "A", "limits": {"turns": 1}, "rules": "none"}
        pipeline = here.with_name("talk.yml")
        pipeline.write_text(json.dumps(told))
        here.write_text(f"BOX_KEY={secret}\n")
        fake.replies.append(Reply(f"My key is {secret}."))

        done = await asyncio.to_thread(program, here.parent, "run", pipeline, "--plain")
        assert (done.returncode, done.stdout) == (0, "A: My key is [secret].\n"), done
        assert fake.chats[0].headers["authorization"] == f"Bearer {secret}"

        elsewhere = here.parent / "elsewhere"
        elsewhere.mkdir()
        more = ("resume", "last", "--set", "limits.turns=2")
        refused = await asyncio.to_thread(program, elsewhere, *more)
        assert refused.returncode == 2 and "no API key for box" in refused.stderr and ".env" in refused.stderr
        assert "BOX_KEY" in refused.stderr and len(fake.chats) == 1
        done = await asyncio.to_thread(program, here.parent, *more)
        assert done.returncode == 0, done
        followed = await asyncio.to_thread(program, elsewhere, "follow", "last")
        assert followed.returncode == 0 and "B: Hello there, friend." in followed.stdout

        for file in here.parent.parent.rglob("*"):
            if file.is_file() and file != here:
                assert secret.encode() not in file.read_bytes(), file


def test_doctor_says_where_a_key_comes_from(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.cli import health

    here.write_text("OPENAI_API_KEY=sk-0123456789\n")
    here.chmod(0o644)
    told = [finding.text for finding in health.secrets()]
    assert told == [f"OPENAI_API_KEY comes from {here}", f"others can read {here}; `chmod 600 {here}`"]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-9876543210")
    here.chmod(0o600)
    told = [finding.text for finding in health.secrets()]
    assert told == [f"OPENAI_API_KEY comes from the environment, which wins over {here}"]
    here.write_text("OPENAI_API_KEY sk-0123456789\n")
    (finding,) = health.secrets()
    assert finding.level is health.Level.BAD and finding.text.startswith(f"{here}:1: ")
