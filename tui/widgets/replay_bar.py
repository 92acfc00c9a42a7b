"""The line under a conversation that is played again: where it is, how fast it goes, and the keys that steer it."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.keymap import Explains
from tui.state.replay import Replay
from tui.widgets import colours
from tui.widgets.colours import Palette

_BAR = 12
"""Cells of the bar at least, where it is drawn."""


class ReplayBar(Explains, Widget, can_focus=True):
    """Steers `replay` while it has the focus; `Left` says that the replay is to end."""

    DEFAULT_CSS = "ReplayBar { height: 1; width: 1fr; display: none; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "play, pause", id="replay.play", tooltip="Play or pause; from the end, again"),
        Binding("right_square_bracket,right,l", "step(1)", "next turn", id="replay.next"),
        Binding("left_square_bracket,left,h", "step(-1)", "turn before", id="replay.previous"),
        Binding("plus,equals_sign,greater_than_sign", "faster(1)", "faster", id="replay.faster"),
        Binding("minus,less_than_sign", "faster(-1)", "slower", id="replay.slower"),
        Binding("g,home", "seek(0.0)", "from the beginning", show=False, id="replay.first"),
        Binding("G,end", "seek(1.0)", "to the end", show=False, id="replay.last"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="replay.down", tooltip="Scroll the conversation down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="replay.up", tooltip="Scroll the conversation up"),
        Binding("escape,p", "leave", "end the replay", id="replay.leave", tooltip="Back to the run as it stands"),
    ]

    class Left(Message):
        """Back to the run as it stands."""

    class Scrolled(Message):
        def __init__(self, rows: int) -> None:
            super().__init__()
            self.rows = rows

    def __init__(self) -> None:
        super().__init__()
        self.replay: Replay | None = None
        self._shown: object = None

    def put(self, replay: Replay | None) -> None:
        """Steer another replay, or none: then the bar is gone."""
        self.replay = replay
        self.display = replay is not None
        self.sync()

    def sync(self) -> None:
        """Draw it again where it says something else."""
        replay = self.replay
        shown = replay and (replay.position // 250, replay.turn, replay.speed, replay.playing)
        if shown != self._shown:
            self._shown = shown
            self.refresh()

    def why_off(self, action: str) -> str | None:
        if action == "faster" and self.replay is None:
            return "nothing is played"
        return None

    def action_play(self) -> None:
        if self.replay:
            self.replay.toggle()
            self.sync()

    def action_step(self, turns: int) -> None:
        if self.replay:
            self.replay.step(turns)
            self.sync()

    def action_faster(self, steps: int) -> None:
        if self.replay:
            self.replay.faster(steps)
            self.sync()

    def action_seek(self, share: float) -> None:
        if self.replay:
            self.replay.seek(round(self.replay.length * share))
            self.sync()

    def action_scroll(self, rows: int) -> None:
        self.post_message(self.Scrolled(rows))

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        palette = colours.palette(self.app, [], *colours.ground(self))
        if self.replay is None:
            return Strip.blank(width, palette.said)
        left, right = _words(self.replay, palette)
        used = sum(cell_len(part.text) for part in (*left, *right)) + 2
        bar = _bar(self.replay, width - used - 2, palette)
        return Strip(
            [*left, Segment("  ", palette.said), *bar, Segment("  ", palette.said), *right]
        ).adjust_cell_length(width, palette.said)


def _words(replay: Replay, palette: Palette) -> tuple[list[Segment], list[Segment]]:
    state = "▶ replay" if replay.playing else "■ replay, at its end" if replay.over else "‖ replay, paused"
    speed = f"  ×{replay.speed:g}"
    turn = f"turn {replay.turn} of {replay.turns}   {_time(replay.position)} of {_time(replay.length)} "
    return [Segment(" " + state, palette.you), Segment(speed, palette.about)], [Segment(turn, palette.about)]


def _bar(replay: Replay, width: int, palette: Palette) -> list[Segment]:
    if width < _BAR:
        return []
    done = round(width * replay.position / replay.length) if replay.length else width
    return [Segment("━" * done, palette.you), Segment("─" * (width - done), palette.chrome)]


def _time(ms: int) -> str:
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
