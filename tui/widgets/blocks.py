"""One entry of a conversation as rows of cells: wrapped when needed, drawn when seen, kept until it changes.

Text goes through `visible` before anything else and becomes segments, never markup.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from engine.record.turns import State
from engine.record.visible import one_line, visible
from tui.state import figures
from tui.state.entries import Entry
from tui.widgets.look import Look
from tui.widgets.wrapping import Span, grow, wrap

SHOWN = 8000
"""Characters of one message that a transcript shows; the rest is one key away."""
_SLIDE = 4000
"""A live message beyond that shows its end, which moves on in steps of this size."""


_SOURCE = re.compile(r"\[(\d{1,4})\]")
_LINK = Style(underline=True)
_CUT = {"say": "somebody spoke", "crash": "the host died"}


class _Row(NamedTuple):
    kind: str
    text: str = ""
    span: Span = (0, 0)


class Block:
    """The rows of one entry. `unfolded` shows its thinking."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.unfolded = False
        self._look: Look | None = None
        self._version = -1
        self._state: tuple[State, bool] | None = None
        self._open = False
        self._skipped = 0
        self._taken = 0
        self._thought_of = 0
        self._text = ""
        self._spans: list[Span] = []
        self._thought = ""
        self._thoughts: list[Span] = []
        self._rows: list[_Row] = []
        self._strips: dict[tuple[int, bool], Strip] = {}

    def height(self, look: Look) -> int:
        self._lay_out(look)
        return len(self._rows)

    def row_of(self, needle: re.Pattern[str], look: Look) -> int | None:
        """The first row in which a hit begins."""
        self._lay_out(look)
        hit = needle.search(self._text)
        if hit is None:
            return None
        rows = (n for n, row in enumerate(self._rows) if row.kind == "text" and row.span[1] > hit.start())
        return next(rows, None)

    def strip(self, row: int, look: Look, here: bool, spin: str) -> Strip:
        """One row, `look.width` cells; `here` marks the chosen message, `spin` is the cell that moves."""
        self._lay_out(look)
        wanted = self._rows[row]
        if wanted.kind == "wait":
            return self._turn_row(wanted, look, row == 0, here, spin)
        found = self._strips.get((row, here))
        if found is None:
            draw = self._turn_row if self.entry.kind == "turn" else self._aside
            found = self._strips[row, here] = draw(wanted, look, row == 0, here, spin)
        return found

    def _lay_out(self, look: Look) -> None:
        entry = self.entry
        opened = self.unfolded or look.thinking
        state = (entry.state, entry.still)
        same = look is self._look and opened == self._open and state == self._state
        if same and entry.version == self._version:
            return
        grows = same and entry.live and self._take_more(look)
        keep = len(self._rows) - 2 if grows and self._thought_of == len(entry.thinking) else 0
        self._thought_of = len(entry.thinking)
        self._look, self._version, self._open, self._state = look, entry.version, opened, state
        if not grows:
            self._take_all(look)
        self._rows = self._compose(look)
        self._strips = {key: strip for key, strip in self._strips.items() if key[0] < keep} if grows else {}

    def _take_more(self, look: Look) -> bool:
        """Add what has come to a live message; False when it must be laid out anew."""
        entry = self.entry
        said, thought = entry.text, entry.thinking
        if len(said) - self._skipped > SHOWN + _SLIDE or (self._open and len(thought) != len(self._thought)):
            return False
        if len(said) > self._taken:
            self._text += visible(said[self._taken :])
            self._taken = len(said)
            grow(self._text, look.text_width, self._spans)
        return True

    def _take_all(self, look: Look) -> None:
        entry = self.entry
        said = entry.text if entry.live else entry.text.rstrip()
        self._skipped = max(0, (len(said) - SHOWN) // _SLIDE * _SLIDE) if entry.live else 0
        self._taken = len(said)
        shown = said[self._skipped :] if entry.live else said[:SHOWN]
        if entry.state is State.REPLACED:
            shown = one_line(shown, max(look.text_width - 2, 20))
        self._text = visible(shown)
        width = look.text_width if entry.kind == "turn" else look.note_width
        lead = self._lead()
        self._text = lead + self._text + (" ──" if entry.kind != "turn" else "")
        self._spans = wrap(self._text, width) if self._text else []
        self._thought = visible(entry.thinking[:SHOWN]) if self._open else ""
        self._thoughts = wrap(self._thought.rstrip(), look.text_width - 2) if self._thought else []

    def _lead(self) -> str:
        entry = self.entry
        if entry.kind == "turn":
            return ""
        if entry.kind == "mark":
            return "── "
        when = "queued" if entry.state is State.QUEUED else figures.clock(entry.at)
        return f"── {one_line(entry.seat)}, {when}: "

    def _compose(self, look: Look) -> list[_Row]:
        entry = self.entry
        rows: list[_Row] = []
        if look.stacked and entry.kind == "turn":
            rows.append(_Row("name", f"{entry.seat} {entry.seq}"))
        if entry.thinking and entry.state is not State.REPLACED:
            rows.append(_Row("about", f"{'▾' if self._open else '▸'} {_characters(entry.thinking)} of thinking"))
            rows += [_Row("thought", span=span) for span in self._thoughts]
        if self._skipped:
            rows.append(_Row("about", f"… {_characters(entry.text[: self._skipped])} before this; enter opens them"))
        rows += [_Row("text", span=span) for span in self._spans]
        if entry.live and not entry.text and not entry.still:
            rows.append(_Row("wait"))
        hidden = 0 if entry.live or entry.state is State.REPLACED else max(0, len(entry.text.rstrip()) - SHOWN)
        if hidden:
            rows.append(_Row("about", f"… {figures.count(hidden)} more characters; enter opens the message"))
        if label := _label(entry):
            rows.append(_Row("label", label))
        return rows or [_Row("about", "said nothing")]

    def _turn_row(self, row: _Row, look: Look, first: bool, here: bool, spin: str) -> Strip:
        entry, palette = self.entry, look.palette
        accent = palette.accent(entry.seat)
        faded = entry.state not in (State.FINISHED, State.LIVE)
        base = palette.chrome if faded else palette.said
        marker, left, right = look.margins(visible(entry.seat), entry.seq, first, here)
        parts: list[Segment] = []
        if row.kind == "text":
            parts = self._marked(row.span, base, look, here)
            if entry.live and not entry.still and row is self._rows[-1]:
                parts.append(Segment("▌", accent))
        elif row.kind == "thought":
            start, end = row.span
            parts = [Segment("  " + self._thought[start:end], palette.about + Style(italic=True))]
        elif row.kind == "wait":
            parts = [Segment(spin + " ", accent), Segment(_awaited(entry), palette.about)]
        elif row.kind == "name":
            parts = [Segment(set_cell_size(visible(row.text), look.text_width), accent)]
        else:
            parts = [Segment(row.text, palette.chrome if row.kind == "label" else palette.about)]
        used = sum(cell_len(part.text) for part in parts)
        space = look.width - cell_len(marker) - cell_len(left) - cell_len(right)
        head = palette.chrome if faded else accent
        return Strip(
            [
                Segment(marker, accent),
                Segment(left, head),
                *parts,
                Segment(" " * max(space - used, 0), palette.said),
                Segment(right, head),
            ]
        ).adjust_cell_length(look.width, palette.said)

    def _aside(self, row: _Row, look: Look, first: bool, here: bool, spin: str) -> Strip:
        """A note or a mark: centred, between dashes."""
        palette, note = look.palette, self.entry.kind == "note"
        queued = self.entry.state is State.QUEUED
        base = palette.chrome if not note else palette.about if queued else palette.you
        parts = self._marked(row.span, base, look, here) if row.kind == "text" else [Segment(row.text, palette.about)]
        left = max((look.width - sum(cell_len(part.text) for part in parts)) // 2, 2)
        marker = ("▸ " if first else "│ ") if here else "  "
        pad = Segment(" " * (left - 2), palette.said)
        return Strip([Segment(marker, palette.you), pad, *parts]).adjust_cell_length(look.width, palette.said)

    def _marked(self, span: Span, base: Style, look: Look, here: bool) -> list[Segment]:
        """A row of the text, hits of the search standing out, else the sources that it names."""
        start, end = span
        if look.needle is None:
            return self._cited(span, base, look) if look.cited else [Segment(self._text[start:end], base)]
        parts: list[Segment] = []
        at, style = start, look.palette.hit_here if here else look.palette.hit
        for hit in look.needle.finditer(self._text):
            low, high = max(hit.start(), at), min(hit.end(), end)
            if hit.start() >= end:
                break
            if high <= low:
                continue
            parts.append(Segment(self._text[at:low], base))
            parts.append(Segment(self._text[low:high], style))
            at = high
        parts.append(Segment(self._text[at:end], base))
        return [part for part in parts if part.text]

    def _cited(self, span: Span, base: Style, look: Look) -> list[Segment]:
        start, end = span
        parts: list[Segment] = []
        at = start
        for mark in _SOURCE.finditer(self._text, start, end):
            if int(mark[1]) in look.cited:
                parts.append(Segment(self._text[at : mark.start()], base))
                parts.append(Segment(mark[0], base + look.palette.you + _LINK))
                at = mark.end()
        parts.append(Segment(self._text[at:end], base))
        return [part for part in parts if part.text]


def _characters(text: str) -> str:
    return f"{figures.count(len(text))} character{'' if len(text) == 1 else 's'}"


def _awaited(entry: Entry) -> str:
    if entry.thinking:
        return "thinks"
    if entry.progress and entry.progress[1]:
        done, total = entry.progress
        return f"reads {figures.count(done)} of {figures.count(total)} tokens"
    return "is asked"


def _label(entry: Entry) -> str:
    if entry.live and entry.still:
        return "cut off: the host died; kept for when the run goes on"
    if entry.state is State.PARTIAL:
        why = _CUT.get(entry.stop or "", one_line((entry.stop or "").replace("_", " "), 40))
        times = f" {entry.times} times" if entry.times > 1 else ""
        return f"cut off{times}{': ' + why if why else ''}; kept, no part of the talk"
    if entry.state is State.REPLACED:
        return "replaced; kept, no part of the talk"
    if entry.state is State.SKIPPED:
        return "skipped"
    return ""
