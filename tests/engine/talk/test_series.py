"""A question that evolves: who selects, what the next generation starts from, what it may cost, what a kill leaves."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.record import allowances, lineage
from engine.record.errors import RecordError
from engine.record.events import Kind
from engine.record.lineage import Candidate, Child
from engine.record.runs import Status
from engine.runs import spawn
from engine.runs.host import Outcome
from engine.talk import evolve_judge, form, judge
from tests.engine.talk.stage import Stage
from tests.nursery import Nursery

QUESTION = "What does a city lose when it becomes quiet?"
PLAN = "It loses its signals.\n- Bells\n- Trams\n- Voices\n1. Measure the error rate at 3 sites."
ANSWERS = ["It loses its sense of time.", PLAN]
PAIRS = len(evolve_judge.trial().answers)


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Hosts without an embedding model: loading one for each child is most of the time that these tests would take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERTULIA_MODELS", str(tmp_path_factory.mktemp("models")))
        nursery = Nursery()
    with nursery:
        yield nursery


def says(letter: str) -> str:
    """A judge's answer; its quote stands in any text."""
    return json.dumps({"better": letter, "quote": "e" if letter != "tie" else ""})


def for_first(pairs: int) -> list[str]:
    """The answers of a judge who always prefers the text that is named first in a pair, in both orders."""
    return [says(letter) for letter in "AB" * pairs]


FOR_OTHER = [says(letter) for letter in "BA" * 20]


@dataclass
class Lab:
    """Evolves questions in this process; children are played by processes that are forked for them."""

    stage: Stage
    folder: Path

    def script(self, name: str, **seats: Any) -> str:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"seats": seats, "otherwise": "repeat"}))
        return f"scripted/{path}"

    def pipeline(self, judged: list[str] | None = None, **keys: Any) -> dict[str, Any]:
        """Two generations of two runs of four turns; `judged` are the judge's answers, two for each pair."""
        model = self.script("talk", Questioner=["What else?"], Creator=ANSWERS)
        talk = {
            "kind": "loop",
            "question": "set by the series",
            "seats": [
                {"role": role, "model": model, "options": {"max_tokens": 20}} for role in ("questioner", "creator")
            ],
            "limits": {"turns": 4},
            "repetition": {"then": "ignore"},
        }
        base: dict[str, Any] = {"kind": "series", "question": QUESTION, "pipeline": talk, "baseline": False}
        if judged is not None:
            base["judge"] = {"model": self.script("judge", Judge=judged)}
        return {**base, **keys}

    async def play(self, pipeline: dict[str, Any]) -> tuple[str, Outcome]:
        run = self.stage.create(pipeline)
        return run, await self.go_on(run)

    async def go_on(self, run: str) -> Outcome:
        async with self.stage.host(run) as live:
            return await live.alone()

    async def dies(self, run: str, after: int) -> bool:
        """Whether a host that dies after so many commits has died before the series ended."""
        async with self.stage.host(run, crash=True) as live:
            commit, made = live.host.commit, 0

            async def counted(work: Any) -> Any:
                nonlocal made
                made += 1
                if made > after:
                    raise RecordError("the host was killed")
                return await commit(work)

            live.host.commit = counted  # type: ignore[method-assign]
            try:
                outcome = await live.ended()
            except RecordError:
                return True
            assert outcome.status is Status.FINISHED
            return False

    def children(self, run: str) -> list[Child]:
        return self.stage.read(lambda db: lineage.children(db, self.stage.n(run)))

    def candidates(self, run: str, **which: Any) -> list[Candidate]:
        return self.stage.read(lambda db: lineage.candidates(db, self.stage.n(run), **which))

    def told(self, run: str, kind: Kind) -> list[dict[str, Any]]:
        return self.stage.read(lambda db: lineage.told(db, self.stage.n(run), kind))


@pytest.fixture
def lab(stage: Stage, private_home: Path, nursery: Nursery, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(spawn, "spawn", lambda database, run, level: nursery.run(database, run))
    return Lab(stage, private_home)


# Who selects


async def test_without_a_judge_answers_are_selected_by_form(lab: Lab) -> None:
    run, outcome = await lab.play(lab.pipeline(children=1))
    assert (outcome.status, outcome.reason) == (Status.FINISHED, "generations")
    first, second = lab.told(run, Kind.CANDIDATES_RANKED)
    assert (first["how"], first["why"]) == ("form", "the series names no judge")
    assert [(item["rank"], item["seq"], item["bullets"], item["steps"]) for item in first["ranking"]] == [
        (1, 4, 3, 1),
        (2, 2, 0, 0),
    ]
    assert first["ranking"][0]["distance"] is None and second["ranking"][0]["distance"] is not None
    assert "wins" not in first["ranking"][0]
    chosen = [item for item in lab.candidates(run) if item.selected]
    # the second time both answers are old, the short one less so: what it lacks in structure it has in distance
    assert [(item.generation, item.rank, item.text) for item in chosen] == [(1, 1, PLAN), (2, 1, ANSWERS[0])]
    kept = form.principles(ANSWERS)
    assert lab.stage.read(lambda db: lineage.principles(db, lab.stage.n(run))) == {1: kept, 2: kept}
    assert lab.told(run, Kind.JUDGE_TRIED) == [] and lab.stage.calls(run, "trial") == []


async def test_a_judge_that_proves_itself_overrules_the_form(lab: Lab) -> None:
    # the trial is won; of the pair of finalists it then prefers the other one, whose form counts less
    run, _ = await lab.play(lab.pipeline([*for_first(PAIRS)], children=1, generations=1))
    assert lab.told(run, Kind.JUDGE_PROGRESS) == []  # what came of it stands in its place
    [tried] = lab.told(run, Kind.JUDGE_TRIED)
    assert tried["trusted"] and (tried["wins"], tried["ties"], tried["losses"]) == (PAIRS, 0, 0) and tried["p"] < 0.05
    [ranked] = lab.told(run, Kind.CANDIDATES_RANKED)
    assert ranked["how"] == "judge" and ranked["selected"]["seq"] == 4
    best, other = ranked["ranking"]
    assert (best["wins"], other["losses"]) == (1, 1) and best["low"] < 1 == best["high"]
    lab.script("judge", Judge=FOR_OTHER)
    lab.stage.change(run, ["generations=2"])
    await lab.go_on(run)
    ranked = lab.told(run, Kind.CANDIDATES_RANKED)[-1]
    best, other = ranked["ranking"]
    assert ranked["how"] == "judge" and best["form"] < other["form"] and best["wins"] == other["losses"] == 1
    [taken] = [item for item in lab.candidates(run, generation=2) if item.selected]
    assert (taken.child, taken.seq, taken.rank) == (best["child"], best["seq"], 1)
    assert ranked["selected"] == {"child": taken.child, "seq": taken.seq}
    assert len(lab.told(run, Kind.JUDGE_TRIED)) == 1
    assert len(lab.stage.calls(run, "trial")) == 2 * PAIRS and len(lab.stage.calls(run, "selection")) == 4


@pytest.mark.parametrize("judged", [[says("A")], [says("tie")], ["I like the first one."]], ids=["A", "tie", "prose"])
async def test_a_judge_that_does_not_read_is_never_trusted(lab: Lab, judged: list[str]) -> None:
    run, _ = await lab.play(lab.pipeline(judged, generations=1, children=1, baseline=True))
    [tried] = lab.told(run, Kind.JUDGE_TRIED)
    asked = tried["wins"] + tried["ties"] + tried["losses"]
    assert not tried["trusted"] and asked < PAIRS == tried["pairs"]  # given up once nothing could prove it any more
    assert lab.told(run, Kind.CANDIDATES_RANKED)[0]["how"] == "form"
    [compared] = lab.told(run, Kind.BASELINE_COMPARED)
    assert compared["why"] == "the judge has not told real text from shuffled" and "rate" not in compared
    repaired = 2 if judged[0].startswith("I") else 1
    assert tried["unusable"] == (asked if repaired == 2 else 0)
    assert len(lab.stage.calls(run, "trial")) == asked * 2 * repaired
    assert lab.stage.calls(run, "selection") == lab.stage.calls(run, "baseline") == []


async def test_a_tie_counts_against_a_judge_in_the_figure_that_its_trust_rests_on(lab: Lab) -> None:
    run, _ = await lab.play(lab.pipeline([*for_first(5), says("tie")], generations=1, children=1))
    [tried] = lab.told(run, Kind.JUDGE_TRIED)
    assert (tried["trusted"], tried["wins"], tried["ties"], tried["losses"]) == (False, 5, 7, 0)
    assert tried["p"] == pytest.approx(judge.sign_test(5, 7), abs=1e-6)  # not that of five wins in five


async def test_how_far_the_judge_is_is_told_pair_by_pair(lab: Lab) -> None:
    run = lab.stage.create(lab.pipeline(for_first(PAIRS), generations=1, children=1))
    async with lab.stage.host(run) as live:
        seen: list[tuple[str, int, int]] = []
        commit = live.host.commit

        async def watched(work: Any) -> Any:
            found = await commit(work)
            seen.extend((item["purpose"], item["done"], item["total"]) for item in lab.told(run, Kind.JUDGE_PROGRESS))
            return found

        live.host.commit = watched  # type: ignore[method-assign]
        await live.alone()
    told = list(dict.fromkeys(seen))
    assert told == [
        *(("trial", done, PAIRS) for done in range(PAIRS + 1)),
        ("selection", 0, 1),
        ("selection", 1, 1),
    ]


async def test_a_judge_out_of_order_is_asked_about_and_done_without(lab: Lab, quick: None) -> None:
    pipeline = lab.pipeline([{"text": "", "faults": [{"fault": "server", "attempt": "every"}]}], generations=1)  # type: ignore[list-item]
    run = lab.stage.create(pipeline)
    async with lab.stage.host(run) as live:
        assert "the script makes try" in (await live.asked()).question
        await live.answer("form")
        outcome = await live.ended()
    assert outcome.reason == "generations"
    assert "the script makes try" in lab.told(run, Kind.CANDIDATES_RANKED)[0]["why"]
    other = lab.stage.create(pipeline)
    async with lab.stage.host(other) as live:
        await live.answer("stop")
        outcome = await live.ended()
    assert (outcome.status, outcome.reason) == (Status.FAILED, "judge")
    assert lab.children(other) == []


async def test_a_judge_that_could_not_be_tried_is_tried_by_the_next_host(lab: Lab, quick: None) -> None:
    out_of_order: Any = [{"text": "", "faults": [{"fault": "server", "attempt": "every"}]}]
    run = lab.stage.create(lab.pipeline(out_of_order, generations=1, children=1, baseline=True))
    async with lab.stage.host(run) as live:
        await live.answer("form")
        await live.ended()
    assert lab.told(run, Kind.BASELINE_COMPARED)[0]["why"].startswith("the judge could not be tried: ")
    lab.script("judge", Judge=for_first(PAIRS))
    await lab.go_on(run)
    first, second = lab.told(run, Kind.JUDGE_TRIED)
    assert first["why"] and not first["trusted"] and second["trusted"] and "why" not in second
    before, compared = lab.told(run, Kind.BASELINE_COMPARED)
    assert compared["child"] == before["child"] and compared["pairs"] > 0 and "why" not in compared
    assert len(lab.told(run, Kind.CANDIDATES_RANKED)) == 1  # what was selected stays
    await lab.go_on(run)
    assert len(lab.told(run, Kind.JUDGE_TRIED)) == len(lab.told(run, Kind.BASELINE_COMPARED)) == 2


async def test_the_judge_is_told_nothing_and_asked_in_both_orders(lab: Lab) -> None:
    run = lab.stage.create(lab.pipeline(for_first(PAIRS), generations=1, children=1))
    async with lab.stage.host(run) as live:
        await live.alone()
        adapter: Any = live.duel._judging._seating._adapters["scripted"]  # type: ignore[attr-defined]
    forward, backward = (request.messages[-1].content for request in list(adapter.requests)[-2:])
    assert QUESTION in forward and "set by the series" not in forward
    assert forward.index(PLAN) < forward.index(ANSWERS[0]) and backward.index(ANSWERS[0]) < backward.index(PLAN)
    for word in (run, "generation", "baseline", "evol", *(child.run.id for child in lab.children(run))):
        assert word not in forward
    assert adapter.requests[-1].answer_schema == judge.SCHEMA and adapter.requests[-1].options["temperature"] == 0


# What the next generation starts from


async def test_the_best_answer_is_the_next_seed_asked_for_more(lab: Lab) -> None:
    run, _ = await lab.play(lab.pipeline(generations=3))
    found = lab.children(run)
    assert [(child.generation, child.place) for child in found] == [(g, p) for g in (1, 2, 3) for p in (1, 2)]
    assert [child.mutation for child in found] == [None, None, *["calibration", "failure-guard"] * 2]
    assert [child.seed for child in found[:2]] == [QUESTION] * 2
    demands = form.mutated("x")
    chosen = {item.generation: item for item in lab.candidates(run) if item.selected}
    for child in found[2:]:
        assert child.mutation and child.seed
        assert child.seed.startswith(f"{QUESTION}\n\n") and chosen[child.generation - 1].text in child.seed
        assert child.seed.endswith(demands[child.mutation].removeprefix("x"))
        assert child.seed.count("The best answer so far") == 1  # a lineage does not pile up
        spec = lab.stage.read(
            lambda db, child=child: json.loads(
                db.execute(  # type: ignore[misc]
                    "SELECT body FROM content WHERE n = ?", (child.run.spec,)
                ).fetchone()[0]
            )
        )
        assert spec["question"] == child.seed
    assert [child.origin for child in found] == [None, None, *[chosen[1].n] * 2, *[chosen[2].n] * 2]
    queued = lab.told(run, Kind.CHILD_QUEUED)
    assert queued[2]["origin"] == {"child": found[0].run.id, "seq": 4} and queued[0]["origin"] is None


async def test_one_child_a_generation_goes_through_the_mutations(lab: Lab) -> None:
    run, _ = await lab.play(lab.pipeline(generations=4, children=1))
    assert [child.mutation for child in lab.children(run)] == [None, "calibration", "failure-guard", "calibration"]


async def test_a_generation_that_another_has_grown_from_is_settled(lab: Lab) -> None:
    run, _ = await lab.play(lab.pipeline(children=1))
    before = lab.candidates(run)
    lab.stage.change(run, ["children=2", "generations=3"])
    await lab.go_on(run)
    found = lab.children(run)
    assert [(child.generation, child.place) for child in found] == [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)]
    assert [item for item in lab.candidates(run) if item.generation == 1] == before[:2]
    origins = {item.n: item.generation for item in lab.candidates(run)}
    assert [origins[child.origin] for child in found[1:] if child.origin] == [1, 1, 2, 2]
    assert len(lab.told(run, Kind.CANDIDATES_RANKED)) == 4  # the second generation is ranked again


# What it may cost, and what it is worth


async def test_the_baseline_is_given_what_the_lineage_spent_and_compared_blind(lab: Lab) -> None:
    run, outcome = await lab.play(lab.pipeline(for_first(PAIRS), baseline=True, limits={"tokens": 100_000}))
    assert outcome.reason == "generations"
    *evolved, plain = lab.children(run)
    assert len(evolved) == 4 and plain.purpose == "baseline" and plain.seed == QUESTION and plain.origin is None
    [ended] = lab.told(run, Kind.LINEAGE_ENDED)
    selecting = sum((call.tokens_in or 0) + (call.tokens_out or 0) for call in lab.stage.calls(run, "selection"))
    spent = sum(child.run.tokens_in + child.run.tokens_out for child in evolved)
    assert ended["tokens"] == spent + selecting == lab.stage.spent(run)["tokens"]
    [compared] = lab.told(run, Kind.BASELINE_COMPARED)
    assert compared["budget"] == ended["tokens"] >= compared["tokens"] > 0.8 * ended["tokens"]
    assert (compared["child"], compared["pairs"], compared["wins"]) == (plain.run.id, 4, 4)
    assert compared["low"] < compared["rate"] == 1 and compared["p"] == pytest.approx(1 / 16)
    assert len(lab.stage.calls(run, "baseline")) == 8
    assert plain.run.reason == "limit:tokens" and plain.run.turns > 4


async def test_a_lineage_ends_with_its_budget_and_goes_on_when_it_is_raised(lab: Lab) -> None:
    whole, _ = await lab.play(lab.pipeline())
    cost = lab.told(whole, Kind.LINEAGE_ENDED)[0]["tokens"]
    cap = int(cost * 0.4)  # the second run of the first generation has no room for its last turns
    run, outcome = await lab.play(lab.pipeline(limits={"tokens": cap}))
    assert outcome.reason == "limit:tokens" and f"{cap} tokens" in (outcome.detail or "")
    found = lab.children(run)
    assert [child.run.reason for child in found] == ["limit:turns", "limit:tokens"]
    assert lab.stage.spent(run)["tokens"] == sum(child.run.tokens_in + child.run.tokens_out for child in found) <= cap
    node = lab.stage.read(lambda db: allowances.of_run(db, lab.stage.n(run)))["tokens"]
    assert node.reserved == 0
    assert len(lab.told(run, Kind.CANDIDATES_RANKED)) == 1  # what there is, is ranked
    lab.stage.change(run, [f"limits.tokens={cost * 3}"])
    assert (await lab.go_on(run)).reason == "generations"
    assert [(child.generation, child.place) for child in lab.children(run)] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [data["reason"] for data in lab.told(run, Kind.LINEAGE_ENDED)] == ["limit:tokens", "generations"]


async def test_tokens_and_money_of_a_lineage_are_those_of_the_same_calls(lab: Lab) -> None:
    run, _ = await lab.play(lab.pipeline(for_first(PAIRS), children=1, generations=1, baseline=True))
    [plain] = [child.run for child in lab.children(run) if child.purpose == "baseline"]
    n = lab.stage.n(run)

    def bill(db: sqlite3.Connection) -> None:
        db.execute("UPDATE call SET cost = 0.25")
        db.execute("UPDATE allowance SET estimated = 7 WHERE run = ? AND unit = 'tokens'", (n,))

    lab.stage.write(bill)
    await lab.go_on(run)
    before, ended = lab.told(run, Kind.LINEAGE_ENDED)
    [child] = [child.run.id for child in lab.children(run) if child.purpose == "evolve"]
    counted = [*lab.stage.calls(child), *lab.stage.calls(run, "selection")]
    assert len(lab.stage.calls(run, "trial")) > 0 < len(lab.stage.calls(plain.id))
    assert ended["tokens"] == sum((call.tokens_in or 0) + (call.tokens_out or 0) for call in counted)
    assert (ended["cost"], ended["estimated"]) == (0.25 * len(counted), {"tokens": 7.0})
    assert before["cost"] == 0 and "estimated" not in before


async def test_turns_and_minutes_of_a_lineage_are_one_budget(lab: Lab) -> None:
    run, outcome = await lab.play(lab.pipeline(limits={"turns": 6}))
    assert outcome.reason == "limit:turns"
    assert [child.run.turns for child in lab.children(run)] == [4, 2]
    other, outcome = await lab.play(lab.pipeline(limits={"minutes": 1e-6}))
    assert outcome.reason == "limit:minutes" and len(lab.children(other)) == 1


async def test_a_budget_without_room_for_the_judge_selects_by_form(lab: Lab) -> None:
    pipeline = lab.pipeline(for_first(PAIRS), generations=1, children=1)
    run, _ = await lab.play(pipeline)
    spent = sum(child.run.tokens_in + child.run.tokens_out for child in lab.children(run))
    pipeline["judge"]["options"] = {"max_tokens": 5_000}
    run, _ = await lab.play(pipeline | {"limits": {"tokens": spent + 2_000}})
    assert lab.told(run, Kind.JUDGE_TRIED)[0]["trusted"]  # a measurement, beside the budget
    [ranked] = lab.told(run, Kind.CANDIDATES_RANKED)
    assert (ranked["how"], ranked["why"]) == ("form", "the budget (tokens) has no room for the judge")


# What a kill leaves


@pytest.mark.parametrize("killed", [False, True], ids=["lives", "killed"])
async def test_bye_ends_a_trial_between_two_pairs_and_outlives_the_host(lab: Lab, killed: bool) -> None:
    run = lab.stage.create(lab.pipeline(for_first(PAIRS), generations=1, children=1, baseline=True))
    async with lab.stage.host(run, crash=killed) as live:
        commit, said = live.host.commit, False

        async def watched(work: Any) -> Any:
            nonlocal said
            found = await commit(work)
            if not said and [item["done"] for item in lab.told(run, Kind.JUDGE_PROGRESS)] == [2]:
                said = True
                assert (await live.tell("bye"))[0] == "taken"
                if killed:
                    raise RecordError("the host was killed")
            return found

        live.host.commit = watched  # type: ignore[method-assign]
        if killed:
            with pytest.raises(RecordError, match="killed"):
                await live.ended()
        else:
            assert (await live.ended()).reason == "bye"
    if killed:
        assert (await lab.go_on(run)).reason == "bye"
    asked = len(lab.stage.calls(run, "trial"))
    assert 4 <= asked <= 6 and lab.told(run, Kind.JUDGE_TRIED) == lab.told(run, Kind.JUDGE_PROGRESS) == []
    assert lab.children(run) == [] and lab.told(run, Kind.LINEAGE_ENDED)[-1]["reason"] == "bye"
    assert (await lab.go_on(run)).reason == "generations"  # to resume what bye has ended takes the word back
    assert lab.told(run, Kind.JUDGE_TRIED)[0]["trusted"] and len(lab.stage.calls(run, "trial")) == 2 * PAIRS
    assert [child.purpose for child in lab.children(run)] == ["evolve", "baseline"]


async def test_bye_while_answers_are_compared_selects_by_form_and_plays_no_baseline(lab: Lab) -> None:
    run = lab.stage.create(lab.pipeline(for_first(PAIRS), baseline=True))
    async with lab.stage.host(run) as live:
        commit, said = live.host.commit, False

        async def watched(work: Any) -> Any:
            nonlocal said
            found = await commit(work)
            if not said and [item["purpose"] for item in lab.told(run, Kind.JUDGE_PROGRESS)] == ["selection"]:
                said = True
                await live.tell("bye")
            return found

        live.host.commit = watched  # type: ignore[method-assign]
        assert (await live.ended()).reason == "bye"
    [ranked] = lab.told(run, Kind.CANDIDATES_RANKED)
    assert (ranked["how"], ranked["why"]) == ("form", "the series was ended before the judge had compared the answers")
    assert [child.purpose for child in lab.children(run)] == ["evolve"] * 2


async def test_an_evolution_survives_its_host_killed_after_any_commit(lab: Lab) -> None:
    pipeline = lab.pipeline(for_first(PAIRS), children=1, baseline=True)
    whole, _ = await lab.play(pipeline)

    def story(run: str) -> list[Any]:
        """What came of a series, in words that do not change from one to the next."""
        names = {child.run.id: f"{child.purpose} {child.generation}" for child in lab.children(run)}
        kinds = (
            Kind.CHILD_QUEUED,
            Kind.CHILD_ENDED,
            Kind.JUDGE_TRIED,
            Kind.PRINCIPLES_KEPT,
            Kind.CANDIDATES_RANKED,
            Kind.LINEAGE_ENDED,
            Kind.BASELINE_COMPARED,
        )
        # a call that died with its host counts as spent in full, so sums and the run that is given them may differ
        differ = {"tokens", "budget"}
        told = [[{key: data[key] for key in data.keys() - differ} for data in lab.told(run, kind)] for kind in kinds]
        text = json.dumps(told, sort_keys=True)
        for run_id, name in names.items():
            text = text.replace(run_id, name)
        said = [lab.stage.said(child.run.id) for child in lab.children(run) if child.purpose == "evolve"]
        judged = len(lab.stage.read(lambda db: lineage.judgements(db, lab.stage.n(run), "trial")))
        return [json.loads(text), said, judged]

    expected = story(whole)
    after = 1
    while True:
        run = lab.stage.create(pipeline)
        died = await lab.dies(run, after)
        if not died:
            break
        await lab.go_on(run)
        assert story(run) == expected, f"killed after commit {after}"
        # the trial is a row of 22 pairs, each of six commits: a few of them stand for all
        after += 1 if after < 4 else 53 if after < 6 * PAIRS else 5


async def test_a_child_that_cannot_be_played_ends_its_series_with_the_reason(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lab.stage.create(lab.pipeline())
    with monkeypatch.context() as patch:
        patch.setattr(spawn, "spawn", lambda database, run, level: None)
        outcome = await lab.go_on(run)
        [child] = lab.children(run)
        assert (outcome.status, outcome.reason) == (Status.FAILED, "child")
        assert outcome.detail == f"run {child.run.id}: its host has died 3 times at the same turn"

        def full(*_: Any) -> None:
            raise RecordError("the disk is full")

        patch.setattr(spawn, "spawn", full)
        assert (await lab.go_on(run)).detail == "the disk is full"
    assert (await lab.go_on(run)).reason == "generations"
    assert lab.children(run)[0].run.id == child.run.id and len(lab.children(run)) == 4
