"""API keys: the environment wins, then `.env` in the working folder, then a file only its owner can read.

Keys never enter the record. Of a `.env` only those keys are taken that an endpoint of providers.yml names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from engine.settings import paths
from engine.settings.errors import UsageError

_NAME = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
_SECRET = ("_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
_has_folder = True


def file() -> Path:
    return paths.config_dir() / "keys"


def folder_file() -> Path | None:
    """The `.env` of the working folder, or None where there is none, or no working folder."""
    if not _has_folder:
        return None
    try:
        path = Path.cwd() / ".env"
        return path if path.is_file() else None
    except OSError:  # the folder is gone, or closed to us
        return None


def leave_folder() -> None:
    """From now on this process has no working folder of the user's: what it needs of a `.env` its starter gave it."""
    global _has_folder
    _has_folder = False


def get(name: str) -> str | None:
    """The key `name`, or None."""
    return os.environ.get(name) or _of_folder([name]).get(name) or _stored().get(name)


def source(name: str) -> str | None:
    """Where the key `name` comes from: `environment`, or the path of the file; None where it is not set."""
    if os.environ.get(name):
        return "environment"
    if _of_folder([name]):
        return str(folder_file())
    return str(file()) if _stored().get(name) else None


def wanted() -> dict[str, str]:
    """Every key that providers.yml names, with the endpoint that wants it. Raises UsageError on a broken file."""
    from engine.settings import layers

    places = layers.load("providers")
    return {
        str(place["key"]): str(name) for name, place in places.items() if isinstance(place, dict) and place.get("key")
    }


def of_folder() -> dict[str, str]:
    """The keys that `.env` in the working folder holds. Raises UsageError naming file and line."""
    return _of_folder(wanted()) if folder_file() else {}


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
    """Every value that must never be stored or shown: all keys, and environment variables named like one."""
    named = wanted()
    environment = [value for name, value in os.environ.items() if name in named or name.endswith(_SECRET)]
    return [value for value in {*_stored().values(), *of_folder().values(), *environment} if len(value) >= 8]


def _of_folder(names: Iterable[str]) -> dict[str, str]:
    """Of these keys, those that the `.env` of the working folder holds."""
    path = folder_file()
    if path is None:
        return {}
    from engine.settings import dotenv

    pairs = dotenv.read(path)
    found = {}
    for name in names:
        value, line = pairs.get(name, ("", 0))
        if "${" in value or any(char.isspace() or not char.isprintable() for char in value):
            raise UsageError(f"{path}:{line}: {name}: write the key itself, without spaces and without ${{...}}")
        if value:
            found[name] = value
    return found


def _stored() -> dict[str, str]:
    try:
        text = file().read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file()}: cannot be read: {error}") from None
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}
