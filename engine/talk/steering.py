"""What humans may do to a conversation while it runs: each command in the transaction of its effect."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.record import asks, commands, events, notes, runs
from engine.record.commands import Command
from engine.record.events import Kind
from engine.runs import edits
from engine.runs.host import Refused
from engine.settings import layers
from engine.settings.errors import UsageError
from engine.talk import control_words, seats
from engine.talk.control_words import Word
from engine.talk.spec import HUMAN

if TYPE_CHECKING:
    from engine.talk.conversation import Conversation

_SEAT_KEYS = frozenset({"model", "persona", "options", "human", "window", "memory", "examples", "whole_sentences"})


class Steering:
    """The commands of one conversation. Raises `Refused` or UsageError where one cannot be done now."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._host = talk.host
        self._n = talk.host.run.n

    async def obey(self, command: Command) -> None:
        talk = self._talk
        match command.verb:
            case "step" if self._host.gate.closed:
                await self._take(command)
                self._host.gate.step()
            case "step":
                await self._host.pause("step", command)
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
                await self.change_seat(command.args["seat"], command.args["changes"], command)
            case "take" | "release":
                await self._hand_over(command)
            case _:
                raise Refused(f"a {talk.spec.kind} knows no {command.verb}")

    async def change_seat(self, name: str, changes: dict[str, Any], command: Command | None = None) -> None:
        """Change a seat from its next turn on. Raises UsageError."""
        talk = self._talk
        seat = talk.spec.seat(name)
        number = talk.spec.seats.index(seat)
        data = layers.copy(self._host.spec)
        for key, value in changes.items():
            if key.split(".")[0] not in _SEAT_KEYS:
                raise UsageError(f"{key}: a seat has no such key; known: {', '.join(sorted(_SEAT_KEYS))}")
            layers.put(data, f"seats.{number}.{key}", value, f"seat {seat.name}")
        try:
            new = talk.validated(data, f"seat {seat.name}")
        except UsageError as error:
            raise UsageError(str(error).replace(f"seats.{number}.", "", 1)) from None
        if changes.keys() != {"human"}:
            seats.check_options(talk.seating, new.seats[number])

        def write(db: sqlite3.Connection) -> None:
            if command:
                commands.take(db, self._n, command)
            told = {"seat": seat.name, "changes": changes}
            events.append(db, self._n, Kind.SEAT_CHANGED, f"seat/{seat.name}", told)

        await self._host.change_spec(new.model_dump(mode="json"), {f"seats.{number}": changes}, write)
        talk.changed(new)

    async def _take(self, command: Command, effect: Callable[[sqlite3.Connection], object] | None = None) -> None:
        def write(db: sqlite3.Connection) -> None:
            if commands.take(db, self._n, command) and effect:
                effect(db)

        await self._host.commit(write)

    def _queue(self, db: sqlite3.Connection, text: str, who: str) -> None:
        notes.queue(db, self._n, self._talk.table.seq + 1, HUMAN, text, who)

    async def _say(self, command: Command) -> None:
        text, name = command.args["text"], command.args.get("seat")
        if name:
            seat = self._talk.spec.seat(name)
            await self._take(command, lambda db: self._words_for(db, seat.name, text, command.who))
        else:
            await self._take(command, lambda db: self._queue(db, text, command.who))
        if command.args.get("now") or control_words.parse(text).has(Word.STOP):
            self._talk.cut("say")

    def _words_for(self, db: sqlite3.Connection, seat: str, text: str, who: str) -> None:
        """Answer the seat's ask where it waits for a human, else keep the words for its next chance."""
        for ask in asks.listing(db, self._n):
            if ask.kind == "text" and ask.subject == f"seat/{seat}":
                asks.answer(db, ask.n, text, who)
                return
        notes.queue_words(db, self._n, self._talk.table.seq + 1, seat, text, who)

    async def _skip(self, command: Command) -> None:
        if await self._answers_fault(command):
            return
        async with self._talk.lock:
            if self._talk.speaking:
                await self._take(command)
            else:
                await self._take(command, self._talk.skip_next)
            self._talk.cut("skip")

    async def _retry(self, command: Command) -> None:
        if await self._answers_fault(command):
            return
        talk = self._talk
        async with talk.lock:
            if talk.speaking:
                last = talk.table.seq
                await self._take(command)
                await talk.cut_and_wait("retry")
                if talk.table.seq > last:  # it was finished before it could be cut
                    await self._host.commit(talk.redo_last)
            else:
                await self._take(command, talk.redo_last)
                talk.cut("retry")

    async def _answers_fault(self, command: Command) -> bool:
        """A skip or retry while the run asks what to do after a fault is the answer."""

        def answer(db: sqlite3.Connection) -> bool:
            for ask in asks.listing(db, self._n):
                if any(option.value == command.verb for option in ask.options):
                    commands.take(db, self._n, command)
                    asks.answer(db, ask.n, command.verb, command.who)
                    return True
            return False

        return await self._host.commit(answer)

    async def _edit(self, command: Command) -> None:
        talk, seq, text = self._talk, command.args["turn"], command.args["text"]
        async with talk.lock:
            if seq != talk.table.seq:
                raise Refused(f"turn {seq} is no longer the last; edit it again to fork there")
            await talk.cut_and_wait("edit")

            def edit(db: sqlite3.Connection) -> None:
                if seq != talk.table.seq:
                    raise Refused(f"turn {seq} is no longer the last; edit it again to fork there")
                edits.rewrite(db, runs.get(db, self._n), seq, text)
                talk.table.load(db)

            await self._take(command, edit)
            talk.changed()

    async def _hand_over(self, command: Command) -> None:
        taken = command.verb == "take"
        seat = self._talk.spec.seat(command.args["seat"])
        if seat.human == taken:
            raise Refused(f"{seat.name} is {'yours already' if taken else 'not taken'}")
        if not taken and not seat.model:
            raise Refused(f"{seat.name} has no model; `tertulia swap` gives it one")
        await self.change_seat(seat.name, {"human": taken}, command)
        kind = Kind.SEAT_TAKEN if taken else Kind.SEAT_RELEASED
        told = {"seat": seat.name, "who": command.who}

        def write(db: sqlite3.Connection) -> None:
            events.append(db, self._n, kind, f"seat/{seat.name}", told)
            for ask in asks.listing(db, self._n):  # what to do about its model is no question any more
                if taken and ask.subject == f"seat/{seat.name}" and any(o.value == "retry" for o in ask.options):
                    asks.answer(db, ask.n, "retry", command.who)

        await self._host.commit(write)
        if self._talk.next_seat().name == seat.name:
            self._talk.cut(command.verb)
