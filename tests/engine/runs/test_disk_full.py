"""A disk that fills up under a run: it waits, or gives up in one line, and goes on where it was. No root is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.providers.script import echo

_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
WORDS = 200
TURNS = 8


def namespaces() -> bool:
    try:
        return subprocess.run([*_NAMESPACE, "true"], capture_output=True, timeout=60).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def played(tmp_path: Path, scripted_pipeline: Callable[..., dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    if not namespaces():
        pytest.skip("this kernel lets no ordinary user have a mount namespace: a full disk cannot be made")
    pipeline = scripted_pipeline({"words": WORDS}, delay=0.01, chunk=40, turns=TURNS)
    for seat in pipeline["seats"]:
        seat["options"] = {"max_tokens": 1000}
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(pipeline))

    def play(how: str) -> dict[str, Any]:
        program = [sys.executable, "-m", "tests.engine.runs.on_full_disk", str(tmp_path), str(file), how]
        root = Path(__file__).parents[3]
        done = subprocess.run([*_NAMESPACE, *program], cwd=root, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return seen

    return play


EXPECTED = [echo("AB"[turn % 2], turn // 2, WORDS) for turn in range(TURNS)]


def test_a_full_disk_is_waited_for_and_the_run_goes_on(played: Callable[[str], dict[str, Any]]) -> None:
    seen = played("room")
    assert 2 <= seen["then"] < TURNS
    assert seen["kept"] and seen["whole"] == "ok" and seen["reason"] == "limit:turns"
    assert seen["said"] == EXPECTED
    assert seen["log"].count("the disk is full") == 1 and seen["log"].count("has room again") == 1


def test_a_disk_that_stays_full_ends_the_host_in_one_line_and_resume_goes_on(
    played: Callable[[str], dict[str, Any]],
) -> None:
    seen = played("late")
    assert seen["code"] == 1 and seen["status"] == "crashed"
    errors = [line for line in seen["log"].splitlines() if " ERROR " in line]
    assert len(errors) == 1 and "the disk is full; free some space, then `tertulia resume`" in errors[0]
    assert "Traceback" not in seen["log"]
    assert seen["kept"] and seen["whole"] == "ok" and seen["reason"] == "limit:turns"
    assert seen["said"] == EXPECTED


@pytest.mark.parametrize("how", ["begin", "dark"])
def test_a_disk_that_is_full_before_the_host_begins_is_named_at_once(
    how: str, played: Callable[[str], dict[str, Any]]
) -> None:
    seen = played(how)
    assert "has not started yet: " in seen["said"] and "the disk is full; free some space" in seen["said"]
    assert seen["reason"] == "limit:turns"
