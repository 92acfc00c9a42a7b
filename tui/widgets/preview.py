"""The selected run beside the list: who sits there, the last words as they come, and how it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from engine.record.runs import Run, Status
from engine.record.visible import one_line, visible
from tui.state.figures import count, money, started
from tui.state.glance import Glance, Line
from tui.state.shelf import glyph, is_part, word
from tui.widgets.colours import Palette, palette
from tui.widgets.wrapping import wrap


class Preview(Widget):
    """Shows `glance` of `run`; the newest line is always at the bottom of what is visible."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"preview--need", "preview--bad"}

    def __init__(self, limit_of: Callable[[Run], int | None]) -> None:
        super().__init__()
        self.run: Run | None = None
        self.glance: Glance | None = None
        self._limit_of = limit_of
        self._now = 0.0
        self._strips: list[Strip] = []
        self._wrapped: dict[tuple[int, int], list[str]] = {}
        self._palette: tuple[tuple[str, ...], Palette] | None = None

    def say(self, run: Run | None, glance: Glance | None, now: float) -> None:
        """Draw this run as it is now."""
        if run is None or self.run is None or run.id != self.run.id:
            self._wrapped.clear()
        self.run, self.glance, self._now = run, glance, now
        self._build()

    def on_resize(self) -> None:
        self._wrapped.clear()
        self._build()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._palette = None
        if self.run is not None:
            self._build()

    def render_line(self, y: int) -> Strip:
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def _build(self) -> None:
        width, height = self.size.width, self.size.height
        if not width or not height:
            return
        head, body, foot = self._head(width), self._body(width), self._foot(width)
        room = max(height - len(head) - len(foot) - 2, 0)
        blank: list[Segment] = []
        rows = [*head, blank, *_newest(body, room)]
        rows += [blank] * max(height - len(rows) - len(foot), 0)
        rows = [*rows, *foot][:height]
        # Asked for once: Textual works a style out anew each time, which per line was a third of a frame.
        base = self.rich_style
        strips = [Strip(row).crop(0, width).adjust_cell_length(width, base) for row in rows]
        before, self._strips = self._strips, strips
        if len(before) != len(strips):
            self.refresh()
        else:
            changed = [y for y, (old, new) in enumerate(zip(before, strips, strict=True)) if old != new]
            if changed:
                self.refresh(*(Region(0, y, width, 1) for y in changed))

    def _head(self, width: int) -> list[list[Segment]]:
        run, glance = self.run, self.glance
        if run is None:
            return []
        about = f"{one_line(run.kind)} · started {started(run.started or run.created, self._now)}"
        if glance and glance.models:
            about += " · " + " and ".join(one_line(model) for model in glance.models[:2])
        if run.parent:
            about += f" · part of {run.parent}" if is_part(run) else f" · fork of {run.parent} at turn {run.forked_at}"
        room = self._room()
        said, muted = room.said + Style(bold=True), room.about
        return [[Segment(line, said)] for line in self._wrap(one_line(run.title) or "untitled", width)[:2]] + [
            [Segment(line, muted)] for line in self._wrap(about, width)[:3]
        ]

    def _body(self, width: int) -> list[list[list[Segment]]]:
        """The rows of each turn, its name first."""
        if self.glance is None or self.run is None:
            return []
        if not self.glance.lines and self.run.status in (Status.QUEUED, Status.RUNNING):
            return [[[Segment("The first words are on their way.", self._room().chrome)]]]
        return [self._line(line, width) for line in self.glance.lines]

    def _line(self, line: Line, width: int) -> list[list[Segment]]:
        name = one_line(line.name, 24)
        room = self._room()
        hue = room.you if line.note else room.accent(line.name)
        rows = [[Segment(name, hue)]]
        wrapped = None if line.live else self._wrapped.get((line.key, width))
        if wrapped is None:
            wrapped = self._wrap(visible(line.text).strip("\n"), max(width - 2, 8)) or [""]
            if not line.live:
                self._wrapped[line.key, width] = wrapped
        rows += [[Segment("  " + text, room.said)] for text in wrapped]
        if line.live and self.run and self.run.active:
            rows[-1].append(Segment("▌", hue))
        return rows

    def _foot(self, width: int) -> list[list[Segment]]:
        run, glance = self.run, self.glance
        if run is None:
            return []
        rows: list[list[Segment]] = [[]]
        for ask in (glance.asks if glance else [])[:1]:
            lines = self._wrap(f"◐ {one_line(ask.question)}", width)[:3]
            rows += [[Segment(text, self._style("need"))] for text in lines]
        if run.status in (Status.FAILED, Status.CRASHED, Status.STOPPED) or run.detail:
            bad = run.status in (Status.FAILED, Status.CRASHED)
            why = one_line(run.detail or run.reason or "")
            if run.status is Status.CRASHED:
                why = "its host died; r resumes it, nothing said is lost"
            text = f"{glyph(run.status)} {word(run.status)}" + (f": {why}" if why else "")
            rows += [
                [Segment(part, self._style("bad") if bad else self._room().about)]
                for part in self._wrap(text, width)[:3]
            ]
        limit = self._limit_of(run)
        turns = f"{run.turns} of {limit} turns" if limit else f"{run.turns} turn{'s' * (run.turns != 1)}"
        rate = [f"{count(glance.rate)} tok/s"] if glance and glance.rate and run.active else []
        tokens = f"{count(run.tokens_in + run.tokens_out)} tok"
        figures = " · ".join([*rate, tokens, money(run.cost, run.unpriced), turns])
        return [*rows, [Segment(figures, self._room().about)]]

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"preview--{name}")

    def _room(self) -> Palette:
        """The colours of who talks here, on this background."""
        names = tuple(self.glance.seats) if self.glance else ()
        if self._palette is None or self._palette[0] != names:
            _, _, background, foreground = self.colors
            self._palette = names, palette(self.app, names, background, foreground)
        return self._palette[1]

    @staticmethod
    def _wrap(text: str, width: int) -> list[str]:
        return [text[start:end] for start, end in wrap(text, width)]


def _newest(turns: list[list[list[Segment]]], room: int) -> list[list[Segment]]:
    """The last rows that fit, turns parted by a blank row; a turn that is cut keeps its name."""
    rows: list[list[Segment]] = []
    for turn in reversed(turns):
        left = room - len(rows) - bool(rows)
        if left < 2:
            break
        shown = turn if len(turn) <= left else [turn[0], *turn[len(turn) - left + 1 :]]
        rows = [*shown, *([[]] if rows else []), *rows]
    return rows
