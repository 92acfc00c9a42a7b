"""The keys that steer a conversation: what each does to the run, and why it can do nothing now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from engine.record.runs import ACTIVE, Status
from engine.record.visible import one_line
from tui.messages import Command, Open
from tui.run_pane import RunPane
from tui.state import shelf
from tui.state.conversation import Conversation
from tui.state.entries import Entry
from tui.widgets.ask_card import AskCard, Choice, Question
from tui.widgets.composer import Composer
from tui.widgets.models import ModelPicker
from tui.widgets.seat_questions import which_change, which_other, which_seat
from tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from engine.runs.control import Control

_MORE = 10
"""Turns that a finished run gets on top, at least, when it is told to go on."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What the composer is for when it is not for speaking."""

    prompt: str
    send: Callable[[str], object]


class Steering(RunPane):
    """A pane with a transcript, a card and a composer. Commands go to the app, which does them in the background."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "pause", id="talk.pause", tooltip="Pause; a turn in progress is spoken to its end"),
        Binding("space", "resume", "resume", id="talk.resume", tooltip="Let it go on, wherever it stopped"),
        Binding("i", "speak", "speak", id="talk.speak", tooltip="Say something to all, or answer for your seat"),
        Binding("t", "take", "take a seat", id="talk.take", tooltip="Speak for a seat yourself, or hand it back"),
        Binding("b", "bye", "bye", id="talk.bye", tooltip="A polite end: one last answer, then it is over"),
        Binding("f", "fork", "fork", id="talk.fork", tooltip="A new run from the chosen or last turn on"),
        Binding("F", "fork_with", "fork with", show=False, id="talk.fork_with",
                tooltip="A new run from there on, a seat on another model"),
        Binding("y", "copy", "copy", id="talk.copy", tooltip="Copy the chosen or last message"),
        Binding("Y", "copy_all", "copy all", show=False, id="talk.copy_all", tooltip="Copy the whole talk"),
        Binding("e", "edit", "edit", show=False, id="talk.edit", tooltip="Change what the chosen or last turn says"),
        Binding("r", "retry", "retry", show=False, id="talk.retry", tooltip="Have the last turn said again"),
        Binding("s", "skip", "skip", show=False, id="talk.skip", tooltip="Pass the floor on"),
        Binding("full_stop", "step", "step", show=False, id="talk.step", tooltip="One turn, then pause"),
        Binding("m", "swap", "change a seat", show=False, id="talk.swap",
                tooltip="Another model, guest or temperature for a seat, from its next turn on"),
        Binding("x", "stop", "stop", show=False, id="talk.stop", tooltip="End it now; what was said is kept"),
        Binding("slash", "find", "search", show=False, id="talk.find", tooltip="Search in this talk, old turns too"),
        Binding("escape", "back", "back", show=False, id="talk.back", tooltip="End the search, let go of the message"),
    ]  # fmt: skip

    WORD: ClassVar[str]
    """What a run is called here, in the middle of a sentence."""
    view: Conversation | None
    transcript: Transcript
    card: AskCard
    composer: Composer

    def use_composer(self, mode: Mode | None) -> None:
        """Let the composer serve another purpose until it is left."""
        raise NotImplementedError

    def why_off(self, action: str) -> str | None:
        """Why a key can do nothing now, or None."""
        view = self.view
        if view is None:
            return f"no {self.WORD} is open; 1 goes to the runs"
        if action in ("find", "back"):
            return None
        state = f"this {self.WORD} is {shelf.word(view.status)}"
        if action in ("bye", "skip", "retry", "step", "take", "swap", "stop", "pause") and view.status not in ACTIVE:
            return f"{state}; space lets it go on"
        if action == "skip" and view.limit and view.turns >= view.limit:
            return f"all {view.limit} turns were had: nobody is left to skip"
        if action in ("fork", "fork_with", "edit") and self._turn() is None:
            return "nothing was said yet"
        if action == "copy":
            return self.transcript.why_off("copy") if self.is_mounted else None
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        going = self.view is not None and self.view.status in (Status.RUNNING, Status.WAITING, Status.QUEUED)
        if action in ("pause", "resume") and self.view is not None:
            return going == (action == "pause")
        if action == "resume":
            return False
        if action == "back":
            return self.is_mounted and (self.transcript.chosen is not None or self.transcript.search is not None)
        return super().check_action(action, parameters)

    def action_pause(self) -> None:
        self._do(lambda control, run: control.pause(run))

    def action_resume(self) -> None:
        view = self._view()
        sets = []
        if view.status is Status.FINISHED and view.turns >= (view.limit or 0):
            sets = [f"limits.turns={view.turns + max(view.turns, _MORE)}"]
        self._do(lambda control, run: control.resume(run, sets))

    def action_bye(self) -> None:
        self._do(lambda control, run: control.bye(run))

    def action_skip(self) -> None:
        self._do(lambda control, run: control.skip(run))

    def action_retry(self) -> None:
        self._do(lambda control, run: control.retry(run))

    def action_step(self) -> None:
        self._do(lambda control, run: control.step(run))

    def action_stop(self) -> None:
        text = f"Stop this {self.WORD} now? What was said is kept, and it can be resumed."
        self.card.put(Question(text, (Choice("y", "y", "stop it"), Choice("n", "n", "let it go on")), then=self._stop))

    def _stop(self, answer: str) -> None:
        if answer == "y":
            self._do(lambda control, run: control.stop(run))

    def action_take(self) -> None:
        self.card.put(which_seat(self._view().seats, self._take))

    def _take(self, name: str) -> None:
        seat = next(item for item in self._view().seats if item.name == name)
        if seat.human:
            self._do(lambda control, run: control.release(run, name))
        else:
            self._do(lambda control, run: control.take(run, name))

    def action_swap(self) -> None:
        which_change(self, self._view().seats, self._swap)

    def _swap(self, seat: str, changes: dict[str, Any]) -> None:
        self._do(lambda control, run: control.swap(run, seat, changes))

    def action_fork(self) -> None:
        turn = self._turn()
        if turn:
            self._do(lambda control, run: control.fork(run, turn.seq), self._open, f"forking at turn {turn.seq}")

    def action_fork_with(self) -> None:
        turn = self._turn()
        if turn:
            seats = self._view().seats
            self.card.put(which_other(seats, lambda name: self._fork_with(turn.seq, name)))

    def _fork_with(self, at: int, name: str) -> None:
        """A fork in which the seat `name` is on another model, once that is chosen."""
        seats = self._view().seats
        place = next(n for n, seat in enumerate(seats) if seat.name == name)

        def took(model: str | None) -> None:
            if model:
                sets = [f"seats.{place}.model={model}"]
                said = f"forking at turn {at}, {one_line(name)} on {one_line(model)}"
                self._do(lambda control, run: control.fork(run, at, sets), self._open, said)

        self.app.push_screen(
            ModelPicker(f"A model for {one_line(name)} from turn {at + 1} on", seats[place].model), took
        )

    def action_edit(self) -> None:
        turn = self._turn()
        if turn:
            self.use_composer(Mode(f"turn {turn.seq} of {turn.seat}", lambda text: self._edit(turn.seq, text)))
            self.composer.begin(turn.text)
            self.composer.focus()

    def _edit(self, seq: int, text: str) -> None:
        self._do(lambda control, run: control.edit(run, seq, text), self._open)

    def _view(self) -> Conversation:
        assert self.view is not None, "without a duel every action is off"
        return self.view

    def _turn(self) -> Entry | None:
        """The chosen turn, else the newest one in view, else the last one."""
        if self.view is None or not self.is_mounted:
            return None
        entry = self.transcript.current
        return entry if entry and entry.counts else self.view.said(self.view.turns)

    def _do(
        self, work: Callable[[Control, str], Any], done: Callable[[Any], object] | None = None, said: str = ""
    ) -> None:
        run = self._view().run.id
        self.post_message(Command(run, lambda control: work(control, run), done, said))

    def _open(self, run_id: str) -> None:
        if self.view is None or run_id != self.view.run.id:
            self.post_message(Open(run_id))
