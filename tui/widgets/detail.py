"""One message in full: its text and thinking to the last character, who said it with what, how long, at what cost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from engine.record import content
from engine.record.calls import Call
from engine.record.reader import Reader
from engine.record.visible import one_line, visible
from tui.state import figures
from tui.state.conversation import Conversation
from tui.state.entries import Entry
from tui.widgets import colours
from tui.widgets.viewport import Viewport
from tui.widgets.wrapping import Span, wrap

_PIECE = 4000
"""Characters that are wrapped at once."""
_RECENT = 400
"""Rows that are looked through for the one of a turn that was followed live."""


class Pages(Widget, can_focus=True):
    """A long text, wrapped piece by piece as it comes into view."""

    DEFAULT_CSS = "Pages { height: 1fr; width: 1fr; }"

    def __init__(self, sections: list[tuple[str, str]]) -> None:
        """`sections` are (style, text), style being `said`, `about` or `head`."""
        super().__init__()
        self._pieces = _cut(sections)
        self._rows: dict[int, list[Span]] = {}
        self._port = Viewport(lambda n: len(self._wrapped(n)), lambda: len(self._pieces))
        self._port.follow = False

    def put(self, sections: list[tuple[str, str]]) -> None:
        """Show another text, from its beginning."""
        self._pieces = _cut(sections)
        self._rows.clear()
        self.home()

    def scroll_rows(self, rows: int) -> None:
        self._port.scroll(rows)
        self.refresh()

    def home(self) -> None:
        self._port.home()
        self.refresh()

    def bottom(self) -> None:
        self._port.end()
        self.refresh()

    def on_resize(self) -> None:
        self._rows.clear()
        self._port.rows = max(self.size.height, 1)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if y == 0 or not hasattr(self, "_lines"):
            self._lines = self._port.lines()
            background, foreground = colours.ground(self)
            palette = colours.palette(self.app, [], background, foreground)
            self._styles = {"said": palette.said, "about": palette.about, "head": palette.you}
        if y >= len(self._lines):
            return Strip.blank(self.size.width, self._styles["said"])
        piece, row = self._lines[y]
        name, text = self._pieces[piece]
        start, end = self._wrapped(piece)[row]
        style = self._styles[name]
        return Strip([Segment(text[start:end], style)]).adjust_cell_length(self.size.width, style)

    def _wrapped(self, piece: int) -> list[Span]:
        if piece not in self._rows:
            self._rows[piece] = wrap(self._pieces[piece][1], max(self.size.width - 1, 2))
        return self._rows[piece]


class MessageDetail(ModalScreen[None]):
    """A message over the whole screen. `j` `k` scroll, esc goes back, `y` copies it."""

    NAME: ClassVar[str] = "Details"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "back", id="detail.back"),
        Binding("y", "copy", "copy", id="detail.copy"),
        Binding("j,down", "rows(1)", "Down", show=False, id="detail.down"),
        Binding("k,up", "rows(-1)", "Up", show=False, id="detail.up"),
        Binding("ctrl+d,pagedown,space", "rows(12)", "Page down", show=False, id="detail.page_down"),
        Binding("ctrl+u,pageup", "rows(-12)", "Page up", show=False, id="detail.page_up"),
        Binding("g,home", "top", "First", show=False, id="detail.first"),
        Binding("G,end", "bottom", "Last", show=False, id="detail.last"),
        Binding("question_mark", "app.help", "help", show=False, id="app.help", tooltip="All keys of this place"),
    ]
    DEFAULT_CSS = """
    MessageDetail { align: center middle; }
    MessageDetail > Vertical { width: 92%; max-width: 120; height: 90%; padding: 1 2; background: $surface; }
    MessageDetail .detail--keys { height: 1; color: $text-muted; }
    """

    def __init__(self, entry: Entry, calls: list[tuple[Call, dict[str, Any]]]) -> None:
        """`calls` come with the options that each sent."""
        super().__init__()
        self._entry, self._calls = entry, calls

    @classmethod
    def read(cls, reader: Reader, view: Conversation, entry: Entry) -> MessageDetail:
        """The detail of an entry with every call that was made for it."""
        rows = reader.turns(view.run, limit=_RECENT)
        found = entry.row or next((row.n for row in rows if (row.seq, row.started) == (entry.seq, entry.at)), None)
        return cls(entry, [(call, _options(reader, call)) for call in reader.calls(found)] if found else [])

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Pages(list(_sections(self._entry, self._calls)))
            yield Static("j k scroll   y copy   esc back   ? help", classes="detail--keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(Pages).focus()

    def action_rows(self, rows: int) -> None:
        self.query_one(Pages).scroll_rows(rows)

    def action_top(self) -> None:
        self.query_one(Pages).home()

    def action_bottom(self) -> None:
        self.query_one(Pages).bottom()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(visible(self._entry.text))
        self.notify(f"copied {len(self._entry.text):,} characters", timeout=3, markup=False)


def _options(reader: Reader, call: Call) -> dict[str, Any]:
    row = call.request.get("options")
    sent: dict[str, Any] = json.loads(content.body(reader.db, row)) if isinstance(row, int) else {}
    return sent | ({"seed": call.request["seed"]} if "seed" in call.request else {})


def _sections(entry: Entry, calls: list[tuple[Call, dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    who = one_line(entry.seat)
    yield "head", f"Turn {entry.seq} · {who}" if entry.kind == "turn" else f"Note · {who}"
    yield "about", "\n".join(_facts(entry)) + "\n"
    yield "said", entry.text or "(said nothing)"
    if entry.thinking:
        yield "head", f"\nThinking, {figures.count(len(entry.thinking))} characters"
        yield "about", entry.thinking
    for call, options in calls:
        yield "head", f"\nCall {call.attempt} · {one_line(call.purpose)} · {one_line(call.model)}"
        yield "about", "\n".join(_of_call(call, options))


def _facts(entry: Entry) -> Iterator[str]:
    yield f"{'persona':<10}{one_line(entry.persona or '')}" if entry.persona else f"{'state':<10}{entry.state}"
    if entry.model:
        yield f"{'model':<10}{one_line(entry.model)}"
    if entry.persona:
        yield f"{'state':<10}{entry.state}{': ' + one_line(entry.stop) if entry.stop else ''}"
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
    took = f", {entry.ended - entry.at:.3g} s" if entry.ended else ""
    first = f", first word after {entry.first - entry.at:.3g} s" if entry.first else ""
    yield f"{'time':<10}{began}{first}{took and took + ' in all'}"
    if entry.tokens_out is not None:
        rate = f", {figures.count(entry.rate)} tok/s" if entry.rate else ""
        yield f"{'tokens':<10}{entry.tokens_in} read, {entry.tokens_out} said{rate}"
        yield f"{'cost':<10}{'unknown' if entry.cost is None else figures.money(entry.cost)}"


def _of_call(call: Call, options: dict[str, Any]) -> Iterator[str]:
    if call.error:
        yield f"error     {one_line(call.error)}"
    if call.stop:
        yield f"stop      {one_line(call.stop)}"
    for name, value in (("thinking", call.thinking), ("cached", call.cached)):
        if value:
            yield f"{name:<10}{value} tokens"
    sent = (f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in options.items() if value is not None)
    yield f"options   {one_line(' · '.join(sent)) or 'none of its own'}"
    keep, drop = call.request.get("cut") or (0, 0)
    if drop:
        yield f"left out  {drop} messages{f' after the first {keep}' if keep else ''}"


def _cut(sections: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(style, piece) for style, text in sections for piece in _pieces(visible(text))]


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces that end at a line's end or a space where there is one."""
    start = 0
    while start < len(text) or start == 0:
        end = start + _PIECE
        if end < len(text):
            line = text.rfind("\n", start + 1, end)
            cut = line if line > 0 else text.rfind(" ", start + 1, end)
            end = cut if cut > start else end
        yield text[start:end]
        start = end + (text[end : end + 1] in ("\n", " ") and end < len(text))
        if start >= len(text):
            return
