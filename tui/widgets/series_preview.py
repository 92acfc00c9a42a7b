"""The selected series beside the list of runs: how it stands, what it has used, its family tree as far as it fits."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from engine.record.events import Event
from engine.record.reader import Reader
from engine.record.runs import Run
from engine.record.visible import one_line
from tui.state.figures import started
from tui.state.lineage import Tree
from tui.widgets.lineage import Lineage


class SeriesPreview(Vertical):
    """Shows one series; `tree` is read when it changes, and only while it is on screen."""

    def __init__(self) -> None:
        super().__init__()
        self._series: Tree | None = None

    def compose(self) -> ComposeResult:
        yield Static("", id="series-title", markup=False)
        yield Static("", id="series-about", markup=False)
        lineage = Lineage()
        lineage.can_focus = False
        yield lineage
        yield Static("", id="series-foot", markup=False)

    def apply(self, events: Sequence[Event]) -> None:
        if self._series:
            self._series.apply(events)

    def say(self, run: Run, reader: Reader, now: float, clock: float) -> None:
        """Draw this series as it is; `now` is monotonic seconds, `clock` the time of day. Raises RecordError."""
        if self._series is None or self._series.id != run.id:
            self._series = Tree(run.id)
        if not self.size.width:
            return
        known = self._series.run
        if known and known.status is not run.status:
            self._series.reset()
        if not self._series.refresh(reader, now) and self.query_one(Lineage).shown is self._series:
            return
        self.query_one("#series-title", Static).update(one_line(run.title) or "untitled")
        about = f"series · started {started(run.started or run.created, clock)}"
        self.query_one("#series-about", Static).update(about)
        self.query_one("#series-foot", Static).update(" · ".join(self._series.figures))
        self.query_one(Lineage).show(self._series)
