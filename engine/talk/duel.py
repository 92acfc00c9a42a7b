"""The kind `duel`: two seats take turns until one of them, a limit or a human ends it."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from engine.providers import registry
from engine.providers.protocol import ProviderError, Request
from engine.record import allowances, asks, commands, content, events, runs, turns
from engine.record.asks import Option
from engine.record.commands import Command
from engine.record.events import Kind
from engine.record.runs import Status
from engine.runs import edits
from engine.runs.host import Host, Outcome, Refused
from engine.settings import layers
from engine.settings.errors import UsageError
from engine.talk import repetition, seats, spec, summary, window
from engine.talk.seats import Seating
from engine.talk.speaker import LimitReached, Order, Speaker
from engine.talk.spec import Seat
from engine.talk.table import Table
from engine.talk.view import HUMAN, Frame, frame_body

_AFTER_FAULT = (
    Option("retry", "retry", "r"),
    Option("model", "other model", "m"),
    Option("skip", "skip", "s"),
    Option("stop", "stop", "x"),
)


def validate(pipeline: dict[str, Any], source: str) -> dict[str, Any]:
    return spec.validate(pipeline, source).model_dump(mode="json")


async def check(data: dict[str, Any]) -> None:
    await seats.check(spec.Duel.model_validate(data))


def create(host: Host) -> Duel:
    return Duel(host)


class Duel:
    """One duel being played: the loop of turns, and the commands that bend it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.spec = spec.Duel.model_validate(host.spec)
        self._seating = Seating(f"{host.run.title} ({host.run.id})", self._on_model_wait)
        self._table = Table(host.run.n)
        self._turn: asyncio.Task[None] | None = None
        self._cut_by: str | None = None
        self._lock = asyncio.Lock()
        """Held while a turn begins and while a command changes what the next one will be."""
        self._dropped: dict[str, int] = {}
        self._summaries: dict[tuple[int, ...], str] = {}
        self._memory: asyncio.Task[None] | None = None

    async def play(self) -> Outcome:
        await self.host.commit(self._prepare)
        while True:
            outcome = await self._over()
            if outcome:
                return outcome
            await self.host.gate.passage()
            outcome = await self._one_turn()
            if outcome:
                return outcome

    async def close(self) -> None:
        await self._seating.close()

    # -- the loop

    def _prepare(self, db: sqlite3.Connection) -> None:
        run = runs.get(db, self.host.run.n)
        self._table.load(db, ignore_endings=self.host.continued)
        limits = self.spec.limits
        caps = {"turns": limits.turns or None, "tokens": limits.tokens, "cost": limits.cost, "minutes": limits.minutes}
        fresh = not allowances.of_run(db, run.n)
        for unit, cap in caps.items():
            node = allowances.set_cap(db, run.n, unit, cap)
            if fresh and unit == "turns" and run.turns:
                allowances.spend(db, node, run.turns)
        if self.spec.partial != "continue":
            self._table.broken = None
        if self._table.seq == 0 and self.spec.opening:
            speaker = self.spec.other(self.spec.starter).name
            turns.say(db, run.n, 1, speaker, self.spec.opening, "opening")
            allowances.spend(db, allowances.of_run(db, run.n)["turns"].n, 1)
            self._table.load(db)

    async def _over(self) -> Outcome | None:
        """Why no further turn follows, if so."""
        if self._table.ended:
            word, seat = self._table.ended
            return Outcome(Status.FINISHED, word, f"{seat} said /{word}")
        full = await self.host.commit(self._full)
        if full:
            return await self._limit(full)
        rule = self.spec.repetition
        if rule.then != "ignore" and self._table.fresh:
            looping, share = repetition.looping(self._table.spoken, rule.threshold, rule.turns)
            if looping:
                return await self._repeats(share)
        return None

    def _full(self, db: sqlite3.Connection) -> allowances.Allowance | None:
        for node in allowances.of_run(db, self.host.run.n).values():
            if node.left is not None and node.left <= 0:
                return node
        return None

    async def _limit(self, node: allowances.Allowance) -> Outcome:
        data = {"unit": node.unit, "cap": node.cap, "spent": round(node.spent, 6)}
        await self._note(Kind.LIMIT_REACHED, data)
        return Outcome(Status.FINISHED, f"limit:{node.unit}", f"the limit of {node.cap:g} {node.unit} is reached")

    async def _repeats(self, share: float) -> Outcome | None:
        rule = self.spec.repetition
        data = {"measure": "trigrams", "value": round(share, 3), "threshold": rule.threshold, "turns": rule.turns}
        await self._note(Kind.REPETITION_FOUND, data)
        self._table.fresh = False
        if rule.then == "pause":
            await self.host.pause("repetition")
            return None
        return Outcome(Status.FINISHED, "repetition", f"the last {rule.turns} turns repeat earlier ones")

    async def _one_turn(self) -> Outcome | None:
        self._cut_by = None
        self._turn = asyncio.create_task(self._take_turn(), name="turn")
        try:
            await self._turn
        except asyncio.CancelledError:
            running = asyncio.current_task()
            if running and running.cancelling():  # the run is being stopped, not only this turn
                raise
        except LimitReached as reached:
            return await self._limit(reached.allowance)
        except (ProviderError, window.ContextFullError, UsageError) as error:
            return await self._after_fault(error)
        finally:
            self._turn = None
            await self._has_memory()
            await self.host.commit(self._table.load)
        return None

    async def _take_turn(self) -> None:
        async with self._lock:
            words = await self.host.commit(self._said_for_a_seat)
            seat = None if words else self._next()
            if seat and not seat.human:
                await self.host.commit(self._give_notes)
                row = await self._open(seat)
        if words:
            await self.host.commit(self._table.load)
        elif seat and seat.human:
            await self._human(seat)
        elif seat:
            await self._model(seat, row)

    def _next(self) -> Seat:
        last = self._table.last_seat
        return self.spec.other(last) if last else self.spec.seat(self.spec.starter)

    def _give_notes(self, db: sqlite3.Connection) -> None:
        turns.give_notes(db, self.host.run.n, self._table.seq + 1, self._table.head)
        self._table.load(db)

    async def _open(self, seat: Seat) -> int:
        seq, broken = self._table.seq + 1, self._table.broken
        continues = broken if broken and (await self._can_continue(seat)) else ""
        self._table.broken = continues or None
        return await self.host.commit(
            lambda db: turns.open_turn(
                db, self.host.run.n, seq, seat.name, seat.persona, seat.model, continues=continues
            )
        )

    async def _can_continue(self, seat: Seat) -> bool:
        return self._seating.adapter(seat)[0].honours.prefill

    async def _model(self, seat: Seat, row: int) -> None:
        """One turn by the seat's model. Cut, failed or finished, its row ends here."""
        speaker: Speaker | None = None
        try:
            speaker = Speaker(self.host, await self._order(seat), row, self._has_memory)
            minutes = await self._minutes_left()
            async with asyncio.timeout(minutes * 60 if minutes is not None else None):
                await speaker.speak()
        except TimeoutError:
            await self._end_row(speaker.row if speaker else row, speaker, "limit:minutes")
            await self.host.commit(self._spend_all_minutes)
        except LimitReached:
            await self._end_row(row, speaker, "limit")
            raise
        except asyncio.CancelledError:
            await self._end_row(speaker.row if speaker else row, speaker, self._cut_by or "stop")
            raise
        except (ProviderError, window.ContextFullError, UsageError) as error:
            last, text = speaker.row if speaker else row, str(error)
            if speaker:
                await speaker.settle(text)
            await self.host.commit(lambda db: turns.fail(db, self.host.run.n, last, self._table.head, text))
            raise

    async def _end_row(self, row: int, speaker: Speaker | None, why: str) -> None:
        """Keep what a turn has said that will not be finished."""
        if speaker:
            await speaker.settle(why)

        def end(db: sqlite3.Connection) -> None:
            if why == "skip":
                turns.skip(db, self.host.run.n, row, self._table.head)
                allowances.spend(db, allowances.of_run(db, self.host.run.n)["turns"].n, 1)
            else:
                turns.keep_partial(db, self.host.run.n, row, self._table.head, why)

        await self.host.commit(end)

    async def _order(self, seat: Seat) -> Order:
        """The request of the seat's next turn, fitted into its window."""
        adapter, model = self._seating.adapter(seat)
        options = self._seating.options(seat)
        seq = self._table.seq + 1
        if self.spec.seed is not None and "seed" in adapter.honours.options and "seed" not in seat.options:
            options["seed"] = self.spec.seed + seq + 1_000_003 * self._table.retries
        frame = Frame.of(self.spec, seat)
        prefill = self._table.broken or ""
        request = Request(model, [], options, prefill=prefill, slot=f"{self.host.run.id}/{seat.name}")
        fit = await window.fit(
            adapter,
            seat.model or "",
            request,
            frame,
            self._table.said,
            await self._seating.window(seat, options),
            self.spec.context.strategy,
            lambda dropped, summary: self._summarise(seat, dropped, summary),
            self._dropped.get(seat.name, 0),
        )
        recipe = await self.host.commit(lambda db: self._recipe(db, frame, options, fit, prefill))
        if fit.cut.drop and fit.cut.drop != self._dropped.get(seat.name, 0):
            await self._tell_cut(seat, fit)
        self._dropped[seat.name] = fit.cut.drop
        return Order(
            seat=seat.name,
            persona=seat.persona,
            model=seat.model or "",
            seq=seq,
            adapter=adapter,
            request=Request(model, fit.messages, options, prefill=prefill, slot=request.slot),
            recipe=recipe,
            prompt_tokens=fit.tokens,
            head=self._table.head,
            whole_sentences=bool(seat.whole_sentences),
            priced=self.spec.limits.cost is not None,
        )

    def _recipe(
        self, db: sqlite3.Connection, frame: Frame, options: dict[str, Any], fit: window.Fit, prefill: str
    ) -> dict[str, Any]:
        """The request as numbers of recorded content."""
        recipe: dict[str, Any] = {
            "frame": content.put_json(db, frame_body(frame)),
            "head": self._table.head,
            "options": content.put_json(db, options),
        }
        if fit.cut.drop:
            recipe["cut"] = [fit.cut.keep, fit.cut.drop]
        if fit.cut.summary:
            recipe["summary"] = content.put_body(db, fit.cut.summary)
        if prefill:
            recipe["prefill"] = content.put_body(db, prefill)
        return recipe

    async def _tell_cut(self, seat: Seat, fit: window.Fit) -> None:
        size = await self._seating.window(seat, self._seating.options(seat))
        data = {
            "seat": seat.name,
            "strategy": self.spec.context.strategy,
            "kept": fit.cut.keep,
            "dropped": fit.cut.drop,
            "tokens": fit.tokens,
            "window": size,
            "exact": fit.exact,
        }
        await self._note(Kind.CONTEXT_CUT, data)

    async def _summarise(self, seat: Seat, dropped: Any, before: str) -> str:
        """A summary of dropped messages by the seat's own model; made once, found again after a restart."""
        key = tuple(message.n for message in dropped)
        if key not in self._summaries:
            found = await self.host.commit(lambda db: summary.find(db, self.host.run.n, key))
            if found is None:
                adapter, model = self._seating.adapter(seat)
                options = self._seating.options(seat)
                found = await summary.summarise(self.host, adapter, model, seat, options, dropped, before)
            self._summaries[key] = found
        return self._summaries[key]

    async def _human(self, seat: Seat) -> None:
        """Ask for the seat's words; the answer becomes its turn."""
        await self.host.commit(self._give_notes)
        text = await self.host.ask("text", f"Your turn as {seat.name}", subject=f"seat/{seat.name}")
        await self.host.commit(lambda db: self._speak_for(db, seat.name, text))

    def _speak_for(self, db: sqlite3.Connection, seat: str, text: str) -> None:
        turns.say(db, self.host.run.n, self._table.seq + 1, seat, text, HUMAN)
        allowances.spend(db, allowances.of_run(db, self.host.run.n)["turns"].n, 1)
        self._table.load(db)

    def _said_for_a_seat(self, db: sqlite3.Connection) -> bool:
        """Words that a human gave a seat become its turn, before any other."""
        words = turns.take_words(db, self.host.run.n)
        if words:
            self._give_notes(db)
            self._speak_for(db, *words)
        return bool(words)

    async def _minutes_left(self) -> float | None:
        nodes = await self.host.commit(lambda db: allowances.of_run(db, self.host.run.n))
        return nodes["minutes"].left

    def _spend_all_minutes(self, db: sqlite3.Connection) -> None:
        node = allowances.of_run(db, self.host.run.n)["minutes"]
        allowances.spend(db, node.n, max(node.left or 0.0, 0.0))

    # -- faults

    async def _after_fault(self, error: Exception) -> Outcome | None:
        """Retries have ended: ask what now, rather than die."""
        seat = self._next()
        answer = await self.host.ask("choose", f"{error}", _AFTER_FAULT, subject=f"seat/{seat.name}", fallback="stop")
        if answer == "model":
            answer = "model=" + await self.host.ask(
                "text", f"Which model for {seat.name}? Write it as PROVIDER/MODEL", subject="model"
            )
        if answer.startswith("model="):
            try:
                await self._change_seat(seat.name, {"model": answer.removeprefix("model=").strip()}, None)
            except UsageError as wrong:
                return await self._after_fault(wrong)
        elif answer == "skip":
            await self.host.commit(self._skip_next)
        elif answer == "stop":
            return Outcome(Status.FAILED, "provider", str(error))
        return None

    def _skip_next(self, db: sqlite3.Connection) -> None:
        run, seat = self.host.run.n, self._next()
        row = turns.open_turn(db, run, self._table.seq + 1, seat.name, seat.persona, seat.model)
        turns.skip(db, run, row, self._table.head)
        allowances.spend(db, allowances.of_run(db, run)["turns"].n, 1)
        self._table.load(db)

    def _on_model_wait(self, holders: list[Any]) -> None:
        """Called by the local provider while it waits for memory that other runs hold."""
        names = ", ".join(dict.fromkeys(holder.who for holder in holders)) or "other programs"
        self._memory = self._memory or asyncio.get_running_loop().create_task(self._wait_for_memory(names))

    async def _wait_for_memory(self, names: str) -> None:
        async with self.host.waiting(f"memory held by {names}"):
            await asyncio.Event().wait()

    async def _has_memory(self) -> None:
        """The model has answered: whatever memory it waited for, it has."""
        if self._memory:
            waited, self._memory = self._memory, None
            waited.cancel()
            await asyncio.wait({waited})

    async def _note(self, kind: Kind, data: dict[str, Any]) -> None:
        await self.host.commit(lambda db: events.append(db, self.host.run.n, kind, None, data))

    # -- commands

    async def command(self, command: Command) -> None:
        match command.verb:
            case "step" if self.host.gate.closed:
                await self._take(command)
                self.host.gate.step()
            case "step":
                await self.host.pause("step", command)
            case "say":
                await self._say(command)
            case "bye":
                await self._take(command, lambda db: self._queue(db, "/bye", command.who))
            case "skip":
                await self._skip(command)
            case "retry":
                await self._retry(command)
            case "edit":
                await self._edit(command)
            case "swap":
                await self._change_seat(command.args["seat"], command.args["changes"], command)
            case "take" | "release":
                await self._hand_over(command)
            case _:
                raise Refused(f"a duel knows no {command.verb}")

    async def _take(self, command: Command, effect: Any = None) -> None:
        def write(db: sqlite3.Connection) -> None:
            if commands.take(db, self.host.run.n, command) and effect:
                effect(db)

        await self.host.commit(write)

    def _queue(self, db: sqlite3.Connection, text: str, who: str) -> None:
        turns.queue_note(db, self.host.run.n, self._table.seq + 1, HUMAN, text, who)

    async def _say(self, command: Command) -> None:
        text, name = command.args["text"], command.args.get("seat")
        if not name:
            await self._take(command, lambda db: self._queue(db, text, command.who))
        else:
            seat = self.spec.seat(name)
            await self._take(command, lambda db: self._words_for(db, seat.name, text, command.who))
        if command.args.get("now"):
            self._cut("say")

    def _words_for(self, db: sqlite3.Connection, seat: str, text: str, who: str) -> None:
        """Answer the seat's ask where it waits for a human, else keep the words for its next chance."""
        for ask in asks.listing(db, self.host.run.n):
            if ask.kind == "text" and ask.subject == f"seat/{seat}":
                asks.answer(db, ask.n, text, who)
                return
        turns.queue_words(db, self.host.run.n, self._table.seq + 1, seat, text, who)

    async def _skip(self, command: Command) -> None:
        if await self._answers_fault(command):
            return
        async with self._lock:
            if self._turn and not self._turn.done():
                await self._take(command)
                self._cut("skip")
            else:
                await self._take(command, self._skip_next)

    async def _retry(self, command: Command) -> None:
        if await self._answers_fault(command):
            return
        async with self._lock:
            if self._turn and not self._turn.done():
                await self._take(command)
                self._cut("retry")
                return
            last = await self.host.commit(lambda db: turns.get(db, self.host.run.n, self._table.seq))
            if last is None or last.n not in self._table.own:
                raise Refused("there is no turn of this run to redo yet")
            if last.state is turns.State.SKIPPED:
                raise Refused("the last turn was skipped; say something, or let the next seat speak")

            def replace(db: sqlite3.Connection) -> None:
                turns.replace(db, self.host.run.n, last.n, "retry")
                self._table.load(db)

            await self._take(command, replace)

    async def _answers_fault(self, command: Command) -> bool:
        """A skip or retry while the run asks what to do after a fault is the answer."""

        def answer(db: sqlite3.Connection) -> bool:
            for ask in asks.listing(db, self.host.run.n):
                if any(option.value == command.verb for option in ask.options):
                    commands.take(db, self.host.run.n, command)
                    asks.answer(db, ask.n, command.verb, command.who)
                    return True
            return False

        return await self.host.commit(answer)

    async def _edit(self, command: Command) -> None:
        async with self._lock:
            seq, text = command.args["turn"], command.args["text"]
            if seq != self._table.seq:
                raise Refused(f"turn {seq} is no longer the last; edit it again to fork there")

            def edit(db: sqlite3.Connection) -> None:
                edits.rewrite(db, runs.get(db, self.host.run.n), seq, text)
                self._table.load(db)

            if self._turn and not self._turn.done():
                self._cut("edit")
                await asyncio.wait({self._turn})
            await self._take(command, edit)

    async def _change_seat(self, name: str, changes: dict[str, Any], command: Command | None) -> None:
        """Change a seat from its next turn on. Raises UsageError."""
        seat = self.spec.seat(name)
        number = self.spec.seats.index(seat)
        allowed = {"model", "persona", "options", "human", "window", "examples", "whole_sentences"}
        for key in changes:
            if key.split(".")[0] not in allowed:
                raise UsageError(f"{key}: a seat has no such key; known: {', '.join(sorted(allowed))}")
        data = layers.copy(self.host.spec)
        for key, value in changes.items():
            layers.put(data, f"seats.{number}.{key}", value, f"seat {seat.name}")
        new = spec.validate(data, f"seat {seat.name}")
        changed = new.seats[number]
        if changed.model:
            registry.endpoint(registry.split(changed.model)[0])

        def note(db: sqlite3.Connection) -> None:
            if command:
                commands.take(db, self.host.run.n, command)
            events.append(
                db, self.host.run.n, Kind.SEAT_CHANGED, f"seat/{seat.name}", {"seat": seat.name, "changes": changes}
            )

        await self.host.change_spec(new.model_dump(mode="json"), {f"seats.{number}": changes}, note)
        self.spec = new
        self._dropped.pop(seat.name, None)

    async def _hand_over(self, command: Command) -> None:
        taken = command.verb == "take"
        seat = self.spec.seat(command.args["seat"])
        if seat.human == taken:
            raise Refused(f"{seat.name} is {'yours' if taken else 'not taken'} already")
        if not taken and not seat.model:
            raise Refused(f"{seat.name} has no model; `tertulia swap` gives it one")
        await self._change_seat(seat.name, {"human": taken}, command)
        kind = Kind.SEAT_TAKEN if taken else Kind.SEAT_RELEASED
        await self._note(kind, {"seat": seat.name, "who": command.who})
        if self._next().name == seat.name:
            self._cut(command.verb)

    def _cut(self, why: str) -> None:
        """End the turn in progress; the loop goes on with the next one, or with this one again."""
        if self._turn and not self._turn.done():
            self._cut_by = why
            self._turn.cancel()
