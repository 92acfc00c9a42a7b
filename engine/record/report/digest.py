"""A run in short, made of what the record holds of it: no model is asked, and each quote stands in its turn."""

from __future__ import annotations

from dataclasses import dataclass

from engine.record import next_prompt
from engine.record.export import facts, rounds
from engine.record.export.failures import Failure
from engine.record.export.source import Source
from engine.record.minutes import Item
from engine.record.report import quotes
from engine.record.report.quotes import Quote
from engine.record.runs import Run

MOST = 12
"""Entries of one list."""
_BULLETS = "-*•# \n\t"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a digest; `quote` are the words it rests on, `closing` those that settled it."""

    text: str
    quote: Quote | None = None
    closing: Quote | None = None


@dataclass(frozen=True, slots=True)
class Digest:
    """`lists` are (title, entries, how many more there are), those that have any."""

    run: Run
    topic: str
    short: list[str]
    lists: list[tuple[str, list[Entry], int]]


def of(source: Source) -> Digest:
    failures = sorted([*source.failures, *rounds.missing(source)], key=lambda item: item.at)
    minutes = source.beside
    entries = [(item, _entry(source, item)) for item in minutes.items]
    found = [
        ("What happened", _happened(source)),
        ("Claims", [entry for item, entry in entries if item.kind == "claim"]),
        ("Open questions", [entry for item, entry in entries if item.kind == "question" and item.open]),
        ("Settled questions", [entry for item, entry in entries if item.kind == "question" and not item.open]),
        ("To do", [entry for item, entry in entries if item.kind == "todo" and item.open]),
        ("Done", [entry for item, entry in entries if item.kind == "todo" and not item.open]),
        ("Flags", [entry for item, entry in entries if item.kind == "flag"]),
        ("Failures", [_failure(item) for item in failures]),
        ("Next", _next(source)),
    ]
    lists = [(title, some[:MOST], max(len(some) - MOST, 0)) for title, some in found if some]
    return Digest(source.run, facts.topic(source), _short(source, failures), lists)


def _short(source: Source, failures: list[Failure]) -> list[str]:
    run = source.run
    spoken = {turn.seat for turn in source.conversation if turn.role == "turn"}
    count = len({turn.seq for turn in source.conversation if turn.role == "turn"})
    told = [f"Turns: {count}, by {len(spoken)} seats in {len(rounds.of(source))} rounds; {facts.state(run)}."]
    if source.beside.taken:
        parts = []
        for kind, name in (("claim", "claims"), ("question", "questions"), ("todo", "to-dos"), ("flag", "flags")):
            items = source.beside.of_kind(kind)
            still = f" ({sum(item.open for item in items)} open)" if kind != "claim" and items else ""
            parts.append(f"{name} {len(items)}{still}")
        told.append(f"Minutes: {', '.join(parts)}.")
    else:
        told.append("No minutes were taken.")
    told.append(f"Failures: {len(failures)}.")
    return told


def _happened(source: Source) -> list[Entry]:
    """What the minutes sum up, over the whole run; without minutes, how it began and how it stands."""
    summaries = source.beside.summaries
    if summaries:
        step = max(1, -(-len(summaries) // MOST))
        return [Entry(f"Minutes after turn {aside.seq}: {aside.text.lstrip(_BULLETS)}") for aside in summaries[::step]]
    said = [turn for turn in source.conversation if turn.role == "turn"]
    if not said:
        return []
    ends = [("It began", said[0])] + ([("It stands at", said[-1])] if len(said) > 1 else [])
    return [
        Entry(name, Quote(source.run.id, turn.seq, turn.seat, quotes.first_sentence(turn.text))) for name, turn in ends
    ]


def _next(source: Source) -> list[Entry]:
    """The newest topic that a turn named, and what is still to be done."""
    found: list[Entry] = []
    for turn in reversed(source.conversation):
        if turn.role == "turn" and (topics := next_prompt.topics(turn.text)):
            quote = quotes.within(turn.text, topics[-1])
            found.append(Entry("Ask", Quote(source.run.id, turn.seq, turn.seat, quote) if quote else None))
            break
    todo = [item for item in source.beside.items if item.kind == "todo" and item.open]
    return found + [Entry(item.text) for item in todo]


def _entry(source: Source, item: Item) -> Entry:
    closing = _quote(source, item.closed, item.closing) if item.closed is not None else None
    quote = _quote(source, item.seq, item.quote)
    return Entry("" if quote and item.verbatim else item.text, quote, closing)


def _quote(source: Source, seq: int, words: str) -> Quote | None:
    for turn in source.conversation:
        if turn.role == "turn" and turn.seq == seq:
            text = quotes.within(turn.text, words)
            return Quote(source.run.id, seq, turn.seat, text) if text else None
    return None


def _failure(item: Failure) -> Entry:
    where = ", ".join(filter(None, [item.seat, f"turn {item.seq}" if item.seq is not None else ""]))
    return Entry(f"{item.error} ({where})" if where else item.error)
