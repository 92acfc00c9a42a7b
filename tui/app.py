"""The app: one screen with a top line, panes that stay mounted, a line of keys, and one tick that feeds them all."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.containers import Container
from textual.filter import Monochrome, NoColor
from textual.widget import Widget
from textual.widgets import Static

from engine.record.errors import RecordError
from engine.record.reader import Reader
from engine.record.runs import Run
from engine.record.visible import one_line
from tui import preferences, themes
from tui.background import run_in_background
from tui.feed import Feed
from tui.keymap import Explains, entries
from tui.panes.runs import Command, RunsPane
from tui.state.figures import clock as time_of_day
from tui.state.shelf import Shelf
from tui.terminal import Lifeline
from tui.widgets.key_line import KeyLine
from tui.widgets.palette import Commands
from tui.widgets.top_line import TopLine

if TYPE_CHECKING:
    from engine.record.search import Hit
    from tui.panes.duel import DuelPane

RUNS, DUEL = 1, 3
_TABS = {RUNS: "Runs", DUEL: "Duel"}
_KINDS = {"duel": DUEL}
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
        Binding("1", f"pane({RUNS})", "runs", show=False, id="app.runs", tooltip="Go to the runs"),
        Binding("3", f"pane({DUEL})", "duel", show=False, id="app.duel", tooltip="Go to the duel"),
        Binding("escape", "back", "back", show=False, id="app.back", tooltip="Back to the runs"),
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
        self.here = RUNS
        self._first = run
        self._duel: DuelPane | None = None
        self._focus: dict[int, Widget] = {}
        self._lifeline: Lifeline | None = None
        self._asked: dict[str, threading.Thread] = {}
        """The last thing asked of each run."""
        self._interrupted = float("-inf")
        self._period = 1 / (10 if os.environ.get("SSH_CONNECTION") else 15)
        self.runs_left = 0

    @property
    def reader(self) -> Reader | None:
        """The shared connection, or None while there is no record."""
        return self.feed.reader

    def compose(self) -> ComposeResult:
        yield TopLine(_TABS)
        yield Static("", id="trouble", markup=False)
        with Container(id="panes"):
            yield RunsPane(self.shelf, lambda: self.feed.reader, self.clock)
        yield KeyLine()

    def on_load(self) -> None:
        self.feed.poll(time.monotonic())

    def on_mount(self) -> None:
        if not self.is_headless:
            self._lifeline = Lifeline(self._end)
            self._lifeline.watch()
        self._top = self.query_one(TopLine)
        self._trouble = self.query_one("#trouble", Static)
        self._trouble.display = False
        self._runs = self.query_one(RunsPane)
        self.tick()
        self._schedule()
        if self._first:
            self.open_run(self._first)

    def _schedule(self) -> None:
        live = bool(self.shelf.active) or not self.shelf.loaded or self.here != RUNS
        self.set_timer(self._period if live else max(self._period, _AWAY), self._beat)

    def _beat(self) -> None:
        self.tick()
        self._schedule()

    def tick(self) -> None:
        """One look at the record: every pane takes in what is new, the visible one draws it."""
        if not self._runs.is_attached:  # the app is ending: its timer may outlive its panes by a beat
            return
        now = time.monotonic()
        batch = self.feed.poll(now)
        trouble = self.feed.trouble
        try:
            if batch.reset:
                self._runs.reset()
                if self._duel and self._duel.run_id and self.feed.reader:
                    self._duel.show(self._duel.run_id)
            elif batch.events:
                self._runs.apply(batch.events)
                if self._duel:
                    self._duel.apply(batch.events)
            self._runs.read(now)
            if self.here == RUNS:
                self._runs.tick(now)
            elif self._duel:
                self._duel.tick(now)
        except RecordError as error:
            trouble = str(error)
        self._say(trouble)

    def _say(self, trouble: str | None) -> None:
        self._top.say(here=self.here, needs=self.shelf.needs_you, clock=time_of_day(self.clock()))
        if bool(trouble) != self._trouble.display:
            self._trouble.display = bool(trouble)
        if trouble:
            self._trouble.update(f"✗ {one_line(trouble)}", layout=False)

    @on(RunsPane.Open)
    def _open(self, message: RunsPane.Open) -> None:
        if message.kind in _KINDS:
            self.open_run(message.run_id, message.turn)
        else:
            text = f"a {one_line(message.kind)} has no pane here; `tertulia follow {message.run_id}` shows it"
            self.notify(text, severity="warning", markup=False)

    def open_run(self, run_id: str, turn: int | None = None) -> None:
        """Show a duel in its pane."""
        self.call_later(self._show_duel, run_id, turn)

    async def _show_duel(self, run_id: str, turn: int | None = None) -> None:
        if self._duel is None:
            from tui.panes.duel import DuelPane

            self._duel = DuelPane(lambda: self.feed.reader, time.monotonic)
            self._duel.display = False
            await self.query_one("#panes").mount(self._duel)
        if self.reader is None:
            self.feed.look_now()
            self.tick()
        try:
            self._duel.show(run_id)
        except RecordError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._switch(DUEL)
        self.tick()
        if turn is not None:
            self._duel.go_to(turn)

    def _switch(self, number: int) -> None:
        if self.focused:
            self._focus[self.here] = self.focused
        self.here = number
        self._runs.display = number == RUNS
        if self._duel:
            self._duel.display = number == DUEL
        pane: Widget = self._runs if number == RUNS or self._duel is None else self._duel
        kept = self._focus.get(number)
        if kept is not None and kept.is_mounted and kept.display:
            self.screen.set_focus(kept)
        else:
            self.screen.set_focus(next((item for item in (pane, *pane.walk_children(Widget)) if item.focusable), None))
        self.refresh_bindings()
        self.tick()

    @on(TopLine.Chosen)
    def _tab(self, message: TopLine.Chosen) -> None:
        self.action_pane(message.number)

    def action_pane(self, number: int) -> None:
        if number == self.here:
            return
        if number == DUEL and (self._duel is None or not self._duel.run_id):
            found = self._a_duel()
            if found:
                self.open_run(found.id)
            else:
                self.notify("there is no duel yet; n in Runs starts one", markup=False)
            return
        self._switch(number)

    def _a_duel(self) -> Run | None:
        current = self._runs.list.current
        if current and current.kind in _KINDS:
            return current
        return next((run for run in map(self.shelf.runs.get, self.shelf.order) if run and run.kind in _KINDS), None)

    def why_off(self, action: str) -> str | None:
        if action == "back" and self.here == RUNS:
            return "this is as far back as it goes; q leaves"
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return None if self.why_off(action) else True

    async def action_back(self) -> None:
        self._switch(RUNS)

    def action_zoom(self) -> None:
        self.screen.toggle_class("-zoom")

    def action_help(self) -> None:
        from tui.widgets.help import Help

        self.push_screen(Help(_TABS[self.here], entries(self.screen)))

    def action_choose_theme(self) -> None:
        from tui.widgets.picker import Choice, Picker

        if self.no_color:
            self.notify("NO_COLOR is set, so there is nothing to choose", markup=False)
            return
        choices = [Choice(name, name) for name in themes.names()]
        self.push_screen(Picker("Which colours?", choices, current=self.theme), self._take_theme)

    def _take_theme(self, name: str | None) -> None:
        if name:
            self.theme = name
            try:
                preferences.store("theme", name)
            except OSError as error:
                self.notify(f"{preferences.file()}: not kept: {error.strerror}", severity="warning", markup=False)

    @on(RunsPane.NewDuel)
    def _new_duel(self) -> None:
        from tui.widgets.new_duel import NewDuel

        def decided(pipeline: dict[str, Any] | None) -> None:
            if pipeline:
                self.start(pipeline)

        self.push_screen(NewDuel(), decided)

    def start(self, pipeline: dict[str, Any] | str) -> None:
        """Start a run in the background and open it."""
        self.control(lambda control: control.start(pipeline), self.open_run, "starting; the seats are being checked")

    @on(RunsPane.Search)
    def _search(self) -> None:
        from tui.widgets.finder import Finder

        def found(hit: Hit | None) -> None:
            if hit:
                self.open_run(hit.run, hit.seq)

        self.push_screen(Finder(self.database, self.clock), found)

    @on(RunsPane.Export)
    def _export(self, message: RunsPane.Export) -> None:
        from tui.widgets.export_to import ExportTo, write

        run = message.run

        def chosen(answer: tuple[str, Path] | None) -> None:
            if answer:
                form, path = answer
                run_in_background(
                    self,
                    lambda: write(self.database, run.id, form, path),
                    lambda written: self.notify(f"written: {written}", markup=False),
                    self._failed,
                )

        self.push_screen(ExportTo(run), chosen)

    @on(Command)
    def _command(self, message: Command) -> None:
        self.control(message.work, message.done, message.said, message.run)

    def control(
        self,
        work: Callable[[Any], Any],
        done: Callable[[Any], object] | None = None,
        said: str = "",
        run: str | None = None,
    ) -> None:
        """Give the runs a command in the background: `work(Control)`, then `done(result)` here.

        What is asked of one run is done in the order in which it was asked.
        """
        if said:
            self.notify(said, timeout=3, markup=False)

        def act() -> Any:
            from engine.runs.control import Control

            return work(Control(self.database, _who()))

        before = self._asked.get(run) if run else None
        thread = run_in_background(self, act, done or (lambda _: None), self._failed, before)
        if run:
            self._asked[run] = thread

    def _failed(self, why: str) -> None:
        self.notify(one_line(why), severity="error", timeout=8, markup=False)

    def on_key(self, event: events.Key) -> None:
        """A key that nothing took: it was typed ahead of a change of focus, or belongs to a command that is off."""
        focused = self.focused
        if focused and focused.check_consume_key(event.key, event.character):
            # It went to what had the focus before the key in front of it moved the focus to where one types.
            focused.post_message(events.Key(event.key, event.character))
            event.prevent_default()  # else it would be obeyed as well
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


def _who() -> str:
    """The name that commands are recorded under."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
