from __future__ import annotations

from pathlib import Path

import pytest

from engine.providers import estimate, prices, retry
from engine.settings import paths
from tests.engine.talk.stage import Stage

_GUEST = "# Guest at a test: {name} (en)\n\nYou are {name}.\n"


@pytest.fixture
def home(private_home: Path) -> Path:
    """The user's config folder, with the guests Ann and Bob in it."""
    config = paths.config_dir()
    (config / "personas").mkdir(parents=True)
    for name in ("Ann", "Bob"):
        (config / "personas" / f"{name.lower()}.md").write_text(_GUEST.format(name=name), "utf-8")
    prices.table.cache_clear()
    estimate.forget()
    return config


@pytest.fixture
def stage(home: Path, database: Path) -> Stage:
    """An empty record to play duels in."""
    stage = Stage(database)
    stage.write(lambda db: None)
    return stage


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries that do not wait."""
    quick = retry.Policy(first=0.001, longest=0.002)
    monkeypatch.setattr(retry.Policy, "of", lambda place: quick)
