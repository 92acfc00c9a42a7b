"""The line at the bottom: at most seven keys, those of the focused place that do something now, and `?`."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.dom import DOMNode
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, TextArea

from tui.keymap import FOOTER, Entry, entries, pretty


class KeyLine(Widget):
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key", "keys--label"}

    def __init__(self) -> None:
        super().__init__()
        self._entries: list[Entry] = []
        self._places: list[tuple[int, int, Entry]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self._update())
        self.call_after_refresh(self._update)

    def _update(self) -> None:
        if self.app.screen is not self.screen:
            return
        useful = [entry for entry in entries(self.screen) if entry.show and not entry.off]
        answers = self._answers()
        taken = {pretty(key) for entry in answers for key in entry.keys}
        left = ([key for key in entry.keys if pretty(key) not in taken] for entry in useful)
        useful = [replace(entry, keys=keys) for entry, keys in zip(useful, left, strict=True) if keys]
        if isinstance(self.screen.focused, Input | TextArea):
            # There, these keys are letters.
            useful = [entry for entry in useful if entry.key != "space" and len(pretty(entry.key)) > 1]
        last = [entry for entry in useful if entry.id == "app.help"]
        useful = [*answers, *useful]
        self._entries = [entry for entry in useful if entry not in last][: FOOTER - len(last)] + last
        self.refresh()

    def _answers(self) -> list[Entry]:
        """The letters of a card that is up: while they answer, they are nothing else."""
        focused = self.screen.focused
        found: tuple[DOMNode, list[tuple[str, str, str]]] | None = next(
            (node.answers for node in (focused.ancestors_with_self if focused else ()) if hasattr(node, "answers")),
            None,
        )
        if found is None:
            return []
        card, letters = found
        return [Entry("", [key], label, label, card, action, True, None) for key, label, action in letters]

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        key_style, label_style = (self.get_component_rich_style(name) for name in ("keys--key", "keys--label"))
        chosen = list(self._entries)
        while len(chosen) > 1 and sum(_width(entry) for entry in chosen) + 1 > width:
            del chosen[-2]
        parts, at, self._places = [Segment(" ", base)], 1, []
        for entry in chosen:
            self._places.append((at, at + _width(entry) - 2, entry))
            at += _width(entry)
            parts += [
                Segment(pretty(entry.key), key_style),
                Segment(" " + entry.label, label_style),
                Segment("  ", base),
            ]
        return Strip(parts).adjust_cell_length(width, base)

    async def on_click(self, event: events.Click) -> None:
        for start, end, entry in self._places:
            if start <= event.x < end:
                await self.app.run_action(entry.action, entry.node)


def _width(entry: Entry) -> int:
    return cell_len(pretty(entry.key)) + 1 + cell_len(entry.label) + 2
