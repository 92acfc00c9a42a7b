"""The form for a question that evolves: who talks about it, who judges, how many generations, what it may use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Static

from tui.background import run_in_background
from tui.state.series_draft import PIPELINE, SeriesDraft
from tui.widgets.form import Field, Form, Line, Tick, row
from tui.widgets.models import ModelPicker, offered
from tui.widgets.picker import Choice

_NUMBERS = (
    (("generations", "generations", ""), ("runs in each", "children", "")),
    (("turns of each", "turns", ""), ("tokens in all", "tokens", "0 is no limit")),
)
_NOBODY = "nobody"


class NewSeries(Form):
    """Dismisses with the pipeline of the series, or None. The question and a model may be known already."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f5", "start", "Start the series", id="evolve.start"),
        Binding("escape", "cancel", "Back", id="evolve.cancel"),
        Binding("down", "app.focus_next", "Next field", show=False, priority=True, id="evolve.next"),
        Binding("up", "app.focus_previous", "Previous field", show=False, priority=True, id="evolve.previous"),
        Binding("delete,backspace", "leave_out", "No judge", show=False, id="evolve.leave_out"),
    ]

    draft: SeriesDraft
    EARLY: ClassVar[tuple[str, ...]] = ("generations", "children", "turns", "tokens")

    def __init__(self, question: str = "", model: str = "") -> None:
        super().__init__()
        self.draft = SeriesDraft(question=question, model=model, judge=model)
        self._base: dict[str, Any] = {}

    def compose(self) -> ComposeResult:
        draft = self.draft
        with Vertical(classes="dialog new-duel"):
            yield Static("Evolve a question", classes="dialog--title")
            yield Static(
                "Each generation talks about the question anew; the answer that is selected becomes the question of"
                " the next.",
                classes="dialog--about",
            )
            with VerticalScroll(can_focus=False):
                with Vertical(classes="side"):
                    words = Line(
                        draft.question,
                        placeholder="what shall evolve?",
                        compact=True,
                        select_on_focus=False,
                        id="question",
                    )
                    yield from row("question", words, "question")
                    yield from row("model", Field("model", "choose a model"), "model")
                    yield from row("judge", Field("judge", "nobody: selected by form, not by quality"), "judge")
                for pair in _NUMBERS:
                    with Horizontal(classes="pair"):
                        for label, name, hint in pair:
                            with Vertical(classes="half"):
                                value = Line(getattr(draft, name), placeholder=hint, compact=True, id=name)
                                yield from row(label, value, name)
                tick = Tick("baseline", "compare with one run that is not evolved", value=draft.baseline)
                yield from row("", tick, "baseline")
            yield Static("", classes="dialog--fault", markup=False)
            yield Static(
                "enter choose   del no judge   tab next   ctrl+s start   esc back",
                classes="dialog--keys",
                markup=False,
            )

    def on_mount(self) -> None:
        for name in ("model", "judge"):
            if self.draft.model:
                self.query_one(f"#{name}", Field).fill(self.draft.model)
        words = self.query_one("#question", Input)
        words.cursor_position = 0  # a long question shows its beginning
        words.focus()
        run_in_background(self.app, _base, self._arrived, self.say)

    def _arrived(self, base: dict[str, Any]) -> None:
        self._base = base
        self.read()

    @on(Button.Pressed)
    def _choose(self, event: Button.Pressed) -> None:
        name = event.button.id
        assert name
        current = getattr(self.draft, name) or None

        def took(model: str | None) -> None:
            if model:
                self._fill(name, "" if model == _NOBODY else model)

        screen = JudgePicker(current) if name == "judge" else ModelPicker("Who talks about it?", current)
        self.app.push_screen(screen, took)

    def _fill(self, name: str, model: str) -> None:
        """The first model that is chosen judges as well; it may turn out not to be trusted."""
        first = name == "model" and not self.draft.model and not self.draft.judge
        for field in ("model", "judge") if first else (name,):
            setattr(self.draft, field, model)
            self.query_one(f"#{field}", Field).fill(model)
        self.check()

    def action_leave_out(self) -> None:
        if self.focused is not None and self.focused.id == "judge":
            self._fill("judge", "")

    @on(Tick.Turned)
    def _tick(self, event: Tick.Turned) -> None:
        self.draft.baseline = event.tick.value

    @property
    def fields(self) -> Sequence[str]:
        return ("question", "model", "judge", *self.EARLY)

    def pipeline(self) -> dict[str, Any] | None:
        return self.draft.pipeline(self._base) if self._base else None


class JudgePicker(ModelPicker):
    """Dismisses with PROVIDER/MODEL, `nobody`, or None."""

    def __init__(self, current: str | None) -> None:
        super().__init__("Who selects? It is tried first, and not trusted where it fails.", current)
        self._source = _judges


def _judges() -> Sequence[Choice]:
    return [*offered(), Choice(_NOBODY, "nobody", "selected by form, not by quality")]


def _base() -> dict[str, Any]:
    from engine.runs import pipelines
    from engine.settings import yaml_file

    return yaml_file.load_mapping(pipelines.find(PIPELINE))
