"""Pane 1: every run of the record, how each one stands, and what to do with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input

from engine.record.errors import RecordError
from engine.record.events import Event
from engine.record.reader import Reader
from engine.record.runs import Run, Status
from engine.record.visible import one_line
from tui.keymap import Explains
from tui.messages import Command, Evolve, Export, New, Open, Search
from tui.places import FORMS, SERIES
from tui.state.glance import Glance
from tui.state.shelf import Shelf, word
from tui.widgets.preview import Preview
from tui.widgets.run_list import RunHeads, RunList
from tui.widgets.series_preview import SeriesPreview

if TYPE_CHECKING:
    from engine.runs.control import Control

DEMO = "eliza-meets-parry"
_AGES = 5
"""Seconds between redraws that only make ages older."""
_PROBE = 1.0
"""Seconds between looks at the locks of active runs: a crash has no event."""
_NEW = f"new {FORMS[0].word}" if len(FORMS) == 1 else "new run"
_EMPTY = (
    ("runs--said", "Nobody is talking yet."),
    ("runs--about", ""),
    ("runs--about", "A run is a conversation between models. It goes on by itself,"),
    ("runs--about", "also when this terminal closes, and all of it is kept here."),
    ("runs--about", ""),
    ("runs--said", "enter   watch ELIZA meet PARRY, on a small model in this program"),
    ("runs--said", f"n       start a {_NEW.removeprefix('new ')} of your own"),
    ("runs--said", "?       all keys"),
)


class RunsPane(Explains, Widget):
    """The list, its filter and the preview of the run under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="runs.open", tooltip="Open the run, or start the demo"),
        Binding("n", "new", _NEW, id="runs.new", tooltip=f"Start a {_NEW}"),
        Binding("p,space", "pause", "pause", id="runs.pause", tooltip="Pause the run, or let it go on"),
        Binding("r", "resume", "resume", id="runs.resume", tooltip="Go on with a run that is paused or over"),
        Binding("x", "stop", "stop", id="runs.stop", tooltip="End the run now; what was said is kept"),
        Binding("f", "fork", "fork", id="runs.fork", tooltip="Start a run from where this one stands"),
        Binding("e", "export", "export", id="runs.export", tooltip="Write the run as a document"),
        Binding("v", "evolve", "evolve", show=False, id="runs.evolve",
                tooltip="Have the question of a loop evolve: a series, generation by generation"),
        Binding("d", "delete", "delete", id="runs.delete", tooltip="Remove a run that has ended, for good"),
        Binding("s", "search", "search", id="runs.search", tooltip="Search in everything that was ever said"),
        Binding("slash", "filter", "filter", id="runs.filter", tooltip="Show only runs with these words"),
        Binding("escape", "back", "clear the filter", show=False, id="runs.back"),
    ]  # fmt: skip

    def __init__(self, shelf: Shelf, reader: Callable[[], Reader | None], now: Callable[[], float]) -> None:
        super().__init__(id="runs")
        self.shelf = shelf
        self._reader = reader
        self._now = now
        self._glance: Glance | None = None
        self._probed = float("-inf")
        self._moved = True
        self._changed = True
        self._period = -1

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="shelf"):
                yield Input(placeholder="/ filter", compact=True, id="filter")
                yield RunHeads()
                yield RunList(self.shelf, self.shelf.limit, self._now)
            yield Preview(self.shelf.limit)
            yield SeriesPreview()

    def on_mount(self) -> None:
        self.list = self.query_one(RunList)
        self.preview = self.query_one(Preview)
        self.series = self.query_one(SeriesPreview)
        self.screen.set_focus(self.list)  # at once: a run that the app opens on takes the focus from it

    def apply(self, events: Sequence[Event]) -> None:
        """Take in what happened; drawn by the next `tick`."""
        self.shelf.apply(events)
        if self._glance and self._glance.apply(events):
            self._moved = True
        self.series.apply(events)

    def reset(self) -> None:
        """The record is another one, or too much has happened: read everything again."""
        fresh = Shelf()
        fresh.filter = self.shelf.filter
        self.shelf.__dict__.update(fresh.__dict__)
        self._glance = None
        self._changed = True

    def one_of(self, kinds: Collection[str]) -> Run | None:
        """The run under the cursor if it is of these kinds, else the newest that is."""
        current = self.list.current
        if current and current.kind in kinds:
            return current
        return next((run for run in map(self.shelf.runs.get, self.shelf.order) if run and run.kind in kinds), None)

    def read(self, now: float) -> None:
        """Bring the shelf up to date, shown or not; `now` is monotonic seconds. Raises RecordError."""
        reader = self._reader()
        if reader:
            changed = self.shelf.load(reader)
            changed = self.shelf.refresh(reader) or changed
            if now - self._probed >= _PROBE:
                self._probed = now
                changed = self.shelf.probe(reader) or changed
            self._changed = self._changed or changed

    def tick(self, now: float) -> None:
        """Draw what has changed. Raises RecordError."""
        reader = self._reader()
        period = int(self._now()) // _AGES
        if self._changed or period != self._period:
            self._changed, self._period, self._moved = False, period, True
            self._empty_state(reader is not None)
            self.list.update()
            self.refresh_bindings()
        # The preview reads nothing while it is hidden, and has no size before the first layout.
        if self._moved or (self._glance is None and self.preview.size.width and self.list.current):
            self._moved = False
            self._draw_preview(reader)
        self._draw_series(reader, now)
        if reader and self.shelf.learn_limits(reader, self.list.visible_runs()):
            self.list.refresh()

    def _draw_preview(self, reader: Reader | None) -> None:
        run = self.list.current
        if run is None or reader is None:
            self._glance = None
        elif self.preview.size.width and (
            self._glance is None or self._glance.run_id != run.id or self._glance.outdated
        ):
            try:
                self._glance = Glance.read(reader, run.id)
            except RecordError:
                self._glance = None
        if run is not None and reader is not None:
            self.shelf.learn_limits(reader, [run])
        self.preview.say(run, self._glance, self._now())

    def _draw_series(self, reader: Reader | None, now: float) -> None:
        run = self.list.current
        here = run is not None and run.kind in SERIES.kinds
        self.set_class(here, "-series")
        if run is not None and here and reader is not None:
            self.series.say(run, reader, now, self._now())

    def _empty_state(self, there: bool) -> None:
        if self.shelf.filter:
            lines = [("runs--about", f"Nothing matches “{one_line(self.shelf.filter, 40)}”."), ("runs--about", "")]
            self.list.empty = [*lines, ("runs--about", "esc shows all runs again, s searches in what was said")]
        elif self.shelf.loaded or not there:
            self.list.empty = list(_EMPTY)
        else:
            self.list.empty = []

    @on(RunList.Moved)
    def _on_moved(self) -> None:
        self._moved = True
        self.refresh_bindings()

    @on(RunList.Opened)
    def _on_opened(self) -> None:
        self.action_open()

    @on(Input.Changed, "#filter")
    def _on_filter(self, event: Input.Changed) -> None:
        self.shelf.filter = event.value
        self._empty_state(self._reader() is not None)
        self.list.update()
        self._moved = True

    @on(Input.Submitted, "#filter")
    def _on_filtered(self) -> None:
        self.screen.set_focus(self.list)

    def why_off(self, action: str) -> str | None:
        """Why a key can do nothing for the run under the cursor, or None."""
        run = self.list.current if self.is_mounted and hasattr(self, "list") else None
        if action in ("pause", "resume", "stop", "fork", "export", "delete", "evolve") and run is None:
            return "there is no run here"
        if run is None:
            return None
        state = word(run.status)
        match action:
            case "pause" if not run.active:
                return f"this run is {state}: nothing to pause"
            case "stop" if not run.active:
                return f"this run is {state} already"
            case "resume" if run.status in (Status.RUNNING, Status.QUEUED, Status.WAITING):
                return "this run goes on already"
            case "fork" if run.kind in SERIES.kinds:
                return "a series has no turns to fork at; a run of it has"
            case "fork" if not run.turns:
                return "nothing was said yet that a fork could share"
            case "evolve" if run.kind != "loop":
                return "only a loop has a question that could evolve"
            case "evolve" if run.active:
                return f"this loop is {state}: its question can evolve when it has ended"
            case "delete" if run.active:
                return f"this run is {state}: x stops it first"
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "back":
            return bool(self.shelf.filter) or self.query_one("#filter").has_focus
        return super().check_action(action, parameters)

    def action_open(self) -> None:
        if self.query_one("#filter").has_focus:
            self.screen.set_focus(self.list)
        run = self.list.current
        if run:
            self.post_message(Open(run.id))
        elif not self.shelf.filter:
            self._do(lambda control: control.start(DEMO), self._opened, "ELIZA and PARRY are on their way")

    def action_new(self) -> None:
        self.post_message(New())

    def action_search(self) -> None:
        self.post_message(Search())

    def action_filter(self) -> None:
        # At once, not by a message: what is typed next belongs to the filter, however fast it comes.
        self.screen.set_focus(self.query_one("#filter"))

    def action_back(self) -> None:
        self.query_one("#filter", Input).value = ""
        self.screen.set_focus(self.list)

    def action_pause(self) -> None:
        run = self._current()
        if run.status is Status.PAUSED:
            self._do(lambda control: control.resume(run.id))
        else:
            self._do(lambda control: control.pause(run.id))

    def action_resume(self) -> None:
        run = self._current()
        if run.status is Status.FINISHED and run.kind not in SERIES.kinds:
            sets = [f"limits.turns={max(run.turns * 2, run.turns + 10)}"]
            self._do(lambda control: control.resume(run.id, sets), said=f"{_title(run)} goes on, with more turns")
        else:
            self._do(lambda control: control.resume(run.id), said=f"{_title(run)} goes on")

    def action_stop(self) -> None:
        from tui.widgets.confirm import Confirm

        run = self._current()

        def decided(yes: bool | None) -> None:
            if yes:
                self._do(lambda control: control.stop(run.id))

        what = f"Stop {_title(run)} now?"
        self.app.push_screen(Confirm(what, "What was said is kept, and it can be resumed.", "stop it"), decided)

    def action_fork(self) -> None:
        run = self._current()
        self._do(lambda control: control.fork(run.id, run.turns), self._opened, f"forking {_title(run)}")

    def action_export(self) -> None:
        self.post_message(Export(self._current()))

    def action_evolve(self) -> None:
        self.post_message(Evolve(self._current()))

    def action_delete(self) -> None:
        from tui.widgets.confirm import Confirm

        run = self._current()

        def decided(yes: bool | None) -> None:
            if yes:
                self._do(lambda control: control.delete(run.id), lambda _: self._deleted(run), "")

        turns = f"{run.turns} turn{'s' * (run.turns != 1)}"
        question, consequence = f"Delete {_title(run)}?", f"Its {turns} and its log are gone for good."
        self.app.push_screen(Confirm(question, consequence, "delete it"), decided)

    def _deleted(self, run: Run) -> None:
        self.shelf.forget(run.id)
        self.list.update()
        self._moved = True
        self.notify(f"{_title(run)} is deleted", markup=False)

    def _opened(self, run_id: str) -> None:
        self.post_message(Open(run_id))

    def _current(self) -> Run:
        run = self.list.current
        assert run is not None, "actions without a run are off"
        return run

    def _do(self, work: Callable[[Control], Any], done: Callable[[Any], object] | None = None, said: str = "") -> None:
        run = self.list.current
        self.post_message(Command(run.id if run else "", work, done, said))


def _title(run: Run) -> str:
    return one_line(run.title, 40) or run.id
