from __future__ import annotations

import functools
from pathlib import Path

import pytest

from engine.providers import estimate, prices, retry
from tests.engine.talk.stage import Stage

_GUEST = "# Guest at a test: {name} (en)\n\nYou are {name}.\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folders, empty but for the guests Ann and Bob; returns the config folder."""
    for kind in ("config", "data", "state", "cache"):
        monkeypatch.setenv(f"XDG_{kind.upper()}_HOME", str(tmp_path / kind))
    config = tmp_path / "config" / "tertulia"
    (config / "personas").mkdir(parents=True)
    for name in ("Ann", "Bob"):
        (config / "personas" / f"{name.lower()}.md").write_text(_GUEST.format(name=name), "utf-8")
    prices.table.cache_clear()
    estimate.forget()
    return config


@pytest.fixture
def stage(home: Path, tmp_path: Path) -> Stage:
    stage = Stage(tmp_path / "record" / "t.db")
    stage.write(lambda db: None)
    return stage


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries that do not wait."""
    monkeypatch.setattr(retry, "Policy", functools.partial(retry.Policy, first=0.001, longest=0.002))
