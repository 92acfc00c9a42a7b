"""The card above the composer: what a run asks of you, one question at a time, answered by a letter.

Letters act only while the composer is empty, half a second after the card came and after the last key typed there:
whoever is typing never answers by accident. `tab` leaves the card and comes back to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from engine.record.asks import Ask
from engine.record.visible import one_line, visible
from tui.widgets import colours
from tui.widgets.wrapping import wrap

GRACE = 0.5
"""Seconds after which letters act."""
_ROWS = 3
"""Rows that a question may take."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to answer: the letter, the value, the words beside the letter."""

    key: str
    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Question:
    """A card. `number` is the ask's, None for the app's own questions, whose answer `then` takes."""

    text: str
    choices: tuple[Choice, ...]
    number: int | None = None
    kind: str = "choose"
    subject: str | None = None
    then: Callable[[str], object] | None = None

    @property
    def typed(self) -> bool:
        """Whether the composer answers it."""
        return self.kind in ("text", "edit")


def of_ask(ask: Ask) -> Question:
    """The card of a run's ask. `approve` without options offers yes and no."""
    choices = tuple(Choice(item.key, item.value, item.label) for item in ask.options)
    if ask.kind == "approve" and not choices:
        choices = (Choice("y", "yes", "yes"), Choice("n", "no", "no"))
    return Question(ask.question, choices, ask.n, ask.kind, ask.subject)


class AskCard(Widget):
    """Shows the first of its questions; hidden while there is none."""

    DEFAULT_CSS = "AskCard { height: auto; width: 1fr; padding: 0 1; display: none; }"

    class Answered(Message):
        def __init__(self, question: Question, value: str) -> None:
            super().__init__()
            self.question, self.value = question, value

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        super().__init__()
        self._now = now
        self._own: Question | None = None
        self._asked: list[Question] = []
        self._since = 0.0
        self.attended = True
        """False after `tab` left it."""

    @property
    def question(self) -> Question | None:
        return self._own or (self._asked[0] if self._asked else None)

    def show(self, asks: Sequence[Ask]) -> bool:
        """Show the open asks of a run; True when the card changed."""
        asked = [of_ask(ask) for ask in asks]
        if asked == self._asked:
            return False
        before = self.question
        self._asked = asked
        self._changed(before)
        return True

    def put(self, question: Question | None) -> None:
        """Show a question of the app's own before all others, or take it away."""
        before = self.question
        self._own = question
        self._changed(before)

    def armed(self, typed: float) -> bool:
        """Whether letters answer now, the last key having been typed in the composer at `typed`."""
        question = self.question
        return bool(
            question
            and question.choices
            and self.attended
            and self._now() - self._since >= GRACE
            and self._now() - typed >= GRACE
        )

    def letters(self, typed: float) -> list[tuple[str, str, str]]:
        """(key, label, action) of each answer that a key gives now; see `armed`."""
        question = self.question
        if question is None or not self.armed(typed):
            return []
        found = [
            (visible(item.key), one_line(item.label, 40), f"choose({number})")
            for number, item in enumerate(question.choices)
        ]
        return [*found, ("escape", "leave it", "leave")] if question is self._own else found

    def action_choose(self, number: int) -> None:
        """Answer with one of the choices, as its letter does."""
        question = self.question
        if question and number < len(question.choices):
            self._give(question, question.choices[number])

    def action_leave(self) -> None:
        if self._own:
            self.put(None)

    def take(self, event: events.Key, typed: float) -> bool:
        """Answer with a key, if it is one of the card's letters; True when it was."""
        question = self.question
        if question is None or not self.armed(typed):
            return False
        if question is self._own and event.key == "escape":
            self.put(None)
            return True
        choice = next((item for item in question.choices if item.key == event.character), None)
        if choice is None:
            return False
        self._give(question, choice)
        return True

    def _give(self, question: Question, choice: Choice) -> None:
        if question is self._own:
            self.put(None)
        self.post_message(self.Answered(question, choice.value))

    def attend(self, attended: bool) -> None:
        if attended != self.attended:
            self.attended = attended
            self.refresh()

    def _changed(self, before: Question | None) -> None:
        if self.question != before:
            self._since = self._now()
            self.attended = True
        self.display = self.question is not None
        self.refresh(layout=True)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self._lines(width))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        lines = self._lines(width)
        if y >= len(lines):
            return Strip.blank(width, Style())
        background, foreground = colours.ground(self)
        return Strip(lines[y]).adjust_cell_length(width, colours.palette(self.app, [], background, foreground).said)

    def _lines(self, width: int) -> list[list[Segment]]:
        """The question, its keys on the same row where they fit, and how many wait."""
        question = self.question
        if question is None or width < 4:
            return []
        background, foreground = colours.ground(self)
        palette = colours.palette(self.app, [], background, foreground)
        keys = self._keys(question)
        keys_width = sum(cell_len(key) + 1 + cell_len(label) + 2 for key, label in keys)
        count = f"(1 of {len(self._asked) + (self._own is not None)})" if len(self._asked) + bool(self._own) > 1 else ""
        text = one_line(question.text)
        rows = wrap(text, max(width - 2, 4))
        lines: list[list[Segment]] = []
        for number, (start, end) in enumerate(rows[:_ROWS]):
            cut = "…" if number == _ROWS - 1 and len(rows) > _ROWS else ""
            mark = Segment("◐ " if number == 0 else "  ", palette.you)
            lines.append([mark, Segment(text[start:end] + cut, palette.you)])
        used = sum(cell_len(part.text) for part in lines[-1])
        if len(lines) > 1 or used + 3 + keys_width + len(count) > width:
            lines.append([Segment("  ", palette.said)])
            used = -1
        key_style, label_style = (palette.you, palette.about) if self.attended else (palette.chrome, palette.chrome)
        lines[-1].append(Segment(" " * (3 if used > 0 else 0), palette.said))
        for key, label in keys:
            lines[-1] += [Segment(key, key_style), Segment(f" {label}  ", label_style)]
        if count:
            used = sum(cell_len(part.text) for part in lines[-1])
            lines[-1] += [
                Segment(" " * max(width - used - len(count), 1), palette.said),
                Segment(count, palette.chrome),
            ]
        return lines

    def _keys(self, question: Question) -> list[tuple[str, str]]:
        if question.typed:
            return [("i", "answer in words")]
        keys = [(visible(choice.key), one_line(choice.label, 40)) for choice in question.choices]
        return keys if self.attended else [*keys, ("tab", "back to the card")]
