"""A series row by row: its family tree, how an answer was selected in each generation, what it was compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import nan
from typing import Literal

from engine.record import verdicts
from engine.record.lineage import Candidate, Child
from engine.record.runs import Status
from engine.record.visible import one_line
from tui.state import figures, shelf
from tui.state.lineage import Tree, many

BEST = 3
"""Answers of a run that are shown while the rest is folded."""
_WORDS = 200
_QUOTED = 240
"""Characters of the selected answer."""
GLOSSARY = [
    ("distance", "how far an answer is from the one that the generation began with: 1 less the share of three-word"
                 " groups that both have; 0 is the same words"),
    ("headings", "how many of the three headings of the plan format it has"),
    ("steps", "numbered lines"),
    ("bullets", "lines that begin with a bullet"),
    ("metric lines", "lines with a word for something that can be measured, such as rate or error"),
    ("number lines", "lines with a number, that of a numbered step aside"),
    ("form", "one figure from 0 to 1, made of these counts; it tells how an answer is laid out, not how good it is"),
    ("95 % interval", "where the share of pairs lies for which the judge prefers one side, but for one time in twenty"),
]  # fmt: skip
"""What the words of the tree mean."""

RowKind = Literal[
    "seed", "child", "answer", "picked", "quote", "note", "text", "head", "measure", "more", "blank", "need"
]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of the tree: `lead` are the lines before its first row, `rest` those before its further ones."""

    kind: RowKind
    text: str
    lead: str = ""
    rest: str = ""
    glyph: str = ""
    about: str = ""
    run: str | None = None
    """What enter opens, at the turn `seq` where there is one."""
    seq: int | None = None
    series: tuple[tuple[int, float], ...] = ()
    highest: float | None = None
    name: str = ""
    """What tells rows of the same place apart, so that the cursor stays on its row."""

    @property
    def acts(self) -> bool:
        return self.run is not None or self.kind == "more"


def rows(tree: Tree, *, unfolded: bool = False, key: str = "") -> list[Row]:
    """The whole of it: who waits, how the judge did, the tree, what it was compared with, the course of the counts.

    `key` opens the first run that waits, where there is such a key.
    """
    found: list[Row] = []
    for ask in tree.asks:
        how = f" · {key} answers" if key and not found else ""
        found.append(Row("need", f"run {ask.run} asks: {one_line(ask.question, _WORDS)}{how}", glyph="◐", run=ask.run,
                         name=f"ask {ask.n}"))  # fmt: skip
    if found:
        found.append(Row("blank", ""))
    found += _ended(tree)
    if tree.judging and tree.run and tree.run.active:
        found += [Row("text", verdicts.progress(tree.judging)), Row("blank", "")]
    question = str(tree.spec.get("question") or "")
    played = [child for child in tree.children if child.purpose == "play"]
    if played:
        found += _listed(played)
    else:
        found.append(Row("seed", question, name="seed"))
        found += _grown(tree, None, "", unfolded)
    if not played and not tree.ranked:
        state = "Nothing is ranked yet." if tree.children else "The first run is on its way."
        if tree.run and not tree.run.active:
            state = "It ended before anything was ranked."
        elif tree.spec.get("judge") and tree.tried is None and not tree.children:
            state = "The judge is tried first, on real text against the same with its sentences shuffled."
        found += [
            Row("blank", ""),
            Row("text", f"{state} When all runs of a generation have ended, their answers are counted and compared; the"
                        " one that is selected becomes the question of the next generation."),
        ]  # fmt: skip
    found += _judged(tree)
    found += _unevolved(tree)
    found += _course(tree)
    found += _principles(tree, unfolded)
    folded = _folded(tree)
    if folded:
        text = f"{'▾' if unfolded else '▸'} {folded}"
        found += [Row("blank", ""), Row("more", text, name="more")]
    return found


def _ended(tree: Tree) -> Iterator[Row]:
    """Why it goes on no more."""
    run = tree.run
    if run is None or run.active:
        return
    why = one_line(run.detail or (run.reason or "").replace("_", " "), _WORDS)
    if run.status is Status.CRASHED:
        why = "its host died; r resumes it, and nothing said is lost"
    if why:
        yield Row("text", f"{shelf.glyph(run.status)} {shelf.word(run.status)}: {why}")
        yield Row("blank", "")


def _listed(children: Sequence[Child]) -> Iterator[Row]:
    """Runs of a list, one after the other."""
    for child in children:
        yield Row("child", f"{child.generation}.{child.place}  {one_line(child.run.title, _WORDS)}",
                  glyph=shelf.glyph(child.run.status), about=_facts(child), run=child.run.id,
                  name=f"run {child.run.id}")  # fmt: skip


def _grown(tree: Tree, origin: int | None, lead: str, unfolded: bool) -> Iterator[Row]:
    """The runs that were sown with one answer, or with the first question, and what has grown of each."""
    here = [child for child in tree.children if child.purpose == "evolve" and child.origin == origin]
    for child in here:
        last = child is here[-1]
        below = f"{lead}{'   ' if last else '│  '}"
        asked = f"  {one_line(child.mutation, 40)}" if child.mutation else ""
        yield Row(
            "child", f"{child.generation}.{child.place}  {child.run.id}{asked}", f"{lead}{'└─ ' if last else '├─ '}",
            below, shelf.glyph(child.run.status), _facts(child), child.run.id, name=f"run {child.run.id}",
        )  # fmt: skip
        own = [item for item in tree.candidates if item.child == child.run.id]
        shown = own if unfolded else [item for item in own if item.selected or item in own[:BEST]]
        stem = f"{below}│  " if any(_sown(tree, item) for item in own) else f"{below}   "
        for item in shown:
            yield _answer(item, stem)
            if item.selected:
                inner = f"{stem}   "
                yield Row("quote", one_line(item.text, _QUOTED), inner, inner)
                yield from _how(tree, child.generation, inner)
        if len(shown) < len(own):
            yield Row("note", f"and {many(len(own) - len(shown), 'more answer')}", stem, stem)
        for item in own:
            yield from _grown(tree, item.n, below, unfolded)


def _sown(tree: Tree, item: Candidate) -> bool:
    return any(child.origin == item.n for child in tree.children)


def _answer(item: Candidate, lead: str) -> Row:
    glyph = "◆" if item.selected else f"{item.rank}."
    return Row(
        "picked" if item.selected else "answer", f"turn {item.seq} · {_counts(item)}", lead, lead, glyph,
        f"form {item.form:.2f}", item.child, item.seq, name=f"answer {item.n}",
    )  # fmt: skip


def _counts(item: Candidate) -> str:
    """What there is to count, what there is none of left out."""
    parts = [] if item.distance is None else [f"distance {item.distance:.2f}"]
    for number, what in (
        (item.headings, "heading"),
        (item.steps, "step"),
        (item.bullets, "bullet"),
        (item.metric_lines, "metric line"),
        (item.number_lines, "number line"),
    ):
        if number:
            parts.append(many(number, what))
    return " · ".join(parts) or "no headings, steps, bullets, metric or number lines"


def _how(tree: Tree, generation: int, lead: str) -> Iterator[Row]:
    """How the answer of a generation was selected."""
    data = tree.ranked.get(generation)
    if data is None:
        return
    yield Row("note", verdicts.how(data), lead, lead)


def _judged(tree: Tree) -> Iterator[Row]:
    """What came of the judge's trial."""
    data = tree.tried
    if data is None:
        return
    yield Row("blank", "")
    yield Row("head", "judge", about=one_line(str(data["model"])))
    yield Row("text", verdicts.tried(data))


def _unevolved(tree: Tree) -> Iterator[Row]:
    """The run that was given the same budget and no evolution, and what the comparison came to."""
    found = [child for child in tree.children if child.purpose == "baseline"]
    if not found:
        return
    yield Row("blank", "")
    yield Row("head", "unevolved", about="one run with the same budget")
    for child in found:
        yield Row("child", child.run.id, "", "", shelf.glyph(child.run.status), _facts(child), child.run.id,
                  name=f"run {child.run.id}")  # fmt: skip
    data = tree.compared
    yield Row("text", verdicts.comparison(data) if data else "not compared yet")


def _course(tree: Tree) -> Iterator[Row]:
    """The counts of the selected answers, generation by generation, as lines."""
    taken = [item for item in tree.candidates if item.selected and item.purpose == "evolve"]
    if len(taken) < 2:
        return
    yield Row("blank", "")
    yield Row("head", "selected answers", about="by generation")
    for label, highest, digits, count in _COURSES:
        series = tuple((item.generation, nan if (value := count(item)) is None else float(value)) for item in taken)
        last = series[-1][1]
        figure = "–" if last != last else f"{last:.{digits}f}"
        yield Row("measure", label, about=figure, series=series, highest=highest, name=f"course {label}")


_COURSES: tuple[tuple[str, float | None, int, Callable[[Candidate], float | None]], ...] = (
    ("distance", 1.0, 2, lambda item: item.distance),
    ("headings", 3.0, 0, lambda item: item.headings),
    ("steps", None, 0, lambda item: item.steps),
    ("bullets", None, 0, lambda item: item.bullets),
    ("metric lines", None, 0, lambda item: item.metric_lines),
    ("number lines", None, 0, lambda item: item.number_lines),
    ("form", 1.0, 2, lambda item: item.form),
)
"""What is drawn of the selected answers: its name, the highest that it can be, digits, the count."""


def _principles(tree: Tree, unfolded: bool) -> Iterator[Row]:
    if not tree.principles:
        return
    yield Row("blank", "")
    total = sum(len(lines) for lines in tree.principles.values())
    yield Row("head", "principles", about=f"{many(total, 'line')} of the answers that are kept for the next seed")
    if unfolded:
        for number, lines in tree.principles.items():
            yield from (Row("note", one_line(line, _WORDS), glyph=str(number)) for line in lines)


def _folded(tree: Tree) -> str:
    """What o unfolds."""
    rest = 0
    for child in tree.children:
        own = [item for item in tree.candidates if item.child == child.run.id and item.purpose == "evolve"]
        rest += sum(not item.selected for item in own[BEST:])
    lines = sum(len(found) for found in tree.principles.values())
    parts = [many(rest, "more answer")] * bool(rest) + [many(lines, "principle")] * bool(lines)
    return " and ".join(parts)


def _facts(child: Child) -> str:
    run = child.run
    return f"{many(run.turns, 'turn')} · {figures.count(run.tokens_in + run.tokens_out)} tok"
