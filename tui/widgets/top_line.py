"""The line at the top: the program's name, the panes by number, who waits for you, the time."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget


class TopLine(Widget):
    """Shows `tabs` (number -> title); posts `Chosen` when one is clicked."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"top--name", "top--tab", "top--here", "top--need", "top--clock"}

    class Chosen(Message):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, tabs: dict[int, str]) -> None:
        super().__init__()
        self._tabs = tabs
        self._here = 1
        self._needs = 0
        self._clock = ""
        self._places: list[tuple[int, int, int]] = []

    def say(self, *, here: int, needs: int, clock: str) -> None:
        if (here, needs, clock) != (self._here, self._needs, self._clock):
            self._here, self._needs, self._clock = here, needs, clock
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if y > 0:
            return Strip.blank(width, base)
        left = [Segment(" tertulia  ", self._style("top--name"))]
        at, self._places = cell_len(left[0].text), []
        for number, title in self._tabs.items():
            text = f" {number} {title} "
            left.append(Segment(text, self._style("top--here" if number == self._here else "top--tab")))
            self._places.append((at, at + len(text), number))
            at += len(text)
        right = [Segment(self._clock + " ", self._style("top--clock"))]
        if self._needs:
            right.insert(0, Segment(f"◐ {self._needs} need{'s' * (self._needs == 1)} you", self._style("top--need")))
            right.insert(1, Segment("   ", base))
        gap = width - at - sum(cell_len(part.text) for part in right)
        return Strip([*left, Segment(" " * max(gap, 1), base), *right]).crop(0, width)

    def on_click(self, event: events.Click) -> None:
        for start, end, number in self._places:
            if start <= event.x < end:
                self.post_message(self.Chosen(number))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name)
