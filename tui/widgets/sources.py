"""What `[3]` means: the sources of a conversation, each with the text as it was given, even when it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.record.citations import Source
from engine.record.visible import one_line, visible
from tui.state.health import figure
from tui.widgets.detail import Pages


class Sources(ModalScreen[int | None]):
    """Lists (turn, source); dismisses with the turn to go to, or None."""

    NAME: ClassVar[str] = "Sources"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", id="sources.back"),
        Binding("enter", "turn", "its turn", id="sources.turn", tooltip="Go to the turn that was given it"),
        Binding("y", "copy", "copy", id="sources.copy", tooltip="Copy the text of the source"),
        Binding("j,down", "move(1)", "Down", show=False, id="sources.down", priority=True),
        Binding("k,up", "move(-1)", "Up", show=False, id="sources.up", priority=True),
        Binding("ctrl+d,pagedown,space", "rows(8)", "Page down", show=False, id="sources.page_down", priority=True),
        Binding("ctrl+u,pageup", "rows(-8)", "Page up", show=False, id="sources.page_up", priority=True),
        Binding("question_mark", "app.help", "help", show=False, id="app.help", tooltip="All keys of this place"),
    ]
    DEFAULT_CSS = """
    Sources { align: center middle; }
    Sources > Vertical { width: 92%; max-width: 120; height: 90%; padding: 1 2; background: $surface; }
    Sources OptionList {
        height: auto; max-height: 30%; background: transparent; border: none; padding: 0; margin-bottom: 1;
        scrollbar-size-vertical: 1;
    }
    Sources OptionList > .option-list--option { padding: 0 1; }
    Sources .sources--title { height: 1; text-style: bold; }
    Sources .sources--keys { height: 1; color: $text-muted; }
    """

    def __init__(self, title: str, found: Sequence[tuple[int, Source]], at: Source | None = None) -> None:
        """`at` is the one that is open first."""
        super().__init__()
        self._title = title
        self._found = list(found)
        self._at = next((n for n, (_, source) in enumerate(self._found) if source == at), 0)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._title, classes="sources--title", markup=False)
            yield OptionList(*(Option(_line(seq, source)) for seq, source in self._found), compact=True, markup=False)
            yield Pages(_sections(*self._found[self._at]))
            keys = "j k choose   space scroll   enter its turn   y copy   esc back   ? help"
            yield Static(keys, classes="sources--keys")

    def on_mount(self) -> None:
        listing = self.query_one(OptionList)
        listing.can_focus = False
        listing.highlighted = self._at
        self.query_one(Pages).focus()

    @on(OptionList.OptionHighlighted)
    def _choose(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index != self._at:
            self._at = event.option_index
            self.query_one(Pages).put(_sections(*self._found[self._at]))

    def action_move(self, step: int) -> None:
        listing = self.query_one(OptionList)
        listing.highlighted = max(0, min(self._at + step, len(self._found) - 1))

    def action_rows(self, rows: int) -> None:
        self.query_one(Pages).scroll_rows(rows)

    def action_turn(self) -> None:
        self.dismiss(self._found[self._at][0])

    def action_copy(self) -> None:
        text = self._found[self._at][1].text
        self.app.copy_to_clipboard(visible(text))
        self.notify(f"copied {len(text):,} characters", timeout=3, markup=False)


def _line(seq: int, source: Source) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"[{source.number}] ", style="bold")
    text.append(one_line(source.title) or one_line(source.source))
    text.append(f"  {one_line(source.place, 60)} · given to turn {seq}", style="dim")
    return text


def _sections(seq: int, source: Source) -> list[tuple[str, str]]:
    facts = [("from", source.source), ("place", source.place), ("found by", f"{source.how}, {figure(source.score)}")]
    told = "\n".join(f"{name:<10}{one_line(text)}" for name, text in facts if text)
    head = f"[{source.number}] {one_line(source.title)}"
    return [("head", head), ("about", f"{told}\n{'given to':<10}turn {seq}\n"), ("said", source.text or "(empty)")]
