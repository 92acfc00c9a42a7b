"""What is written beside one conversation, as it is shown: minutes, asides, sources and measures.

All of it is read from the record at once and only when an event says that it has changed, never for words that stream.
Measures have no event of their own and may come a moment after their turn: they are looked for once a second until
the last turn has them, or nothing has come for a while.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.record import citations, metrics, minutes
from engine.record.citations import Source
from engine.record.events import Event, Kind
from engine.record.minutes import Aside, Item
from engine.record.reader import Reader
from tui.state import health
from tui.state.health import Measures, Series

CHANGES = frozenset(
    {
        Kind.MINUTES_TAKEN,
        Kind.ASIDE_GIVEN,
        Kind.SOURCES_CITED,
        Kind.MEASURE_CROSSED,
        Kind.TURN_FINISHED,
        Kind.TURN_SKIPPED,
        Kind.TURN_REPLACED,
    }
)
"""The events after which something else may stand beside the conversation."""
_LATE = 8.0
"""Seconds in which the measures of a turn are waited for."""
_LOOK = 1.0
TITLES = {"question": "open questions", "todo": "to do", "flag": "flags", "claim": "claims"}
GLYPHS = {"question": "?", "todo": "☐", "flag": "!", "claim": "·"}
_DONE = {"question": "answered", "todo": "done", "flag": "settled", "claim": "closed"}

RowKind = Literal["head", "item", "closed", "text", "aside", "source", "measure", "more", "blank", "hint"]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that the panel shows. `seq` is the turn that enter goes to, `source` what enter opens instead."""

    kind: RowKind
    text: str
    seq: int | None = None
    glyph: str = ""
    about: str = ""
    source: Source | None = None
    series: tuple[tuple[int, float], ...] = ()
    highest: float | None = None
    """The largest value that the series can have."""
    name: str = ""
    """What tells rows of the same place apart, so that the cursor stays on its row."""

    @property
    def acts(self) -> bool:
        """Whether enter does something here."""
        return self.seq is not None or self.source is not None or self.kind == "more"


class Minutes:
    """Of the run `run` (a row). Nothing is read before the first `refresh`."""

    def __init__(self, run: int, run_id: str, measures: Measures | None = None) -> None:
        self.run, self.run_id = run, run_id
        self.measures = measures or Measures()
        self.items: list[Item] = []
        self.asides: list[Aside] = []
        self.sources: dict[int, list[Source]] = {}
        """By the turn that was given them."""
        self.series: dict[str, Series] = {}
        self.version = 0
        """Grows whenever what is shown may differ."""
        self.reads = 0
        self._stale = True
        self._last = 0
        """The newest finished turn that an event told of."""
        self._waits = float("-inf")
        self._looked = float("-inf")

    def apply(self, event: Event) -> None:
        """Note whether this event changes what stands beside the conversation."""
        if event.run != self.run_id or event.kind not in CHANGES:
            return
        self._stale = True
        if event.kind == Kind.TURN_FINISHED:
            self._last = int(event.data.get("seq") or 0)

    def refresh(self, reader: Reader, now: float) -> bool:
        """Read again where that is due; `now` is monotonic seconds. True when something is new."""
        if self._stale:
            self._waits = now + _LATE
        elif not (self._late() and now < self._waits and now - self._looked >= _LOOK):
            return False
        whole, self._stale, self._looked = self._stale, False, now
        self.reads += 1
        series = metrics.of_turns(reader.db, self.run)
        if not whole and series == self.series:
            return False
        self.series = series
        if whole:
            self.items = minutes.items(reader.db, self.run)
            self.asides = minutes.asides(reader.db, self.run)
            self.sources = {}
            for seq, source in citations.of_run(reader.db, self.run):
                self.sources.setdefault(seq, []).append(source)
        self.version += 1
        return True

    def _late(self) -> bool:
        newest = max((points[-1][0] for points in self.series.values() if points), default=0)
        return 0 < newest < self._last

    def reset(self) -> None:
        """Read everything again: events may have been missed."""
        self._stale = True

    def learn(self, measures: Measures) -> None:
        """How measures are called and what they count."""
        self.measures = measures
        self.version += 1

    @property
    def empty(self) -> bool:
        return not (self.items or self.asides or self.sources or self.series)

    @property
    def open(self) -> int:
        """Questions, to-dos and flags that nothing has closed."""
        return sum(item.open for item in self.items)

    @property
    def cited(self) -> frozenset[int]:
        """The numbers that mean a source in this conversation."""
        return frozenset(source.number for found in self.sources.values() for source in found)

    def source(self, number: int) -> Source | None:
        """What `[number]` means."""
        return next((item for found in self.sources.values() for item in found if item.number == number), None)

    def standing(self, seq: int | None) -> list[Item]:
        """The items as they stood after the turn `seq`: raised until then, closed until then. All of them for None."""
        if seq is None:
            return self.items
        return [
            item if item.closed is None or item.closed <= seq else _reopened(item)
            for item in self.items
            if item.seq <= seq
        ]


def rows(beside: Minutes, *, turn: int | None = None, upto: int | None = None, unfolded: bool = False) -> list[Row]:
    """The panel: the chosen `turn` first, where there is one; health; the rest as it stood at `upto`."""
    found: list[Row] = []
    course = list(_course(beside, turn, upto))
    health_rows = [Row("head", "health"), *course, Row("blank", "")] if course else []
    if turn is not None:
        found += [*_of_turn(beside, turn), Row("blank", "")]
    found += health_rows
    if turn is not None and any(item.seq <= turn for item in beside.items):
        found += [Row("hint", f"as it stood after turn {turn}"), Row("blank", "")]
    items = beside.standing(upto)
    found += _open_items(items)
    closed = [item for item in items if item.closed is not None]
    if closed:
        found.append(Row("more", f"{'▾' if unfolded else '▸'} {len(closed)} closed", name="closed"))
        if unfolded:
            found += [_closed(item) for item in closed]
        found.append(Row("blank", ""))
    for last in _newest_asides(beside, turn, upto):
        found.append(Row("head", last.seat, about=f"after turn {last.seq}"))
        found += [Row("text", _with_score(last), seq=last.seq, name=f"aside {last.n}"), Row("blank", "")]
    while found and found[-1].kind == "blank":
        found.pop()
    return found or [
        Row("hint", "Nothing is in the minutes yet."),
        Row("blank", ""),
        Row("hint", "Claims, open questions, to-dos and flags come here as the Scriber writes them down; so do sources"
                    " and the health of the talk."),
    ]  # fmt: skip


def _open_items(items: Sequence[Item]) -> Iterator[Row]:
    for kind in ("question", "todo", "flag", "claim"):
        here = [item for item in items if item.kind == kind and item.closed is None]
        if here:
            yield Row("head", TITLES[kind], about=str(len(here)))
            for item in here:
                yield Row("item", item.text, item.seq, GLYPHS[kind], name=f"item {item.n}")
            yield Row("blank", "")


def _closed(item: Item) -> Row:
    return Row(
        "closed", item.text, item.seq, GLYPHS[item.kind], about=f"{_DONE[item.kind]} in {item.closed}",
        name=f"closed {item.n}",
    )  # fmt: skip


def _of_turn(beside: Minutes, seq: int) -> Iterator[Row]:
    """What stands beside one turn: raised and closed by it, its sources, what was said about it, its measures."""
    yield Row("head", f"turn {seq}")
    here = [item for item in beside.items if item.seq == seq]
    for item in here:
        yield Row("item", item.text, item.seq, GLYPHS[item.kind], name=f"raised {item.n}")
    for item in beside.items:
        if item.closed == seq:
            yield Row("closed", item.text, item.seq, "✓", about=f"raised in {item.seq}", name=f"ended {item.n}")
    sources = beside.sources.get(seq, ())
    for source in sources:
        yield Row("source", source.title or source.source, None, f"[{source.number}]", about=source.place,
                  source=source, name=f"source {source.number}")  # fmt: skip
    asides = [item for item in beside.asides if item.seq == seq and item.text]
    for aside in asides:
        yield Row("aside", _with_score(aside), None, aside.seat, name=f"said {aside.n}")
    if not (here or sources or asides or any(item.closed == seq for item in beside.items)):
        yield Row("hint", "nothing is noted beside it")


def _newest_asides(beside: Minutes, turn: int | None, upto: int | None) -> list[Aside]:
    """The newest of each seat, but those that stand beside the chosen turn already."""
    newest: dict[str, Aside] = {}
    for item in beside.asides:
        if item.text and (upto is None or item.seq <= upto):
            newest[item.seat] = item
    return [item for item in newest.values() if item.seq != turn]


def _with_score(aside: Aside) -> str:
    return aside.text if aside.value is None else f"scores {aside.value:.3g} · {aside.text}"


def _course(beside: Minutes, turn: int | None, upto: int | None) -> Iterator[Row]:
    """The course of each measure: all of it beside a chosen turn, whose value it tells, else up to a turn."""
    for name in beside.measures.in_order(beside.series):
        series = beside.series[name] if turn is not None else health.upto(beside.series[name], upto)
        if series:
            figure = health.figure(health.value(series, turn))
            highest, label = beside.measures.highest(name), beside.measures.label(name)
            yield Row("measure", label, None, "", figure, None, tuple(series), highest, f"measure {name}")


def _reopened(item: Item) -> Item:
    return Item(item.n, item.kind, item.text, item.seq, item.seat, item.quote)
