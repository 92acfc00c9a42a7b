"""What a terminal can do to runs. Every front end (app, command line) calls this and nothing else.

All methods are synchronous, take run ids (or unambiguous beginnings, or `last`) and raise `UsageError` (wrong use) or
`RecordError` (the record or the run cannot do it), each one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from engine.record import asks, commands, lineage, presence, runs, turns
from engine.record.connection import open_reader, write_once
from engine.record.errors import OlderInUseError
from engine.record.runs import Run, Status
from engine.runs import edits, kinds, log, pipelines, spawn
from engine.settings import layers
from engine.settings.errors import UsageError

_T = TypeVar("_T")
_LOOK = 0.01
"""Seconds between two looks whether a command was taken; hosts take one within 0.1."""


class Control:
    """Commands to the runs of one record; `who` is recorded with each.

    A live run is told and not waited for, unless `patience` gives the seconds in which its refusal is raised here.
    """

    def __init__(
        self,
        database: Path,
        who: str,
        patience: float = 0.0,
        *,
        log_level: int = spawn.DEFAULT_LEVEL,
        owner: Path | None = None,
    ) -> None:
        self.database = database
        self.who = who
        self.patience = patience
        self.log_level = log_level
        """What the hosts that are started here write to their logs, as a level of the logging module."""
        self.owner = owner
        """The lock of whom the runs that are started here do not outlive; see `engine.runs.throwaway`."""

    def start(
        self,
        pipeline: str | Path | dict[str, Any],
        sets: Sequence[str] = (),
        *,
        seed: str | None = None,
        answers: str = "ask",
    ) -> str:
        """Check a pipeline and all it needs, start its run, and return the run's id once the host has it."""
        spec = pipelines.resolve(pipeline, sets, seed) | {"answers": answers}
        asyncio.run(kinds.load(spec["kind"]).check(spec))
        run_id = self._write(lambda db: runs.create(db, spec["kind"], spec["title"], spec))
        self._spawn(run_id)
        return run_id

    def resume(self, run: str, sets: Sequence[str] = ()) -> None:
        """Unpause a live run, or start a host for one that ended, was stopped or crashed. `sets` change its spec."""
        found = self._find(run)
        if spawn.is_live(self.database, found):
            if sets:
                raise UsageError(
                    f"run {found.id} is live; use `tertulia swap`, or stop it before you change its limits"
                )
            self._send(found, "resume", {})
            return
        if found.status is Status.FINISHED and not sets:
            raise UsageError(
                f"run {found.id} has finished ({found.reason}); raise what ended it, for example"
                f" `tertulia resume {found.id} --set {self._raised(found)}`"
            )
        spec = self._changed(found, sets)
        asyncio.run(kinds.load(found.kind).check(spec))
        if sets:
            changes = dict(item.split("=", 1) for item in sets)
            self._write(lambda db: runs.change_spec(db, found.n, spec, changes))
        self._spawn(found.id)

    def fork(self, run: str, at: int, sets: Sequence[str] = ()) -> str:
        """Start a new run that shares the history of `run` up to turn `at`; returns its id."""
        found = self._find(run)
        spec = self._changed(found, sets)
        asyncio.run(kinds.load(found.kind).check(spec))
        child = self._write(lambda db: self._branch(db, found, at, spec))
        self._spawn(child)
        return child

    def edit(self, run: str, seq: int, text: str) -> str:
        """Change what turn `seq` says. The last turn is replaced; one that others follow makes a fork that goes on.

        Returns the run that holds the edited turn.
        """
        if not text.strip():
            raise UsageError("the new text is empty; write what the turn should say")
        found = self._find(run)
        if seq == found.turns and seq > (found.forked_at or 0):
            if spawn.is_live(self.database, found):
                self._send(found, "edit", {"turn": seq, "text": text})
            else:
                self._write(lambda db: edits.rewrite(db, runs.get(db, found.n), seq, text))
            return found.id
        spec = self._changed(found, ())

        def branch(db: sqlite3.Connection) -> str:
            old = edits.finished_turn(db, found, seq)
            child = runs.find(db, self._branch(db, found, seq - 1, spec))
            turns.say(db, child.n, seq, old.seat, text, "edit")
            return child.id

        child = self._write(branch)
        self._spawn(child)
        return child

    def pause(self, run: str) -> None:
        self._tell(run, "pause")

    def step(self, run: str) -> None:
        """Let a paused run take one turn; a running one pauses after the turn in progress."""
        self._tell(run, "step")

    def skip(self, run: str) -> None:
        """Pass the floor on: the turn in progress, or the next one, is not taken."""
        self._tell(run, "skip")

    def retry(self, run: str) -> None:
        """Redo the turn in progress, or the last one; the old text is kept."""
        self._tell(run, "retry")

    def bye(self, run: str) -> None:
        """A polite end: one last answer, then the run finishes."""
        self._tell(run, "bye")

    def stop(self, run: str) -> None:
        """End the run now; what was said so far is kept."""
        try:
            self._tell(run, "stop")
        except OlderInUseError:
            self._terminate(self._find(run))

    def say(self, run: str, text: str, seat: str | None = None, now: bool = False) -> None:
        """Say something to both seats before the next turn, or as `seat`; `now` cuts the turn in progress."""
        if not text.strip():
            raise UsageError("nothing to say: the text is empty")
        self._tell(run, "say", {"text": text, "now": now} | ({"seat": seat} if seat else {}))

    def swap(self, run: str, seat: str, changes: dict[str, Any]) -> None:
        """Change a seat's model, persona or options from its next turn on; keys as in the pipeline."""
        if not changes:
            raise UsageError("nothing to change: give KEY=VALUE, such as model=ollama/llama3.2")
        self._tell(run, "swap", {"seat": seat, "changes": changes})

    def take(self, run: str, seat: str) -> None:
        """You speak for the seat from now on."""
        self._tell(run, "take", {"seat": seat})

    def release(self, run: str, seat: str) -> None:
        """The seat's model speaks again."""
        self._tell(run, "release", {"seat": seat})

    def answer(self, ask: int, value: str) -> None:
        """Answer an open ask, once."""
        self._write(lambda db: asks.answer(db, ask, value, self.who))

    def delete(self, run: str) -> None:
        """Remove a run that has ended, its log and its lock; of a series, those of all its runs."""
        found = self._find(run)
        db = open_reader(self.database)
        try:
            doomed = [found, *(child.run for child in lineage.children(db, found.n, self.database))]
        finally:
            db.close()
        for each in doomed:
            if spawn.is_live(self.database, each):
                raise UsageError(f"run {each.id} is {each.status}; `tertulia stop {each.id}` it first")
        self._write(lambda db: lineage.delete(db, found))
        for each in doomed:
            for path in (presence.lock_file(self.database, each.id), log.log_file(self.database, each.id)):
                path.unlink(missing_ok=True)

    def _raised(self, run: Run) -> str:
        """What would let a finished run go on."""
        if run.kind != "series":
            return f"limits.turns={max(run.turns * 2, 2)}"
        spec = self._changed(run, ())
        if (run.reason or "").startswith("limit:"):
            unit = (run.reason or "").removeprefix("limit:")
            return f"limits.{unit}={spec['limits'][unit] * 2:g}"
        return f"repeat={spec['repeat'] * 2}" if spec["runs"] else f"generations={spec['generations'] * 2}"

    def _tell(self, run: str, verb: str, args: dict[str, Any] | None = None) -> None:
        found = self._find(run)
        if not spawn.is_live(self.database, found):
            raise UsageError(f"run {found.id} is {found.status}: nobody is there to {verb}; {_hint(found)}")
        self._send(found, verb, args or {})

    def _send(self, run: Run, verb: str, args: dict[str, Any]) -> None:
        number = self._write(lambda db: commands.put(db, run.n, verb, args, self.who))
        if self.patience:
            self._hear(run, verb, number)

    def _terminate(self, run: Run) -> None:
        """Tell a host of an older version to stop, which takes no command from this one."""
        if (pid := presence.holder(self.database, run.id)) is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + self.patience
        while presence.holder(self.database, run.id) == pid and time.monotonic() < deadline:
            time.sleep(_LOOK)

    def _hear(self, run: Run, verb: str, command: int) -> None:
        """Wait until the run has taken the command. Raises UsageError where it refuses."""
        deadline = time.monotonic() + self.patience
        db = open_reader(self.database)
        try:
            state, why = commands.outcome(db, command)
            while state == "queued" and time.monotonic() < deadline:
                time.sleep(_LOOK)
                state, why = commands.outcome(db, command)
        finally:
            db.close()
        if state == "refused":
            raise UsageError(f"run {run.id} refuses to {verb}: {why}")

    def _find(self, run: str) -> Run:
        db = open_reader(self.database)
        try:
            return runs.find(db, run, self.database)
        finally:
            db.close()

    def _changed(self, run: Run, sets: Sequence[str]) -> dict[str, Any]:
        db = open_reader(self.database)
        try:
            spec = runs.spec(db, run)
        finally:
            db.close()
        if not sets:
            return spec
        return kinds.load(run.kind).validate(layers.apply(spec, sets), f"run {run.id}")

    @staticmethod
    def _branch(db: sqlite3.Connection, parent: Run, at: int, spec: dict[str, Any]) -> str:
        if at < 0 or at > parent.turns:
            raise UsageError(f"run {parent.id} has no turn {at} to fork at; {edits.has(parent)}")
        turn = edits.finished_turn(db, parent, at) if at else None
        head = edits.head_at(db, parent, at)
        return runs.create(db, parent.kind, parent.title, spec, fork=(parent, turn.n if turn else 0, head))

    def _spawn(self, run: str) -> None:
        spawn.spawn(self.database, run, self.log_level, self.owner)

    def _write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return write_once(self.database, work)


def _hint(run: Run) -> str:
    if run.status is Status.CRASHED:
        return f"`tertulia resume {run.id}` goes on from the last finished turn"
    return f"`tertulia fork {run.id} --at {run.turns}` or `tertulia resume {run.id}` goes on with it"
