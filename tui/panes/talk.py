"""Pane 2: a loop, live: the conversation, and beside it its minutes, its sources and how healthy it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from engine.record.citations import Source
from engine.record.events import Event
from engine.record.reader import Reader
from engine.record.turns import State
from tui.background import run_in_background
from tui.messages import Evolve
from tui.panes.talking import TalkingPane
from tui.state.conversation import Conversation
from tui.state.entries import Entry
from tui.state.health import Measures
from tui.state.minutes import Minutes
from tui.widgets import talk_lines
from tui.widgets.colours import Palette
from tui.widgets.heading import Part
from tui.widgets.look import WIDE
from tui.widgets.minutes import MinutesPanel
from tui.widgets.transcript import Transcript

_BESIDE = 3
"""The panel has one of so many parts of the width."""


class TalkPane(TalkingPane):
    """In a narrow window the panel lies over the conversation, and `m` brings it there."""

    NAME: ClassVar[str] = "Talk"
    WORD: ClassVar[str] = "loop"
    EMPTY: ClassVar[str] = (
        "No loop is open.\n\n"
        "A loop is a question set in motion: one seat asks, one answers, one\n"
        "steps in now and then, one keeps the minutes. Here you watch them, step\n"
        "in yourself, open what they looked up, edit a turn and go on from there,\n"
        "and hold two branches against each other.\n\n"
        "1       choose a loop in Runs, or start one there with n\n"
        "?       all keys"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "minutes", "minutes", id="talk.minutes",
                tooltip="Go to the minutes, the health and the sources of the chosen turn, and back"),
        Binding("l", "sources", "sources", show=False, id="talk.sources",
                tooltip="Open what the chosen turn, or the whole talk, was given to read"),
        Binding("v", "evolve", "evolve", show=False, id="talk.evolve",
                tooltip="Have the question evolve from generation to generation, once the loop has ended"),
        Binding("M", "swap", "change a seat", show=False, id="talk.change_seat",
                tooltip="Another model or temperature for a seat, from its next turn on"),
    ]  # fmt: skip
    DEFAULT_CSS = """
    TalkPane #stage { height: 1fr; }
    TalkPane MinutesPanel { display: none; padding-left: 1; border-left: solid $foreground 20%; }
    TalkPane.-beside MinutesPanel { display: block; }
    TalkPane.-over MinutesPanel { display: block; width: 1fr; border-left: none; padding-left: 0; }
    """

    def __init__(self, reader: Callable[[], Reader | None], clock: Callable[[], float]) -> None:
        """`clock` is monotonic seconds."""
        super().__init__(reader, clock, id="talk")
        self.beside: Minutes | None = None
        self.measures = Measures()
        self._cited: frozenset[int] = frozenset()

    def stage(self) -> ComposeResult:
        with Horizontal(id="stage"):
            yield Transcript(self._older, sides=False)
            yield MinutesPanel()

    def on_mount(self) -> None:
        self.panel = self.query_one(MinutesPanel)
        super().on_mount()
        run_in_background(self.app, _measures, self._learn, self._unknown)

    def show(self, run_id: str) -> None:
        same = run_id == self.run_id
        super().show(run_id)
        view = self.view
        if view and not (same and self.beside):
            self.beside = Minutes(view.run.n, view.run.id, self.measures)
        elif self.beside:
            self.beside.reset()
        if self.is_mounted:
            self._beside()

    def apply(self, found: Sequence[Event]) -> None:
        super().apply(found)
        if self.beside:
            for event in found:
                self.beside.apply(event)

    def tick(self, now: float) -> None:
        reader = self._reader()
        if reader and self.beside and self.beside.refresh(reader, now) and self.beside.cited != self._cited:
            self._cited = self.transcript.cited = self.beside.cited
            self.transcript.look_again()
        super().tick(now)
        self._tell()

    def who(self, view: Conversation, palette: Palette) -> tuple[list[Part], list[Part]]:
        return talk_lines.table(view, palette)

    @property
    def inset(self) -> int:
        return 0

    @property
    def glossary(self) -> list[tuple[str, str]]:
        """What the words of this pane mean, for the help."""
        return [(measure.label, measure.definition) for measure in self.measures.known]

    def why_off(self, action: str) -> str | None:
        if action == "minutes" and self.view is None:
            return "no loop is open; 1 goes to the runs"
        if action == "sources" and not (self.beside and self.beside.sources):
            return "nothing was looked up in this talk"
        if action == "evolve" and self.view is not None and self.view.run.active:
            return "its question can evolve when the loop has ended"
        return super().why_off(action)

    def action_evolve(self) -> None:
        self.post_message(Evolve(self._view().run))

    def action_minutes(self) -> None:
        """To the panel; in a narrow window it takes the place of the conversation."""
        self._over(not self.has_class("-beside"))
        self._tell()
        self.panel.focus()

    def action_sources(self) -> None:
        from tui.widgets.sources import Sources

        turn = self._chosen_turn()
        assert self.beside
        found = [(seq, item) for seq, items in sorted(self.beside.sources.items()) for item in items]
        own = [(seq, item) for seq, item in found if turn and seq == turn.seq]
        title = f"What turn {turn.seq} was given to read" if turn and own else "What this talk was given to read"
        self.app.push_screen(Sources(title, own or found), self._go)

    @on(MinutesPanel.Open)
    def _open_source(self, message: MinutesPanel.Open) -> None:
        from tui.widgets.sources import Sources

        source: Source = message.source
        if self.beside:
            found = [(seq, item) for seq, items in sorted(self.beside.sources.items()) for item in items]
            self.app.push_screen(Sources("What this talk was given to read", found, source), self._go)

    @on(MinutesPanel.GoTo)
    def _go_to(self, message: MinutesPanel.GoTo) -> None:
        self._go(message.seq)

    def _go(self, seq: int | None) -> None:
        if seq is None:
            return
        self._leave_panel()
        if self.replay:
            self.replay.go_to(seq + 1)
        else:
            self.go_to(seq)

    def on_resize(self) -> None:
        wide = self.size.width >= WIDE
        if wide != self.has_class("-beside"):
            self.set_class(wide, "-beside")
            self._over(not wide and self.panel.has_focus)
        self.panel.styles.width = self.size.width // _BESIDE if wide else None
        super().on_resize()

    def played(self, replay: Any) -> None:
        super().played(replay)
        self._tell()

    @on(MinutesPanel.Left)
    def _leave_panel(self) -> None:
        self._over(False)
        (self.bar if self.replay else self.transcript).focus()

    def _over(self, over: bool) -> None:
        self.set_class(over, "-over")
        self.transcript.display = self.view is not None and not over

    def _beside(self) -> None:
        """The panel of another run, from its top."""
        self._cited = self.transcript.cited = frozenset()
        self._over(False)
        self.panel.show(self.beside, tuple(seat.name for seat in self.view.seats) if self.view else ())

    def _tell(self) -> None:
        """Have the panel tell of the chosen turn, or of a replay as far as it has come."""
        if self.replay:
            entries = self.replay.entries
            ended = next((item.seq for item in reversed(entries) if item.kind == "turn" and not item.live), 0)
            self.panel.sync(None, ended)
        else:
            turn = self._chosen_turn()
            self.panel.sync(turn.seq if turn else None, turn.seq if turn else None)

    def _chosen_turn(self) -> Entry | None:
        entry = self.transcript.chosen_entry
        return entry if entry and entry.kind == "turn" and entry.state is not State.REPLACED else None

    def _learn(self, known: list[dict[str, Any]]) -> None:
        self.measures = Measures(known)
        if self.beside:
            self.beside.learn(self.measures)

    def _unknown(self, why: str) -> None:
        self.notify(why, severity="error", markup=False)


def _measures() -> list[dict[str, Any]]:
    from engine.runs import catalog

    return catalog.measures()
