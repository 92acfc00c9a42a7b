"""The events of a run: the vocabulary that `--json` prints, and appending to the log.

These kinds are a public interface: what each one carries is said here, and a kind not listed cannot be appended.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from engine.record import redact


class Kind(StrEnum):
    RUN_QUEUED = "run.queued"
    """kind_of_run, title, parent (a fork's or a child's), at_turn (fork only)."""
    RUN_STARTED = "run.started"
    """pid, resumed (whether turns were there before)."""
    RUN_CRASHED = "run.crashed"
    """The host died without a word; written by the resume that follows."""
    RUN_PAUSED = "run.paused"
    """why: command, step, repetition or measure:NAME."""
    RUN_RESUMED = "run.resumed"
    RUN_WAITING = "run.waiting"
    """why: what it waits for; ask (only where it is one)."""
    RUN_FINISHED = "run.finished"
    """reason (machine-readable), detail."""
    RUN_STOPPED = "run.stopped"
    """reason, detail."""
    RUN_FAILED = "run.failed"
    """reason, detail."""
    RUN_FORKED = "run.forked"
    """child, at_turn; written to the parent."""
    SPEC_CHANGED = "spec.changed"
    """changes: key -> value."""
    TURN_STARTED = "turn.started"
    """seq, seat, persona, model, continues (a partial that the model goes on from)."""
    TURN_DELTA = "turn.delta"
    """seq, seat, text and/or thinking, t (ms since the turn began); deleted when the turn ends."""
    TURN_PROGRESS = "turn.progress"
    """seq, seat, done, total: prompt tokens read so far; deleted when the turn ends."""
    TURN_FINISHED = "turn.finished"
    """seq, seat, text, thinking, stop, usage (with `first`, the Unix time of the first token)."""
    TURN_PARTIAL = "turn.partial"
    """seq, seat, text, why: a broken half-turn that is kept."""
    TURN_FAILED = "turn.failed"
    """seq, seat, error: the turn could not be had."""
    TURN_SKIPPED = "turn.skipped"
    """seq, seat, text: what had come of it, no part of the conversation."""
    TURN_REPLACED = "turn.replaced"
    """seq, seat, why (retry or edit): the old text is kept, no longer part of the conversation."""
    ANSWER_TRIMMED = "answer.trimmed"
    """seat, why (of label, thinking, other, question, guard: with commas between several), taken: words of a model's
    answer that did not become its turn's."""
    ANSWER_FAULTY = "answer.faulty"
    """seq, seat, fault: an answer that is not what the seat was told to give; asked for once more, or let pass."""
    CONTROL_WORD = "control.word"
    """seat, word: said at the start or end of a message, stripped before others read it."""
    NOTE_QUEUED = "note.queued"
    """seq, seat, text, who, as (the seat it is for, if one): said by a human, to be given before the next turn."""
    NOTE_GIVEN = "note.given"
    """seq, seat, text; as (only where it became that seat's turn)."""
    COMMAND_TAKEN = "command.taken"
    """verb, args, who."""
    COMMAND_REFUSED = "command.refused"
    """verb, args, who, why."""
    COMMAND_CANCELLED = "command.cancelled"
    """verb: left behind by a crash."""
    ASK_OPENED = "ask.opened"
    """ask, kind_of_ask, about (such as seat/NAME), question, options, fallback, deadline."""
    ASK_ANSWERED = "ask.answered"
    """ask, answer, who."""
    ASK_WITHDRAWN = "ask.withdrawn"
    """ask, why."""
    SEAT_CHANGED = "seat.changed"
    """seat, changes."""
    SEAT_TAKEN = "seat.taken"
    """seat, who."""
    SEAT_RELEASED = "seat.released"
    """seat, who."""
    CALL_RETRIED = "call.retried"
    """seat, attempt, wait (s), error."""
    RATE_WAITED = "rate.waited"
    """seat, wait (s): the provider's rate limit, shared by all runs, held the call back."""
    MODEL_FOUND = "model.found"
    """model, server (what serves it, and its version), digest, bytes (of the weights): as far as the provider says."""
    CONTEXT_CUT = "context.cut"
    """seat, strategy (drop-oldest, summarise, memory), kept, dropped (messages after the first `kept`), tokens,
    window, exact."""
    CONTEXT_TRUNCATED = "context.truncated"
    """seat, estimated, counted: the provider read less than it was sent."""
    LIMIT_REACHED = "limit.reached"
    """unit, cap, spent."""
    LIMIT_SETTLED = "limit.settled"
    """unit, amount: a dead host's reservation, settled at its estimate."""
    REPETITION_FOUND = "repetition.found"
    """measure, value, threshold, turns."""
    ASIDE_STARTED = "aside.started"
    """seat, after (seq of the turn it follows)."""
    ASIDE_GIVEN = "aside.given"
    """seat, after (seq of the turn it follows), text, value (a score, if it is one): beside the conversation."""
    MINUTES_TAKEN = "minutes.taken"
    """seat, after, raised ([{minute, kind, text, seq, quote}]), closed ([{minute, seq, quote}]), rejected (what was not
    taken, each with the reason)."""
    SOURCES_CITED = "sources.cited"
    """seq, seat, sources ([{number, title, place}]): what memory gave the turn."""
    MEMORY_LIMITED = "memory.limited"
    """why: documents are found by their words only, and how to have them found by meaning too."""
    MEASURE_CROSSED = "measure.crossed"
    """measure, value, rule (such as "novelty < 0.2"), turns."""
    MEASURE_TRIED = "measure.tried"
    """measure, model, trusted, why (it is not shown), of, hits, wrong, p: of so many planted contradictions and as many
    paraphrases the model found so many (only where the trial came to its end)."""
    DENIAL_FOUND = "denial.found"
    """seq, seat, now, against (seq of an earlier turn), earlier: words of a turn that deny words of the earlier one."""
    CHILD_QUEUED = "child.queued"
    """child (its run), kind_of_run, title, purpose (play, evolve or baseline), generation, place, of (how many in the
    generation), seed, mutation, origin (child and seq of the answer that its seed is made of)."""
    CHILD_ENDED = "child.ended"
    """child, status, reason, detail, turns, tokens, cost."""
    JUDGE_TRIED = "judge.tried"
    """model, trusted, pairs, wins, ties, losses, rate, low, high, p, unusable (pairs with an answer that was), why (it
    could not be tried): the judge of a series on planted pairs, a text against the same with its sentences shuffled."""
    JUDGE_PROGRESS = "judge.progress"
    """model, purpose (trial, selection or baseline), generation, done, total: pairs that the judge of a series was
    asked about, of so many at most; each takes the place of the last, and that is deleted when what came of it is told.
    """
    PRINCIPLES_KEPT = "principles.kept"
    """generation, lines."""
    CANDIDATES_RANKED = "candidates.ranked"
    """generation, how (judge or form), why (it is not the judge), selected (child, seq), ranking ([{rank, child, seq,
    form, distance, headings, steps, bullets, metric_lines, number_lines, wins, ties, losses, rate, low, high}])."""
    LINEAGE_ENDED = "lineage.ended"
    """reason (generations, bye or limit:UNIT), generations, children, tokens, cost: what the evolution came to, its
    runs and the judge's selections; estimated ({tokens, cost}): the part of both that nobody has measured, only where
    there is one."""
    BASELINE_COMPARED = "baseline.compared"
    """child, tokens, budget; pairs, wins, ties, losses, rate, low, high, p of the lineage against the run that was not
    evolved; or why they cannot be compared."""


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log. `at` is Unix time in seconds; `data` holds what its kind says above."""

    id: int
    run: str
    at: float
    kind: str
    subject: str | None
    data: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> str:
        """The line that `--json` prints: `{"id", "run", "at", "kind", "subject", ...}`."""
        head = {"id": self.id, "run": self.run, "at": round(self.at, 3), "kind": self.kind, "subject": self.subject}
        return json.dumps({**head, **self.data}, ensure_ascii=False)


def append(
    db: sqlite3.Connection,
    run: int,
    kind: Kind,
    subject: str | None = None,
    data: dict[str, Any] | None = None,
    *,
    turn: int | None = None,
    at: float | None = None,
) -> int:
    """Add one event inside the caller's transaction; returns its id. `turn` is the row whose text is joined in."""
    body = json.dumps(redact.scrub_json(data), ensure_ascii=False, separators=(",", ":")) if data else None
    cursor = db.execute(
        "INSERT INTO event (run, at, kind, subject, turn, data) VALUES (?, ?, ?, ?, ?, ?)",
        (run, time.time() if at is None else at, Kind(kind).value, subject, turn, body),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


_SELECT = """
SELECT event.id, run.id AS run, event.at, event.kind, event.subject, event.data,
       message.text AS text, message.thinking AS thinking, turn.seq AS seq, turn.seat AS seat, turn.stop AS stop,
       CASE event.kind WHEN 'turn.finished' THEN (
           SELECT json_object('tokens_in', tokens_in, 'tokens_out', tokens_out, 'thinking', thinking,
                              'cached', cached, 'cost', cost, 'first', first)
           FROM call WHERE call.turn = turn.n AND call.run = turn.run ORDER BY call.n DESC LIMIT 1) END AS usage,
       CASE event.kind WHEN 'aside.given' THEN (
           SELECT json_object('text', aside.text, 'value', aside.value)
           FROM aside WHERE aside.n = CAST(substr(event.subject, 7) AS INTEGER))
       WHEN 'minutes.taken' THEN (
           SELECT json_object('text', aside.text, 'raised', (
               SELECT json_group_array(json_object(
                   'minute', item.n, 'kind', item.kind, 'text', item.text, 'seq', turn.seq, 'quote', item.quote))
               FROM (SELECT * FROM minute WHERE minute.aside = aside.n ORDER BY n) AS item
               JOIN turn ON turn.n = item.turn),
           'closed', (
               SELECT json_group_array(json_object('minute', item.minute, 'seq', turn.seq, 'quote', item.quote))
               FROM (SELECT * FROM closing WHERE closing.aside = aside.n ORDER BY n) AS item
               JOIN turn ON turn.n = item.turn))
           FROM aside WHERE aside.n = CAST(substr(event.subject, 7) AS INTEGER)) END AS beside
FROM event JOIN run ON run.n = event.run
LEFT JOIN turn ON turn.n = event.turn
LEFT JOIN message ON message.n = turn.message
"""
_WITH_TEXT = frozenset(
    {
        Kind.TURN_FINISHED,
        Kind.TURN_PARTIAL,
        Kind.TURN_SKIPPED,
        Kind.TURN_REPLACED,
        Kind.NOTE_QUEUED,
        Kind.NOTE_GIVEN,
    }
)


def after(db: sqlite3.Connection, last: int, *, run: int | None = None, limit: int = 1000) -> list[Event]:
    """Events with an id above `last`, oldest first, the text of their turns joined in."""
    where, values = ("event.run = ? AND event.id > ?", (run, last)) if run is not None else ("event.id > ?", (last,))
    rows = db.execute(f"{_SELECT} WHERE {where} ORDER BY event.id LIMIT ?", (*values, limit))
    return [_event(row) for row in rows]


def backwards(db: sqlite3.Connection, run: int, kinds: Collection[str], top: int) -> Iterator[Event]:
    """A run's events of some kinds with an id up to `top`, newest first, read only as far as they are asked for."""
    marks = ", ".join("?" * len(kinds))
    query = f"{_SELECT} WHERE event.run = ? AND event.id <= ? AND event.kind IN ({marks}) ORDER BY event.id DESC"
    yield from map(_event, db.execute(query, (run, top, *kinds)))


def newest(db: sqlite3.Connection) -> int:
    """The id of the newest event ever, 0 in an empty record."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
    return int(row[0]) if row else 0


def _event(row: sqlite3.Row) -> Event:
    data: dict[str, Any] = json.loads(row["data"]) if row["data"] else {}
    if row["seq"] is not None:
        data = {"seq": row["seq"], "seat": row["seat"], **data}
    if row["beside"]:
        data |= {key: value for key, value in json.loads(row["beside"]).items() if value is not None}
    if row["kind"] in _WITH_TEXT:
        data["text"] = row["text"] or ""
        if row["thinking"]:
            data["thinking"] = row["thinking"]
        if row["kind"] == Kind.TURN_FINISHED:
            data["stop"] = row["stop"]
            if row["usage"]:
                data["usage"] = {key: value for key, value in json.loads(row["usage"]).items() if value is not None}
    return Event(row["id"], row["run"], row["at"], row["kind"], row["subject"], data)
