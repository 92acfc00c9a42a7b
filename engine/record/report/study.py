"""Reads the runs of a report, one after another, and counts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.record import next_prompt
from engine.record.export import facts, rounds
from engine.record.export import read as read_run
from engine.record.export.source import Source
from engine.record.report import control, digest, flags
from engine.record.report.control import Control
from engine.record.report.digest import Digest
from engine.record.report.flags import Flags
from engine.record.report.phrases import Phrases, Trend
from engine.record.report.settings import Settings
from engine.record.report.words import Finder
from engine.record.runs import Run
from engine.record.turns import Turn


@dataclass(frozen=True, slots=True)
class Course:
    """A measure over the turns of a run, or as the mean of each run over many; `points` are the values behind it."""

    name: str
    values: list[float]
    points: int


@dataclass(frozen=True, slots=True)
class Row:
    run: Run
    models: list[str]


@dataclass(slots=True)
class Report:
    """What was counted, in how many runs and turns. Turns that forks share count once."""

    one: bool
    """Whether it is about one run: a course is then over rounds and turns, else over runs."""
    rows: list[Row] = field(default_factory=list)
    turns: int = 0
    words: int = 0
    seats: list[str] = field(default_factory=list)
    """Whose words the phrases are from."""
    texts: int = 0
    """Turns and seeds that phrases were counted in."""
    units: int = 0
    phrases: list[Trend] = field(default_factory=list)
    tracked: list[Trend] = field(default_factory=list)
    control: str = ""
    control_words: int = 0
    flags: list[Flags] = field(default_factory=list)
    courses: list[Course] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)


def study(
    db: sqlite3.Connection, runs: Sequence[Run], settings: Settings, *, one: bool, text: str = "", about: str = ""
) -> Report:
    """What `runs`, oldest first, show; `text` is control text other than the bundled one, `about` says what it is."""
    finders = {family: Finder.of(terms) for family, terms in settings.families.items()}
    compared = Control(text or control.bundled(), about or control.ABOUT, finders)
    report = Report(one, control=compared.about, control_words=compared.words)
    phrases = Phrases(settings.stop_words, settings.tracked)
    seen: set[int] = set()
    measured: dict[str, list[list[float]]] = {}
    voices: set[str] = set()
    for place, run in enumerate(runs):
        source = read_run(db, run, beside=True)
        report.rows.append(Row(run, list(dict.fromkeys(seat.model for seat in source.seats if seat.model))))
        fresh = [turn for turn in source.conversation if turn.role == "turn" and turn.n not in seen]
        seen.update(turn.n for turn in fresh)
        voices |= _collect(phrases, source, fresh, settings, None if one else place)
        said = [(turn.seq, turn.seat, turn.text) for turn in fresh]
        report.flags.append(flags.count(run.id, said, finders, compared, settings.hits))
        for name, points in source.beside.measures.items():
            measured.setdefault(name, []).append([value for _, value in points])
        if one or place >= len(runs) - settings.digests:
            report.digests.insert(0, digest.of(source))
    report.turns = sum(item.turns for item in report.flags)
    report.words = sum(item.words for item in report.flags)
    report.seats = sorted(voices)
    report.texts, report.units = phrases.texts, phrases.units
    report.phrases, report.tracked = phrases.frequent(settings.phrases), phrases.tracked()
    report.courses = [_course(name, series, one) for name, series in sorted(measured.items())]
    return report


def _collect(phrases: Phrases, source: Source, fresh: list[Turn], settings: Settings, unit: int | None) -> set[str]:
    """Add the seed and the words of the chosen seats; returns their names. `unit` None: the round of each turn."""
    wanted = {name.casefold() for name in settings.seats}
    chosen = {seat.name for seat in source.table if {seat.name.casefold(), (seat.role or "").casefold()} & wanted}
    chosen = chosen or {seat.name for seat in source.table}
    in_round = {seq: item.number - 1 for item in rounds.of(source) for seq in item.seqs} if unit is None else {}
    phrases.add(source.run.id, unit or 0, facts.topic(source))
    for turn in fresh:
        if turn.seat in chosen:
            words = "\n\n".join([next_prompt.strip(turn.text), *next_prompt.topics(turn.text)])
            phrases.add(source.run.id, in_round[turn.seq] if unit is None else unit, words)
    return {turn.seat for turn in fresh} & chosen


def _course(name: str, series: list[list[float]], one: bool) -> Course:
    points = sum(map(len, series))
    return Course(name, series[0] if one else [sum(values) / len(values) for values in series], points)
