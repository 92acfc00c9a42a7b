"""Two branches of a conversation over the whole screen: equal turns folded, differences by the word, their minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.record import family, minutes
from engine.record.minutes import Item
from engine.record.reader import Reader
from engine.record.runs import Run
from engine.record.turns import State, Turn
from engine.record.visible import one_line
from tui.keymap import Explains
from tui.state import shelf
from tui.state.compare import Fold, Pair, align, differing, folded, minutes_of
from tui.state.minutes import GLYPHS, TITLES
from tui.state.seats import of_spec
from tui.widgets import colours
from tui.widgets.columns import Block, Cell, Columns
from tui.widgets.heading import Heading, Ruling
from tui.widgets.picker import Choice, Picker


@dataclass(frozen=True, slots=True)
class Branch:
    """One side: the run, what was said in it, its minutes, the models of its seats."""

    run: Run
    turns: Sequence[Turn]
    items: Sequence[Item]
    models: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def read(cls, reader: Reader, run: Run) -> Branch:
        """Raises RecordError."""
        seats = of_spec(reader.spec(run))
        return cls(
            run,
            reader.turns(run),
            minutes.items(reader.db, run.n),
            tuple(dict.fromkeys(seat.speaker for seat in seats)),
            tuple(seat.name for seat in seats),
        )


class Compare(Explains, ModalScreen[tuple[str, int] | None]):
    """Dismisses with (run, turn) to open, or None."""

    NAME: ClassVar[str] = "Comparison"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "differ(1)", "next difference", id="compare.next"),
        Binding("left_square_bracket", "differ(-1)", "difference before", id="compare.previous"),
        Binding("o", "fold", "equal turns", id="compare.fold", tooltip="Unfold or fold the turns that are the same"),
        Binding("m", "minutes", "minutes", id="compare.minutes", tooltip="Compare the minutes, or the turns again"),
        Binding("enter", "open", "open the other", id="compare.open", tooltip="Open the branch on the right here"),
        Binding("escape,q,c", "dismiss", "back", id="compare.back"),
        Binding("j,down", "rows(1)", "Down", show=False, id="compare.down"),
        Binding("k,up", "rows(-1)", "Up", show=False, id="compare.up"),
        Binding("ctrl+d,pagedown,space", "rows(12)", "Page down", show=False, id="compare.page_down"),
        Binding("ctrl+u,pageup", "rows(-12)", "Page up", show=False, id="compare.page_up"),
        Binding("g,home", "edge(0)", "First", show=False, id="compare.first"),
        Binding("G,end", "edge(-1)", "Last", show=False, id="compare.last"),
        Binding("question_mark", "app.help", "help", show=False, id="app.help", tooltip="All keys of this place"),
    ]
    DEFAULT_CSS = """
    Compare { background: $background; align: left top; }
    Compare > Vertical { width: 100%; height: 100%; }
    Compare .compare--keys { height: 1; padding: 0 1; color: $text-muted; }
    """

    def __init__(self, left: Branch, right: Branch) -> None:
        super().__init__()
        self._sides = left, right
        self.pairs = align(left.turns, right.turns)
        self._unfolded = False
        self._minutes = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Heading(id="compare-title")
            yield Heading(id="compare-left")
            yield Heading(id="compare-right")
            yield Ruling()
            yield Columns()
            yield Static(
                "[ ] difference  o equal turns  m minutes  enter open the right  esc back  ? help",
                classes="compare--keys",
                markup=False,
            )

    def on_mount(self) -> None:
        self.columns = self.query_one(Columns)
        self.columns.focus()
        self._fill()

    def _fill(self) -> None:
        """Everything anew: the headings and the blocks, the first difference in view."""
        left, right = self._sides
        names = tuple(dict.fromkeys([*left.names, *right.names]))
        palette = colours.palette(self.app, names, *colours.ground(self))
        told = _entries_differ(left, right) if self._minutes else _places_differ(self.pairs)
        title = one_line(left.run.title) or left.run.id
        self.query_one("#compare-title", Heading).say(
            [(title, palette.you), ("  minutes" if self._minutes else "", palette.about)],
            [(told + " ", palette.about)],
            palette.said,
        )
        for name, branch in (("left", left), ("right", right)):
            run = branch.run
            stands = f"{shelf.glyph(run.status)} {shelf.word(run.status)}, {run.turns} turns"
            about = f"  {_origin(run)} · {one_line(', '.join(branch.models), 60)}"
            self.query_one(f"#compare-{name}", Heading).say(
                [(f"{'◧' if name == 'left' else '◨'} {run.id}", palette.you), (about, palette.about)],
                [(stands + " ", palette.about)],
                palette.said,
            )
        self.query_one(Ruling).paint(palette.chrome)
        blocks = list(self._of_minutes() if self._minutes else self._of_turns())
        first = next((n for n, block in enumerate(blocks) if block.differs), 0)
        self.columns.put(blocks, names, max(first - (not self._minutes and first > 0), 0))
        self.columns.cursor = first

    def _of_turns(self) -> Iterator[Block]:
        for found in folded(self.pairs):
            if isinstance(found, Pair):
                yield _pair(found)
            elif self._unfolded:
                yield from (_same(pair) for pair in found.pairs)
            else:
                yield _fold(found)

    def _of_minutes(self) -> Iterator[Block]:
        left, right = self._sides
        both, ones, others = minutes_of(left.items, right.items)
        if not (both or ones or others):
            yield Block(Cell(text="Neither branch has anything in its minutes.", faded=True))
        if both:
            yield Block(Cell(text=f"▸ {len(both)} entr{'ies' if len(both) != 1 else 'y'} in both", faded=True))
            if self._unfolded:
                yield from (Block(_entry(item, faded=True), place=item.seq, gap=False) for item in both)
                yield Block(Cell(), gap=False)
        for kind, title in TITLES.items():
            mine = [item for item in ones if item.kind == kind]
            theirs = [item for item in others if item.kind == kind]
            if mine or theirs:
                yield Block(Cell(label=title), gap=False)
            for n in range(max(len(mine), len(theirs))):
                pair = [found[n] if n < len(found) else None for found in (mine, theirs)]
                cells = [_entry(item) if item else Cell() for item in pair]
                place = next(item.seq for item in pair if item)
                yield Block(cells[0], cells[1], differs=True, place=place, gap=n + 1 == max(len(mine), len(theirs)))

    def why_off(self, action: str) -> str | None:
        if action == "differ" and not any(block.differs for block in self.columns.blocks):
            return "nothing differs"
        return None

    def action_differ(self, step: int) -> None:
        blocks, at = self.columns.blocks, self.columns.cursor + step
        while 0 <= at < len(blocks) and not blocks[at].differs:
            at += step
        if 0 <= at < len(blocks):
            self.columns.go_to(at)

    def action_fold(self) -> None:
        place = self._place()
        self._unfolded = not self._unfolded
        self._fill()
        blocks = self.columns.blocks
        self.columns.go_to(next((n for n, block in enumerate(blocks) if block.place >= place), len(blocks) - 1))

    def action_minutes(self) -> None:
        self._minutes = not self._minutes
        self._fill()

    def action_open(self) -> None:
        place = self._place()
        self.dismiss((self._sides[1].run.id, max(1, min(place, self._sides[1].run.turns))))

    def action_rows(self, rows: int) -> None:
        self.columns.scroll_rows(rows)

    def action_edge(self, index: int) -> None:
        self.columns.go_to(index % max(len(self.columns.blocks), 1))

    def _place(self) -> int:
        blocks = self.columns.blocks
        return blocks[self.columns.cursor].place if blocks else 0


class BranchPicker(Picker):
    """Dismisses with the id of the branch to compare with, or None."""

    def __init__(self, run: Run, others: Sequence[tuple[Run, int]]) -> None:
        """`others` come with the number of turns that they share with `run`."""
        choices = [Choice(other.id, f"{other.id}  {_origin(other)}", _about(other, shared)) for other, shared in others]
        super().__init__(f"Compare {run.id} with which branch?", choices)


def branches(reader: Reader, run: Run) -> list[tuple[Run, int]]:
    """The other runs that share an ancestor with this one, and how many turns each of them shares with it."""
    found = family.of_run(reader.db, run.n, reader.path)
    return [(other, family.shared(reader.db, run.n, other.n)) for other in found if other.n != run.n]


def _origin(run: Run) -> str:
    return f"forked from {run.parent} at turn {run.forked_at}" if run.parent else "the first of them"


def _about(run: Run, shared: int) -> str:
    return f"{shelf.word(run.status)}, {run.turns} turns, {shared} shared"


def _places_differ(pairs: Sequence[Pair]) -> str:
    count = differing(pairs)
    return f"{count} of {len(pairs)} places differ" if count else "nothing differs"


def _entries_differ(left: Branch, right: Branch) -> str:
    _, ones, others = minutes_of(left.items, right.items)
    return f"{len(ones)} only here, {len(others)} only there" if ones or others else "the same minutes"


def _pair(pair: Pair) -> Block:
    left, right = (_said(turn) if turn else Cell(label="–", faded=True) for turn in (pair.left, pair.right))
    return Block(left, right, differs=True, words=True, place=pair.seq)


def _said(turn: Turn) -> Cell:
    number = str(turn.seq) if turn.role == "turn" else "note"
    skipped = turn.state is State.SKIPPED
    text = "(skipped)" if skipped else turn.text or "(said nothing)"
    return Cell(f"{number}  {one_line(turn.seat)}", turn.seat, text, faded=skipped)


def _same(pair: Pair) -> Block:
    assert pair.left
    cell = _said(pair.left)
    return Block(Cell(cell.label, cell.name, cell.text, faded=True), place=pair.seq)


def _fold(fold: Fold) -> Block:
    first, last = fold.first, fold.last
    what = f"turn {first} is" if first == last else f"turns {first} to {last} are"
    return Block(Cell(text=f"▸ {what} the same in both", faded=True), place=first)


def _entry(item: Item, *, faded: bool = False) -> Cell:
    end = f" · closed in turn {item.closed}" if item.closed is not None else ""
    return Cell(text=f"{GLYPHS[item.kind]} {item.seq}  {one_line(item.text)}{end}", faded=faded)
