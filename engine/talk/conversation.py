"""A conversation being played: turn after turn until a word, a limit, a rule or a human ends it.

Who speaks next and what each seat sees is up to the kind (`engine.talk.duel`, `engine.talk.loop`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from engine.providers.protocol import Fault, ProviderError
from engine.record import allowances, events, notes, runs, turns
from engine.record.allowances import Allowance
from engine.record.asks import Option
from engine.record.commands import Command
from engine.record.events import Kind
from engine.record.runs import Status
from engine.record.turns import State
from engine.runs.host import Host, Outcome, Refused
from engine.settings.errors import UsageError
from engine.talk import control_words, repetition
from engine.talk.ledger import LimitReached
from engine.talk.memory_wait import MemoryWait
from engine.talk.orders import Orders
from engine.talk.seats import Seating
from engine.talk.speaker import Malformed, Order, Speaker
from engine.talk.spec import HUMAN, Seat, Talk
from engine.talk.steering import Steering
from engine.talk.table import Table
from engine.talk.window import ContextFullError

_NOTHING = 1e-9
"""What may be left of an allowance that is used up: sums of fractions are not exact."""
_AFTER_FAULT = (
    Option("retry", "retry", "r"),
    Option("model", "other model", "m"),
    Option("skip", "skip", "s"),
    Option("stop", "stop", "x"),
)


_GO_ON = (Option("go", "go on", "g"), Option("end", "end here", "x"))


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that says the talk should end: the event that tells of it, and what then."""

    kind: Kind
    data: dict[str, Any]
    then: Literal["end", "pause", "ask"]
    reason: str
    detail: str


class Conversation(ABC):
    """One conversation and the loop of its turns."""

    def __init__(self, host: Host, spec: Talk) -> None:
        self.host = host
        self.spec = spec
        self.table = Table(host.run.n)
        self.lock = asyncio.Lock()
        """Held while a turn begins and while a command changes what the next one will be."""
        self.memory_wait = MemoryWait(host)
        self.seating = Seating(f"{host.run.title} ({host.run.id})", self.memory_wait.begin)
        self.orders = Orders(host, self.seating, self.table)
        self.fault = ""
        """What was wrong with the answer that the next turn is to mend."""
        self.heeded = 0
        """Turns up to this one no longer count for the rules that end the talk: it was told to go on after them."""
        self.writing: Seat | None = None
        """The seat that writes beside the talk at the moment."""
        self._steering = Steering(self)
        self._step: asyncio.Task[None] | None = None
        self._cut_by = ""
        self._concluded = False
        self._reached: set[int] = set()
        """The limits that were told of."""

    # -- what a kind decides

    @abstractmethod
    def next_seat(self) -> Seat:
        """Who speaks next."""

    @abstractmethod
    async def order(self, seat: Seat, prefill: str) -> Order:
        """What the seat's next turn is to be; `prefill` is what it has of it already."""

    @abstractmethod
    def validated(self, data: dict[str, Any], source: str) -> Talk:
        """A changed spec, checked. Raises UsageError."""

    @abstractmethod
    def opening(self) -> tuple[str, str] | None:
        """(seat, text) of the turn that the pipeline itself says, if any."""

    async def beside(self, last: bool = False) -> bool:
        """Do one thing that comes between turns; False where nothing is left to do. `last`: no turn follows."""
        return False

    def skip_writing(self, db: sqlite3.Connection) -> None:
        """Leave out what is written beside the talk at the moment."""
        self.writing = None

    def crossed(self) -> Finding | None:
        """A rule of the kind by which the talk should end now."""
        return None

    # -- the run's life

    async def play(self) -> Outcome:
        await self.host.commit(self.prepare)
        while True:
            outcome = await self._over()
            if outcome is None:
                await self.host.gate.passage()
                outcome = await self._do(self._take_turn())
            if outcome:
                return await self._conclude(outcome)

    async def command(self, command: Command) -> None:
        await self._steering.obey(command)

    async def close(self) -> None:
        await self.seating.close()

    # -- what commands change

    @property
    def speaking(self) -> bool:
        """Whether a model is at work on a turn, or beside the talk."""
        working = self._step is not None and not self._step.done()
        return working and (self.writing is not None or not self.next_seat().human)

    def cut(self, why: str) -> None:
        """End the turn in progress; the loop goes on with the next one, or with this one again."""
        if self._step and not self._step.done():
            self._cut_by = why
            self._step.cancel()

    async def cut_and_wait(self, why: str) -> None:
        """`cut`, and return once the turn's end is recorded."""
        step = self._step
        self.cut(why)
        if step:
            await asyncio.wait({step})

    def skip_next(self, db: sqlite3.Connection) -> None:
        """The next seat says nothing in its turn. Raises Refused where no turn comes next."""
        self.table.load(db)
        full = allowances.tightest(db, self.host.run.n)["turns"]
        if full.left is not None and full.left <= _NOTHING:
            raise Refused(f"the limit of {_amount(full)} is reached: nobody is left to skip")
        self.fault = ""
        seat = self.next_seat()
        row = turns.open_turn(db, self.host.run.n, self.table.seq + 1, seat.name, seat.persona, seat.model)
        turns.skip(db, self.host.run.n, row, self.table.head)
        self._count_turns(db, 1)

    def redo_last(self, db: sqlite3.Connection) -> None:
        """Take the last turn back, so that it comes again. Raises Refused."""
        last = turns.get(db, self.host.run.n, self.table.seq)
        if last is None or last.n not in self.table.own:
            raise Refused("there is no turn of this run to redo yet")
        if last.state is State.SKIPPED:
            raise Refused("the last turn was skipped; say something, or let the next seat speak")
        if last.stop == "opening":
            raise Refused("the opening comes from the pipeline; edit it to change what it says")
        turns.replace(db, self.host.run.n, last.n, "retry")
        self._count_turns(db, -1)
        self.orders.forget()

    def changed(self, new: Talk | None = None) -> None:
        """A seat or what was said is no longer the same."""
        self.spec = new or self.spec
        self.orders.forget()

    # -- the loop

    def prepare(self, db: sqlite3.Connection) -> None:
        """Set the limits, and say what the pipeline begins with."""
        run = runs.get(db, self.host.run.n)
        self.table.load(db, past=self.host.continued)
        fresh = not allowances.of_run(db, run.n)
        for unit, cap in self.spec.limits.caps().items():
            node = allowances.set_cap(db, run.n, unit, cap)
            if fresh and unit == "turns" and run.turns:
                allowances.spend(db, node, run.turns)
        if self.table.seq == 0 and (opening := self.opening()):
            turns.say(db, run.n, 1, *opening, "opening")
            self.finished(db)
        self.heeded = sum(row <= self.host.continued for row in self.table.rows)

    async def _over(self) -> Outcome | None:
        """Why no further turn follows, if so."""
        if self.table.ended:
            word, who = self.table.ended
            return Outcome(Status.FINISHED, word, f"{who} said /{word}")
        found = (self._repeats() or self.crossed()) if self.table.fresh else None
        if found is None:
            return None
        await self._tell(found.kind, found.data)
        self.table.fresh, self.heeded = False, self.table.seq
        if found.then == "pause":
            await self.host.pause(found.reason)
            return None
        if found.then == "ask":
            answer = await self.host.ask("choose", f"{found.detail}. Go on?", _GO_ON, subject="rule", fallback="end")
            if answer == "go":
                return None
        return Outcome(Status.FINISHED, found.reason, found.detail)

    def _repeats(self) -> Finding | None:
        rule = self.spec.repetition
        if rule.then == "ignore":
            return None
        looping, share = repetition.looping(self.table.spoken, rule.threshold, rule.turns)
        if not looping or self.table.seq - self.heeded < rule.turns:
            return None
        told = {"measure": "trigrams", "value": round(share, 3), "threshold": rule.threshold, "turns": rule.turns}
        detail = f"the last {rule.turns} turns repeat earlier ones"
        return Finding(Kind.REPETITION_FOUND, told, rule.then, "repetition", detail)

    async def _conclude(self, outcome: Outcome) -> Outcome:
        """Do what is still to be done beside a talk that has ended by itself."""
        while outcome.status is Status.FINISHED and not self._concluded:
            if failed := await self._do(self._last_beside()):
                return failed if failed.status is Status.FAILED else outcome
        return outcome

    async def _last_beside(self) -> None:
        self._concluded = not await self.beside(last=True)

    async def _do(self, work: Coroutine[Any, Any, None]) -> Outcome | None:
        """One step that can be cut: a turn, or something beside the talk."""
        self._cut_by = ""
        self._step = asyncio.create_task(work, name="step")
        try:
            await self._step
        except asyncio.CancelledError:
            await self._end_row(None, self._cut_by or "stop")
            running = asyncio.current_task()
            if running and running.cancelling():  # the run is being stopped, not only this step
                raise
            if self._cut_by == "skip" and self.writing:
                await self.host.commit(self.skip_writing)
        except LimitReached as reached:
            return await self._limit(reached.allowance)
        except (ProviderError, ContextFullError, UsageError) as error:
            return await self._after_fault(error)
        finally:
            self._step, self.writing = None, None
            await self.memory_wait.end()
        return None

    async def _take_turn(self) -> None:
        if await self.beside():
            return
        async with self.lock:
            seat, row, minutes = await self.host.commit(self._begin)
        if seat and row is None:
            await self.host.ask(
                "text",
                f"Your turn as {seat.name}",
                subject=f"seat/{seat.name}",
                effect=lambda db, text: self._speak_for(db, seat.name, text),
            )
        elif seat and row is not None:
            await self._model_turn(seat, row, minutes)

    def _begin(self, db: sqlite3.Connection) -> tuple[Seat | None, int | None, float | None]:
        """Give what humans have said and open the next turn: its seat, its row (None for a human), minutes left.

        No seat: the words that a human gave a seat were the turn, or a human ended the talk. Raises LimitReached.
        """
        self.table.load(db)
        nodes = allowances.tightest(db, self.host.run.n)
        for node in nodes.values():
            if node.left is not None and node.left <= _NOTHING:
                raise LimitReached(node)
        words = notes.take_words(db, self.host.run.n)
        notes.give(db, self.host.run.n, self.table.seq + 1, self.table.head)
        self.table.load(db)
        if words:
            self._speak_for(db, *words)
        if words or self.table.ended:
            return None, None, None
        seat = self.next_seat()
        if seat.human:
            return seat, None, None
        if self.table.broken and not (
            self.spec.partial == "continue" and self.seating.adapter(seat)[0].honours.prefill
        ):
            self.table.broken = None
        row = turns.open_turn(
            db,
            self.host.run.n,
            self.table.seq + 1,
            seat.name,
            seat.persona,
            seat.model,
            continues=self.table.broken or "",
        )
        return seat, row, nodes["minutes"].left

    async def _model_turn(self, seat: Seat, row: int, minutes: float | None) -> None:
        """One turn by the seat's model. Cut, failed or finished, its row ends here."""
        speaker: Speaker | None = None
        try:
            order = await self.order(seat, self.table.broken or "")
            speaker = Speaker(self.host, order, row, self.memory_wait.end, self.finished)
            async with asyncio.timeout(minutes * 60 if minutes is not None else None):
                await speaker.speak()
        except TimeoutError:
            await self._end_row(speaker, "limit:minutes")
            await self.host.commit(self._spend_all_minutes)
        except LimitReached:
            await self._end_row(speaker, "limit")
            raise
        except asyncio.CancelledError:
            await self._end_row(speaker, self._cut_by or "stop")
            raise
        except Malformed as error:
            await self._end_row(speaker, "format")
            again, self.fault = bool(self.fault), str(error)
            told = {"seq": self.table.seq + 1, "seat": seat.name, "fault": self.fault}
            await self._tell(Kind.ANSWER_FAULTY, told)
            if again:
                raise ProviderError(Fault.INVALID, f"{seat.name} was asked twice: {self.fault}") from None
        except (ProviderError, ContextFullError, UsageError) as error:
            await self._end_row(speaker, "error", str(error))
            raise

    async def _end_row(self, speaker: Speaker | None, why: str, error: str = "") -> None:
        """Keep what a turn has said that will not be finished.

        Which turn is live only the record knows: a cut may fall into the commit that opens or finishes one.
        """
        if speaker:
            await speaker.settle(error or why)

        def end(db: sqlite3.Connection) -> None:
            live, run = turns.live(db, self.host.run.n), self.host.run.n
            if live is None:
                return
            if error:
                turns.fail(db, run, live.n, self.table.head, error)
            elif why == "skip":
                turns.skip(db, run, live.n, self.table.head)
                self._count_turns(db, 1)
            else:
                turns.keep_partial(db, run, live.n, self.table.head, why)
                self.table.load(db, anew=True)

        await self.host.commit(end)

    def _speak_for(self, db: sqlite3.Connection, seat: str, text: str) -> None:
        self.table.load(db)
        turns.say(db, self.host.run.n, self.table.seq + 1, seat, text, HUMAN)
        self.finished(db)

    def finished(self, db: sqlite3.Connection) -> None:
        """A turn was said, in its transaction: count it, and tell of the control words in it."""
        self.fault = ""
        self._count_turns(db, 1)
        seat, text = self.table.spoken[-1]
        for word in control_words.parse(text).words:
            events.append(
                db, self.host.run.n, Kind.CONTROL_WORD, f"turn/{self.table.seq}", {"seat": seat, "word": word}
            )

    def _count_turns(self, db: sqlite3.Connection, change: int) -> None:
        allowances.use(db, self.host.run.n, "turns", change)
        self.table.load(db)

    def _spend_all_minutes(self, db: sqlite3.Connection) -> None:
        left = allowances.tightest(db, self.host.run.n)["minutes"].left
        allowances.use(db, self.host.run.n, "minutes", max(left or 0.0, 0.0))

    async def _limit(self, node: Allowance) -> Outcome:
        if node.n not in self._reached:  # what comes beside the last turn meets the same limit
            self._reached.add(node.n)
            await self._tell(Kind.LIMIT_REACHED, {"unit": node.unit, "cap": node.cap, "spent": round(node.spent, 6)})
        return Outcome(Status.FINISHED, f"limit:{node.unit}", f"the limit of {_amount(node)} is reached")

    async def _after_fault(self, error: Exception) -> Outcome | None:
        """Retries have ended: ask what now, rather than die."""
        seat = self.writing or self.next_seat()
        answer = await self.host.ask("choose", str(error), _AFTER_FAULT, subject=f"seat/{seat.name}", fallback="stop")
        if answer == "model":
            question = f"Which model for {seat.name}? Write it as PROVIDER/MODEL"
            answer = "model=" + await self.host.ask("text", question, subject="model")
        if answer.startswith("model="):
            try:
                await self._steering.change_seat(seat.name, {"model": answer.removeprefix("model=").strip()})
            except UsageError as wrong:
                return await self._after_fault(wrong)
        elif answer == "skip":
            await self.host.commit(self.skip_writing if self.writing else self.skip_next)
        elif answer == "stop":
            return Outcome(Status.FAILED, "provider", str(error))
        return None

    async def _tell(self, kind: Kind, data: dict[str, Any]) -> None:
        await self.host.commit(lambda db: events.append(db, self.host.run.n, kind, None, data))


def _amount(node: Allowance) -> str:
    """The allowance in words: 1 turn, 15 minutes, $0.1."""
    if node.unit == "cost":
        return f"${node.cap:g}"
    return f"{node.cap:g} {node.unit.removesuffix('s') if node.cap == 1 else node.unit}"
