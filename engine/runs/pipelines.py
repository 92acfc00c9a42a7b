"""Pipelines: YAML files, each the whole description of one run. Found by path, then the user's, then shipped ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.runs import kinds
from engine.settings import layers, paths, shipped, yaml_file
from engine.settings.errors import UsageError, nearest


def folders() -> list[Path]:
    """Where pipelines are looked up by name, the first winning."""
    return [paths.config_dir() / "pipelines", shipped.folder("pipelines")]


def available() -> dict[str, Path]:
    """Every pipeline that can be named; a user's own hides the shipped one of that name."""
    found: dict[str, Path] = {}
    for folder in reversed(folders()):
        found.update((path.stem, path) for path in sorted(folder.glob("*.yml")))
    return dict(sorted(found.items()))


def find(name: str | Path) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    known = available()
    if str(name) in known:
        return known[str(name)]
    if path.suffix in (".yml", ".yaml") or len(path.parts) > 1:
        raise UsageError(f"{name}: no such pipeline file; `tertulia pipelines` lists those that can be named")
    raise UsageError(f"no pipeline is called {str(name)!r}; {nearest(str(name), known)}")


def resolve(pipeline: str | Path | dict[str, Any], sets: Sequence[str] = (), seed: str | None = None) -> dict[str, Any]:
    """The checked spec of a pipeline (a name, a path, or its content) with overrides. Raises UsageError."""
    if isinstance(pipeline, dict):
        data, source = pipeline, "this run"
    else:
        path = find(pipeline)
        data, source = yaml_file.load_mapping(path), str(path)
        if not data:
            raise UsageError(f"{source}: empty; a pipeline says at least its kind and its seats")
    data = layers.apply(data, sets)
    try:
        kind = kinds.load(data.get("kind"))
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    if seed is not None:
        data[kind.SEED] = seed
    return kind.validate(data, source)
