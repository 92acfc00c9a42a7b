"""The measure of disagreement: a model is asked of every turn whether it denies earlier ones, once it has shown on
planted talks that it tells a denial from a paraphrase. What was answered is not asked again, after a restart either."""

from __future__ import annotations

import itertools
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from engine.providers.protocol import Message, ProviderError, Request
from engine.record import content, events, metrics, runs
from engine.record.events import Kind
from engine.settings.errors import UsageError
from engine.talk import answers
from engine.talk.judge import UnusableAnswer
from engine.talk.ledger import Ledger
from engine.talk.measures import disagreement
from engine.talk.measures.disagreement import Trial
from engine.talk.spec import Seat

if TYPE_CHECKING:
    from engine.talk.loop import Loop

MEASURE = "disagreement"
TRIAL, TURN = "trial", "measure"
"""The purposes of its calls."""
_WISHES = {"temperature": 0.0, "max_tokens": 400}
"""Options where the pipeline says nothing, if the provider honours them."""
_ANSWERED = """
SELECT message.text FROM call JOIN message ON message.n = call.answer
WHERE call.run = ? AND call.purpose = ? AND call.model = ? AND call.request = ? AND call.error IS NULL
"""


class Dissent:
    """The measure as one loop takes it."""

    def __init__(self, loop: Loop) -> None:
        self.series: list[tuple[int, float]] = []
        """(seq, value) over the turns that have one, oldest first."""
        self._loop = loop
        self._run = loop.host.run.n
        self._trusted: dict[str, bool] = {}
        """What came of each model's trial."""
        self._asked: int | None = None
        """The row of the last turn that was asked about."""
        self._silent = ""
        """The model that is not asked any more: it could not be had, or a human has skipped its trial."""

    async def take(self) -> bool:
        """Try the model, or ask it about the last turn; False where nothing is to be done. Raises LimitReached."""
        seat = self._loop.spec.watcher
        if seat is None or seat.model == self._silent:
            return False
        self._loop.writing = seat
        try:
            if tried := seat.model in self._trusted:
                found = self._trusted[seat.model or ""] and await self._ask_about_last(seat)
            else:
                await self._try(seat)
        except (ProviderError, UsageError) as error:
            self._silent = seat.model or ""
            await self._tell(seat, f"{error}; resume the run to ask it again")
            found = tried = True
        self._loop.writing = None
        return found if tried else True

    def skip(self) -> None:
        """Do without what the model is being asked: its trial, or the value of the last turn."""
        seat, rows = self._loop.spec.watcher, self._loop.table.rows
        if seat and seat.model not in self._trusted:
            self._silent = seat.model or ""
        elif rows:
            self._asked = rows[-1]

    async def _try(self, seat: Seat) -> None:
        """Learn whether the model can be trusted: from the record, or by a trial."""
        known = await self._loop.host.commit(lambda db: self._tried(db, seat.model))
        if known is None:
            numbers = itertools.count()

            async def ask(prompt: str, schema: dict[str, Any]) -> str:
                return (await self._answer(seat, TRIAL, next(numbers), prompt, schema))[0]

            trial = await disagreement.trial(ask)
            known = trial.trusted
            await self._tell(seat, "" if known else _failed(trial), trial)
        self._trusted[seat.model or ""] = known
        await self._load()

    def _tried(self, db: sqlite3.Connection, model: str | None) -> bool | None:
        """What came of an earlier trial of the model, in this run or in one that it was forked from."""
        for run, _ in runs.lineage(db, self._run):
            for event in events.backwards(db, run, [Kind.MEASURE_TRIED], events.newest(db)):
                if event.data["model"] == model and "p" in event.data:
                    return bool(event.data["trusted"])
        return None

    async def _ask_about_last(self, seat: Seat) -> bool:
        table = self._loop.table
        said = [
            (seq, who, text) for seq, (who, text) in enumerate(zip(table.spoke, table.texts, strict=True), 1) if text
        ]
        row = table.rows[-1] if table.rows else None
        if row is None or row == self._asked or row not in table.own or len(said) < 2 or said[-1][0] != table.seq:
            return False
        self._asked = row
        await self._load()
        if self.series and self.series[-1][0] == table.seq:
            return False
        *earlier, (seq, who, text) = said
        before = [(name, words) for _, name, words in earlier]
        asked = disagreement.prompt(before, (who, text))
        answer, fresh = await self._answer(seat, TURN, seq, asked, disagreement.SCHEMA)
        try:
            denial = disagreement.parse(answer, before, (who, text))
        except UnusableAnswer as error:
            if fresh:
                told = {"seq": seq, "seat": seat.name, "fault": str(error)}
                await self._commit(Kind.ANSWER_FAULTY, told)
            return True

        def write(db: sqlite3.Connection) -> None:
            metrics.put(db, self._run, row, {MEASURE: float(denial is not None)})
            if denial:
                back = earlier[-denial.back]
                told = {"seq": seq, "seat": who, "now": denial.now, "against": back[0], "earlier": denial.earlier}
                events.append(db, self._run, Kind.DENIAL_FOUND, f"turn/{seq}", told)

        await self._loop.host.commit(write)
        await self._load()
        return True

    async def _answer(
        self, seat: Seat, purpose: str, turn: int, prompt: str, schema: dict[str, Any]
    ) -> tuple[str, bool]:
        """(the model's answer, whether it was asked just now). Raises ProviderError, LimitReached, UsageError."""
        loop = self._loop
        adapter, model = loop.seating.adapter(seat)
        options = loop.seating.options(seat, _WISHES)
        wanted = schema if adapter.honours.answer_schema else None

        def recipe(db: sqlite3.Connection) -> dict[str, Any]:
            parts = {"asked": content.put_body(db, prompt), "options": content.put_json(db, options)}
            return parts if wanted is None else {**parts, "schema": content.put_json(db, wanted)}

        def find(db: sqlite3.Connection) -> str | None:
            request = json.dumps(recipe(db), separators=(",", ":"))
            row = db.execute(_ANSWERED, (self._run, purpose, seat.model, request)).fetchone()
            return str(row[0]) if row else None

        if (known := await loop.host.commit(find)) is not None:
            return known, False
        request = Request(
            model,
            [Message("user", prompt)],
            options,
            answer_schema=wanted,
            slot=f"{loop.host.run.id}/{seat.name}",
            turn=turn,
            seat=seat.name if purpose == TURN else purpose,
        )
        text = await answers.answer(
            loop.host,
            Ledger(loop.host, seat.model or "", bool(loop.spec.limits.cost)),
            adapter,
            loop.seating.place(seat),
            request,
            purpose=purpose,
            seat=seat.name,
            recipe=recipe,
            prompt_tokens=(await adapter.count(request)).tokens,
            on_answer=loop.memory_wait.end,
        )
        return text, True

    async def _load(self) -> None:
        found = await self._loop.host.commit(lambda db: metrics.of_turns(db, self._run))
        self.series = found.get(MEASURE, [])

    async def _tell(self, seat: Seat, why: str, trial: Trial | None = None) -> None:
        """Tell what came of the trial, and why the measure is not shown, if it is not."""
        told: dict[str, Any] = {"measure": MEASURE, "model": seat.model, "trusted": not why}
        if why:
            told["why"] = why
        if trial:
            told |= {"of": trial.count, "hits": trial.contradictions, "wrong": trial.paraphrases, "p": trial.p}
        await self._commit(Kind.MEASURE_TRIED, told)

    async def _commit(self, kind: Kind, told: dict[str, Any]) -> None:
        await self._loop.host.commit(lambda db: events.append(db, self._run, kind, None, told))


def _failed(trial: Trial) -> str:
    unusable = f"; {trial.unusable} of its answers could not be used" if trial.unusable else ""
    return (
        f"it found {trial.contradictions} of {trial.count} planted contradictions and let"
        f" {trial.count - trial.paraphrases} of {trial.count} paraphrases pass{unusable}"
    )
