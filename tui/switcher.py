"""The panes: which one is on screen, what each of them shows, and where the focus was when it was left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from engine.record.errors import RecordError
from engine.record.events import Event
from engine.record.visible import one_line
from tui import messages, places
from tui.feed import Feed
from tui.panes.runs import RunsPane
from tui.places import RUNS, SERIES, Place
from tui.run_pane import RunPane


class Switcher(Container):
    """`runs` is always there, the others from when they are first needed. `tick` has the app look at the record."""

    def __init__(self, runs: RunsPane, feed: Feed, tick: Callable[[], None]) -> None:
        super().__init__(id="panes")
        self.runs = runs
        self.here = RUNS
        self._feed, self._tick = feed, tick
        self._panes: dict[int, RunPane] = {}
        self._focus: dict[int, Widget] = {}
        self._came: dict[int, tuple[str, str]] = {}
        """By pane: the run in it, and the series from whose tree it was opened."""

    def compose(self) -> ComposeResult:
        yield self.runs

    def pane(self, number: int) -> RunPane | None:
        """The pane with this number, once it was needed."""
        return self._panes.get(number)

    def apply(self, found: Sequence[Event]) -> None:
        """Every pane takes in what happened."""
        self.runs.apply(found)
        for pane in self._panes.values():
            pane.apply(found)

    def reset(self) -> None:
        """The record is another one, or too much has happened: read everything again. Raises RecordError."""
        self.runs.reset()
        if self._feed.reader:
            for pane in self._panes.values():
                if pane.run_id:
                    pane.show(pane.run_id)

    def draw(self, now: float) -> None:
        """The pane on screen draws what has changed; `now` is monotonic seconds. Raises RecordError."""
        self.runs.read(now)
        pane = self._panes.get(self.here)
        if pane:
            pane.tick(now)
        else:
            self.runs.tick(now)

    @on(messages.Open)
    async def _open(self, message: messages.Open) -> None:
        message.stop()
        series = self._panes.get(SERIES.number) if self.here == SERIES.number else None
        await self.open(message.run_id, message.turn)
        if series and series.run_id and self.here != SERIES.number:
            self._came[self.here] = message.run_id, series.run_id

    async def open(self, run_id: str, turn: int | None = None) -> None:
        """Show a run in the pane of its kind; a fault is said in one line."""
        if self._feed.reader is None:
            self._feed.look_now()
            self._tick()
        try:
            place = self._place_of(run_id)
            if place is None:
                return
            pane = await self._there(place)
            pane.show(run_id)
            self._came.pop(place.number, None)
        except RecordError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.switch(place.number)
        if turn is not None:
            pane.go_to(turn)

    def switch(self, number: int) -> None:
        """Bring a pane to the front, the focus to where it was there."""
        if self.screen.focused:
            self._focus[self.here] = self.screen.focused
        self.here = number
        self.runs.display = number == RUNS
        for other, pane in self._panes.items():
            pane.display = other == number
        front: Widget = self._panes.get(number, self.runs)
        kept = self._focus.get(number)
        if kept is None or not (kept.is_mounted and kept.display):
            kept = next((item for item in (front, *front.walk_children(Widget)) if item.focusable), None)
        self.screen.set_focus(kept)
        self.refresh_bindings()
        self._tick()

    def back(self) -> None:
        """To the series from whose tree the run on screen was opened, else to the runs."""
        pane, series = self._panes.get(self.here), self._panes.get(SERIES.number)
        came = self._came.get(self.here)
        self.switch(SERIES.number if pane and series and came == (pane.run_id, series.run_id) else RUNS)

    async def go(self, number: int) -> None:
        """To a pane by its number; one that shows nothing yet opens the run under the cursor, or the newest."""
        if number == self.here:
            return
        pane = self._panes.get(number)
        if number == RUNS or (pane and pane.run_id):
            self.switch(number)
            return
        place = places.at(number)
        found = self.runs.one_of(place.kinds)
        if found:
            await self.open(found.id)
        else:
            self.notify(f"there is no {place.word} yet; n in Runs starts one", markup=False)

    def _place_of(self, run_id: str) -> Place | None:
        """Raises RecordError when there is no such run."""
        if self._feed.reader is None:
            raise RecordError("there is no record to read; a new run makes one")
        run = self._feed.reader.find(run_id)
        place = places.of_kind(run.kind)
        if place is None:
            text = f"a {one_line(run.kind)} has no pane here; `tertulia follow {run.id}` shows it"
            self.notify(text, severity="warning", markup=False)
        return place

    async def _there(self, place: Place) -> RunPane:
        pane = self._panes.get(place.number)
        if pane is None:
            pane = place.new_pane(lambda: self._feed.reader, time.monotonic)
            pane.display = False
            await self.mount(pane)
            self._panes[place.number] = pane
        return pane
