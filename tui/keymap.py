"""Keys: what every binding does, why it is off right now, and the user's own keys by binding id.

One table, the bindings of the widgets themselves, feeds dispatch, the footer, the help and the palette, so that none
of them can say something the others do not. A widget that defines `why_off(action)` says why a key does nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.keys import format_key
from textual.screen import Screen

from engine.settings import paths
from engine.settings.errors import UsageError, nearest

FOOTER = 7
"""Keys that the footer shows at most."""
_NICE = {"ctrl": "ctrl", "escape": "esc", "enter": "enter", "space": "space", "tab": "tab", "shift+tab": "shift+tab"}


class Explains(DOMNode):
    """A widget whose keys can be off; an action that is off is dimmed, and pressing it says why."""

    def why_off(self, action: str) -> str | None:
        """Why `action` can do nothing now, or None when it can."""
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return None if self.why_off(action) else True


@dataclass(slots=True)
class Entry:
    """One command: its keys as they are now, what it does, where it lives, and why it is off (None: it is on)."""

    id: str
    keys: list[str]
    label: str
    detail: str
    node: DOMNode
    action: str
    show: bool
    off: str | None

    @property
    def key(self) -> str:
        return self.keys[0] if self.keys else ""

    @property
    def shown_keys(self) -> str:
        return " ".join(sorted(dict.fromkeys(pretty(key) for key in self.keys), key=len))


def entries(screen: Screen[Any], start: DOMNode | None = None) -> list[Entry]:
    """The commands that reach `start` (the focused widget when None), innermost first, each once."""
    found: dict[tuple[int, str], Entry] = {}
    for node in _chain(screen, start):
        bindings = BindingsMap.merge([node._bindings])
        keys = dict(screen.app._keymap)
        if keys:
            bindings.apply_keymap(keys)
        for key, binding in bindings:
            if not binding.id or not binding.description:
                continue
            entry = found.get((id(node), binding.action))
            if entry:
                if key not in entry.keys:
                    entry.keys.append(key)
                continue
            state = screen.app._check_action_state(binding.action, node)
            if state is False:
                continue
            explain = getattr(node, "why_off", None)
            off = None if state else (explain and explain(binding.action.partition("(")[0])) or "not possible now"
            detail = binding.tooltip or binding.description
            found[id(node), binding.action] = Entry(
                binding.id, [key], binding.description, detail, node, binding.action, binding.show, off
            )
    return list(found.values())


def _chain(screen: Screen[Any], start: DOMNode | None) -> Iterator[DOMNode]:
    node = start or screen.focused or screen
    for ancestor in node.ancestors_with_self:
        yield ancestor
        if ancestor.is_modal:
            return


def pretty(key: str) -> str:
    """A key as it is written on screen: `ctrl+p`, `esc`, `?`."""
    *modifiers, last = key.split("+")
    name = _NICE.get(last) or format_key(last)
    return "+".join([*modifiers, name])


def file() -> Path:
    return paths.config_dir() / "keymap.yml"


def load() -> dict[str, str]:
    """The user's keys by binding id, as Textual wants them. Raises UsageError naming file and id."""
    if not file().exists():
        return {}
    from engine.settings import yaml_file

    ids = {binding.id for binding in known()}
    found = {}
    for name, value in yaml_file.load_mapping(file()).items():
        if name not in ids:
            raise UsageError(f"{file()}: {name} is no command; {_near(str(name), ids)}")
        keys = [value] if isinstance(value, str | int) else value
        if not isinstance(keys, list) or not keys or not all(isinstance(key, str | int) for key in keys):
            raise UsageError(f"{file()}: {name}: give a key, such as ctrl+r, or a list of keys")
        if not all(str(key).strip() for key in keys):
            raise UsageError(f"{file()}: {name}: a key is empty")
        found[str(name)] = ",".join("comma" if key == "," else str(key).strip() for key in keys)
    return found


def known() -> list[Binding]:
    """Every command of the app that has an id, sorted by it. Loads every pane."""
    for folder in ("panes", "widgets"):
        package = importlib.import_module(f"tui.{folder}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"tui.{folder}.{module.name}")
    importlib.import_module("tui.app")
    found: dict[str, Binding] = {}
    for owner in _subclasses(DOMNode):
        if owner.__module__.startswith("tui."):
            for item in owner.__dict__.get("BINDINGS", ()):
                if isinstance(item, Binding) and item.id:
                    found.setdefault(item.id, item)
    return [found[name] for name in sorted(found)]


def _subclasses(owner: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for child in owner.__subclasses__():
        yield child
        yield from _subclasses(child)


def _near(name: str, ids: Iterable[str | None]) -> str:
    hint = nearest(name, [item for item in ids if item])
    return hint if hint.startswith("did") else "`tertulia keymap` lists them"
