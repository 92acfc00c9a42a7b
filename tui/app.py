"""The app: one screen with a top line, panes that stay mounted, a line of keys, and one tick that feeds them all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.filter import Monochrome, NoColor
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from engine.record.errors import RecordError
from engine.record.reader import Reader
from engine.record.visible import one_line
from tui import dialogs, messages, places, themes
from tui.controls import Controls
from tui.feed import Feed
from tui.keymap import Explains, entries
from tui.panes.runs import RunsPane
from tui.places import RUNS, TABS
from tui.state.figures import clock as time_of_day
from tui.state.shelf import Shelf
from tui.sweeper import Sweeper
from tui.switcher import Switcher
from tui.terminal import Lifeline
from tui.widgets.key_line import KeyLine
from tui.widgets.palette import Commands
from tui.widgets.top_line import TopLine

_AWAY = 0.25
"""Seconds between ticks while nothing is live."""
_AGAIN = 2.0
"""Seconds within which a second ctrl+c forces the way out."""


class TertuliaApp(App[int], Explains):
    """Shows one record. `run` is opened at once where given; `clock` is the time of day that ages are counted to."""

    TITLE = "tertulia"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {Commands}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (160, "-vast")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-tall")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                str(place.number),
                f"pane({place.number})",
                place.word,
                show=False,
                id=f"app.{place.word}",
                tooltip=f"Go to the {place.word}",
            )
            for place in TABS
        ),
        Binding(
            "escape",
            "back",
            "back",
            show=False,
            id="app.back",
            tooltip="Back to the series or the runs",
        ),
        Binding("z", "zoom", "zoom", show=False, id="app.zoom", tooltip="Give the pane the whole screen, and back"),
        Binding("colon,ctrl+p", "command_palette", "commands", show=False, id="app.palette", tooltip="Find a command"),
        Binding("ctrl+t", "choose_theme", "theme", show=False, id="app.theme", tooltip="Choose the colours"),
        Binding("q", "leave", "quit", id="app.quit", tooltip="Leave; runs go on"),
        Binding("ctrl+c", "interrupt", show=False, system=True),
        Binding("question_mark", "help", "help", id="app.help", tooltip="All keys of this place"),
    ]

    def __init__(
        self,
        database: Path,
        run: str | None = None,
        *,
        clock: Callable[[], float] = time.time,
        theme: str = themes.DEFAULT,
        keymap: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        for house in themes.HOUSE:
            self.register_theme(house)
        self.theme = themes.PLAIN if self.no_color else theme
        if self.no_color:
            # Textual's own answer to NO_COLOR is 24-bit grey.
            self._filters = [NoColor() if isinstance(item, Monochrome) else item for item in self._filters]
        self.set_keymap(keymap or {})
        self.database = database
        self.clock = clock
        self.feed = Feed(database)
        self.shelf = Shelf()
        self.panes = Switcher(RunsPane(self.shelf, lambda: self.feed.reader, clock), self.feed, self.tick)
        self._controls = Controls(self, database, self._failed)
        self._first = run
        self.panes.runs.display = run is None
        self._lifeline: Lifeline | None = None
        self._sweeper: Sweeper | None = None
        self._aims: WeakKeyDictionary[events.Key, Widget | None] = WeakKeyDictionary()
        """What had the focus when a key was pressed."""
        self._interrupted = float("-inf")
        self._period = 1 / (10 if os.environ.get("SSH_CONNECTION") else 15)
        self.runs_left = 0

    @property
    def reader(self) -> Reader | None:
        """The shared connection, or None while there is no record."""
        return self.feed.reader

    def compose(self) -> ComposeResult:
        yield TopLine({place.number: place.name for place in TABS})
        yield Static("", id="trouble", markup=False)
        yield self.panes
        yield KeyLine()

    def on_load(self) -> None:
        self.feed.poll(time.monotonic())

    async def on_mount(self) -> None:
        if not self.is_headless:
            self._lifeline = Lifeline(self._end)
            self._lifeline.watch()
            self._sweeper = Sweeper()
            self.call_after_refresh(self._sweeper.begin)
        self._top = self.query_one(TopLine)
        self._trouble = self.query_one("#trouble", Static)
        self._trouble.display = False
        if self._first:
            await self.panes.open(self._first)  # before any key is looked at
            if self.panes.here == RUNS:
                self.panes.switch(RUNS)
        self.tick()
        self._schedule()

    def _schedule(self) -> None:
        live = bool(self.shelf.active) or not self.shelf.loaded or self.panes.here != RUNS
        self.set_timer(self._period if live else max(self._period, _AWAY), self._beat)

    def _beat(self) -> None:
        self.tick()
        if self._sweeper:
            self._sweeper.beat(time.monotonic())
        self._schedule()

    def tick(self) -> None:
        """One look at the record: every pane takes in what is new, the visible one draws it."""
        if not self.panes.runs.is_attached:  # the app is ending: its timer may outlive its panes by a beat
            return
        now = time.monotonic()
        batch = self.feed.poll(now)
        trouble = self.feed.trouble
        try:
            if batch.reset:
                self.panes.reset()
            elif batch.events:
                self.panes.apply(batch.events)
            self.panes.draw(now)
        except RecordError as error:
            trouble = str(error)
        self._say(trouble)

    def _say(self, trouble: str | None) -> None:
        here = self.panes.here if places.at(self.panes.here).tab else RUNS
        self._top.say(here=here, needs=self.shelf.needs_you, clock=time_of_day(self.clock()))
        if bool(trouble) != self._trouble.display:
            self._trouble.display = bool(trouble)
        if trouble:
            self._trouble.update(f"✗ {one_line(trouble)}", layout=False)

    def open_run(self, run_id: str, turn: int | None = None) -> None:
        """Show a run in the pane of its kind."""
        self.call_later(self.panes.open, run_id, turn)

    @on(TopLine.Chosen)
    async def _tab(self, message: TopLine.Chosen) -> None:
        await self.panes.go(message.number)

    async def action_pane(self, number: int) -> None:
        await self.panes.go(number)

    def why_off(self, action: str) -> str | None:
        if action == "back" and self.panes.here == RUNS:
            return "this is as far back as it goes; q leaves"
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return None if self.why_off(action) else True

    async def action_back(self) -> None:
        self.panes.back()

    def action_zoom(self) -> None:
        self.screen.toggle_class("-zoom")

    def action_help(self) -> None:
        dialogs.show_help(self, getattr(self.screen, "NAME", places.at(self.panes.here).name))

    def action_choose_theme(self) -> None:
        dialogs.choose_theme(self)

    @on(messages.New)
    def _new(self) -> None:
        dialogs.new_run(self, places.FORMS, self.start)

    @on(messages.Search)
    def _search(self) -> None:
        dialogs.search(self, self.database, self.clock, lambda hit: self.open_run(hit.run, hit.seq))

    @on(messages.Export)
    def _export(self, message: messages.Export) -> None:
        dialogs.export(self, self.database, message.run, self._failed)

    @on(messages.Evolve)
    def _evolve(self, message: messages.Evolve) -> None:
        if self.reader:
            dialogs.evolve(self, self.reader.spec(message.run), self.start)

    @on(messages.Command)
    def _command(self, message: messages.Command) -> None:
        if message.said:
            self.notify(message.said, timeout=3, markup=False)
        self._controls.ask(message.work, message.done, message.run)

    def start(self, pipeline: dict[str, Any] | str) -> None:
        """Start a run in the background and open it."""
        self.notify("starting; the seats are being checked", timeout=3, markup=False)
        self._controls.ask(lambda control: control.start(pipeline), self.open_run)

    def _failed(self, why: str) -> None:
        self.notify(one_line(why), severity="error", timeout=8, markup=False)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.InputEvent) and not event.is_forwarded:
            if self._sweeper:
                self._sweeper.touched(time.monotonic())
            if isinstance(event, events.Key):
                self._aims[event] = self.focused
        await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        """A key that nothing took: it was typed ahead of a change of focus, or belongs to a command that is off."""
        focused = self.focused
        if isinstance(focused, Input | TextArea) and self._aims.get(event, focused) is not focused:
            # It went to what had the focus before the key in front of it moved the focus to where one types.
            focused.post_message(events.Key(event.key, event.character))
            event.prevent_default()  # else it would be obeyed as well, and before the letters that are on their way
            return
        for entry in entries(self.screen):
            if entry.off and event.key in entry.keys and entry.id != "app.back":
                self.notify(entry.off, timeout=3, markup=False)
                return

    def action_leave(self) -> None:
        self._end(0)

    def action_interrupt(self) -> None:
        """The first ctrl+c says how to leave, a second one soon after leaves whatever hangs."""
        if time.monotonic() - self._interrupted < _AGAIN:
            if self._lifeline:
                self._lifeline.make_sure(130)
            self._end(130)
        else:
            self._interrupted = time.monotonic()
            self.notify("q leaves, ctrl+c again too; runs go on either way", timeout=_AGAIN, markup=False)

    def _end(self, code: int) -> None:
        if code in (0, 130):
            self.runs_left = len(self.shelf.active)
        self.exit(code, return_code=code)

    def on_unmount(self) -> None:
        self.feed.close()
        if self._sweeper:
            self._sweeper.end()
