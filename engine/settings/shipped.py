"""The files that come with the program: in a wheel below `engine/shipped`, else the repository's own folders."""

from __future__ import annotations

from pathlib import Path

_ENGINE = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """The shipped folder `name`: personas, pipelines or config."""
    packed = _ENGINE / "shipped" / name
    return packed if packed.is_dir() else _ENGINE.parent / name
