"""A run that leaves no transcript: nothing of it is there after its end, however it ends."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from engine.record import presence
from engine.settings import paths
from tests.watch import wait_for

from .conftest import Cli
from .test_running import Terminal

Pipeline = Callable[..., Path]
SLOW = {"pace": {"chunk": 2, "delay": 0.05}, "words": 40}


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where such runs are recorded."""
    runtime = paths.private_dir(home / "runtime")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return runtime / "tertulia" / "throwaway"


def kept(place: Path) -> list[Path]:
    return sorted(place.glob("run-*"))


def traces(home: Path, words: bytes) -> list[Path]:
    """Files below the home of the test that hold what was said."""
    return [path for path in home.rglob("*") if path.is_file() and words in path.read_bytes()]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "engine", *map(str, words)]


@pytest.fixture
def live(pipeline: Pipeline, place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A run in the middle of a turn, with the folder that it is recorded in."""
    process = subprocess.Popen(
        command("run", pipeline(SLOW), "--json", "--no-transcript"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if json.loads(line)["kind"] == "turn.delta":
            break
    (folder,) = kept(place)
    yield process, folder
    process.kill()
    process.communicate(timeout=20)


def gone(process: psutil.Process) -> bool:
    """Whether it has ended, waited for by its parent or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def host(folder: Path) -> psutil.Process:
    (pid,) = presence.alive(folder / "run.db").values()
    return psutil.Process(pid)


def test_a_run_is_shown_and_then_gone(cli: Cli, pipeline: Pipeline, place: Path, home: Path) -> None:
    path = pipeline({"seats": {"A": ["Only once.", "And again."]}}, limits={"turns": 2})
    result = cli("run", path, "--no-transcript", db=False)
    assert (result.code, result.out) == (0, "B: Hello there.\nA: Only once.\n")
    assert result.err.splitlines()[-1].startswith("nothing of run ")
    told = cli("run", path, "--no-transcript", "--json", db=False)
    assert told.code == 0 and told.lines[-1]["kind"] == "run.finished"
    assert kept(place) == [] and traces(home, b"Only once") == [home / "script.json"]
    assert not paths.database().exists()


@pytest.mark.parametrize("mode", [None, 0o755])
def test_without_a_private_runtime_folder_it_is_recorded_with_the_state(
    mode: int | None, cli: Cli, pipeline: Pipeline, place: Path
) -> None:
    place.parents[1].rmdir() if mode is None else place.parents[1].chmod(mode)
    assert cli("run", pipeline(limits={"turns": 1}), "--no-transcript", db=False).code == 0
    own = paths.state_dir() / "throwaway"
    assert own.is_dir() and kept(own) == [] and not place.exists()


def test_what_it_is_recorded_in_is_private(live: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = live
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)}
    assert modes == {0o700} and process.poll() is None
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.rglob("*")} == {0}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_is_stopped_and_gone(live: tuple[subprocess.Popen[str], Path], number: int) -> None:
    process, folder = live
    played = host(folder)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not folder.exists()
    wait_for(lambda: gone(played), "the host to end")


def test_killed_its_host_ends_and_deletes_it(live: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = live
    played = host(folder)
    process.kill()
    wait_for(lambda: not folder.exists(), "the host to delete the folder")
    wait_for(lambda: gone(played), "the host to end")
    assert not folder.exists()


def test_what_is_left_when_both_are_killed_goes_with_the_next_such_run(
    live: tuple[subprocess.Popen[str], Path], cli: Cli, pipeline: Pipeline, place: Path
) -> None:
    process, folder = live
    played = host(folder)
    played.suspend()  # so that it cannot notice
    process.kill()
    process.wait(20)
    assert folder.exists()
    assert cli("run", pipeline(limits={"turns": 2}), "--no-transcript", db=False).code == 0
    assert kept(place) == []
    wait_for(lambda: gone(played), "the host to end")


def test_two_at_once_leave_each_other_alone(
    live: tuple[subprocess.Popen[str], Path], cli: Cli, pipeline: Pipeline, place: Path
) -> None:
    process, folder = live
    assert cli("run", pipeline(limits={"turns": 2}), "--no-transcript", db=False).code == 0
    assert kept(place) == [folder] and process.poll() is None


def test_it_cannot_be_left_to_itself(cli: Cli, pipeline: Pipeline, place: Path) -> None:
    detached = cli("run", pipeline(), "--no-transcript", "--detach", db=False)
    assert detached.code == 2 and "leave out --detach" in detached.err and detached.err.count("\n") == 1
    named = cli("run", pipeline(), "--no-transcript")
    assert named.code == 2 and "--db names one" in named.err
    assert not place.exists() or kept(place) == []
    bad = cli("run", pipeline(limits={"tunrs": 3}), "--no-transcript", db=False)
    assert bad.code == 2 and "did you mean turns?" in bad.err and kept(place) == []


def test_on_a_terminal_ctrl_c_offers_no_leaving(pipeline: Pipeline, place: Path) -> None:
    terminal = Terminal("run", pipeline(SLOW), "--no-transcript")
    terminal.until("A:.* ")
    terminal.type("\x03")
    asked = terminal.until("run \\w+: .*> ")
    assert "detach" not in asked and "s stop it" in asked
    terminal.type("d\n")
    terminal.until("run \\w+: .*> ")
    terminal.type("s\n")
    terminal.until("stopped")
    assert terminal.wait() == 130
    assert kept(place) == []


def test_an_ask_that_nobody_can_answer_ends_it(pipeline: Pipeline, place: Path) -> None:
    fault = {"text": "Now.", "faults": [{"attempt": 1, "fault": "refused", "message": "not today"}]}
    words = command("run", pipeline({"seats": {"A": [fault]}}), "--no-transcript", "--plain")
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3 and "nobody can answer: it is stopped" in done.stderr
    assert place.exists() and kept(place) == []
