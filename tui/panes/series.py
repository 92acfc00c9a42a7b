"""A series, live: the family tree of its runs, how one answer of each generation was selected, what it all has used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from engine.record.errors import RecordError
from engine.record.events import Event
from engine.record.reader import Reader
from engine.record.runs import Run, Status
from engine.record.visible import one_line
from tui.messages import Command, Export, Open
from tui.run_pane import RunPane
from tui.state import lineage_rows, shelf
from tui.state.lineage import Tree
from tui.widgets import colours
from tui.widgets.colours import Palette
from tui.widgets.confirm import Confirm
from tui.widgets.heading import Heading, Part, Ruling
from tui.widgets.lineage import Lineage

if TYPE_CHECKING:
    from engine.runs.control import Control

_PROBE = 1.0
"""Seconds between looks at the locks of the host and of its runs: a crash has no event."""
_EMPTY = (
    "No series is open.\n\n"
    "A series plays runs one after another. The question of one run evolves from\n"
    "generation to generation, and here is the family tree of it.\n\n"
    "1       choose a series in Runs, or start one there with n"
)


class SeriesPane(RunPane):
    """It has no number of its own: a series is opened from the runs, and esc leads back there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "answer", "answer", id="series.answer", tooltip="Open the run that asks for you, at its card"),
        Binding("space,p", "pause", "pause", id="series.pause",
                tooltip="Pause; a turn in progress is spoken to its end"),
        Binding("space,p,r", "resume", "resume", id="series.resume", tooltip="Let it go on, wherever it stopped"),
        Binding("s", "skip", "skip a run", id="series.skip", tooltip="The run in progress is over, the next follows"),
        Binding("b", "bye", "bye", id="series.bye", tooltip="A polite end: no further run follows"),
        Binding("x", "stop", "stop", id="series.stop", tooltip="End the series and its run now; all is kept"),
        Binding("e", "export", "export", show=False, id="series.export", tooltip="Write it as a document"),
        Binding("y", "copy", "copy", show=False, id="series.copy",
                tooltip="Copy the answer that was selected last, or the question"),
    ]  # fmt: skip
    DEFAULT_CSS = """
    SeriesPane { height: 1fr; width: 1fr; layout: vertical; }
    SeriesPane #empty { height: 1fr; padding: 1 3; }
    SeriesPane Lineage { margin-top: 1; }
    """

    def __init__(self, reader: Callable[[], Reader | None], clock: Callable[[], float]) -> None:
        """`clock` is monotonic seconds."""
        super().__init__(reader, clock, id="series")
        self.series: Tree | None = None
        self._probed = float("-inf")
        self._room: object = None
        self._palette: Palette | None = None

    def compose(self) -> ComposeResult:
        yield Heading(id="title")
        yield Ruling()
        yield Static(_EMPTY, id="empty", markup=False)
        yield Lineage()

    def on_mount(self) -> None:
        self.lineage = self.query_one(Lineage)
        self._title = self.query_one("#title", Heading)
        self._refill()

    @property
    def run_id(self) -> str | None:
        return self.series.id if self.series else None

    @property
    def glossary(self) -> list[tuple[str, str]]:
        """What the words of the tree mean, for the help."""
        return lineage_rows.GLOSSARY

    def show(self, run_id: str) -> None:
        reader = self._reader()
        if reader is None:
            raise RecordError("there is no record to read; a new run makes one")
        if self.series is None or run_id != self.series.id:
            self.series = Tree(run_id)
        self.series.reset()
        self.series.refresh(reader, self._clock())
        if self.is_mounted:
            self._refill()

    def go_to(self, turn: int) -> None:
        """A series has no turns of its own."""

    def apply(self, found: Sequence[Event]) -> None:
        if self.series:
            self.series.apply(found)

    def tick(self, now: float) -> None:
        reader = self._reader()
        if reader is None or self.series is None:
            return
        if now - self._probed >= _PROBE:
            self._probed = now
            shown = [self.series.run, *(child.run for child in self.series.children)]
            if any(run and run.active and reader.find(run.id).status is not run.status for run in shown):
                self.series.reset()
        if self.series.refresh(reader, now):
            self._draw()
            self.refresh_bindings()

    def on_resize(self) -> None:
        self._draw()

    def why_off(self, action: str) -> str | None:
        run = self.series.run if self.series else None
        if run is None:
            return "no series is open; 1 goes to the runs"
        if action == "answer" and not self._asking():
            return "no run of this series asks for you"
        state = shelf.word(run.status)
        match action:
            case "pause" | "bye" | "stop" | "skip" if not run.active:
                return f"the series is {state}"
            case "resume" if run.active and run.status is not Status.PAUSED:
                return "it goes on already"
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        run = self.series.run if self.series else None
        held = run is not None and (run.status is Status.PAUSED or not run.active)
        if (action == "pause" and held) or (action == "resume" and not held):
            return False
        return super().check_action(action, parameters)

    def action_answer(self) -> None:
        self.post_message(Open(self._asking()[0]))

    def _asking(self) -> list[str]:
        """The runs that wait for an answer, the first to ask first."""
        return [ask.run for ask in self.series.asks if ask.run != self.series.id] if self.series else []

    def action_pause(self) -> None:
        self._do(lambda control, run: control.pause(run))

    def action_resume(self) -> None:
        self._do(lambda control, run: control.resume(run))

    def action_skip(self) -> None:
        self._do(lambda control, run: control.skip(run), "the run in progress is over, the next follows")

    def action_bye(self) -> None:
        self._do(lambda control, run: control.bye(run), "no further run follows")

    def action_stop(self) -> None:
        def decided(yes: bool | None) -> None:
            if yes:
                self._do(lambda control, run: control.stop(run))

        what = f"Stop {one_line(self._run().title, 40)}?"
        kept = "What was said is kept, and it can be resumed."
        self.app.push_screen(Confirm(what, kept, "stop it", "let it go on"), decided)

    def action_export(self) -> None:
        self.post_message(Export(self._run()))

    def action_copy(self) -> None:
        assert self.series
        taken = [item for item in self.series.candidates if item.selected and item.purpose == "evolve"]
        text = taken[-1].text if taken else str(self.series.spec.get("question") or self._run().title)
        what = f"the answer selected in generation {taken[-1].generation}" if taken else "the question"
        self.app.copy_to_clipboard(text)
        self.notify(f"copied {what}, {len(text):,} characters", timeout=3, markup=False)

    @on(Lineage.Open)
    def _open(self, message: Lineage.Open) -> None:
        self.post_message(Open(message.run, message.seq))

    def _run(self) -> Run:
        assert self.series and self.series.run, "without a series every action is off"
        return self.series.run

    def _do(self, work: Callable[[Control, str], Any], said: str = "") -> None:
        run = self._run().id
        self.post_message(Command(run, lambda control: work(control, run), None, said))

    def _refill(self) -> None:
        there = self.series is not None
        self.query_one("#empty").display = not there
        self.lineage.display = there
        self.lineage.show(self.series)
        self._draw()
        self.refresh_bindings()

    def _draw(self) -> None:
        palette = self._paint()
        run = self.series.run if self.series else None
        if run is None or self.series is None:
            self._title.say([("Series", palette.you)], [], palette.said)
            return
        right: list[Part] = [(f"{shelf.glyph(run.status)} {shelf.word(run.status)}", palette.you)]
        right += [(f" · {text}", palette.about) for text in self.series.figures]
        self._title.say([(one_line(run.title) or run.id, palette.you)], [*right, (" ", palette.said)], palette.said)
        self.lineage.work_out()

    def _paint(self) -> Palette:
        if self._palette is None or self._room != self.app.theme:
            self._room = self.app.theme
            self._palette = colours.palette(self.app, (), *colours.ground(self))
            self.query_one(Ruling).paint(self._palette.chrome)
        return self._palette
