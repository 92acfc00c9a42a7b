"""A series as Markdown: the leaderboard of each generation, the answer that was selected, the principles kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.record import verdicts
from engine.record.export import facts
from engine.record.export.contained import contained
from engine.record.export.escaping import escaped, quoted
from engine.record.export.generations import Generations
from engine.record.lineage import Candidate, Child
from engine.record.visible import one_line

_HEAD = "rank | run | turn | form | distance | headings | steps | bullets | metric lines | number lines | judge"
_FORM = (
    "*Form* is counted and no measure of quality: headings, steps and bullets, lines with a metric word or a number,"
    " and how far the words are from those of the generation before."
)


def sections(found: Generations) -> Iterator[str]:
    """Markdown, one section for each generation or round, and one for the baseline."""
    if found.tried:
        yield escaped(verdicts.trial(found.tried)) + "."
    if found.candidates:
        yield _FORM
    for title, children in _grouped(found.children):
        yield f"## {title}"
        yield "\n".join(f"- {escaped(_child(child, found.candidates))}" for child in children)
        own = {child.run.id for child in children}
        yield from _answers([item for item in found.candidates if item.child in own], found, children[0])
    if found.compared:
        yield escaped(verdicts.comparison(found.compared)) + "."


def _answers(own: Sequence[Candidate], found: Generations, of: Child) -> Iterator[str]:
    if not own:
        return
    ranked = found.ranked.get(of.generation, {}) if of.purpose == "evolve" else {}
    judged = {(entry["child"], entry["seq"]): entry for entry in ranked.get("ranking", []) if "wins" in entry}
    rows = [f"| {_HEAD} |", "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|---|"]
    for item in sorted(own, key=lambda item: item.rank):
        distance = "" if item.distance is None else f"{item.distance:.2f}"
        entry = judged.get((item.child, item.seq))
        cells = [item.rank, item.child, item.seq, f"{item.form:.2f}", distance, item.headings, item.steps, item.bullets]
        cells += [item.metric_lines, item.number_lines, verdicts.interval(entry) if entry else ""]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    yield "\n".join(rows)
    if ranked:
        yield escaped(verdicts.selection(ranked)) + ":"
        yield from (quoted(contained(item.text)) for item in own if item.selected)
    if kept := found.principles.get(of.generation, []) if of.purpose == "evolve" else []:
        yield "### Principles"
        yield "\n".join(f"- {escaped(one_line(line))}" for line in kept)


def _grouped(children: Sequence[Child]) -> list[tuple[str, list[Child]]]:
    """The children under the heading of their generation or round, in order."""
    words = {"evolve": "Generation {}", "play": "Round {}", "baseline": "Not evolved"}
    found: dict[str, list[Child]] = {}
    for child in children:
        found.setdefault(words[child.purpose].format(child.generation), []).append(child)
    return list(found.items())


def _child(child: Child, candidates: Sequence[Candidate]) -> str:
    run = child.run
    origin = next((item for item in candidates if item.n == child.origin), None)
    told = [f"{run.id}: {one_line(run.title)}", facts.state(run), f"{run.turns} turns"]
    told.append(f"{run.tokens_in + run.tokens_out:,} tokens")
    told += [one_line(child.mutation)] if child.mutation else []
    told += [f"from turn {origin.seq} of {origin.child}"] if origin else []
    return ", ".join(told)
