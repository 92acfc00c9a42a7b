"""What one does with a conversation afterwards: play it again as it came, hold it against another branch."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual import on
from textual.binding import Binding, BindingType

from engine.record.errors import RecordError
from engine.record.reader import Reader
from tui.messages import Open
from tui.state.replay import Replay
from tui.widgets.replay_bar import ReplayBar
from tui.widgets.steering import Steering

_T = TypeVar("_T")
_LIVE = frozenset(
    {"replay", "speak", "take", "bye", "fork", "fork_with", "edit", "retry", "skip", "step", "swap", "stop", "find"}
)
"""What is done to a run as it stands, and not to one that is played again."""


class Afterwards(Steering):
    """Needs a `ReplayBar`, hidden until something is played."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "replay", "replay", show=False, id="talk.replay", tooltip="Play the talk again as it came"),
        Binding("c", "compare", "compare", show=False, id="talk.compare",
                tooltip="Hold this talk against another branch of it"),
    ]  # fmt: skip

    bar: ReplayBar

    @property
    def replay(self) -> Replay | None:
        """What is played, while something is."""
        return self.bar.replay if self.is_mounted else None

    def played(self, replay: Replay | None) -> None:
        """Something is played from now on, or no longer: the lines around the transcript change."""
        raise NotImplementedError

    def why_off(self, action: str) -> str | None:
        if action in ("replay", "compare") and self.view is not None and not self.view.turns:
            return "nothing was said yet"
        if self.replay and action in _LIVE:
            return "a replay is on; esc ends it"
        return super().why_off(action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.replay and action in ("pause", "resume", "back"):
            return False
        return super().check_action(action, parameters)

    def action_replay(self) -> None:
        view = self._view()
        turns = self._read(lambda reader: reader.turns(view.run))
        if turns:
            replay = Replay(turns, view.seats)
            self.transcript.show(replay)
            self.bar.put(replay)
            self.played(replay)
            self.bar.focus()

    def play(self, now: float) -> None:
        """Let what is played go on to `now`, monotonic seconds."""
        replay = self.replay
        if replay:
            replay.tick(now)
            self.bar.sync()

    @on(ReplayBar.Left)
    def end_replay(self) -> None:
        """Show the run as it stands again, from its end."""
        if self.replay:
            self.bar.put(None)
            self.transcript.show(self.view)
            self.played(None)
            self.transcript.focus()

    @on(ReplayBar.Scrolled)
    def _scrolled(self, message: ReplayBar.Scrolled) -> None:
        self.transcript.action_scroll(message.rows)

    def action_compare(self) -> None:
        from tui.widgets.compare import BranchPicker, branches

        run = self._view().run
        others = self._read(lambda reader: branches(reader, run))
        if others is None:
            return
        if not others:
            self.notify("this talk has no other branch yet; f forks it", timeout=4, markup=False)
        elif len(others) == 1:
            self._compare(others[0][0].id)
        else:
            self.app.push_screen(BranchPicker(run, others), self._compare)

    def _compare(self, other: str | None) -> None:
        from tui.widgets.compare import Branch, Compare

        if other is None:
            return
        mine = self._view().run.id
        screen = self._read(lambda reader: Compare(*(Branch.read(reader, reader.find(name)) for name in (mine, other))))
        if screen:
            self.app.push_screen(screen, self._chosen)

    def _chosen(self, place: tuple[str, int] | None) -> None:
        if place:
            self.post_message(Open(*place))

    def _read(self, work: Callable[[Reader], _T]) -> _T | None:
        """Read more of the record for a key; when that fails, one line says why."""
        reader = self._reader()
        try:
            return work(reader) if reader else None
        except RecordError as error:
            self.notify(str(error), severity="error", markup=False)
            return None
