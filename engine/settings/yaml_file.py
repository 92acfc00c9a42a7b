"""Reading YAML that a person wrote: every fault is one line naming file, line and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from engine.settings.errors import UsageError

LIMIT = 1 << 20


class _Loader(yaml.SafeLoader):
    """YAML as people expect it: a key given twice is a mistake, and aliases cannot blow a file up."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not supported", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse(text: str, source: str) -> Any:
    """The value of `text`; `source` names it in errors."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        raise UsageError(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"{source}: not valid YAML: {str(error).splitlines()[0]}") from None


def read_text(path: Path) -> str:
    """The file's text, which must be UTF-8 and at most 1 MiB."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > LIMIT:
        raise UsageError(f"{path}: {len(data)} bytes, more than the {LIMIT} that such a file may have")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}); save it as UTF-8"
        ) from None


def load(path: Path) -> Any:
    return parse(read_text(path), str(path))


def load_mapping(path: Path) -> dict[str, Any]:
    """A file whose top level is `key: value` pairs; an empty file is an empty mapping."""
    value = load(path)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{path}: the top level must be `key: value` pairs, not a {type(value).__name__}")
    return value
