"""A pane with one conversation, live: what is said, how it stands, and every way to take part in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from engine.record.errors import RecordError
from engine.record.events import Event
from engine.record.reader import Reader
from engine.record.visible import visible
from tui.state.conversation import Conversation
from tui.state.replay import Replay
from tui.widgets import colours, duel_lines, talk_lines
from tui.widgets.afterwards import Afterwards
from tui.widgets.ask_card import AskCard
from tui.widgets.colours import Palette
from tui.widgets.composer import Composer, parse
from tui.widgets.detail import MessageDetail
from tui.widgets.heading import Heading, Part, Ruling
from tui.widgets.look import WIDE, inset
from tui.widgets.models import ModelPicker
from tui.widgets.replay_bar import ReplayBar
from tui.widgets.steering import Mode
from tui.widgets.transcript import Transcript

_PROBE = 1.0
"""Seconds between looks at the run's lock: a crash has no event."""
_HINT = ("i to join in", "type to join in; enter sends, ctrl+j new line")
_TURN = ("your turn: i, then your words", "your turn: enter says it")
"""What the empty composer says while the keys go elsewhere, and while it has them."""


class TalkingPane(Afterwards):
    """Reads the record through `reader()`; commands go to the app as `Command`, other runs as `Open`.

    A pane of this kind says what a run is called (`WORD`), what an empty pane is for, and may lay out its stage.
    """

    NAME: ClassVar[str]
    """What the pane is called."""
    EMPTY: ClassVar[str]
    """What it says while no run is open."""
    DEFAULT_CSS = """
    TalkingPane { height: 1fr; width: 1fr; layout: vertical; }
    TalkingPane #seats { margin-bottom: 1; }
    TalkingPane #empty { height: 1fr; padding: 1 3; display: none; }
    TalkingPane #say { height: auto; max-height: 5; padding: 0 1; }
    TalkingPane #prompt { width: auto; height: 1; }
    TalkingPane #find { height: 1; padding: 0 1; display: none; }
    TalkingPane #find Input { width: 1fr; border: none; height: 1; padding: 0; background: transparent; }
    TalkingPane #found, TalkingPane #slash { width: auto; height: 1; }
    """

    def __init__(self, reader: Callable[[], Reader | None], clock: Callable[[], float], *, id: str) -> None:
        """`clock` is monotonic seconds."""
        super().__init__(reader, clock, id=id)
        self.view: Conversation | None = None
        self._mode: Mode | None = None
        self._probed = float("-inf")
        self._drawn: object = None
        self._palette: Palette | None = None
        self._room: object = None

    def compose(self) -> ComposeResult:
        yield Heading(id="title")
        yield Ruling()
        yield Heading(id="seats")
        yield Static(self.EMPTY, id="empty", markup=False)
        yield from self.stage()
        yield Ruling()
        yield AskCard(self._clock)
        with Horizontal(id="find"):
            yield Static("/ ", id="slash", markup=False)
            yield Input(placeholder="search in this talk", compact=True, select_on_focus=False)
            yield Static("", id="found", markup=False)
        with Horizontal(id="say"):
            yield Static("> ", id="prompt", markup=False)
            yield Composer(self._clock, self._card_key)
        yield ReplayBar()

    def stage(self) -> ComposeResult:
        """What is between the headings and the composer; a transcript is among it."""
        yield Transcript(self._older)

    def on_mount(self) -> None:
        self.transcript = self.query_one(Transcript)
        self.card = self.query_one(AskCard)
        self.composer = self.query_one(Composer)
        self.bar = self.query_one(ReplayBar)
        self._say_line = self.query_one("#say")
        self._words = self.query_one("#find Input", Input)
        self._title, self._seats = self.query_one("#title", Heading), self.query_one("#seats", Heading)
        self._find_line, self._found = self.query_one("#find"), self.query_one("#found", Static)
        self._words.cursor_blink = False
        self.use_composer(None)
        self._refill()

    @property
    def run_id(self) -> str | None:
        return self.view.run.id if self.view else None

    def show(self, run_id: str) -> None:
        """Attach to a run. Raises RecordError."""
        reader = self._reader()
        if reader is None:
            raise RecordError("there is no record to read; a new run makes one")
        same = run_id == self.run_id
        self.view = Conversation.attach(reader, run_id)
        if self.is_mounted:
            if not same:
                self.use_composer(None)
                self.card.put(None)
            self._refill()

    def go_to(self, seq: int) -> None:
        """Choose a turn by its number."""
        self.transcript.go_to(seq)

    def apply(self, found: Sequence[Event]) -> None:
        """Take in what happened; drawn by the next `tick`."""
        if self.view:
            for event in found:
                self.view.apply(event)

    def tick(self, now: float) -> None:
        """Draw what has changed; `now` is monotonic seconds. Raises RecordError when the run is gone."""
        view, reader = self.view, self._reader()
        if view is None:
            return
        due = view.run.active and now - self._probed >= _PROBE
        if reader and (view.stale or view.spec_stale or due):
            self._probed = now
            run = reader.find(view.run.id)
            view.refresh(run, reader.spec(run) if view.spec_stale else None)
        if self.card.show(view.asks):
            self.use_composer(self._mode)
        self.play(now)
        self._draw()
        self.transcript.sync(now)

    def played(self, replay: Replay | None) -> None:
        self._say_line.display = replay is None and self.view is not None
        self._drawn = None
        self._draw()
        self.refresh_bindings()

    def _refill(self) -> None:
        shown = self.view is not None
        self.bar.put(None)
        self.query_one("#empty").display = not shown
        for part in (self.transcript, self._say_line, *self.query(Ruling)):
            part.display = shown
        self._drawn = None
        if self.view:
            self.card.show(self.view.asks)
            self.use_composer(self._mode)
        self.transcript.show(self.view)
        self._draw()
        self.refresh_bindings()

    def _draw(self) -> None:
        """The lines around the transcript. Called every tick: what has not changed must cost next to nothing."""
        view = self.view
        palette = self._paint(view)
        self._seats.display = view is not None and self.size.width >= WIDE
        if view is None:
            self._title.say([(self.NAME, palette.you)], [], palette.said)
            return
        title = talk_lines.replayed if self.replay else duel_lines.title
        self._title.say(*title(view, palette), palette.said)
        self.transcript.empty = duel_lines.nothing(view)
        if self._seats.display:
            self._seats.say(*self.who(view, palette), palette.said, self.inset)
        words = self.transcript.searching
        drawn = (
            view.status,
            len(view.asks),
            view.run.turns,
            self.card.question,
            words,
            self._words.has_focus,
            len(self.answers[1]),
        )
        if drawn != self._drawn:
            self._drawn = drawn
            self._find_line.display = bool(words) or self._words.has_focus
            self._found.update(f"  {words}" + ("   n older  N newer  esc ends" if words else ""))
            self.refresh_bindings()

    def who(self, view: Conversation, palette: Palette) -> tuple[list[Part], list[Part]]:
        """(left, right) of the line that says who sits where."""
        return duel_lines.seats(view, palette)

    @property
    def inset(self) -> int:
        """Columns left free on either side of that line."""
        return inset(self.size.width)

    def _paint(self, view: Conversation | None) -> Palette:
        """The colours of this room, worked out when they change."""
        names = tuple(seat.name for seat in view.seats) if view else ()
        room = (self.app.theme, names)
        if self._palette is None or room != self._room:
            self._room = room
            self._palette = colours.palette(self.app, names, *colours.ground(self))
            for ruling in self.query(Ruling):
                ruling.paint(self._palette.chrome)
        return self._palette

    def on_resize(self) -> None:
        self._draw()

    def on_key(self, event: events.Key) -> None:
        if event.key in ("tab", "shift+tab"):
            self._turn_to()
        elif self._words.has_focus or self.composer.has_focus or not self._card_key(event):
            return  # the composer has asked the card itself, or this was typed ahead and is text
        event.stop()
        event.prevent_default()

    def _card_key(self, event: events.Key) -> bool:
        return self.composer.empty and self.card.take(event, self.composer.typed)

    @property
    def answers(self) -> tuple[AskCard, list[tuple[str, str, str]]]:
        """The card, and its letters where they answer now, for the line of keys."""
        speaking = self.is_mounted and self.composer.empty and not self._words.has_focus
        return self.card, self.card.letters(self.composer.typed) if speaking else []

    def _turn_to(self) -> None:
        """tab: from the card to the composer to the transcript, and back to the card."""
        if self.replay:
            (self.transcript if self.bar.has_focus else self.bar).focus()
        elif self.composer.has_focus and not (self.card.question and self.card.attended):
            self.transcript.focus()
            self.card.attend(True)
        else:
            self.card.attend(False)
            self.composer.focus()

    def action_speak(self) -> None:
        self.screen.set_focus(self.composer)  # at once: what is typed next is for it

    def action_copy(self) -> None:
        self.transcript.action_copy()

    def action_copy_all(self) -> None:
        view = self.view
        text = self._read(lambda reader: duel_lines.whole(reader, view.run)) if view else None
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(f"copied the whole talk, {len(text):,} characters", timeout=3, markup=False)

    def action_find(self) -> None:
        self._find_line.display = True
        self._words.focus()

    def action_back(self) -> None:
        self._words.value = ""
        if not self.transcript.unchoose():
            self.transcript.focus()
        self._draw()

    def use_composer(self, mode: Mode | None) -> None:
        self._mode = mode
        question = self.card.question
        typed = self.composer.has_focus
        prompt, hint = "> ", _HINT[typed]
        if mode:
            prompt, hint = f"{visible(mode.prompt)} > ", "enter keeps it, esc leaves it as it was"
        elif question and question.typed:
            seat = (question.subject or "").removeprefix("seat/")
            prompt, hint = f"{visible(seat)} > " if seat else "> ", _TURN[typed]
        self.query_one("#prompt", Static).update(prompt)
        self.composer.placeholder = hint

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _hint(self) -> None:
        self.use_composer(self._mode)

    @on(Composer.Sent)
    def _sent(self, message: Composer.Sent) -> None:
        mode, question = self._mode, self.card.question
        if mode:
            self.use_composer(None)
            mode.send(message.text)
            self.transcript.focus()
        elif question and question.typed and question.number is not None:
            self._answer(question.number, message.text)
        else:
            said = parse(message.text, [seat.name for seat in self._view().seats], now=message.now)
            self._do(lambda control, run: control.say(run, said.text, said.seat, said.now))

    @on(Composer.Left)
    def _left(self) -> None:
        self.use_composer(None)
        self.transcript.focus()
        self.card.attend(True)

    @on(AskCard.Answered)
    def _answered(self, message: AskCard.Answered) -> None:
        question = message.question
        if question.then:
            question.then(message.value)
        elif question.number is not None and message.value == "model":
            number = question.number
            self.app.push_screen(ModelPicker(), lambda name: self._answer(number, f"model={name}") if name else None)
        elif question.number is not None:
            self._answer(question.number, message.value)

    def _answer(self, number: int, value: str) -> None:
        self._do(lambda control, run: control.answer(number, value))

    @on(Transcript.Detail)
    def _detail(self, message: Transcript.Detail) -> None:
        view = self.view
        screen = self._read(lambda reader: MessageDetail.read(reader, view, message.entry)) if view else None
        if screen:
            self.app.push_screen(screen)

    @on(Transcript.Moved)
    def _moved(self) -> None:
        self._draw()
        self.refresh_bindings()

    @on(Input.Submitted, "#find Input")
    def _find(self, event: Input.Submitted) -> None:
        self.transcript.focus()
        self.transcript.find(event.value)
        self._draw()

    def _older(self) -> int:
        view = self.view
        return (self._read(view.older) if view else None) or 0
