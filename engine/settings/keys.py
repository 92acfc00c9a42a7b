"""API keys: the environment wins, then a file only its owner can read. Keys never enter the record."""

from __future__ import annotations

import os
import re
from pathlib import Path

from engine.settings import paths
from engine.settings.errors import UsageError

_NAME = re.compile(r"[A-Z][A-Z0-9_]{1,63}")


def file() -> Path:
    return paths.config_dir() / "keys"


def get(name: str) -> str | None:
    """The key `name`, or None."""
    return os.environ.get(name) or _stored().get(name)


def put(name: str, value: str) -> Path:
    """Store a key in the 0600 file; an empty value removes it."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no key name; use capitals, such as OPENAI_API_KEY")
    value = value.strip()
    if any(char.isspace() or not char.isprintable() for char in value):
        raise UsageError(f"{name}: a key has no spaces or control characters; paste the key alone")
    stored = _stored()
    if value:
        stored[name] = value
    else:
        stored.pop(name, None)
    paths.private_dir(file().parent)
    temporary = file().with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.writelines(f"{key}={stored[key]}\n" for key in sorted(stored))
    temporary.replace(file())
    return file()


def names() -> list[str]:
    """The names of all stored keys."""
    return sorted(_stored())


def secrets() -> list[str]:
    """Every value that must never be stored or shown: stored keys and environment variables named like one."""
    environment = [
        value for name, value in os.environ.items() if name.endswith(("_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD"))
    ]
    return [value for value in {*_stored().values(), *environment} if len(value) >= 8]


def _stored() -> dict[str, str]:
    try:
        text = file().read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file()}: cannot be read: {error}") from None
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}
