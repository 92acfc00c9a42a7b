"""The next run of a question that evolved, as a pipeline file with its notes: what a series would play next."""

from __future__ import annotations

import sqlite3
from typing import Any

import yaml

from engine.record import lineage, next_prompt, runs
from engine.record.runs import Run
from engine.record.visible import visible
from engine.runs import kinds
from engine.settings.errors import UsageError
from engine.talk import control_words, form

_SO_FAR = "The best answer so far, to be made better:"


def seeds(question: str, answer: str) -> dict[str, str]:
    """New seeds by the name of their mutation: the question, the best answer to it, and what is asked besides."""
    said = next_prompt.strip(control_words.parse(answer).text).strip()
    return form.mutated(f"{question}\n\n{_SO_FAR}\n{said}")


def scaffold(db: sqlite3.Connection, run: Run, mutation: str | None = None) -> str:
    """A pipeline in YAML that goes on from the series' last selected answer; its goal, hypotheses and rubric above it.

    Raises UsageError: no series that evolves, nothing selected yet, or no such mutation.
    """
    spec = runs.spec(db, run)
    if run.kind != "series" or not spec.get("pipeline"):
        raise UsageError(f"run {run.id} is no series whose question evolves; give one, such as of evolve-a-question")
    chosen = [candidate for candidate in lineage.candidates(db, run.n) if candidate.selected]
    if not chosen:
        raise UsageError(f"run {run.id}: nothing is selected yet; `tertulia show {run.id}` says how far it is")
    best = chosen[-1]
    found = seeds(spec["question"], best.text)
    name = mutation or next(iter(found))
    if name not in found:
        raise UsageError(f"--mutation {name}: known are {', '.join(found)}")
    pipeline: dict[str, Any] = dict(spec["pipeline"])
    pipeline[kinds.load(pipeline["kind"]).SEED] = found[name]
    pipeline["title"] = f"Next: {spec['title']}"[:160]
    principles = lineage.principles(db, run.n)
    notes = [
        f"Goes on from turn {best.seq} of run {best.child}, selected in generation {best.generation} of {run.id};"
        f" mutation: {name}.",
        "",
        f"Goal: {spec['question']}",
        "Hypotheses:",
        *(f"- {line}" for line in principles.get(max(principles, default=0), [])[:12]),
        "Rubric:",
        *(f"{number}. {question}" for number, question in enumerate(form.rubric(), 1)),
    ]
    head = "\n".join(f"# {line}".rstrip() for note in notes for line in visible(note).splitlines() or [""])
    return f"{head}\n{yaml.safe_dump(pipeline, allow_unicode=True, sort_keys=False, width=110)}"
