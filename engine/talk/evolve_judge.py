"""The judge of a series at work: tried on planted pairs, then asked about pairs of answers, each in both orders."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.providers.protocol import Message, ProviderError, Request
from engine.record import content, events, lineage
from engine.record.asks import Option
from engine.record.events import Kind
from engine.record.lineage import Judgement
from engine.runs.host import Host
from engine.settings import layers
from engine.settings.errors import UsageError
from engine.talk import answers, judge, seats, window
from engine.talk import spec as talk_spec
from engine.talk.judge import Outcome, UnusableAnswer
from engine.talk.ledger import Ledger
from engine.talk.memory_wait import MemoryWait
from engine.talk.seats import Seating
from engine.talk.series_spec import Parted
from engine.talk.series_spec import Series as Spec
from engine.talk.spec import Seat, Talk

NAME = "Judge"
_WISHES: dict[str, Any] = {"temperature": 0.0, "max_tokens": 160}
_AFTER_FAULT = (
    Option("retry", "retry", "r"),
    Option("form", "go on without the judge", "f"),
    Option("stop", "stop", "x"),
)
_ENDED = "the series was ended before the judge had compared the answers"


class Trial(BaseModel):
    """What `config/trial.yml` says."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    class Item(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)
        question: str = Field(min_length=1)
        answer: str = Field(min_length=1)

    answers: list[Item] = Field(min_length=judge.LEAST_PAIRS)


class Unjudged(Exception):
    """The judge can say nothing, or nothing that would count: one line that says why."""


class Stopped(Exception):
    """The judge failed, and whoever was asked stops the series for it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one question; `one` and `other` name them in the record."""

    question: str
    one: int
    first: str
    other: int
    second: str


def seat(spec: Spec) -> Seat:
    """The judge as a seat that has no turns. The series must name one."""
    assert spec.judge
    return Seat.model_construct(name=NAME, persona="", model=spec.judge.model, options=spec.judge.options)


async def check(spec: Spec) -> None:
    """Whether the judge's key, server, model and options are there. Raises UsageError."""
    if spec.judge:
        limits = talk_spec.Limits(cost=spec.limits.cost)
        await seats.check(Talk.model_construct(kind="series", seats=[seat(spec)], limits=limits))


def trial() -> Trial:
    """The answers that a judge is tried on. Raises UsageError."""
    try:
        found = Trial.model_validate(layers.load("trial"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        spot = ".".join(map(str, first["loc"]))
        raise UsageError(f"{layers.named('trial')}: {spot}: {first['msg']}") from None
    short = [number for number, item in enumerate(found.answers) if judge.shuffled(item.answer, "") is None]
    usable, least = len(found.answers) - len(short), judge.LEAST_PAIRS
    if usable < least:
        raise UsageError(
            f"{layers.named('trial')}: answers.{short[0]}.answer: fewer than three different sentences, nothing to"
            f" shuffle; only {usable} of {len(found.answers)} answers have them, a judge is tried on {least}"
        )
    return found


class Judging:
    """The judge of one series."""

    def __init__(self, host: Host, spec: Spec, parting: Callable[[], bool]) -> None:
        """`parting` tells whether somebody has ended the series: no further pair is asked about then."""
        self._host = host
        self._parting = parting
        self._spec = spec
        self._waits = MemoryWait(host)
        self._seating = Seating(f"{host.run.title} ({host.run.id})", self._waits.begin)
        self.distrust = "the series names no judge"
        """Why the judge selects nothing; "" where it may."""

    async def close(self) -> None:
        await self._seating.close()

    async def try_out(self) -> None:
        """Ask about the planted pairs, as long as the judge can still prove itself; a trial is made once for a model.

        One that could not be made is made by the next host. Its calls are a measurement, and take nothing of the
        lineage's budget. Raises Stopped, Parted.
        """
        if not self._spec.judge:
            return
        model = self._spec.judge.model
        run = self._host.run.n
        made = await self._host.commit(lambda db: lineage.told(db, run, Kind.JUDGE_TRIED))
        if made and made[-1]["model"] == model and not made[-1].get("why"):
            self._believe(made[-1])
            return
        items = trial().answers
        planted = judge.planted([item.answer for item in items], self._spec.seed)
        texts = {item.answer: item.question for item in items}
        pairs = [Pair(texts[real], n, real, 0, mixed) for n, (real, mixed) in enumerate(planted, 1)]
        told: dict[str, Any] = {"model": model, "trusted": False, "pairs": len(pairs)}
        try:
            outcomes = await self._compare("trial", 0, pairs, counted=False, until=_hopeless(len(pairs)))
            said = await self._host.commit(lambda db: lineage.judgements(db, run, "trial"))
            unusable = sum(item.model == model and None in (item.forward, item.backward) for item in said)
            told |= {"trusted": judge.trusted(outcomes), **figures(outcomes), "unusable": unusable}
            told["p"] = round(judge.sign_test(told["wins"], told["ties"] + told["losses"]), 6)  # what trust rests on
        except Unjudged as error:
            told["why"] = str(error)
        except Parted:
            self.distrust = _ENDED
            await self._host.commit(lambda db: lineage.judging(db, run, None))
            raise

        def tried(db: sqlite3.Connection) -> None:
            lineage.judging(db, run, None)
            events.append(db, run, Kind.JUDGE_TRIED, None, told)

        await self._host.commit(tried)
        self._believe(told)

    async def compare(self, purpose: str, generation: int, pairs: Sequence[Pair], *, counted: bool) -> list[Outcome]:
        """What each pair came to for its first text, asked about once ever. Raises Unjudged, LimitReached, Stopped."""
        if self.distrust:
            raise Unjudged(self.distrust)
        try:
            return await self._compare(purpose, generation, pairs, counted=counted)
        except Parted:
            raise Unjudged(_ENDED) from None

    def _believe(self, told: dict[str, Any]) -> None:
        if told.get("why"):
            self.distrust = f"the judge could not be tried: {told['why']}"
        else:
            self.distrust = "" if told["trusted"] else "the judge has not told real text from shuffled"

    async def _compare(
        self, purpose: str, generation: int, pairs: Sequence[Pair], *, counted: bool, until: int | None = None
    ) -> list[Outcome]:
        """`until`: the number of pairs not won after which no further one is asked about. Raises Parted."""
        assert self._spec.judge
        run, model = self._host.run.n, self._spec.judge.model
        told = {"model": model, "purpose": purpose, "generation": generation, "total": len(pairs)}

        def known(db: sqlite3.Connection) -> dict[tuple[int, int], Judgement]:
            every = lineage.judgements(db, run, purpose, generation)
            made = {(item.one, item.other): item for item in every if item.model == model}
            lineage.judging(db, run, {**told, "done": sum((pair.one, pair.other) in made for pair in pairs)})
            return made

        made = await self._host.commit(known)
        outcomes: list[Outcome] = []
        for number, pair in enumerate(pairs):
            if until is not None and sum(outcome != "win" for outcome in outcomes) >= until:
                break
            found = made.get((pair.one, pair.other))
            if found is None:
                if self._parting():
                    raise Parted
                progress = {**told, "done": number + 1}
                found = await self._judge(purpose, generation, number, pair, counted, progress)
            outcomes.append(found.outcome)  # type: ignore[arg-type]
        return outcomes

    async def _judge(
        self, purpose: str, generation: int, number: int, pair: Pair, counted: bool, progress: dict[str, Any]
    ) -> Judgement:
        """One pair in both orders, its outcome recorded together with how far the judge is then."""
        await self._host.gate.passage()
        orders = iter([(pair.first, pair.second), (pair.second, pair.first)])
        turn = 2 * number

        async def ask(prompt: str, schema: dict[str, Any]) -> str:
            nonlocal turn
            first, second = next(orders)
            answer = await self._patiently(purpose, prompt, schema, turn, counted)
            try:
                judge.parse(answer, first, second)
            except UnusableAnswer as fault:
                told = f"{prompt}\n\nYour last answer could not be used: {fault}. Give the JSON object, nothing else."
                answer = await self._patiently(purpose, told, schema, turn, counted)
            turn += 1
            return answer

        made = await judge.compare(ask, pair.question, pair.first, pair.second)
        forward, backward = (verdict.better if verdict else None for verdict in made.verdicts)
        found = Judgement(
            purpose=purpose,
            generation=generation,
            one=pair.one,
            other=pair.other,
            forward=forward,
            backward=backward,
            outcome=made.outcome,
            fault="; ".join(made.faults) or None,
            model=self._spec.judge.model if self._spec.judge else "",
        )

        def write(db: sqlite3.Connection) -> None:
            lineage.judge(db, self._host.run.n, found)
            lineage.judging(db, self._host.run.n, progress)

        await self._host.commit(write)
        return found

    async def _patiently(self, purpose: str, prompt: str, schema: dict[str, Any], turn: int, counted: bool) -> str:
        """The judge's answer. Once retries have ended, someone is asked what now. Raises Unjudged, Stopped."""
        while True:
            try:
                return await self._ask(purpose, prompt, schema, turn, counted)
            except (ProviderError, UsageError) as error:
                answer = await self._host.ask(
                    "choose", f"the judge: {error}", _AFTER_FAULT, subject="judge", fallback="form"
                )
                if answer == "stop":
                    raise Stopped(str(error)) from None
                if answer == "form":
                    raise Unjudged(str(error)) from None

    async def _ask(self, purpose: str, prompt: str, schema: dict[str, Any], turn: int, counted: bool) -> str:
        """One call. Raises ProviderError, UsageError, LimitReached, UnusableAnswer for a prompt that is too long."""
        who = seat(self._spec)
        adapter, model = self._seating.adapter(who)
        options = self._seating.options(who, _WISHES)
        messages = [Message("user", prompt)]
        request = Request(model, messages, options, slot=f"{self._host.run.id}/{NAME}", turn=turn, seat=NAME)
        if adapter.honours.answer_schema:
            request = replace(request, answer_schema=schema)
        tokens = (await adapter.count(request)).tokens
        size = await self._seating.window(who, options)
        if size and tokens + int(options.get("max_tokens") or window.RESERVE) > size:
            raise UnusableAnswer(f"both texts together have {tokens} tokens, the judge's window is {size}")

        def recipe(db: sqlite3.Connection) -> dict[str, Any]:
            return {"prompt": content.put_body(db, prompt), "options": content.put_json(db, options)} | (
                {"schema": content.put_json(db, schema)} if adapter.honours.answer_schema else {}
            )

        try:
            return await answers.answer(
                self._host,
                Ledger(self._host, who.model or "", bool(self._spec.limits.cost), counted),
                adapter,
                self._seating.place(who),
                request,
                purpose=purpose,
                seat=NAME,
                recipe=recipe,
                prompt_tokens=tokens,
                on_answer=self._waits.end,
            )
        finally:
            await self._waits.end()


def figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The tally of outcomes as events carry it."""
    return {key: round(value, 6) for key, value in asdict(judge.tally(outcomes)).items()}


def _hopeless(pairs: int) -> int:
    """How many pairs not won leave a judge no way to be trusted any more."""
    return next(lost for lost in range(1, pairs + 2) if judge.sign_test(pairs - lost, lost) >= judge.SIGNIFICANT)
