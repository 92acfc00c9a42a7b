"""What the app remembers between sessions, in `app.yml` of the user's config folder: today, the theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.settings import paths
from engine.settings.errors import UsageError, nearest

_KEYS = ("theme",)


def file() -> Path:
    return paths.config_dir() / "app.yml"


def load() -> dict[str, str]:
    """The stored choices. Raises UsageError naming file and key."""
    if not file().exists():
        return {}
    from engine.settings import yaml_file  # PyYAML costs the start 15 ms that most starts need not pay

    found: dict[str, Any] = yaml_file.load_mapping(file())
    for key, value in found.items():
        if key not in _KEYS:
            raise UsageError(f"{file()}: {key} is no setting; {nearest(str(key), _KEYS)}")
        if not isinstance(value, str):
            raise UsageError(f"{file()}: {key} must be a name, not {value!r}")
    return found


def store(key: str, value: str) -> None:
    """Keep one choice. Raises OSError where the folder cannot be written."""
    import yaml

    kept = load() | {key: value}
    paths.private_dir(file().parent)
    fresh = file().with_suffix(".new")
    fresh.write_text(yaml.safe_dump(kept), "utf-8")
    fresh.replace(file())
