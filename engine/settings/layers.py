"""Layered settings: shipped defaults, the user's file, and `--set key=value` on top."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.settings import paths, shipped, yaml_file
from engine.settings.errors import UsageError


def load(name: str) -> dict[str, Any]:
    """`config/NAME.yml` as shipped, with the user's file of that name merged over it."""
    merged = yaml_file.load_mapping(shipped.folder("config") / f"{name}.yml")
    own = paths.config_dir() / f"{name}.yml"
    return merge(merged, yaml_file.load_mapping(own)) if own.exists() else merged


def named(name: str) -> str:
    """How to name the settings file NAME in an error: the user's own where there is one."""
    own = paths.config_dir() / f"{name}.yml"
    return str(own) if own.exists() else own.name


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`: mappings are merged key by key, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def apply(data: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of `data` with each `a.0.b=value` (value in YAML) set. Raises UsageError on a path that leads nowhere."""
    result: Any = copy(data)
    for assignment in assignments:
        path, sign, text = assignment.partition("=")
        if not sign or not path.strip():
            raise UsageError(f"--set {assignment}: write it as key=value, such as limits.turns=10")
        put(result, path.strip(), yaml_file.parse(text, f"--set {path}"), f"--set {assignment}")
    return dict(result)


def put(target: Any, path: str, value: Any, source: str) -> None:
    """Set `a.0.b` in place. Raises UsageError, beginning with `source`, on a path that leads nowhere."""
    keys = path.split(".")
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(target, list):
            if not key.isdecimal() or int(key) >= len(target):
                raise UsageError(f"{source}: {key} is no place in a list of {len(target)}")
            place: Any = int(key)
        elif isinstance(target, dict):
            place = key
        else:
            raise UsageError(f"{source}: {'.'.join(keys[:depth])} is a single value, it has no {key}")
        if last:
            target[place] = value
        else:
            if isinstance(target, dict) and target.get(place) is None:
                target[place] = {}
            target = target[place]


def copy(value: Any) -> Any:
    """A copy that shares no mapping or list with `value`."""
    if isinstance(value, Mapping):
        return {key: copy(item) for key, item in value.items()}
    return [copy(item) for item in value] if isinstance(value, list) else value
