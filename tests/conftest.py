"""What every test has: a home of its own, keys of nobody, and no process left behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.providers import weights
from engine.record import redact
from tests import duels
from tests.watch import Watch

_MODELS = weights.folder()
"""Where this machine keeps its weights: they are fetched once, not once a test."""
_SECRET_NAMES = ("_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Benchmarks run when they are asked for: `-m bench`."""
    if "bench" not in config.option.markexpr:
        measured = [item for item in items if item.get_closest_marker("bench")]
        config.hook.pytest_deselected(items=measured)
        items[:] = [item for item in items if item not in measured]


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders and settings of this test alone; hosts that it leaves behind are killed."""
    for kind in ("DATA", "CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    monkeypatch.setenv("TERTULIA_MODELS", str(_MODELS))
    for name in list(os.environ):
        if name.endswith(_SECRET_NAMES) or name in ("TERTULIA_DB", "OLLAMA_HOST", "OPENAI_BASE_URL", "NO_COLOR"):
            monkeypatch.delenv(name)
    forget_keys()
    yield tmp_path
    forget_keys()
    _reap(tmp_path)


def forget_keys() -> None:
    """Let the next text be scrubbed of the keys as they are now: a process reads them once."""
    redact._known.cache_clear()
    redact._pattern.cache_clear()


def _reap(folder: Path) -> None:
    """Kill every process that works on something below `folder`."""
    if not any(folder.rglob("*.runs")):
        return
    left = []
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != os.getpid() and any(str(folder) in part for part in process.info["cmdline"] or ()):
            left += [process, *process.children(recursive=True)]
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=10)


@pytest.fixture
def database(private_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a record that is not there yet, and TERTULIA_DB set to it."""
    path = private_home / "t.db"
    monkeypatch.setenv("TERTULIA_DB", str(path))
    return path


@pytest.fixture
def watch(database: Path) -> Iterator[Callable[[str], Watch]]:
    """Follow runs of `database`: `watch(run).until("turn.finished", seq=3)`."""
    opened: list[Watch] = []

    def follow(run: str) -> Watch:
        opened.append(Watch(database, run))
        return opened[-1]

    yield follow
    for watcher in opened:
        watcher.close()


@pytest.fixture
def scripted_pipeline(private_home: Path) -> Callable[..., dict[str, Any]]:
    """A duel between A and B that a script plays: `scripted_pipeline(script, turns=4, **keys)`; see tests.duels."""

    def make(script: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
        return duels.pipeline(private_home, script, **keys)

    return make


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The embedded model's weights, fetched on the first use on this machine."""
    before = os.environ.get("TERTULIA_MODELS")
    os.environ["TERTULIA_MODELS"] = str(_MODELS)
    try:
        return weights.path("smollm2") or weights.pull("smollm2")
    finally:
        if before is None:
            del os.environ["TERTULIA_MODELS"]
        else:
            os.environ["TERTULIA_MODELS"] = before
