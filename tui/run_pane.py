"""What the app asks of a pane that shows one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.widget import Widget

from engine.record.events import Event
from engine.record.reader import Reader
from tui.keymap import Explains


class RunPane(Explains, Widget):
    """Keeps its state while it is hidden. `reader()` is the record, None while there is none."""

    def __init__(self, reader: Callable[[], Reader | None], clock: Callable[[], float], *, id: str) -> None:
        """`clock` is monotonic seconds; `id` is that of the pane, in the style sheet too."""
        super().__init__(id=id)
        self._reader, self._clock = reader, clock

    @property
    def run_id(self) -> str | None:
        """The run that is shown."""
        raise NotImplementedError

    def show(self, run_id: str) -> None:
        """Show a run as it stands. Raises RecordError."""
        raise NotImplementedError

    def go_to(self, turn: int) -> None:
        """Choose a turn by its number."""
        raise NotImplementedError

    def apply(self, found: Sequence[Event]) -> None:
        """Take in what happened; drawn by the next `tick`."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Draw what has changed, `now` in monotonic seconds; called while it is on screen. Raises RecordError."""
        raise NotImplementedError
