"""The knowledge index: a line for every run, newest first, with its topic and the first thing noted of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from engine.record import content, next_prompt, runs
from engine.record.events import Kind
from engine.record.export import facts, run_folder
from engine.record.export.escaping import escaped
from engine.record.export.source import Source
from engine.record.runs import Run
from engine.record.visible import one_line

TOPIC, HIGHLIGHT = 120, 160
"""Characters at most."""
_BULLETS = "-*•# \n\t"


@dataclass(frozen=True, slots=True)
class Entry:
    """One run as it stands in the index; `highlight` is the first summary of its minutes, else its first NextPrompt."""

    run: Run
    topic: str
    highlight: str


def render(source: Source) -> str:
    return index([of_source(source)], linked=False)


def index(entries: Iterable[Entry], *, linked: bool) -> str:
    """The whole document of `entries`, newest first; `linked` where the folders of the runs stand beside it."""
    lines = [_line(entry, linked) for entry in entries]
    return "\n".join(["# Knowledge index", "", "## Recent Runs", "", *(lines or ["No run yet."])]) + "\n"


def of_source(source: Source) -> Entry:
    summaries = source.beside.summaries
    return Entry(
        source.run,
        facts.topic(source),
        summaries[0].text if summaries else _first_prompt(turn.text for turn in source.conversation),
    )


def entry(db: sqlite3.Connection, run: Run) -> Entry:
    """The same without reading more of the run than it needs."""
    spec = runs.spec(db, run)
    told = next(
        (spec[key] for key in ("question", "opening") if isinstance(spec.get(key), str) and spec[key].strip()), ""
    )
    return Entry(run, told or run.title, _first_summary(db, run) or _first_prompt(_texts(db, run)))


def _line(entry: Entry, linked: bool) -> str:
    run = entry.run
    name = f"{facts.moment(run.started or run.created)}, {run.id}"
    head = f"[{name}]({run_folder.name(run)}/master.md)" if linked else f"{name}"
    line = f"- {head}: {escaped(one_line(entry.topic, TOPIC))} ({escaped(facts.state(run))}, {run.turns} turns)"
    highlight = entry.highlight.lstrip(_BULLETS)
    return f"{line}\n  - {escaped(one_line(highlight, HIGHLIGHT))}" if highlight else line


def _first_prompt(texts: Iterable[str]) -> str:
    return next((found[0] for text in texts if (found := next_prompt.topics(text))), "")


def _first_summary(db: sqlite3.Connection, run: Run) -> str:
    for segment, bound in reversed(runs.lineage(db, run.n)):
        row = db.execute(
            "SELECT aside.text FROM event JOIN aside ON aside.n = CAST(substr(event.subject, 7) AS INTEGER)"
            " JOIN turn ON turn.n = aside.after"
            " WHERE event.run = ?1 AND event.kind = ?2 AND trim(aside.text) != '' AND (?3 IS NULL OR aside.after <= ?3)"
            " AND (turn.state IN ('finished', 'skipped')"
            " OR turn.state = 'replaced' AND (turn.replaced >= ?3 OR turn.run <> aside.run))"
            " ORDER BY event.id LIMIT 1",
            (segment, Kind.MINUTES_TAKEN.value, bound),
        ).fetchone()
        if row:
            return str(row[0])
    return ""


def _texts(db: sqlite3.Connection, run: Run) -> Iterable[str]:
    return (said.text for said in content.chain(db, run.head))
