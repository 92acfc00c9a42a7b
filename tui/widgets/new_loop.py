"""The form for a new loop: the question, a model for each role, what ends it, how it goes on from round to round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Static

from engine.record.visible import one_line
from tui.background import run_in_background
from tui.state.loop_draft import ME, NOBODY, LoopDraft, Part
from tui.widgets.form import Field, Form, Line, Row, Tick, row
from tui.widgets.models import ModelPicker, offered
from tui.widgets.picker import Choice

_TICKS = (
    ("chain", "answers name the next topic"),
    ("free", "that topic may be reworded"),
    ("literal", "put the question as it stands"),
    ("plan", "answers follow a plan"),
    ("documents", "look into my documents"),
    ("runs", "look into my other runs"),
    ("past", "look up what it said long ago"),
)
_FIELDS = (
    ("turns", "turns", "30", "0 is no limit"),
    ("cost", "cost", "", "no limit, $"),
    ("minutes", "minutes", "", "no limit"),
    ("mediate after", "every", "6", "turns, 0 is never"),
)


class NewLoop(Form):
    """Dismisses with the pipeline of the loop, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f5", "start", "Start the loop", id="loop.start"),
        Binding("escape", "cancel", "Back", id="loop.cancel"),
        Binding("down", "app.focus_next", "Next field", show=False, priority=True, id="loop.next"),
        Binding("up", "app.focus_previous", "Previous field", show=False, priority=True, id="loop.previous"),
        Binding("delete,backspace", "leave_out", "Nobody has this part", show=False, id="loop.leave_out"),
    ]

    draft: LoopDraft
    EARLY: ClassVar[tuple[str, ...]] = ("turns", "cost", "minutes", "every", "stop")

    def __init__(self) -> None:
        super().__init__()
        self.draft = LoopDraft()

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog new-duel"):
            yield Static("New loop", classes="dialog--title")
            with VerticalScroll(can_focus=False):
                with Vertical(classes="side"):
                    words = Line(placeholder="what shall they work on?", compact=True, id="question")
                    yield from row("question", words, "question")
                yield Vertical(classes="side parts")
                for pair in (_FIELDS[:2], _FIELDS[2:]):
                    with Horizontal(classes="pair"):
                        for label, name, value, hint in pair:
                            with Vertical(classes="half"):
                                yield from row(label, Line(value, placeholder=hint, compact=True, id=name), name)
                with Vertical(classes="side"):
                    hint = "such as novelty < 0.2 for 3 turns"
                    yield from row("stop when", Line(placeholder=hint, compact=True, id="stop"), "stop")
                with Grid(classes="ticks"):
                    for name, text in _TICKS:
                        yield Tick(name, text)
            yield Static("", classes="dialog--fault", markup=False)
            yield Static(
                "enter choose   del leave out   tab next   ctrl+s start   esc back",
                classes="dialog--keys",
                markup=False,
            )

    def on_mount(self) -> None:
        self.query_one("#question").focus()
        run_in_background(self.app, _offered, self._arrived, self.say)

    async def _arrived(self, offered: tuple[list[dict[str, Any]], list[str]]) -> None:
        if not self.is_attached:
            return
        roles, self.draft.measures = offered
        broken = [role for role in roles if role["error"]]
        self.draft.offer([role for role in roles if not role["error"]])
        rows = []
        for part in self.draft.parts:
            placeholder = "choose a model" if part.wanted else f"nobody; {one_line(part.about)}"
            field = Field(f"part-{part.slug}", placeholder)
            rows.append(Row(one_line(part.name, 12), field, f"part-{part.slug}"))
        await self.query_one(".parts").mount(*rows)
        if broken:
            self.say(broken[0]["error"])
        self.read()

    @on(Button.Pressed)
    def _choose(self, event: Button.Pressed) -> None:
        field = event.button
        assert isinstance(field, Field) and field.id
        part = self.draft.part(field.id.removeprefix("part-"))

        def took(who: str | None) -> None:
            if who:
                self._seat(part, who)

        self.app.push_screen(SeatPicker(part), took)

    def _seat(self, part: Part, who: str) -> None:
        for slug in self.draft.seat(part.slug, who):
            changed = self.draft.part(slug)
            field = self.query_one(f"#part-{slug}", Field)
            field.fill(changed.sits, "I sit here myself" if changed.sits == ME else "")
            if not changed.sits:
                field.label = f"nobody; {one_line(changed.about)}"
        self.check()

    def action_leave_out(self) -> None:
        field = self.focused
        if isinstance(field, Field) and field.id:
            self._seat(self.draft.part(field.id.removeprefix("part-")), NOBODY)

    @on(Tick.Turned)
    def _tick(self, event: Tick.Turned) -> None:
        assert event.tick.id
        setattr(self.draft, event.tick.id, event.tick.value)

    @property
    def fields(self) -> Sequence[str]:
        return ("question", *(f"part-{part.slug}" for part in self.draft.parts), *self.EARLY)

    def pipeline(self) -> dict[str, Any] | None:
        return self.draft.pipeline() if self.draft.parts else None


class SeatPicker(ModelPicker):
    """Dismisses with PROVIDER/MODEL, ME, NOBODY, or None."""

    def __init__(self, part: Part) -> None:
        super().__init__(f"Who is the {one_line(part.name)}? It {one_line(part.about, 80)}.", part.sits or None)
        self._source = _who


def _who() -> Sequence[Choice]:
    return [
        *offered(),
        Choice(ME, "I sit here myself", "you are asked for each of its turns"),
        Choice(NOBODY, "nobody", "the loop does without"),
    ]


def _offered() -> tuple[list[dict[str, Any]], list[str]]:
    """(roles, the names of what is measured)."""
    from engine.runs import catalog

    return catalog.roles(), [item["name"] for item in catalog.measures()]
