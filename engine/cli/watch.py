"""The terminal that started a run: shows it, answers what it asks, and decides what Ctrl-C means."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

from engine.cli import prompt
from engine.cli.exit_codes import DONE, FAILED, INTERRUPTED, UNANSWERED
from engine.cli.feed import Feed
from engine.cli.narration import narrate, warn
from engine.cli.plain import Plain
from engine.cli.session import Session
from engine.record import lineage
from engine.record.asks import Ask
from engine.record.errors import RecordError
from engine.record.events import Event
from engine.record.export.json_lines import escaped
from engine.record.runs import Run, Status
from engine.record.visible import one_line
from engine.settings.errors import UsageError

_STOP_PATIENCE = 10.0
"""Seconds a run that was told to stop has to say that it did."""


class Watch:
    """Follows a run from its first event to its end. `answers` is the run's policy: whoever sits at this terminal is
    asked what it leaves open. A run that is not `kept` ends when this terminal leaves it."""

    def __init__(self, session: Session, run: str, *, as_json: bool, answers: str, kept: bool = True) -> None:
        self._control = session.control()
        self._feed = Feed(session.database, run)
        self._plain = None if as_json else Plain(self._feed.seats())
        self._answers = answers
        self._kept = kept
        self._lines = prompt.Lines() if sys.stdin.isatty() else None
        self._asked: Ask | None = None
        self._held: list[Event] = []
        self._interrupts = 0
        self._heard = 0
        self._stopping: float | None = None

    def run(self) -> int:
        """Follow to the end; returns the exit code."""
        if self._plain:
            narrate(f"run {self._feed.run.id}: {one_line(self._feed.run.title)}")
        try:
            with self._catching():
                for batch in self._feed.events():
                    self._held += batch
                    if not self._deciding():
                        self._tell()
                    code = self._act()
                    if code is not None:
                        return code
            self._tell()
            return self._over(self._feed.run)
        finally:
            if self._plain:
                self._plain.close()
            self._feed.close()

    def _deciding(self) -> bool:
        """Whether the question what Ctrl-C means is on the terminal: nothing is printed into it."""
        return self._plain is not None and self._heard > 0 and self._stopping is None

    def _tell(self) -> None:
        for event in self._held:
            self._show(event)
        self._held.clear()

    def _show(self, event: Event) -> None:
        if self._plain is None:
            print(escaped(event.as_json()), flush=True)
        elif event.kind != "ask.opened" or not self._is_left(event.data):
            self._plain.show(event)

    def _act(self) -> int | None:
        """Interrupts and asks; an exit code when this terminal has no more to do."""
        if self._interrupts > self._heard:
            self._heard = self._interrupts
            return self._interrupted()
        if self._stopping is not None:
            if time.monotonic() > self._stopping:
                look = f"; `tertulia show {self._feed.run.id}`" if self._kept else ""
                warn(f"run {self._feed.run.id} has not stopped yet{look}")
                return INTERRUPTED
            return None
        line = self._lines.poll() if self._lines else None
        if self._heard and line is not None:
            return self._decided(line)
        return self._ask(line) if self._answers != "fail" and not self._heard else None

    def _interrupted(self) -> int | None:
        if self._stopping is not None:
            return INTERRUPTED
        if self._lines is None or self._lines.ended or self._interrupts > 1:
            self._stop()
            return None
        self._lines.drop()
        prompt.interrupted(self._feed.run.id, self._kept)
        return None

    def _decided(self, line: str) -> int | None:
        match line.strip().lower()[:1]:
            case "d" if self._kept:
                run = self._feed.run.id
                narrate(f"run {run} goes on; `tertulia follow {run}` shows it, `tertulia stop {run}` ends it")
                return INTERRUPTED
            case "s":
                self._stop()
            case "c" | "":
                self._interrupts = self._heard = 0
                self._asked = None
            case _:
                prompt.interrupted(self._feed.run.id, self._kept)
        return None

    def _stop(self) -> None:
        narrate("stopping")
        self._stopping = time.monotonic() + _STOP_PATIENCE
        try:
            self._control.stop(self._feed.run.id)
        except UsageError as error:
            warn(str(error))

    def _ask(self, line: str | None) -> int | None:
        run, reader = self._feed.run, self._feed.reader
        waiting = [*reader.asks(run), *lineage.open_asks(reader.db, run.n)] if run.active else []
        if self._asked is not None and all(ask.n != self._asked.n for ask in waiting):
            print(file=sys.stderr)
            narrate(f"ask {self._asked.n} is settled elsewhere")
            self._asked = None
        if self._lines is None or self._lines.ended:
            return self._name(waiting)
        if self._asked is None:
            if waiting:
                self._asked = waiting[0]
                prompt.put(self._asked)
            return None
        if line is not None:
            asked, self._asked = self._asked, None
            value = line if line.strip() else asked.fallback or ""
            try:
                self._control.answer(asked.n, value)
            except RecordError as error:
                warn(str(error))
        return None

    def _name(self, waiting: list[Ask]) -> int | None:
        """Without a terminal: name the asks that nothing but a person will settle, and leave."""
        stuck = [ask for ask in waiting if self._is_stuck({"deadline": ask.deadline, "fallback": ask.fallback})]
        for ask in stuck:
            then = f"`tertulia answer {ask.n} {_choices(ask)}`" if self._kept else "nobody can answer: it is stopped"
            warn(f"tertulia: run {ask.run} waits: ask {ask.n}: {one_line(ask.question)} ({then})")
        return UNANSWERED if stuck else None

    def _is_left(self, ask: dict[str, Any]) -> bool:
        """Whether this terminal asks it, or names it and leaves."""
        if self._answers == "ask" and self._lines:
            return True
        return self._answers != "fail" and self._is_stuck(ask)

    def _is_stuck(self, ask: dict[str, Any]) -> bool:
        """Whether nothing but an answer settles it: it has nothing to fall back on, or no time at which it would."""
        return ask.get("fallback") is None or (self._answers == "ask" and ask.get("deadline") is None)

    def _over(self, run: Run) -> int:
        if run.status is Status.CRASHED:
            then = f"; `tertulia resume {run.id}` goes on from its last finished turn" if self._kept else ""
            warn(f"run {run.id} crashed{then}")
        if self._stopping is not None:
            return INTERRUPTED
        return exit_code(run)

    @contextlib.contextmanager
    def _catching(self) -> Iterator[None]:
        """Count Ctrl-C instead of dying of it."""

        def count(_: int, __: FrameType | None) -> None:
            self._interrupts += 1

        before = signal.signal(signal.SIGINT, count)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def exit_code(run: Run) -> int:
    """0 for a run that ended as it should, 1 for one that failed or crashed."""
    return DONE if run.status in (Status.FINISHED, Status.STOPPED) else FAILED


def _choices(ask: Ask) -> str:
    return "|".join(one_line(option.value) for option in ask.options) or "TEXT"
